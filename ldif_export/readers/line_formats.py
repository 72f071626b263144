"""Lines of values whose length is known: how they are folded is worked out once.

`struct` cuts a value, and `join` puts the pieces together: two calls, whatever the length.

A line has its line feed before it here, where it can be one text with the name of the attribute.

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
"""What stands before a value, line feed and name; how the value is cut if the line is folded."""


# Translating gives back the same object if nothing changes, which is the fastest look there is.
def _marking(marked: Iterable[int]) -> bytes:
    """Make a table that leaves a text as it is if no byte of it is one of these."""
    flipped = frozenset(marked)
    return bytes(byte ^ 0x80 if byte in flipped else byte for byte in range(0x100))


_FOREIGN = (*range(0x20), *b":<", *range(0x7F, 0x100))
PLAIN = _marking((*_FOREIGN, *b" "))
"""``value.translate(PLAIN) is value`` tells that a value is written as it is; one that is not
empty, and has no blank either."""

SPACED = _marking(_FOREIGN)
"""The same of a value that neither begins nor ends with a blank."""

NOTHING = _marking(range(0x100))
"""No value is left as it is."""

_INSIDE = _marking((0, *b"\n\r", *range(0x80, 0x100)))
# As `writer.is_safe` has it, looked up by the byte.
_MAY_BEGIN = bytes(
    byte in {*b"!", *range(0x22, 0x3A), 0x3B, *range(0x3D, 0x7F)} for byte in range(0x100)
)
_MAY_END = bytes(0x20 < byte < 0x7F for byte in range(0x100))

_LONGEST_DN = 127


def value_encoder(attribute: writer.AttributeWriter, size: int) -> LineEncoder:
    """How to write a value of this size, not 0."""
    plain, encoded = plain_format(attribute, size), base64_format(attribute, size)
    if encoded is None:
        return lambda value: with_leading_newline(attribute.lines((value,)))
    coded = _encoder(*encoded)
    return coded if plain is None else _chooser(*plain, coded)


def plain_format(attribute: writer.AttributeWriter, size: int) -> LineFormat | None:
    """Shape of the line of a value of this size that is written as it is; None: there is none."""
    return None if attribute.secret else _format(attribute.prefix + b" ", size)


def base64_format(attribute: writer.AttributeWriter, size: int) -> LineFormat | None:
    """Shape of the line of a value of this size in base64; None: its name is folded as well."""
    return _format(attribute.prefix + b": ", 4 * ((size + 2) // 3))


def _format(start: bytes, size: int) -> LineFormat | None:
    room = COLUMNS - len(start)
    if room <= 0:
        return None
    return b"\n" + start, _splitter(start, size) if size > room else None


def _encoder(start: bytes, cut: Splitter | None) -> LineEncoder:
    if cut is None:
        return lambda value: start + b2a_base64(value, newline=False)
    return lambda value: start + FOLD.join(cut(b2a_base64(value, newline=False)))


def _chooser(start: bytes, cut: Splitter | None, coded: LineEncoder) -> LineEncoder:
    def line(value: bytes) -> bytes:
        if value.translate(PLAIN) is value or _is_safe(value):
            return start + (FOLD.join(cut(value)) if cut else value)
        return coded(value)

    return line


def _is_safe(value: bytes) -> bool:
    return value.translate(_INSIDE) is value and bool(_MAY_BEGIN[value[0]] and _MAY_END[value[-1]])


def _splitter(start: bytes, size: int) -> Splitter:
    """How to cut a text of this size for a line that begins like this."""
    sizes = [min(size, COLUMNS - len(start))]
    while rest := size - sum(sizes):
        sizes.append(min(rest, COLUMNS - 1))
    return Struct("".join(f"{piece}s" for piece in sizes)).unpack


FOLD = b"\n "
"""Between the pieces of a folded line."""

DN_PREFIX = b"dn: "
DN_SPLITTERS = [_splitter(DN_PREFIX, size) for size in range(_LONGEST_DN + 1)]
"""How the line of a plain DN is cut, by its length."""


def with_leading_newline(lines: bytes) -> bytes:
    """Give lines, or nothing, with the last line feed before the first of them."""
    return b"\n" + lines[:-1] if lines else b""


def dn_line(dn: bytes) -> bytes:
    """Write the line that begins a record, without a line feed.

    Raises:
        MalformedReply: If it is no text.
    """
    return writer.dn_line(decode_dn(dn))[:-1]


def decode_dn(dn: bytes) -> str:
    """Read a DN.

    Raises:
        MalformedReply: If it is not UTF-8.
    """
    try:
        return dn.decode()
    except UnicodeDecodeError as ex:
        raise MalformedReply(f"a DN is not UTF-8: {dn!r}") from ex
