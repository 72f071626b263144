"""The generations of iRedMail's schema, and what each of them lacks.

An installation keeps the schema that it was made with until its admin replaces it, so a directory
of today may have that of 2016. Which one a server has is found from the attributes of its classes.

Source: the differences between iRedMail's releases 0.9.0 to 1.8.5, in our own words.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from iredldap.dit.schema import Schema

USER, LIST, ALIAS = ("mailUser",), ("mailList",), ("mailAlias",)
EXTERNALS, DOMAIN, ADMIN = ("mailExternalUser",), ("mailDomain",), ("mailAdmin",)


@dataclass(frozen=True, slots=True)
class Generation:
    """Releases with one schema, as it differs from the one before.

    `gains` and `loses` are attributes by the class that holds them from here on, or no longer;
    `defines` and `drops` those that the schema knows at all from here on, or no longer. A class
    may name what is defined before it, and a schema may define what none of its classes holds.
    """

    first: str
    last: str
    since: str
    gains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    loses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defines: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()

    @property
    def releases(self) -> str:
        return self.first if self.first == self.last else f"{self.first} to {self.last}"


# Found by comparing the schema files of all releases; only what changed between two of them is
# here. Dates are those of the first release.
GENERATIONS = (
    Generation(
        "0.9.0",
        "0.9.4",
        "2014-12",
        gains={
            "mailDomain": ("domainStatus",),
            "mailAdmin": ("lastLoginDate",),
            "mailUser": ("lastLoginDate", "lastLoginIP", "lastLoginProtocol"),
        },
        defines=("domainStatus", "lastLoginDate", "lastLoginIP", "lastLoginProtocol"),
    ),
    Generation(
        "0.9.5",
        "0.9.5-1",
        "2016-05",
        gains={"mailDomain": ("senderRelayHost",), "mailUser": ("senderRelayHost",)},
        defines=("senderRelayHost",),
    ),
    Generation(
        "0.9.6",
        "0.9.6",
        "2017-01",
        gains={
            "mailDomain": ("domainPendingAliasName",),
            "mailUser": ("domainStatus",),
            "mailList": ("domainStatus",),
            "mailAlias": ("domainStatus",),
            "mailExternalUser": ("domainStatus",),
        },
        # Until then the class of domains alone held it, so the schema of 0.9.5 knows the attribute
        # and allows it to no account.
        loses={"mailDomain": ("domainStatus",)},
        defines=("domainPendingAliasName",),
    ),
    Generation("0.9.7", "0.9.7", "2017-06", defines=("listModerator",)),
    Generation(
        "0.9.8-beta1",
        "0.9.8-beta1",
        "2018-02",
        gains={
            "mailUser": ("maxMessageSize",),
            "mailList": (
                "mailingListID", "maxMessageSize", "member", "mtaTransport", "uniqueMember",
            ),
        },
        defines=("mailingListID", "maxMessageSize"),
    ),
    Generation(
        "0.9.9",
        "1.3.2",
        "2018-12",
        gains={"mailUser": ("mailboxFolder", "mailboxFormat")},
        defines=("mailboxFolder", "mailboxFormat"),
    ),
    Generation(
        "1.4.0",
        "1.4.1",
        "2021-05",
        gains={"mailList": ("listModerator", "listOwner")},
        defines=("listOwner",),
    ),
    Generation(
        "1.4.2",
        "1.7.1",
        "2021-09",
        loses={
            "mailAdmin": ("lastLoginDate",),
            "mailUser": ("lastLoginDate", "lastLoginIP", "lastLoginProtocol"),
        },
        drops=("lastLoginDate", "lastLoginIP", "lastLoginProtocol"),
    ),
    Generation("1.7.2", "1.7.2", "2025-01", gains={"mailAlias": ("accessPolicy", "listModerator")}),
    Generation(
        "1.7.3",
        "1.8.5",
        "2025-04",
        gains={"mailUser": ("birthday", "recoveryEmail")},
        defines=("birthday", "recoveryEmail"),
    ),
)  # fmt: skip
"""All of them, the oldest first. What all have in common is in none of them."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a schema has of all that changed from release to release.

    `held` are pairs of a class and an attribute, `defined` attributes, all in lower case.
    """

    held: frozenset[tuple[str, str]]
    defined: frozenset[str]


def extent(generation: Generation) -> Extent:
    """Return the attributes of a generation's schema, by class."""
    held = set[tuple[str, str]]()
    defined = set[str]()
    for each in GENERATIONS:
        held = held - _pairs(each.loses) | _pairs(each.gains)
        defined = defined - _lowered(each.drops) | _lowered(each.defines)
        if each is generation:
            break
    return Extent(frozenset(held), frozenset(defined))


def _pairs(attributes: Mapping[str, tuple[str, ...]]) -> set[tuple[str, str]]:
    return {(c.lower(), name.lower()) for c, names in attributes.items() for name in names}


def _lowered(names: tuple[str, ...]) -> set[str]:
    return {name.lower() for name in names}


TODAY = extent(GENERATIONS[-1])

# Only what has ever changed is asked of a schema: the rest says nothing about the release.
_EVER_HELD = frozenset(pair for each in GENERATIONS for pair in _pairs(each.gains))
_EVER_DEFINED = frozenset(name for each in GENERATIONS for name in _lowered(each.defines))


# A schema is read anew each five minutes and is nearly always the same one; eight are more than the
# servers of an installation.
@lru_cache(maxsize=8)
def _found(schema: Schema) -> Extent:
    return Extent(
        frozenset(pair for pair in _EVER_HELD if schema.holds(pair[:1], pair[1])),
        frozenset(name for name in _EVER_DEFINED if schema.attribute(name)),
    )


@lru_cache(maxsize=8)
def of(schema: Schema) -> Generation | None:
    """Find the releases that have the schema of a server; None: it is none of theirs.

    A schema may have more, of other programs.
    """
    found = _found(schema)
    return next((each for each in GENERATIONS if extent(each) == found), None)


@lru_cache(maxsize=8)
def lacking(schema: Schema) -> frozenset[str]:
    """Return the attributes, in lower case, of today's iRedMail that no class of a schema holds."""
    return frozenset(attribute for _, attribute in TODAY.held - _found(schema).held)


@dataclass(frozen=True, slots=True)
class Want:
    """What a schema lacks, and what then does not work, or works otherwise.

    `covers` is another one that adds nothing where this one applies.
    """

    attribute: str
    classes: tuple[str, ...]
    effect: str
    covers: str = ""


WANTS = (
    Want(
        "senderRelayHost",
        DOMAIN,
        "outboundRelay of a domain is refused",
    ),
    Want(
        "domainStatus",
        (*USER, *LIST, *ALIAS, *EXTERNALS),
        "a disabled domain is off by its own entry alone, and its accounts are not marked",
    ),
    Want(
        "domainPendingAliasName",
        DOMAIN,
        "an alias domain is not claimed before its accounts get their names",
    ),
    Want(
        "member",
        LIST,
        "lists do not name members by DN, which SOGo's groups need, but mail reaches them",
    ),
    Want(
        "mtaTransport",
        LIST,
        "there are no subscribable lists: creating one is refused",
        covers="listOwner",
    ),
    Want(
        "mailboxFormat",
        USER,
        "mailboxFormat and mailboxFolder of users are refused, and Dovecot's own are in effect",
    ),
    Want(
        "listOwner",
        LIST,
        "owners and moderators of subscribable lists are in mlmmj's files alone",
    ),
    Want(
        "accessPolicy",
        ALIAS,
        "accessPolicy of an alias is ignored",
    ),
)  # fmt: skip
"""In the order of the releases that brought them; what we never write is in none of them."""


def wants(schema: Schema) -> tuple[Want, ...]:
    """Return the functions that a server's schema lacks attributes for."""
    return _uncovered(want for want in WANTS if not _has(schema, want))


def wants_of(generation: Generation) -> tuple[Want, ...]:
    """Return the functions that a generation's schema lacks attributes for."""
    held = extent(generation).held
    return _uncovered(
        want
        for want in WANTS
        if any((c.lower(), want.attribute.lower()) not in held for c in want.classes)
    )


def _uncovered(found: Iterable[Want]) -> tuple[Want, ...]:
    wants = tuple(found)
    covered = {want.covers for want in wants}
    return tuple(want for want in wants if want.attribute not in covered)


def _has(schema: Schema, want: Want) -> bool:
    return all(schema.holds((name,), want.attribute) for name in want.classes)


def description(schema: Schema) -> str:
    """Describe the generation of a server's schema in a few words, for logs and reports."""
    found = of(schema)
    if found:
        return f"as iRedMail {found.releases} has it"
    return "as no release of iRedMail has it"


def marks_accounts(schema: Schema) -> bool:
    """Return whether the accounts of a disabled domain have a mark of their own."""
    # All kinds or none: a mark on some of a domain's accounts would be taken for the status of all.
    return all(schema.holds((name,), "domainStatus") for name in (*USER, *LIST, *ALIAS, *EXTERNALS))


def knows_leaders(schema: Schema) -> bool:
    """Return whether the entry of a list names its owners and moderators."""
    return all(schema.holds(LIST, name) for name in ("listOwner", "listModerator"))
