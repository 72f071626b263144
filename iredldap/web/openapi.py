"""The index of the API as an OpenAPI 3.1 document."""

import re
from functools import cache
from typing import Any

from iredldap import __version__
from iredldap.dit.fields import Table, properties
from iredldap.operations import index
from iredldap.web.endpoint import Endpoint
from iredldap.web.routes import ENDPOINTS

_PATH_NAMES = {
    "domain": "Domain name; Unicode is converted to its ASCII form.",
    "mail": "Mail address, in any letter case.",
    "new_mail": "The address that the account gets, in any letter case.",
    "account": "Domain name or mail address.",
    "number": "Days for which mailboxes are kept; 0: for good.",
    "id": "Id of a job.",
}
_COMMON_ERRORS = (
    "LOGIN_REQUIRED",
    "NOT_AUTHORIZED",
    "PERMISSION_DENIED",
    "INVALID_PARAMETER",
    "MISSING_PARAMETER",
    "PARAMETER_CONFLICT",
)
_BODIES = (
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/json",
)
_FILE = {
    "text/ldif": {},
    "application/octet-stream": {},
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {"file": {"type": "string", "format": "binary"}},
            "required": ["file"],
        }
    },
}
_FAILURE = {"$ref": "#/components/schemas/Failure"}

_PROMISE = {
    "description": "Asked for with `Prefer: respond-async`: nothing is left to refuse, and the"
    " change is carried out in the background, as a job.",
    "headers": {
        "Location": {"description": "Path of the job.", "schema": {"type": "string"}},
        "Preference-Applied": {"schema": {"const": "respond-async"}},
        "Retry-After": {"schema": {"type": "integer"}},
    },
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Promise"}}},
}


@cache
def document() -> dict[str, Any]:
    """Describe every endpoint of the index."""
    paths: dict[str, dict[str, Any]] = {}
    for (path, method), endpoints in _operations().items():
        paths.setdefault(path, {})[method.lower()] = _operation(path, *endpoints)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "iredldap",
            "version": __version__,
            "description": "Manages an iRedMail installation directly in its OpenLDAP directory."
            " Every path below /api is also served below /iredadmin/api.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "iRedAdmin-LDAP"}
            },
            "schemas": {
                "Success": _envelope(),
                "Promise": _envelope(
                    {
                        "type": "object",
                        "properties": {"job": {"type": "string"}},
                        "required": ["job"],
                    }
                ),
                "Failure": _failure(),
            },
        },
    }


def described_at(endpoint: Endpoint) -> str:
    """The path of an endpoint here: no two may differ in nothing but the name of a variable."""
    return endpoint.route if "{" in endpoint.path else endpoint.path


def _operations() -> dict[tuple[str, str], list[Endpoint]]:
    found: dict[tuple[str, str], list[Endpoint]] = {}
    for endpoint in ENDPOINTS:
        found.setdefault((described_at(endpoint), endpoint.method), []).append(endpoint)
    return found


def _operation(path: str, endpoint: Endpoint, *twins: Endpoint) -> dict[str, Any]:
    """Describe an endpoint, together with those that are told apart by a value in the path."""
    codes = dict.fromkeys(code for row in (endpoint, *twins) for code in _codes(row))
    described: dict[str, Any] = {
        "operationId": endpoint.id.replace("_domain", "_account") if twins else endpoint.id,
        "summary": " ".join(row.summary for row in (endpoint, *twins)),
        "security": [] if endpoint.is_open else [{"session": []}],
        "responses": {
            "200": _success(endpoint),
            "default": {
                "description": f"Refused: {', '.join(codes)}.",
                "content": {"application/json": {"schema": _FAILURE}},
            },
        },
    }
    if endpoint.id in index.PLANS:
        described["responses"]["202"] = _PROMISE
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH_NAMES[name],
            "schema": {"type": "string"},
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    if endpoint.takes_file:
        described["requestBody"] = {"required": True, "content": _FILE}
    if endpoint.table and (endpoint.method == "GET" or endpoint.takes_file):
        parameters += [_query(name, schema) for name, schema in properties(endpoint.table).items()]
    elif endpoint.table:
        schema = _form(endpoint.table)
        content = {media: {"schema": schema} for media in _BODIES}
        described["requestBody"] = {"content": content}
    if parameters:
        described["parameters"] = parameters
    return described


def _codes(endpoint: Endpoint) -> list[str]:
    of_jobs = ("TOO_MANY_REQUESTS",) if endpoint.id in index.PLANS else ()
    return list(dict.fromkeys((*endpoint.errors, *_COMMON_ERRORS, "SERVER_DOWN", *of_jobs)))


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    description = schema.get("description", "")
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _form(table: Table) -> dict[str, Any]:
    required = [field.name for field in table if field.required and not field.conflicts_with]
    schema: dict[str, Any] = {"type": "object", "properties": properties(table)}
    return schema | ({"required": required} if required else {})


def _success(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.path == "/openapi.json":
        schema: dict[str, Any] = {"type": "object"}
    elif endpoint.returns is None:
        schema = {"$ref": "#/components/schemas/Success"}
    else:
        kind = "string" if _is_export(endpoint) else "object"
        schema = _envelope({"type": kind, "description": endpoint.returns})
    answer: dict[str, Any] = {
        "description": "Done." if endpoint.method != "GET" else "Found.",
        "content": {"application/json": {"schema": schema}},
    }
    if _is_export(endpoint) or endpoint.takes_file:
        answer["content"]["text/ldif"] = {"schema": {"type": "string"}}
    return answer


def _is_export(endpoint: Endpoint) -> bool:
    return endpoint.id.startswith("ldif") and endpoint.method == "GET"


def _envelope(data: dict[str, Any] | None = None) -> dict[str, Any]:
    fields: dict[str, Any] = {"_success": {"const": True}}
    if data:
        fields["_data"] = data
    return {"type": "object", "properties": fields, "required": list(fields)}


def _failure() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "_success": {"const": False},
            "_msg": {"type": "string", "description": "A code, or several joined by commas."},
            "_data": {"type": "object", "description": "What was and was not done."},
        },
        "required": ["_success", "_msg"],
    }
