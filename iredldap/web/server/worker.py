"""Run gunicorn's worker with threads for complete requests, and limits on slow calls.

gunicorn gives a connection to a thread as soon as it is accepted; a client that sends a request
slowly, or none, blocks that thread. Here the worker's own loop, which waits for all connections at
once, gathers requests (`web/server/arrivals.py`), and the threads are shared out by the cost of
calls (`web/server/threads.py`).

It builds upon what `gunicorn.workers.gthread.ThreadWorker` has in versions 24 to 27: `enqueue_req`,
which the loop calls for a connection that is new or sends again, `handle_request`, which a thread
calls, `finish_request`, which the loop calls afterwards, `get_thread_pool` and `run`; and upon
`poller`, which calls what is registered with a socket.
"""

import json
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import Any, ClassVar

from gunicorn.workers.gthread import ThreadWorker

from iredldap.config.sections import Config
from iredldap.errors import InvalidParameter, Refusal
from iredldap.http_errors import RequestTimeout
from iredldap.web.endpoints.endpoint import Load
from iredldap.web.server.arrivals import IncomingRequest
from iredldap.web.server.connection import Connection, Limits
from iredldap.web.server.threads import Pool, ThreadLimits

_PIECE = 16 * 1024
_TICK = 0.1
"""Seconds between two looks for connections and calls that waited too long."""

_LINGER = 2.0
"""Seconds for a client to close a connection after its last answer, since closing with bytes unread
would take the end of the answer away from it; and to send the rest of a request when the worker
ends."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REFUSAL = (
    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n{served_by}Connection: close\r\n"
    "Content-Length: {length}\r\n\r\n"
    "{envelope}"
)


class _Poller(selectors.DefaultSelector):
    """A poller that calls a function before each wait, which returns the longest time to wait."""

    def __init__(self, between: Callable[[], float]) -> None:
        super().__init__()
        self._between = between

    def select(self, timeout: float | None = None) -> Any:
        most = self._between()
        return super().select(most if timeout is None else min(timeout, most))


@dataclass
class _Arriving:
    """A request that a connection sends, and the time of its beginning."""

    request: IncomingRequest
    since: float = field(default_factory=time.monotonic)


class Worker(ThreadWorker):  # type: ignore[misc]
    """Serves requests; `serving` makes the class for a configuration."""

    config: ClassVar[Config]
    poller: selectors.BaseSelector

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        api, server = self.config.api, self.config.server
        self._limits = Limits(server.request_timeout, server.least_rate, api.stalled_download)
        self._arriving: dict[Any, _Arriving] = {}
        self._lingering: dict[socket.socket, float] = {}
        self._next_look = self._stopping = 0.0

    def get_thread_pool(self) -> Pool:
        """Make the threads."""
        server = self.config.server
        # Half of them for calls that take long, so that short ones always find the others.
        heavy = max(1, server.threads // 2)
        return Pool(
            ThreadLimits(server.threads, heavy, server.queue_timeout, self.worker_connections)
        )

    def run(self) -> None:
        """Serve until the end."""
        # Not above: this module is loaded before the fork, the application after it.
        from iredldap.web.endpoints.index import SERVED  # noqa: PLC0415
        from iredldap.web.server.loads import Loads  # noqa: PLC0415

        self._loads = Loads(SERVED)
        # Before the first connection is registered: gunicorn has made one of its own in the
        # meantime.
        self.poller.close()
        self.poller = _Poller(self._look_around)
        super().run()

    # --- requests that arrive -----------------------------------------------------------------

    def enqueue_req(self, conn: Any) -> None:
        """Gather the next request of a connection, then give it to a thread."""
        # gunicorn's own TLS is read by the thread; behind nginx there is none here.
        if self.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        if not conn.initialized:
            conn.sock = Connection(conn.sock, self._limits)
            conn.close = partial(self._close, conn)
            conn.init()
        # What was sent along with the request before.
        unread = conn.parser.unreader.buf.getvalue()
        conn.parser.unreader.buf = BytesIO()
        self._receive(conn, _Arriving(IncomingRequest(unread)))

    def _receive(self, conn: Any, arriving: "_Arriving") -> None:
        """Receive what has arrived of a request, and give it to a thread if that is enough."""
        arrival = arriving.request
        # What came along with the request before may be a whole one already.
        if not (arrival.is_whole or arrival.is_large):
            try:
                data = conn.sock.take(_PIECE)
            except BlockingIOError:
                self._await(conn, arriving)
                return
            except OSError:
                data = b""
            if not data:
                self._give_up(conn)
                return
            if not arrival.data:
                # Until it begins, a request is not late.
                arriving.since = time.monotonic()
            arrival.add(data)
        if arrival.is_whole or arrival.is_large:
            self._hand_over(conn, arriving)
        elif arrival.is_too_large:
            self._refuse(conn, "400 Bad Request", InvalidParameter)
        else:
            if arrival.continues():
                self._say(conn.sock, _CONTINUE)
            self._await(conn, arriving)

    def _await(self, conn: Any, arriving: "_Arriving") -> None:
        if conn not in self._arriving:
            self._arriving[conn] = arriving
            self.poller.register(
                conn.sock, selectors.EVENT_READ, lambda _: self._receive(conn, arriving)
            )

    def _no_longer_await(self, conn: Any) -> None:
        if self._arriving.pop(conn, None):
            self.poller.unregister(conn.sock)

    def _hand_over(self, conn: Any, arriving: "_Arriving") -> None:
        self._no_longer_await(conn)
        arrival = arriving.request
        conn.parser.unreader.unread(bytes(arrival.data))
        sock: Connection = conn.sock
        large = arrival.is_large
        load = Load.UPLOAD if large else self._loads.of(arrival.method, arrival.target)
        sock.begin(load, is_large=large, waited=time.monotonic() - arriving.since)
        super().enqueue_req(conn)

    def _refuse(self, conn: Any, status: str, refusal: type[Refusal]) -> None:
        """Answer an incomplete request, without a thread."""
        envelope = json.dumps({"_success": False, "_msg": refusal.code})
        server = self.config.server
        text = _REFUSAL.format(
            status=status,
            served_by=f"X-Served-By: {server.node_name}\r\n" if server.served_by else "",
            length=len(envelope),
            envelope=envelope,
        )
        self._say(conn.sock, text.encode())
        self._give_up(conn, graceful=True)

    def _say(self, sock: Connection, data: bytes) -> None:
        """Send a few bytes, without waiting for the client to take them."""
        try:
            sock.send(data, socket.MSG_DONTWAIT)
        except OSError as ex:
            self.log.debug("a client takes nothing: %s", ex)

    def _give_up(self, conn: Any, *, graceful: bool = False) -> None:
        self._no_longer_await(conn)
        # gunicorn counts connections, and accepts no more above its maximum.
        self.nr_conns -= 1
        conn.close(graceful=graceful)

    # --- requests that are carried out --------------------------------------------------------

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Handle a request, in a thread."""
        if getattr(conn.sock, "is_large", False):
            # Close the connection after the answer: the rest of the body is not waited for.
            req.force_close()
        return super().handle_request(req, conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Continue with a connection whose request has been answered."""
        if not fs.cancelled() and not fs.exception() and fs.result() and self._has_more(conn):
            # Versions before 27 would wait for the socket, which has no more to show.
            self.enqueue_req(conn)
        else:
            super().finish_request(conn, fs)

    @staticmethod
    def _has_more(conn: Any) -> bool:
        """Return whether the next request, or a part of it, came along with the last one."""
        return conn.initialized and bool(conn.parser.unreader.buf.getvalue())

    # --- what is too late, and what ends ------------------------------------------------------

    def _look_around(self) -> float:
        """Close what waited too long; return the seconds until the next look at the latest."""
        now = time.monotonic()
        if self.alive:
            self._stopping = now
        if now >= self._next_look:
            self._next_look = now + _TICK
            self.tpool.tick()
            for conn, arriving in list(self._arriving.items()):
                self._judge(conn, arriving, now)
            for sock in [sock for sock, until in self._lingering.items() if until <= now]:
                self._let_go(sock)
        return _TICK if self.tpool.has_waiting or self._arriving or self._lingering else 1.0

    def _judge(self, conn: Any, arriving: "_Arriving", now: float) -> None:
        seconds = now - arriving.since
        if not self.alive:
            # A restart does not wait for spare connections of browsers, and half requests.
            if now - self._stopping >= _LINGER:
                self._give_up(conn)
        elif not arriving.request.data:
            # A spare connection, which costs nothing but itself.
            if seconds >= self.cfg.keepalive:
                self._give_up(conn)
        elif seconds >= self._limits.request:
            self._refuse(conn, "408 Request Timeout", RequestTimeout)

    def _close(self, conn: Any, graceful: bool = False) -> None:
        """Close a connection without waiting for its client."""
        sock: Connection = conn.sock
        if sock.is_cut or not (graceful or sock.is_large):
            sock.close()
            return
        try:
            sock.shutdown(socket.SHUT_WR)
            self.poller.register(sock, selectors.EVENT_READ, self._drain)
        except (OSError, KeyError, ValueError):
            sock.close()
        else:
            self._lingering[sock] = time.monotonic() + _LINGER

    def _drain(self, sock: Connection) -> None:
        try:
            data = sock.take(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._let_go(sock)

    def _let_go(self, sock: socket.socket) -> None:
        del self._lingering[sock]
        self.poller.unregister(sock)
        sock.close()


def serving(config: Config) -> type[Worker]:
    """Make the worker class of a configuration."""
    return type("IredldapWorker", (Worker,), {"config": config})
