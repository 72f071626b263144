"""Name the choices that more than one parameter has, so that clients get one type for each."""

from collections.abc import Mapping
from typing import Any

from iredldap.dit import admin, domain, greylisting, kinds, subscribable, token_scopes
from iredldap.dit.fields import Table
from iredldap.web.openapi.parts import reference, word

STRICTLY = "handling=strict"
LATER = "respond-async"


def _of_row(table: Table, name: str) -> tuple[str, ...]:
    return next(row.kind.choices for row in table if row.name == name)


_NAMES: Mapping[tuple[str, ...], str] = {
    ("yes", "no"): "YesNo",
    kinds.LANGUAGES: "Language",
    (*kinds.LANGUAGES, ""): "LanguageOrNone",
    kinds.STATUS.choices: "AccountStatus",
    kinds.MAILBOX_FORMAT.choices: "MailboxFormat",
    kinds.POLICY.choices: "AccessPolicy",
    subscribable.POLICY.kind.choices: "ListAccessPolicy",
    subscribable.SUBSCRIPTION.kind.choices: "Subscription",
    _of_row(domain.UPDATE, "disableDomainProfile"): "DomainProfile",
    _of_row(domain.UPDATE, "disableUserProfile"): "UserProfile",
    _of_row(domain.UPDATE, "disableUserPreference"): "UserPreference",
    _of_row(admin.UPDATE, "quotaUnit"): "QuotaUnit",
    _of_row(greylisting.SET, "status"): "GreylistingStatus",
    token_scopes.SCOPES: "Scope",
    (STRICTLY,): "PreferStrict",
    (LATER,): "PreferAsync",
    (STRICTLY, LATER, f"{STRICTLY}, {LATER}"): "Prefer",
}

CHOICES: Mapping[str, Mapping[str, Any]] = {name: word(*words) for words, name in _NAMES.items()}
"""Schemas of choices, by name."""


def with_names(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of a value with a reference in the place of choices that have a name."""
    if "items" in schema:
        return {**schema, "items": with_names(schema["items"])}
    name = _NAMES.get(tuple(schema.get("enum", ())))
    if name is None:
        return {**schema}
    rest = {key: value for key, value in schema.items() if key not in {"type", "enum"}}
    return {**rest, **reference(name)}
