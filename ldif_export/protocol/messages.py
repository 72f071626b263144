"""Encode the LDAP requests that an export sends, and decode the responses.

Source: RFC 4511, section 4 and appendix B; RFC 3296 (ManageDsaIT); RFC 4513 (SASL EXTERNAL).
"""

from typing import NamedTuple

from iredldap.dit.parts import MOST_ENTRIES
from ldif_export.protocol.ber import (
    BOOLEAN,
    ENUMERATED,
    INTEGER,
    OCTETS,
    SEQUENCE,
    SET,
    MalformedReply,
    element,
    encoded,
    encoded_number,
    expect,
    header,
    number,
    octets,
)

BIND_RESPONSE = 0x61
SEARCH_ENTRY = 0x64
SEARCH_DONE = 0x65
SEARCH_REFERENCE = 0x73
EXTENDED_RESPONSE = 0x78
INTERMEDIATE = 0x79

LARGEST_MESSAGE = 256 * 1024 * 1024
"""Largest message in bytes; a longer one is refused."""

_BIND_REQUEST, _SEARCH_REQUEST, _EXTENDED_REQUEST = 0x60, 0x63, 0x77
_UNBIND, _ABANDON = b"\x42\x00", 0x50
_SIMPLE, _SASL = 0x80, 0xA3
_EXTENSION, _EXTENSION_NAME = 0x80, 0x8A
_START_TLS = b"1.3.6.1.4.1.1466.20037"
_DISCONNECTION = b"1.3.6.1.4.1.1466.20036"
_CONTROLS = 0xA0
_MANAGE_DSA_IT = b"2.16.840.1.113730.3.4.2"
_VERSION = 3


class LdapMessage(NamedTuple):
    """Position of a message: its operation from `start` to `end`, the next message from `after`.

    Controls may lie between `end` and `after`; none of them changes what is exported.
    """

    number: int
    operation: int
    start: int
    end: int
    after: int


class LdapResult(NamedTuple):
    """Result of an operation."""

    code: int
    matched: str
    diagnostic: str


class EntryHead(NamedTuple):
    """Beginning of an entry: its DN, and the position of its attributes."""

    dn: bytes
    start: int
    end: int


def missing_bytes(data: bytes, at: int) -> int:
    """Return how many bytes of the message at a position are missing, at least.

    Raises:
        MalformedReply: If it is no message, or too long.
    """
    if at < len(data) and data[at] != SEQUENCE:
        raise MalformedReply(f"a message begins with {data[at]:#x}")
    found = header(data, at, len(data))
    # Not even the length has arrived: one byte at least is missing.
    if found is None:
        return 1
    # Judged before anything of it is kept: a server that is none, or a broken one, must not fill
    # the memory.
    if found.end - found.start > LARGEST_MESSAGE:
        raise MalformedReply(f"a message has {found.end - found.start} bytes")
    return max(0, found.end - len(data))


def message(data: bytes, at: int) -> LdapMessage:
    """Decode the envelope of a complete message.

    Raises:
        MalformedReply: If it is no message.
    """
    _, start, after = expect(SEQUENCE, data, at, len(data))
    identity, start = number(INTEGER, data, start, after)
    operation, start, end = element(data, start, after)
    return LdapMessage(identity, operation, start, end, after)


def head(data: bytes, found: LdapMessage) -> EntryHead:
    """Decode the head of an entry.

    Raises:
        MalformedReply: If it is malformed.
    """
    dn, at = octets(data, found.start, found.end)
    _, start, end = expect(SEQUENCE, data, at, found.end)
    if end != found.end:
        raise MalformedReply("data follows the attributes of an entry")
    return EntryHead(dn, start, end)


def attribute(chunk: bytes) -> tuple[bytes, list[bytes]]:
    """Decode an attribute: its name, with options, and its values.

    Raises:
        MalformedReply: If the bytes are not exactly one attribute.
    """
    _, at, end = expect(SEQUENCE, chunk, 0, len(chunk))
    name, at = octets(chunk, at, end)
    _, at, last = expect(SET, chunk, at, end)
    if not last == end == len(chunk):
        raise MalformedReply("data follows the values of an attribute")
    values = []
    while at < end:
        value, at = octets(chunk, at, end)
        values.append(value)
    return name, values


def result(data: bytes, found: LdapMessage) -> LdapResult:
    """Decode the result of an operation.

    Raises:
        MalformedReply: If the message holds no result.
    """
    code, at = number(ENUMERATED, data, found.start, found.end)
    matched, at = octets(data, at, found.end)
    diagnostic, _ = octets(data, at, found.end)
    return LdapResult(code, matched.decode(errors="replace"), diagnostic.decode(errors="replace"))


def is_disconnection(data: bytes, found: LdapMessage) -> bool:
    """Return whether a message is a notice of disconnection."""
    # Unsolicited notifications have the message number 0 (RFC 4511, section 4.4).
    if found.number or found.operation != EXTENDED_RESPONSE:
        return False
    # It ends the connection from the server's side (RFC 4511, 4.4.1), and its result says why.
    return encoded(_EXTENSION_NAME, _DISCONNECTION) in data[found.start : found.end]


def simple_bind(identity: int, dn: str, password: str) -> bytes:
    """Encode a simple bind request."""
    return _bind(identity, dn, encoded(_SIMPLE, password.encode()))


def external_bind(identity: int) -> bytes:
    """Encode a SASL EXTERNAL bind request: the server takes the identity from the Unix socket."""
    mechanism = encoded(OCTETS, b"EXTERNAL")
    return _bind(identity, "", encoded(_SASL, mechanism, encoded(OCTETS)))


def start_tls(identity: int) -> bytes:
    """Encode a StartTLS request."""
    return _request(identity, encoded(_EXTENDED_REQUEST, encoded(_EXTENSION, _START_TLS)))


def search(
    identity: int, base: str, scope: int, encoded_filter: bytes, attributes: tuple[str, ...]
) -> bytes:
    """Encode a search request with ManageDsaIT: referral objects are returned as entries.

    It asks for as many entries as the server returns at most.

    Args:
        identity: Message number.
        base: Base DN.
        scope: As RFC 4511 numbers the scopes.
        encoded_filter: As `filters.encode` returns it.
        attributes: Attributes to return; empty: all but operational ones.
    """
    # Aliases are exported and not followed, or an entry would be in the text twice.
    never_dereferenced, no_limit = encoded_number(0, ENUMERATED), encoded_number(0)
    most_entries = encoded_number(MOST_ENTRIES)
    return _request(
        identity,
        encoded(
            _SEARCH_REQUEST,
            encoded(OCTETS, base.encode()),
            encoded_number(scope, ENUMERATED),
            never_dereferenced,
            most_entries,
            no_limit,
            encoded(BOOLEAN, b"\x00"),
            encoded_filter,
            encoded(SEQUENCE, *(encoded(OCTETS, name.encode()) for name in attributes)),
        ),
        encoded(_CONTROLS, encoded(SEQUENCE, encoded(OCTETS, _MANAGE_DSA_IT))),
    )


def abandon(identity: int, abandoned: int) -> bytes:
    """Encode an abandon request."""
    return _request(identity, encoded_number(abandoned, _ABANDON))


def unbind(identity: int) -> bytes:
    """Encode an unbind request."""
    return _request(identity, _UNBIND)


def _bind(identity: int, dn: str, credentials: bytes) -> bytes:
    name = encoded(OCTETS, dn.encode())
    return _request(identity, encoded(_BIND_REQUEST, encoded_number(_VERSION), name, credentials))


def _request(identity: int, operation: bytes, controls: bytes = b"") -> bytes:
    return encoded(SEQUENCE, encoded_number(identity), operation, controls)
