"""Encode lines whose value has a known length: where they are folded is computed once per length.

`struct` splits a value, and `join` joins the pieces: two calls, whatever the length.

A line is preceded by its line feed here, so that the line feed and the attribute's name are one
text.

Source: RFC 2849.
"""

from binascii import b2a_base64
from collections.abc import Callable, Iterable
from struct import Struct

from iredldap.ldif import writer
from iredldap.ldif.writer import COLUMNS
from ldif_export.protocol.ber import MalformedReply

LineEncoder = Callable[[bytes], bytes]
Splitter = Callable[[bytes], tuple[bytes, ...]]
LineFormat = tuple[bytes, Splitter | None]
"""Text before a value: line feed and name; how the value is split if the line is folded."""


# bytes.translate returns the same object if nothing changes: the fastest test there is for the
# absence of some bytes.
def _marking(marked: Iterable[int]) -> bytes:
    """Make a table that leaves a text unchanged if it has none of these bytes."""
    flipped = frozenset(marked)
    return bytes(byte ^ 0x80 if byte in flipped else byte for byte in range(0x100))


_FOREIGN = (*range(0x20), *b":<", *range(0x7F, 0x100))
PLAIN = _marking((*_FOREIGN, *b" "))
"""``value.translate(PLAIN) is value`` holds for values that are written as they are, not empty and
without a blank."""

SPACED = _marking(_FOREIGN)
"""The same for values that neither begin nor end with a blank."""

NOTHING = _marking(range(0x100))
"""Leaves no value unchanged."""

_INSIDE = _marking((0, *b"\n\r", *range(0x80, 0x100)))
# The rules of `writer.is_safe`, indexed by the byte.
_MAY_BEGIN = bytes(
    byte in {*b"!", *range(0x22, 0x3A), 0x3B, *range(0x3D, 0x7F)} for byte in range(0x100)
)
_MAY_END = bytes(0x20 < byte < 0x7F for byte in range(0x100))

_LONGEST_DN = 127


def value_encoder(attribute: writer.AttributeWriter, size: int) -> LineEncoder:
    """Return how to write a value of this size, not 0."""
    plain, encoded = plain_format(attribute, size), base64_format(attribute, size)
    if encoded is None:
        return lambda value: with_leading_newline(attribute.lines((value,)))
    coded = _encoder(*encoded)
    return coded if plain is None else _chooser(*plain, coded)


def plain_format(attribute: writer.AttributeWriter, size: int) -> LineFormat | None:
    """Return the format of a line with a value of this size as it is; None: there is none."""
    return None if attribute.secret else _format(attribute.prefix + b" ", size)


def base64_format(attribute: writer.AttributeWriter, size: int) -> LineFormat | None:
    """Return the format of a line with a value of this size in base64.

    None: the line is folded within the attribute's name already.
    """
    return _format(attribute.prefix + b": ", 4 * ((size + 2) // 3))


def _format(start: bytes, size: int) -> LineFormat | None:
    room = COLUMNS - len(start)
    # The name alone fills the line, so that folding depends on more than the value's length.
    if room <= 0:
        return None
    return b"\n" + start, _splitter(start, size) if size > room else None


def _encoder(start: bytes, cut: Splitter | None) -> LineEncoder:
    if cut is None:
        return lambda value: start + b2a_base64(value, newline=False)
    return lambda value: start + FOLD.join(cut(b2a_base64(value, newline=False)))


def _chooser(start: bytes, cut: Splitter | None, coded: LineEncoder) -> LineEncoder:
    def line(value: bytes) -> bytes:
        # The first test covers nearly all values; the second allows blanks and colons inside.
        if value.translate(PLAIN) is value or _is_safe(value):
            return start + (FOLD.join(cut(value)) if cut else value)
        return coded(value)

    return line


def _is_safe(value: bytes) -> bool:
    return value.translate(_INSIDE) is value and bool(_MAY_BEGIN[value[0]] and _MAY_END[value[-1]])


def _splitter(start: bytes, size: int) -> Splitter:
    """Return how to split a text of this size for a line that begins like this."""
    sizes = [min(size, COLUMNS - len(start))]
    while rest := size - sum(sizes):
        sizes.append(min(rest, COLUMNS - 1))
    return Struct("".join(f"{piece}s" for piece in sizes)).unpack


FOLD = b"\n "
"""Between the pieces of a folded line."""

DN_PREFIX = b"dn: "
DN_SPLITTERS = [_splitter(DN_PREFIX, size) for size in range(_LONGEST_DN + 1)]
"""How the line of a plain DN is split, by its length."""


def with_leading_newline(lines: bytes) -> bytes:
    """Move the last line feed of some lines before the first one; no lines stay none."""
    return b"\n" + lines[:-1] if lines else b""


def dn_line(dn: bytes) -> bytes:
    """Write the line that begins a record, without a line feed.

    Raises:
        MalformedReply: If the DN is not UTF-8.
    """
    return writer.dn_line(decode_dn(dn))[:-1]


def decode_dn(dn: bytes) -> str:
    """Decode a DN.

    Raises:
        MalformedReply: If it is not UTF-8.
    """
    try:
        return dn.decode()
    except UnicodeDecodeError as ex:
        raise MalformedReply(f"a DN is not UTF-8: {dn!r}") from ex
