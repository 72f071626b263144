"""Determine the kinds of entries, and where in iRedMail's tree each belongs.

Source: iRedMail's directory, "Tree".
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Literal, get_args

from iredldap.dit import mail_names, matching, names
from iredldap.dit.matching import EqualityOf

EntryKind = Literal[
    "domain", "container", "user", "catchall", "admin", "maillist", "alias", "externals", "other"
]
KINDS: tuple[EntryKind, ...] = get_args(EntryKind)
ADDRESSED: frozenset[EntryKind] = frozenset({"user", "catchall", "maillist", "alias"})
"""Kinds whose addresses no other account may have."""

DnParts = Sequence[Sequence[tuple[str, str]]]
"""A DN as `names.components` returns it."""

_CLASSES: tuple[tuple[bytes, EntryKind], ...] = (
    (b"maildomain", "domain"),
    (b"mailuser", "user"),
    (b"maillist", "maillist"),
    (b"mailalias", "alias"),
    (b"mailexternaluser", "externals"),
    (b"mailadmin", "admin"),
    (b"organizationalunit", "container"),
)
_ALIAS_OBJECTS = frozenset({b"alias", b"2.5.6.1"})
_OWN: dict[EntryKind, tuple[str, ...]] = {
    "domain": ("domainname", "domainaliasname"),
    **dict.fromkeys(ADDRESSED, ("mail", "shadowaddress")),
}
_CONTAINERS = frozenset(map(str.lower, names.CONTAINERS))
_ANY = ""
_Step = tuple[str, str]
_DOMAINS: _Step = ("o", "domains")
# Whatever RDN a tool gave the domain, entries in it are where they belong.
_DOMAIN: tuple[_Step, ...] = ((_ANY, _ANY), _DOMAINS)
_LOCATIONS: dict[EntryKind, tuple[_Step, ...]] = {
    "domain": (("domainname", _ANY), _DOMAINS),
    "container": (("ou", _ANY), *_DOMAIN),
    "user": (("mail", _ANY), ("ou", "users"), *_DOMAIN),
    "catchall": (("mail", _ANY), ("ou", "users"), *_DOMAIN),
    "maillist": (("mail", _ANY), ("ou", "groups"), *_DOMAIN),
    "alias": (("mail", _ANY), ("ou", "aliases"), *_DOMAIN),
    "externals": (("memberofgroup", _ANY), ("ou", "externals"), *_DOMAIN),
    "admin": (("mail", _ANY), ("o", "domainadmins")),
}


def entry_kind(dn: str, object_classes: Iterable[bytes]) -> EntryKind:
    """Return the kind of an entry by its classes; a user ``mail=@domain`` is a catch-all."""
    have = {name.lower() for name in object_classes}
    for name, found in _CLASSES:
        if name in have:
            is_catchall = found == "user" and dn[:6].lower() == "mail=@"
            return "catchall" if is_catchall else found
    return "other"


def is_alias(object_classes: Iterable[bytes]) -> bool:
    """Return whether an entry is an alias object, below which no server takes entries.

    Not iRedMail's mail aliases. Source: RFC 4512, section 2.6.
    """
    return not _ALIAS_OBJECTS.isdisjoint(name.lower() for name in object_classes)


def dn_key(parts: DnParts) -> bytes:
    """Return a digest of a DN, the same for each spelling; b"" for the empty DN."""
    return blake2b(repr(parts).encode(), digest_size=16).digest() if parts else b""


def suffix_above(parts: DnParts, entry: EntryKind) -> DnParts | None:
    """Return the suffix above an entry's branch of the tree; None: the entry is misplaced."""
    place = _LOCATIONS.get(entry, ())
    if not place or len(parts) < len(place):
        return None
    for part, (attribute, value) in zip(parts, place, strict=False):
        if attribute == _ANY:
            continue
        ((name, found), *more) = part
        if more or name != attribute or value not in {_ANY, found}:
            return None
    if entry == "container" and parts[0][0][1] not in _CONTAINERS:
        return None
    return parts[len(place) :]


def missing_rdn_attribute(
    parts: DnParts, lowered: Mapping[str, Sequence[bytes]], equality_of: EqualityOf
) -> str | None:
    """Return an attribute of the RDN whose value the entry lacks, or None.

    Args:
        parts: The entry's DN.
        lowered: Its attributes, names in lower case.
        equality_of: Returns how values of an attribute are compared.
    """
    for attribute, value in parts[0]:
        form = value.encode("utf-8", "surrogateescape")
        rule = equality_of(attribute).rule
        own = lowered.get(attribute, ())
        if form not in own and all(
            matching.normalized(rule, one, equality_of) != form for one in own
        ):
            return attribute
    return None


def unique_names(entry: EntryKind, lowered: Mapping[str, Sequence[bytes]]) -> set[str]:
    """Return what no other entry may have: addresses of an account, names of a domain.

    Args:
        entry: Kind of the entry.
        lowered: Its attributes, names in lower case.
    """
    values = (value for attribute in _OWN.get(entry, ()) for value in lowered.get(attribute, ()))
    return set(map(_address, values))


def _address(value: bytes) -> str:
    return matching.normalized("caseIgnoreIA5Match", value).decode("utf-8", "replace")


def foreign_address(
    parts: DnParts, entry: EntryKind, lowered: Mapping[str, Sequence[bytes]]
) -> str | None:
    """Return an account's address that is not of the domain that the account is in, or None.

    Args:
        parts: The entry's DN; the entry is where its kind belongs.
        entry: Its kind.
        lowered: Its attributes, names in lower case.
    """
    if entry not in ADDRESSED and entry != "externals":
        return None
    domain = dict(parts[2]).get("domainname")
    if domain is None:
        return None
    attribute = "memberofgroup" if entry == "externals" else "mail"
    for value in lowered.get(attribute, ()):
        address = _address(value)
        if mail_names.domain_of(address) != domain:
            return address
    return None
