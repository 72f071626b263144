"""Answers of any length: how they leave."""

from collections.abc import Generator
from types import SimpleNamespace

import falcon
import pytest
from falcon.testing import create_environ

from iredldap.errors import ServerDown
from iredldap.web import downloads
from iredldap.web.downloads import HeldResources, StartedAnswer, send
from iredldap.web.slots import Slots

CHUNK = b"x" * 100_000
MANY = downloads._AHEAD // len(CHUNK) + 3


class Source:
    """Gives chunks, and says how far it came and whether it was closed."""

    def __init__(self, chunks: int, failing: bool = False) -> None:
        self.given = 0
        self.closed = False
        self._chunks = chunks
        self._failing = failing

    def run(self) -> Generator[bytes, None, None]:
        try:
            for _ in range(self._chunks):
                self.given += 1
                yield CHUNK
            if self._failing:
                raise ServerDown("gone")
        finally:
            self.closed = True


def request(places: int = 8) -> falcon.Request:
    """A request of an admin, as the WSGI wrapper leaves it."""
    asked = falcon.Request(create_environ())
    asked.env["iredldap.held"] = HeldResources(Slots(places, places))
    asked.context.caller = SimpleNamespace(address="ann@corp.test")
    return asked


def stream_of(response: falcon.Response) -> StartedAnswer:
    assert isinstance(response.stream, StartedAnswer)
    return response.stream


def test_a_short_answer_goes_as_a_whole() -> None:
    response, source = falcon.Response(), Source(3)
    send(request(), response, source.run())
    assert (response.data, response.stream) == (CHUNK * 3, None)
    assert source.closed


def test_a_long_answer_leaves_as_it_is_made() -> None:
    """Little more of it is made before than what is kept back."""
    response, source = falcon.Response(), Source(MANY)
    send(request(), response, source.run())
    assert (response.data, source.given) == (None, MANY - 2)
    assert b"".join(stream_of(response)) == CHUNK * MANY
    assert source.closed


@pytest.mark.parametrize("chunks", [0, 3])
def test_what_fails_early_is_refused(chunks: int) -> None:
    with pytest.raises(ServerDown):
        send(request(), falcon.Response(), Source(chunks, failing=True).run())


def test_what_fails_late_has_no_end() -> None:
    response = falcon.Response()
    send(request(), response, Source(MANY, failing=True).run())
    with pytest.raises(ServerDown):
        list(stream_of(response))


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_closing_ends_the_source(taken: int) -> None:
    """However much the client took of it."""
    response, source = falcon.Response(), Source(MANY)
    send(request(), response, source.run())
    chunks = iter(stream_of(response))
    for _ in range(taken):
        next(chunks)
    stream_of(response).close()
    assert source.closed
