"""Attributes that name accounts by their DNs, and filters for the entries that have them.

Source: the schemas `core`, `cosine`, `inetorgperson` and `dyngroup`; iRedMail's indexes.
"""

import re
from collections.abc import Iterable, Iterator

from iredldap.dit.filters import either, equals, every, present

MEMBER_DNS = ("member", "uniqueMember")
"""Attributes that name members by their DNs; iRedMail has an index for them."""

UNINDEXED = (
    "owner", "roleOccupant", "seeAlso", "manager", "secretary", "documentAuthor", "associatedName",
    "dITRedirect", "aliasedObjectName", "dgIdentity",
)  # fmt: skip
"""The others: iRedMail has no index for them."""

ACCOUNT_DNS = (*MEMBER_DNS, *UNINDEXED)
"""All attributes of the standard schemas that can name accounts by their DNs."""

# The standard classes that allow any of `UNINDEXED`, but for those that accounts and containers
# have, which are many.
# Classes of which a directory has few entries; `objectClass` is indexed, so these are found at
# once.
_FEW = (
    "groupOfNames", "groupOfUniqueNames", "groupOfURLs", "organizationalRole", "organization",
    "locality", "device", "applicationProcess", "document", "documentSeries", "room", "domain",
    "alias",
)  # fmt: skip

_MOST_TERMS = 100
"""DNs that one filter names."""

_UID = re.compile(r"#'[01]*'B\Z")
"""What a value of `uniqueMember` may have behind its DN (RFC 4517, Name and Optional UID)."""


def split_uid(value: str) -> tuple[str, str]:
    """Split a value into its DN and the unique identifier behind that, which is mostly empty."""
    found = _UID.search(value) if value.endswith("'B") else None
    return (value[: found.start()], found[0]) if found else (value, "")


def terms(attributes: Iterable[str], dns: Iterable[str]) -> Iterator[str]:
    """Return filter terms for attributes that have any of some DNs."""
    wanted = dict.fromkeys(dns)
    if len(wanted) > _MOST_TERMS:
        # LDAP has no substring match for DNs: every value is read.
        return (present(name) for name in attributes)
    return (equals(name, dn) for dn in wanted for name in attributes)


def outside_persons(dns: Iterable[str]) -> Iterator[str]:
    """Return filter terms for members, and for groups, roles and the like that name some DNs.

    Without an index slapd would look at every entry: what persons say is found by `terms` with
    `UNINDEXED` below a domain.
    """
    named = [*dns]
    # slapd intersects the candidates of both terms: tied to the few classes, an attribute without
    # an index costs these entries and not all.
    few = either(*(equals("objectClass", name) for name in _FEW))
    yield from terms(MEMBER_DNS, named)
    yield every(few, either(*terms(UNINDEXED, named)))
