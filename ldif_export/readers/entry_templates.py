"""Find the values in entries that are alike, so that most of an entry needs no parsing.

Accounts of a kind have the same attributes in the same order. A template goes from one value that
varies to the next: all bytes between the two, whole attributes and the head of the next one, are
the key to the text that is written for them. Equal bytes mean the same, so a key that is found
gives the length of the next value and its position. Where a key is not found, the text of the
entry so far is discarded, and the entry is read attribute by attribute.

Source: RFC 4511, section 4.1.7.
"""

from binascii import b2a_base64
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception, named like one
from typing import Any, NamedTuple

from iredldap.ldif import writer
from ldif_export.readers.line_formats import (
    FOLD,
    NOTHING,
    SPACED,
    LineEncoder,
    Splitter,
    base64_format,
    plain_format,
    value_encoder,
    with_leading_newline,
)

_MOST_VARIANTS = 8
"""Of a constant attribute; one with more is taken to vary."""

_LONGEST_GAP = 4096
_MAX_LESSONS = 1000
_MOST_BYTES = 256 * 1024
_LONGEST_VALUE = 0x7F

_Unpack = Callable[[bytes, int], tuple[bytes, bytes]]
_Known = tuple[_Unpack, int, bytes, bytes, Splitter | None, bytes, Splitter | None, LineEncoder]
"""How to take a value and the gap after it; the size of both; then, twice, the text before the
value and how the value is split if the line is folded: for a value that is written as it is, with
the table that leaves it unchanged, and for one in base64, with no text if that is not possible; how
to write all of it otherwise."""


class SampleAttribute(NamedTuple):
    """An attribute of an entry that a template is made from.

    Args:
        written: How its values are written; None: they are not exported.
        name: As the entry has it.
        chunk: Its whole encoding; empty for a password.
        head: The part of that before a single short value; otherwise empty.
        size: Length of that value.
        values: Its values; empty for a password.
        known: Its lines; None: not known yet.
    """

    written: writer.AttributeWriter | None
    name: bytes
    chunk: bytes
    head: bytes
    size: int
    values: Sequence[bytes]
    known: bytes | None

    @property
    def text(self) -> bytes:
        if self.known is not None:
            return self.known
        return with_leading_newline(self.written.lines(self.values)) if self.written else b""


def sample_attribute(
    written: writer.AttributeWriter,
    chunk: bytes,
    name: bytes,
    values: list[bytes],
    *,
    kept: bool,
    text: bytes | None = None,
) -> SampleAttribute:
    """Make a sample of an attribute; it keeps everything but password hashes."""
    size = len(values[0]) if len(values) == 1 else 0
    head = chunk[: len(chunk) - size] if 0 < size <= _LONGEST_VALUE else b""
    if written.secret:
        chunk, values = b"", []
    return SampleAttribute(written if kept else None, name, chunk, head, size, values, text)


@dataclass
class _Step:
    """The way from one value to the next: constant attributes, then one that varies."""

    constant: list[bytes]
    varying: bytes
    gap: int


@dataclass
class EntryTemplate:
    """What entries that begin with the same attribute have in common.

    Args:
        first: Text of that attribute.
        size: Its length in bytes.
        lead: Distance from the beginning to the first value.
        steps: From one value to the next.
        known: How to write values, by the bytes of the gap before them.
        tail: Bytes from the last value to where the entries begin to differ in their attributes.
        tails: Text of those bytes.
        lessons: How many more entries may be learned from.
        room: How many more bytes may be cached.
    """

    first: bytes
    size: int
    lead: int = 0
    steps: list[_Step] = field(default_factory=list)
    known: dict[bytes, _Known] = field(default_factory=dict)
    tail: int = 0
    tails: dict[bytes, bytes] = field(default_factory=dict)
    lessons: int = _MAX_LESSONS
    room: int = _MOST_BYTES
    _last: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, samples: Sequence[Sequence[SampleAttribute]]) -> "EntryTemplate":
        """Make a template from entries that begin with the same attribute."""
        first = samples[0][0]
        template = cls(first.text, len(first.chunk))
        template._find_steps(_most_frequent(samples))
        for sample in samples:
            template.learn(sample)
        return template

    def follow(self, data: bytes, start: int, parts: list[bytes]) -> int:
        """Write the attributes of an entry that the template covers.

        Args:
            data: Bytes that contain the whole entry.
            start: Position of its first attribute, which is the template's.
            parts: Receives the text.

        Returns:
            Position of the first attribute that is not written; `start` if the entry does not
            match, and nothing is written.
        """
        # The hot path: it calls nothing but built-in types, and looks up no attribute in the loop.
        append, known, join, encode = parts.append, self.known, FOLD.join, b2a_base64
        begun = len(parts)
        append(self.first)
        at = start + self.lead
        gap = data[start + self.size : at]
        try:
            for _ in self.steps:
                unpack, onward, table, text, cut, coded, coded_cut, line = known[gap]
                value, gap = unpack(data, at)
                at += onward
                # Both give back the same object if they change nothing: the cheapest test for a
                # safe value.
                if value.translate(table) is value and value.strip() is value:
                    append(text)
                    append(join(cut(value)) if cut else value)
                elif coded and (table is NOTHING or not value.isascii()):
                    append(coded)
                    value = encode(value, newline=False)
                    append(join(coded_cut(value)) if coded_cut else value)
                else:
                    append(line(value))
            append(self.tails[gap])
        except (KeyError, StructError):
            del parts[begun:]
            return start
        return at

    def learn(self, entry: Sequence[SampleAttribute]) -> None:
        """Cache the unknown gaps of an entry, as far as the entry matches the others."""
        # Bounded: entries that never match would otherwise be read twice to the end of the export.
        self.lessons -= 1
        rest = iter(entry[1:])
        for step, following in zip_longest(self.steps, self.steps[1:]):
            constants, varying = _constants(step.constant, rest), next(rest, None)
            # The steps before the first difference are cached all the same: `follow` gives up at a
            # gap that it does not know, and nowhere sooner.
            if constants is None or varying is None or varying.name != step.varying:
                return
            key, text = constants[0] + varying.head, constants[1]
            if not varying.head or len(key) != step.gap or not self._has_room(key, text):
                return
            if key not in self.known:
                self.known[key] = _known(varying, text, following.gap if following else self.tail)
        last = _constants(self._last, rest)
        if last and len(last[0]) == self.tail and self._has_room(*last):
            self.tails[last[0]] = last[1]

    def _has_room(self, key: bytes, text: bytes) -> bool:
        if key in self.known or key in self.tails:
            return True
        self.room -= len(key) + len(text)
        return self.room >= 0

    def _find_steps(self, alike: Sequence[Sequence[SampleAttribute]]) -> None:
        """Find out which attributes vary, and how many bytes lie between them."""
        constant: list[bytes] = []
        gap = 0
        for column in zip(*(entry[1:] for entry in alike), strict=True):
            sample = column[0]
            # A few longer gaps would use up the bytes that may be cached.
            if _is_constant(column) and gap + len(sample.chunk) <= _LONGEST_GAP:
                constant.append(sample.name)
                gap += len(sample.chunk)
            # Several values, or a long one: the template ends here, and the rest is read attribute
            # by attribute.
            elif all(attribute.head for attribute in column):
                self.steps.append(_Step(constant, sample.name, gap + _common_head_size(column)))
                constant, gap = [], 0
            else:
                break
        self._last, self.tail = constant, gap
        self.lead = self.size + (self.steps[0].gap if self.steps else self.tail)


def _known(varying: SampleAttribute, before: bytes, gap: int) -> _Known:
    """Return how to write a value of this size after a text, where a gap follows it."""
    unpack: Any = Struct(f"{varying.size}s{gap}s").unpack_from
    taken = unpack, varying.size + gap
    if varying.written is None:
        return *taken, NOTHING, b"", None, b"", None, lambda _value: before
    line = value_encoder(varying.written, varying.size)
    start, cut = plain_format(varying.written, varying.size) or (b"", None)
    coded, coded_cut = base64_format(varying.written, varying.size) or (b"", None)
    return (
        *taken,
        SPACED if start else NOTHING,
        before + start,
        cut,
        before + coded if coded else b"",
        coded_cut,
        (lambda value: before + line(value)) if before else line,
    )


def _most_frequent(samples: Sequence[Sequence[SampleAttribute]]) -> list[Sequence[SampleAttribute]]:
    """Return the samples that have the most frequent list of attributes."""
    names = [tuple(attribute.name for attribute in sample) for sample in samples]
    usual, _ = Counter(names).most_common(1)[0]
    return [sample for sample, its in zip(samples, names, strict=True) if its == usual]


def _is_constant(column: Sequence[SampleAttribute]) -> bool:
    """Return whether an attribute, not a password, has few encodings, all of the same size."""
    chunks = {attribute.chunk for attribute in column}
    sizes = {len(chunk) for chunk in chunks}
    return all(sizes) and len(sizes) == 1 and len(chunks) <= _MOST_VARIANTS


def _common_head_size(column: Sequence[SampleAttribute]) -> int:
    size, _ = Counter(len(attribute.head) for attribute in column).most_common(1)[0]
    return size


def _constants(
    names: Sequence[bytes], rest: Iterator[SampleAttribute]
) -> tuple[bytes, bytes] | None:
    """Take the attributes with these names; return their encodings and their text."""
    found = list(islice(rest, len(names)))
    if [attribute.name for attribute in found] != names:
        return None
    return b"".join(one.chunk for one in found), b"".join(one.text for one in found)
