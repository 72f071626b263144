"""Parse LDIF text, one record at a time.

Content records: entries as they are, also where a tool has written them as additions
(``changetype: add``); `change_parser` reads other change records. An error is reported with its
line, and parsing continues with the next record. No URL is ever fetched.

Source: RFC 2849. Beyond it, raw bytes over 127 are taken as they are, as OpenLDAP's tools do, and
a byte order mark at the beginning is ignored.
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
"""Largest record in bytes."""

CHANGE_RECORD = "a change record; only entries and their additions are read"
"""Reason for which a record is no entry."""

_CHUNK = 256 * 1024
_MOST_KNOWN = 4096
_LONGEST_KNOWN = 256
_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9.;_-]*")


@dataclass(frozen=True, slots=True)
class ParsedRecord:
    """An entry. Attributes have the order and the spelling in which they first occur."""

    dn: str
    attributes: dict[str, list[bytes]]
    line: int


@dataclass(frozen=True, slots=True)
class LdifComment:
    """A comment line without its ``#``; the continuation of a folded one is left out."""

    text: str
    line: int


@dataclass(frozen=True, slots=True, order=True)
class LineIssue:
    """An error or a warning, and its line; 0: no particular line."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class EndOfText:
    """The end of the text; `torn` if it lies within a line."""

    line: int
    torn: bool


ParserNote = LdifComment | LineIssue | EndOfText
ParsedItem = ParsedRecord | ParserNote
T = TypeVar("T")


class LineError(Exception):
    """A logical line is malformed; lines are numbered from 0 within the block."""

    def __init__(self, reason: str, index: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.index = index


def read(file: ReadableFile, *, largest: int = LARGEST_RECORD) -> Iterator[ParsedItem]:
    """Parse LDIF text; the last item is the `EndOfText`.

    Args:
        file: Decompressed; see `decompression.decompressed`.
        largest: Largest record in bytes; a larger one ends the reading.
    """
    return parse_records(file, _Contents(), largest)


def parse_records(
    file: ReadableFile, parser: "RecordParser[T]", largest: int
) -> Iterator[T | ParserNote]:
    """Parse LDIF text with a parser for other records, as `read` does."""
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
    """Split a text at empty lines, and number the lines; line ends become LF."""

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
            # Reading as many bytes again as are held keeps the cost of a very long record linear.
            chunk = self._chunk(max(_CHUNK, len(rest)))
        self.torn = bool(rest) and not rest.endswith(b"\n")
        yield self.line, rest
        self.line += rest.count(b"\n")

    def _first_chunk(self) -> bytes:
        """Read the beginning without the byte order mark, which may be split between reads."""
        chunk = b""
        while len(chunk) < len(codecs.BOM_UTF8) and (piece := self._chunk(_CHUNK)):
            chunk += piece
        return chunk.removeprefix(codecs.BOM_UTF8) or self._chunk(_CHUNK)

    def _chunk(self, size: int) -> bytes:
        chunk = self._file.read(size)
        # A CR LF that is split between two reads would become an empty line.
        while chunk.endswith(b"\r") and (more := self._file.read(1)):
            chunk += more
        return chunk.replace(b"\r\n", b"\n") if b"\r" in chunk else chunk


class RecordParser(ABC, Generic[T]):
    """Make records from blocks."""

    def __init__(self) -> None:
        self._begun = False

    def items(self, line: int, block: bytes) -> Iterator[T | ParserNote]:
        """Parse a block: yield its comments, then its record or what is wrong with it.

        Args:
            line: Number of its first line.
            block: Its text.
        """
        text = block.lstrip(b"\n")
        line += len(block) - len(text)
        text = text.rstrip(b"\n")
        if not text:
            return
        if text.startswith(b" "):
            yield LineIssue(line, "a continued line, and none before it to continue")
            return
        # Unfolded all at once; `_physical` finds the line number again if there is an error.
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
        """Parse a record.

        Args:
            lines: Logical lines of its block, including comments.
            start: Index of the line with its DN.
            line: Number of that line in the text.

        Raises:
            LineError: If it is malformed.
        """

    def _start(self, lines: list[bytes]) -> int | None:
        """Return the index of the line that begins the record, after comments and the version."""
        for index, line in enumerate(lines):
            if line.startswith(b"#"):
                continue
            begun, self._begun = self._begun, True
            # Only the first line of the text may be the version; later it is an attribute.
            if begun or not line.lower().startswith(b"version:"):
                return index
            if decode_value(line[len(b"version:") :], index) != b"1":
                raise LineError("LDIF of another version than 1", index)
        return None


class _Contents(RecordParser[ParsedRecord]):
    """Parse entries, caching lines that repeat: most of an account's do."""

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
            # Two records run together would otherwise become one entry.
            raise LineError("a second dn: without an empty line before it", index)
        if key in {"changetype", "control"}:
            raise LineError(CHANGE_RECORD, index)
        learned = key, text, decode_value(rest, index)
        # Values in base64 hardly ever repeat: names with foreign letters, and passwords.
        if len(line) <= _LONGEST_KNOWN and not rest.startswith(b":"):
            self._remember(line, learned)
        return learned

    def _remember(self, line: bytes, learned: tuple[str, str, bytes]) -> None:
        if len(self._known) < _MOST_KNOWN:
            self._known[line] = learned


def _first_value(lines: list[bytes], start: int) -> int:
    """Return the index of the first attribute of an entry: after its DN, or ``changetype: add``."""
    for index in range(start + 1, len(lines)):
        name, _, rest = lines[index].partition(b":")
        if name.lower() == b"changetype":
            # For any other change type this line is reported: attributes are read from here on.
            return index + (decode_value(rest, index).strip(b" ").lower() == b"add")
        if not name.startswith(b"#"):
            break
    return start + 1


def split_line(line: bytes, index: int) -> tuple[str, bytes]:
    """Split a line into the name and the text after the colon.

    Raises:
        LineError: If it has no name.
    """
    name, colon, rest = line.partition(b":")
    if not colon:
        raise LineError("no colon", index)
    if not _NAME.fullmatch(name):
        raise LineError("no attribute name before the colon", index)
    return name.decode(), rest


def parse_dn_line(line: bytes, index: int) -> str:
    """Parse the line that begins a record.

    Raises:
        LineError: If it is no ``dn:`` line.
    """
    name, colon, rest = line.partition(b":")
    if not colon or name.lower() != b"dn":
        raise LineError("a record does not begin with dn:", index)
    try:
        return decode_value(rest, index).decode()
    except UnicodeDecodeError as ex:
        raise LineError("a DN that is not UTF-8", index) from ex


def decode_value(rest: bytes, index: int) -> bytes:
    """Decode the text after the first colon of a line.

    Raises:
        LineError: If it is malformed, or a URL.
    """
    if rest.startswith(b":"):
        try:
            # Strict: characters that are no base64 are an error and not skipped, so that a damaged
            # file is noticed.
            return binascii.a2b_base64(rest[1:].strip(b" "), strict_mode=True)
        except binascii.Error as ex:
            raise LineError("bad base64", index) from ex
    if rest.startswith(b"<"):
        raise LineError("a value given as a URL; no URL is fetched", index)
    return rest.lstrip(b" ")


def _comments(text: bytes, line: int) -> Iterator[LdifComment]:
    for number, found in enumerate(text.split(b"\n")):
        if found.startswith(b"#"):
            yield LdifComment(found[1:].decode("utf-8", "replace").strip(), line + number)


def _physical(text: bytes, index: int) -> int:
    """Return the number, from 0, of the physical line where a logical line begins."""
    if not index:
        return 0
    logical = -1
    for number, line in enumerate(text.split(b"\n")):
        logical += not line.startswith(b" ")
        if logical == index:
            return number
    raise IndexError(index)
