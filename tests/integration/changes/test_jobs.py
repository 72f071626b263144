"""Jobs of plans made for the purpose: what is noted, and what whoever comes next makes of it."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from iredldap.changes.change_log import ChangeLog
from iredldap.changes.job_state import JobState
from iredldap.changes.jobs import Jobs
from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.config.state import ChangeSettings, JobSettings
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree
from iredldap.dit.plan import (
    Add,
    Correction,
    Mod,
    Modify,
    Op,
    Operation,
    Outside,
    Plan,
    Query,
    Recheck,
    Scope,
    Sweep,
)
from iredldap.dit.request import Request, dumped
from iredldap.errors import AlreadyExists, NoSuchAccount, PermissionDenied, Refusal, ServerDown
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import Job, StateDatabase
from iredldap.gateways.turns import Turns
from tests.support.patience import wait_until
from tests.support.world import SUFFIX, WRITER_PASSWORD, World

TREE = Tree(SUFFIX)
DN = TREE.domain("named.test")
OWNER = "root@admins.test"
WANTED = Request("anything", {})
TABLES = {"anything": ()}


@dataclass
class Office:
    """Workers on one state database, with plans that the test gives."""

    directory: Directory
    state: StateDatabase
    change_log: ChangeLog
    make: Callable[[Request, str], Plan] = lambda *_: Plan(DN, ())
    open: list[Jobs] = field(default_factory=list)
    noted: list[tuple[str, Request, str | None]] = field(default_factory=list)

    def note(self, owner: str, wanted: Request, refusal: Refusal | None) -> None:
        """Remember what the admin log is told."""
        self.noted.append((owner, wanted, refusal.code if refusal else None))

    def worker(self, **settings: Any) -> Jobs:
        chosen = JobSettings(**{"abandoned": 0.5, **settings})
        turns = Turns(Secret("sqlite://"))
        self.open.append(
            Jobs(
                *(chosen, self.state, self.directory, self.plan, TABLES, self.note, turns),
                *(self.change_log, "here"),
            )
        )
        return self.open[-1]

    def plan(self, wanted: Request, owner: str) -> Plan:
        """As the test says by then."""
        return self.make(wanted, owner)

    def outcome(self, number: str) -> Job:
        """The job when it has ended."""
        wait_until(lambda: self.job(number).finished is not None)
        return self.job(number)

    def job(self, number: str) -> Job:
        found = self.state.job(number)
        assert found
        return found

    def run(self, plan: Plan, wanted: Request = WANTED) -> Job:
        """Have a job done."""
        self.make = lambda *_: plan
        return self.outcome(self.worker().accept(OWNER, wanted))

    def resume(self, state: JobState, refusal: Refusal | None = None, **columns: Any) -> Job:
        """Have a job finished that a worker left in this state."""
        if refusal:

            def refuse(*_: object) -> Plan:
                raise refusal

            self.make = refuse
        left: dict[str, Any] = {
            "request": dumped(WANTED),
            "attempts": 1,
            "worker": "dead",
            "heartbeat": 1,
        }
        job = Job(
            id="left", owner=OWNER, created=1, status="running",
            state=state.dumped(), **left | columns,
        )  # fmt: skip
        self.state.add_job(job, 0)
        self.worker().start()
        return self.outcome("left")


@pytest.fixture
def office(world: World, tmp_path: Path) -> Iterator[Office]:
    settings = LdapSettings(
        uri=(world.slapd.uri,),
        suffix=SUFFIX,
        bind_dn=f"cn=vmailadmin,{SUFFIX}",
        bind_password=Secret(WRITER_PASSWORD),
    )
    directory, url = Directory(settings), Secret(f"sqlite:///{tmp_path}/state.sqlite3")
    made = Office(directory, StateDatabase(url), ChangeLog(url, ChangeSettings(), 0.5, directory))
    yield made
    for jobs in made.open:
        jobs.close()
    made.change_log.close()
    made.directory.close()
    made.state.close()


def domain(dn: str) -> Add:
    name = dn.partition(",")[0].partition("=")[2].encode()
    return Add(dn, {"objectClass": (b"mailDomain",), "domainName": (name,)})


def described(text: str, dn: str = DN) -> Modify:
    return Modify(dn, (Mod(Op.REPLACE, "description", (text.encode(),)),))


def sweep(change: Callable[[Entry], Iterator[Operation]]) -> Sweep:
    query = Query(TREE.base, Scope.ONE, "(objectClass=mailDomain)")
    return Sweep("go round", query, change)


def refusing(dn: str) -> Sweep:
    """A sweep that the directory refuses at one entry."""

    def change(entry: Entry) -> Iterator[Operation]:
        bad = Modify(entry.dn, (Mod(Op.DELETE, "objectClass", (b"mailDomain",)),))
        yield bad if entry.dn == dn else described("swept", entry.dn)

    return sweep(change)


class TestReport:
    def test_counts_entries_and_single_steps(self, office: Office) -> None:
        """Together, before the start; in the end all are done."""
        others = [domain(TREE.domain(f"d{number}.test")) for number in range(5)]
        for other in others:
            office.directory.write(other)
        touch = sweep(lambda entry: iter([described("x", entry.dn)]))

        job = office.run(Plan(DN, (domain(DN), touch, described("last"))))

        # The sweep was counted when the domain was not yet there.
        assert (job.status, job.done, job.total, job.failures) == ("done", 7, 7, 0)

    def test_names_the_entry_that_refused(self, office: Office) -> None:
        """By DN and code, before anything was done."""
        bad = TREE.domain("bad.test")
        office.directory.write(domain(bad))

        job = office.run(Plan(DN, (domain(DN), refusing(bad), described("never"))))

        assert (job.status, job.failures, job.code) == ("failed", 1, "SCHEMA_VIOLATION")
        assert json.loads(job.report or "") == {
            "entries": [bad],
            "failed": [{"dn": bad, "code": "SCHEMA_VIOLATION"}],
        }
        assert office.directory.read(DN) is None

    def test_tells_what_was_done_before_it_broke_off(self, office: Office) -> None:
        """Beside what was not."""

        def fail() -> None:
            raise ServerDown("the database is away")

        office.directory.write(domain(TREE.domain("other.test")))
        go_round = sweep(lambda entry: iter([described("x", entry.dn)]))

        job = office.run(
            Plan(DN, (domain(DN), go_round, Outside("forget it", fail), described("never")))
        )

        assert (job.status, job.code) == ("failed", "SERVER_DOWN")
        report = json.loads(job.report or "")
        assert report["done"] == [f"add {DN}", "go round (2 entries)"]
        assert report["not_done"] == ["forget it", f"modify {DN}"]

    def test_names_a_single_step_that_was_refused(self, office: Office) -> None:
        job = office.run(Plan(DN, (described("nobody there"),)))

        assert (job.status, job.failures, job.code) == ("failed", 1, "NO_SUCH_ACCOUNT")
        assert json.loads(job.report or "") == {"failed": [{"dn": DN, "code": "NO_SUCH_ACCOUNT"}]}

    def test_of_a_job_that_nobody_foresaw(self, office: Office) -> None:
        """A fault of ours ends the job, not the worker."""

        def stumble(*_: object) -> Plan:
            raise ZeroDivisionError

        office.make = stumble
        worker = office.worker()
        first = worker.accept(OWNER, WANTED)
        assert office.outcome(first).code == "INTERNAL_ERROR"

        office.make = lambda *_: Plan(DN, ())
        assert office.outcome(worker.accept(OWNER, WANTED)).status == "done"


class TestResumption:
    def test_deleted_is_done(self, office: Office) -> None:
        """Nothing is left of what was to be deleted; no right is asked for."""
        begun = JobState(DN, "deleted", ("modify it",), ("delete it",), 1)

        assert office.resume(begun, PermissionDenied("not his any more")).status == "done"

    def test_a_deletion_that_had_not_begun_deletes_nothing(self, office: Office) -> None:
        """Somebody else did: then it is as for anybody who comes too late."""
        job = office.resume(JobState(DN, "deleted", (), ("delete it",), 1), NoSuchAccount("gone"))

        assert (job.status, job.code, job.report) == ("failed", "NO_SUCH_ACCOUNT", None)

    def test_renamed_is_done(self, office: Office) -> None:
        """The old name is nobody's, and no trace of an unfinished rename is found."""
        begun = JobState(DN, "renamed", ("modify it",), ("modify the new one",), 1)

        assert office.resume(begun, NoSuchAccount("no such user")).status == "done"

    def test_a_rename_that_lost_its_aim_failed(self, office: Office) -> None:
        """The entry still has its old name: it is the new domain that is gone."""
        office.directory.write(domain(DN))
        begun = JobState(DN, "renamed", ("modify it",), ("rename it",), 1)

        job = office.resume(begun, NoSuchAccount("no such domain"))

        assert (job.status, job.code) == ("failed", "NO_SUCH_ACCOUNT")
        assert json.loads(job.report or "") == {"done": ["modify it"], "not_done": ["rename it"]}

    @pytest.mark.parametrize(
        ("state", "status"),
        [
            (JobState(DN, "added", ("add it",), ("look again",), 0), "done"),
            (JobState(DN, "added", (), ("add it",), 1), "failed"),
            (JobState(DN, "added", ("add members",), ("add it",), 1), "failed"),
        ],
    )
    def test_an_entry_that_is_there(self, office: Office, state: JobState, status: str) -> None:
        """It is the job's own if the job has noted so; else it may be a rival's."""
        job = office.resume(state, AlreadyExists("taken"))

        assert job.status == status
        assert job.code == (None if status == "done" else "ALREADY_EXISTS")

    def test_lost_rights_end_it(self, office: Office) -> None:
        """And what had been done is told."""
        begun = JobState(DN, "", ("modify it",), ("go round",), 1)

        job = office.resume(begun, PermissionDenied("no admin any more"))

        assert (job.status, job.code) == ("failed", "PERMISSION_DENIED")
        assert json.loads(job.report or "") == {"done": ["modify it"], "not_done": ["go round"]}

    def test_progress_goes_on_where_it_was(self, office: Office) -> None:
        """It never goes back, and what is counted anew comes on top."""
        office.make = lambda *_: Plan(DN, (domain(DN), described("x")))

        job = office.resume(JobState(), done=40, total=300)

        assert (job.status, job.done, job.total) == ("done", 42, 42)

    def test_what_ends_every_worker_is_given_up(self, office: Office) -> None:
        """Else it would end all of them, for ever."""
        job = office.resume(JobState(), attempts=5)

        assert (job.status, job.code) == ("failed", "INTERNAL_ERROR")

    def test_steps_are_noted_before_the_next_begins(self, office: Office) -> None:
        """Seen from within the second step, the first is in the database."""
        noted: list[JobState] = []

        def judge(_: object) -> Correction:
            noted.append(JobState.loaded(office.job("noted").state))
            return Correction()

        look = Recheck("look again", Query(DN, Scope.BASE, "(objectClass=*)"), judge)
        office.make = lambda *_: Plan(DN, (domain(DN), look))
        office.state.add_job(Job(id="noted", owner=OWNER, request=dumped(WANTED), created=1), 0)
        office.worker().start()
        office.outcome("noted")

        assert noted == [JobState(DN, "added", (f"add {DN}",), ("look again",), 0)]


class TestWorkers:
    def test_one_that_was_taken_for_dead_stops(self, office: Office) -> None:
        """Another one has its job: it must not go on, nor write how it ended."""

        def change(entry: Entry) -> Iterator[Operation]:
            office.state.update_job("mine", _holder(office), {"worker": "another"})
            yield described("swept", entry.dn)

        office.directory.write(domain(DN))
        for number in range(3):
            office.directory.write(domain(TREE.domain(f"d{number}.test")))
        office.make = lambda *_: Plan(DN, (sweep(change), described("last")))
        office.state.add_job(Job(id="mine", owner=OWNER, request=dumped(WANTED), created=1), 0)
        worker = office.worker(abandoned=600.0)
        worker.start()

        wait_until(lambda: office.job("mine").worker == "another")
        worker.close()

        assert office.job("mine").status == "running"
        entry = office.directory.read(DN)
        assert entry
        assert entry.text("description") != "last"

    def test_a_worker_outlives_a_database_that_is_away(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It looks again later."""
        away = threading.Event()
        away.set()
        looked = office.state.unfinished_jobs

        def unfinished() -> Any:
            if away.is_set():
                raise ServerDown("state database")
            return looked()

        monkeypatch.setattr(office.state, "unfinished_jobs", unfinished)
        office.state.add_job(Job(id="some", owner=OWNER, request=dumped(WANTED), created=1), 0)
        office.worker().start()
        away.clear()

        assert office.outcome("some").status == "done"

    def test_two_share_the_work(self, office: Office) -> None:
        """No job is done twice, whoever is quicker."""
        made: list[str] = []

        def make(wanted: Request, owner: str) -> Plan:
            made.append(owner)
            return Plan(DN, ())

        office.make = make
        workers = [office.worker(abandoned=15.0) for _ in range(3)]
        owners = [f"admin{number}@a.test" for number in range(20)]

        numbers = [workers[index % 3].accept(owner, WANTED) for index, owner in enumerate(owners)]

        assert {office.outcome(number).status for number in numbers} == {"done"}
        assert sorted(made) == sorted(owners)

    def test_closing_waits_for_nobody(self, office: Office) -> None:
        """A worker without work ends at once, and takes nothing more."""
        worker = office.worker()
        worker.start()
        worker.close()
        worker.start()

        office.state.add_job(Job(id="late", owner=OWNER, request=dumped(WANTED), created=1), 0)

        assert not [t for t in threading.enumerate() if t.name == "jobs"]


def _holder(office: Office) -> str:
    return office.job("mine").worker
