"""JSON schemas of answers, by the names that the rows of endpoints use."""

from collections.abc import Mapping
from typing import Any

from iredldap.dit.views import schemas as views

_TEXT: Mapping[str, Any] = {"type": "string"}
_TEXTS: Mapping[str, Any] = {"type": "array", "items": _TEXT}
_COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 0}
_TIME: Mapping[str, Any] = {"type": "string", "format": "date-time"}
_OBJECT: Mapping[str, Any] = {"type": "object"}

_ANY_TEXT: Mapping[str, Any] = {"type": ["string", "null"]}
_JOB: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "status": {"enum": ["queued", "running", "done", "failed"]},
        "node": {"type": ["string", "null"]},
        "done": _COUNT,
        "total": {"type": ["integer", "null"]},
        "failures": _COUNT,
        "code": {"type": ["string", "null"]},
        "report": {"type": ["object", "null"]},
        "changes": {"type": ["array", "null"], "items": _TEXT},
        "created": _TIME,
        "finished": {**_TIME, "type": ["string", "null"]},
    },
    "required": ["id", "status", "done", "total", "failures", "created", "finished"],
}

_CHANGE: Mapping[str, Any] = {
    "type": "object",
    "description": "A change. Members about the request are absent where the caller may not see"
    " what it names.",
    "properties": {
        "id": _TEXT,
        "time": _TIME,
        "admin": _TEXT,
        "token": _ANY_TEXT,
        "client": _TEXT,
        "request": _TEXT,
        "job": _ANY_TEXT,
        "endpoint": _TEXT,
        "account": _ANY_TEXT,
        "domain": _ANY_TEXT,
        "parameters": {"type": "object", "additionalProperties": _TEXTS},
        "steps": _TEXTS,
        "result": {"enum": ["open", "done", "broken off", "unconfirmed"]},
        "codes": _TEXTS,
        "duration_ms": {"type": ["integer", "null"]},
        "entries": _COUNT,
        "undoes": _ANY_TEXT,
        "touched": {"type": "array", "items": _OBJECT},
        "more": {"type": "boolean"},
    },
    "required": ["id", "time", "admin", "endpoint", "result", "touched"],
}

_COPIES: Mapping[str, Any] = {
    "type": "array",
    "items": {"type": "object", "properties": {"to": _TEXT, "by": {"enum": ["user", "domain"]}}},
}

_LEFT_ALONE: Mapping[str, Any] = {
    "type": "array",
    "description": "What an undo leaves as it is, because others have changed it since.",
    "items": {
        "type": "object",
        "properties": {"where": _TEXT, "what": _TEXT, "why": _TEXT, "values": _TEXTS},
        "required": ["where", "what", "why", "values"],
    },
}

_TOKEN: Mapping[str, Mapping[str, Any]] = {
    "id": _TEXT,
    "admin": _TEXT,
    "name": _TEXT,
    "scopes": _TEXTS,
    "domains": _TEXTS,
    "networks": _TEXTS,
    "parent": {"type": ["string", "null"]},
    "created": _TIME,
    "expires": {**_TIME, "type": ["string", "null"]},
}


def _object(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields)}


DATA: Mapping[str, Mapping[str, Any]] = {
    "Token": _object(_TOKEN),
    "Tokens": {"type": "array", "items": {"$ref": "#/components/schemas/Token"}},
    "NewToken": _object({**_TOKEN, "secret": _TEXT}),
    "Caller": _object(
        {
            "admin": _TEXT,
            "is_global_admin": {"type": "boolean"},
            "token": {"anyOf": [{"$ref": "#/components/schemas/Token"}, {"type": "null"}]},
            "scopes": _TEXTS,
            "domains": {"anyOf": [_TEXTS, {"type": "null"}]},
            "limits": _OBJECT,
        }
    ),
    "Text": _TEXT,
    "Texts": _TEXTS,
    "Object": _OBJECT,
    "Objects": {"type": "array", "items": _OBJECT},
    "Entry": {
        "type": "object",
        "description": "Attributes of an entry, each a list of texts, and what is no attribute.",
        "properties": {
            "accountSetting": _OBJECT,
            "members": _TEXTS,
            "stored_bytes": _COUNT,
            "stored_messages": _COUNT,
            "last_login": {
                "type": "object",
                "additionalProperties": {"type": ["integer", "null"]},
            },
        },
        # Not a list of the schema's attributes: a profile shows whatever the entry has, also of
        # other programs.
        "additionalProperties": _TEXTS,
    },
    "Listing": {
        "description": "Entries by name or address; or names or addresses alone, sorted.",
        "anyOf": [
            {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Entry"}},
            _TEXTS,
        ],
    },
    "SubscribableList": {
        "type": "object",
        "description": "Attributes of an entry, each a list of texts, and settings of mlmmj.",
        "properties": {
            "accountSetting": _OBJECT,
            "max_message_size": _COUNT,
            "smtp_port": _COUNT,
            "subscribers": {
                "type": "object",
                "properties": {"normal": _TEXTS, "digest": _TEXTS, "nomail": _TEXTS},
            },
        },
        "additionalProperties": {"anyOf": [_TEXTS, _TEXT]},
    },
    "Admin": {
        "type": "object",
        "description": "Attributes of an admin, each a list of texts, and what they mean.",
        "properties": {
            "accountSetting": _OBJECT,
            "settings": _OBJECT,
            "managed_domains": _TEXTS,
            "isglobaladmin": {"enum": [0, 1]},
        },
        "additionalProperties": _TEXTS,
    },
    "Job": _JOB,
    "Jobs": {"type": "array", "items": _JOB},
    "MailFlow": {
        "type": "object",
        "properties": {
            "address": _TEXT,
            "accepted": {"type": "boolean"},
            "alias_of": {"type": ["string", "null"]},
            "steps": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "address": _TEXT,
                        "by": _TEXT,
                        "account": _TEXT,
                        "to": _TEXTS,
                        "keeps_copy": {"type": "boolean"},
                    },
                },
            },
            "ends": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"address": _TEXT, "kind": _TEXT, "why": _TEXTS},
                },
            },
            "loops": {"type": "array", "items": _TEXTS},
            "cut_off": {"type": "boolean"},
            "copies": _COPIES,
            "sent_mail": {
                "type": "object",
                "properties": {"copies": _COPIES, "relay": _COPIES},
            },
        },
    },
    "References": {
        "type": "object",
        "properties": {
            "deletion": _OBJECT,
            "rename": {"type": ["object", "null"]},
            "references": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "dn": _TEXT,
                        "attribute": {"type": ["string", "null"]},
                        "value": {"type": ["string", "null"]},
                        "on_deletion": {"type": ["string", "null"]},
                        "on_rename": {"type": ["string", "null"]},
                    },
                },
            },
            "left_out": _COUNT,
            "in_other_domains": _COUNT,
            "rows": {"type": "object", "additionalProperties": _COUNT},
        },
        "required": ["deletion", "references", "left_out", "in_other_domains", "rows"],
    },
    "Undo": {
        "type": "object",
        "properties": {"left_alone": _LEFT_ALONE},
        "required": ["left_alone"],
    },
    "DryRun": {
        "type": "object",
        "description": "What a change would do; nothing has been changed.",
        "properties": {
            "judged_by": {"enum": ["directory", "schema", None]},
            "steps": _TEXTS,
            "ldif": {**_TEXT, "description": "LDIF change records, secrets redacted."},
            "records": _COUNT,
            "records_left_out": _COUNT,
            "sweeps": {
                "type": "array",
                "items": {"type": "object", "properties": {"step": _TEXT, "entries": _COUNT}},
            },
            "outside": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "step": _TEXT,
                        "rows": {
                            "type": ["array", "null"],
                            "items": {"type": "object"},
                            "description": "What it would change, as `touched` of changes has it;"
                            " null: the database could not take a trial back.",
                        },
                        "rows_left_out": _COUNT,
                    },
                },
            },
            "rechecks": _TEXTS,
            "ignored_values": _TEXTS,
            "unplaced": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"parameter": _TEXT, "attribute": _TEXT},
                },
            },
            "shared_with": _TEXTS,
            "kept_members": _TEXTS,
            "left_alone": _LEFT_ALONE,
        },
        "required": ["judged_by", "steps", "ldif", "records", "records_left_out"],
    },
    "Change": _CHANGE,
    "Changes": {"type": "array", "items": _CHANGE},
}


def envelope(data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of a success envelope, with data or without."""
    fields: dict[str, Any] = {"_success": {"const": True}}
    if data:
        fields["_data"] = data
    return {"type": "object", "properties": fields, "required": list(fields)}


FAILURE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "_success": {"const": False},
        "_msg": {"type": "string", "description": "A code, or several joined by commas."},
        "_data": {"type": "object", "description": "What was and was not done."},
    },
    "required": ["_success", "_msg"],
}

_PROMISE: Mapping[str, Any] = {
    "type": "object",
    "properties": {"job": _TEXT},
    "required": ["job"],
}

SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    **DATA,
    **views.schemas(),
    "Success": envelope(),
    "Failure": FAILURE,
    "Promise": envelope(_PROMISE),
}


def reference(name: str) -> dict[str, str]:
    """Return a reference to one of the document's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}
