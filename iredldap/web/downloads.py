"""Answers of any length: what leaves as it is made, and clients who do not take it."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import falcon

from iredldap.web.slots import Slots

_AHEAD = 2 * 1024 * 1024
"""Bytes of an answer that are made before the first of them leaves."""


_KEY = "iredldap.held"


class Held:
    """What a request holds until its answer has left."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._stack = ExitStack()
        self.is_empty = True

    def until_the_end(self, release: Callable[[], object]) -> None:
        """Have something done when the answer has left, or cannot."""
        self._stack.callback(release)
        self.is_empty = False

    def place(self, who: str) -> None:
        """Take one of the places for downloads.

        Raises:
            TooManyRequests: If there is none for this caller.
        """
        self.until_the_end(self._slots.take(who))

    def release(self) -> None:
        self._stack.close()


class Holding:
    """WSGI wrapper that releases what a request holds, however its answer ends.

    The server closes an answer when the client has it, is gone, or when making it failed. What a
    framework puts aside on the way, as the body of an answer to HEAD, is no answer; so it is not
    left to the body to release anything.
    """

    def __init__(self, application: Any, slots: Slots) -> None:
        self._application = application
        self._slots = slots

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        held = environ[_KEY] = Held(self._slots)
        try:
            body = self._application(environ, start_response)
        except BaseException:
            held.release()
            raise
        return body if held.is_empty else _Body(body, held)


class _Body:
    """An answer, and what is held for it."""

    def __init__(self, body: Iterable[bytes], held: Held) -> None:
        self._body = body
        self._held = held

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Called by the server, once."""
        try:
            if close := getattr(self._body, "close", None):
                close()
        finally:
            self._held.release()


def held(request: falcon.Request) -> Held:
    """What a request holds."""
    found: Held = request.env[_KEY]
    return found


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


def send(
    request: falcon.Request, response: falcon.Response, chunks: Generator[bytes, None, None]
) -> None:
    """Send an answer as it is made, the headers not before its beginning is there.

    What goes wrong until then is a refusal like any other; a short answer goes as a whole. What
    goes wrong later breaks the connection. An answer that goes in pieces is a download.

    Args:
        request: Whose answer it is.
        response: Gets it.
        chunks: Give it.

    Raises:
        TooManyRequests: If there is no place for a download of this caller.
    """
    beginning = bytearray()
    for chunk in chunks:
        beginning += chunk
        if len(beginning) >= _AHEAD:
            holding = held(request)
            holding.until_the_end(chunks.close)
            holding.place(request.context.caller.address)
            response.stream = Rest(bytes(beginning), chunks)
            return
    response.data = bytes(beginning)
