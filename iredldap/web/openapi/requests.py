"""Describe what an endpoint takes: path, query, headers and body."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from iredldap.dit.field_schemas import properties
from iredldap.dit.fields import Field, Table
from iredldap.operations import dispatch
from iredldap.web import dry_runs
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.openapi.schemas import reference

_NAME: Mapping[str, Any] = {"type": "string", "pattern": "^[^/]+$"}
# Without a format: addresses that other tools have stored, which a path may name, are none by RFC
# 5321.
_ADDRESS: Mapping[str, Any] = {"type": "string", "minLength": 1}

_PATH: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "domain": ("Domain name; Unicode is converted to its ASCII form.", _NAME),
    "mail": ("Mail address, in any letter case; a slash in it is sent as `%2F`.", _ADDRESS),
    "new_mail": ("The address that the account gets, in any letter case.", _NAME),
    "account": ("Domain name or mail address; a slash in it is sent as `%2F`.", _ADDRESS),
    "number": (
        "Days for which mailboxes are kept; 0: for good.",
        {"type": "integer", "minimum": 0, "maximum": 36500},
    ),
    "id": ("Id of a job.", _NAME),
    "token": ("Id of a token.", _NAME),
    "file": ("Name of a file.", _NAME),
}

_STRICTLY = "handling=strict"
_LATER = "respond-async"
_WISHES = {
    _STRICTLY: "Refuse what would be ignored.",
    _LATER: "Do not wait for the change.",
}

_DRY_RUN = {"description": dry_runs.MEANING, "type": "string", "enum": ["yes", "no"]}

_BODIES = (
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/json",
)
_FILE = {
    "application/octet-stream": {},
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {"file": {"type": "string", "format": "binary"}},
            "required": ["file"],
        }
    },
}

_EXAMPLES: Mapping[str, Any] = {
    "string": "Example",
    "int_mb": 1024,
    "int_bytes": 10485760,
    "int_count": 100,
    "int_limit": 100,
    "int_seconds": 3600,
    "int_quota_unit": 1024,
    "float": 4.5,
    "flag_presence": "yes",
    "bool_yes_no": "yes",
    "email": "ann@example.com",
    "csv_emails": "ann@example.com,bob@example.com",
    "csv_domains": "example.org,example.net",
    "csv_services": "imap,pop3",
    "csv_strings": "555-0100",
    "csv_scopes": "users:read",
    "csv_networks": "192.0.2.0/24",
    "date_time": "2099-12-31T00:00:00Z",
    "csv_headers": "X-Example:yes",
    "csv_wb_addresses": "ann@example.com,@example.org,192.0.2.0/24",
    "csv_gl_senders": "ann@example.com,@example.org,192.0.2.0/24",
    "ip_or_host": "[192.0.2.1]:25",
    "relay": "[smtp.example.net]:587",
    "transport": "smtp:[192.0.2.1]:25",
    "password": "correct horse battery",
    "password_hash": "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g0U3lGWTBWRw==",
    "path": "/var/vmail/vmail1/example.com/ann",
}


def parameters(path: str, endpoint: Endpoint) -> list[dict[str, Any]]:
    """Describe the parameters in the path, the query string and the headers."""
    described = [_path(name) for name in re.findall(r"\{(\w+)\}", path)]
    # OpenAPI has one place for a parameter, and the body is where most clients send those of a
    # change. That the query string does as well is said in the description.
    if endpoint.table and not has_form(endpoint):
        described += [_query(name, schema) for name, schema in properties(endpoint.table).items()]
    if dry_runs.is_offered(endpoint) and not dry_runs.has_own_row(endpoint):
        described.append(_query(dry_runs.NAME, _DRY_RUN))
    return [*described, *_headers(endpoint)]


def body(endpoint: Endpoint) -> dict[str, Any] | None:
    """Describe the body; None: there is none."""
    if endpoint.takes_file:
        return {"required": True, "content": {endpoint.file_type: {}, **_FILE}}
    if not has_form(endpoint):
        return None
    media = {"schema": reference(endpoint.id), "example": example(endpoint.table)}
    required = any(field.required for field in endpoint.table)
    return {"required": required, "content": dict.fromkeys(_BODIES, media)}


def has_form(endpoint: Endpoint) -> bool:
    """Return whether its parameters are described as a body; the query string may have them too."""
    return bool(endpoint.table) and endpoint.method != "GET" and not endpoint.takes_file


def form(table: Table) -> dict[str, Any]:
    """Return the JSON schema of a body."""
    described = properties(table)
    for field in table:
        described[field.name]["examples"] = [_example(field)]
    # A required parameter that another one replaces is not required by itself, which a list of
    # names cannot say.
    required = [field.name for field in table if field.required and not field.conflicts_with]
    schema: dict[str, Any] = {"type": "object", "properties": described}
    return schema | ({"required": required} if required else {})


def example(table: Table) -> dict[str, Any]:
    """Return a valid body: the required parameters, or else the first one."""
    shown = [field for field in table if field.required] or table[:1]
    return {field.name: _example(field) for field in shown}


def _example(field: Field) -> Any:
    choices: Any = field.kind.choices or field.kind.schema.get("enum")
    return choices[0] if choices else _EXAMPLES[field.kind.type]


def _path(name: str) -> dict[str, Any]:
    description, schema = _PATH[name]
    return {
        "name": name, "in": "path", "required": True, "description": description, "schema": schema
    }  # fmt: skip


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    description = schema.get("description", "")
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _headers(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    changes = endpoint.operation is not None
    changes_entry = changes and dispatch.changes_an_entry(endpoint.id)
    if endpoint.tagged:
        yield _header("If-None-Match", "States of the entry that the client has: then 304.")
    if changes_entry:
        yield _header("If-Match", "The state in which the entry must be, as an `ETag` has it.")
    if changes_entry and endpoint.id.endswith("_create"):
        yield _header("If-None-Match", "`*`: the name must be new, otherwise 412.", "*")
    wishes = [wish for wish, may in ((_STRICTLY, endpoint.table), (_LATER, changes)) if may]
    if keeps_answers(endpoint):
        yield _header(
            "Idempotency-Key",
            "A word of the client's: sent again with it, the request is answered as the first time"
            " and not carried out again.",
        )
    if wishes:
        meaning = " ".join(_WISHES[wish] for wish in wishes)
        yield _header("Prefer", meaning, *dict.fromkeys((*wishes, ", ".join(wishes))))


def keeps_answers(endpoint: Endpoint) -> bool:
    """Return whether an `Idempotency-Key` has an effect."""
    return endpoint.method == "POST" and not endpoint.is_open and not endpoint.takes_file


def _header(name: str, description: str, *choices: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"} | ({"enum": [*choices]} if choices else {})
    return {"name": name, "in": "header", "description": description, "schema": schema}
