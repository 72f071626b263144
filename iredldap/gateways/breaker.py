"""A circuit breaker: know that a server hangs, so that only one thread waits for it.

Source: `docs/decisions/0027-health.md`.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import structlog

from iredldap.errors import Refusal, ServerDown

SLOW = 1.0
"""Seconds from which on a failure counts as a time-out."""

_PAUSE = 0.3
"""Seconds between two probes of a server that hangs, besides the time-out of each."""

_LONG = 3.0
"""Seconds that the oldest request must wait before a new one probes the server first."""

_GOOD_FOR = 1.0
"""Seconds for which the result of a probe is used."""

log = structlog.get_logger("iredldap.breaker")


_ALL: "weakref.WeakSet[Breaker]" = weakref.WeakSet()
_ALL_LOCK = threading.Lock()


class Hanging(ServerDown):
    """The server is known to hang, and nothing was sent to it."""


class Breaker:
    """A circuit breaker for one server, driven by the requests of this process.

    It opens when a probe times out. A failure without a wait (a server that is down, or just
    restarting) does not open it: trying again costs nothing. While it is open, callers are
    refused at once, and a thread probes the server until it responds, or fails without a wait.

    A failure that a probe does not confirm does not open it: one slow search, or one locked row,
    only affects the request that waited for it.

    Args:
        name: Name of the server in the log and in refusals.
        probe: Sends a small request on a connection of its own, with a time-out; raises a refusal
            if that fails.
        slow: Seconds from which on a failure counts as a time-out.
        report: The report of refusals.
        opened: Called when it opens, to abort requests that wait without a time-out.
    """

    def __init__(
        self,
        name: str,
        probe: Callable[[], None],
        slow: float = SLOW,
        report: dict[str, object] | None = None,
        opened: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._probe = probe
        self._slow = slow
        self._report = report
        self._opened = opened
        self._closed = threading.Event()
        self._reset()
        with _ALL_LOCK:
            _ALL.add(self)
        # Weak, as the registration lasts as long as the process; a breaker of a closed gateway
        # should not.
        reset = weakref.WeakMethod(self._reset)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _reset(self) -> None:
        """Reset to closed; after a fork, because the child has no thread that would probe."""
        self._lock = threading.Lock()
        self._judging = threading.Lock()
        self._judged = 0.0
        self._since: datetime | None = None
        self._waiting: dict[object, float] = {}

    @property
    def since(self) -> datetime | None:
        """When the breaker opened; None: it is closed."""
        return self._since

    @property
    def is_open(self) -> bool:
        """Whether callers are refused."""
        return self._since is not None

    def refuse(self) -> None:
        """Raise an error if the server is known to hang.

        Raises:
            Hanging: If it does.
        """
        since = self._since
        if since:
            raise Hanging(f"{self.name} hangs since {since:%H:%M:%S} UTC", report=self._report)

    def check(self, probe: Callable[[], None] | None = None) -> None:
        """Probe the server, unless it is known to hang.

        Args:
            probe: Used instead of the breaker's own.

        Raises:
            Refusal: If it does not respond.
        """
        self.refuse()
        with self._judging:
            # Another thread may have opened it while this one waited for the lock.
            self.refuse()
            self._judge(probe or self._probe)

    def failed(self, began: float) -> None:
        """Note that a request as small as a probe has failed.

        Args:
            began: When it began, on the monotonic clock.
        """
        if time.monotonic() - began >= self._slow:
            self._open()

    def suspect(self, began: float) -> None:
        """Note that another request has failed; if that took long, probe the server.

        Returns when the result is known. Of concurrent callers one probes, and all wait for it.

        Args:
            began: When it began, on the monotonic clock.
        """
        now = time.monotonic()
        # Quick failures need no probe, and with the breaker open one is running already.
        if self.is_open or now - began < self._slow:
            return
        with self._judging:
            if self.is_open or self._judged > now:
                # The probe of another thread has answered the question meanwhile.
                return
            try:
                self._judge(self._probe)
            except Refusal as ex:
                log.warning("does not answer", server=self.name, detail=ex.detail)

    def asking(self) -> AbstractContextManager[None]:
        """Guard a block that sends requests to the server.

        If other requests have waited for long already, the server is probed first.

        Raises:
            Hanging: If the server hangs.
        """
        return _Request(self)

    def begin(self, request: object) -> None:
        """Note that a request begins, unless the server hangs.

        Raises:
            Hanging: If it does.
        """
        self.refuse()
        self.look_after()
        self.refuse()
        self._waiting[request] = time.monotonic()

    def end(self, request: object) -> None:
        """Note that a request has ended."""
        self._waiting.pop(request, None)

    def look_after(self) -> None:
        """Probe the server if a request has waited for long."""
        if not self._waiting:
            return
        now = time.monotonic()
        oldest = min([*self._waiting.values()], default=now)
        # Probed by a request that comes, rather than by a clock: on an idle server nothing is sent.
        if now - oldest > _LONG and now - self._judged > _GOOD_FOR:
            self.suspect(oldest)

    def close(self) -> None:
        """Stop probing; later requests are not refused."""
        self._closed.set()
        self._since = None

    def _judge(self, probe: Callable[[], None]) -> None:
        began = time.monotonic()
        try:
            probe()
        except Refusal:
            self.failed(began)
            raise
        finally:
            self._judged = time.monotonic()

    def _open(self) -> None:
        with self._lock:
            if self.is_open or self._closed.is_set():
                return
            # Under the lock: only one of the threads that time out together starts the thread that
            # probes.
            self._since = datetime.now(UTC)
        log.error("hangs", server=self.name)
        # Outside the lock: it aborts requests of other threads, which then ask for the state of the
        # breaker.
        self._opened()
        threading.Thread(target=self._retry, name=f"probe {self.name}", daemon=True).start()

    def _retry(self) -> None:
        """Probe until the server responds, or fails without a wait."""
        while not self._closed.wait(_PAUSE):
            began = time.monotonic()
            try:
                self._probe()
            except Refusal as ex:
                if time.monotonic() - began >= self._slow:
                    continue
                log.warning("fails at once", server=self.name, detail=ex.detail)
            except Exception:
                # An error of the probe itself must not leave the breaker open for ever.
                log.exception("probe", server=self.name)
            else:
                log.warning("answers again", server=self.name)
            break
        self._since = None


class _Request:
    """A block that sends requests; a class, not a generator, which takes twice the time."""

    __slots__ = ("_breaker",)

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def __enter__(self) -> None:
        self._breaker.begin(self)

    def __exit__(self, *_: object) -> None:
        self._breaker.end(self)


def look_after_all() -> None:
    """Probe every server of this process that a request has waited for long.

    Called periodically: when all threads wait, no new request comes that would notice.
    """
    with _ALL_LOCK:
        breakers = [*_ALL]
    for breaker in breakers:
        breaker.look_after()
