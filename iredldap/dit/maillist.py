"""Rows of an unsubscribable mailing list, a newly made one, and what membership means.

A local member carries every address of the list as `memberOfGroup`; the mail server finds them
by that. External members are values of `mail` on an entry of their own beside the list, which
has the list's further addresses as `shadowAddress`. The list's entry itself takes no part in
that; it names the mail users among its members by DN.

Source: REST API reference, "Create a mailing list" and "Update a mailing list"; iRedMail's
directory, mailing list, external members, membership model.
"""

from collections.abc import Callable, Iterable

from iredldap.dit import kinds, names
from iredldap.dit.entry import Entry, encoded, folded
from iredldap.dit.fields import Elsewhere, Field, FieldChange, StoredAttribute, Table, list_rows
from iredldap.dit.modlist import new_attributes
from iredldap.dit.plan import Mod, Modify, Op

GROUP = "memberOfGroup"
MEMBERS = Elsewhere("memberOfGroup on local users; mailExternalUser entry under ou=Externals")

NAME = Field(
    name="name",
    aliases=("cn",),
    stored_as=StoredAttribute("cn"),
    kind=kinds.TEXT,
    meaning="Display name.",
)
POLICY = Field(
    name="accessPolicy",
    stored_as=StoredAttribute("accessPolicy"),
    kind=kinds.POLICY,
    meaning="Who may post to the list.",
    default="public",
)
_MEMBERS = Field(
    name="members",
    stored_as=MEMBERS,
    kind=kinds.ADDRESSES,
    meaning="Members, local or external; an unknown address in a domain hosted here is ignored.",
)

CREATE: Table = (NAME, POLICY, _MEMBERS)

UPDATE: Table = (
    NAME.but(empty="none"),
    POLICY,
    *list_rows(
        _MEMBERS.but(meaning="All members.", empty="removes all"),
        "Member",
        "Members to add.",
        "Members to remove.",
    ),
)

DELETE: Table = (
    Field(
        name="archive",
        stored_as=Elsewhere("nowhere"),
        kind=kinds.YES_NO,
        meaning="Whether an archive is kept; such a list has none, so it has no effect.",
        default="yes",
        era="later",
    ),
)


def new(
    mail: str,
    changes: Iterable[FieldChange],
    shadows: Iterable[str],
    members: Iterable[Mod],
    *,
    is_marked: bool,
) -> dict[str, tuple[bytes, ...]]:
    """Make the attributes of a new list.

    Args:
        mail: Address.
        changes: What was asked for.
        shadows: Its names in alias domains.
        members: The modifications of `member_dn_mods` for a list without members.
        is_marked: Whether the domain is disabled.
    """
    attributes: dict[str, tuple[str, ...]] = {
        "objectClass": ("mailList",),
        "mail": (mail,),
        "accountStatus": ("active",),
        # Postfix's maps ask for `mail` and `deliver`; the third shows the list in the address book
        # of groupwares.
        "enabledService": ("mail", "deliver", "displayedInGlobalAddressBook"),
        "accessPolicy": ("public",),
        "shadowAddress": tuple(shadows),
        "domainStatus": ("disabled",) if is_marked else (),
        **new_attributes(changes),
    }
    made = {name: encoded(values) for name, values in attributes.items() if values}
    return made | {mod.attribute: mod.values for mod in members}


def new_externals(
    mail: str, shadows: Iterable[str], *, is_marked: bool
) -> dict[str, tuple[bytes, ...]]:
    """Make the attributes of the entry for external members, yet without any."""
    attributes: dict[str, tuple[str, ...]] = {
        "objectClass": ("mailExternalUser",),
        GROUP: (mail,),
        "accountStatus": ("active",),
        "enabledService": ("mail", "deliver"),
        "shadowAddress": tuple(shadows),
        "domainStatus": ("disabled",) if is_marked else (),
    }
    return {name: encoded(values) for name, values in attributes.items() if values}


def other_lists(externals_: Entry, own: Iterable[str]) -> tuple[str, ...]:
    """Return the other lists, beside that of these addresses, of an external members' entry."""
    return tuple(sorted(externals_.lowered(GROUP) - {*own}))


def is_named_by(externals_: Entry, own: Iterable[str]) -> bool:
    """Return whether an entry of external members is named by the list of these addresses."""
    return names.rdn_value(externals_.dn).lower() in own


def without_lists(externals_: Entry, own: Iterable[str]) -> tuple[Mod, ...]:
    """Return the modifications that remove a list from an external members' entry others share."""
    gone = {*own}
    return _deleted(externals_, lambda value: value in gone)


def only_lists(externals_: Entry, own: Iterable[str]) -> tuple[Mod, ...]:
    """Return the modifications that leave an external members' entry to one list alone."""
    kept = {*own}
    return _deleted(externals_, lambda value: value not in kept)


def _deleted(externals_: Entry, is_gone: Callable[[str], bool]) -> tuple[Mod, ...]:
    mods = (
        Mod(Op.DELETE, name, encoded(v for v in externals_.texts(name) if is_gone(folded(v))))
        for name in (GROUP, "shadowAddress")
    )
    return tuple(mod for mod in mods if mod.values)


def copied(
    externals_: Entry, own: Iterable[str], other: str
) -> tuple[str, dict[str, tuple[bytes, ...]]]:
    """Make an entry of external members for another list that shared one with these addresses."""
    kept = {
        name: tuple(externals_.values(name))
        for name in ("mail", "accountStatus", "enabledService", "domainStatus")
    }
    shadows = encoded(v for v in externals_.texts("shadowAddress") if folded(v) not in {*own})
    attributes = {
        "objectClass": (b"mailExternalUser",),
        GROUP: encoded((other,)),
        "shadowAddress": shadows,
        **kept,
    }
    # Beside the first one: the entry may be in the domain of any of its lists.
    dn = names.sibling_dn(externals_.dn, GROUP, other)
    return dn, {name: values for name, values in attributes.items() if values}


def is_maillist(entry: Entry) -> bool:
    """Return whether an entry is a list of this kind; one that mlmmj runs is not."""
    return entry.has("objectClass", "mailList") and not entry.has("enabledService", "mlmmj")


def is_externals(entry: Entry) -> bool:
    return entry.has("objectClass", "mailExternalUser")


def addresses(entry: Entry) -> tuple[str, ...]:
    """Return all addresses of a list, its own first, in lower case."""
    shadows = sorted(entry.lowered("shadowAddress") - entry.lowered("mail"))
    return (*sorted(entry.lowered("mail")), *shadows)


def is_partial_member(member: Entry, addresses_: Iterable[str]) -> bool:
    """Return whether a member does not get the mail for one of the list's addresses."""
    return not member.lowered(GROUP).issuperset(addresses_)


def join(member: Entry, addresses_: Iterable[str]) -> tuple[Modify, ...]:
    """Return the modifications that make an account a member under all addresses of a list."""
    # Value by value: a member of many lists is changed by many requests at once.
    missing = tuple(a for a in addresses_ if a not in member.lowered(GROUP))
    if not missing:
        return ()
    return (Modify(member.dn, (Mod(Op.ADD, GROUP, encoded(missing)),), absent_ok=True),)


def leave(member: Entry, addresses_: Iterable[str]) -> tuple[Modify, ...]:
    """Return the modifications that end an account's membership under all of a list's addresses."""
    gone = set(addresses_)
    values = tuple(v for v in member.texts(GROUP) if folded(v) in gone)
    if not values:
        return ()
    return (Modify(member.dn, (Mod(Op.DELETE, GROUP, encoded(values)),), absent_ok=True),)


def member_dn_mods(entry: Entry, come: Iterable[str], go: Iterable[str]) -> tuple[Mod, ...]:
    """Return the modifications of the DNs of a list's members.

    Args:
        entry: The list.
        come: DNs to add.
        go: DNs to remove, unless they are in `come`.
    """
    # Compared as slapd compares DNs: other tools write them with other spacing and letter case.
    wanted = {names.key(dn): dn for dn in come}
    held = {names.key(dn): dn for dn in entry.texts("member")}
    unwanted = {names.key(dn) for dn in go} - wanted.keys()
    added = tuple(dn for key, dn in wanted.items() if key not in held)
    removed = tuple(dn for key, dn in held.items() if key in unwanted)
    mods = (Mod(Op.DELETE, "member", encoded(removed)), Mod(Op.ADD, "member", encoded(added)))
    return tuple(mod for mod in mods if mod.values)
