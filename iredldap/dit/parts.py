"""Divide a search that exceeds the directory's size limit into searches that do not.

slapd returns no more entries than `sizelimit` to anyone but its rootdn, with paging or without.
The entries that it sends before it stops are used. The rest is searched for container by container
and, where one holds too many, by ranges of ``entryUUID``: every entry has one, it never changes and
it can be ordered, which addresses in iRedMail's schema cannot be. A range that holds too many is
divided at one of the entries that arrived, so each search leaves fewer.

Who is there all the time, under the same name, is found exactly once, as in a single search.

Source: `docs/decisions/0034-size-limits.md`; RFC 4530 (entryUUID).
"""

from array import array
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from iredldap.directory_errors import ExceededLdapServerSizelimit
from iredldap.dit import filters
from iredldap.dit.depth import Scope
from iredldap.errors import NoSuchAccount

UUID_NAME = "entryUUID"
"""Attribute by which a search is divided."""

MOST_ENTRIES = 2**31 - 1
"""What a search asks for: as many as its sender may have by the hard limit. Asking for no limit
applies the soft one only. Source: limits_check() of OpenLDAP 2.4 to 2.6, tried."""

_LAST = 2**128 - 1
_NO_UUID = filters.negated(filters.present(UUID_NAME))
_HAS_CHILDREN = filters.equals("hasSubordinates", "TRUE")

T = TypeVar("T")


class SubSearch(NamedTuple):
    """A search: where, how deep, and what an entry must be like."""

    base: str
    scope: Scope
    filter: str


class FoundEntry(NamedTuple, Generic[T]):
    """An entry that a part has found.

    Args:
        dn: As the directory writes it.
        mark: Hash of the DN, made of it as those in `hashes`.
        uuid: As the directory writes it; None if it has none.
        item: What is wanted of it.
    """

    dn: str
    mark: int
    uuid: str | None
    item: T


Search = Callable[[SubSearch], Generator[FoundEntry[T], None, None]]
"""Searches, and asks for `UUID_NAME` besides. Raises `ExceededLdapServerSizelimit` behind what
came, and `NoSuchAccount` if the base is not there."""


def without_uuid(part: SubSearch) -> SubSearch:
    """Narrow a search to entries without entryUUID, which no range finds."""
    return part._replace(filter=filters.every(part.filter, _NO_UUID))


def hashes() -> "array[int]":
    """Make an array for the hashes of the DNs that arrive: eight bytes each, cheap to append to."""
    return array("q")


def rest(part: SubSearch, seen: Iterable[int], search: Search[T]) -> Generator[T, None, None]:
    """Find the remaining entries of a search that the directory has stopped at its limit.

    Args:
        part: What was searched for.
        seen: Hashes of the DNs that have arrived.
        search: How to search.

    Raises:
        ExceededLdapServerSizelimit: If there is no `UUID_NAME` to go by, or the limit is 0.
        NoSuchAccount: If the base is there no longer.
    """
    return _Cut(search, {*seen}).below(part)


@dataclass
class _Cut(Generic[T]):
    """One search in parts.

    `seen` are entries that have come and will come again: those of parts that were broken off, and
    containers, which are found with what is around them and with what is in them.
    """

    search: Search[T]
    seen: set[int]

    def below(self, part: SubSearch) -> Generator[T, None, None]:
        """Yield the new entries of a search that was stopped at the limit."""
        match part.scope:
            case Scope.SUBTREE:
                yield from self._containers(part)
            case Scope.ONE:
                yield from self._ranges(part)
            case Scope.BASE:
                raise ExceededLdapServerSizelimit(f"{part.base}: the directory returns nothing")

    def _containers(self, part: SubSearch) -> Generator[T, None, None]:
        # They may themselves exceed the limit. A container added later than this list is new, and
        # what is below it is not looked for.
        children = [*_Cut(self._names, set()).whole(SubSearch(part.base, Scope.ONE, _HAS_CHILDREN))]
        yield from self.whole(part._replace(scope=Scope.BASE))
        yield from self.whole(part._replace(scope=Scope.ONE))
        self.seen.update(mark for _, mark in children)
        for child, _ in children:
            try:
                yield from self.whole(part._replace(base=child))
            except NoSuchAccount:
                # It has gone, with all that was below it.
                continue

    def _names(self, part: SubSearch) -> Generator[FoundEntry[tuple[str, int]], None, None]:
        with closing(self.search(part)) as found:
            for dn, mark, uuid, _ in found:
                yield FoundEntry(dn, mark, uuid, (dn, mark))

    def whole(self, part: SubSearch) -> Generator[T, None, None]:
        """Yield all new entries of a search."""
        if not (yield from self._is_all(part, [])):
            yield from self.below(part)

    def _ranges(self, part: SubSearch) -> Generator[T, None, None]:
        waiting = [(0, _LAST)]
        while waiting:
            first, last = waiting.pop()
            if first > last:
                continue
            uuids: list[int] = []
            if (yield from self._is_all(_range(part, first, last), uuids)):
                continue
            # With a server that ignores the bounds the loop would never end.
            uuids = [uuid for uuid in uuids if first <= uuid <= last]
            if not uuids:
                raise ExceededLdapServerSizelimit(f"{part.base}: no {UUID_NAME} to divide it by")
            cut = _cut(uuids)
            waiting += [(cut + 1, last), (first, cut - 1)]
        if not (yield from self._is_all(without_uuid(part), [])):
            raise ExceededLdapServerSizelimit(f"{part.base}: too many entries have no {UUID_NAME}")

    def _is_all(self, part: SubSearch, uuids: list[int]) -> Generator[T, None, bool]:
        """Yield what a part finds that is new; return whether that is all of it."""
        came: list[int] = []
        try:
            with closing(self.search(part)) as found:
                for _, mark, uuid, item in found:
                    came.append(mark)
                    if uuid:
                        uuids.append(int(uuid.replace("-", ""), 16))
                    if mark not in self.seen:
                        yield item
        except ExceededLdapServerSizelimit:
            self.seen.update(came)
            return False
        return True


def _cut(uuids: list[int]) -> int:
    """Choose where to divide a range, by the entries that it returned.

    Entries that were loaded in one go arrive in this order, and are all that precede the last of
    them: cut there, half as many searches are needed.
    """
    ordered = sorted(uuids)
    return ordered[-1] if uuids == ordered else ordered[len(ordered) // 2]


def _range(part: SubSearch, first: int, last: int) -> SubSearch:
    bounds = (
        *((filters.at_least(UUID_NAME, _uuid(first)),) if first else ()),
        *((filters.at_most(UUID_NAME, _uuid(last)),) if last < _LAST else ()),
    )
    return part._replace(filter=filters.every(part.filter, *bounds)) if bounds else part


def _uuid(number: int) -> str:
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
