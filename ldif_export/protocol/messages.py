"""The LDAP messages that an export sends and gets, as bytes.

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
"""Most bytes of one message; a longer one is refused."""

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
    """Where a message lies: its operation from `start` to `end`, the next message from `after`.

    Controls may stand between `end` and `after`; none of them changes what is exported.
    """

    number: int
    operation: int
    start: int
    end: int
    after: int


class LdapResult(NamedTuple):
    """How an operation ended."""

    code: int
    matched: str
    diagnostic: str


class EntryHead(NamedTuple):
    """Beginning of an entry: its DN, and where its attributes lie."""

    dn: bytes
    start: int
    end: int


def missing_bytes(data: bytes, at: int) -> int:
    """How many bytes of the message that begins at a position are missing, at least.

    Raises:
        MalformedReply: If it is none, or too long.
    """
    if at < len(data) and data[at] != SEQUENCE:
        raise MalformedReply(f"a message begins with {data[at]:#x}")
    found = header(data, at, len(data))
    if found is None:
        return 1
    if found.end - found.start > LARGEST_MESSAGE:
        raise MalformedReply(f"a message has {found.end - found.start} bytes")
    return max(0, found.end - len(data))


def message(data: bytes, at: int) -> LdapMessage:
    """Open a message that is there as a whole.

    Raises:
        MalformedReply: If it is none.
    """
    _, start, after = expect(SEQUENCE, data, at, len(data))
    identity, start = number(INTEGER, data, start, after)
    operation, start, end = element(data, start, after)
    return LdapMessage(identity, operation, start, end, after)


def head(data: bytes, found: LdapMessage) -> EntryHead:
    """Open an entry.

    Raises:
        MalformedReply: If it is none.
    """
    dn, at = octets(data, found.start, found.end)
    _, start, end = expect(SEQUENCE, data, at, found.end)
    if end != found.end:
        raise MalformedReply("something stands behind the attributes of an entry")
    return EntryHead(dn, start, end)


def attribute(chunk: bytes) -> tuple[bytes, list[bytes]]:
    """Read an attribute: its name, with options, and its values.

    Raises:
        MalformedReply: If the bytes are not exactly one.
    """
    _, at, end = expect(SEQUENCE, chunk, 0, len(chunk))
    name, at = octets(chunk, at, end)
    _, at, last = expect(SET, chunk, at, end)
    if not last == end == len(chunk):
        raise MalformedReply("something stands behind the values of an attribute")
    values = []
    while at < end:
        value, at = octets(chunk, at, end)
        values.append(value)
    return name, values


def result(data: bytes, found: LdapMessage) -> LdapResult:
    """Read how an operation ended.

    Raises:
        MalformedReply: If that is not what the message says.
    """
    code, at = number(ENUMERATED, data, found.start, found.end)
    matched, at = octets(data, at, found.end)
    diagnostic, _ = octets(data, at, found.end)
    return LdapResult(code, matched.decode(errors="replace"), diagnostic.decode(errors="replace"))


def is_disconnection(data: bytes, found: LdapMessage) -> bool:
    """Whether a message is a notice of disconnection."""
    if found.number or found.operation != EXTENDED_RESPONSE:
        return False
    return encoded(_EXTENSION_NAME, _DISCONNECTION) in data[found.start : found.end]


def simple_bind(identity: int, dn: str, password: str) -> bytes:
    """Ask to be somebody."""
    return _bind(identity, dn, encoded(_SIMPLE, password.encode()))


def external_bind(identity: int) -> bytes:
    """Ask to be whom the Unix socket says we are."""
    mechanism = encoded(OCTETS, b"EXTERNAL")
    return _bind(identity, "", encoded(_SASL, mechanism, encoded(OCTETS)))


def start_tls(identity: int) -> bytes:
    """Ask to turn to TLS."""
    return _request(identity, encoded(_EXTENDED_REQUEST, encoded(_EXTENSION, _START_TLS)))


def search(
    identity: int, base: str, scope: int, encoded_filter: bytes, attributes: tuple[str, ...]
) -> bytes:
    """Ask for entries, referral objects as entries too, as many as the server gives at most.

    Args:
        identity: Number of the message.
        base: DN where it begins.
        scope: As RFC 4511 counts.
        encoded_filter: As `filters.parsed` gives it.
        attributes: What is wanted of each; empty: all but operational ones.
    """
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
    """Give up an operation."""
    return _request(identity, encoded_number(abandoned, _ABANDON))


def unbind(identity: int) -> bytes:
    """Say goodbye."""
    return _request(identity, _UNBIND)


def _bind(identity: int, dn: str, credentials: bytes) -> bytes:
    name = encoded(OCTETS, dn.encode())
    return _request(identity, encoded(_BIND_REQUEST, encoded_number(_VERSION), name, credentials))


def _request(identity: int, operation: bytes, controls: bytes = b"") -> bytes:
    return encoded(SEQUENCE, encoded_number(identity), operation, controls)
