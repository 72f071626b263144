"""Report whether the service is ready, by the last results of probes in the background.

Each system that the service depends on has a thread that probes it repeatedly. A caller waits a
moment for a probe that is running; one that takes longer counts by the age of the result before it,
so no answer waits for a system that hangs.

Source: `docs/decisions/0027-health.md`.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from iredldap.errors import Refusal

_INTERVAL = 2.0
"""Seconds between two probes of a system that answers."""

_SHORT_INTERVAL = 0.5
"""Seconds between two probes of one that does not."""

_MOMENT = 1.0
"""Seconds for which an answer waits for a probe that has just begun."""

_FIRST_MOMENT = 1.5
"""Seconds for which it waits for the very first one."""

NO_ANSWER = "no answer"

log = structlog.get_logger("iredldap.health")


@dataclass(frozen=True, slots=True)
class Fault:
    """A system that does not work.

    Args:
        what: The name of the probe.
        why: In a word or two, for anybody to read.
        since: When that was first seen.
    """

    what: str
    why: str
    since: datetime

    def as_json(self) -> dict[str, object]:
        """Return the fault as a JSON object."""
        since = self.since.isoformat(timespec="seconds").replace("+00:00", "Z")
        return {"what": self.what, "why": self.why, "since": since}


# A balancer asks often and takes a node out that answers late, so its request starts no probe of
# its own that could hang: it waits a moment for threads that probe anyway.
class Health:
    """Probes in the background.

    Args:
        probes: By name; each raises a refusal if it fails. A `fault` in its report is shown.
        patience: Seconds that a probe may take before it counts as failed.
        interval: Seconds between two probes of a system that answers.
        beside: Called as often, by a thread of its own; its result does not affect readiness.
        waits: Whether answers wait a moment for a probe that has begun; else they come from memory.
    """

    def __init__(
        self,
        probes: Mapping[str, Callable[[], None]],
        patience: float,
        interval: float = _INTERVAL,
        beside: Callable[[], None] = lambda: None,
        *,
        waits: bool = True,
    ) -> None:
        # The oldest that the last result can be while the probe works: a pause and a whole probe.
        late = interval + patience + _MOMENT
        self._watches = [_Watch(name, probe, interval, late) for name, probe in probes.items()]
        self._beside = _Watch("what others wait for", beside, interval, late)
        self._waits = waits
        self._lock = threading.Lock()
        self._closing = False

    def start(self) -> None:
        """Begin to probe, unless this process does so already."""
        with self._lock:
            if not self._closing:
                for watch in (*self._watches, self._beside):
                    watch.start()

    def faults(self) -> list[Fault]:
        """Return the faults, within 1.5 seconds; empty: the service is ready."""
        self.start()
        if not self._waits:
            return [fault for watch in self._watches if (fault := watch.last())]
        # All of them are asked first and waited for afterwards, so that the moments do not add up.
        asked = [(watch, watch.hurry()) for watch in self._watches]
        found = (watch.fault(number) for watch, number in asked)
        return [fault for fault in found if fault]

    def close(self) -> None:
        """Stop to probe; a probe under way is not waited for."""
        with self._lock:
            self._closing = True
        for watch in (*self._watches, self._beside):
            watch.close()


class _Watch:
    """A probe, its thread, and its last result. Times are of the monotonic clock."""

    def __init__(self, name: str, probe: Callable[[], None], interval: float, late: float) -> None:
        self._name = name
        self._probe = probe
        self._interval = interval
        self._late = late
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._wanted = False
        self._probing = False
        self._begun = 0
        self._ended = 0
        self._began = 0.0
        self._seen = 0.0
        self._seen_at = datetime.now(UTC)
        self._fault: Fault | None = None

    def start(self) -> None:
        with self._changed:
            if self._thread and self._thread.is_alive():
                return
            # A forked process has no threads, and the results of its parent may be old.
            self._begun = self._ended = 0
            self._probing = False
            self._began, self._seen_at = time.monotonic(), datetime.now(UTC)
            self._thread = threading.Thread(
                # A daemon: a probe that hangs must not keep the process from ending.
                target=self._watch,
                name=f"probe {self._name}",
                daemon=True,
            )
            self._thread.start()

    def hurry(self) -> int:
        """Ask for a probe now, unless one is under way; return its number."""
        with self._changed:
            if self._probing:
                return self._begun
            if not self._wanted:
                self._wanted = True
                self._began = time.monotonic()
                self._changed.notify_all()
            return self._begun + 1

    def fault(self, number: int) -> Fault | None:
        """Wait a moment for a probe, and return the last result."""
        with self._changed:
            moment = _MOMENT if self._ended else _FIRST_MOMENT
            until = self._began + moment
            self._changed.wait_for(
                lambda: self._ended >= number, max(0.0, until - time.monotonic())
            )
            return self._last()

    def last(self) -> Fault | None:
        """Return the last result."""
        with self._changed:
            return self._last()

    def _last(self) -> Fault | None:
        # A result counts as long as the next one may still be under way; an older one says that the
        # probe hangs.
        if self._ended and time.monotonic() - self._seen < self._late:
            return self._fault
        # It hangs, or has not ended even once.
        since = self._fault.since if self._ended and self._fault else self._seen_at
        return Fault(self._name, NO_ANSWER, since)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._closing:
                    return
                self._wanted = False
                self._probing = True
                self._begun += 1
                self._began = time.monotonic()
            why = self._asked()
            with self._changed:
                self._probing = False
                self._ended = self._begun
                self._note(why)
                self._changed.notify_all()
                pause = _SHORT_INTERVAL if why else self._interval
                self._changed.wait_for(lambda: self._wanted or self._closing, pause)

    def _asked(self) -> str | None:
        """Probe; return what is wrong, or None."""
        try:
            self._probe()
        except Refusal as ex:
            if self._fault is None:
                # Once, when it begins, not twice a second.
                log.error("not ready", what=self._name, detail=ex.detail)  # noqa: TRY400
            return str((ex.report or {}).get("fault", NO_ANSWER))
        except Exception as ex:
            # The thread must live on; whatever it is, the service cannot be called ready.
            log.exception("probe", what=self._name)
            return type(ex).__name__
        return None

    def _note(self, why: str | None) -> None:
        self._seen, self._seen_at = time.monotonic(), datetime.now(UTC)
        if why is None:
            if self._fault:
                log.warning("ready again", what=self._name)
            self._fault = None
        # `since` stays while the reason changes: to the operator it is one outage.
        elif self._fault is None or self._fault.why != why:
            since = self._fault.since if self._fault else self._seen_at
            self._fault = Fault(self._name, why, since)
