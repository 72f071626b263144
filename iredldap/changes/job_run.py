"""One run of a job by one worker: its heartbeat, its progress and its result."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import structlog

from iredldap.changes.job_state import JobState, writes
from iredldap.changes.progress import Progress
from iredldap.dit.left_alone import LeftAlone
from iredldap.dit.plan import Plan, Step, Sweep
from iredldap.dit.request import Request, with_names_sent
from iredldap.errors import Refusal, ServerDown
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import Job, StateDatabase

log = structlog.get_logger("iredldap.jobs")


class Interrupted(Refusal):
    """The run is ended: another worker has claimed the job, or shall claim it."""


class JobRun:
    """One run of a job by one worker."""

    def __init__(
        self,
        job: Job,
        worker: str,
        database: StateDatabase,
        directory: Directory,
        closing: threading.Event,
    ) -> None:
        self.job = job
        self.state = JobState.loaded(job.state)
        self.wanted: Request | None = None
        self.left: tuple[LeftAlone, ...] = ()
        self._worker = worker
        self._database = database
        self._directory = directory
        self._closing = closing
        self._taken = threading.Event()
        self._earlier = self.state.done
        self._progress = Progress()
        self._total: int | None = None
        self._done = job.done

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
                if not self._write(**self._standing()):
                    # No row matched: another worker has claimed the job, and must not be joined in.
                    self._taken.set()
            except ServerDown as ex:
                log.warning("job without a sign of life", job=self.job.id, detail=ex.detail)

    def begin(self, plan: Plan) -> Progress:
        """Start to record the progress of a plan; only the first one is measured."""
        if self._total is None:
            # Measured once. A plan that is made again after a race finds less to do, and the
            # progress shown would go back.
            self._total = self.job.done + extent(self._directory, plan)
        self.state = replace(self.state, done=self._earlier).planned(plan)
        self._progress = _Followed(self)
        self._note()
        return self._progress

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
        # This run does not count: workers that are restarted often must not use up the attempts of
        # a job.
        self._write(**self._standing(), status="queued", worker="", attempts=self.job.attempts - 1)

    def finish(self, refusal: Refusal | None) -> None:
        """Store the result; delete request and state, which may contain a password hash."""
        if refusal is None and self._total is not None:
            self._done = self._total
        report = self._report(refusal) if refusal else _left_alone(self.left)
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
            held = self._write(**self._standing(), state=self.state.dumped())
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
