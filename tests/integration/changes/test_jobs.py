"""Jobs of plans made for the purpose: what is noted, and what whoever comes next makes of it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from iredldap.changes import read_back
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
from iredldap.errors import (
    AlreadyExists,
    ChangeLogUnavailable,
    MlmmjadminUnavailable,
    NoSuchAccount,
    PermissionDenied,
    Refusal,
    ServerDown,
)
from iredldap.gateways.change_store import ChangeFilter
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.gateways.recorded_directory import RecordedDirectory
from iredldap.gateways.state import Job, StateDatabase
from iredldap.gateways.turns import Turns
from iredldap.undo_errors import NothingToUndo
from tests.support.patience import PATIENCE, wait_until
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
    patience: float = 0.0
    noted: list[tuple[str, Request, str | None]] = field(default_factory=list)

    def note(self, owner: str, wanted: Request, refusal: Refusal | None) -> None:
        """Remember what the admin log is told."""
        self.noted.append((owner, wanted, refusal.code if refusal else None))

    def worker(self, **settings: Any) -> Jobs:
        chosen = JobSettings(**{"abandoned": 0.5, "patience": self.patience, **settings})
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

    @pytest.mark.parametrize(
        ("fate", "refusal"),
        [
            ("added", AlreadyExists("there")),
            ("renamed", NoSuchAccount("gone")),
            ("deleted", NoSuchAccount("gone")),
            ("", NothingToUndo("undone")),
        ],
    )
    def test_it_is_not_done_before_the_other_server_has_it(
        self, office: Office, monkeypatch: pytest.MonkeyPatch, fate: str, refusal: Refusal
    ) -> None:
        """What the first worker had written may be lost with the server that it wrote to."""
        if fate == "added":
            office.directory.write(domain(DN))
        change = Directory.change

        @contextmanager
        def unconfirmed(directory: Directory) -> Iterator[Any]:
            with change(directory) as current:
                yield current
            raise ServerDown("not confirmed")

        monkeypatch.setattr(Directory, "change", unconfirmed)
        ended = office.resume(JobState(DN, fate, done=("a step",)), refusal)
        assert (ended.status, ended.code) == ("failed", "SERVER_DOWN")

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


class TestOutages:
    """What does not respond is waited for, and the report says so meanwhile."""

    @pytest.fixture(autouse=True)
    def patient(self, office: Office) -> None:
        office.patience = PATIENCE

    @pytest.mark.parametrize(
        "refusal", [ServerDown("away"), ChangeLogUnavailable("away"), MlmmjadminUnavailable("away")]
    )
    def test_a_job_waits_and_says_why(self, office: Office, refusal: Refusal) -> None:
        """Before it can make its plan, any worker tries it again; its attempts do not count."""
        refusal.report = {"database": "state"}
        office.make = _raising(refusal)
        number = office.worker().accept(OWNER, WANTED)
        wait_until(lambda: office.job(number).report is not None)
        waiting = json.loads(office.job(number).report or "")["waiting"]
        assert (waiting["code"], waiting["database"]) == (refusal.code, "state")
        assert waiting["since"] < waiting["until"]
        assert office.job(number).code is None

        office.make = lambda *_: Plan(DN, (domain(DN),))
        office.worker()

        ended = office.outcome(number)
        assert (ended.status, ended.report, ended.attempts) == ("done", None, 1)

    def test_it_fails_when_it_has_waited_long_enough(self, office: Office) -> None:
        office.patience = 0.5
        office.make = _raising(ServerDown("away"))
        ended = office.outcome(office.worker().accept(OWNER, WANTED))
        assert (ended.status, ended.code, ended.report) == ("failed", "SERVER_DOWN", None)

    def test_a_step_is_tried_again_where_it_broke_off(self, office: Office) -> None:
        """What was done before is not done again, and no further plan is made."""
        plans, failures = [], [ServerDown("away"), ServerDown("away")]

        def work() -> None:
            if failures:
                raise failures.pop()

        def make(*_: object) -> Plan:
            plans.append(1)
            return Plan(DN, (domain(DN), Outside("tell others", work), described("last")))

        office.make = make
        ended = office.outcome(office.worker().accept(OWNER, WANTED))

        assert (ended.status, ended.report, len(plans)) == ("done", None, 1)
        entry = office.directory.read(DN)
        assert entry
        assert entry.text("description") == "last"
        changes = office.change_log.store.find(ChangeFilter(), 10)
        assert [change.result for change in changes] == ["done"]

    def test_one_that_goes_on_does_not_say_that_it_waits(self, office: Office) -> None:
        failures, reports = [ServerDown("away")], list[str | None]()

        def work() -> None:
            if failures:
                raise failures.pop()

        def look() -> None:
            (unfinished,) = office.state.unfinished_jobs()
            reports.append(office.job(unfinished.id).report)

        steps = (domain(DN), Outside("tell others", work), Outside("look", look))
        assert office.run(Plan(DN, steps)).status == "done"
        assert reports == [None]

    def test_another_worker_goes_on_when_this_one_has_waited(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each run is a change of its own, of the same job."""
        monkeypatch.setattr("iredldap.changes.job_run.HERE", -1.0)
        office.directory.write(domain(DN))
        failures = [ServerDown("away")]

        def work() -> None:
            if failures:
                raise failures.pop()

        three = (described("first"), Outside("tell others", work), described("last"))
        office.make = lambda *_: Plan(DN, three)
        number = office.worker().accept(OWNER, WANTED)

        assert office.outcome(number).status == "done"
        changes = office.change_log.store.find(ChangeFilter(job=number), 10)
        assert [(change.result, change.codes) for change in changes] == [
            ("done", ()),
            ("broken off", ("INTERRUPTED",)),
        ]

    def test_a_write_without_a_response_is_not_sent_again(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The entry shows that it was carried out, when the directory responds again."""
        unreadable = [Unanswered("away"), Unanswered("away")]
        write, happened = Directory.write, read_back.happened

        def lose(directory: Directory, operation: Operation) -> str | None:
            write(directory, operation)
            monkeypatch.setattr(Directory, "write", write)
            raise Unanswered("away")

        def look(directory: Directory, operation: Operation, until: float | None = None) -> bool:
            if unreadable:
                raise unreadable.pop()
            return happened(directory, operation, until)

        monkeypatch.setattr(Directory, "write", lose)
        monkeypatch.setattr("iredldap.changes.job_run.HERE", -1.0)
        monkeypatch.setattr("iredldap.changes.steps.happened", look)
        monkeypatch.setattr(RecordedDirectory, "write", Directory.write)
        office.make = lambda *_: Plan(DN, (domain(DN), described("last")))

        ended = office.outcome(office.worker().accept(OWNER, WANTED))

        assert (ended.status, ended.code) == ("done", None)

    def test_a_final_refusal_stays_final(self, office: Office) -> None:
        office.make = _raising(PermissionDenied("no"))
        ended = office.outcome(office.worker().accept(OWNER, WANTED))
        assert (ended.status, ended.code) == ("failed", "PERMISSION_DENIED")

    def test_the_end_is_stored_when_the_state_database_is_back(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By the worker that ran it: else what it had done would be taken for another client's."""
        plans: list[int] = []
        away = threading.Event()
        update = office.state.update_job

        def make(*_: object) -> Plan:
            plans.append(1)
            if len(plans) > 1:
                raise AlreadyExists("it is the job's own")
            return Plan(DN, (domain(DN), Outside("fall", away.set)))

        def updated(*arguments: Any) -> bool:
            if away.is_set():
                raise ServerDown("state database")
            return update(*arguments)

        monkeypatch.setattr(office.state, "update_job", updated)
        office.make = make
        number = office.worker(abandoned=PATIENCE).accept(OWNER, WANTED)
        wait_until(away.is_set)
        away.clear()

        assert (office.outcome(number).status, office.job(number).attempts) == ("done", 1)
        assert len(plans) == 2


def _raising(refusal: Refusal) -> Callable[..., Plan]:
    def make(*_: object) -> Plan:
        raise refusal

    return make


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
