"""Entries as one LDIF text, in chunks."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing

from iredldap.dit import names
from iredldap.errors import NoSuchAccount
from ldif_export.records import Batch, Reader, Record
from ldif_export.selection import Search
from ldif_export.writer import VERSION, Formatter, comment

CHUNK = 256 * 1024
"""Bytes gathered before they are passed on: fewer, larger writes are what makes a pipe fast."""

Observer = Callable[[Record], None]


def export(
    reader: Reader, searches: Iterable[Search], *, passwords: bool, observe: Observer | None = None
) -> Generator[bytes, None, None]:
    """Write what searches find, one after another, as one LDIF text.

    Args:
        reader: What to read with.
        searches: In the order in which their entries can be added again.
        passwords: Whether hashes are among them; the head comment tells.
        observe: Sees each record, in the order of the text, with what the reader watches.
            Without it entries are not even told apart.

    Raises:
        NoSuchAccount: If a search that has to find something does not.
        ServerDown, InternalError: As `Reader`.
    """
    with closing(_batches(reader, searches, observe)) as batches:
        yield from _framed(batches, passwords=passwords)


def text(
    entries: Iterable[tuple[str, Mapping[str, Sequence[bytes]]]], *, passwords: bool
) -> Iterator[bytes]:
    """Write entries as LDIF: two exports of the same state are the same bytes.

    Args:
        entries: DN and attributes of each, parents before their children.
        passwords: Whether hashes are among them; the head comment tells.
    """
    formatter = Formatter()
    return _framed((Batch(formatter.record(*entry), 1) for entry in entries), passwords=passwords)


def _framed(batches: Iterable[Batch], *, passwords: bool) -> Generator[bytes, None, None]:
    """Put a head and an end around entries.

    The first chunk goes out with the first entry, and no sooner: whatever fails before it fails
    before any byte. The last line is a comment with the number of entries: a text that was cut
    off has none.
    """
    parts = [VERSION, comment(f"Password hashes: {'included' if passwords else 'left out'}")]
    parts.append(b"\n")
    size = CHUNK
    count = 0
    for block, entries in batches:
        parts.append(block)
        count += entries
        size += len(block)
        if size >= CHUNK:
            yield b"".join(parts)
            parts, size = [], 0
    parts.append(comment(f"entries: {count}"))
    yield b"".join(parts)


def _batches(
    reader: Reader, searches: Iterable[Search], observe: Observer | None
) -> Generator[Batch, None, None]:
    for search in searches:
        none = True
        apart = search.ordered or observe
        found = _apart(reader, search, observe) if apart else reader.batches(search)
        with closing(found):
            for batch in found:
                none = False
                yield batch
        if none and search.required:
            raise NoSuchAccount(search.base)


def _apart(
    reader: Reader, search: Search, observe: Observer | None
) -> Generator[Batch, None, None]:
    with closing(reader.records(search)) as arriving:
        found: Iterable[Record] = arriving
        if search.ordered:
            found = sorted(arriving, key=lambda record: names.depth(record.dn))
        for record in found:
            if observe:
                observe(record)
            yield Batch(record.text, 1)
