"""What a change has done to each entry in all, from the writes that the change log has of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from iredldap.dit import clashes, names
from iredldap.dit.change_log import Sealed, TouchedEntry, Value
from iredldap.dit.matching import EqualityOf

Values = dict[bytes, bytes]
"""Values of an attribute, each by what all of its spellings have in common."""


@dataclass
class AttributeChange:
    """What was done to one attribute: values that are gone since, and values that came.

    `is_unknown`: the log does not say which values were removed. `is_sealed`: it says so under a
    seal that cannot be opened.
    """

    name: str
    removed: Values = field(default_factory=dict)
    added: Values = field(default_factory=dict)
    is_unknown: bool = False
    is_sealed: bool = False

    @property
    def is_none(self) -> bool:
        """Return whether everything is as it was before."""
        return not (self.removed or self.added or self.is_unknown or self.is_sealed)

    def _remove(self, common: bytes, value: bytes) -> None:
        # Added and removed again within the change: nothing to revert.
        if common in self.added:
            del self.added[common]
        else:
            self.removed[common] = value

    def _add(self, common: bytes, value: bytes) -> None:
        # In the same spelling; in another one the attribute has changed all the same.
        if self.removed.get(common) == value:
            del self.removed[common]
        else:
            self.added[common] = value

    def follow(
        self, removed: Iterable[Value] | None, added: Iterable[Value], rule: EqualityOf
    ) -> None:
        """Let a later write follow."""
        self.is_unknown |= removed is None
        for value in self._open(removed or ()):
            self._remove(clashes.normalized_value(self.name, value, rule), value)
        for value in self._open(added):
            self._add(clashes.normalized_value(self.name, value, rule), value)

    def _open(self, values: Iterable[Value]) -> Iterator[bytes]:
        for value in values:
            if isinstance(value, Sealed):
                self.is_sealed = True
            else:
                yield value


@dataclass(eq=False)
class EntryChange:
    """What was done to one entry: its DN before and after; None: there was no entry.

    `state` is the entryCSN that the last write left; empty: it is not known.
    """

    before: str | None
    after: str | None
    uuid: str = ""
    state: str = ""
    attributes: dict[str, AttributeChange] = field(default_factory=dict)

    @property
    def dn(self) -> str:
        """Return the DN by which reports name the entry."""
        return self.after or self.before or ""

    @property
    def is_none(self) -> bool:
        """Return whether the entry is as it was before, or was there for a while only."""
        if self.before is None or self.after is None:
            return self.before == self.after
        stays = names.same_dn(self.before, self.after)
        return stays and all(change.is_none for change in self.attributes.values())


def entry_changes(touched: Iterable[TouchedEntry], equality_of: EqualityOf) -> list[EntryChange]:
    """Return what was done to each entry in all, in the order in which they were touched first.

    Args:
        touched: Writes in their order, with secret values opened.
        equality_of: Returns the rule by which the directory compares values.
    """
    at: dict[str, EntryChange] = {}
    ordered: list[EntryChange] = []
    for write in touched:
        place = _key(write.dn)
        change = at.get(place)
        if change is None:
            change = at[place] = EntryChange(None if write.event == "add" else write.dn, write.dn)
            ordered.append(change)
        _follow(change, write, equality_of)
        # Later writes name the entry by its new DN, and so do those of the entries below it.
        if write.event == "rename":
            _move(at, write.dn, write.new_dn)
    return [change for change in ordered if not change.is_none]


def _follow(change: EntryChange, write: TouchedEntry, equality_of: EqualityOf) -> None:
    match write.event:
        case "add":
            change.after = write.dn
        case "delete":
            change.after = None
        case "rename":
            change.after = write.new_dn
    change.uuid = write.uuid or change.uuid
    change.state = write.after
    for name, values in write.attributes.items():
        attribute = change.attributes.setdefault(name.lower(), AttributeChange(name))
        attribute.follow(values.removed, values.added, equality_of)


def _move(at: dict[str, EntryChange], old: str, new: str) -> None:
    """Have a renamed entry, and those below it, found by their new names."""
    for place, change in [*at.items()]:
        if change.after and names.is_within(place, old):
            del at[place]
            if not names.same_dn(place, old):
                change.after = names.renamed_dn(change.after, old, new)
            at[_key(change.after)] = change


def _key(dn: str) -> str:
    return dn.lower()
