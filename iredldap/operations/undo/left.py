"""Collect what an undo leaves alone, when it is planned and while sweeps are executed."""

from collections.abc import Callable, Collection, Iterable, Iterator

from iredldap.dit import names
from iredldap.dit.left_alone import LeftAlone

GONE = "it is gone"
ELSEWHERE = LeftAlone("", "", "others have changed entries of other domains")
"""In place of all those that the caller may not see."""


class Left(Collection[LeftAlone]):
    """What an undo leaves alone, each thing once.

    Entries that a sweep is expected to find are left alone, too, until it has found them. Those
    that the caller may not see are not named.

    Args:
        sees: Returns whether the caller may see the entry of a DN.
    """

    def __init__(self, sees: Callable[[str], bool]) -> None:
        self._sees = sees
        self._found: dict[LeftAlone, None] = {}
        self._expected: dict[str, str] = {}

    def add(self, things: Iterable[LeftAlone]) -> None:
        """Add what is left alone."""
        self._found.update(dict.fromkeys(map(self._named, things)))

    def expect(self, uuid: str, dn: str) -> None:
        """Note that a sweep will look for an entry."""
        self._expected[uuid] = dn

    def seen(self, uuid: str) -> None:
        """Note that it has found the entry."""
        self._expected.pop(uuid, None)

    def __iter__(self) -> Iterator[LeftAlone]:
        yield from self._found
        for dn in self._expected.values():
            yield self._named(LeftAlone(dn, "", GONE))

    def _named(self, thing: LeftAlone) -> LeftAlone:
        # Still counted: that something was left alone is true for whoever asks, and must not look
        # like a complete undo.
        is_hidden = names.is_dn(thing.where) and not self._sees(thing.where)
        return ELSEWHERE if is_hidden else thing

    def __contains__(self, thing: object) -> bool:
        return thing in [*self]

    def __len__(self) -> int:
        return len(self._found)
