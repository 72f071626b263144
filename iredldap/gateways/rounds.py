"""Work that a process does again and again, in a thread of its own."""

import threading
from collections.abc import Callable

import structlog

from iredldap.errors import Refusal

_GRACE = 3.0
"""Seconds that a round gets to end when the process does."""

log = structlog.get_logger("iredldap.rounds")


class Rounds:
    """Calls a function at intervals, whatever becomes of each call.

    Args:
        name: Name of the thread, and of the work in the log.
        work: Called in each round; a refusal is logged when it differs from that of the round
            before.
        interval: Seconds between two rounds.
        at_once: Whether the first round begins without that.
    """

    def __init__(
        self, name: str, work: Callable[[], None], interval: float, *, at_once: bool = False
    ) -> None:
        self._first = 0.0 if at_once else interval
        self._name = name
        self.work = work
        self._interval = interval
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure = ""

    def start(self) -> None:
        """Start the thread, unless it is running in this process."""
        # Without the lock first: requests call this.
        if self._is_running():
            return
        with self._lock:
            if not self._is_running() and not self._closing.is_set():
                self._thread = threading.Thread(target=self._go, name=self._name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        with self._lock:
            thread, self._thread = self._thread, None
        if thread:
            thread.join(_GRACE)

    def _is_running(self) -> bool:
        # Of the parent's thread a forked process knows that it has ended.
        return self._thread is not None and self._thread.is_alive()

    def _go(self) -> None:
        pause = self._first
        while not self._closing.wait(pause):
            pause = self._interval
            try:
                self.work()
            except Refusal as ex:
                if ex.detail != self._failure:
                    log.warning(self._name, detail=ex.detail)
                self._failure = ex.detail
            except Exception:
                # The next round may succeed, and others rely on it.
                log.exception(self._name)
            else:
                self._failure = ""
