"""Share out threads among calls, so that slow ones never occupy all of them.

gunicorn gives threads to calls as they come, so as many slow calls as there are threads block all
other requests. Here each load has a limit of its own, and a call that turns out to be slow,
whatever its load, no longer counts against the limit of quick ones.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from iredldap.web.endpoints.endpoint import Load

SLOW = 0.5
"""Seconds after which a call is slow. Calls that are not take some milliseconds."""

_MOST_OF_A_KIND = 32

_ALWAYS = (Load.LIVE, Load.PROBE)
"""Kinds of calls that have threads whatever others do."""


@dataclass(frozen=True)
class ThreadLimits:
    """Limits on the calls that run at once.

    Those that wait for their client are not counted: each costs a thread that sleeps, and there may
    be as many of them as connections.

    Args:
        quick: Of any kind, until they are slow.
        heavy: That keep a processor busy.
        patience: Seconds that a call waits for a thread before it is `overdue`.
        threads: In all, as many as there may be connections.
    """

    quick: int
    heavy: int
    patience: float
    threads: int = 1000


@dataclass(eq=False)
class _Call:
    work: Callable[[Any], Any]
    connection: Any
    load: Load
    future: "Future[Any]" = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)

    @property
    def is_waiting(self) -> bool:
        """Whether its thread waits for the client."""
        return bool(getattr(self.connection.sock, "waiting", False))

    @property
    def is_slow(self) -> bool:
        return self.is_waiting or time.monotonic() - self.since >= SLOW


class Pool:
    """Threads for calls, in place of the executor that gunicorn would use.

    A call is a function and its connection, whose `sock` has the `load`.
    """

    def __init__(self, shares: ThreadLimits) -> None:
        self._shares = shares
        self._lock = threading.Lock()
        self._queues: dict[Load, deque[_Call]] = {load: deque() for load in Load}
        self._running: set[_Call] = set()
        self._threads = ThreadPoolExecutor(shares.threads, "call")

    def submit(self, work: Callable[[Any], Any], connection: Any) -> "Future[Any]":
        """Execute a call as soon as a thread is free for its load."""
        load = getattr(connection.sock, "load", Load.LIGHT)
        call = _Call(work, connection, load)
        with self._lock:
            self._queues[load].append(call)
            self._start()
        return call.future

    def shutdown(self, wait: bool = True) -> None:
        """Start no more calls."""
        with self._lock:
            for queue in self._queues.values():
                while queue:
                    queue.popleft().future.cancel()
        self._threads.shutdown(wait=wait)

    @property
    def has_waiting(self) -> bool:
        """Whether a call waits for a thread, so that `tick` has to be called."""
        return any(self._queues.values())

    def tick(self) -> None:
        """Start calls for which threads became free, and refuse those that waited too long."""
        with self._lock:
            self._start()
            oldest = time.monotonic() - self._shares.patience
            for queue in self._queues.values():
                while queue and queue[0].since < oldest and self._may_start(Load.LIVE):
                    self._refuse(queue.popleft())

    def _refuse(self, call: _Call) -> None:
        """Have a call answered at once with the refusal that it waited too long."""
        call.connection.sock.overdue = True
        call.load = Load.LIVE
        self._begin(call)

    def _start(self) -> None:
        for load, queue in self._queues.items():
            while queue and self._may_start(load):
                self._begin(queue.popleft())

    def _begin(self, call: _Call) -> None:
        call.since = time.monotonic()
        self._running.add(call)
        self._threads.submit(self._run, call)

    def _may_start(self, load: Load) -> bool:
        if load not in _ALWAYS:
            quick = sum(not call.is_slow and call.load not in _ALWAYS for call in self._running)
            if quick >= self._shares.quick:
                return False
        return self._count(load) < (self._shares.heavy if load is Load.HEAVY else _MOST_OF_A_KIND)

    def _count(self, load: Load) -> int:
        return sum(call.load is load and not call.is_waiting for call in self._running)

    def _run(self, call: _Call) -> None:
        try:
            if call.future.set_running_or_notify_cancel():
                self._finish(call)
        finally:
            with self._lock:
                self._running.discard(call)
                self._start()

    def _finish(self, call: _Call) -> None:
        try:
            result = call.work(call.connection)
        except BaseException as ex:  # noqa: BLE001 - raised where it is looked at
            call.future.set_exception(ex)
        else:
            call.future.set_result(result)
