"""The text around the records."""

import io
from collections.abc import Iterator

import ldif
import pytest

from iredldap.errors import ServerDown
from ldif_export.backup.full import CHUNK, text

ENTRY = ("o=x", {"o": [b"x"]})


def test_head_and_tail_frame_the_records() -> None:
    """The head tells whether hashes are included, the tail how many entries there are."""
    assert b"".join(text([ENTRY], passwords=True)) == (
        b"version: 1\n# Password hashes: included\n\ndn: o=x\no: x\n\n# entries: 1\n"
    )
    assert b"# Password hashes: left out\n" in b"".join(text([ENTRY], passwords=False))


def test_another_reader_finds_the_records() -> None:
    """Head and tail are no records."""
    reader = ldif.LDIFRecordList(io.BytesIO(b"".join(text([ENTRY, ENTRY], passwords=True))))
    reader.parse()
    assert reader.all_records == [ENTRY, ENTRY]
    assert reader.version == 1


def test_the_first_entry_does_not_wait_for_the_second() -> None:
    """The first chunk goes out with the first record; later ones are gathered."""
    taken = []

    def entries() -> Iterator[tuple[str, dict[str, list[bytes]]]]:
        for number in range(3000):
            taken.append(number)
            yield "o=x", {"description": [b"d" * 100]}

    chunks = text(entries(), passwords=True)
    assert next(chunks).startswith(b"version: 1\n")
    assert taken == [0]
    *middle, _ = chunks
    assert all(CHUNK <= len(chunk) < CHUNK + 200 for chunk in middle)


def test_what_fails_before_the_first_entry_gives_no_byte() -> None:
    """A failure that can still be answered properly is not hidden behind a head."""

    def entries() -> Iterator[tuple[str, dict[str, list[bytes]]]]:
        yield from ()
        raise ServerDown

    with pytest.raises(ServerDown):
        next(text(entries(), passwords=True))
