"""Write entries as one LDIF text, in chunks."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from operator import attrgetter

from iredldap.dit import names
from iredldap.dit.depth import Scope
from iredldap.errors import NoSuchAccount
from iredldap.ldif.writer import VERSION, Formatter, comment
from ldif_export.readers.base import LdifRecord, Reader
from ldif_export.readers.parents_first import DeferredEntries, WrittenEntries
from ldif_export.selection import Search

CHUNK = 256 * 1024
"""Bytes gathered before they are passed on: fewer, larger writes are what makes a pipe fast."""

RecordObserver = Callable[[LdifRecord], None]


def export(
    reader: Reader,
    searches: Iterable[Search],
    *,
    passwords: bool,
    observe: RecordObserver | None = None,
) -> Generator[bytes, None, None]:
    """Write the results of searches, one after another, as one LDIF text.

    Args:
        reader: The reader to search with.
        searches: In the order in which their entries can be added again.
        passwords: Whether hashes are among them; the head comment says so.
        observe: Called with each record, in the order of the text, with the watched attributes.
            Without it entries are not even separated.

    Raises:
        NoSuchAccount: If a search that has to find something does not.
        AmbiguousAccount: If a search for the one account of an address finds two.
        ServerDown, InternalError: As for `Reader`.
    """
    with closing(_Export(reader, observe)) as exporting:
        yield from _framed(exporting.blocks(searches), passwords=passwords)


def text(
    entries: Iterable[tuple[str, Mapping[str, Sequence[bytes]]]], *, passwords: bool
) -> Iterator[bytes]:
    """Write entries as LDIF: two exports of the same state are the same bytes.

    Args:
        entries: DN and attributes of each, parents before their children.
        passwords: Whether hashes are among them; the head comment says so.
    """
    formatter = Formatter()
    return _framed(((formatter.record(*entry), 1) for entry in entries), passwords=passwords)


_Block = tuple[bytes, int]
"""Text of entries, and their number."""


def _framed(blocks: Iterable[_Block], *, passwords: bool) -> Generator[bytes, None, None]:
    """Put a head and an end around entries.

    The first chunk is passed on with the first entry, and no sooner: whatever fails before it fails
    before any byte. The last line is a comment with the number of entries: a text that was cut off
    has none.
    """
    parts = [VERSION, comment(f"Password hashes: {'included' if passwords else 'left out'}")]
    parts.append(b"\n")
    # So the head goes out with the first entry, without waiting for a full chunk.
    size = CHUNK
    count = 0
    for block, entries in blocks:
        parts.append(block)
        count += entries
        size += len(block)
        if size >= CHUNK:
            yield b"".join(parts)
            parts, size = [], 0
    parts.append(comment(f"entries: {count}"))
    yield b"".join(parts)


class _Export:
    """Carry out searches one after another; an entry that comes before its parent waits."""

    def __init__(self, reader: Reader, observe: RecordObserver | None) -> None:
        self._reader = reader
        self._observe = observe
        self._written = WrittenEntries()
        self._waiting = DeferredEntries()

    def close(self) -> None:
        """Release what was kept of written and waiting entries."""
        self._written.close()
        self._waiting.close()

    def blocks(self, searches: Iterable[Search]) -> Iterator[_Block]:
        """Yield the results of searches; those with the same base follow one another."""
        before: Search | None = None
        for search in searches:
            # Entries that wait do so for parents below the same base; of another base nothing that
            # follows helps them.
            if before and before.base != search.base:
                yield from self._deferred(before)
                self._written.close()
                self._written = WrittenEntries()
            none = True
            for block in self._found(search):
                none = False
                yield block
            if none and search.required:
                raise NoSuchAccount(search.base)
            before = search
        if before:
            yield from self._deferred(before)

    def _found(self, search: Search) -> Iterator[_Block]:
        if search.ordered:
            return self._containers(search)
        if search.scope is not Scope.SUBTREE or search.is_one_account:
            return self._roots(search)
        return self._one_by_one(search) if self._observe else self._in_batches(search)

    def _containers(self, search: Search) -> Iterator[_Block]:
        with closing(self._reader.records(search)) as arriving:
            # Few, so that they are sorted in memory: all others then find their containers written.
            found = sorted(arriving, key=lambda record: names.depth(record.dn))
        self._written.add_roots([record.dn for record in found])
        for record in found:
            yield from self._accept(record, container=True)

    def _roots(self, search: Search) -> Iterator[_Block]:
        """Read entries whose parents are not part of the export."""
        with closing(self._reader.records(search)) as arriving:
            one: Iterable[LdifRecord] = arriving
            if search.names_one:
                one = search.the_one(arriving, attrgetter("dn"))
            for record in one:
                self._written.add_roots((record.dn,))
                yield from self._accept(record)

    def _one_by_one(self, search: Search) -> Iterator[_Block]:
        with closing(self._reader.records(search)) as arriving:
            for record in arriving:
                yield from self._accept(record)

    def _in_batches(self, search: Search) -> Iterator[_Block]:
        with closing(self._reader.batches(search)) as arriving:
            for batch in arriving:
                # The usual case, a few set lookups per batch: the text goes out as it came, without
                # being split.
                if self._written.accept_all(batch.dns):
                    yield batch.text, len(batch.dns)
                else:
                    for record in batch.split():
                        yield from self._accept(record)

    def _accept(self, record: LdifRecord, *, container: bool = False) -> Iterator[_Block]:
        if self._written.accept(record.dn.encode(), container=container):
            yield self._text(record)
        else:
            self._waiting.put(record)

    def _deferred(self, search: Search) -> Iterator[_Block]:
        with closing(self._waiting.release(self._written, whole=search.whole)) as late:
            yield from map(self._text, late)

    def _text(self, record: LdifRecord) -> _Block:
        if self._observe:
            self._observe(record)
        return record.text, 1
