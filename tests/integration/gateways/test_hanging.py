"""Directories and databases that hang are known to hang: one request waits, all others do not."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import ldap
import pytest
import sqlalchemy as sql

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.dit.names import Tree
from iredldap.dit.plan import Mod, Modify, Op, Query, Scope
from iredldap.errors import Refusal, ServerDown
from iredldap.gateways.breaker import Hanging, look_after_all
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.gateways.ldap.pool import ConnectionPool
from iredldap.gateways.ldap.servers import LdapServers
from iredldap.gateways.sql import engines
from iredldap.gateways.sql.database import Database
from iredldap.gateways.state import StateDatabase
from tests.support.patience import wait_until
from tests.support.proxy import Mode, Proxy
from tests.support.world import SUFFIX, WRITER_PASSWORD, World

TREE = Tree(SUFFIX)
WRITER = f"cn=vmailadmin,{SUFFIX}"
AT_ONCE = 0.8
"""Seconds: less than any time-out here."""


def settings(*uris: str, **changes: Any) -> LdapSettings:
    values: dict[str, Any] = {
        "uri": uris,
        "suffix": SUFFIX,
        "bind_dn": WRITER,
        "bind_password": Secret(WRITER_PASSWORD),
        "network_timeout": 1.0,
        "operation_timeout": 2.0,
        "connections": 3,
    }
    return LdapSettings(**values | changes)


@pytest.fixture
def proxy(world: World) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", world.slapd.port)) as between:
        yield between


@pytest.fixture
def directory(proxy: Proxy) -> Iterator[Directory]:
    with closing(Directory(settings(proxy.uri))) as opened:
        yield opened


def timed(work: Callable[[], object]) -> tuple[float, Refusal | None]:
    """Seconds that something takes, and its refusal."""
    began = time.monotonic()
    try:
        work()
    except Refusal as ex:
        return time.monotonic() - began, ex
    return time.monotonic() - began, None


def every(directory: Directory) -> list[Callable[[], object]]:
    """Everything that one can ask a directory."""
    change = Modify(TREE.base, (Mod(Op.REPLACE, "description", (b"x",)),))
    domains = Query(TREE.base, Scope.ONE, "(objectClass=mailDomain)")
    return [
        directory.ask,
        directory.check,
        lambda: directory.verifies(WRITER, WRITER_PASSWORD),
        lambda: directory.write(change),
        lambda: list(directory.stream(domains)),
        lambda: list(directory.pipeline([change])),
    ]


class TestDirectory:
    @pytest.mark.parametrize("number", range(6))
    def test_after_the_first_wait_all_is_refused_at_once(
        self, directory: Directory, proxy: Proxy, number: int
    ) -> None:
        """Whatever it was that waited, and whatever is asked next, until it answers again."""
        directory.ask()
        proxy.mode = Mode.HOLD
        first, refusal = timed(every(directory)[number])
        assert isinstance(refusal, ServerDown)
        assert first >= 0.9

        for work in every(directory):
            seconds, refusal = timed(work)
            assert isinstance(refusal, Hanging)
            assert not isinstance(refusal, Unanswered)
            assert seconds < AT_ONCE

        proxy.mode = Mode.PASS
        seconds = wait_until(lambda: timed(directory.ask)[1] is None)
        print(f"recovery: {seconds:.2f} s")
        assert all(timed(work)[1] is None for work in every(directory))

    def test_who_waits_for_an_answer_does_not_wait_to_the_end(
        self, proxy: Proxy, world: World
    ) -> None:
        """A read under way is broken off when the directory is known to hang."""
        long = settings(proxy.uri, operation_timeout=300.0)
        with closing(Directory(long)) as directory:
            directory.ask()
            proxy.mode = Mode.HOLD
            outcome: list[Refusal | None] = []
            thread = threading.Thread(target=lambda: outcome.append(timed(directory.ask)[1]))
            thread.start()
            wait_until(lambda: timed(directory.check)[1] is not None)

            thread.join(60)

            assert isinstance(outcome[0], ServerDown)

    def test_one_that_is_down_is_tried_by_everybody(self, world: World) -> None:
        """It costs no wait, and the first request after its return succeeds."""
        with closing(Directory(settings(world.slapd.uri))) as directory:
            world.slapd.stop()
            for _ in range(3):
                for work in every(directory):
                    refusal = timed(work)[1]
                    assert isinstance(refusal, ServerDown)
                    assert not isinstance(refusal, Hanging)
            world.slapd.start()
            directory.ask()
            directory.check()

    def test_slow_operations_take_the_service_down_for_nobody(self, world: World) -> None:
        """A search that takes longer than it may is refused, and the next one is tried."""
        far = Proxy(("127.0.0.1", world.slapd.port), to_client=0.3)
        impatient = {"network_timeout": 10.0, "operation_timeout": 0.1}
        nobody = Query(TREE.base, Scope.SUBTREE, "(mail=nobody)")
        with far, closing(Directory(settings(far.uri, **impatient))) as directory:
            for _ in range(2):
                refusal = timed(lambda: list(directory.stream(nobody)))[1]
                assert isinstance(refusal, ServerDown)
                assert not isinstance(refusal, Hanging)
            assert directory.verifies(WRITER, WRITER_PASSWORD)

    def test_the_hash_of_a_password_takes_the_service_down_for_nobody(
        self, world: World, proxy: Proxy
    ) -> None:
        """A bind of somebody that takes too long is judged by one of the service account."""
        with closing(LdapServers(settings(proxy.uri))) as servers:
            real = servers._all[0].bound

            def slow(dn: str, password: str) -> Any:
                if dn != WRITER:
                    time.sleep(
                        1
                    )  # As long as the server needs for the hash, and longer than it may.
                    raise ldap.TIMEOUT({"desc": "Timed out"})
                return real(dn, password)

            servers._all[0].bound = slow  # type: ignore[method-assign]
            with pytest.raises(ServerDown):
                servers.bind("cn=somebody", "x")
            servers.connect().unbind_s()
            servers.refuse()

    def test_a_slow_reader_of_a_stream_is_no_hang(self, directory: Directory) -> None:
        """Time that passes between two entries is not the directory's."""
        found = directory.stream(Query(TREE.base, Scope.SUBTREE, "(objectClass=*)"))
        next(found)
        time.sleep(2.2)  # Longer than an operation may take.
        list(found)
        directory.ask()

    def test_a_server_that_hangs_hides_no_other(self, proxy: Proxy, world: World) -> None:
        """The second one serves, without a wait for the first after the first time."""
        with closing(Directory(settings(proxy.uri, world.slapd.uri))) as directory:
            directory.ask()
            proxy.mode = Mode.HOLD
            assert timed(directory.check)[1] is None
            for work in every(directory):
                seconds, refusal = timed(work)
                assert refusal is None
                assert seconds < AT_ONCE

            before = proxy.connections
            proxy.mode = Mode.PASS
            wait_until(lambda: proxy.connections > before)

            def first_serves() -> bool:
                count = proxy.connections
                directory.verifies(WRITER, WRITER_PASSWORD)
                return proxy.connections > count

            wait_until(first_serves)

    def test_who_waits_for_a_connection_is_refused_too(self, proxy: Proxy) -> None:
        """All are lent, and the directory hangs meanwhile."""
        few = settings(proxy.uri, connections=1, operation_timeout=300.0)
        servers = LdapServers(few)
        with closing(ConnectionPool(few, servers)) as pool, pool.connection():
            outcome: list[Refusal | None] = []

            def wait() -> None:
                with pool.connection():
                    pass

            thread = threading.Thread(target=lambda: outcome.append(timed(wait)[1]))
            thread.start()
            proxy.mode = Mode.HOLD
            assert timed(servers.check)[1]
            thread.join(60)
            assert isinstance(outcome[0], Hanging)


ROWS = sql.table("rows", sql.column("name"))


def make(engine: sql.Engine) -> None:
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(sql.text("CREATE TABLE IF NOT EXISTS rows (name TEXT)"))


@contextmanager
def locked(file: Path, how: str = "EXCLUSIVE") -> Iterator[None]:
    """Hold the lock of an SQLite database."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute(f"BEGIN {how}")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs of a second."""
    for arguments in (engines.ARGUMENTS, engines.SHORT_ARGUMENTS):
        monkeypatch.setitem(arguments, "sqlite", {"timeout": 1})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "it.sqlite3"


@pytest.fixture
def it(file: Path, short: None) -> Iterator[Database]:
    with closing(Database("it", Secret(f"sqlite:///{file}"), make)) as opened:
        opened.ask()
        yield opened


def write(it: Database) -> None:
    it.write(lambda connection: connection.execute(sql.insert(ROWS).values(name="x")))


class TestDatabase:
    def test_a_locked_one_is_waited_for_once(self, it: Database, file: Path) -> None:
        """Then all is refused at once, what only reads as well, until it is free again."""
        with locked(file):
            first, refusal = timed(lambda: write(it))
            assert isinstance(refusal, ServerDown)
            assert first >= 0.8
            for work in (lambda: write(it), it.ask, it.check):
                seconds, refusal = timed(work)
                assert isinstance(refusal, ServerDown)
                assert refusal.report
                assert refusal.report["database"] == "it"
                assert seconds < AT_ONCE
        wait_until(lambda: timed(lambda: write(it))[1] is None)
        it.check()

    def test_readers_go_on_where_writers_hang(self, it: Database, file: Path) -> None:
        """What only reads asks nobody for a lock; what is going to write is refused beforehand."""
        with locked(file, "IMMEDIATE"):
            assert timed(lambda: write(it))[1]
            it.read(lambda connection: connection.execute(sql.select(ROWS)).all())
            seconds, refusal = timed(it.ask)
            assert isinstance(refusal, Hanging)
            assert seconds < AT_ONCE
            assert timed(it.check)[1].report == {  # type: ignore[union-attr]
                "database": "it",
                "fault": "cannot be written",
            }
        wait_until(lambda: timed(it.ask)[1] is None)

    def test_many_wait_together_and_not_one_after_another(self, file: Path, short: None) -> None:
        """Also for a database that nobody has opened before."""
        with (
            closing(sqlite3.connect(file)) as other,
            closing(Database("it", Secret(f"sqlite:///{file}"), make)) as it,
        ):
            other.execute("CREATE TABLE t (x)")
            with locked(file):
                began = time.monotonic()
                outcomes: list[Refusal | None] = []
                threads = [
                    threading.Thread(target=lambda: outcomes.append(timed(it.ask)[1]))
                    for _ in range(20)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                # Twenty waits one after another would be twenty seconds and more.
                assert time.monotonic() - began < 12
                assert all(isinstance(outcome, ServerDown) for outcome in outcomes)
            wait_until(lambda: timed(it.ask)[1] is None)

    def test_a_failure_that_costs_no_wait_refuses_nobody(self, it: Database) -> None:
        """A statement that is wrong, however often."""
        for _ in range(3):
            refusal = timed(
                lambda: it.read(lambda connection: connection.execute(sql.text("SELECT * FROM no")))
            )[1]
            assert refusal
            assert not isinstance(refusal, Hanging)
        write(it)


class TestServers:
    """Of servers, what hangs is the connection; a statement that waits hangs for others only."""

    @pytest.fixture(params=["mariadb", "postgresql"])
    def url(self, request: pytest.FixtureRequest) -> sql.URL:
        server = request.getfixturevalue(request.param)
        return engines.url_of(Secret(server.fresh().iredadmin))

    @pytest.fixture
    def between(self, url: sql.URL) -> Iterator[Proxy]:
        assert url.host
        assert url.port
        with Proxy((url.host, url.port)) as proxy:
            yield proxy

    @pytest.fixture
    def it(
        self, url: sql.URL, between: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Database]:
        for arguments in (engines.ARGUMENTS, engines.SHORT_ARGUMENTS, engines.PATIENT_ARGUMENTS):
            for kind in ("mysql", "postgresql"):
                # The least that PostgreSQL's library takes.
                monkeypatch.setitem(arguments[kind], "connect_timeout", 2)
            monkeypatch.setitem(arguments["mysql"], "read_timeout", 2)
        there = url.set(port=between.port, host="127.0.0.1")
        secret = Secret(there.render_as_string(hide_password=False))
        with closing(Database("it", secret, lambda _: None)) as opened:
            opened.ask()
            yield opened

    def test_one_that_hangs_is_waited_for_once(self, it: Database, between: Proxy) -> None:
        """Also by statements that have no end of their own: somebody looks after them."""
        between.mode = Mode.HOLD
        outcomes: list[Refusal | None] = []
        threads = [
            threading.Thread(target=lambda: outcomes.append(timed(it.ask)[1])) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            look_after_all()
            threads[0].join(0.1)
        assert all(isinstance(outcome, ServerDown) for outcome in outcomes)

        for work in (it.ask, it.check, lambda: write(it)):
            seconds, refusal = timed(work)
            assert isinstance(refusal, Hanging)
            assert seconds < AT_ONCE

        between.mode = Mode.PASS
        wait_until(lambda: timed(it.ask)[1] is None)
        it.check()


class TestState:
    def rows(self, file: Path) -> list[int]:
        with closing(sqlite3.connect(file)) as other:
            tables = [
                name
                for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type='table'")
            ]
            return [other.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables]

    def test_a_check_leaves_nothing(self, tmp_path: Path) -> None:
        """However often it is made."""
        file = tmp_path / "state.sqlite3"
        with closing(StateDatabase(Secret(f"sqlite:///{file}"))) as state:
            state.check()
            size, rows = file.stat().st_size, self.rows(file)
            for _ in range(50):
                state.check()
            assert (file.stat().st_size, self.rows(file)) == (size, rows)
            assert file.stat().st_mode & 0o077 == 0
        # SQLite keeps the file of its journal, which has nothing to undo.
        journal = tmp_path / f"{file.name}-journal"
        assert {*tmp_path.iterdir()} == {file, journal}
        assert journal.stat().st_mode & 0o077 == 0
        assert not any(journal.read_bytes()[:28])

    @pytest.mark.parametrize("servers", ["mariadb", "postgresql"])
    def test_a_check_in_a_server(self, servers: str, request: pytest.FixtureRequest) -> None:
        """It leaves nothing there either."""
        url = Secret(request.getfixturevalue(servers).fresh().iredadmin)
        with closing(StateDatabase(url)) as state:
            state.check()
            state.check()
        engine = sql.create_engine(engines.url_of(url), poolclass=sql.NullPool)
        with engine.connect() as other:
            assert other.execute(sql.text("SELECT count(*) FROM revoked_sessions")).scalar() == 0

    def test_one_that_cannot_be_written_is_told_from_one_that_does_not_answer(
        self, tmp_path: Path
    ) -> None:
        """It can be read, and every write fails: a disk that is full, a server that takes none."""
        file = tmp_path / "state.sqlite3"
        with closing(StateDatabase(Secret(f"sqlite:///{file}"))) as state:
            state.check()
            with closing(sqlite3.connect(file)) as other:
                other.execute(
                    "CREATE TRIGGER full BEFORE INSERT ON revoked_sessions"
                    " BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
                )
            refusal = timed(state.check)[1]
            assert refusal
            assert refusal.report == {"database": "state", "fault": "cannot be written"}
            state.ask()

    def test_a_place_where_none_can_be(self, tmp_path: Path) -> None:
        """A directory instead of a file."""
        with closing(StateDatabase(Secret(f"sqlite:///{tmp_path}"))) as state:
            refusal = timed(state.check)[1]
            assert refusal
            assert refusal.report == {"database": "state"}
