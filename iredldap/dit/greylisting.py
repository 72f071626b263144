"""Rows of greylisting: who defers unknown senders at first, and which senders are exempt.

A recipient without a setting has that of the domain, then that of everybody; without any
there is no greylisting.

Source: REST API reference, "Greylisting"; iRedMail's SQL databases, `greylisting`.
"""

from collections.abc import Mapping
from typing import Any

from iredldap.dit import kinds
from iredldap.dit.fields import Column, Field, Parsed, Table, list_rows

SET: Table = (
    Field(
        name="status",
        stored_as=Column("greylisting", "active"),
        kind=kinds.choice("enable", "disable"),
        meaning="Whether senders are greylisted.",
        required=True,
        era="later",
    ),
)

_ALL, _MORE, _LESS = list_rows(
    Field(
        name="senders",
        stored_as=Column("greylisting_whitelists", "sender"),
        kind=kinds.GREYLISTING_SENDERS,
        meaning="All senders that are exempt: IP addresses, networks from /8 on (/16 of version 6),"
        " mail addresses, `@domain`, `@.domain` (with what is below) or `@.` (everybody).",
        empty="removes all",
        era="later",
    ),
    "Senders",
    "Senders to exempt.",
    "Senders to exempt no longer, as they are stored.",
)

WHITELISTS: Table = (_ALL, _MORE, _LESS.but(kind=kinds.GREYLISTING_DEPARTING))

SPF_DOMAINS: Table = list_rows(
    Field(
        name="domains",
        stored_as=Column("greylisting_whitelist_domains", "domain"),
        kind=kinds.DOMAINS,
        meaning="All domains of which the hosts named in SPF and MX records are exempt.",
        empty="removes all",
        era="later",
    ),
    "Domains",
    "Domains to add.",
    "Domains to remove.",
)


def active(parsed: Parsed) -> int:
    """Return the column of the setting: 1 or 0."""
    return int(parsed.value("status") == "enable")


def show(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `greylisting` as an answer; nothing for none."""
    if not row:
        return {}
    is_active = int(row["active"])
    status = "enable" if is_active else "disable"
    return {"account": row["account"], "active": is_active, "status": status}
