"""Clients that are slow, or do what few clients do, by sockets."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from tests.support.client import Client, done
from tests.support.patience import PATIENCE
from tests.support.world import World

PASSWORD = "a good password"
USERS = 60

PROMPT = PATIENCE / 6
"""Seconds in which an answer comes that waits for nobody: less than anybody here is waited for."""


def fill(world: World, api: Client) -> None:
    """Make a domain of 20 MB, of which a listing shows 4."""
    done(api.post("/api/domain/corp.test"))
    connection = world.connect()
    for number in range(USERS):
        mail = f"user{number}@corp.test"
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
        portrait = (0, "jpegPhoto", [bytes(range(256)) * 800])
        text = (0, "description", [b"x" * 64_000])
        connection.modify_s(world.tree.user(mail), [portrait, text])
    connection.unbind_s()


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)


@contextmanager
def connected(url: str, count: int, beginning: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections, on which the same was sent."""
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(url)) for _ in range(count)]
        for client in clients:
            client.sendall(beginning)
        yield clients


def head(api: Client, path: str, *headers: str, method: str = "GET") -> bytes:
    """The head of a request with the cookies of a client."""
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in api.session.cookies)
    lines = [f"{method} {path} HTTP/1.1", "Host: a.test", f"Cookie: {cookies}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer whose length is said: status, headers, and body."""
    text = b""
    while b"\r\n\r\n" not in text:
        # One by one: the next answer may follow.
        piece = client.recv(1)
        assert piece, text
        text += piece
    first, *lines = text.decode().strip().split("\r\n")
    split = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in split}
    missing = int(headers.get("content-length", 0))
    body = b""
    while len(body) < missing:
        piece = client.recv(missing - len(body))
        assert piece, body
        body += piece
    return int(first.split()[1]), headers, body


def longest(ask: Callable[[], object], times: int = 20) -> float:
    """The longest of so many calls, in seconds."""
    waits = []
    for _ in range(times):
        began = time.monotonic()
        ask()
        waits.append(time.monotonic() - began)
    return max(waits)
