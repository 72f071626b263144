"""A circuit breaker: know that a server hangs, so that only one thread waits for it.

Source: `docs/decisions/0027-health.md`.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog

from iredldap.errors import Refusal, ServerDown

SLOW = 1.0
"""Seconds from which on a failure has cost its caller a wait."""

_PAUSE = 0.3
"""Seconds between two probes of a server that hangs; a probe itself waits for its time-out."""

_LONG = 3.0
"""Seconds from which on others wait so long that the server may hang."""

_GOOD_FOR = 1.0
"""Seconds for which the outcome of a probe is believed."""

log = structlog.get_logger("iredldap.breaker")


_ALL: "weakref.WeakSet[Breaker]" = weakref.WeakSet()
_ALL_LOCK = threading.Lock()


class Hanging(ServerDown):
    """The server is known to hang, and was not asked."""


class Breaker:
    """Tells whether a server hangs, from what the requests of this process meet.

    It opens when a probe fails after a wait; what fails at once (a server that is down, or just
    restarting) costs nobody anything and may be tried again by anybody. While it is open, callers
    are refused, and a thread probes the server until it answers, or fails at once.

    A failure that a probe does not confirm opens nothing: one slow search, or one locked row, is
    the misfortune of the request that waited for it.

    Args:
        name: What log and refusals call the server.
        probe: Asks the server something cheap on a connection of its own, with a time-out; raises a
            refusal if that fails.
        slow: Seconds from which on a failure counts as a wait.
        report: What a refusal tells the client besides its code.
        opened: Is called when it opens: what waits without a time-out may be broken off.
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
        self._begin()
        with _ALL_LOCK:
            _ALL.add(self)
        ours = weakref.WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: (begin := ours()) and begin())

    def _begin(self) -> None:
        """Begin as for a server that answers; after a fork there is no thread that would probe."""
        self._lock = threading.Lock()
        self._judging = threading.Lock()
        self._judged = 0.0
        self._since: datetime | None = None
        self._waiting: dict[object, float] = {}

    @property
    def since(self) -> datetime | None:
        """Since when the server hangs; None: it does not, as far as is known."""
        return self._since

    @property
    def is_open(self) -> bool:
        """Whether callers are refused."""
        return self._since is not None

    def refuse(self) -> None:
        """Refuse to ask a server that hangs.

        Raises:
            Hanging: If it does.
        """
        since = self._since
        if since:
            raise Hanging(f"{self.name} hangs since {since:%H:%M:%S} UTC", report=self._report)

    def check(self, probe: Callable[[], None] | None = None) -> None:
        """Probe the server, unless it is known to hang.

        Args:
            probe: Another one than that of this breaker.

        Raises:
            Refusal: If it does not answer.
        """
        self.refuse()
        with self._judging:
            self.refuse()
            self._judge(probe or self._probe)

    def failed(self, began: float) -> None:
        """Note that something as cheap as a probe has failed.

        Args:
            began: When it began, on the monotonic clock.
        """
        if time.monotonic() - began >= self._slow:
            self._open()

    def suspect(self, began: float) -> None:
        """Note that something else has failed; if that took long, find out whether it hangs.

        Returns when that is known. Of callers at the same time one probes, and all wait for that.

        Args:
            began: When it began, on the monotonic clock.
        """
        now = time.monotonic()
        if self.is_open or now - began < self._slow:
            return
        with self._judging:
            if self.is_open or self._judged > now:
                return
            try:
                self._judge(self._probe)
            except Refusal as ex:
                log.warning("does not answer", server=self.name, detail=ex.detail)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Let a block ask the server, unless it hangs.

        When others have been waiting for long, a probe tells whether it is any use to join them.

        Raises:
            Hanging: If the server hangs.
        """
        self.refuse()
        self.look_after()
        self.refuse()
        ticket = object()
        self._waiting[ticket] = time.monotonic()
        try:
            yield
        finally:
            self._waiting.pop(ticket, None)

    def look_after(self) -> None:
        """Probe the server if somebody has been waiting for it for long."""
        now = time.monotonic()
        oldest = min([*self._waiting.values()], default=now)
        if now - oldest > _LONG and now - self._judged > _GOOD_FOR:
            self.suspect(oldest)

    def close(self) -> None:
        """Stop probing; what is asked later is not refused."""
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
            self._since = datetime.now(UTC)
        log.error("hangs", server=self.name)
        self._opened()
        threading.Thread(target=self._retry, name=f"probe {self.name}", daemon=True).start()

    def _retry(self) -> None:
        """Probe until the server answers, or fails at once."""
        while not self._closed.wait(_PAUSE):
            began = time.monotonic()
            try:
                self._probe()
            except Refusal as ex:
                if time.monotonic() - began >= self._slow:
                    continue
                log.warning("fails at once", server=self.name, detail=ex.detail)
            except Exception:
                # Nobody may be refused for good because of it.
                log.exception("probe", server=self.name)
            else:
                log.warning("answers again", server=self.name)
            break
        self._since = None


def look_after_all() -> None:
    """Probe every server of this process that somebody has been waiting for for long.

    Called again and again: when all threads wait, no request comes that would notice.
    """
    with _ALL_LOCK:
        breakers = [*_ALL]
    for breaker in breakers:
        breaker.look_after()
