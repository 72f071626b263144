"""Describe what an endpoint takes: path, query, headers and body."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from iredldap.dit.field_schemas import properties
from iredldap.dit.fields import Field, Table
from iredldap.dit.views.rows import VIEW
from iredldap.operations import dispatch
from iredldap.web import dry_runs
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.openapi.choices import LATER, STRICTLY, with_names
from iredldap.web.openapi.parts import TEXT, reference, word
from iredldap.web.responses import JSON

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

_WISHES = {
    STRICTLY: "Refuse what would be ignored.",
    LATER: "Do not wait for the change.",
}

_DRY_RUN = {"description": dry_runs.MEANING, "type": "string", "enum": ["yes", "no"]}

_FILE = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

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
    "csv_emails": ["ann@example.com", "bob@example.com"],
    "csv_domains": ["example.org", "example.net"],
    "csv_services": ["imap", "pop3"],
    "csv_strings": ["555-0100"],
    "csv_networks": ["192.0.2.0/24"],
    "date_time": "2099-12-31T00:00:00Z",
    "csv_headers": ["X-Example: yes"],
    "csv_wb_addresses": ["ann@example.com", "@example.org", "192.0.2.0/24"],
    "csv_gl_senders": ["ann@example.com", "@example.org", "192.0.2.0/24"],
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
        # A view has a path of its own: not all generators know answers of several types.
        table = tuple(row for row in endpoint.table if row is not VIEW)
        described += [_query(name, schema) for name, schema in properties(table).items()]
    if dry_runs.is_offered(endpoint) and not dry_runs.has_own_row(endpoint):
        described.append(_query(dry_runs.NAME, _DRY_RUN))
    return [*described, *_headers(endpoint)]


def body(endpoint: Endpoint) -> dict[str, Any] | None:
    """Describe the body; None: there is none."""
    if endpoint.takes_file:
        described = f"A file, {endpoint.file_type}; its type may be sent as well."
        return {"required": True, "description": described, "content": _FILE}
    if not has_form(endpoint):
        return None
    media = {"schema": reference(form_name(endpoint)), "example": example(endpoint.table)}
    # JSON alone, although forms are taken: of several types a generator makes several requests, or
    # one that nobody can send.
    required = any(field.required for field in endpoint.table)
    return {"required": required, "content": {JSON: media}}


def form_name(endpoint: Endpoint) -> str:
    """Return the name of the schema of a body."""
    return endpoint.takes or "".join(word.capitalize() for word in endpoint.id.split("_"))


def has_form(endpoint: Endpoint) -> bool:
    """Return whether its parameters are described as a body; the query string may have them too."""
    return bool(endpoint.table) and endpoint.method != "GET" and not endpoint.takes_file


def form(table: Table) -> dict[str, Any]:
    """Return the JSON schema of a body."""
    described = {name: with_names(schema) for name, schema in properties(table).items()}
    for field in table:
        described[field.name]["examples"] = [value_example(field)]
    # A required parameter that another one replaces is not required by itself, which a list of
    # names cannot say.
    required = [field.name for field in table if field.required and not field.conflicts_with]
    schema: dict[str, Any] = {"type": "object", "properties": described}
    return schema | ({"required": required} if required else {})


def example(table: Table) -> dict[str, Any]:
    """Return a valid body: the required parameters, or else the first one."""
    shown = [field for field in table if field.required] or table[:1]
    return {field.name: value_example(field) for field in shown}


def value_example(field: Field) -> Any:
    """Return a valid value of a parameter."""
    choices: Any = field.kind.choices or field.kind.schema.get("enum")
    one = choices[0] if choices else _EXAMPLES[field.kind.type]
    return [one] if field.kind.many and choices else one


def _path(name: str) -> dict[str, Any]:
    description, schema = _PATH[name]
    return {
        "name": name, "in": "path", "required": True, "description": description, "schema": schema
    }  # fmt: skip


def _query(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    described = {"name": name, "in": "query", "description": schema["description"]}
    # The words of a list are one value, separated by commas.
    style = {"style": "form", "explode": False} if schema["type"] == "array" else {}
    bare = {key: value for key, value in schema.items() if key != "description"}
    return described | style | {"schema": with_names(bare)}


def _headers(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    changes = endpoint.operation is not None
    changes_entry = changes and dispatch.changes_an_entry(endpoint.id)
    if endpoint.tagged:
        yield _header("If-None-Match", "States of the entry that the client has: then 304.")
    if changes_entry:
        yield _header("If-Match", "The state in which the entry must be, as an `ETag` has it.")
    if changes_entry and endpoint.id.endswith("_create"):
        yield _header("If-None-Match", "`*`: the name must be new, otherwise 412.", "*")
    wishes = [
        wish
        for wish, may in ((STRICTLY, endpoint.table), (LATER, changes or endpoint.promises))
        if may
    ]
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
    schema = with_names(word(*choices)) if choices else TEXT
    return {"name": name, "in": "header", "description": description, "schema": schema}
