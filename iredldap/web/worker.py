"""The gunicorn worker: threads for requests whose heads are complete, and reserved ones.

gunicorn's threaded worker hands every connection to one pool of threads. While all of them wait,
for a directory that hangs or for clients that send nothing, every other request waits in the queue
of that pool. Here a connection waits outside the pool until the head of its request can be read
at once, and the requests of `RESERVED` have threads of their own.

The seam is `ThreadWorker.get_thread_pool`, which gunicorn 23 to 27 document for this purpose: the
pool is given the connection, and its future tells the worker whether the connection stays open.
"""

import re
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

RESERVED = ("/livez", "/readyz")
"""Paths whose requests have a thread of their own in each worker."""

_PATH = re.compile(rb"(?:GET|HEAD) /+(livez|readyz)/?(?:\?[^ ]*)? HTTP/1\.[01]\r\n")
_BODY = re.compile(
    rb"\r\n(?:content-length|transfer-encoding|upgrade|expect)[ \t]*:", re.IGNORECASE
)
_END = b"\r\n\r\n"

_LONGEST_PEEK = 16 * 1024
"""Bytes of a head that are waited for; a longer one is read by the thread that serves it."""

HEAD_TIME = 30.0
"""Seconds in which a head must be complete."""

_LINGER = 2.0
"""Seconds that a connection without a complete head has left when the worker ends."""

_SHORTEST_LOOK, _LONGEST_LOOK = 0.01, 0.25
"""Seconds between two looks at a head that has begun."""

_SEND_TIME = struct.pack("@ll", 1, 0)
_NO_SEND_TIME = struct.pack("@ll", 0, 0)

Handle = Callable[[Any], Any]


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker with the pool of this module."""

    tpool: "RequestPool"

    def get_thread_pool(self) -> "RequestPool":
        """Make the pool; gunicorn calls this once per process, after the fork."""
        return RequestPool(self.cfg.threads)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop: connections that send nothing are not waited for."""
        super().handle_exit(sig, frame)
        # A signal may come before init_process has made the pool.
        if self.tpool:
            self.tpool.hurry()


@dataclass(eq=False)
class _Waiting:
    """A connection whose head is not complete, and when to look at it again."""

    future: "Future[Any]"
    handle: Handle
    connection: Any
    until: float
    pause: float = _SHORTEST_LOOK
    look: float = field(default=float("inf"))


class RequestPool(Executor):
    """Threads for requests: `threads` of them for all paths, and one for each reserved path.

    Args:
        threads: Most requests that are handled at once, those of reserved paths not counted.
        head_time: Seconds in which a head must be complete; else the connection is closed.
    """

    def __init__(self, threads: int, head_time: float = HEAD_TIME) -> None:
        self._head_time = head_time
        self._ordinary = ThreadPoolExecutor(threads, "request")
        self._reserved = {path: ThreadPoolExecutor(1, path[1:]) for path in RESERVED}
        self._arriving: SimpleQueue[_Waiting] = SimpleQueue()
        self._hurried = False
        self._ended = False
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._watcher = threading.Thread(target=self._watch, name="heads", daemon=True)
        self._watcher.start()

    def submit(self, handle: Handle, connection: Any) -> "Future[Any]":  # type: ignore[override]
        """Handle a request of a connection in a thread, once its head is complete.

        The future is cancelled when the connection ends, or the time is over, before that.
        """
        future: Future[Any] = Future()
        waiting = _Waiting(future, handle, connection, time.monotonic() + self._head_time)
        if not self._dispatched(waiting):
            self._arriving.put(waiting)
            self._wake()
        return future

    def hurry(self) -> None:
        """Wait for unfinished heads no longer than a moment; safe in a signal handler."""
        self._hurried = True
        self._wake()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more requests; connections that still wait are given up."""
        self._ended = True
        self._wake()
        if threading.current_thread() is not self._watcher:
            self._watcher.join(1)
        for pool in (self._ordinary, *self._reserved.values()):
            pool.shutdown(wait=wait, cancel_futures=cancel_futures)

    def _wake(self) -> None:
        # A full buffer wakes, too; after the end there is nobody to wake.
        with suppress(OSError):
            self._waker.send(b"\0")

    def _dispatched(self, waiting: _Waiting) -> bool:
        """Give a connection to its thread if its head can be read; tell whether it is settled."""
        connection = waiting.connection
        if _has_read_ahead(connection) or isinstance(connection.sock, ssl.SSLSocket):
            self._start(self._ordinary, waiting.handle, waiting)
            return True
        head = _peek(connection.sock)
        if head is None:
            return False
        if head and _END not in head and len(head) < _LONGEST_PEEK:
            waiting.look = time.monotonic() + waiting.pause
            waiting.pause = min(2 * waiting.pause, _LONGEST_LOOK)
            return False
        # gunicorn 26 and later would look for data once more.
        connection.data_ready = True
        path = reserved_path(head)
        if path:
            self._start(self._reserved[path], _brief(waiting.handle), waiting)
        else:
            self._start(self._ordinary, waiting.handle, waiting)
        return True

    @staticmethod
    def _start(pool: ThreadPoolExecutor, handle: Handle, waiting: _Waiting) -> None:
        try:
            pool.submit(_settle, waiting.future, handle, waiting.connection)
        except RuntimeError:
            # The pool was shut down meanwhile.
            waiting.future.cancel()

    def _watch(self) -> None:
        """Wait for heads, in a thread of its own, until the pool is shut down."""
        kept: set[_Waiting] = set()
        try:
            while not self._ended:
                for waiting in self._due(kept):
                    if self._dispatched(waiting):
                        kept.discard(waiting)
                    else:
                        kept.add(waiting)
                        self._follow(waiting)
                self._give_up(kept)
        finally:
            for waiting in (*kept, *self._arrived()):
                self._unfollow(waiting)
                waiting.future.cancel()
            self._selector.close()
            self._woken.close()
            self._waker.close()

    def _due(self, kept: set[_Waiting]) -> list[_Waiting]:
        """Wait until connections are worth a look, and give them; none of them is followed."""
        now = time.monotonic()
        soonest = min((min(w.look, w.until) for w in kept), default=now + 1)
        events = self._selector.select(max(0.0, min(soonest - now, 1.0)))
        due = []
        for key, _ in events:
            if key.data is None:
                with suppress(BlockingIOError):
                    self._woken.recv(4096)
            else:
                due.append(key.data)
        now = time.monotonic()
        due += [waiting for waiting in kept if waiting.look <= now]
        for waiting in due:
            self._unfollow(waiting)
        return [*due, *self._arrived()]

    def _arrived(self) -> Iterator[_Waiting]:
        with suppress(Empty):
            while True:
                yield self._arriving.get_nowait()

    def _follow(self, waiting: _Waiting) -> None:
        """Wait for a first byte; a head that has begun would wake the selector all the time."""
        if waiting.look == float("inf"):
            try:
                self._selector.register(waiting.connection.sock, selectors.EVENT_READ, waiting)
            except (OSError, ValueError):
                waiting.look = time.monotonic()

    def _unfollow(self, waiting: _Waiting) -> None:
        waiting.look = float("inf")
        with suppress(KeyError, ValueError, OSError):
            self._selector.unregister(waiting.connection.sock)

    def _give_up(self, kept: set[_Waiting]) -> None:
        now = time.monotonic()
        for waiting in [*kept]:
            if self._hurried:
                waiting.until = min(waiting.until, now + _LINGER)
            if waiting.until <= now:
                kept.discard(waiting)
                self._unfollow(waiting)
                # The worker's callback closes the connection.
                waiting.future.cancel()


def reserved_path(head: bytes) -> str | None:
    """Return the reserved path that a head asks for, or None.

    A request with a body is none: reading it can take as long as its sender likes.
    """
    found = _PATH.match(head)
    if not found or _BODY.search(head):
        return None
    return f"/{found[1].decode()}"


def _has_read_ahead(connection: Any) -> bool:
    """Whether the parser has bytes of the next request, which the socket no longer shows."""
    unreader = getattr(connection.parser, "unreader", None)
    return bool(unreader and unreader.buf.getvalue())


def _peek(connection: socket.socket) -> bytes | None:
    """Look at what a client has sent; None: nothing yet; empty: the connection has ended."""
    try:
        return connection.recv(_LONGEST_PEEK, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _brief(handle: Handle) -> Handle:
    """Bound the time for which a client that does not read may keep a reserved thread."""

    def bounded(connection: Any) -> Any:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_TIME)
        try:
            return handle(connection)
        finally:
            # The connection may be closed by now; a download on it later takes its time.
            with suppress(OSError):
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _NO_SEND_TIME)

    return bounded


def _settle(future: "Future[Any]", handle: Handle, connection: Any) -> None:
    """Run a handler and hand its outcome to a future that exists already."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = handle(connection)
    except BaseException as ex:  # noqa: BLE001 - as concurrent.futures does: the waiter decides
        future.set_exception(ex)
    else:
        future.set_result(result)
