"""From the bytes of a search result straight to LDIF text, by what was seen before.

Accounts are alike. The whole encoding of an attribute, name and values, is the key to its
finished lines: three dozen services are one look into a dictionary. Where an attribute varies
from entry to entry, the bytes before its value are the key: they fix its name and the length of
its value, hence what stands before the value and whether the line is folded.

What is remembered is bounded; once it is full, nothing new is.

Source: RFC 2849; RFC 4511, section 4.1.7.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct

from ldif_export import messages, writer
from ldif_export.ber import SEQUENCE, MalformedReply, element
from ldif_export.lines import PLAIN, Line, dn_line, line_start, value_line

_MOST_NAMES = 64
_MOST_BYTES = 256 * 1024
"""Of one attribute, keys and lines together."""

_LONGEST_SHORT = 0x7F
_ONE_BYTE, _TWO_BYTES = 0x81, 0x82

# An entry as slapd sends nearly all, up to its first attribute, by the length of its DN: lengths
# of two bytes, but for those of number and DN.
_DN_SIZE_AT, _LEAST_HEAD = 12, 17
_HEADS = [Struct(f">HHQx{size}sI").unpack_from for size in range(_LONGEST_SHORT + 1)]
_MOST_HEAD = _LEAST_HEAD + _LONGEST_SHORT
_LONG_SEQUENCE = SEQUENCE << 8 | _TWO_BYTES
_LONG_LIST = _LONG_SEQUENCE << 16
_SHAPE = 0x0201_00_64_82_0000_04


def _head(chunk: bytes) -> int:
    """How many bytes stand before the value, if an attribute of 128 to 255 bytes has only one.

    All lengths are written with as few bytes as they need; where they are not, what is given is
    no key of anything.
    """
    size = chunk[2] - 2 - chunk[4]
    set_head = 2 if size <= _LONGEST_SHORT + 2 else 3
    return 5 + chunk[4] + set_head + (2 if size - set_head <= _LONGEST_SHORT + 2 else 3)


@dataclass(slots=True)
class _Attribute:
    written: writer.Attribute
    name: str
    kept: bool
    watched: bool
    blocks_left: int
    bytes_left: int = _MOST_BYTES


@dataclass(slots=True)
class Entries:
    """Entries that were written.

    Args:
        parts: Their text, in pieces.
        marks: Where the text of each ends among the pieces, its DN, and the values of what is
            watched, by name in lower case. None: nobody asks.
        count: How many there are.
    """

    marks: list[tuple[int, bytes, dict[str, list[bytes]]]] | None = None
    parts: list[bytes] = field(default_factory=list)
    count: int = 0


class Blocks:
    """Write entries, remembering what repeats. It serves one export in one thread.

    Args:
        keeps: Whether an attribute is written.
        watched: Attributes whose values are wanted beside the text, in lower case.
        most_blocks: How many encodings of an attribute are remembered as a whole; one that has
            more of them varies.
    """

    def __init__(
        self,
        keeps: Callable[[str], bool],
        watched: frozenset[str] = frozenset(),
        most_blocks: int = 1500,
    ) -> None:
        self._keeps = keeps
        self._watched = watched
        self._most_blocks = most_blocks
        self._seen: dict[str, list[bytes]] = {}
        self._attributes: dict[bytes, _Attribute] = {}
        self._blocks: dict[bytes, bytes] = {}
        self._watched_blocks: dict[bytes, tuple[str, list[bytes], bytes]] = {}
        # Both by the bytes before a single value.
        self._starts: dict[bytes, bytes] = {}
        self._lines: dict[bytes, Line] = {}

    def entries(self, data: bytes, at: int, number: int, written: Entries) -> int:
        """Write entries as long as they are there as a whole and look as slapd sends them.

        Args:
            data: Messages.
            at: Where the first one begins.
            number: Of the search, below 128; nothing else is touched.
            written: Where they go.

        Returns:
            Where the first message begins that is something else, or is not whole.

        Raises:
            MalformedReply: If an entry is none.
        """
        size, shape = len(data), _SHAPE | number << 40
        append, marks = written.parts.append, written.marks
        count = 0
        # Nobody took what was seen if nobody asked.
        self._seen = {}
        while size - at >= _MOST_HEAD and (dn_size := data[at + _DN_SIZE_AT]) <= _LONGEST_SHORT:
            tag, length, seen, dn, listed = _HEADS[dn_size](data, at)
            start, end = at + _LEAST_HEAD + dn_size, at + 4 + length
            if (
                tag != _LONG_SEQUENCE
                or seen != shape + ((length - 7) << 8)
                or end > size
                or listed != _LONG_LIST + end - start
            ):
                break
            self._write(data, dn, start, end, append)
            if marks is not None:
                self._mark(dn, written)
            count += 1
            at = end
        written.count += count
        return at

    def entry(self, data: bytes, head: messages.Head, written: Entries) -> None:
        """Write one entry, whatever it looks like.

        Raises:
            MalformedReply: If it is none.
        """
        self._write(data, head.dn, head.start, head.end, written.parts.append)
        if written.marks is not None:
            self._mark(head.dn, written)
        written.count += 1

    def _mark(self, dn: bytes, written: Entries) -> None:
        assert written.marks is not None
        written.marks.append((len(written.parts), dn, self._seen))
        self._seen = {}

    def _write(
        self, data: bytes, dn: bytes, at: int, end: int, append: Callable[[bytes], None]
    ) -> None:
        # The hot path: what was seen before needs no calls but those of built-in types.
        blocks, starts, lines, plain = self._blocks, self._starts, self._lines, PLAIN
        append(dn_line(dn))
        try:
            while at < end:
                size = data[at + 1]
                if size <= _LONGEST_SHORT:
                    after = at + 2 + size
                    text = blocks.get(data[at:after])
                    if text is None:
                        value_at = at + 8 + data[at + 3]
                        before = data[at:value_at]
                        value = data[value_at:after]
                        start = starts.get(before)
                        if start is not None and value.translate(plain) is value:
                            text = start + value + b"\n"
                        else:
                            line = lines.get(before)
                            text = line(value) if line else self._learn(data[at:after])
                else:
                    if size == _TWO_BYTES:
                        after = at + 4 + (data[at + 2] << 8 | data[at + 3])
                    elif size == _ONE_BYTE:
                        after = at + 3 + data[at + 2]
                    else:
                        after = element(data, at, end).end
                    chunk = data[at:after]
                    text = blocks.get(chunk)
                    if text is None:
                        before = chunk[: _head(chunk)] if size == _ONE_BYTE else b""
                        line = lines.get(before)
                        text = line(chunk[len(before) :]) if line else self._learn(chunk)
                append(text)
                at = after
        except IndexError:
            raise MalformedReply("an attribute is cut off") from None
        if at != end:
            raise MalformedReply("an attribute goes beyond its entry")
        append(b"\n")

    def _learn(self, chunk: bytes) -> bytes:
        if known := self._watched_blocks.get(chunk):
            return self._see(*known)
        name, values = messages.attribute(chunk)
        attribute = self._attributes.get(name) or self._attribute(name)
        text = attribute.written.lines(values) if attribute.kept else b""
        if attribute.blocks_left and attribute.bytes_left >= len(chunk) + len(text):
            attribute.blocks_left -= 1
            attribute.bytes_left -= len(chunk) + len(text)
            if attribute.watched:
                self._watched_blocks[chunk] = (attribute.name, values, text)
            else:
                self._blocks[chunk] = text
        elif len(values) == 1:
            self._remember_start(chunk, values[0], attribute)
        return self._see(attribute.name, values, text) if attribute.watched else text

    def _attribute(self, name: bytes) -> _Attribute:
        try:
            text = name.decode("ascii")
            written = writer.Attribute(text)
        except ValueError as ex:
            raise MalformedReply(f"{name!r} is no attribute description") from ex
        base = writer.base_name(text)
        kept, watched = self._keeps(text), base in self._watched
        is_new = len(self._attributes) < _MOST_NAMES
        repeats = is_new and not written.secret
        most = self._most_blocks if repeats else 0
        attribute = _Attribute(written, base, kept, watched, most)
        if is_new:
            self._attributes[name] = attribute
        return attribute

    def _remember_start(self, chunk: bytes, value: bytes, attribute: _Attribute) -> None:
        before = chunk[: len(chunk) - len(value)]
        is_short = len(chunk) <= _LONGEST_SHORT + 2
        if not value or not (is_short or chunk[1] == _ONE_BYTE):
            return
        # Of another length, the bytes before the value are not what `_write` would look up.
        if len(before) != (8 + chunk[3] if is_short else _head(chunk)):
            return
        name = chunk[4 : 4 + chunk[3]] if is_short else chunk[5 : 5 + chunk[4]]
        if self._attributes.get(name) is not attribute:
            return
        start = line_start(attribute.written, len(value))
        if is_short and start and attribute.kept and not attribute.watched:
            self._starts[before] = start
        self._lines[before] = self._line(attribute, len(value))

    def _line(self, attribute: _Attribute, size: int) -> Line:
        line = value_line(attribute.written, size) if attribute.kept else lambda _value: b""
        if attribute.watched:
            return lambda value: self._see(attribute.name, [value], line(value))
        return line

    def _see(self, name: str, values: list[bytes], text: bytes) -> bytes:
        self._seen.setdefault(name, []).extend(values)
        return text
