"""Record one change: its intent before the first write, and its completion before the answer.

What was touched is kept in memory and stored with the completion; what a sweep touches is stored in
pieces meanwhile. A change of which nothing was written leaves nothing in the log.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import structlog

from iredldap.dit.change_log import LoggedChange, Touched, TouchedEntry, TouchedRows
from iredldap.dit.plan import Add, Operation, Plan, Rename, Step, describe
from iredldap.dit.touched import targets, touched_by
from iredldap.dit.touched_text import TRANSIENT, line, packed
from iredldap.errors import ChangeLogUnavailable, InternalError, Refusal
from iredldap.gateways.directory import Directory
from iredldap.gateways.recorded_directory import RecordedDirectory
from iredldap.gateways.recorder import Recorder

if TYPE_CHECKING:
    # It loads a database, which a restore without a log does not need.
    from iredldap.changes.change_log import ChangeLog

_PIECE = 250
"""Writes after which a piece is stored."""

_PIECE_BYTES = 256 * 1024
"""Bytes of their text after which it is stored, too."""

_PIECE_SECONDS = 0.2
"""Seconds after which it is: of what a killed worker has not stored, the former values are lost."""

_MOST_FORESEEN = 50
"""Writes that an intent lists."""

_INTERRUPTED = "INTERRUPTED"
"""In place of the codes of a refusal, of the run of a job that another one goes on with."""

log = structlog.get_logger("iredldap.changes")


class Recording(Recorder):
    """The recording of one change; a context, at whose end the change is complete.

    `fault` is why the log does not have all of it; empty: it has. `interrupted`: another worker
    goes on with it.

    Args:
        kept: The change log.
        change: The change.
    """

    def __init__(self, kept: "ChangeLog", change: LoggedChange) -> None:
        self._kept = kept
        self._change = change
        self._plan: Plan | None = None
        self._has_steps = bool(change.steps)
        self._coming: list[Operation] = []
        # By identity: a change may write to an entry twice.
        self._pending: dict[int, Operation] = {}
        self._lines: list[str] = []
        self._size = 0
        self._pieces = 0
        self._stored = 0.0
        self._entries = 0
        self._attributes: set[str] = set()
        self._targets: set[str] = set()
        self._has_begun = False
        self._acted_outside = False
        self.fault = ""
        self.interrupted = False

    @property
    def id(self) -> str:
        """Return the id of the change; empty, if nothing was written."""
        return self._change.id if self._has_begun else ""

    def of(self, directory: Directory) -> Directory:
        """Return the directory whose writes are recorded here."""
        return RecordedDirectory(directory, self)

    def planned(self, plan: Plan) -> None:
        """Note the plan that is about to be applied; the last one is stored."""
        self._plan = plan

    def announce(self, operation: Operation) -> None:
        self._pending[id(operation)] = operation
        try:
            if not self._has_begun:
                self._begin()
            elif not self._foresees(operation):
                self._store(partial(self._kept.store.intend, self._change.id, self._intent()))
            elif self.fault:
                self._refuse()
        except Refusal:
            self.dismiss(operation)
            raise

    def announce_several(self, operations: Sequence[Operation]) -> None:
        self._pending.update((id(operation), operation) for operation in operations)
        try:
            if not self._has_begun:
                self._begin()
            else:
                # What was written is stored along with what is coming: one transaction for both.
                self._store(self._write_piece)
        except Refusal:
            for operation in operations:
                self.dismiss(operation)
            raise

    def record(self, operation: Operation, touched: TouchedEntry) -> None:
        self.dismiss(operation)
        self._add(touched)

    def dismiss(self, operation: Operation) -> None:
        self._pending.pop(id(operation), None)
        for one in self._coming:
            if one.dn == operation.dn:
                self._coming.remove(one)
                break

    def unanswered(self) -> tuple[Operation, ...]:
        return tuple(self._pending.values())

    def _foresees(self, operation: Operation) -> bool:
        return any(one.dn == operation.dn for one in self._coming)

    def announce_outside(self, meaning: str) -> None:
        if not self._has_begun:
            self._begin()
        elif self.fault:
            self._refuse()
        # Of one that fails it is not known how far it got.
        self._acted_outside = True

    def record_outside(self, rows: Iterable[TouchedRows]) -> None:
        for touched in rows:
            self._add(touched)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._has_begun:
            return
        self._kept.ended(self._change.id)
        if not (self._entries or self._pending or self._acted_outside):
            self._has_begun = False
            self._end(partial(self._kept.store.forget, self._change.id))
            return
        ended = replace(
            self._described(),
            # Whether what got no response was carried out is found out later.
            result="open" if self._pending else "broken off" if error else "done",
            codes=self._codes(error),
            duration=time.time_ns() // 1_000_000 - self._change.began,
            entries=self._entries,
            attributes=tuple(sorted(self._attributes)),
        )
        pending = packed(map(self._line, map(_intended, self._pending.values())))
        touched = packed(self._lines)
        self._end(partial(self._kept.store.finish, ended, touched, self._others(), pending))

    def _codes(self, error: BaseException | None) -> tuple[str, ...]:
        if self.interrupted:
            return (_INTERRUPTED,)
        if isinstance(error, Refusal):
            return error.codes
        return (InternalError.code,) if error else ()

    def _end(self, work: Callable[[], None]) -> None:
        """Store the end of a change; later, if that fails: the change itself has been made."""
        try:
            work()
        except Refusal as ex:
            self._fail(ex)
            self._kept.later(work)

    def _begin(self) -> None:
        self._coming = [
            write
            for step in (self._plan.steps[:_MOST_FORESEEN] if self._plan else ())
            for write in _writes(step)
        ]
        change = self._described()
        self._store(partial(self._kept.store.begin, change, self._intent(), change.began))
        self._has_begun = True
        self._stored = time.monotonic()
        self._kept.began(change.id)

    def _described(self) -> LoggedChange:
        plan = self._plan
        if plan is not None and plan.undoes is not None:
            # It is about what the other one was about, and whoever may read that may read it.
            undone = plan.undoes
            account, domain = undone.account, undone.domain
            self._change = replace(self._change, account=account, domain=domain, undoes=undone.id)
        if self._plan is not None and not self._has_steps:
            self._change = replace(self._change, steps=tuple(map(describe, self._plan.steps)))
            # Described once: the completion has the same steps, unless the plan is made again.
            self._plan = None
        return self._change

    def _intent(self) -> bytes:
        """Return what may be written, without the values that only the directory knows."""
        foreseen = {one.dn for one in self._coming}
        beside = (one for one in self._pending.values() if one.dn not in foreseen)
        intended = (self._line(_intended(one)) for one in (*self._coming, *beside))
        return packed(intended, TRANSIENT)

    def _add(self, touched: Touched) -> None:
        self._entries += 1
        self._targets |= targets(touched)
        if isinstance(touched, TouchedEntry):
            self._attributes.update(map(str.lower, touched.attributes))
        text = self._line(touched)
        self._lines.append(text)
        self._size += len(text)
        if self._is_due():
            self._store_piece()

    def _is_due(self) -> bool:
        if len(self._lines) >= _PIECE or self._size >= _PIECE_BYTES:
            return True
        # A single write is stored with the completion, however long it took.
        return len(self._lines) > 1 and time.monotonic() - self._stored > _PIECE_SECONDS

    def _line(self, touched: Touched) -> str:
        return line(self._kept.seals.sealed(touched))

    def _others(self) -> set[str]:
        """Return whose entries were touched, beside those that the request names."""
        return self._targets - {self._change.account, self._change.domain}

    def _store_piece(self) -> None:
        """Store what was written since the last piece; after a failure it is left for the end."""
        if not self.fault:
            try:
                self._write_piece()
            except Refusal as ex:
                # Not raised: the write has been carried out. The next one is refused.
                self._fail(ex)

    def _write_piece(self) -> None:
        """Write what was written since the last piece, and what may be written until the next."""
        store, number, intent = self._kept.store, self._change.id, self._intent()
        if self._lines:
            store.add_chunk(number, self._pieces, packed(self._lines), self._others(), intent)
            self._pieces += 1
            self._lines, self._size, self._targets = [], 0, set()
        else:
            store.intend(number, intent)
        self._stored = time.monotonic()

    def _store(self, work: Callable[[], None]) -> None:
        """Store something before a write.

        Raises:
            ChangeLogUnavailable: If that fails, and changes are refused then.
        """
        if not self.fault:
            try:
                work()
            except Refusal as ex:
                self._fail(ex)
        if self.fault:
            self._refuse()

    def _refuse(self) -> None:
        if self._kept.refuses:
            raise ChangeLogUnavailable(self.fault)

    def _fail(self, error: Refusal) -> None:
        self.fault = error.detail or error.code
        log.error("change log", change=self._change.id, detail=error.detail)


def _writes(step: Step) -> Iterator[Operation]:
    """Yield the writes of a step that are known before it; none of a sweep or a recheck."""
    if isinstance(step, Add | Rename) and step.container:
        yield step.container
    if isinstance(step, Operation):
        yield step


def _intended(operation: Operation) -> TouchedEntry:
    return touched_by(operation, None)
