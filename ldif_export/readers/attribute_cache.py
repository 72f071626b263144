"""Convert search results straight to LDIF text, reusing what was converted before.

Accounts are alike. The whole encoding of an attribute, name and values, is the key to its
finished lines: three dozen services are one dictionary lookup. Where an attribute varies from
entry to entry, the bytes before its value are the key: they determine its name and the length of
its value, hence the text before the value and whether the line is folded.

Entries of a kind are alike as a whole: after the first ones, an entry template leads from one
value that varies to the next, and only what a template does not match is read attribute by
attribute.

Every cache is bounded; once it is full, nothing is added.

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
"""Per attribute, keys and lines together."""
_COST_OF_ONE = 16
"""How many cached encodings one with a single value counts for: most such attributes vary, and then
they cost hardly more than cached ones."""
_MOST_TEMPLATES = 16
_LARGEST_SAMPLE = 16 * 1024

_LONGEST_SHORT = 0x7F
_ONE_BYTE, _TWO_BYTES = 0x81, 0x82

# An entry as slapd sends nearly all, up to its first attribute, by the length of its DN: lengths
# of two bytes, but for those of number and DN.
_DN_SIZE_AT, _MIN_HEAD = 12, 17
_HEADS = [Struct(f">HH5sHBx{size}sHH").unpack_from for size in range(_LONGEST_SHORT + 1)]
_MAX_HEAD = _MIN_HEAD + _LONGEST_SHORT
_LONG_SEQUENCE = SEQUENCE << 8 | _TWO_BYTES
_NUMBER, _IS_ENTRY = bytes((INTEGER, 1)), bytes((messages.SEARCH_ENTRY, _TWO_BYTES))


def _head(data: bytes, at: int = 0) -> int:
    """Return the number of bytes before a value that is the only one of 128 to 255 bytes.

    The size is that of the whole attribute. This assumes the shortest form of every length; where a
    server uses a longer one, the result matches no key.
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
    """Entries that were converted.

    Args:
        seen: Values of the watched attributes of each entry, by name in lower case; None: not
            recorded.
        parts: Their text, in pieces; `ENTRY_END` is the last piece of each entry and occurs nowhere
            else.
        dns: Their DNs.
    """

    seen: list[dict[str, list[bytes]]] | None = None
    parts: list[bytes] = field(default_factory=list)
    dns: list[bytes] = field(default_factory=list)


class AttributeCache:
    """Convert entries to LDIF, caching what repeats. It serves one export in one thread.

    Args:
        keeps: Whether an attribute is exported.
        watched: Attributes whose values are recorded beside the text, in lower case.
        most_blocks: How many encodings of an attribute are cached as a whole; an attribute that has
            more, or a sixteenth of them with a single value, is taken to vary.
        samples: From how many entries of a kind its template is made.
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
        # Keyed by the bytes before a single value.
        self._lines: dict[bytes, LineEncoder] = {}
        # Both keyed by the first attribute. A template passes over whole attributes unread, so an
        # export that watches some of them has none.
        self._templates: dict[bytes, EntryTemplate] = {}
        self._samples: dict[bytes, list[list[entry_templates.SampleAttribute]]] = {}
        # Keyed by a cached encoding: most of what samples consist of.
        self._sampled: dict[bytes, entry_templates.SampleAttribute] = {}
        self._samples_needed = samples
        self._most_templates = 0 if watched else _MOST_TEMPLATES

    def entries(self, data: bytes, at: int, number: int, written: EntryBuffer) -> int:
        """Convert entries as long as they are complete and encoded the way slapd encodes them.

        Args:
            data: Messages.
            at: Position of the first one.
            number: Message number of the search, below 128; other messages are left alone.
            written: Receives the entries.

        Returns:
            Position of the first message that is something else, or incomplete.

        Raises:
            MalformedReply: If an entry is malformed.
        """
        size = len(data)
        shape = _NUMBER + bytes((number,)) + _IS_ENTRY
        parts, noted, write = written.parts, written.seen, self._write
        note = written.dns.append
        # Left over from the last call if the values are not recorded.
        self._seen = {}
        # The hot loop, once per entry: `struct` checks the head of an entry in one call. Whatever
        # looks different goes the long way, through `entry`.
        while size - at >= _MAX_HEAD and (dn_size := data[at + _DN_SIZE_AT]) <= _LONGEST_SHORT:
            tag, length, seen, inner, name, dn, listed, rest = _HEADS[dn_size](data, at)
            start, end = at + _MIN_HEAD + dn_size, at + 4 + length
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
                self._record_seen(noted)
            at = end
        return at

    def entry(self, data: bytes, head: messages.EntryHead, written: EntryBuffer) -> None:
        """Convert one entry, in whatever valid encoding.

        Raises:
            MalformedReply: If it is malformed.
        """
        self._write(data, head.dn, head.start, head.end, written.parts)
        written.dns.append(head.dn)
        if written.seen is not None:
            self._record_seen(written.seen)

    def _record_seen(self, noted: list[dict[str, list[bytes]]]) -> None:
        noted.append(self._seen)
        self._seen = {}

    def _write(self, data: bytes, dn: bytes, start: int, end: int, parts: list[bytes]) -> None:
        size = len(dn)
        # `translate` returns the same object where nothing is to be replaced, which no comparison
        # is faster than.
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
                    self._write_attributes(data, at, end, parts)
                    if at == start:
                        self._learn_entry(data, start, end, template)
            except (IndexError, error):
                raise MalformedReply("an attribute is truncated") from None
        parts.append(ENTRY_END)

    def _write_attributes(self, data: bytes, at: int, end: int, parts: list[bytes]) -> None:
        blocks, lines, append = self._blocks, self._lines, parts.append
        while at < end:
            # The lengths are read here and not by `element`, which would be a call per attribute.
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
            # By what is before the value first: attributes that vary are the more frequent ones.
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

    def _learn_entry(
        self, data: bytes, start: int, end: int, template: EntryTemplate | None
    ) -> None:
        """Learn from an entry that no template matched."""
        if template is None:
            self._sample(data, start, end)
        elif template.lessons:
            template.learn(self._samples_of(data, start, end))

    def _sample(self, data: bytes, start: int, end: int) -> None:
        first = data[start : start + 2 + data[start + 1]]
        # An attribute that is not cached itself is not one that many entries begin with.
        if first not in self._blocks or end - start > _LARGEST_SAMPLE:
            return
        if first not in self._samples and len(self._samples) >= self._most_templates:
            return
        samples = self._samples.setdefault(first, [])
        samples.append(self._samples_of(data, start, end))
        # Enough to tell what varies; a template of the first entry would match no other.
        if len(samples) == self._samples_needed:
            self._templates[first] = EntryTemplate.of(samples)
            samples.clear()

    def _samples_of(self, data: bytes, at: int, end: int) -> list[entry_templates.SampleAttribute]:
        found = []
        while at < end:
            after = element(data, at, end).end
            chunk = data[at:after]
            found.append(self._sampled.get(chunk) or self._make_sample(chunk))
            at = after
        return found

    def _make_sample(self, chunk: bytes) -> entry_templates.SampleAttribute:
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
            return self._record_values(*known)
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
            self._cache_line(chunk, values[0], attribute)
        return self._record_values(attribute.name, values, text) if attribute.watched else text

    def _attribute(self, name: bytes) -> _Attribute:
        try:
            text = name.decode("ascii")
            written = writer.AttributeWriter(text)
        except ValueError as ex:
            raise MalformedReply(f"{name!r} is not an attribute description") from ex
        base = writer.base_name(text)
        kept, watched = self._keeps(text), base in self._watched
        is_new = len(self._attributes) < _MOST_NAMES
        # Password hashes neither repeat nor may stay in memory.
        repeats = is_new and not written.secret
        most = self._most_blocks if repeats else 0
        attribute = _Attribute(written, base, kept, watched, most)
        if is_new:
            self._attributes[name] = attribute
        return attribute

    def _cache_line(self, chunk: bytes, value: bytes, attribute: _Attribute) -> None:
        before = chunk[: len(chunk) - len(value)]
        is_short = len(chunk) <= _LONGEST_SHORT + 2
        if not value or not (is_short or chunk[1] == _ONE_BYTE):
            return
        # With lengths in a longer form, these are not the bytes that `_write_attributes` looks up.
        if len(before) != (8 + chunk[3] if is_short else _head(chunk)):
            return
        name = chunk[4 : 4 + chunk[3]] if is_short else chunk[5 : 5 + chunk[4]]
        if self._attributes.get(name) is not attribute:
            return
        self._lines[before] = self._line(attribute, len(value))

    def _line(self, attribute: _Attribute, size: int) -> LineEncoder:
        line = value_encoder(attribute.written, size) if attribute.kept else lambda _value: b""
        if attribute.watched:
            return lambda value: self._record_values(attribute.name, [value], line(value))
        return line

    def _record_values(self, name: str, values: list[bytes], text: bytes) -> bytes:
        self._seen.setdefault(name, []).extend(values)
        return text
