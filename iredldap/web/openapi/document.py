"""Describe the index of the API as an OpenAPI 3.1 document."""

from typing import Any

from iredldap import __version__
from iredldap.dit import api_tokens
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import SERVED
from iredldap.web.openapi import requests
from iredldap.web.openapi.choices import CHOICES
from iredldap.web.openapi.groups import GROUPS, group_of
from iredldap.web.openapi.responses import HEADERS, answers, envelopes, shared
from iredldap.web.openapi.schemas import DATA

_DESCRIPTION = """\
Manages an iRedMail installation directly in its OpenLDAP directory.

Every path below `/api` is also served below `/iredadmin/api`. `POST /api/login` opens a session;
its cookie identifies the later calls. Programs send an API token instead, as `Authorization:
Bearer …`. Bodies are JSON. They may also be forms (`application/x-www-form-urlencoded`,
`multipart/form-data`), where a list is one text, separated by commas, or a name that is repeated;
and parameters of a body may be sent in the query string. `null`, as an empty value of a form,
clears what may be empty.
Refusals have the statuses below unless the setting `always_ok_status` makes all of them 200.
"""

_CALLERS = {
    "anonymous": "anybody",
    "global_admin": "global admins",
    "domain_admin": "normal admins",
    "self": "an admin on their own account",
    "admin": "whoever is logged in",
}


def document(cookie: str, root: str = "") -> dict[str, Any]:
    """Describe every endpoint of the index.

    Args:
        cookie: Name of the session cookie.
        root: Path that all of it is served below.
    """
    paths: dict[str, dict[str, Any]] = {}
    for (path, method), endpoints in _operations().items():
        paths.setdefault(path, {})[method.lower()] = _operation(path, *endpoints)
    schemes = {
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "The cookie that `POST /api/login` sets.",
        },
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": f"{api_tokens.PREFIX}…",
            "description": "An API token, which `POST /api/tokens` creates.",
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "iredldap",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
            "contact": {"name": "iredldap contributors"},
        },
        "servers": [
            {"url": root or "/", "description": "The server of this document."},
            {"url": f"{root}/iredadmin", "description": "The same, where iRedAdmin-Pro has it."},
        ],
        "tags": [{"name": area.name, "description": area.meaning} for area in _areas()],
        "paths": paths,
        "components": {
            "securitySchemes": schemes,
            "schemas": {**CHOICES, **DATA, **envelopes(), **_forms()},
            "responses": shared(),
            "headers": HEADERS,
        },
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
    used = {group_of(endpoint) for endpoint in SERVED}
    return [area for area in GROUPS if area in used]


def _forms() -> dict[str, Any]:
    # Of endpoints that have one entry in the document, the first one.
    rows = [first for first, *_ in _operations().values() if requests.has_form(first)]
    return {requests.form_name(row): requests.form(row.table) for row in rows}


def _operations() -> dict[tuple[str, str], list[Endpoint]]:
    found: dict[tuple[str, str], list[Endpoint]] = {}
    for endpoint in SERVED:
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
