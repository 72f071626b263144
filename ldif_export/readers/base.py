"""What the two ways to read a directory as LDIF have in common."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from iredldap.errors import DirectoryFailed
from ldif_export.selection import Search, Selection

IDENTITY = ("entryCSN", "entryUUID")
"""Operational attributes that tell the state of an entry, and which one it is."""

OBJECT_CLASS = "objectClass"
USER_ATTRIBUTES = ("*", "ref")
"""What clients write; the address of a referral object is an operational attribute."""


ENTRY_END = b"\n\n"
"""Piece of text that ends an entry, and with it the empty line behind it."""


class Batch(NamedTuple):
    """Entries as LDIF.

    Args:
        parts: Their text in pieces. Of more than one entry, `ENTRY_END` is the last piece of each.
        dns: Their DNs, as the directory writes them.
    """

    parts: Sequence[bytes]
    dns: Sequence[bytes]

    @property
    def text(self) -> bytes:
        return b"".join(self.parts)

    def apart(self) -> Iterator["LdifRecord"]:
        """Give each of them by itself."""
        if len(self.dns) == 1:
            yield LdifRecord(self.dns[0].decode(), self.text, {})
            return
        begin = 0
        for dn in self.dns:
            end = self.parts.index(ENTRY_END, begin) + 1
            yield LdifRecord(dn.decode(), b"".join(self.parts[begin:end]), {})
            begin = end


class LdifRecord(NamedTuple):
    """One entry as LDIF, with what is watched.

    Args:
        dn: As the directory writes it.
        text: With an empty line behind it.
        watched: Values of the watched attributes that it has, by name in lower case.
    """

    dn: str
    text: bytes
    watched: Mapping[str, Sequence[bytes]]


class Projection(NamedTuple):
    """What of each entry is written, and what is only looked at.

    Args:
        selection: What is written.
        watched: Attributes whose values come with each `LdifRecord`; those of `IDENTITY` are asked
            for, and written only with all operational attributes.
    """

    selection: Selection
    watched: frozenset[str] = frozenset()

    @property
    def attributes(self) -> tuple[str, ...]:
        """What to ask the directory for: `USER_ATTRIBUTES`, as a rule."""
        if self.selection.operational:
            return ("*", "+")
        return (*USER_ATTRIBUTES, *(name for name in IDENTITY if name in self.watched))

    @property
    def watched_names(self) -> frozenset[str]:
        """What is looked at, in lower case."""
        return frozenset(map(str.lower, self.watched))

    def keeps(self, attribute: str) -> bool:
        """Whether an attribute is written."""
        is_stored = self.selection.operational or attribute not in IDENTITY
        return is_stored and self.selection.keeps(attribute)


class Reader(Protocol):
    """A connection to the directory that is read from as LDIF; one search at a time.

    Both searches raise:
        NoSuchAccount: If the base is not there, unless the search says that it may be missing.
        ServerDown: If the directory does not answer, or no longer.
        Refusal: If the result is not whole, by its cause: a limit was hit, or the directory does
            not give all of it (`DirectoryFailed` where a part lies on another server). An export
            that silently misses a branch is worse than none.
    """

    def batches(self, search: Search) -> Generator[Batch, None, None]:
        """Read what a search finds, as fast as it comes."""

    def records(self, search: Search) -> Generator[LdifRecord, None, None]:
        """Read what a search finds, entry by entry."""

    def close(self) -> None:
        """Give up what is under way, and hang up."""


def referral_error(search: Search) -> DirectoryFailed:
    """Tell that a search got a reference instead of entries, as `gateways.directory` tells it."""
    return DirectoryFailed(f"part of {search.base} lies on another server")
