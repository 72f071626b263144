"""Store what several changes record in batches: their intents together, and their completions.

Each is a change of its own in the log, with its own id, and can be undone alone. A commit for each
of two rows was a third of the time of a change.
"""

from collections.abc import Callable, Collection
from functools import partial

import structlog

from iredldap.changes.change_log import ChangeLog
from iredldap.dit.change_log import LoggedChange
from iredldap.errors import ChangeLogUnavailable, Refusal
from iredldap.gateways.change_store import BegunChange, ChangeStore, EndedChange

log = structlog.get_logger("iredldap.changes")


class LogBuffer(ChangeLog):
    """A change log for the recordings of a batch, which keeps beginnings and ends until `flush`.

    Args:
        whole: The log that they get into.
    """

    def __init__(self, whole: ChangeLog) -> None:
        # Not `super().__init__`: what is open, late and sealed is that of the log.
        self.__dict__.update(whole.__dict__)
        self._whole = whole
        self._buffered = _BufferedStore(whole.store)
        self.store = self._buffered

    def later(self, work: Callable[[], None]) -> None:
        self._whole.later(work)

    def start(self) -> None:
        self._whole.start()

    def close(self) -> None:
        """Leave the log open: it is not this batch's."""

    def flush_beginnings(self) -> None:
        """Store the intents of the changes that are about to write.

        Raises:
            ChangeLogUnavailable: If that fails, and changes are refused then.
        """
        begun, self._buffered.begun = self._buffered.begun, []
        if not begun:
            return
        try:
            self._whole.store.begin_several(begun)
        except Refusal as ex:
            log.exception("change log", changes=len(begun), detail=ex.detail)
            if self.refuses:
                # Nothing was written, so nothing is to be completed.
                raise ChangeLogUnavailable(ex.detail or ex.code) from ex

    def flush_ends(self) -> None:
        """Store the completions; later, if that fails: the changes themselves have been made."""
        ended, self._buffered.ended = self._buffered.ended, []
        forgotten, self._buffered.forgotten = self._buffered.forgotten, set()
        if not ended and not forgotten:
            return
        work = partial(self._whole.store.finish_several, ended, forgotten)
        try:
            work()
        except Refusal as ex:
            log.exception("change log", changes=len(ended), detail=ex.detail)
            self.later(work)


class _BufferedStore(ChangeStore):
    """Stores what is read or changed on the way, and keeps beginnings and ends."""

    def __init__(self, store: ChangeStore) -> None:
        self.__dict__.update(store.__dict__)
        self.begun: list[BegunChange] = []
        self.ended: list[EndedChange] = []
        self.forgotten: set[str] = set()

    def begin(self, change: LoggedChange, pending: bytes, heartbeat: int) -> None:
        self.begun.append(BegunChange(change, pending, heartbeat))

    def finish(
        self, change: LoggedChange, touched: bytes, targets: Collection[str], pending: bytes = b""
    ) -> None:
        self.ended.append(EndedChange(change, touched, targets, pending))

    def forget(self, number: str) -> None:
        self.forgotten.add(number)
