"""Types that the two readers, `wire` and `libldap`, have in common."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from iredldap.directory_errors import DirectoryFailed
from iredldap.dit.csn import is_csn
from ldif_export.selection import Search, Selection

IDENTITY = ("entryCSN", "entryUUID")
"""Operational attributes that give the state of an entry and identify it."""

OBJECT_CLASS = "objectClass"
USER_ATTRIBUTES = ("*", "ref")
"""The attributes that clients write; the URL of a referral object is an operational attribute."""


ENTRY_END = b"\n\n"
"""Piece of text that ends an entry, together with the empty line after it."""


class Batch(NamedTuple):
    """Entries as LDIF.

    Args:
        parts: Their text in pieces. With more than one entry, `ENTRY_END` is the last piece of
            each.
        dns: Their DNs, as the directory writes them.
    """

    parts: Sequence[bytes]
    dns: Sequence[bytes]

    @property
    def text(self) -> bytes:
        return b"".join(self.parts)

    def split(self) -> Iterator["LdifRecord"]:
        """Yield each entry by itself."""
        if len(self.dns) == 1:
            yield LdifRecord(self.dns[0].decode(), self.text, {})
            return
        begin = 0
        for dn in self.dns:
            # Compared by identity first: each reader appends this very object.
            end = self.parts.index(ENTRY_END, begin) + 1
            yield LdifRecord(dn.decode(), b"".join(self.parts[begin:end]), {})
            begin = end


class LdifRecord(NamedTuple):
    """One entry as LDIF, with the values of watched attributes.

    Args:
        dn: As the directory writes it.
        text: Its content record, with the empty line after it.
        watched: Values of the watched attributes that it has, by name in lower case.
    """

    dn: str
    text: bytes
    watched: Mapping[str, Sequence[bytes]]

    @property
    def uuid(self) -> str:
        """Its entryUUID, where that is watched."""
        return b"".join(self.watched.get("entryuuid", ())).decode()

    @property
    def csn(self) -> str:
        """Its entryCSN, where that is watched; empty if it has none in slapd's form."""
        csn = b"".join(self.watched.get("entrycsn", ())).decode("ascii", "replace")
        return csn if is_csn(csn) else ""


class Projection(NamedTuple):
    """Which attributes of an entry are exported, and which are only watched.

    Args:
        selection: What is exported.
        watched: Attributes whose values come with each `LdifRecord`; those of `IDENTITY` are
            requested, and exported only with all operational attributes.
    """

    selection: Selection
    watched: frozenset[str] = frozenset()

    @property
    def attributes(self) -> tuple[str, ...]:
        """Attributes to request from the directory; by default `USER_ATTRIBUTES`."""
        if self.selection.operational:
            return ("*", "+")
        return (*USER_ATTRIBUTES, *(name for name in IDENTITY if name in self.watched))

    @property
    def watched_names(self) -> frozenset[str]:
        """Watched attributes in lower case, and those that the selection needs."""
        return frozenset(map(str.lower, self.watched | self.selection.needs))

    def keeps(self, attribute: str) -> bool:
        """Return whether an attribute is exported."""
        # IDENTITY is requested for manifests and snapshots, and must not appear in the text for
        # that reason.
        is_stored = self.selection.operational or attribute not in IDENTITY
        return is_stored and self.selection.keeps(attribute)


class WatchedOnly(Projection):
    """The watched attributes and nothing else."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """Attributes to request from the directory."""
        return tuple(sorted(self.watched | self.selection.needs))

    def keeps(self, attribute: str) -> bool:
        """Return whether an attribute is exported: none is."""
        return False


class Reader(Protocol):
    """Read searches of a directory as LDIF, one at a time, over a connection of its own.

    Both searches raise:
        NoSuchAccount: If the base does not exist, unless the search says that it may be missing.
        ServerDown: If the directory does not answer, or no longer.
        Refusal: If the result is incomplete, by its cause: a limit was hit, or the directory does
            not return all of it (`DirectoryFailed` where a part lies on another server). An export
            that silently lacks a branch is worse than none.
    """

    def batches(self, search: Search) -> Generator[Batch, None, None]:
        """Read the results of a search, as fast as they arrive."""

    def records(self, search: Search) -> Generator[LdifRecord, None, None]:
        """Read the results of a search, entry by entry."""

    def close(self) -> None:
        """Abandon a search that is running, and close the connection."""


def referral_error(search: Search) -> DirectoryFailed:
    """Return the error for a search that got a reference, as `gateways.directory` words it."""
    return DirectoryFailed(f"part of {search.base} lies on another server")
