"""Read and write the subset of BER that LDAP uses: tag, length, content.

Lengths may have more bytes than they need, as some servers send them. Nothing is copied before
its length is known to fit into the element around it.

Source: X.690; RFC 4511, section 5.1.
"""

from typing import NamedTuple

from iredldap.errors import InternalError

INTEGER, OCTETS, ENUMERATED, SEQUENCE, SET = 0x02, 0x04, 0x0A, 0x30, 0x31
BOOLEAN = 0x01

_LONG = 0x80
_MOST_LENGTH_BYTES = 8


class MalformedReply(InternalError):
    """A server sent bytes that are not a valid LDAP message."""


class Element(NamedTuple):
    """Position of an element: its content goes from `start` to `end`."""

    tag: int
    start: int
    end: int


def element(data: bytes, at: int, limit: int) -> Element:
    """Locate the element that begins at a position.

    Args:
        data: Bytes that contain it.
        at: Position of its tag.
        limit: End of the element around it.

    Raises:
        MalformedReply: If there is none, or it goes beyond the limit.
    """
    found = header(data, at, limit)
    if found is None or found.end > limit:
        raise MalformedReply("an element goes beyond the one around it")
    return found


def header(data: bytes, at: int, limit: int) -> Element | None:
    """Locate an element that may not have arrived completely; None: its length has not.

    Raises:
        MalformedReply: If its length is none that LDAP allows.
    """
    if at + 2 > limit:
        return None
    tag, size = data[at], data[at + 1]
    start = at + 2
    if size >= _LONG:
        more = size - _LONG
        # RFC 4511, 5.1 allows only the definite form: 0x80 alone, a length to be found at the end,
        # is none.
        if not 1 <= more <= _MOST_LENGTH_BYTES:
            raise MalformedReply(f"a length has {more} bytes")
        # The bytes of the length itself may be split between two reads.
        if start + more > limit:
            return None
        size = int.from_bytes(data[start : start + more], "big")
        start += more
    return Element(tag, start, start + size)


def expect(tag: int, data: bytes, at: int, limit: int) -> Element:
    """Locate the element that begins at a position, and check its tag.

    Raises:
        MalformedReply: As `element`, or if its tag is another.
    """
    found = element(data, at, limit)
    if found.tag != tag:
        raise MalformedReply(f"tag {found.tag:#x} in place of {tag:#x}")
    return found


def octets(data: bytes, at: int, limit: int) -> tuple[bytes, int]:
    """Read an OCTET STRING; return its content and its end.

    Raises:
        MalformedReply: As `expect`.
    """
    _, start, end = expect(OCTETS, data, at, limit)
    return data[start:end], end


def number(tag: int, data: bytes, at: int, limit: int) -> tuple[int, int]:
    """Read an INTEGER or ENUMERATED of at most eight bytes; return it and its end.

    Raises:
        MalformedReply: As `expect`, or if it has no bytes or too many.
    """
    _, start, end = expect(tag, data, at, limit)
    # Longer ones occur in no message of LDAP; a limit keeps a broken one from making a huge number.
    if not 1 <= end - start <= 8:
        raise MalformedReply(f"a number has {end - start} bytes")
    return int.from_bytes(data[start:end], "big", signed=True), end


def encoded(tag: int, *parts: bytes) -> bytes:
    """Encode an element whose content is the parts, one after another."""
    content = b"".join(parts)
    size = len(content)
    if size < _LONG:
        return bytes((tag, size)) + content
    written = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG | len(written))) + written + content


def encoded_number(value: int, tag: int = INTEGER) -> bytes:
    """Encode a number in as few bytes as it needs."""
    # Two's complement: the first bit is the sign, so a number of 8 bits needs a second byte.
    magnitude = value if value >= 0 else ~value
    return encoded(tag, value.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True))
