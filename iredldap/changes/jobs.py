"""Changes that no client waits for, carried out in the background.

Each worker process has one thread that takes the oldest job that nobody holds, and carries it out
while it gives signs of life. A job whose worker has gone silent is taken by another one: the plan
is made anew, by the rights that the caller has by then, and the repeat finishes what broke off.

What a repeat can not find out from the directory is written down after each step, before the next
begins: that the state asked for with `If-Match` was there, and that the entry now found under the
name of a new account is the job's own. Only where a worker dies between such a step and its note,
some milliseconds, a job fails that has had its effect; it says so with the step's own code.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog

from iredldap.changes.apply import Progress, Turn, execute
from iredldap.config.sections import JobSettings
from iredldap.dit import request
from iredldap.dit.fields import Table
from iredldap.dit.plan import Add, Delete, Plan, Recheck, Rename, Step, Sweep, describe
from iredldap.dit.request import Request
from iredldap.errors import (
    AlreadyExists,
    InternalError,
    NoSuchAccount,
    Refusal,
    ServerDown,
    TooManyRequests,
)
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import Job, State, Waiting
from iredldap.gateways.turns import Turns

_MOST_ATTEMPTS = 5
"""Workers that a job may outlive, before it is held to be what ends them."""

_BEATS = 5
"""Signs of life in the time after which a job counts as abandoned, and looks for one."""

_LONGEST_BEAT, _LONGEST_WAIT = 1.0, 3.0
"""Seconds between them, however long that time is."""

_GRACE = 5.0
"""Seconds that a job under way gets to come to a halt when its worker ends."""

_PATIENCE = 3600.0
"""Seconds for which a job waits for its turn: nobody waits for the job."""

_NAMES_GO = {"deleted", "renamed"}

log = structlog.get_logger("iredldap.jobs")


class Interrupted(Refusal):
    """The job is somebody else's from here on."""


@dataclass(frozen=True, slots=True)
class Course:
    """How far a job has come, as whoever finishes it must know.

    `named` is the entry that the request names, and `fate` what becomes of it: `added`, `deleted`,
    `renamed`, or nothing of these. `done` and `left` are steps in words; `writes_left` counts
    those of the latter that do more than look again.
    """

    named: str = ""
    fate: str = ""
    done: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    writes_left: int = 0

    @property
    def has_begun(self) -> bool:
        return bool(self.done)

    def planned(self, plan: Plan) -> "Course":
        """The course with a plan about to be applied; the first one decides what is named."""
        return Course(
            self.named or plan.named,
            self.fate or fate(plan),
            self.done,
            tuple(describe(step) for step in plan.steps),
            sum(_writes(step) for step in plan.steps),
        )

    def dumped(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loaded(cls, text: str) -> "Course":
        if not text:
            return cls()
        written = json.loads(text)
        return cls(**{**written, "done": tuple(written["done"]), "left": tuple(written["left"])})


def fate(plan: Plan) -> str:
    """What becomes of the entry that a plan names; empty: nothing that a repeat would miss."""
    for step in plan.steps:
        match step:
            case Add() if step.dn == plan.named:
                return "added"
            case Delete() if step.dn == plan.named:
                return "deleted"
            case Rename() if step.dn == plan.named:
                return "renamed"
    return ""


def _writes(step: Step) -> bool:
    return not isinstance(step, Recheck)


def claimable(waiting: Iterable[Waiting], abandoned: int) -> Iterator[Waiting]:
    """Choose the jobs that may be taken: the oldest of each admin, if nobody is at it.

    Args:
        waiting: Unfinished jobs, the oldest first.
        abandoned: Milliseconds since 1970; a job without a sign of life since is nobody's.
    """
    first: dict[str, Waiting] = {}
    for job in waiting:
        first.setdefault(job.owner, job)
    return (job for job in first.values() if not job.worker or job.heartbeat < abandoned)


def extent(directory: Directory, plan: Plan) -> int:
    """Count the entries that a plan's sweeps would come by now, and its single steps."""
    return sum(
        sum(1 for _ in directory.stream(replace(step.query, attributes=("1.1",))))
        if isinstance(step, Sweep)
        else 1
        for step in plan.steps
    )


Make = Callable[[Request, str], Plan]
"""Makes the plan of a request in the name of an admin, given by their address."""


Note = Callable[[str, Request, Refusal | None], None]
"""Writes down what an admin changed; the refusal is what broke it off half-way."""


class Jobs:
    """The jobs of an installation, as one of its processes sees them.

    Args:
        settings: How long things last.
        state: Where jobs are written down.
        directory: Where they are carried out.
        make: Looks the caller up, checks their rights and makes the plan.
        tables: The rows of each endpoint.
        note: Is told of every change that was made, or broken off, by whom and what.
        turns: A job holds the names that it touches while it runs.
    """

    def __init__(
        self,
        settings: JobSettings,
        state: State,
        directory: Directory,
        make: Make,
        tables: Mapping[str, Table],
        note: Note,
        turns: Turns,
    ) -> None:
        self._turns = turns
        self._settings = settings
        self._state = state
        self._directory = directory
        self._make = make
        self._tables = tables
        self._note = note
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def accept(self, owner: str, wanted: Request) -> str:
        """Write a job down, to be carried out soon; return its id.

        Args:
            owner: Address of the admin who asks.
            wanted: What they ask for, without a password in clear text.

        Raises:
            TooManyRequests: If too many of their jobs wait already.
            ServerDown: If the state database does not answer.
        """
        own = [job for job in self._state.unfinished_jobs() if job.owner == owner]
        if len(own) >= self._settings.queue:
            raise TooManyRequests(f"{len(own)} jobs of {owner} wait")
        now = _now()
        job = Job(id=uuid.uuid4().hex, owner=owner, request=request.dumped(wanted), created=now)
        self._state.add_job(job, self._forgotten(now))
        log.info("job accepted", job=job.id, endpoint=wanted.endpoint, who=owner)
        self.start()
        self._wake.set()
        return job.id

    def find(self, number: str) -> Job | None:
        """Read a job by its id; None if it is unknown, or ended too long ago.

        Raises:
            ServerDown: If the state database does not answer.
        """
        self.start()
        job = self._state.job(number)
        if job and job.finished is not None and job.finished < self._forgotten(_now()):
            return None
        return job

    def start(self) -> None:
        """Begin to take jobs, unless this process does so already."""
        with self._lock:
            alive = self._thread and self._thread.is_alive()
            if not alive and not self._closing.is_set():
                self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Take no more jobs; one under way is left to others, at the next entry it comes by."""
        self._closing.set()
        self._wake.set()
        with self._lock:
            thread, self._thread = self._thread, None
        if thread:
            thread.join(_GRACE)

    def _forgotten(self, now: int) -> int:
        return now - self._settings.kept * 1000

    def _work(self) -> None:
        worker = f"{socket.gethostname()[:200]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        while not self._closing.is_set():
            self._wake.clear()
            try:
                busy = self._take(worker)
            except ServerDown as ex:
                # A job that was under way is found again by its heartbeat, by us or by others.
                log.warning("jobs wait", detail=ex.detail)
                busy = False
            if not busy:
                self._wake.wait(min(_LONGEST_WAIT, self._settings.abandoned / _BEATS))

    def _take(self, worker: str) -> bool:
        """Carry out the first job that can be had; tell whether there was one."""
        now = _now()
        abandoned = now - int(self._settings.abandoned * 1000)
        for waiting in claimable(self._state.unfinished_jobs(), abandoned):
            if self._state.claim_job(waiting, worker, now):
                job = self._state.job(waiting.id)
                assert job
                self._run(_Run(job, worker, self._state, self._directory, self._closing))
                return True
        return False

    def _run(self, run: "_Run") -> None:
        job, refusal = run.job, None
        interval = min(_LONGEST_BEAT, self._settings.abandoned / _BEATS)
        with run.beating(interval):
            try:
                self._execute(run)
            except Interrupted:
                run.release()
                log.info("job interrupted", job=job.id)
                return
            except Refusal as ex:
                refusal = ex
            except Exception as ex:
                # Whatever it is, the thread must live on, and whoever asks must hear of it.
                log.exception("job surprise", job=job.id)
                refusal = InternalError(type(ex).__name__)
                refusal.__cause__ = ex
        if run.wanted and (refusal is None or run.course.has_begun):
            self._note(job.owner, run.wanted, refusal)
        run.finish(refusal)
        log.info(
            "job finished",
            job=job.id,
            who=job.owner,
            code=",".join(refusal.codes) if refusal else None,
            detail=refusal.detail if refusal else None,
        )

    def _execute(self, run: "_Run") -> None:
        if run.job.attempts > _MOST_ATTEMPTS:
            raise InternalError(f"{_MOST_ATTEMPTS} workers ended while they were at it")
        before = run.course
        wanted = run.wanted = request.loaded(run.job.request, self._tables)
        if before.has_begun and before.fate == "deleted" and self._is_gone(before.named):
            return
        try:
            execute(
                self._directory,
                lambda: self._make(wanted, run.job.owner),
                # Its own first step left another state; who noted that step found the right one.
                () if before.has_begun else wanted.if_match,
                begin=run.begin,
                turn=Turn(self._turns, request.domains(wanted), _PATIENCE, run.check),
            )
        except (AlreadyExists, NoSuchAccount) as refusal:
            if run.course is not before or not self._is_fulfilled(before, refusal):
                raise

    def _is_fulfilled(self, course: Course, refusal: Refusal) -> bool:
        """Whether no plan can be made any more because an earlier worker got to the end of it."""
        if course.fate == "added":
            # With nothing noted, or with more to be written, the entry may be a rival's.
            ours = course.has_begun and not course.writes_left
            return ours and isinstance(refusal, AlreadyExists)
        gone = course.has_begun and course.fate in _NAMES_GO and self._is_gone(course.named)
        return gone and isinstance(refusal, NoSuchAccount)

    def _is_gone(self, dn: str) -> bool:
        return self._directory.read(dn, ("1.1",)) is None


class _Run:
    """One job in the hands of one worker."""

    def __init__(
        self,
        job: Job,
        worker: str,
        state: State,
        directory: Directory,
        closing: threading.Event,
    ) -> None:
        self.job = job
        self.course = Course.loaded(job.course)
        self.wanted: Request | None = None
        self._worker = worker
        self._state = state
        self._directory = directory
        self._closing = closing
        self._taken = threading.Event()
        self._earlier = self.course.done
        self._progress = Progress()
        self._total: int | None = None
        self._done = job.done

    @contextmanager
    def beating(self, interval: float) -> Iterator[None]:
        """Give signs of life meanwhile, whatever takes how long."""
        over = threading.Event()
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
                    self._taken.set()
            except ServerDown as ex:
                log.warning("job without a sign of life", job=self.job.id, detail=ex.detail)

    def begin(self, plan: Plan) -> Progress:
        """Follow a plan; the first is measured, one made anew because of others is not."""
        if self._total is None:
            self._total = self.job.done + extent(self._directory, plan)
        self.course = replace(self.course, done=self._earlier).planned(plan)
        self._progress = _Followed(self)
        self._note()
        return self._progress

    def step_done(self, step: Step) -> None:
        """Write a step down before the next one begins.

        Raises:
            Interrupted: If the job is another's, or the note cannot be made: nobody who came
                next would know of the step.
        """
        self.course = replace(
            self.course,
            done=(*self._earlier, *self._progress.done),
            left=self.course.left[1:],
            writes_left=self.course.writes_left - _writes(step),
        )
        self._note()
        self.check()

    def check(self) -> None:
        """See whether this worker shall go on.

        Raises:
            Interrupted: If not.
        """
        if self._closing.is_set() or self._taken.is_set():
            raise Interrupted(self.job.id)

    def release(self) -> None:
        """Leave the job to whoever comes next, at once."""
        self._write(**self._standing(), status="queued", worker="", attempts=self.job.attempts - 1)

    def finish(self, refusal: Refusal | None) -> None:
        """Write down how it ended. What only a worker must know is forgotten."""
        if refusal is None and self._total is not None:
            self._done = self._total
        report = self._report(refusal) if refusal else {}
        self._write(
            **self._standing(),
            status="failed" if refusal else "done",
            failures=len(self._progress.failed) if refusal else 0,
            code=",".join(refusal.codes) if refusal else None,
            report=json.dumps(report) if report else None,
            finished=_now(),
            request="",
            course="",
        )

    def _report(self, refusal: Refusal) -> dict[str, object]:
        """What earlier workers and this one did and did not, and which entries refused."""
        report: dict[str, Any] = dict(refusal.report or {})
        if self._earlier:
            report["done"] = [*self._earlier, *report.get("done", ())]
            report.setdefault("not_done", self.course.left)
        if self._progress.failed:
            report["failed"] = [
                {"dn": dn, "code": ",".join(why.codes)} for dn, why in self._progress.failed
            ]
        return report

    def _note(self) -> None:
        try:
            held = self._write(**self._standing(), course=self.course.dumped())
        except ServerDown as ex:
            raise Interrupted(f"{self.job.id}: {ex.detail}") from ex
        if not held:
            raise Interrupted(f"{self.job.id} is another worker's")

    def _standing(self) -> dict[str, int | None]:
        """How far it is; the number never goes down, whatever has to be made anew."""
        total = self.job.total if self._total is None else self._total
        reached = self.job.done + self._progress.visited
        self._done = max(self._done, min(reached, total or 0))
        return {"done": self._done, "total": total, "heartbeat": _now()}

    def _write(self, **values: int | str | None) -> bool:
        return self._state.update_job(self.job.id, self._worker, values)


class _Followed(Progress):
    """Progress of a job: each step is written down, each entry is an occasion to stop."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run

    def visit(self) -> None:
        super().visit()
        self._run.check()

    def finished(self, step: Step) -> None:
        super().finished(step)
        self._run.step_done(step)


def _now() -> int:
    return time.time_ns() // 1_000_000
