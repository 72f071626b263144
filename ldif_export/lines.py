"""Lines of values whose length is known: how they are folded is worked out once.

`struct` cuts a value, and `join` puts the pieces together: two calls, whatever the length.

Source: RFC 2849.
"""

from binascii import b2a_base64
from collections.abc import Callable, Iterable
from struct import Struct

from ldif_export import writer
from ldif_export.ber import MalformedReply
from ldif_export.writer import COLUMNS

Line = Callable[[bytes], bytes]


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


def value_line(attribute: writer.Attribute, size: int) -> Line:
    """How to write a value of this size, not 0."""
    if len(attribute.prefix) + 2 > COLUMNS:
        return lambda value: attribute.lines((value,))
    return _secret_line(attribute, size) if attribute.secret else _open_line(attribute, size)


def line_start(attribute: writer.Attribute, size: int) -> bytes | None:
    """What stands before a plain value of this size, where the two make up the line."""
    start = attribute.prefix + b" "
    return None if attribute.secret or len(start) + size > COLUMNS else start


def encoded_start(attribute: writer.Attribute, size: int) -> bytes | None:
    """What stands before a value of this size in base64, where the two make up the line."""
    start = attribute.prefix + b": "
    return None if len(start) + _encoded_size(size) > COLUMNS else start


def _encoded_size(size: int) -> int:
    return 4 * ((size + 2) // 3)


def _open_line(attribute: writer.Attribute, size: int) -> Line:
    start = attribute.prefix + b" "
    cut = _cut(start, size)
    encoded = _secret_line(attribute, size)

    def line(value: bytes) -> bytes:
        if value.translate(_INSIDE) is value and _MAY_BEGIN[value[0]] and _MAY_END[value[-1]]:
            return start + FOLD.join(cut(value)) + b"\n"
        return encoded(value)

    return line


def _secret_line(attribute: writer.Attribute, size: int) -> Line:
    start = attribute.prefix + b": "
    # The line feed at the end of base64 ends the line as well.
    cut = _cut(start, _encoded_size(size), more=1)
    return lambda value: start + FOLD.join(cut(b2a_base64(value)))


def _cut(start: bytes, size: int, more: int = 0) -> Callable[[bytes], tuple[bytes, ...]]:
    """How to cut a text of this size, and so many bytes more, for a line that begins like this."""
    sizes = [min(size, COLUMNS - len(start))]
    while rest := size - sum(sizes):
        sizes.append(min(rest, COLUMNS - 1))
    sizes[-1] += more
    return Struct("".join(f"{piece}s" for piece in sizes)).unpack


FOLD = b"\n "
"""Between the pieces of a folded line."""

DN = b"dn: "
DN_CUTS = [_cut(DN, size) for size in range(_LONGEST_DN + 1)]
"""How the line of a plain DN is cut, by its length."""


def dn_line(dn: bytes) -> bytes:
    """Write the line that begins a record.

    Raises:
        MalformedReply: If it is no text.
    """
    return writer.dn_line(text_of(dn))


def text_of(dn: bytes) -> str:
    """Read a DN.

    Raises:
        MalformedReply: If it is not UTF-8.
    """
    try:
        return dn.decode()
    except UnicodeDecodeError as ex:
        raise MalformedReply(f"a DN is not UTF-8: {dn!r}") from ex
