"""Describe views as JSON schemas, by the names that the document of the API uses."""

from collections.abc import Mapping
from typing import Any

from iredldap.dit import field_schemas, greylisting, spam_policy, throttle, wblist
from iredldap.dit.fields import Table, Verb
from iredldap.dit.views.kinds import KINDS
from iredldap.dit.views.params import ID, LEFT_OUT

_TEXT: Mapping[str, Any] = {"type": "string"}
_LEFT_OUT: Mapping[str, Any] = {
    "type": "array",
    "items": _TEXT,
    "description": "Parameters that are stored in a form that no request could send.",
}

_NAMES: Mapping[str, str] = {
    "domain": "DomainParams",
    "user": "UserParams",
    "alias": "AliasParams",
    "maillist": "MaillistParams",
    "ml": "SubscribableListParams",
    "admin": "AdminParams",
    "throttle": "ThrottleParams",
    "greylisting": "GreylistingParams",
    "greylisting_senders": "GreylistingSendersParams",
    "greylisting_domains": "GreylistingDomainsParams",
    "wblist": "WblistParams",
    "spampolicy": "SpamPolicyParams",
}

_POLICIES: Mapping[str, Table] = {
    "throttle": throttle.SET,
    "greylisting": greylisting.SET,
    "greylisting_senders": greylisting.WHITELISTS,
    "greylisting_domains": greylisting.SPF_DOMAINS,
    "wblist": wblist.ADDRESSES,
    "spampolicy": spam_policy.SET,
}


def name(view: str) -> str:
    """Return the name of the schema of a view, by `Endpoint.view`."""
    return _NAMES[view]


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of all views, by their names."""
    entries = {
        kind.name: _schema(
            kind.rows,
            {kind.key: _TEXT, ID: {"type": ["string", "null"], "description": _STABLE}},
        )
        for kind in KINDS.values()
    }
    policies = {
        view: _schema(tuple(row for row in table if row.verb is Verb.SET), {})
        for view, table in _POLICIES.items()
    }
    return {_NAMES[view]: schema for view, schema in (entries | policies).items()}


_STABLE = "entryUUID: the same after a rename. No parameter: a request may have it, or not."


def _schema(rows: Table, identity: Mapping[str, Any]) -> dict[str, Any]:
    described = field_schemas.properties(rows)
    properties = {row.name: described[row.name] for row in rows}
    return {
        "type": "object",
        "description": "Parameters as a request sends them.",
        "properties": {**identity, **properties, LEFT_OUT: _LEFT_OUT},
        "required": [*identity],
    }
