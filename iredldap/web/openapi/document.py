"""Describe the index of the API as an OpenAPI 3.1 document."""

from typing import Any

from iredldap import __version__
from iredldap.dit import api_tokens
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import ENDPOINTS
from iredldap.web.openapi import requests
from iredldap.web.openapi.groups import GROUPS, group_of
from iredldap.web.openapi.responses import answers
from iredldap.web.openapi.schemas import SCHEMAS

_DESCRIPTION = """\
Manages an iRedMail installation directly in its OpenLDAP directory.

Every path below `/api` is also served below `/iredadmin/api`. `POST /api/login` opens a session;
its cookie identifies the later calls. Programs send an API token instead, as `Authorization:
Bearer …`. Parameters of a body may be sent in the query string as well.
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
    schemes = {
        "session": {"type": "apiKey", "in": "cookie", "name": cookie},
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": f"{api_tokens.PREFIX}…"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "iredldap", "version": __version__, "description": _DESCRIPTION},
        "tags": [{"name": area.name, "description": area.meaning} for area in _areas()],
        "paths": paths,
        "components": {"securitySchemes": schemes, "schemas": {**SCHEMAS, **_forms()}},
    }


def described_at(endpoint: Endpoint) -> str:
    """Return the path of an endpoint in the document.

    Two paths may not differ in the name of a variable alone.
    """
    return endpoint.route if "{" in endpoint.path else endpoint.path


def callers(endpoint: Endpoint) -> str:
    """Return the sentence that says who may call an endpoint."""
    return f"For {', '.join(_CALLERS[caller] for caller in endpoint.auth)}."


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    """Return the ways to be identified; those of a token with the scopes that it needs."""
    return [] if endpoint.is_open else [{"session": []}, {"token": [*endpoint.scopes]}]


def scopes_of(endpoint: Endpoint) -> str:
    """Return the sentence that says which scopes a token needs; empty: it needs none."""
    if endpoint.is_open:
        return ""
    own = ", ".join(f"`{scope}`" for scope in endpoint.scopes)
    others = sorted({*endpoint.possible_scopes} - {*endpoint.scopes})
    if not own:
        return "Any token will do."
    some = (
        f" Some parameters need {' or '.join(f'`{s}`' for s in others)} instead." if others else ""
    )
    return f"A token needs {own}.{some}"


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
        "description": " ".join(filter(None, (callers(endpoint), scopes_of(endpoint)))),
        "security": _security(endpoint),
        "responses": answers(endpoint, *twins),
    }
    if parameters := requests.parameters(path, endpoint):
        described["parameters"] = parameters
    if body := requests.body(endpoint):
        described["requestBody"] = body
    return described
