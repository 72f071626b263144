"""Requests as they arrive: what is whole, what is large, and what is left to others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.web.server.arrivals import MOST, IncomingRequest

GET = b"GET /api/user/ann@corp.test?a=b HTTP/1.1\r\nHost: a.test\r\n\r\n"
POST = b"POST /api/login HTTP/1.1\r\ncontent-length:  5 \r\n\r\na=b&c"
CHUNKED = (
    b"PUT /api/domain/corp.test HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    b"9;name=value\r\n\r\n0\r\n\r\nab\r\n1\r\nc\r\n0\r\n"
)
WHOLE = {
    "without a body": GET,
    "with one": POST,
    "in chunks": CHUNKED + b"\r\n",
    "with trailers": CHUNKED + b"X-Sum: 1\r\nX-More: 2\r\n\r\n",
    "of an older version": b"GET / HTTP/1.0\r\n\r\n",
}


@pytest.mark.parametrize("request_", WHOLE.values(), ids=WHOLE)
def test_a_request_is_whole_with_its_last_byte(request_: bytes) -> None:
    """Not before, when it comes byte by byte."""
    arrival = IncomingRequest()
    for number in range(len(request_)):
        assert not arrival.is_whole, number
        arrival.add(request_[number : number + 1])
    assert arrival.is_whole
    assert not arrival.is_large
    assert arrival.data == request_


@given(st.sampled_from([*WHOLE.values()]), st.binary(max_size=40), st.data())
def test_pieces_and_what_follows_change_nothing(
    request_: bytes, following: bytes, data: st.DataObject
) -> None:
    """The next request may come along; nothing is lost of it."""
    text = request_ + following
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    arrival = IncomingRequest()
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        arrival.add(text[start:end])
    assert arrival.is_whole
    assert arrival.data == text


def test_the_first_line_is_known() -> None:
    arrival = IncomingRequest(GET)
    assert (arrival.method, arrival.target) == ("GET", "/api/user/ann@corp.test?a=b")


@pytest.mark.parametrize("head", [b"\x16\x03\x01\r\n\r\n", b"GET  / HTTP/1.1\r\n\r\n"])
def test_odd_requests_are_left_to_the_parser(head: bytes) -> None:
    """They are whole, and are of no path."""
    arrival = IncomingRequest(head)
    assert (arrival.is_whole, arrival.method, arrival.target) == (True, "", "")


@pytest.mark.parametrize("size", [b"x", b"", b"-1", b"0x5", b"f" * 20])
def test_odd_chunks_are_left_to_the_parser(size: bytes) -> None:
    """Nobody waits for more of them."""
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert IncomingRequest(head + size + b"\r\n").is_whole


def test_a_long_body_is_large_at_once() -> None:
    """It is not waited for; one that is there already is as good as a short one."""
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    arrival = IncomingRequest(head % (MOST + 1))
    assert (arrival.is_whole, arrival.is_large) == (False, True)
    assert not IncomingRequest(head % MOST).is_large
    arrival.add(b"x" * (MOST + 1))
    assert (arrival.is_whole, arrival.is_large) == (True, False)


def test_many_chunks_become_large() -> None:
    arrival = IncomingRequest(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    sent = 0
    while not arrival.is_large:
        assert sent <= MOST
        arrival.add(b"5\r\nxxxxx\r\n")
        sent += 10
    assert not arrival.is_whole
    assert sent > MOST


def test_an_endless_head_is_too_large() -> None:
    arrival = IncomingRequest(b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * MOST)
    assert arrival.is_too_large
    assert not IncomingRequest(GET + b"x" * MOST).is_too_large


EXPECTING = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"


def test_a_client_that_waits_gets_one_continue() -> None:
    """Their header is gone then: nobody tells them again."""
    arrival = IncomingRequest(EXPECTING)
    assert arrival.continues()
    assert not arrival.continues()
    arrival.add(b"a=b")
    assert arrival.is_whole
    assert arrival.data == EXPECTING.replace(b"Expect: 100-continue\r\n", b"") + b"a=b"


def test_a_client_that_waits_with_chunks_gets_a_continue() -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-Continue\r\n\r\n"
    arrival = IncomingRequest(head)
    assert arrival.continues()
    arrival.add(b"1\r\na\r\n0\r\n\r\n")
    assert arrival.is_whole


@pytest.mark.parametrize(
    "request_",
    [
        EXPECTING[:-2],
        EXPECTING + b"a=b",
        EXPECTING.replace(b" 3", b" 1000000"),
        EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0"),
        POST[:-1],
    ],
    ids=["no head yet", "it came", "a large one", "an older version", "it does not wait"],
)
def test_others_are_not_told_so_here(request_: bytes) -> None:
    """A large body is told to go on by the thread that reads it."""
    assert not IncomingRequest(request_).continues()


def test_empty_lines_are_no_request() -> None:
    """A thread would wait for what comes after them."""
    arrival = IncomingRequest()
    for _ in range(5):
        arrival.add(b"\r\n")
        assert not arrival.is_whole
    arrival.add(GET)
    assert arrival.is_whole
    assert arrival.data == GET
