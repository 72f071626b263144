"""From the bytes of a search result straight to LDIF text, by what was seen before.

Accounts are alike. The whole encoding of an attribute, name and values, is the key to its
finished lines: three dozen services are one look into a dictionary. Where an attribute varies
from entry to entry, the bytes before its value are the key: they fix its name and the length of
its value, hence what stands before the value and whether the line is folded.

Entries of a kind are alike as a whole: after the first ones, an template leads from one value that
varies to the next, and only what an template does not foresee is read attribute by attribute.

What is remembered is bounded; once it is full, nothing new is.

Source: RFC 2849; RFC 4511, section 4.1.7.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct, error

from iredldap.ldif import writer
from ldif_export.protocol import messages
from ldif_export.protocol.ber import INTEGER, OCTETS, SEQUENCE, MalformedReply, element
from ldif_export.readers import entry_templates
from ldif_export.readers.base import ENTRY_END
from ldif_export.readers.entry_templates import EntryTemplate
from ldif_export.readers.line_formats import (
    DN_PREFIX,
    DN_SPLITTERS,
    FOLD,
    PLAIN,
    LineEncoder,
    dn_line,
    value_encoder,
    with_leading_newline,
)

_MOST_NAMES = 64
_MOST_BYTES = 256 * 1024
"""Of one attribute, keys and lines together."""
_COST_OF_ONE = 16
"""For how many encodings one of a single value counts: most such attributes vary, and then they
cost little more than if they were remembered."""
_MOST_TEMPLATES = 16
_LARGEST_SAMPLE = 16 * 1024

_LONGEST_SHORT = 0x7F
_ONE_BYTE, _TWO_BYTES = 0x81, 0x82

# An entry as slapd sends nearly all, up to its first attribute, by the length of its DN: lengths
# of two bytes, but for those of number and DN.
_DN_SIZE_AT, _LEAST_HEAD = 12, 17
_HEADS = [Struct(f">HH5sHBx{size}sHH").unpack_from for size in range(_LONGEST_SHORT + 1)]
_MOST_HEAD = _LEAST_HEAD + _LONGEST_SHORT
_LONG_SEQUENCE = SEQUENCE << 8 | _TWO_BYTES
_NUMBER, _IS_ENTRY = bytes((INTEGER, 1)), bytes((messages.SEARCH_ENTRY, _TWO_BYTES))


def _head(data: bytes, at: int = 0) -> int:
    """How many bytes stand before the value, if an attribute of 128 to 255 bytes has only one.

    All lengths are written with as few bytes as they need; where they are not, what is given is
    no key of anything.
    """
    name = data[at + 4]
    size = data[at + 2] - 2 - name
    set_head = 2 if size <= _LONGEST_SHORT + 2 else 3
    return 5 + name + set_head + (2 if size - set_head <= _LONGEST_SHORT + 2 else 3)


@dataclass
class _Attribute:
    written: writer.AttributeWriter
    name: str
    kept: bool
    watched: bool
    blocks_left: int
    bytes_left: int = _MOST_BYTES


@dataclass
class EntryBuffer:
    """Entries that were written.

    Args:
        parts: Their text, in pieces; the last one of each entry is `ENTRY_END`, and no other is.
        dns: Their DNs.
        seen: The values of what is watched in each, by name in lower case. None: nobody asks.
    """

    seen: list[dict[str, list[bytes]]] | None = None
    parts: list[bytes] = field(default_factory=list)
    dns: list[bytes] = field(default_factory=list)


class AttributeCache:
    """Write entries, remembering what repeats. It serves one export in one thread.

    Args:
        keeps: Whether an attribute is written.
        watched: Attributes whose values are wanted beside the text, in lower case.
        most_blocks: How many encodings of an attribute are remembered as a whole; one that has
            more of them, or a sixteenth of them with a single value, varies.
        samples: By how many entries of a kind their template is made.
    """

    def __init__(
        self,
        keeps: Callable[[str], bool],
        watched: frozenset[str] = frozenset(),
        most_blocks: int = 1500,
        samples: int = 64,
    ) -> None:
        self._keeps = keeps
        self._watched = watched
        self._most_blocks = most_blocks
        self._seen: dict[str, list[bytes]] = {}
        self._attributes: dict[bytes, _Attribute] = {}
        self._blocks: dict[bytes, bytes] = {}
        self._watched_blocks: dict[bytes, tuple[str, list[bytes], bytes]] = {}
        # By the bytes before a single value.
        self._lines: dict[bytes, LineEncoder] = {}
        # Both by the first attribute. What is watched is seen attribute by attribute only.
        self._templates: dict[bytes, EntryTemplate] = {}
        self._samples: dict[bytes, list[list[entry_templates.SampleAttribute]]] = {}
        # By an encoding that is remembered: most of what samples consist of.
        self._sampled: dict[bytes, entry_templates.SampleAttribute] = {}
        self._enough = samples
        self._most_templates = 0 if watched else _MOST_TEMPLATES

    def entries(self, data: bytes, at: int, number: int, written: EntryBuffer) -> int:
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
        size = len(data)
        shape = _NUMBER + bytes((number,)) + _IS_ENTRY
        parts, noted, write = written.parts, written.seen, self._write
        note = written.dns.append
        # Nobody took what was seen if nobody asked.
        self._seen = {}
        while size - at >= _MOST_HEAD and (dn_size := data[at + _DN_SIZE_AT]) <= _LONGEST_SHORT:
            tag, length, seen, inner, name, dn, listed, rest = _HEADS[dn_size](data, at)
            start, end = at + _LEAST_HEAD + dn_size, at + 4 + length
            if (
                seen != shape
                or not tag == listed == _LONG_SEQUENCE
                or name != OCTETS
                or inner != length - 7
                or rest != end - start
                or end > size
            ):
                break
            write(data, dn, start, end, parts)
            note(dn)
            if noted is not None:
                self._note(noted)
            at = end
        return at

    def entry(self, data: bytes, head: messages.EntryHead, written: EntryBuffer) -> None:
        """Write one entry, whatever it looks like.

        Raises:
            MalformedReply: If it is none.
        """
        self._write(data, head.dn, head.start, head.end, written.parts)
        written.dns.append(head.dn)
        if written.seen is not None:
            self._note(written.seen)

    def _note(self, noted: list[dict[str, list[bytes]]]) -> None:
        noted.append(self._seen)
        self._seen = {}

    def _write(self, data: bytes, dn: bytes, start: int, end: int, parts: list[bytes]) -> None:
        size = len(dn)
        if 0 < size < len(DN_SPLITTERS) and dn.translate(PLAIN) is dn:
            parts.append(DN_PREFIX)
            parts.append(FOLD.join(DN_SPLITTERS[size](dn)))
        else:
            parts.append(dn_line(dn))
        if start < end:
            try:
                template = self._templates.get(data[start : start + data[start + 1] + 2])
                at = template.follow(data, start, parts) if template else start
                if at != end:
                    self._each(data, at, end, parts)
                    if at == start:
                        self._look_at(data, start, end, template)
            except (IndexError, error):
                raise MalformedReply("an attribute is cut off") from None
        parts.append(ENTRY_END)

    def _each(self, data: bytes, at: int, end: int, parts: list[bytes]) -> None:
        blocks, lines, append = self._blocks, self._lines, parts.append
        while at < end:
            size, begin = data[at + 1], at
            if size <= _LONGEST_SHORT:
                after = at + 2 + size
                begin = at + 8 + data[at + 3]
            elif size == _TWO_BYTES:
                after = at + 4 + (data[at + 2] << 8 | data[at + 3])
            elif size == _ONE_BYTE:
                after = at + 3 + data[at + 2]
                begin = at + _head(data, at)
            else:
                after = element(data, at, end).end
            line = lines.get(data[at:begin])
            if line:
                append(line(data[begin:after]))
            else:
                chunk = data[at:after]
                text = blocks.get(chunk)
                append(self._learn(chunk) if text is None else text)
            at = after
        if at != end:
            raise MalformedReply("an attribute goes beyond its entry")

    def _look_at(self, data: bytes, start: int, end: int, template: EntryTemplate | None) -> None:
        """Learn from an entry that no template foresaw."""
        if template is None:
            self._sample(data, start, end)
        elif template.lessons:
            template.learn(self._attributes_of(data, start, end))

    def _sample(self, data: bytes, start: int, end: int) -> None:
        first = data[start : start + 2 + data[start + 1]]
        # What is not remembered by itself is none that many entries begin with.
        if first not in self._blocks or end - start > _LARGEST_SAMPLE:
            return
        if first not in self._samples and len(self._samples) >= self._most_templates:
            return
        samples = self._samples.setdefault(first, [])
        samples.append(self._attributes_of(data, start, end))
        if len(samples) == self._enough:
            self._templates[first] = EntryTemplate.of(samples)
            samples.clear()

    def _attributes_of(
        self, data: bytes, at: int, end: int
    ) -> list[entry_templates.SampleAttribute]:
        found = []
        while at < end:
            after = element(data, at, end).end
            chunk = data[at:after]
            found.append(self._sampled.get(chunk) or self._look_into(chunk))
            at = after
        return found

    def _look_into(self, chunk: bytes) -> entry_templates.SampleAttribute:
        name, values = messages.attribute(chunk)
        known = self._attributes.get(name) or self._attribute(name)
        text = self._blocks.get(chunk)
        found = entry_templates.sample_attribute(
            known.written, chunk, name, values, kept=known.kept, text=text
        )
        if text is not None:
            self._sampled[chunk] = found
        return found

    def _learn(self, chunk: bytes) -> bytes:
        if known := self._watched_blocks.get(chunk):
            return self._see(*known)
        name, values = messages.attribute(chunk)
        attribute = self._attributes.get(name) or self._attribute(name)
        text = with_leading_newline(attribute.written.lines(values)) if attribute.kept else b""
        cost = _COST_OF_ONE if len(values) == 1 else 1
        if attribute.blocks_left >= cost and attribute.bytes_left >= len(chunk) + len(text):
            attribute.blocks_left -= cost
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
            written = writer.AttributeWriter(text)
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
        self._lines[before] = self._line(attribute, len(value))

    def _line(self, attribute: _Attribute, size: int) -> LineEncoder:
        line = value_encoder(attribute.written, size) if attribute.kept else lambda _value: b""
        if attribute.watched:
            return lambda value: self._see(attribute.name, [value], line(value))
        return line

    def _see(self, name: str, values: list[bytes], text: bytes) -> bytes:
        self._seen.setdefault(name, []).extend(values)
        return text
