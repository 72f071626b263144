"""Collect what an undo leaves alone, when it is planned and while sweeps are executed."""

from collections.abc import Collection, Iterable, Iterator

from iredldap.dit.left_alone import LeftAlone

GONE = "it is gone"


class Left(Collection[LeftAlone]):
    """What an undo leaves alone, each thing once.

    Entries that a sweep is expected to find are left alone, too, until it has found them.
    """

    def __init__(self) -> None:
        self._found: dict[LeftAlone, None] = {}
        self._expected: dict[str, str] = {}

    def add(self, things: Iterable[LeftAlone]) -> None:
        """Add what is left alone."""
        self._found.update(dict.fromkeys(things))

    def expect(self, uuid: str, dn: str) -> None:
        """Note that a sweep will look for an entry."""
        self._expected[uuid] = dn

    def seen(self, uuid: str) -> None:
        """Note that it has found the entry."""
        self._expected.pop(uuid, None)

    def __iter__(self) -> Iterator[LeftAlone]:
        yield from self._found
        for dn in self._expected.values():
            yield LeftAlone(dn, "", GONE)

    def __contains__(self, thing: object) -> bool:
        return thing in [*self]

    def __len__(self) -> int:
        return len(self._found)
