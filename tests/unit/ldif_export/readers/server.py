"""What a server says, in bytes, and servers that say it."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import cast

from iredldap.dit.plan import Scope
from ldif_export.protocol import messages
from ldif_export.protocol.ber import ENUMERATED, OCTETS, SEQUENCE, SET, encoded, encoded_number
from ldif_export.protocol.connection import LdapConnection
from ldif_export.readers.base import Projection
from ldif_export.readers.wire import WireReader
from ldif_export.selection import Search, Selection
from tests.support.patience import PATIENCE

Attributes = dict[str, list[bytes]]
Entry = tuple[str, Attributes]

SEARCH = Search("o=x", Scope.SUBTREE, "(objectClass=*)", required=False)
EVERYTHING = Projection(Selection("domain", "a.test"))


def message(operation: bytes, number: int = 1, controls: bytes = b"") -> bytes:
    return encoded(SEQUENCE, encoded_number(number), operation, controls)


def attribute(name: str, values: Iterable[bytes]) -> bytes:
    contained = encoded(SET, *(encoded(OCTETS, value) for value in values))
    return encoded(SEQUENCE, encoded(OCTETS, name.encode()), contained)


def entry(dn: str, attributes: Attributes, number: int = 1, controls: bytes = b"") -> bytes:
    listed = encoded(SEQUENCE, *(attribute(*one) for one in attributes.items()))
    return message(
        encoded(messages.SEARCH_ENTRY, encoded(OCTETS, dn.encode()), listed), number, controls
    )


def result(
    code: int = 0,
    number: int = 1,
    *,
    operation: int = messages.SEARCH_DONE,
    matched: str = "",
    diagnostic: str = "",
    controls: bytes = b"",
) -> bytes:
    texts = [encoded(OCTETS, text.encode()) for text in (matched, diagnostic)]
    return message(encoded(operation, encoded_number(code, ENUMERATED), *texts), number, controls)


def reference(*addresses: str, number: int = 1) -> bytes:
    listed = [encoded(OCTETS, address.encode()) for address in addresses]
    return message(encoded(messages.SEARCH_REFERENCE, *listed), number)


def farewell(code: int = 52, diagnostic: str = "shutting down") -> bytes:
    texts = encoded(OCTETS), encoded(OCTETS, diagnostic.encode())
    name = encoded(0x8A, b"1.3.6.1.4.1.1466.20036")
    said = encoded(messages.EXTENDED_RESPONSE, encoded_number(code, ENUMERATED), *texts, name)
    return message(said, number=0)


class Scripted:
    """A socket that brings the given pieces, and then the end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.sent = b""
        self.closed = False

    def recv(self, size: int) -> bytes:
        return next(self._pieces, b"")

    def sendall(self, data: bytes) -> None:
        if self.closed:
            raise OSError("closed")
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def reader(self, wanted: Projection = EVERYTHING) -> WireReader:
        return WireReader(LdapConnection(cast("socket.socket", self)), wanted)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """Pieces of a size; 0: all at once."""
    size = size or len(data) or 1
    return (data[at : at + size] for at in range(0, len(data), size))


def reader(*pieces: bytes, wanted: Projection = EVERYTHING) -> WireReader:
    """Read the given pieces, whatever is asked."""
    return Scripted(pieces).reader(wanted)


def text(reading: WireReader, search: Search = SEARCH) -> bytes:
    return b"".join(batch.text for batch in reading.batches(search))


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """One end of a connection; a thread answers at the other, and hangs up."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        # Whoever reads may be gone already.
        with theirs, suppress(OSError):
            answer(theirs)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    ours.settimeout(PATIENCE)
    with ours:
        yield ours
    thread.join(PATIENCE)
    assert not thread.is_alive()
