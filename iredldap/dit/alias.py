"""Rows of a mail alias, and a newly made one.

Source: REST API reference, "Create a mail alias" and "Update a mail alias"; iRedMail's directory,
mail alias.
"""

from collections.abc import Iterable

from iredldap.dit import kinds, maillist
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.fields import Field, FieldChange, StoredAttribute, Table, list_rows
from iredldap.dit.modlist import new_attributes

MEMBERS = "mailForwardingAddress"
"""The attribute that holds the members."""

_POLICY = maillist.POLICY.but(
    meaning="Who may post to the alias; heeded by no iRedMail with LDAP. Ignored where the"
    " directory's schema has no place for it, as before iRedMail 1.7.2; else stored.",
    default=None,
    spared=True,
)
_MEMBERS = Field(
    name="members",
    stored_as=StoredAttribute(MEMBERS, many=True),
    kind=kinds.ADDRESSES,
    meaning="Addresses that the alias expands to; an unknown one in its own domain is ignored.",
)

CREATE: Table = (maillist.NAME, _POLICY, _MEMBERS)

UPDATE: Table = (
    maillist.NAME.but(empty="none"),
    _POLICY,
    Field(
        name="accountStatus",
        stored_as=StoredAttribute("accountStatus"),
        kind=kinds.STATUS,
        meaning="Switches the alias on (active) or off (disabled).",
        era="later",
    ),
    *list_rows(
        _MEMBERS.but(meaning="All members.", empty="removes all"),
        "Member",
        "Members to add.",
        "Members to remove.",
    ),
)


def new(
    mail: str, changes: Iterable[FieldChange], shadows: Iterable[str], *, is_marked: bool
) -> dict[str, tuple[bytes, ...]]:
    """Make the attributes of a new alias.

    Args:
        mail: Address.
        changes: What was asked for.
        shadows: Its names in alias domains.
        is_marked: Whether the domain is disabled.
    """
    attributes: dict[str, tuple[str, ...]] = {
        "objectClass": ("mailAlias",),
        "mail": (mail,),
        "accountStatus": ("active",),
        "enabledService": ("mail", "deliver"),
        "shadowAddress": tuple(shadows),
        "domainStatus": ("disabled",) if is_marked else (),
        **new_attributes(changes),
    }
    return {name: encoded(values) for name, values in attributes.items() if values}


def addresses(entry: Entry) -> set[str]:
    """Return all addresses of an alias, in lower case."""
    return entry.lowered("mail") | entry.lowered("shadowAddress")
