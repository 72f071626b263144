"""Describe the index of the API as an OpenAPI 3.1 document."""

from typing import Any

from iredldap import __version__
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import ENDPOINTS
from iredldap.web.openapi import requests
from iredldap.web.openapi.groups import GROUPS, group_of
from iredldap.web.openapi.responses import answers
from iredldap.web.openapi.schemas import SCHEMAS

_DESCRIPTION = """\
Manages an iRedMail installation directly in its OpenLDAP directory.

Every path below `/api` is also served below `/iredadmin/api`. `POST /api/login` opens a session;
its cookie identifies the later calls. Parameters of a body may be sent in the query string as well.
Refusals have the statuses below unless the setting `always_ok_status` makes all of them 200.
"""

_CALLERS = {
    "anonymous": "anybody",
    "global_admin": "global admins",
    "domain_admin": "normal admins",
    "self": "an admin on their own account",
    "admin": "whoever is logged in",
}


def document(cookie: str) -> dict[str, Any]:
    """Describe every endpoint of the index.

    Args:
        cookie: Name of the session cookie.
    """
    paths: dict[str, dict[str, Any]] = {}
    for (path, method), endpoints in _operations().items():
        paths.setdefault(path, {})[method.lower()] = _operation(path, *endpoints)
    session = {"type": "apiKey", "in": "cookie", "name": cookie}
    return {
        "openapi": "3.1.0",
        "info": {"title": "iredldap", "version": __version__, "description": _DESCRIPTION},
        "tags": [{"name": area.name, "description": area.meaning} for area in _areas()],
        "paths": paths,
        "components": {"securitySchemes": {"session": session}, "schemas": {**SCHEMAS, **_forms()}},
    }


def described_at(endpoint: Endpoint) -> str:
    """Return the path of an endpoint in the document.

    Two paths may not differ in the name of a variable alone.
    """
    return endpoint.route if "{" in endpoint.path else endpoint.path


def callers(endpoint: Endpoint) -> str:
    """Return the sentence that says who may call an endpoint."""
    return f"For {', '.join(_CALLERS[caller] for caller in endpoint.auth)}."


def _areas() -> list[Any]:
    used = {group_of(endpoint) for endpoint in ENDPOINTS}
    return [area for area in GROUPS if area in used]


def _forms() -> dict[str, Any]:
    return {row.id: requests.form(row.table) for row in ENDPOINTS if requests.has_form(row)}


def _operations() -> dict[tuple[str, str], list[Endpoint]]:
    found: dict[tuple[str, str], list[Endpoint]] = {}
    for endpoint in ENDPOINTS:
        found.setdefault((described_at(endpoint), endpoint.method), []).append(endpoint)
    return found


def _operation(path: str, endpoint: Endpoint, *twins: Endpoint) -> dict[str, Any]:
    """Describe an endpoint, with those that differ from it by a value in the path."""
    described: dict[str, Any] = {
        "tags": [group_of(endpoint).name],
        "operationId": endpoint.id.replace("_domain", "_account") if twins else endpoint.id,
        "summary": " ".join(row.summary for row in (endpoint, *twins)),
        "description": callers(endpoint),
        "security": [] if endpoint.is_open else [{"session": []}],
        "responses": answers(endpoint, *twins),
    }
    if parameters := requests.parameters(path, endpoint):
        described["parameters"] = parameters
    if body := requests.body(endpoint):
        described["requestBody"] = body
    return described
