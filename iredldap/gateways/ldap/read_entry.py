"""Read an entry with the write that changes it: the pre-read and post-read controls.

They are not critical: a server without them carries the write out, and answers without an entry.

Source: RFC 4527. The values are decoded here, because pyasn1 takes longer than a small write.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ldap.controls import RequestControl, ResponseControl

from iredldap.dit.entry import Attributes

PRE_READ, POST_READ = "1.3.6.1.1.13.1", "1.3.6.1.1.13.2"

_SEQUENCE, _OCTETS, _LONG = 0x30, 0x04, 0x80


class ReadControl(RequestControl):  # type: ignore[misc]
    """Request the entry as it is before (`PRE_READ`) or after (`POST_READ`) a write.

    Args:
        oid: Which of both.
        attributes: Names of those to return.
    """

    def __init__(self, oid: str, attributes: Iterable[str]) -> None:
        names = b"".join(_element(_OCTETS, name.encode()) for name in attributes)
        super().__init__(oid, False, _element(_SEQUENCE, names))


class _Response(ResponseControl):  # type: ignore[misc]
    def decodeControlValue(self, encodedControlValue: bytes) -> None:  # noqa: N802, N803
        self.attributes = decoded(encodedControlValue)


class _PreReadResponse(_Response):
    controlType = PRE_READ


class _PostReadResponse(_Response):
    controlType = POST_READ


RESPONSES = {PRE_READ: _PreReadResponse, POST_READ: _PostReadResponse}
"""Classes that decode the controls of a response, by their OIDs."""


@dataclass(frozen=True, slots=True)
class ReadWithWrite:
    """The attributes of an entry before and after a write, as far as requested and readable."""

    before: Attributes
    after: Attributes

    @property
    def state(self) -> str | None:
        """Return the state (entryCSN) that the write has left."""
        return next((value.decode() for value in self.after.get("entryCSN", ())), None)


def read_with(controls: Iterable[ResponseControl]) -> ReadWithWrite:
    """Return what the controls of a response have read."""
    found = {one.controlType: one.attributes for one in controls if isinstance(one, _Response)}
    return ReadWithWrite(found.get(PRE_READ, {}), found.get(POST_READ, {}))


_Content = tuple[int, int]
"""Where the content of an element begins and ends."""


def decoded(entry: bytes) -> Attributes:
    """Decode the attributes of a SearchResultEntry.

    Raises:
        IndexError, ValueError: If it is none, or cut off.
    """
    (content,) = _parts(entry, 0, len(entry))
    _dn, attributes = _parts(entry, *content)
    found: dict[str, list[bytes]] = {}
    for attribute in _parts(entry, *attributes):
        (start, end), values = _parts(entry, *attribute)
        found[entry[start:end].decode()] = [entry[a:b] for a, b in _parts(entry, *values)]
    return found


def _parts(data: bytes, at: int, end: int) -> list[_Content]:
    """Return the contents of the elements that the content of another one consists of."""
    found = []
    while at < end:
        size, start = data[at + 1], at + 2
        if size >= _LONG:
            more = size - _LONG
            size = int.from_bytes(data[start : start + more], "big")
            start += more
        at = start + size
        if at > len(data):
            raise IndexError("an element is cut off")
        found.append((start, at))
    return found


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < _LONG:
        return bytes((tag, size)) + content
    written = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG | len(written))) + written + content
