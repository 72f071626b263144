"""LDIF text, read one record at a time.

Content records: entries as they are, also where a tool has written them as additions
(``changetype: add``); `changing` reads changes of them. What is wrong is told with its line, and
reading goes on with the next record. Nothing is ever fetched from a URL.

Source: RFC 2849. Beyond it, raw bytes over 127 are taken as they stand, as OpenLDAP's tools do, and
a byte order mark at the beginning says nothing.
"""

import binascii
import codecs
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from ldif_export.ldif.decompression import CorruptData, ReadableFile

LARGEST_RECORD = 16 * 1024 * 1024
"""Bytes of the largest record that is read."""

_CHUNK = 256 * 1024
_MOST_KNOWN = 4096
_LONGEST_KNOWN = 256
_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9.;_-]*")


@dataclass(frozen=True, slots=True)
class ParsedRecord:
    """An entry. Attributes stand in the order and the spelling in which they first come."""

    dn: str
    attributes: dict[str, list[bytes]]
    line: int


@dataclass(frozen=True, slots=True)
class LdifComment:
    """A line of comment without its ``#``; what a folded one goes on with is left out."""

    text: str
    line: int


@dataclass(frozen=True, slots=True, order=True)
class LineIssue:
    """What is wrong, and the line; 0: no line in particular."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class EndOfText:
    """The end of the text; `torn` if that is within a line."""

    line: int
    torn: bool


ParserNote = LdifComment | LineIssue | EndOfText
ParsedItem = ParsedRecord | ParserNote
T = TypeVar("T")


class LineError(Exception):
    """A logical line is wrong; its number counts from 0 within the block."""

    def __init__(self, reason: str, index: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.index = index


def read(file: ReadableFile, *, largest: int = LARGEST_RECORD) -> Iterator[ParsedItem]:
    """Read LDIF text; the last item is the `EndOfText`.

    Args:
        file: Not compressed any more; see `unpacking.unpacked`.
        largest: Bytes that a record may have; a larger one ends the reading.
    """
    return parse_records(file, _Contents(), largest)


def parse_records(
    file: ReadableFile, parser: "RecordParser[T]", largest: int
) -> Iterator[T | ParserNote]:
    """Read LDIF text of other records, as `read` does."""
    blocks = _Blocks(file, largest)
    try:
        for line, block in blocks:
            yield from parser.items(line, block)
    except (CorruptData, LineError) as ex:
        yield LineIssue(blocks.line, str(ex))
        yield EndOfText(blocks.line, torn=True)
    else:
        yield EndOfText(blocks.line, blocks.torn)


class _Blocks:
    """What stands between empty lines, with the number of its first line; line ends made LF."""

    def __init__(self, file: ReadableFile, largest: int) -> None:
        self._file = file
        self._largest = largest
        self.line = 1
        self.torn = False

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        rest, chunk = b"", self._first_chunk()
        while chunk:
            *blocks, rest = (rest + chunk).split(b"\n\n")
            for block in blocks:
                yield self.line, block
                self.line += block.count(b"\n") + 2
            if len(rest) > self._largest:
                raise LineError(f"a record of more than {self._largest} bytes")
            # Reading as much again as is held keeps the cost of a very long record linear.
            chunk = self._chunk(max(_CHUNK, len(rest)))
        self.torn = bool(rest) and not rest.endswith(b"\n")
        yield self.line, rest
        self.line += rest.count(b"\n")

    def _first_chunk(self) -> bytes:
        """Read the beginning without a byte order mark, which may come in pieces."""
        chunk = b""
        while len(chunk) < len(codecs.BOM_UTF8) and (piece := self._chunk(_CHUNK)):
            chunk += piece
        return chunk.removeprefix(codecs.BOM_UTF8) or self._chunk(_CHUNK)

    def _chunk(self, size: int) -> bytes:
        chunk = self._file.read(size)
        while chunk.endswith(b"\r") and (more := self._file.read(1)):
            chunk += more
        return chunk.replace(b"\r\n", b"\n") if b"\r" in chunk else chunk


class RecordParser(ABC, Generic[T]):
    """Make records of blocks."""

    def __init__(self) -> None:
        self._begun = False

    def items(self, line: int, block: bytes) -> Iterator[T | ParserNote]:
        text = block.lstrip(b"\n")
        line += len(block) - len(text)
        text = text.rstrip(b"\n")
        if not text:
            return
        if text.startswith(b" "):
            yield LineIssue(line, "a continued line, and none before it to continue")
            return
        lines = text.replace(b"\n ", b"").split(b"\n")
        if text.startswith(b"#") or b"\n#" in text:
            yield from _comments(text, line)
        try:
            start = self._start(lines)
            if start is not None:
                yield self.record(lines, start, line + _physical(text, start))
        except LineError as ex:
            yield LineIssue(line + _physical(text, ex.index), ex.reason)

    @abstractmethod
    def record(self, lines: list[bytes], start: int, line: int) -> T:
        """Read a record.

        Args:
            lines: Logical lines of its block, comments among them.
            start: Which of them has its DN.
            line: Number of that one in the text.

        Raises:
            LineError: If it is none.
        """

    def _start(self, lines: list[bytes]) -> int | None:
        """Find the line that begins the record, behind comments and the version."""
        for index, line in enumerate(lines):
            if line.startswith(b"#"):
                continue
            begun, self._begun = self._begun, True
            if begun or not line.lower().startswith(b"version:"):
                return index
            if decode_value(line[len(b"version:") :], index) != b"1":
                raise LineError("LDIF of another version than 1", index)
        return None


class _Contents(RecordParser[ParsedRecord]):
    """Read entries, remembering lines that repeat: most of an account's do."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[bytes, tuple[str, str, bytes]] = {}

    def record(self, lines: list[bytes], start: int, line: int) -> ParsedRecord:
        dn, attributes = self._entry(lines, start)
        return ParsedRecord(dn, attributes, line)

    def _entry(self, lines: list[bytes], start: int) -> tuple[str, dict[str, list[bytes]]]:
        dn = parse_dn_line(lines[start], start)
        groups: dict[str, tuple[str, list[bytes]]] = {}
        known = self._known
        for index in range(_first_value(lines, start), len(lines)):
            line = lines[index]
            found = known.get(line)
            if found is None:
                if line.startswith(b"#"):
                    continue
                found = self._learned(line, index)
            key, name, value = found
            group = groups.get(key)
            if group is None:
                groups[key] = name, [value]
            else:
                group[1].append(value)
        if not groups:
            raise LineError("an entry without attributes", start)
        return dn, dict(groups.values())

    def _learned(self, line: bytes, index: int) -> tuple[str, str, bytes]:
        text, rest = split_line(line, index)
        key = text.lower()
        if key == "dn":
            raise LineError("a second dn: without an empty line before it", index)
        if key in {"changetype", "control"}:
            raise LineError("a change record; only entries and their additions are read", index)
        learned = key, text, decode_value(rest, index)
        # Base64 hides what hardly ever repeats: foreign letters and passwords.
        if len(line) <= _LONGEST_KNOWN and not rest.startswith(b":"):
            self._remember(line, learned)
        return learned

    def _remember(self, line: bytes, learned: tuple[str, str, bytes]) -> None:
        if len(self._known) < _MOST_KNOWN:
            self._known[line] = learned


def _first_value(lines: list[bytes], start: int) -> int:
    """Find where the attributes of an entry begin: behind its DN, or ``changetype: add``."""
    for index in range(start + 1, len(lines)):
        name, _, rest = lines[index].partition(b":")
        if name.lower() == b"changetype":
            # Of any other change the line itself is the fault.
            return index + (decode_value(rest, index).strip(b" ").lower() == b"add")
        if not name.startswith(b"#"):
            break
    return start + 1


def split_line(line: bytes, index: int) -> tuple[str, bytes]:
    """Give the name in a line, and what stands behind its colon.

    Raises:
        LineError: If there is none.
    """
    name, colon, rest = line.partition(b":")
    if not colon:
        raise LineError("no colon", index)
    if not _NAME.fullmatch(name):
        raise LineError("no attribute name before the colon", index)
    return name.decode(), rest


def parse_dn_line(line: bytes, index: int) -> str:
    """Read the line that begins a record.

    Raises:
        LineError: If it does not.
    """
    name, colon, rest = line.partition(b":")
    if not colon or name.lower() != b"dn":
        raise LineError("a record does not begin with dn:", index)
    try:
        return decode_value(rest, index).decode()
    except UnicodeDecodeError as ex:
        raise LineError("a DN that is not UTF-8", index) from ex


def decode_value(rest: bytes, index: int) -> bytes:
    """Read what stands behind the first colon of a line.

    Raises:
        LineError: If it is malformed, or elsewhere.
    """
    if rest.startswith(b":"):
        try:
            return binascii.a2b_base64(rest[1:].strip(b" "), strict_mode=True)
        except binascii.Error as ex:
            raise LineError("bad base64", index) from ex
    if rest.startswith(b"<"):
        raise LineError("a value that lies elsewhere; no URL is fetched", index)
    return rest.lstrip(b" ")


def _comments(text: bytes, line: int) -> Iterator[LdifComment]:
    for number, found in enumerate(text.split(b"\n")):
        if found.startswith(b"#"):
            yield LdifComment(found[1:].decode("utf-8", "replace").strip(), line + number)


def _physical(text: bytes, index: int) -> int:
    """Number, from 0, of the physical line where a logical line begins."""
    if not index:
        return 0
    logical = -1
    for number, line in enumerate(text.split(b"\n")):
        logical += not line.startswith(b" ")
        if logical == index:
            return number
    raise IndexError(index)
