"""JSON schemas of answers, by the names that the rows of endpoints use."""

from collections.abc import Mapping
from typing import Any

from iredldap.dit import spam_policy
from iredldap.dit.fields import Field
from iredldap.web.openapi.choices import with_names
from iredldap.web.openapi.parts import (
    ANY_TEXT,
    COUNT,
    OBJECT,
    TEXT,
    TEXTS,
    TIME,
    array,
    mapping,
    obj,
    reference,
    word,
)
from iredldap.web.openapi.profiles import LISTINGS, PROFILES, VIEWS

_YES_OR_NO: Mapping[str, Any] = {"type": "boolean"}
_ROW_RESULTS = ("created", "updated", "unchanged", "differs", "refused", "joined")
_STATE_RESULTS = ("created", "renamed", "updated", "deleted", "unchanged", "refused")
_NUMBER: Mapping[str, Any] = {"type": "integer"}
_ANY_NUMBER: Mapping[str, Any] = {"type": ["integer", "null"]}

_CHANGE = {
    **obj(
        {
            "id": TEXT,
            "time": TIME,
            "admin": TEXT,
            "token": ANY_TEXT,
            "client": TEXT,
            "request": TEXT,
            "job": ANY_TEXT,
            "endpoint": TEXT,
            "account": ANY_TEXT,
            "domain": ANY_TEXT,
            "parameters": mapping(TEXTS),
            "steps": TEXTS,
            "result": word("open", "done", "broken off", "unconfirmed"),
            "codes": TEXTS,
            "duration_ms": _ANY_NUMBER,
            "entries": COUNT,
            "undoes": ANY_TEXT,
            "touched": array(OBJECT),
            "more": _YES_OR_NO,
        },
        required=("id", "time", "admin", "endpoint", "result", "touched"),
    ),
    "description": "A change. Members about the request are absent where the caller may not see"
    " what it names.",
}

_COPIES = array(obj({"to": TEXT, "by": word("user", "domain")}, required=()))

_LEFT_ALONE = {
    **array(obj({"where": TEXT, "what": TEXT, "why": TEXT, "values": TEXTS})),
    "description": "What an undo leaves as it is, because others have changed it since.",
}

_TOKEN: Mapping[str, Mapping[str, Any]] = {
    "id": TEXT,
    "admin": TEXT,
    "name": TEXT,
    "scopes": TEXTS,
    "domains": TEXTS,
    "networks": TEXTS,
    "parent": ANY_TEXT,
    "created": TIME,
    "expires": {**TIME, "type": ["string", "null"]},
}


def _of_policy(row: Field) -> Mapping[str, Any]:
    """Describe a value of a spam policy as it is shown; a list is the text of its column."""
    described = TEXT if row.kind.many else with_names(row.kind.schema)
    return {**described, "description": row.meaning}


DATA: Mapping[str, Mapping[str, Any]] = {
    **PROFILES,
    **LISTINGS,
    **VIEWS,
    "Names": {**TEXTS, "description": "Names or addresses alone, sorted."},
    "Text": TEXT,
    "Texts": TEXTS,
    "Token": obj(_TOKEN),
    "Tokens": array(reference("Token")),
    "NewToken": obj({**_TOKEN, "secret": TEXT}),
    "Caller": obj(
        {
            "admin": TEXT,
            "is_global_admin": _YES_OR_NO,
            "token": {"anyOf": [reference("Token"), {"type": "null"}]},
            "scopes": TEXTS,
            "domains": {"type": ["array", "null"], "items": TEXT},
            "limits": OBJECT,
        }
    ),
    "Throttle": {
        "description": "A throttle; nothing: none is set.",
        **obj(
            {
                "account": TEXT,
                "kind": word("inbound", "outbound"),
                "priority": _NUMBER,
                "period": {**_NUMBER, "description": "Seconds."},
                "msg_size": {**_NUMBER, "description": "Bytes of a mail."},
                "max_msgs": _NUMBER,
                "max_quota": {**_NUMBER, "description": "Bytes of all mails."},
                "max_rcpts": _NUMBER,
            },
            required=(),
        ),
    },
    "Greylisting": {
        "description": "A greylisting setting; nothing: none is set.",
        **obj(
            {
                "account": TEXT,
                "active": {"type": "integer", "enum": [0, 1]},
                "status": word("enable", "disable"),
            },
            required=(),
        ),
    },
    "GreylistingSettings": array(
        obj({"account": TEXT, "sender": TEXT, "active": _NUMBER, "priority": _NUMBER})
    ),
    "SpamPolicy": {
        "description": "A spam policy; what a wider one decides is left out.",
        **obj({row.name: _of_policy(row) for row in spam_policy.SET}, required=()),
    },
    "Job": obj(
        {
            "id": TEXT,
            "status": word("queued", "running", "done", "failed"),
            "node": ANY_TEXT,
            "done": COUNT,
            "total": _ANY_NUMBER,
            "failures": COUNT,
            "code": ANY_TEXT,
            "report": {"type": ["object", "null"]},
            "changes": {"type": ["array", "null"], "items": TEXT},
            "created": TIME,
            "finished": {**TIME, "type": ["string", "null"]},
        },
        required=("id", "status", "done", "total", "failures", "created", "finished"),
    ),
    "Jobs": array(reference("Job")),
    "MailFlow": obj(
        {
            "address": TEXT,
            "accepted": _YES_OR_NO,
            "alias_of": ANY_TEXT,
            "steps": array(
                obj(
                    {
                        "address": TEXT,
                        "by": TEXT,
                        "account": TEXT,
                        "to": TEXTS,
                        "keeps_copy": _YES_OR_NO,
                    },
                    required=(),
                )
            ),
            "ends": array(obj({"address": TEXT, "kind": TEXT, "why": TEXTS}, required=())),
            "loops": array(TEXTS),
            "cut_off": _YES_OR_NO,
            "copies": _COPIES,
            "sent_mail": obj({"copies": _COPIES, "relay": _COPIES}, required=()),
        },
        required=(),
    ),
    "References": obj(
        {
            "deletion": OBJECT,
            "rename": {"type": ["object", "null"]},
            "references": array(
                obj(
                    {
                        "dn": TEXT,
                        "attribute": ANY_TEXT,
                        "value": ANY_TEXT,
                        "on_deletion": ANY_TEXT,
                        "on_rename": ANY_TEXT,
                    },
                    required=(),
                )
            ),
            "left_out": COUNT,
            "in_other_domains": COUNT,
            "rows": mapping(COUNT),
        },
        required=("deletion", "references", "left_out", "in_other_domains", "rows"),
    ),
    "Restore": {
        "description": "What a restore has done, or would do: counts of entries, and findings by"
        " line.",
        **obj(
            {
                "ok": _YES_OR_NO,
                **dict.fromkeys(("added", "changed", "equal", "missing", "differ"), COUNT),
                **dict.fromkeys(("entries", "add", "change", "passed", "installation"), COUNT),
                **dict.fromkeys(("refused", "warnings", "differences", "shared"), array(OBJECT)),
                **dict.fromkeys(("refused_count", "warning_count"), COUNT),
                "sha256": TEXT,
                "suffix": TEXT,
                "left_out": TEXTS,
                "omitted": mapping(COUNT),
            },
            required=("ok", "equal", "differ", "differences"),
        ),
    },
    "Import": {
        "description": "What became of the rows of a file.",
        **obj(
            {
                "dry_run": _YES_OR_NO,
                "rows": COUNT,
                "preset": ANY_TEXT,
                "columns_left_out": TEXTS,
                **dict.fromkeys(_ROW_RESULTS, COUNT),
                **dict.fromkeys(("refusals", "differences", "ignored_values"), array(OBJECT)),
                "rejected": {**TEXT, "description": "The refused rows, as a CSV file."},
            }
        ),
    },
    "Apply": {
        "description": "What became of the lines of a state.",
        **obj(
            {
                "dry_run": _YES_OR_NO,
                "lines": COUNT,
                "changes": COUNT,
                **dict.fromkeys(_STATE_RESULTS, COUNT),
                "refusals": array(OBJECT),
                "changed": array(OBJECT),
                "changed_left_out": COUNT,
                "pruning_left_out": _YES_OR_NO,
            }
        ),
    },
    "Undo": obj({"left_alone": _LEFT_ALONE}),
    "DryRun": {
        "description": "What a change would do; nothing has been changed.",
        **obj(
            {
                "judged_by": {"type": ["string", "null"], "enum": ["directory", "schema", None]},
                "steps": TEXTS,
                "ldif": {**TEXT, "description": "LDIF change records, secrets redacted."},
                "records": COUNT,
                "records_left_out": COUNT,
                "sweeps": array(obj({"step": TEXT, "entries": COUNT}, required=())),
                "outside": array(
                    obj(
                        {
                            "step": TEXT,
                            "rows": {
                                "type": ["array", "null"],
                                "items": OBJECT,
                                "description": "What it would change, as `touched` of changes has"
                                " it; null: the database could not take a trial back.",
                            },
                            "rows_left_out": COUNT,
                        },
                        required=(),
                    )
                ),
                "rechecks": TEXTS,
                "ignored_values": TEXTS,
                "unplaced": array(obj({"parameter": TEXT, "attribute": TEXT}, required=())),
                "shared_with": TEXTS,
                "kept_members": TEXTS,
                "left_alone": _LEFT_ALONE,
            },
            required=("judged_by", "steps", "ldif", "records", "records_left_out"),
        ),
    },
    "Change": _CHANGE,
    "Changes": array(reference("Change")),
    "Promise": obj({"job": {**TEXT, "description": "Id of the job."}}),
}
"""Schemas of data, by the shapes that rows name; a listing may have `Names` in its place."""

# Without `const`: clients in PHP compare it with the text "true".
_FINE: Mapping[str, Any] = {"type": "boolean", "description": "true"}

ENVELOPES: Mapping[str, Mapping[str, Any]] = {
    "Success": obj({"_success": _FINE}),
    "Changed": obj(
        {
            "_success": _FINE,
            "_data": {**reference("DryRun"), "description": "Of a dry run what it would do."},
        },
        required=("_success",),
    ),
    "Checked": {
        "description": "A password is right, or it is not.",
        **obj({"_success": _YES_OR_NO, "_msg": TEXT}, required=("_success",)),
    },
    "Failure": obj(
        {
            "_success": {"type": "boolean", "description": "false"},
            "_msg": {"type": "string", "description": "A code, or several joined by commas."},
            "_data": {"type": "object", "description": "What was and was not done."},
        },
        required=("_success", "_msg"),
    ),
}
"""Schemas of answers whose data have no shape that a row could name."""


def envelope(shape: str) -> dict[str, Any]:
    """Return the schema of an answer with data of a shape."""
    return obj({"_success": _FINE, "_data": reference(shape)})
