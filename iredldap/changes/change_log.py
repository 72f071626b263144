"""The change log of a worker: what it is kept in, and the work beside the changes themselves.

One thread stores signs of life of changes that take long, completions that could not be stored at
once, and what became of changes whose worker has died; and it prunes the log.
"""

import time
from collections import deque
from collections.abc import Callable

import structlog

from iredldap.changes.recovery import recover
from iredldap.changes.seals import Seals
from iredldap.config.sections import Config
from iredldap.config.settings import Secret
from iredldap.config.state import ChangeSettings
from iredldap.dit.change_log import LoggedChange
from iredldap.errors import Refusal, ServerDown
from iredldap.gateways.change_store import ChangeStore
from iredldap.gateways.directory import Directory
from iredldap.gateways.rounds import Rounds

_BEATS = 5
"""Signs of life in the time after which a change is abandoned."""

_LONGEST_PAUSE = 3.0
"""Seconds between two rounds."""

_PRUNING = 3600.0
"""Seconds between two prunings."""

_MOST_LATE = 10_000
"""Changes that wait in memory for the database."""

_DAY = 24 * 3600 * 1000

log = structlog.get_logger("iredldap.changes")


class ChangeLog:
    """The change log, as recordings and those who read it use it.

    Args:
        url: SQLAlchemy URL of the state database.
        settings: What is kept, and how long.
        abandoned: Seconds without a sign of life after which the worker of a change is dead.
        directory: Where it is looked up what became of such a change.
    """

    def __init__(
        self, url: Secret, settings: ChangeSettings, abandoned: float, directory: Directory
    ) -> None:
        self.store = ChangeStore(url)
        self.seals = Seals(settings.keys)
        self.refuses = settings.on_failure == "refuse"
        self._kept_days = settings.keep_days
        self._abandoned = abandoned
        self._directory = directory
        self._open: dict[str, float] = {}
        self._late: deque[Callable[[], None]] = deque()
        self._pruned: float | None = None
        pause = min(_LONGEST_PAUSE, abandoned / _BEATS)
        # Also after a surprise: without signs of life others take changes for abandoned.
        self._rounds = Rounds("change log", self._round, pause, at_once=True)

    @classmethod
    def open(cls, config: Config, directory: Directory) -> "ChangeLog":
        """Open the log of a configuration; it connects on first use."""
        return cls(config.state.url, config.changes, config.jobs.abandoned, directory)

    def began(self, number: str) -> None:
        """Note that this worker executes a change, of which it gives signs of life."""
        self._open[number] = time.monotonic()

    def ended(self, number: str) -> None:
        """Note that it is finished."""
        self._open.pop(number, None)

    def settled(self, number: str) -> LoggedChange | None:
        """Return a change of a worker that may be dead; if it is, what became of it is found out.

        Returns:
            The change, `open` if its worker is alive; None: there is none of this id.

        Raises:
            ServerDown: If log or directory do not respond.
        """
        change = self.store.change(number)
        if change is None or change.result != "open" or number in self._open:
            return change
        now = time.time_ns() // 1_000_000
        for found in self.store.abandoned(now - int(self._abandoned * 1000)):
            if found.id == number and (claimed := self.store.claim(found, now)):
                recover(self.store, self._directory, *claimed)
        return self.store.change(number)

    def later(self, work: Callable[[], None]) -> None:
        """Store something again and again until the database responds, in the background."""
        # A database that is away for long must not fill the memory of every worker; the log says
        # that something is lost.
        if len(self._late) == _MOST_LATE:
            log.error("change not in the log")
            self._late.popleft()
        self._late.append(work)
        self.start()

    def start(self) -> None:
        """Start the thread, unless it is running."""
        self._rounds.start()

    def close(self) -> None:
        """End the thread, store what is left, and close the database."""
        # First: thread and caller must not store the same things at once.
        self._rounds.close()
        try:
            self._store_late()
        except ServerDown as ex:
            log.exception("changes not in the log", changes=len(self._late), detail=ex.detail)
        self.store.close()

    def _round(self) -> None:
        self._store_late()
        now = time.time_ns() // 1_000_000
        interval = self._abandoned / _BEATS
        # Short changes end before they would have to give a sign, and cost no write for it.
        long = [one for one, since in [*self._open.items()] if time.monotonic() - since > interval]
        if long:
            self.store.beat(long, now)
        for found in self.store.abandoned(now - int(self._abandoned * 1000)):
            # Not its own, which may be late because the database was away. Of several workers that
            # see a dead one's change, one gets it.
            if found.id not in self._open and (claimed := self.store.claim(found, now)):
                recover(self.store, self._directory, *claimed)
        self._prune(now)
        self.store.checkpoint()

    def _store_late(self) -> None:
        while self._late:
            # Taken off first: `later` may drop the oldest one meanwhile.
            work = self._late.popleft()
            try:
                work()
            except ServerDown:
                self._late.appendleft(work)
                raise
            except Refusal as ex:
                # The database does not take it: it would not do so later either.
                log.exception("change not in the log", detail=ex.detail)

    def _prune(self, now: int) -> None:
        moment = time.monotonic()
        if self._pruned is None or moment - self._pruned > _PRUNING:
            pruned = self.store.prune(now - self._kept_days * _DAY)
            self._pruned = moment
            if pruned:
                log.info("changes pruned", changes=pruned)
