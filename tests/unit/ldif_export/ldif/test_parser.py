"""LDIF text read back: other implementations agree, and every fault has its line."""

import gzip
import io
import tracemalloc
from itertools import repeat

import ldif
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from iredldap.ldif import writer
from ldif_export.backup.full import text
from ldif_export.ldif.decompression import DigestingReader, decompressed
from ldif_export.ldif.parser import (
    EndOfText,
    LdifComment,
    LineIssue,
    ParsedItem,
    ParsedRecord,
    read,
)
from tests.unit.ldif.test_writer import dns, entries, names, values

HEAD = b"version: 1\n\n"
GOOD = b"dn: o=x\no: x\n\n"


class Slowly(io.BytesIO):
    """A file that gives a byte at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 1))


def items(data: bytes) -> list[ParsedItem]:
    return list(read(decompressed(io.BytesIO(data))))


def records(data: bytes) -> list[tuple[str, dict[str, list[bytes]]]]:
    assert not faults(data)
    return [(r.dn, r.attributes) for r in items(data) if isinstance(r, ParsedRecord)]


def faults(data: bytes) -> list[tuple[int, str]]:
    return [(f.line, f.reason) for f in items(data) if isinstance(f, LineIssue)]


@given(st.lists(st.tuples(dns, entries), max_size=5))
def test_what_our_writer_writes_is_read_back(
    several: list[tuple[str, dict[str, list[bytes]]]],
) -> None:
    """Any bytes, any order; and python-ldap's parser reads the same."""
    data = b"".join(text(several, passwords=True))
    other = ldif.LDIFRecordList(io.BytesIO(data))
    other.parse()
    assert records(data) == several == other.all_records


@given(dns, entries)
def test_what_python_ldap_writes_is_read_back(dn: str, entry: dict[str, list[bytes]]) -> None:
    """Its folding and its choice of base64 are others than ours."""
    out = io.StringIO()
    ldif.LDIFWriter(out, cols=20).unparse(dn, entry)
    assert records(out.getvalue().encode()) == [(dn, entry)]


@given(st.lists(st.tuples(dns, entries), max_size=3))
def test_line_ends_and_pieces_make_no_difference(
    several: list[tuple[str, dict[str, list[bytes]]]],
) -> None:
    """CR LF, LF, whole or byte by byte: the same items on the same lines."""
    data = b"".join(text(several, passwords=True))
    marked = b"\xef\xbb\xbf" + data
    assert list(read(Slowly(marked))) == items(marked) == items(data)
    crlf = data.replace(b"\n", b"\r\n")
    assert list(read(Slowly(data))) == list(read(Slowly(crlf))) == items(crlf) == items(data)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    """Whatever comes is records and faults, never another exception, and it ends."""
    assert isinstance(list(read(io.BytesIO(data)))[-1], EndOfText)


@given(dns, names, values, st.data())
def test_a_cut_text_never_gives_another_entry_unnoticed(
    dn: str, name: str, several: list[bytes], draw: st.DataObject
) -> None:
    """A text cut in a line is torn; cut between lines it has fewer values, and none that is new."""
    data = HEAD + writer.record(dn, {name: several})
    cut = data[: draw.draw(st.integers(len(HEAD), len(data) - 1))]
    *found, end = items(cut)
    assert isinstance(end, EndOfText)
    for item in found:
        if isinstance(item, ParsedRecord) and not end.torn:
            assert item.dn == dn
            *whole, _ = item.attributes[name]
            assert whole == several[: len(whole)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"dn: o=x\no: x", {"o": [b"x"]}),
        (b"dn: o=x\no: x\n", {"o": [b"x"]}),
        (b"\n\n\ndn: o=x\no: x\n\n\n\n", {"o": [b"x"]}),
        (b"version: 1\ndn: o=x\no: x\n", {"o": [b"x"]}),
        (b"# c\n more of it\ndn: o=x\n# between\no: x\n", {"o": [b"x"]}),
        (b"dn:o=x\no:x\n", {"o": [b"x"]}),
        (b"dn:: bz14\no::eA==\n", {"o": [b"x"]}),
        (b"dn: o=\n x\no: a\n b\n \n c\n", {"o": [b"abc"]}),
        (b"dn: o=x\no:\ncn: \nsn::\n", {"o": [b""], "cn": [b""], "sn": [b""]}),
        (b"dn: o=x\no: a\ncn: c\nO: b\n", {"o": [b"a", b"b"], "cn": [b"c"]}),
        (b"dn: o=x\ncn;lang-nl: a\ncn: b\n", {"cn;lang-nl": [b"a"], "cn": [b"b"]}),
        (b"dn: o=x\ncn: Zo\xc3\xab \n", {"cn": "Zoë ".encode()}),
        (b"dn: o=x\no: a\no: a\n", {"o": [b"a", b"a"]}),
        (b"\xef\xbb\xbfdn: o=x\no: x\n", {"o": [b"x"]}),
        (b"\xef\xbb\xbfversion: 1\n\ndn: o=x\no: x\n", {"o": [b"x"]}),
        (b"dn: o=x\nchangetype: add\no: x\n", {"o": [b"x"]}),
        (b"dn: o=x\n# new\nChangeType:  ADD\no: x\n", {"o": [b"x"]}),
    ],
)
def test_a_record_is_read(data: bytes, expected: dict[str, list[bytes] | bytes]) -> None:
    """Blanks, folds, comments and empty values as RFC 2849 has them."""
    wanted = {name: [v] if isinstance(v, bytes) else v for name, v in expected.items()}
    assert records(data) == [("o=x", wanted)]


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"dn: o=x\no:: ?\n", 2, "bad base64"),
        (b"dn: o=x\no:: eA\n", 2, "bad base64"),
        (b"dn: o=x\ncn: a\n b\n c\no:: eA=\n", 5, "bad base64"),
        (b"dn: o=x\no x\n", 2, "no colon"),
        (b"dn: o=x\n: x\n", 2, "no attribute name"),
        (b"dn: o=x\no o: x\n", 2, "no attribute name"),
        (b" o: x\n", 1, "continued line"),
        (b"\n o: x\n", 2, "continued line"),
        (b"o: x\n", 1, "does not begin with dn:"),
        (b"# c\no: x\n", 2, "does not begin with dn:"),
        (b"dn:: /w==\no: x\n", 1, "not UTF-8"),
        (b"dn: o=x\no:< file:///etc/passwd\n", 2, "no URL is fetched"),
        (b"dn: o=x\nchangetype: modify\nadd: o\no: x\n-\n", 2, "change record"),
        (b"dn: o=x\no: x\nchangetype: add\n", 3, "change record"),
        (b"dn: o=x\nchangetype: add\n", 1, "without attributes"),
        (b"dn: o=x\ncontrol: 1.2.3\nchangetype: delete\n", 2, "change record"),
        (b"dn: o=x\no: x\ndn: o=y\no: y\n", 3, "second dn:"),
        (b"dn: o=x\n", 1, "without attributes"),
        (b"version: 1\n", 1, "does not begin with dn:"),
    ],
)
def test_a_fault_has_its_line_and_ends_its_record_only(data: bytes, line: int, reason: str) -> None:
    """The records around it are read."""
    before = HEAD + GOOD
    found = items(before + data + b"\n" + GOOD)
    assert [item.dn for item in found if isinstance(item, ParsedRecord)] == ["o=x", "o=x"]
    ((told, words),) = [(f.line, f.reason) for f in found if isinstance(f, LineIssue)]
    assert told == before.count(b"\n") + line
    assert reason in words


def test_another_version_is_a_fault() -> None:
    """What it means nobody knows."""
    assert faults(b"# c\nversion: 2\ndn: o=x\no: x\n") == [(2, "LDIF of another version than 1")]


def test_records_and_comments_know_their_lines() -> None:
    """A record is where its DN is."""
    data = b"# a\n b\nversion: 1\n\n# c\ndn: o=x\no: x\n y\n\n# entries: 1\n"
    assert items(data) == [
        LdifComment("a", 1),
        LdifComment("c", 5),
        ParsedRecord("o=x", {"o": [b"xy"]}, 6),
        LdifComment("entries: 1", 10),
        EndOfText(11, torn=False),
    ]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_compressed_text_is_known_by_its_first_bytes(pack: object) -> None:
    """Also in several parts, as compressors that append leave it."""
    assert callable(pack)
    assert records(pack(GOOD) + pack(GOOD)) == records(GOOD + GOOD)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_compressed_text_that_is_not_whole_is_a_fault(pack: object) -> None:
    """Cut off or changed: the text is torn, whatever was read before."""
    assert callable(pack)
    packed = pack(HEAD + b"".join(b"dn: o=%d\no: x\n\n" % n for n in range(3000)))
    for wrong in (packed[:-5], packed[: len(packed) // 2], packed[:-30] + packed[-20:]):
        *_, fault, end = items(wrong)
        assert isinstance(fault, LineIssue)
        assert fault.reason.startswith(("gzip: ", "zstd: "))
        assert isinstance(end, EndOfText)
        assert end.torn


def test_a_record_beyond_the_limit_ends_the_reading() -> None:
    """Memory is for records of a size; the line tells where it begins."""
    data = GOOD + b"dn: o=y\no: " + b"y" * 600_000 + b"\n\n" + GOOD
    assert [type(item) for item in read(io.BytesIO(data), largest=1_000_000)] == [
        *(ParsedRecord, ParsedRecord, ParsedRecord, EndOfText),
    ]
    *_, fault, end = read(io.BytesIO(data), largest=300_000)
    assert fault == LineIssue(4, "a record of more than 300000 bytes")
    assert end == EndOfText(4, torn=True)


class Endless:
    """A file made while it is read."""

    def __init__(self, block: bytes, times: int) -> None:
        self._blocks = repeat(block, times)

    def read(self, size: int, /) -> bytes:
        return next(self._blocks, b"")


def test_memory_does_not_grow_with_the_text() -> None:
    """Of 60 MB only one record and what repeats is held."""
    entry = writer.record("o=x", {"o": [b"x"], "description": [b"y" * 1500] * 10})
    tracemalloc.start()
    count = sum(isinstance(item, ParsedRecord) for item in read(Endless(entry * 16, 240)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (count, peak < 4_000_000) == (3840, True)


def test_a_tally_tells_what_has_been_read() -> None:
    """Size and digest are those of the plain bytes."""
    digesting = DigestingReader(decompressed(io.BytesIO(gzip.compress(GOOD))))
    assert sum(isinstance(item, ParsedRecord) for item in read(digesting)) == 1
    assert digesting.size == len(GOOD)
    assert len(digesting.sha256) == 64
