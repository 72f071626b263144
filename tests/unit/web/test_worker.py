"""Requests get threads when their heads are complete, and those of reserved paths always."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

import pytest

from iredldap.web.worker import RequestPool, reserved_path
from tests.patience import PATIENCE

LONG = PATIENCE


@dataclass
class Connection:
    """What gunicorn hands to the pool, as far as the pool looks at it."""

    sock: socket.socket
    parser: Any = None
    data_ready: bool = False


class Client:
    """A client, and the connection that the server has to it."""

    def __init__(self) -> None:
        self.end, ours = socket.socketpair()
        self.connection = Connection(ours)
        ours.setblocking(False)

    def send(self, text: str) -> "Client":
        self.end.sendall(text.encode())
        return self

    def close(self) -> None:
        self.end.close()
        self.connection.sock.close()


@pytest.fixture
def pool() -> Iterator[RequestPool]:
    made = RequestPool(2)
    yield made
    made.shutdown()


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    made: list[Client] = [Client() for _ in range(8)]
    yield made
    for client in made:
        client.close()


def thread_name(_: Connection) -> str:
    return threading.current_thread().name


def head(path: str, *headers: str) -> str:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: a.test", *headers, "", ""))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (head("/livez"), "/livez"),
        (head("//readyz/"), "/readyz"),
        (head("/readyz?verbose=1"), "/readyz"),
        (head("/livez").replace("GET", "HEAD"), "/livez"),
        (head("/livez").replace("GET", "POST"), None),
        (head("/livezz"), None),
        (head("/api/user/livez"), None),
        (head("/livez", "Content-Length: 5"), None),
        (head("/livez", "transfer-encoding : chunked"), None),
        (head("/livez", "Expect: 100-continue"), None),
        ("", None),
    ],
)
def test_what_is_reserved(text: str, path: str | None) -> None:
    """Requests of two paths, however they are spelled, that have no body to wait for."""
    assert reserved_path(text.encode()) == path


def test_reserved_paths_have_a_thread_while_all_others_are_busy(
    pool: RequestPool, clients: list[Client]
) -> None:
    """Whatever number of requests waits for something."""
    release = threading.Event()

    def wait(_: Connection) -> bool:
        return release.wait(LONG)

    busy = [pool.submit(wait, client.send(head("/api/x")).connection) for client in clients[:5]]

    for client, path in zip(clients[5:], ("/livez", "/readyz"), strict=False):
        lane = pool.submit(thread_name, client.send(head(path)).connection)
        assert lane.result(LONG).startswith(path[1:])

    assert not any(future.done() for future in busy)
    release.set()
    assert all(future.result(LONG) for future in busy)


def test_who_sends_nothing_or_half_a_head_takes_no_thread(
    pool: RequestPool, clients: list[Client]
) -> None:
    """More of them than threads, and others are served; the head may come in pieces later."""
    silent = [pool.submit(thread_name, client.connection) for client in clients[:3]]
    begun = [
        pool.submit(thread_name, client.send("GET /api/x HT").connection) for client in clients[3:6]
    ]

    served = pool.submit(thread_name, clients[7].send(head("/api/x")).connection)

    assert served.result(LONG).startswith("request")
    assert not any(future.done() for future in silent + begun)
    for client in clients[3:6]:
        client.send("TP/1.1\r\n\r\n")
    assert all(future.result(LONG).startswith("request") for future in begun)
    clients[0].send(head("/livez"))
    assert silent[0].result(LONG).startswith("livez")


def test_a_head_must_be_complete_in_time(clients: list[Client]) -> None:
    """Whoever drips is given up, be it a byte or none; the worker closes the connection."""
    with RequestPool(1, head_time=0.2) as pool:
        futures = [
            pool.submit(thread_name, clients[0].connection),
            pool.submit(thread_name, clients[1].send("G").connection),
        ]
        for future in futures:
            with pytest.raises(CancelledError):
                future.result(LONG)


def test_a_worker_that_ends_waits_a_moment_only(pool: RequestPool, clients: list[Client]) -> None:
    """Connections that a browser keeps for later do not delay a restart."""
    future = pool.submit(thread_name, clients[0].connection)
    pool.hurry()
    with pytest.raises(CancelledError):
        future.result(LONG)


def test_the_end_of_a_connection_is_for_the_thread(
    pool: RequestPool, clients: list[Client]
) -> None:
    """Who closes without a word is not waited for."""
    clients[0].end.close()
    assert pool.submit(thread_name, clients[0].connection).result(LONG)


def test_what_the_parser_has_read_ahead_is_not_waited_for(
    pool: RequestPool, clients: list[Client]
) -> None:
    """The next request of a client that did not wait for the answer: the socket has no more."""

    class Unreader:
        class buf:  # noqa: N801 - gunicorn's name
            @staticmethod
            def getvalue() -> bytes:
                return head("/api/x").encode()

    class Parser:
        unreader = Unreader

    clients[0].connection.parser = Parser
    assert pool.submit(thread_name, clients[0].connection).result(LONG)


def test_a_client_that_reads_nothing_frees_the_reserved_thread(
    pool: RequestPool, clients: list[Client]
) -> None:
    """The answers of many requests fill its connection; the thread waits for a second."""

    def fill(connection: Connection) -> None:
        connection.sock.setblocking(True)
        while True:
            connection.sock.sendall(b"x" * 65536)

    stuck: Future[Any] = pool.submit(fill, clients[0].send(head("/livez")).connection)
    with pytest.raises(BlockingIOError):
        stuck.result(LONG)


def test_errors_reach_the_worker(pool: RequestPool, clients: list[Client]) -> None:
    """As from any executor; the thread goes on."""

    def fail(_: Connection) -> None:
        raise ZeroDivisionError

    for client in clients[:3]:
        with pytest.raises(ZeroDivisionError):
            pool.submit(fail, client.send(head("/api/x")).connection).result(LONG)


def test_after_the_end_nothing_is_left_waiting(clients: list[Client]) -> None:
    """A connection that waited for its head is given up, and later ones are."""
    pool = RequestPool(1)
    waiting = pool.submit(thread_name, clients[0].connection)
    pool.shutdown()
    with pytest.raises(CancelledError):
        waiting.result(LONG)
    with pytest.raises(CancelledError):
        pool.submit(thread_name, clients[1].send(head("/api/x")).connection).result(LONG)
