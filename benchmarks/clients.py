"""Clients that keep their connections and send what they are given, one request after another.

They are on `http.client`, whose own share of a request's time is small.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection, RemoteDisconnected
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlencode, urlsplit

from benchmarks.served import Api


class Call(NamedTuple):
    """A request.

    Args:
        method: Of HTTP.
        path: Below the API's.
        form: What is sent with it.
    """

    method: str
    path: str
    form: dict[str, str]


class Clients:
    """Some clients of a server, each with a connection of its own that is open from the beginning.

    Args:
        api: The server.
        number: Of clients.

    Attributes:
        refused: How many calls were answered 503 with `Retry-After` so far, and sent again.
    """

    def __init__(self, api: Api, number: int) -> None:
        self._prefix = urlsplit(api.url).path
        self._headers = {"Cookie": api.cookie, "Content-Type": "application/x-www-form-urlencoded"}
        self._stack = ExitStack()
        self._connections = [
            self._stack.enter_context(
                closing(HTTPConnection(urlsplit(api.url).netloc, timeout=120))
            )
            for _ in range(number)
        ]
        self._threads = self._stack.enter_context(ThreadPoolExecutor(number))
        self.refused = 0
        # A worker looks at a caller that it has not seen for a second before it answers.
        self.seconds([Call("GET", "/domains?name_only=yes", {})] * number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def seconds(self, calls: Sequence[Call]) -> float:
        """Send requests, each client an equal share of them, and return how long that takes.

        Raises:
            AssertionError: If an answer is neither success nor 503 with `Retry-After`.
        """
        number = len(self._connections)
        size = len(calls) // number
        shares = [calls[client * size : (client + 1) * size] for client in range(number)]
        began = time.perf_counter()
        if number == 1:
            refused = [self._send_all(self._connections[0], calls)]
        else:
            refused = [*self._threads.map(self._send_all, self._connections, shares)]
        spent = time.perf_counter() - began
        self.refused += sum(refused)
        return spent

    def _send_all(self, connection: HTTPConnection, calls: Sequence[Call]) -> int:
        """Send requests until each is carried out; return how often one was not."""
        refused = 0
        for call in calls:
            while not self._send(connection, call):
                refused += 1
        return refused

    def _send(self, connection: HTTPConnection, call: Call) -> bool:
        """Send a request; return whether it was carried out."""
        method, path, form = call
        request = method, self._prefix + path, urlencode(form) or None, self._headers
        try:
            connection.request(*request)
            response = connection.getresponse()
        except (BrokenPipeError, ConnectionResetError, RemoteDisconnected):
            # The server has closed a connection that was idle during a long slice of the other one.
            connection.close()
            connection.request(*request)
            response = connection.getresponse()
        body = response.read()
        if response.status == 503 and response.headers["Retry-After"]:
            return False
        if response.status != 200:
            raise AssertionError(f"{method} {path}: {response.status} {body[:500]!r}")
        return True
