"""Answers of any length: what leaves as it is made, and clients who do not take it."""

import socket
import struct
from collections.abc import Generator, Iterator
from contextlib import suppress

import falcon

_AHEAD = 2 * 1024 * 1024
"""Bytes of an answer that are made before the first of them leaves."""


class Rest:
    """An answer whose beginning is there already; closing it ends the source of the rest."""

    def __init__(self, beginning: bytes, rest: Generator[bytes, None, None]) -> None:
        self._beginning = beginning
        self._rest = rest

    def __iter__(self) -> Iterator[bytes]:
        beginning, self._beginning = self._beginning, b""
        yield beginning
        del beginning
        yield from self._rest

    def close(self) -> None:
        """Called by the server when the client has everything, or is gone."""
        self._rest.close()


def send(response: falcon.Response, chunks: Generator[bytes, None, None]) -> None:
    """Send an answer as it is made, the headers not before its beginning is there.

    What goes wrong until then is a refusal like any other; a short answer goes as a whole. What
    goes wrong later breaks the connection.

    Args:
        response: Gets it.
        chunks: Give it.
    """
    beginning = bytearray()
    for chunk in chunks:
        beginning += chunk
        if len(beginning) >= _AHEAD:
            response.stream = Rest(bytes(beginning), chunks)
            return
    response.data = bytes(beginning)


def cut_off_stalled_client(request: falcon.Request, seconds: int) -> None:
    """Let the kernel end a download of which the client takes no byte for so long.

    gunicorn itself would wait for ever; any byte taken starts the time anew.
    """
    connection = request.env.get("gunicorn.socket")
    if isinstance(connection, socket.socket):
        with suppress(OSError):
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", seconds, 0)
            )
