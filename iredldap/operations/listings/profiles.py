"""Choose what is shown of each entry in a listing, and request only that of the directory."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from iredldap.dit.entry import Entry
from iredldap.dit.fields import show
from iredldap.dit.plan import Query
from iredldap.dit.schema import Schema
from iredldap.dit.views.params import ID, LEFT_OUT, ParamsKind
from iredldap.errors import InvalidParameter
from iredldap.gateways.directory import Directory
from iredldap.operations.login import Caller

Profile = dict[str, Any]
Profiles = Mapping[str, Profile]
"""Profiles by their keys."""


@dataclass(frozen=True)
class ListedKind:
    """A kind of entry that is listed.

    Args:
        query: Returns the search for it; for accounts, below the DN of a domain.
        profile: Returns what a read of one shows, without `usage` and the hidden attributes.
        computed: Keys of a profile that are no attributes, and the attributes they come from.
        has_usage: Whether what Dovecot wrote is shown as well.
        key: Attribute that has the name or address.
        params: The kind whose parameters a view shows.
        searched: Attributes that a search looks into.
    """

    query: Callable[[Directory, Caller, str], Query]
    profile: Callable[[Entry, tuple[str, ...]], Profile] = show
    computed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    has_usage: bool = False
    key: str = "mail"
    params: ParamsKind = field(kw_only=True)
    searched: tuple[str, ...] = ("mail", "cn", "shadowAddress")


@dataclass(frozen=True)
class AttributeChoice:
    """Which parts of a profile are shown.

    Args:
        attributes: What to request of the directory.
        keys: Keys of a profile, in lower case; None: all.
        ignored: Names that were sent and are no attributes.
        params: The kind with the parameters that a view shows.
    """

    attributes: tuple[str, ...] = ("*",)
    keys: frozenset[str] | None = None
    ignored: tuple[str, ...] = ()
    params: ParamsKind | None = None

    def of(self, profile: Profile) -> Profile:
        """Reduce a profile to the parts that are shown."""
        if self.keys is None:
            return profile
        return {k: v for k, v in profile.items() if k.partition(";")[0].lower() in self.keys}

    def has(self, keys: Iterable[str]) -> bool:
        """Return whether any of some keys is shown."""
        return self.keys is None or not self.keys.isdisjoint(keys)


def choose_attributes(
    directory: Directory, listed: ListedKind, words: Iterable[str], hidden: Iterable[str]
) -> AttributeChoice:
    """Choose what is shown of each profile.

    Args:
        directory: Knows the names of attributes.
        listed: The kind of entry.
        words: Names of attributes or computed keys, in any letter case; none: everything.
        hidden: Attributes that no answer shows.

    Raises:
        InvalidParameter: If none of the names is an attribute.
        ServerDown: If the directory does not answer.
    """
    sent = tuple(words)
    if not sent:
        return AttributeChoice()
    schema = directory.schema()
    withheld = {name.lower() for name in hidden}
    read = {word: _spelled(schema, listed, word) for word in sent}
    known = {w: s for w, s in read.items() if s is not None and s.lower() not in withheld}
    if not known:
        raise InvalidParameter(f"no attribute in {', '.join(sent)[:80]!r}", parameter="fields")
    asked = {name for key in known.values() for name in listed.computed.get(key, (key,))}
    return AttributeChoice(
        # None at all would be a request for all of them.
        tuple(sorted(asked)) or ("1.1",),
        frozenset(key.lower() for key in known.values()),
        tuple(word for word in sent if word not in known),
    )


def choose_params(kind: ParamsKind, words: Iterable[str]) -> AttributeChoice:
    """Choose which parameters a view of each entry shows.

    Args:
        kind: Of the entries.
        words: Names of parameters, in any letter case; none: all.

    Raises:
        InvalidParameter: If none of the names is a parameter.
    """
    sent = tuple(words)
    known = {row.name.lower() for row in kind.rows}
    chosen = {word.lower() for word in sent} & known
    if sent and not chosen:
        raise InvalidParameter(f"no parameter in {', '.join(sent)[:80]!r}", parameter="fields")
    ignored = tuple(word for word in sent if word.lower() not in known)
    if not sent:
        return AttributeChoice(kind.attributes, ignored=ignored, params=kind)
    reduced = kind.only({row.name for row in kind.rows if row.name.lower() in chosen})
    keys = frozenset({*chosen, kind.key, ID, LEFT_OUT})
    return AttributeChoice(reduced.attributes, keys, ignored, reduced)


def _spelled(schema: Schema, listed: ListedKind, word: str) -> str | None:
    """Return a key in the spelling of profiles; None: no profile has it."""
    if word.lower() in listed.computed:
        return word.lower()
    # Operational attributes are not among the profiles of single reads either.
    return None if schema.is_operational(word) else schema.spelled(word)
