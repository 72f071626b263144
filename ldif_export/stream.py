"""Entries as one LDIF text, in chunks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ldif_export.writer import VERSION, Formatter, comment

CHUNK = 64 * 1024
"""Bytes gathered before they are passed on: fewer, larger writes are what makes a pipe fast."""


def text(
    entries: Iterable[tuple[str, Mapping[str, Sequence[bytes]]]], *, passwords: bool
) -> Iterator[bytes]:
    """Write entries as LDIF: two exports of the same state are the same bytes.

    The first chunk goes out with the first entry, and no sooner: whatever fails before it fails
    before any byte. The last line is a comment with the number of entries: a text that was cut
    off has none.

    Args:
        entries: DN and attributes of each, parents before their children.
        passwords: Whether hashes are among them; the head comment tells.
    """
    parts = [VERSION, comment(f"Password hashes: {'included' if passwords else 'left out'}")]
    parts.append(b"\n")
    size = CHUNK
    count = 0
    formatter = Formatter()
    for dn, attributes in entries:
        block = formatter.record(dn, attributes)
        parts.append(block)
        count += 1
        size += len(block)
        if size >= CHUNK:
            yield b"".join(parts)
            parts, size = [], 0
    parts.append(comment(f"entries: {count}"))
    yield b"".join(parts)
