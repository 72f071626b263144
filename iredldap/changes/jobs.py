"""Background jobs: changes that no client waits for.

Each worker process has one thread that claims the oldest unclaimed job, and runs it while it writes
a heartbeat. A job whose heartbeat has stopped is claimed by another worker: the plan is made again,
by the rights that the caller has by then, and this run finishes what the first one left undone.

A job whose directory or database does not respond waits: for a moment in its worker, then for any
worker that tries it again (`outages.py`). What is refused for a reason of its own fails at once.

What the second run cannot find out from the directory is stored after each step, before the next
begins: that the state of `If-Match` was matched, and that the entry now found under the name of a
new account is the job's own. Only if a worker dies between such a step and its note, which takes
some milliseconds, a job fails that has had its effect; it fails with the step's own code.
"""

import os
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType

import structlog

from iredldap.changes.apply import Turn, execute
from iredldap.changes.change_log import ChangeLog
from iredldap.changes.job_run import Interrupted, JobRun, now_ms
from iredldap.changes.job_state import JobState
from iredldap.changes.outages import PAUSE
from iredldap.changes.recording import Recording
from iredldap.config.state import JobSettings
from iredldap.dit import request
from iredldap.dit.fields import Table
from iredldap.dit.logged_request import logged
from iredldap.dit.plan import Plan
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
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.gateways.state import Job, JobFilter, StateDatabase, UnfinishedJob
from iredldap.gateways.turns import Turns
from iredldap.undo_errors import NothingToUndo

_MOST_ATTEMPTS = 5
"""Runs after which a job is not claimed again: it may be what makes workers die."""

_BEATS = 5
"""Heartbeats, and searches for abandoned jobs, in the time after which a job is abandoned."""

_LONGEST_BEAT, _LONGEST_WAIT = 1.0, 3.0
"""Maximum of seconds between two heartbeats, and between two searches."""

_GRACE = 5.0
"""Seconds that a running job gets to stop when its worker exits."""

_PATIENCE = 3600.0
"""Seconds for which a job waits for its turn; long, because no client waits for it."""

_NAMES_GO = {"deleted", "renamed"}

log = structlog.get_logger("iredldap.jobs")


def claimable(
    waiting: Iterable[UnfinishedJob], abandoned: int, rested: int
) -> Iterator[UnfinishedJob]:
    """Return the jobs that may be claimed: the oldest of each admin, if no worker runs it.

    Args:
        waiting: Unfinished jobs, the oldest first.
        abandoned: Milliseconds since 1970; a job without a heartbeat since is abandoned.
        rested: The same; one that was given back before, because of an outage, is tried again.
    """
    first: dict[str, UnfinishedJob] = {}
    for job in waiting:
        # One at a time for each admin, in the order in which they were accepted: jobs of one admin
        # must not overtake one another.
        first.setdefault(job.owner, job)
    return (job for job in first.values() if job.heartbeat < (abandoned if job.worker else rested))


Make = Callable[[Request, str], Plan]
"""Makes the plan of a request in the name of an admin, given by their address."""


Work = Callable[[Request, str, JobRun], Mapping[str, object]]
"""Carries out a request that has no plan, in the name of an admin; returns the report."""


Note = Callable[[str, Request, Refusal | None], None]
"""Writes the admin log line of a change; with the refusal that aborted it half-way, if any."""


def new_id(token: str) -> str:
    """Return the id of a new job: random hex digits, after the id of the token that asks for it."""
    return f"{token}.{uuid.uuid4().hex}" if token else uuid.uuid4().hex


class Jobs:
    """The background jobs of an installation.

    Args:
        settings: Times and limits.
        state: Where jobs are stored.
        directory: Where they are carried out.
        make: Looks the caller up, checks their rights and makes the plan.
        tables: The rows of each endpoint.
        note: Called for every change that was made or aborted.
        turns: Locks on the names that a job touches.
        change_log: Where its change is recorded.
        node: Name of this node.
        runs: Whether this process carries out jobs; a command leaves them to the workers.
        works: What carries out requests that have no plan, by the ids of their endpoints.
    """

    def __init__(
        self,
        settings: JobSettings,
        state: StateDatabase,
        directory: Directory,
        make: Make,
        tables: Mapping[str, Table],
        note: Note,
        turns: Turns,
        change_log: ChangeLog,
        node: str,
        *,
        runs: bool = True,
        works: Mapping[str, Work] = MappingProxyType({}),
    ) -> None:
        self._node = node
        self._runs = runs
        self._works = works
        self._turns = turns
        self._change_log = change_log
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
        self._unsettled: Callable[[], None] | None = None

    def accept(self, owner: str, wanted: Request) -> str:
        """Store a job, to be run soon; return its id.

        Args:
            owner: Address of the admin who asks.
            wanted: What they ask for, without a password in clear text.

        Raises:
            TooManyRequests: If too many of their jobs wait already.
            ServerDown: If the state database does not respond.
        """
        own = [job for job in self._state.unfinished_jobs() if job.owner == owner]
        if len(own) >= self._settings.queue:
            raise TooManyRequests(f"{len(own)} jobs of {owner} wait")
        now = now_ms()
        id_ = new_id(wanted.token)
        job = Job(id=id_, owner=owner, request=request.dumped(wanted), created=now)
        self._state.add_job(job, self._forgotten(now))
        log.info("job accepted", job=job.id, endpoint=wanted.endpoint, who=owner)
        self.start()
        self._wake.set()
        return job.id

    def find(self, number: str) -> Job | None:
        """Read a job by its id, as clients see it; None: unknown, or finished too long ago.

        Raises:
            ServerDown: If the state database does not respond.
        """
        self.start()
        job = self._state.job(number, with_work=False)
        if job and job.finished is not None and job.finished < self._forgotten(now_ms()):
            return None
        return job

    def latest(self, wanted: JobFilter, limit: int) -> list[Job]:
        """Read jobs, the newest first; those that were finished too long ago are left out.

        Args:
            wanted: Which ones.
            limit: Most of them.

        Raises:
            ServerDown: If the state database does not respond.
        """
        return self._state.jobs(wanted, self._forgotten(now_ms()), limit)

    def start(self) -> None:
        """Start the thread that claims jobs, unless it is running."""
        with self._lock:
            alive = self._thread and self._thread.is_alive()
            if self._runs and not alive and not self._closing.is_set():
                self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Claim no more jobs; a running one stops at its next entry, for another worker."""
        self._closing.set()
        self._wake.set()
        with self._lock:
            thread, self._thread = self._thread, None
        if thread:
            # A job stops after its current entry. If it does not in time, its heartbeat ends with
            # the process, and another worker takes it.
            thread.join(_GRACE)

    def _forgotten(self, now: int) -> int:
        return now - self._settings.kept * 1000

    def _work(self) -> None:
        worker = f"{self._node}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        while not self._closing.is_set():
            # Before the search: a job accepted during it wakes the thread at once.
            self._wake.clear()
            try:
                self._settle()
                wait = self._take(worker)
            except ServerDown as ex:
                # A job that was running is found again by its heartbeat, by this or another worker.
                log.warning("jobs wait", detail=ex.detail)
                wait = self._longest_wait
            if wait:
                self._wake.wait(min(wait, PAUSE) if self._unsettled else wait)
        with suppress(ServerDown):
            self._settle()

    def _settle(self) -> None:
        """Store how the last run ended.

        If the state database does not respond that is tried again, before another job is claimed:
        who takes a job over without it would carry it out anew.

        Raises:
            ServerDown: If it does not respond.
        """
        if self._unsettled:
            self._unsettled()
            self._unsettled = None

    @property
    def _longest_wait(self) -> float:
        return min(_LONGEST_WAIT, self._settings.abandoned / _BEATS)

    def _take(self, worker: str) -> float:
        """Run the first job that can be claimed; return the seconds until the next search."""
        now = now_ms()
        abandoned = now - int(self._settings.abandoned * 1000)
        rested = now - int(PAUSE * 1000)
        unfinished = self._state.unfinished_jobs()
        for waiting in claimable(unfinished, abandoned, rested):
            # Another worker may have been quicker since the list was read; the database decides.
            if self._state.claim_job(waiting, worker, now):
                job = self._state.job(waiting.id)
                assert job
                self._run(
                    JobRun(
                        *(job, worker, self._state, self._directory, self._closing),
                        self._settings.patience,
                    )
                )
                return 0.0
        # One that was given back because of an outage is tried again when it has rested.
        rests = any(not job.worker and job.heartbeat for job in unfinished)
        return min(self._longest_wait, PAUSE) if rests else self._longest_wait

    def _run(self, run: JobRun) -> None:
        job, refusal = run.job, None
        interval = min(_LONGEST_BEAT, self._settings.abandoned / _BEATS)
        with run.beating(interval):
            try:
                self._executed(run)
            except Interrupted:
                log.info("job interrupted", job=job.id)
                self._end(run.release)
                return
            except Refusal as ex:
                if run.outlasts(ex):
                    log.warning("job waits", job=job.id, code=ex.code, detail=ex.detail)
                    self._end(run.postpone)
                    return
                refusal = ex
            except Exception as ex:
                # Any error: the thread must go on, and the client must get a result.
                log.exception("job surprise", job=job.id)
                refusal = InternalError(type(ex).__name__)
                refusal.__cause__ = ex
        # What was refused before its first step has changed nothing, and is not logged.
        if run.wanted and (refusal is None or run.state.has_begun):
            self._note(job.owner, run.wanted, refusal)
        self._end(partial(run.finish, refusal))
        log.info(
            "job finished",
            job=job.id,
            who=job.owner,
            code=",".join(refusal.codes) if refusal else None,
            detail=refusal.detail if refusal else None,
        )

    def _end(self, store: Callable[[], None]) -> None:
        self._unsettled = store
        self._settle()

    def _executed(self, run: JobRun) -> None:
        try:
            self._execute(run)
            if run.is_resumed:
                self._confirm(run)
        except Unanswered as ex:
            # Not sooner: until now everything went to the server that has not responded.
            run.look_back(ex)
            raise

    def _execute(self, run: JobRun) -> None:
        if run.job.attempts > _MOST_ATTEMPTS:
            raise InternalError(f"{_MOST_ATTEMPTS} workers died while they ran it")
        before = run.state
        wanted = run.wanted = request.loaded(run.job.request, self._tables)
        if work := self._works.get(wanted.endpoint):
            run.result = work(wanted, run.job.owner, run)
            return
        # The entry went with the last step. Without it no plan can be made, and nothing is left to
        # do.
        if before.has_begun and before.fate == "deleted" and self._is_gone(before.named):
            return
        try:
            self._apply(run, wanted)
        except (AlreadyExists, NoSuchAccount) as refusal:
            # A plan was made in this run, so the refusal is of its own steps.
            if run.state is not before or not self._is_fulfilled(before, refusal):
                raise
        except NothingToUndo:
            if not before.has_begun:
                raise

    def _apply(self, run: JobRun, wanted: Request) -> None:
        owner, again = run.job.owner, run.state.has_begun
        with Recording(self._change_log, logged(wanted, owner, job=run.job.id)) as recording:
            try:
                done = execute(
                    self._directory,
                    lambda: self._make(wanted, owner),
                    # Not in a second run: the first step has left another state, and was only
                    # carried out because the state matched.
                    () if again else wanted.if_match,
                    begin=run.begin,
                    turn=Turn(self._turns, request.domains(wanted), _PATIENCE, run.check),
                    recording=recording,
                )
            except Refusal as ex:
                recording.interrupted = isinstance(ex, Interrupted) or run.outlasts(ex)
                raise
            run.left = done.left

    def _is_fulfilled(self, state: JobState, refusal: Refusal) -> bool:
        """Return whether no plan can be made because an earlier run has carried it out."""
        if state.fate == "added":
            # With no step stored, or with writes left, the entry may be another client's.
            ours = state.has_begun and not state.writes_left
            return ours and isinstance(refusal, AlreadyExists)
        gone = state.has_begun and state.fate in _NAMES_GO and self._is_gone(state.named)
        return gone and isinstance(refusal, NoSuchAccount)

    def _is_gone(self, dn: str) -> bool:
        with self._directory.change() as change:
            change.cover(None, dn)
            return self._directory.read(dn, ("1.1",)) is None

    def _confirm(self, run: JobRun) -> None:
        """Wait until the other server has what earlier runs have written, which may have died.

        Raises:
            ServerDown: If that is not confirmed; then a later run sees what was kept.
        """
        with self._directory.change() as change:
            change.cover_since(datetime.fromtimestamp(run.job.created / 1000, UTC))
