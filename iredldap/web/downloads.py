"""Send answers of any length as they are made, and release what they hold at their end."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import falcon

from iredldap.web.slots import Slots

_AHEAD = 2 * 1024 * 1024
"""Bytes of an answer that are made before the first is sent: errors up to there are refusals."""


_KEY = "iredldap.held"


class HeldResources:
    """Resources that a request holds until its answer is sent."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._stack = ExitStack()
        self.is_empty = True

    def until_the_end(self, release: Callable[[], object]) -> None:
        """Register a function that is called when the answer is sent, or failed."""
        self._stack.callback(release)
        self.is_empty = False

    def place(self, who: str) -> None:
        """Take one of the slots for downloads.

        Raises:
            TooManyRequests: If none is free for this caller.
        """
        self.until_the_end(self._slots.take(who))

    def release(self) -> None:
        self._stack.close()


class ReleaseAfterAnswer:
    """WSGI wrapper that releases what a request holds, however its answer ends.

    The server closes an answer when the client has it, has disconnected, or when making it failed.
    The body cannot release anything itself: a framework may discard it unclosed, as with HEAD.
    """

    def __init__(self, application: Any, slots: Slots) -> None:
        self._application = application
        self._slots = slots

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        held = environ[_KEY] = HeldResources(self._slots)
        try:
            body = self._application(environ, start_response)
        # Without a body there is nothing that the server would close.
        except BaseException:
            held.release()
            raise
        return body if held.is_empty else _Body(body, held)


class _Body:
    """An answer, and the resources held for it."""

    def __init__(self, body: Iterable[bytes], held: HeldResources) -> None:
        self._body = body
        self._held = held

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Release what is held; called by the server, once."""
        try:
            # The answer's own end first: it may stop a child process that reads from what is
            # released after it.
            if close := getattr(self._body, "close", None):
                close()
        finally:
            self._held.release()


def held(request: falcon.Request) -> HeldResources:
    """Return the resources that a request holds."""
    found: HeldResources = request.env[_KEY]
    return found


class StartedAnswer:
    """An answer whose beginning has been made; closing it closes the source of the rest."""

    def __init__(self, beginning: bytes, rest: Generator[bytes, None, None]) -> None:
        self._beginning = beginning
        self._rest = rest

    def __iter__(self) -> Iterator[bytes]:
        # The 2 MB are not kept for the whole download, which may take minutes on a slow line.
        beginning, self._beginning = self._beginning, b""
        yield beginning
        del beginning
        yield from self._rest

    def close(self) -> None:
        """End the source; called by the server when the client has everything, or has gone."""
        self._rest.close()


def send(
    request: falcon.Request, response: falcon.Response, chunks: Generator[bytes, None, None]
) -> None:
    """Send an answer as it is made, the headers after its beginning was made.

    An error until then is a refusal like any other; later it breaks the connection. A short answer
    is sent as a whole; one that is sent in pieces counts as a download.

    Args:
        request: The request.
        response: Gets the answer.
        chunks: The bytes of the answer.

    Raises:
        TooManyRequests: If no slot for a download of this caller is free.
    """
    beginning = bytearray()
    for chunk in chunks:
        beginning += chunk
        if len(beginning) >= _AHEAD:
            holding = held(request)
            # Before the slot: if none is free, the source of the answer is closed with the refusal,
            # too.
            holding.until_the_end(chunks.close)
            holding.place(request.context.caller.address)
            response.stream = StartedAnswer(bytes(beginning), chunks)
            return
    response.data = bytes(beginning)
