"""One run of a job by one worker: its heartbeat, its progress and its result."""

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import structlog

from iredldap.changes.job_state import JobState, writes
from iredldap.changes.outages import HERE, PAUSE, Outage, passes
from iredldap.changes.progress import Progress
from iredldap.changes.read_back import happened
from iredldap.dit.left_alone import LeftAlone
from iredldap.dit.plan import Plan, Step, Sweep, describe
from iredldap.dit.request import Request, with_names_sent
from iredldap.errors import Refusal, ServerDown
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import Unanswered, begins_again
from iredldap.gateways.locks import Busy
from iredldap.gateways.state import Job, StateDatabase

log = structlog.get_logger("iredldap.jobs")


class Interrupted(Refusal):
    """The run is ended: another worker has claimed the job, or shall claim it."""


class JobRun:
    """One run of a job by one worker.

    `is_resumed` says whether an earlier run may have written something.
    """

    def __init__(
        self,
        job: Job,
        worker: str,
        database: StateDatabase,
        directory: Directory,
        closing: threading.Event,
        patience: float,
    ) -> None:
        self.job = job
        self.state = JobState.loaded(job.state)
        has_gone_on = self.state.has_begun or bool(self.state.work)
        self.is_resumed = job.attempts > 1 or job.done > 0 or has_gone_on
        self.wanted: Request | None = None
        self.left: tuple[LeftAlone, ...] = ()
        self.result: Mapping[str, object] | None = None
        self._worker = worker
        self._database = database
        self._directory = directory
        self._closing = closing
        self._patience = int(patience * 1000)
        self._outage = Outage.told_in(job.report)
        self._outage_here = 0
        self._reached = (0, 0)
        self._taken = threading.Event()
        self._earlier = self.state.done
        self._progress = Progress()
        self._total: int | None = None
        self._done = job.done
        self._is_planned = False

    @contextmanager
    def beating(self, interval: float) -> Iterator[None]:
        """Write heartbeats during the block, from a thread of its own."""
        over = threading.Event()
        # A thread, as a step may take longer than the time after which a job counts as abandoned.
        beat = threading.Thread(target=self._beat, args=(interval, over), name="job", daemon=True)
        beat.start()
        try:
            yield
        finally:
            over.set()
            beat.join()

    def _beat(self, interval: float, over: threading.Event) -> None:
        while not over.wait(interval):
            try:
                if not self._write(**self._standing(), report=self._told()):
                    # No row matched: another worker has claimed the job, and must not be joined in.
                    self._taken.set()
            except ServerDown as ex:
                log.warning("job without a sign of life", job=self.job.id, detail=ex.detail)

    def begin(self, plan: Plan) -> Progress:
        """Start to record the progress of a plan; only the first one is measured."""
        self._is_planned = True
        if self._total is None:
            # Measured once. A plan that is made again after a race finds less to do, and the
            # progress shown would go back.
            self._total = self.job.done + extent(self._directory, plan)
        self.state = replace(self.state, done=self._earlier).planned(plan)
        self._progress = _Followed(self)
        self._note()
        return self._progress

    def waits(self, refusal: Refusal, *, unknown: bool) -> bool:
        """Wait a moment for what did not respond; return whether to try the step again here.

        Raises:
            Interrupted: If this worker is not to go on.
        """
        if begins_again(refusal) or not self.outlasts(refusal):
            return False
        # What another worker would not find out: that an entry under the name of a new account is
        # the job's own, while there is something left to write.
        only_here = self.state.fate == "added" and (unknown or self.state.has_begun)
        if not only_here and now_ms() - self._outage_here > HERE * 1000:
            return False
        self._rest()
        return True

    def look_back(self, refusal: Unanswered) -> None:
        """Find out whether a write without a response was carried out, and note it.

        Another worker could not tell it from another client's. So this one waits, for all the time
        that a job is tried again, until the directory shows it.

        Raises:
            Interrupted: If this worker is not to go on.
        """
        while refusal.operation and self.outlasts(refusal):
            try:
                is_noted = describe(refusal.operation) in self.state.done
                if happened(self._directory, refusal.operation) and not is_noted:
                    self._progress.finished(refusal.operation)
            except ServerDown:
                self._rest()
            else:
                return

    def _rest(self) -> None:
        with suppress(ServerDown):
            self._write(**self._standing(), report=self._told())
        self._closing.wait(PAUSE)
        self.check()

    def outlasts(self, refusal: Refusal) -> bool:
        """Return whether the job goes on when the cause of a refusal has passed.

        Not if no turn came in all the time that a job waits for one, nor if the job has made no
        progress for too long.
        """
        if not passes(refusal) or (isinstance(refusal, Busy) and not self._is_planned):
            return False
        now, reached = now_ms(), self._carried_out()
        if reached != self._reached:
            # Something has been carried out since the last time: that was another outage.
            self._outage, self._outage_here, self._reached = None, 0, reached
        self._outage_here = self._outage_here or now
        self._outage = (self._outage or Outage(now, now + self._patience)).because(refusal)
        return now < self._outage.until

    def _carried_out(self) -> tuple[int, int]:
        return len(self._progress.done), self._progress.entries

    def _told(self) -> str | None:
        """Return the report of what the job waits for; None: it goes on."""
        if self._outage is None or self._carried_out() != self._reached:
            return None
        return self._outage.as_report()

    def advance(self, reached: int, total: int, work: str) -> None:
        """Store how far work without a plan has come, before the next part of it begins.

        Args:
            reached: Parts done.
            total: All of them.
            work: What a run that goes on with it needs: `state.work`.

        Raises:
            Interrupted: As `step_done`.
        """
        self._is_planned, self._total = True, total
        self._progress.visited = reached - self.job.done
        self._progress.entries = self._progress.visited
        self.state = replace(self.state, work=work)
        self._note()
        self.check()

    def step_done(self, step: Step) -> None:
        """Store that a step was carried out, before the next one begins.

        Raises:
            Interrupted: If another worker has claimed the job, or this cannot be stored: the next
                worker would not know of the step.
        """
        self.state = replace(
            self.state,
            done=(*self._earlier, *self._progress.done),
            left=self.state.left[1:],
            writes_left=self.state.writes_left - writes(step),
        )
        self._note()
        self.check()

    def check(self) -> None:
        """Check that this worker is to go on.

        Raises:
            Interrupted: If not.
        """
        if self._closing.is_set() or self._taken.is_set():
            raise Interrupted(self.job.id)

    def release(self) -> None:
        """Give the job back, to be claimed by another worker at once."""
        # Without a pause, so with no sign of life of anybody.
        self._give_back(self._standing() | {"heartbeat": 0})

    def postpone(self) -> None:
        """Give the job back, to be claimed by any worker after a pause."""
        self._give_back(self._standing())

    def _give_back(self, standing: Mapping[str, int | None]) -> None:
        # This run does not count: workers that are restarted often, and outages, must not use up
        # the attempts of a job.
        self._write(
            **standing,
            status="queued",
            worker="",
            attempts=self.job.attempts - 1,
            state=self.state.dumped(),
            report=self._told(),
        )

    def finish(self, refusal: Refusal | None) -> None:
        """Store the result; delete request and state, which may contain a password hash."""
        if refusal is None and self._total is not None:
            self._done = self._total
        report = self._report(refusal) if refusal else self._outcome()
        self._write(
            **self._standing(),
            status="failed" if refusal else "done",
            failures=len(self._progress.failed) if refusal else 0,
            code=",".join(refusal.codes) if refusal else None,
            report=json.dumps(report) if report else None,
            finished=now_ms(),
            request="",
            state="",
        )

    def _outcome(self) -> Mapping[str, object]:
        return self.result if self.result is not None else _left_alone(self.left)

    def _report(self, refusal: Refusal) -> dict[str, object]:
        """Return the steps that all runs have carried out and left, and the entries that failed."""
        report: dict[str, Any] = dict(refusal.report or {})
        if self._earlier:
            report["done"] = [*self._earlier, *report.get("done", ())]
            report.setdefault("not_done", self.state.left)
        if self._progress.failed:
            report["failed"] = [
                {"dn": dn, "code": ",".join(why.codes)} for dn, why in self._progress.failed
            ]
        # As a direct answer has them.
        sent_as = self.wanted.older_names if self.wanted else {}
        named: dict[str, object] = with_names_sent(sent_as, report)
        return named

    def _note(self) -> None:
        try:
            held = self._write(**self._standing(), state=self.state.dumped(), report=self._told())
        except ServerDown as ex:
            # To go on without the note would be worse than to wait: the next run would take the
            # step for another client's.
            raise Interrupted(f"{self.job.id}: {ex.detail}") from ex
        if not held:
            raise Interrupted(f"{self.job.id}: claimed by another worker")

    def _standing(self) -> dict[str, int | None]:
        """Return the progress; the number never decreases, even where a plan is made again."""
        total = self.job.total if self._total is None else self._total
        reached = self.job.done + self._progress.visited
        self._done = max(self._done, min(reached, total or 0))
        return {"done": self._done, "total": total, "heartbeat": now_ms()}

    def _write(self, **values: int | str | None) -> bool:
        return self._database.update_job(self.job.id, self._worker, values)


def _left_alone(left: Iterable[LeftAlone]) -> dict[str, object]:
    found = [one.as_json() for one in left]
    return {"left_alone": found} if found else {}


class _Followed(Progress):
    """Progress of a job: each step is stored, and after each entry the run may be ended."""

    def __init__(self, run: JobRun) -> None:
        super().__init__()
        self._run = run

    def waits(self, refusal: Refusal, *, unknown: bool) -> bool:
        return self._run.waits(refusal, unknown=unknown)

    def visit(self) -> None:
        super().visit()
        self._run.check()

    def finished(self, step: Step) -> None:
        super().finished(step)
        self._run.step_done(step)


def extent(directory: Directory, plan: Plan) -> int:
    """Count the entries that a plan's sweeps would find now, and its single steps."""
    return sum(
        # No attributes: only the number of entries matters.
        sum(1 for _ in directory.stream(replace(step.query, attributes=("1.1",))))
        if isinstance(step, Sweep)
        else 1
        for step in plan.steps
    )


def now_ms() -> int:
    return time.time_ns() // 1_000_000
