"""Our own database remembers ended sessions, in whatever process they were ended."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateTable

from iredldap.config.settings import Secret
from iredldap.errors import ServerDown
from iredldap.gateways.access.sessions import OpenedSession
from iredldap.gateways.state import Job, JobFilter, StateDatabase, UnfinishedJob
from iredldap.gateways.tables.jobs import JOBS
from iredldap.gateways.tables.sessions import EVERYBODY, REVOKED
from iredldap.gateways.tables.state import METADATA
from tests.support.databases import Urls, connected, execute
from tests.support.patience import PATIENCE

NOW = 4_000_000_000
"""Later than any database of the tests is made."""
ADMIN = "admin@corp.test"
Open = Callable[[], StateDatabase]


def ended(state: StateDatabase, session: str, since: int = NOW) -> bool:
    return state.sessions.is_ended(OpenedSession(session, ADMIN, since))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "not" / "yet" / "there" / "state.sqlite3"


@pytest.fixture
def open_(file: Path) -> Iterator[Open]:
    """Open the same database as often as asked."""
    made: list[StateDatabase] = []

    def make() -> StateDatabase:
        made.append(StateDatabase(Secret(f"sqlite:///{file}")))
        return made[-1]

    yield make
    for state in made:
        state.close()


def stored(file: Path) -> set[str]:
    engine = sql.create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        found = connection.execute(sql.text("SELECT id FROM revoked_sessions")).scalars()
        ids = {str(row) for row in found}
    engine.dispose()
    return ids


def test_it_is_made_on_first_use(open_: Open, file: Path) -> None:
    """With the directories above it; nothing is touched before."""
    state = open_()
    assert not file.parent.parent.exists()

    state.ask()

    assert file.exists()


def test_a_session_is_revoked_until_it_would_have_ended(open_: Open, file: Path) -> None:
    """Then the next revocation forgets it."""
    state = open_()
    assert not ended(state, "short")

    state.sessions.revoke("short", NOW + 10, NOW)
    state.sessions.revoke("long", NOW + 100, NOW + 10)
    assert ended(state, "short")

    state.sessions.revoke("last", NOW + 100, NOW + 11)
    assert stored(file) == {"long", "last"}
    assert not ended(state, "short")


def test_ended_twice_is_ended(open_: Open) -> None:
    """A second logout is no error, and does not undo its own housekeeping."""
    state = open_()
    state.sessions.revoke("old", NOW + 1, NOW)
    state.sessions.revoke("session", NOW + 100, NOW)

    state.sessions.revoke("session", NOW + 100, NOW + 50)

    assert ended(state, "session")
    assert not ended(state, "old")


def test_what_it_knows_outlives_it(open_: Open) -> None:
    """A restart forgets nothing."""
    first = open_()
    first.sessions.revoke("session", NOW + 100, NOW)
    first.close()

    assert ended(open_(), "session")


def test_processes_see_one_another(open_: Open, file: Path) -> None:
    """A logout at one worker counts at all of them."""
    here = open_()
    here.sessions.revoke("here", NOW + 100, NOW)
    there = (
        "import sys\n"
        "from iredldap.config.settings import Secret\n"
        "from iredldap.gateways.access.sessions import OpenedSession\n"
        "from iredldap.gateways.state import StateDatabase\n"
        "state = StateDatabase(Secret(sys.argv[1]))\n"
        f"state.sessions.revoke('there', {NOW + 100}, {NOW})\n"
        f"here = OpenedSession('here', '{ADMIN}', {NOW})\n"
        "sys.exit(0 if state.sessions.is_ended(here) else 1)\n"
    )

    subprocess.run([sys.executable, "-c", there, f"sqlite:///{file}"], check=True)

    assert ended(here, "there")


def _first_use(url: str, ready: "multiprocessing.synchronize.Barrier") -> None:
    with closing(StateDatabase(Secret(url))) as state:
        ready.wait(PATIENCE)
        state.ask()


def test_all_workers_may_come_first(tmp_path: Path) -> None:
    """Processes that make the database at the same moment do not get in one another's way."""
    several = multiprocessing.get_context("spawn")
    for attempt in range(2):
        url = f"sqlite:///{tmp_path}/{attempt}/state.sqlite3"
        ready = several.Barrier(4)
        workers = [several.Process(target=_first_use, args=(url, ready)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(PATIENCE)
        assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]


def test_all_threads_may_come_first(tmp_path: Path) -> None:
    """The same for threads with a StateDatabase of their own."""
    for attempt in range(20):
        url = Secret(f"sqlite:///{tmp_path}/{attempt}/state.sqlite3")
        ready = threading.Barrier(4)
        faults: list[str] = []

        def ask(url: Secret, ready: threading.Barrier, faults: list[str]) -> None:
            with closing(StateDatabase(url)) as state:
                ready.wait(PATIENCE)
                try:
                    state.ask()
                except ServerDown as ex:
                    faults.append(repr(ex.__cause__))

        _at_once(4, lambda: ask(url, ready, faults))  # noqa: B023
        assert faults == []


def test_threads_may_revoke_at_once(open_: Open, file: Path) -> None:
    """Nothing is lost and nobody is refused."""
    states = [open_(), open_()]
    faults: list[ServerDown] = []
    numbers = iter(range(8))
    lock = threading.Lock()

    def revoke() -> None:
        with lock:
            number = next(numbers)
        for count in range(10):
            try:
                states[number % 2].sessions.revoke(f"{number}-{count}", NOW + 100, NOW)
                states[number % 2].sessions.revoke("common", NOW + 100, NOW)
            except ServerDown as ex:
                faults.append(ex)

    _at_once(8, revoke)

    assert faults == []
    assert len(stored(file)) == 81


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_opens_its_own(open_: Open) -> None:
    """Parent and child share no connection."""
    state = open_()
    state.sessions.revoke("parent", NOW + 100, NOW)

    child = os.fork()
    if child == 0:
        status = 1
        try:
            if ended(state, "parent"):
                state.sessions.revoke("child", NOW + 100, NOW)
                status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert ended(state, "child")


@pytest.mark.parametrize(
    "url",
    [
        "no URL at all",
        "sqlite://with a host/db",
        "nosuchdatabase://user:secret@127.0.0.1/db",
        "mysql+nosuchdriver://user:secret@127.0.0.1/db",
        "mysql+pymysql://user:secret@127.0.0.1:port/db",
        "sqlite:////dev/null/state.sqlite3",
        "sqlite:////dev/null/no/parent/state.sqlite3",
        "sqlite:////proc/state.sqlite3",
    ],
)
def test_what_cannot_be_opened_is_down(url: str) -> None:
    """Each use says so, none earlier, and no word of it holds the password."""
    with closing(StateDatabase(Secret(url))) as state:
        for use in (
            state.ask,
            lambda: ended(state, "session"),
            lambda: state.sessions.revoke("session", NOW + 1, NOW),
            lambda: state.add_job(job("any"), 0),
            lambda: state.job("any"),
            state.unfinished_jobs,
            lambda: state.claim_job(UnfinishedJob("any", "ann", "", 0), "worker", NOW),
            lambda: state.update_job("any", "worker", {"done": 1}),
        ):
            with pytest.raises(ServerDown, match="state database") as failed:
                use()
            assert "secret" not in str(failed.value)


def test_a_file_that_is_none_of_ours_is_left_alone(open_: Open, file: Path) -> None:
    """What is no database is not overwritten; when it is gone, work goes on."""
    file.parent.mkdir(parents=True)
    file.write_text("somebody's letter\n" * 100)
    state = open_()

    with pytest.raises(ServerDown):
        state.ask()
    assert file.read_text().startswith("somebody's letter")

    file.unlink()
    state.ask()


def test_it_is_for_the_owner_only(open_: Open, file: Path) -> None:
    """A job may hold the hash of a password."""
    open_().ask()

    assert file.stat().st_mode & 0o077 == 0


class TestAllSessions:
    """Of an admin, or of everybody."""

    def test_end_at_once(self, databases: Urls) -> None:
        """Those that were opened before, as often as it is asked for, in every kind of database."""
        url = databases.iredadmin
        with (
            closing(StateDatabase(Secret(url))) as state,
            closing(StateDatabase(Secret(url))) as node,
        ):
            others = OpenedSession(state.sessions.new("other@corp.test"), "other@corp.test", NOW)
            for whose in (ADMIN, EVERYBODY) * 2:
                before = state.sessions.new(ADMIN)
                assert not ended(state, before)
                assert len(before) <= 64 - len(str(10**12))
                node.sessions.end_all(whose)
                after = state.sessions.new(ADMIN)
                assert [ended(state, before), ended(state, after)] == [True, False]
                asked = {id_: OpenedSession(id_, ADMIN, NOW) for id_ in (before, after)}
                assert state.sessions.ended_of(asked) == {before}
            assert state.sessions.is_ended(others)
            assert state.sessions.ended_of({"others": others}) == {"others"}
        drop(url)

    def test_of_an_admin_are_not_those_of_others(self, databases: Urls) -> None:
        url = databases.iredadmin
        with closing(StateDatabase(Secret(url))) as state:
            others = OpenedSession(state.sessions.new("other@corp.test"), "other@corp.test", NOW)
            state.sessions.end_all(ADMIN)
            assert not state.sessions.is_ended(others)
            assert state.sessions.ended_of({"others": others}) == set()
        drop(url)

    def test_may_be_ended_by_several_at_once(self, databases: Urls) -> None:
        """None is lost, also where there was no row to wait for."""
        url = databases.iredadmin
        ready = threading.Barrier(4)

        def end() -> None:
            with closing(StateDatabase(Secret(url))) as state:
                ready.wait(PATIENCE)
                state.sessions.end_all(ADMIN)

        _at_once(4, end)

        with closing(StateDatabase(Secret(url))) as state:
            assert state.sessions.new(ADMIN).endswith(".4")
        drop(url)


class TestALostDatabase:
    """The list of ended sessions went with it."""

    def test_ends_all_sessions_opened_before(self, databases: Urls) -> None:
        """The tables are dropped while we run: the next call makes them again."""
        url = databases.iredadmin
        with closing(StateDatabase(Secret(url))) as state:
            kept, left = state.sessions.new(ADMIN), state.sessions.new(ADMIN)
            state.sessions.revoke(left, NOW, NOW)
            assert [ended(state, kept), ended(state, left)] == [False, True]

            drop(url)

            with pytest.raises(ServerDown):
                ended(state, kept)
            assert [ended(state, kept), ended(state, left)] == [True, True]
            assert not ended(state, state.sessions.new(ADMIN))
        drop(url)

    def test_of_older_versions_ends_those_by_their_time(self, databases: Urls) -> None:
        """Their sessions do not say from which database they are."""
        url = databases.iredadmin
        with closing(StateDatabase(Secret(url))) as state:
            made = int(time.time())
            state.ask()
            assert ended(state, "older", made - 1)
            assert not ended(state, "younger", int(time.time()) + 1)
        drop(url)

    def test_is_none_after_an_update(self, databases: Urls) -> None:
        """Sessions of the version before go on, and those ended then stay so."""
        url = databases.iredadmin
        with connected(url) as connection:
            REVOKED.create(connection)
            connection.execute(sql.insert(REVOKED).values(id="ended", expires=NOW))
        with closing(StateDatabase(Secret(url))) as state:
            assert not ended(state, "old", 1)
            assert ended(state, "ended", 1)
            assert not ended(state, state.sessions.new(ADMIN))
        drop(url)

    def test_of_the_version_before_has_no_generations(self, databases: Urls) -> None:
        """Its sessions go on until they are ended, one admin's or all."""
        url = databases.iredadmin
        with closing(StateDatabase(Secret(url))) as state:
            home = state.sessions.new(ADMIN).partition(".")[0]
            execute(url, "DROP TABLE session_generations")
        with closing(StateDatabase(Secret(url))) as state:
            assert not ended(state, f"{home}.{'a' * 32}")
            state.sessions.end_all(ADMIN)
            assert ended(state, f"{home}.{'a' * 32}")
        drop(url)

    def test_is_the_same_to_all_who_make_it(self, databases: Urls) -> None:
        """Processes that come first at the same moment agree on what it is."""
        url = databases.iredadmin
        ready = threading.Barrier(4)
        homes: list[str] = []

        def open_session() -> None:
            with closing(StateDatabase(Secret(url))) as state:
                ready.wait(PATIENCE)
                homes.append(state.sessions.new(ADMIN).partition(".")[0])

        _at_once(4, open_session)

        assert [len(homes), len({*homes})] == [4, 1]
        drop(url)

    def test_lost_its_identity_and_gets_another(self, databases: Urls) -> None:
        url = databases.iredadmin
        with closing(StateDatabase(Secret(url))) as state:
            before = state.sessions.new(ADMIN)
            execute(url, "DELETE FROM state_identity")

            with pytest.raises(ServerDown):
                ended(state, before)

            assert ended(state, before)
            assert not ended(state, state.sessions.new(ADMIN))
        drop(url)

    @pytest.mark.parametrize("replaced", [False, True])
    def test_file_is_noticed_by_all_workers(self, open_: Open, file: Path, replaced: bool) -> None:
        """Deleted or replaced by another: none goes on with what nobody else finds."""
        workers = [open_(), open_()]
        before = workers[0].sessions.new(ADMIN)
        assert not ended(workers[1], before)

        if replaced:
            other = file.with_name("other.sqlite3")
            with closing(StateDatabase(Secret(f"sqlite:///{other}"))) as state:
                state.ask()
            other.rename(file)
        else:
            file.unlink()

        assert [ended(state, before) for state in workers] == [True, True]
        after = workers[0].sessions.new(ADMIN)
        workers[1].sessions.revoke(after, NOW, NOW)
        assert [ended(state, after) for state in workers] == [True, True]
        assert stored(file) == {after}

    def test_file_is_noticed_by_whoever_writes_first(self, open_: Open, file: Path) -> None:
        """SQLite itself would refuse to write into a file that has no name any more."""
        state = open_()
        state.ask()
        file.unlink()

        state.sessions.revoke("session", NOW, NOW)

        assert stored(file) == {"session"}


def drop(url: str) -> None:
    """Take all tables away, as one does who makes a database anew."""
    with connected(url) as connection:
        METADATA.drop_all(connection)


def job(number: str, owner: str = "ann", created: int = NOW, **columns: Any) -> Job:
    return Job(**{"id": number, "owner": owner, "request": "{}", "created": created, **columns})


def waiting(state: StateDatabase, number: str) -> UnfinishedJob:
    return next(found for found in state.unfinished_jobs() if found.id == number)


class TestJobs:
    def test_is_read_as_it_was_written(self, open_: Open) -> None:
        """By another process too, every column of it."""
        full = job(
            "full", request="x" * 200_000, state="y" * 100_000, status="failed", done=2**40,
            total=2**40 + 1, failures=3, code="A,B", report='{"done": []}', worker="host:1:abc",
            heartbeat=NOW * 1000, attempts=2, finished=NOW * 1000 + 1,
        )  # fmt: skip
        open_().add_job(full, 0)
        open_().add_job(job("plain"), 0)

        assert open_().job("full") == full
        assert open_().job("plain") == job("plain")
        assert open_().job("none") is None

    def test_unfinished_ones_are_seen_in_their_order(self, open_: Open) -> None:
        state = open_()
        for number, created, status in (
            ("3", NOW + 2, "running"),
            ("2", NOW + 1, "queued"),
            ("4", NOW, "done"),
            ("5", NOW, "failed"),
            ("1", NOW, "queued"),
        ):
            state.add_job(job(number, created=created, status=status), 0)

        assert [found.id for found in state.unfinished_jobs()] == ["1", "2", "3"]

    def test_is_claimed_once(self, open_: Open) -> None:
        """Of all who saw it unclaimed, one gets it."""
        states = [open_() for _ in range(4)]
        states[0].add_job(job("wanted"), 0)
        seen = waiting(states[0], "wanted")
        got: list[str] = []
        names = iter("abcdefgh")
        lock = threading.Lock()

        def claim() -> None:
            with lock:
                name = next(names)
            if states["abcdefgh".index(name) % 4].claim_job(seen, name, NOW):
                got.append(name)

        _at_once(8, claim)

        assert len(got) == 1
        found = states[0].job("wanted")
        assert found
        assert (found.worker, found.status, found.attempts) == (got[0], "running", 1)

    def test_one_with_a_sign_of_life_is_not_claimed(self, open_: Open) -> None:
        """Whoever saw it before that comes too late."""
        state = open_()
        state.add_job(job("mine"), 0)
        assert state.claim_job(waiting(state, "mine"), "me", NOW)
        seen = waiting(state, "mine")
        assert state.update_job("mine", "me", {"heartbeat": NOW + 1, "done": 7})

        assert not state.claim_job(seen, "other", NOW + 2)

        assert state.claim_job(waiting(state, "mine"), "other", NOW + 3)
        assert not state.update_job("mine", "me", {"done": 8})
        found = state.job("mine")
        assert found
        assert (found.done, found.worker, found.attempts) == (7, "other", 2)

    def test_its_work_is_read_by_its_worker_only(self, open_: Open) -> None:
        """It may be hundreds of megabytes, and clients ask for the job every second."""
        state = open_()
        state.add_job(job("mine", request="long", state="longer"), 0)

        found = state.job("mine")
        assert found
        shown = replace(found, request="", state="")
        assert (found.request, found.state) == ("long", "longer")
        assert state.job("mine", with_work=False) == shown
        assert state.jobs(JobFilter(), 0, 9) == [shown]

    def test_that_has_ended_is_not_changed_any_more(self, open_: Open) -> None:
        state = open_()
        state.add_job(job("over"), 0)
        state.claim_job(waiting(state, "over"), "me", NOW)
        seen = waiting(state, "over")
        assert state.update_job("over", "me", {"status": "done", "finished": NOW})

        assert not state.update_job("over", "me", {"status": "failed"})
        assert not state.claim_job(seen, "other", NOW + 1)

    def test_is_forgotten_when_another_comes(self, open_: Open) -> None:
        """If it ended before the given time; one that has not is never."""
        state = open_()
        state.add_job(job("old", status="done", finished=NOW), 0)
        state.add_job(job("young", status="done", finished=NOW + 1), 0)
        state.add_job(job("endless"), 0)

        state.add_job(job("new"), NOW + 1)

        assert [number for number in ("old", "young", "endless", "new") if state.job(number)] == [
            "young",
            "endless",
            "new",
        ]

    def test_is_kept_by_every_kind_of_database(self) -> None:
        """A request may be longer than 64 KB, where the column of MariaDB would end."""
        made = str(CreateTable(JOBS).compile(dialect=mysql.dialect()))
        assert "request MEDIUMTEXT NOT NULL" in made
        assert "request TEXT NOT NULL" in str(
            CreateTable(JOBS).compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
        )


def _at_once(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
