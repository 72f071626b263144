"""The gateway keeps its promises also when the network or the server does not."""

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import ldap
import pytest

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.directory_errors import DirectoryDenies, DirectoryFailed, HasChildren
from iredldap.dit import base, generations, passwords, placement
from iredldap.dit.fields import StoredAttribute
from iredldap.dit.names import Tree
from iredldap.dit.plan import Add, Delete, Mod, Modify, Op, Operation, Query, Scope
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.errors import (
    AlreadyExists,
    InternalError,
    InvalidParameter,
    NoSuchAccount,
    PreconditionFailed,
    Refusal,
    ServerDown,
)
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import Unanswered, ValueAbsent, ValuePresent
from iredldap.gateways.ldap.pool import ConnectionPool
from iredldap.shipped import shipped
from iredldap.web.planner import TABLES
from tests.support import tls
from tests.support.patience import PATIENCE, started, wait_until
from tests.support.proxy import Mode, Proxy
from tests.support.world import READER_PASSWORD, SUFFIX, WRITER_PASSWORD, World, salted

TREE = Tree(SUFFIX)
WRITER = f"cn=vmailadmin,{SUFFIX}"
NEVER = 5 * PATIENCE
"""Seconds of a deadline that is not the one under test: who waits for it has missed the other."""
SHORT: dict[str, Any] = {"network_timeout": 0.5, "operation_timeout": 1.0}
"""Deadlines where a server is silent on purpose."""
SMALL = 10
"""Size limit of the slapd that this module has for itself."""

Open = Callable[..., Directory]

# Python 3.12 warns of threads, which the proxy has; the child leaves them alone.
FORKS = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def settings(*uris: str, **changes: Any) -> LdapSettings:
    values: dict[str, Any] = {
        "uri": uris,
        "suffix": SUFFIX,
        "bind_dn": WRITER,
        "bind_password": Secret(WRITER_PASSWORD),
        "network_timeout": PATIENCE,
        "operation_timeout": PATIENCE,
        "connections": 3,
        **changes,
    }
    return LdapSettings(**values)


def domain(name: str = "made.test", **attributes: tuple[bytes, ...]) -> Add:
    return Add(
        TREE.domain(name),
        {"objectClass": (b"mailDomain",), "domainName": (name.encode(),), **attributes},
    )


def described(text: str, *expect: str, name: str = "made.test") -> Modify:
    mods = (Mod(Op.REPLACE, "description", (text.encode(),)),)
    return Modify(TREE.domain(name), mods, tuple(expect))


def done_by_server(world: World, kind: str) -> int:
    """Count the operations of a kind (`Add`, `Bind`…) that slapd began."""
    connection = world.connect()
    try:
        found = connection.search_s(
            f"cn={kind},cn=Operations,cn=Monitor", ldap.SCOPE_BASE, attrlist=["monitorOpInitiated"]
        )
    finally:
        connection.unbind_s()
    return int(found[0][1]["monitorOpInitiated"][0])


@pytest.fixture
def open_() -> Iterator[Open]:
    """Make directories that are closed after the test."""
    made: list[Directory] = []

    def make(*uris: str, **changes: Any) -> Directory:
        made.append(Directory(settings(*uris, **changes)))
        return made[-1]

    yield make
    for directory in made:
        directory.close()


@pytest.fixture
def proxy(world: World) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", world.slapd.port), record=True) as between:
        yield between


@pytest.fixture
def directory(open_: Open, proxy: Proxy) -> Directory:
    """The directory under test, behind a proxy."""
    return open_(proxy.uri)


@pytest.fixture
def hasty(open_: Open, proxy: Proxy) -> Directory:
    """The same, not waiting for long."""
    return open_(proxy.uri, **SHORT)


class TestPool:
    def test_a_connection_that_was_cut_takes_along_what_its_server_stores(
        self, proxy: Proxy
    ) -> None:
        """The server that answers next may have another database: nothing is known of it."""
        with closing(ConnectionPool(settings(proxy.uri))) as pool:
            with pool.connection() as connection:
                connection.stored.add("telephoneNumber")
            proxy.cut()
            wait_until(lambda: proxy.open == 0)

            with pool.connection() as connection:
                assert connection.stored == set()

    def test_connections_are_used_again(self, directory: Directory, proxy: Proxy) -> None:
        """Operations one after the other share one connection, refused ones too."""
        for _ in range(3):
            directory.ask()
            directory.write(domain())
            with pytest.raises(AlreadyExists):
                directory.write(domain())
            directory.write(Delete(TREE.domain("made.test")))

        assert proxy.connections == 1

    def test_the_youngest_comes_first(self, proxy: Proxy) -> None:
        """The connection used last is lent first, so that those in excess grow old."""
        with closing(ConnectionPool(settings(proxy.uri))) as pool:
            with pool.connection() as first, pool.connection() as second:
                pass

            with pool.connection() as lent, pool.connection() as other:
                assert (lent, other) == (first, second)

    def test_no_more_than_so_many(self, proxy: Proxy) -> None:
        """Whoever comes when all are lent waits, and is told so when it takes too long."""
        with closing(
            ConnectionPool(settings(proxy.uri, connections=2, operation_timeout=0.2))
        ) as pool:
            lent, release = threading.Barrier(3), threading.Event()

            def hold() -> None:
                with pool.connection():
                    lent.wait(PATIENCE)
                    release.wait(PATIENCE)

            threads = [threading.Thread(target=hold) for _ in range(2)]
            for thread in threads:
                thread.start()
            lent.wait(PATIENCE)

            with pytest.raises(ServerDown, match="busy"), pool.connection():
                pass

            release.set()
            for thread in threads:
                thread.join()
            with pool.connection():
                pass
            assert proxy.connections == 2

    def test_who_waits_gets_what_is_given_back(self, proxy: Proxy) -> None:
        """A waiting thread goes on as soon as a connection is free."""
        with closing(ConnectionPool(settings(proxy.uri, connections=1))) as pool:
            got = threading.Event()

            def wait() -> None:
                with pool.connection():
                    got.set()

            thread = threading.Thread(target=wait)
            with pool.connection():
                thread.start()
                assert not got.wait(0.05)
            thread.join()

            assert got.is_set()
            assert proxy.connections == 1

    def test_a_thread_never_waits_for_itself(self, world: World, open_: Open) -> None:
        """Who holds a connection gets the next: else threads could wait for one another."""
        directory = open_(world.slapd.uri, connections=1)
        directory.write(domain())

        found = directory.stream(Query(TREE.base, Scope.ONE, "(objectClass=mailDomain)"))
        outcomes = list(directory.pipeline(described("seen") for _ in found))

        assert [refusal for _, refusal in outcomes] == [None]

    @FORKS
    def test_a_child_process_opens_its_own(self, directory: Directory, proxy: Proxy) -> None:
        """After a fork the child does not touch the parent's connections, not even to close."""
        directory.ask()
        assert proxy.connections == 1

        child = os.fork()
        if child == 0:
            status = 1
            with suppress(BaseException):
                directory.ask()
                gc.collect()
                status = 0
            os._exit(status)
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0
        assert proxy.connections == 2
        directory.ask()
        assert proxy.connections == 2

    def test_a_dead_connection_is_noticed_before_use(self, world: World, open_: Open) -> None:
        """A write after a restart of slapd succeeds at once."""
        directory = open_(world.slapd.uri)
        directory.ask()
        world.slapd.stop()
        world.slapd.start()

        directory.write(domain())

        assert world.entry(TREE.domain("made.test"))

    def test_high_descriptors_are_as_good(self, directory: Directory, proxy: Proxy) -> None:
        """A process with more than 1024 open files uses its connections again, too."""
        spare = [os.open(os.devnull, os.O_RDONLY)]
        try:
            # 1024 is where select() ends.
            while spare[-1] < 1100:
                spare.append(os.dup(spare[0]))
            directory.ask()
            directory.ask()
        finally:
            for number in spare:
                os.close(number)

        assert proxy.connections == 1

    def test_a_wrong_service_password_is_told(self, proxy: Proxy, open_: Open) -> None:
        """It is told as such, and leaves neither a connection nor a place in the pool taken."""
        directory = open_(proxy.uri, bind_password=Secret("wrong"), connections=2)

        for _ in range(4):
            with pytest.raises(DirectoryDenies, match="bind as cn=vmailadmin"):
                directory.ask()

        wait_until(lambda: proxy.open == 0)


class TestLostConnections:
    def test_a_read_is_repeated_once(self, directory: Directory, proxy: Proxy) -> None:
        """A read whose connection is cut in the middle is answered all the same."""
        directory.ask()
        proxy.cut_after_next_write()

        entry = directory.read(TREE.base)

        assert entry
        assert entry.dn == TREE.base
        assert proxy.connections == 2

    def test_a_read_is_repeated_no_more_than_once(self, hasty: Directory, proxy: Proxy) -> None:
        """A second loss is the answer."""
        hasty.ask()
        proxy.mode = Mode.SWALLOW

        with pytest.raises(ServerDown):
            hasty.ask()

        assert proxy.connections == 2

    def test_work_in_the_meantime_is_done_after_the_request_is_sent(
        self, directory: Directory, proxy: Proxy
    ) -> None:
        """A search that is repeated on a new connection repeats what is done meanwhile."""
        directory.ask()
        proxy.cut_after_next_write()
        done: list[int] = []

        found = directory.find(
            Query(TREE.base, Scope.BASE, "(objectClass=*)"),
            meanwhile=lambda: done.append(proxy.connections),
        )

        assert [entry.dn for entry in found] == [TREE.base]
        assert done == [1, 2]

    def test_a_fault_in_the_meantime_spoils_no_other_search(self, directory: Directory) -> None:
        """The search is abandoned; the next one gets its own result."""

        def fail() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            directory.find(Query(TREE.base, Scope.BASE, "(objectClass=*)"), meanwhile=fail)

        found = directory.read(TREE.admin_base)
        assert found
        assert found.dn == TREE.admin_base

    def test_a_stale_connection_costs_a_read_nothing(
        self, directory: Directory, proxy: Proxy
    ) -> None:
        """A connection cut while it waits is replaced unnoticed."""
        directory.ask()
        proxy.cut()
        wait_until(lambda: proxy.open == 0)

        directory.ask()

        assert proxy.connections == 2

    @pytest.mark.parametrize("operation", [domain(), described("x"), Delete(TREE.admin_base)])
    def test_a_write_is_never_repeated(
        self, directory: Directory, proxy: Proxy, world: World, operation: Operation
    ) -> None:
        """It reaches slapd once; whether it happened is for the sender to find out."""
        kind = type(operation).__name__
        directory.ask()
        before = done_by_server(world, kind)
        proxy.cut_after_next_write()

        with pytest.raises(Unanswered):
            directory.write(operation)

        assert done_by_server(world, kind) == before + 1
        assert proxy.connections == 1

    def test_an_unanswered_write_can_have_happened(
        self, directory: Directory, proxy: Proxy, world: World
    ) -> None:
        """A write whose answer is lost is there."""
        directory.ask()
        proxy.cut_after_next_write()

        with pytest.raises(Unanswered):
            directory.write(domain())

        assert world.entry(TREE.domain("made.test"))

    def test_a_swallowed_answer_ends_the_wait_in_time(self, hasty: Directory, proxy: Proxy) -> None:
        """A write whose answer does not come is given up after `operation_timeout`."""
        hasty.ask()
        proxy.mode = Mode.SWALLOW
        begun = time.monotonic()

        with pytest.raises(Unanswered):
            hasty.write(domain())

        assert 0.9 < time.monotonic() - begun < PATIENCE

    def test_a_lost_pipeline_is_unanswered(self, directory: Directory, proxy: Proxy) -> None:
        """Operations under way when the connection breaks may or may not have happened."""
        directory.ask()
        proxy.cut_after_next_write()

        with pytest.raises(Unanswered):
            list(directory.pipeline([domain(f"d{number}.test") for number in range(5)]))


class TestDeadlines:
    def test_a_silent_server_is_given_up(self, proxy: Proxy, open_: Open) -> None:
        """One that never says anything costs `network_timeout`, once."""
        directory = open_(proxy.uri, network_timeout=0.5, operation_timeout=NEVER)
        proxy.mode = Mode.HOLD
        begun = time.monotonic()

        with pytest.raises(ServerDown):
            directory.ask()

        assert 0.4 < time.monotonic() - begun < PATIENCE
        assert proxy.connections == 1

    def test_a_server_that_falls_silent_is_given_up(self, hasty: Directory, proxy: Proxy) -> None:
        """It costs one `operation_timeout` and the try to connect again."""
        hasty.ask()
        proxy.mode = Mode.HOLD
        begun = time.monotonic()

        with pytest.raises(ServerDown):
            hasty.ask()

        assert 1.0 + 0.4 < time.monotonic() - begun < PATIENCE
        assert proxy.connections == 2

    @pytest.mark.parametrize("mode", [Mode.HOLD, Mode.REFUSE, Mode.SWALLOW])
    def test_a_password_check_has_its_deadline(self, proxy: Proxy, open_: Open, mode: Mode) -> None:
        """Nobody logs in, and nobody waits for long, while the server is away."""
        directory = open_(proxy.uri, network_timeout=0.5, operation_timeout=NEVER)
        proxy.mode = mode
        begun = time.monotonic()

        with pytest.raises(ServerDown):
            directory.verifies(WRITER, WRITER_PASSWORD)

        assert time.monotonic() - begun < PATIENCE

    def test_no_server_at_all(self, open_: Open) -> None:
        """A port where nobody listens is a server that is down."""
        directory = open_(f"ldap://127.0.0.1:{free_port()}")

        with pytest.raises(ServerDown):
            directory.write(domain())
        with pytest.raises(ServerDown):
            directory.ask()
        with pytest.raises(ServerDown):
            directory.verifies(WRITER, WRITER_PASSWORD)

    def test_starttls_with_a_silent_server(self, proxy: Proxy, open_: Open) -> None:
        """The wait for TLS has the same deadline."""
        directory = open_(proxy.uri, starttls=True, network_timeout=0.5, operation_timeout=NEVER)
        proxy.mode = Mode.HOLD
        begun = time.monotonic()

        with pytest.raises(ServerDown):
            directory.ask()

        assert time.monotonic() - begun < PATIENCE

    def test_ldaps_with_a_silent_server(self, proxy: Proxy, open_: Open) -> None:
        """A handshake that never ends does."""
        directory = open_(
            proxy.uri.replace("ldap:", "ldaps:"), network_timeout=0.5, operation_timeout=NEVER
        )
        proxy.mode = Mode.HOLD
        begun = time.monotonic()

        with pytest.raises(ServerDown):
            directory.ask()

        assert time.monotonic() - begun < PATIENCE

    @pytest.mark.parametrize("mode", [Mode.HOLD, Mode.REFUSE, Mode.SWALLOW, None])
    def test_the_second_server_takes_over(
        self, proxy: Proxy, open_: Open, world: World, mode: Mode | None
    ) -> None:
        """A first server that refuses, is silent or closes does not hide the second."""
        first = proxy.uri if mode else f"ldap://127.0.0.1:{free_port()}"
        proxy.mode = mode or Mode.PASS
        directory = open_(first, world.slapd.uri, **SHORT)

        directory.ask()
        directory.write(domain())

        assert directory.verifies(WRITER, WRITER_PASSWORD)
        assert not directory.verifies(WRITER, "wrong")

    def test_a_read_moves_on_when_the_first_falls_silent(
        self, proxy: Proxy, open_: Open, world: World
    ) -> None:
        """Its repetition may go to another server."""
        directory = open_(proxy.uri, world.slapd.uri, **SHORT)
        directory.ask()
        proxy.mode = Mode.HOLD

        directory.ask()


class TestPasswords:
    @pytest.mark.parametrize(
        "stored",
        [
            passwords.hashed("right one", "SSHA", b"12345678"),
            passwords.hashed("right one", "SSHA512", b"12345678"),
            passwords.hashed("right one", "BCRYPT", b"1234567890123456", rounds=4),
            "right one",
        ],
        ids=["SSHA", "SSHA512", "BCRYPT", "clear"],
    )
    def test_a_password_is_right_when_a_bind_succeeds(
        self, directory: Directory, world: World, stored: str
    ) -> None:
        """Whatever scheme slapd verifies."""
        dn = TREE.admin("ann@elsewhere.test")
        world.add(dn, objectClass="mailAdmin", mail="ann@elsewhere.test", userPassword=stored)

        assert directory.verifies(dn, "right one")
        assert not directory.verifies(dn, "wrong one")
        assert not directory.verifies(dn, stored + " ")

    @pytest.mark.parametrize(
        ("dn", "password"),
        [
            (WRITER, ""),
            (WRITER, "wrong"),
            (WRITER, "wr\0ng"),
            (WRITER, "żółć"),
            (TREE.user("nobody@nowhere.test"), "any"),
            (TREE.base, "any"),
            ("", "any"),
        ],
    )
    def test_all_others_are_wrong(self, directory: Directory, dn: str, password: str) -> None:
        """Empty ones, unknown names and entries without a password included."""
        assert directory.verifies(dn, password) is False

    def test_an_empty_password_is_not_even_sent(self, directory: Directory, proxy: Proxy) -> None:
        """RFC 4513: such a bind succeeds and proves nothing."""
        assert not directory.verifies(WRITER, "")
        assert proxy.connections == 0

    def test_a_check_leaves_no_connection(self, directory: Directory, proxy: Proxy) -> None:
        """It has one of its own, whatever its result."""
        for password in (WRITER_PASSWORD, "wrong"):
            directory.verifies(WRITER, password)

        wait_until(lambda: proxy.open == 0)
        assert proxy.connections == 2


class TestOperations:
    def test_a_write_gives_the_state_it_leaves(self, directory: Directory) -> None:
        """The state of a write is what a later read finds."""
        dn = TREE.domain("made.test")

        added = directory.write(domain())
        assert (entry := directory.read(dn))
        assert added == entry.csn

        changed = directory.write(described("new"))
        assert (entry := directory.read(dn))
        assert changed == entry.csn != added

        assert directory.write(Delete(dn)) is None
        assert directory.read(dn) is None

    def test_the_directory_judges_the_expected_state(self, directory: Directory) -> None:
        """A change of another state than expected is refused and changes nothing."""
        seen = directory.write(domain())
        assert seen
        newer = directory.write(
            described("first", "20000101000000.000000Z#000000#000#000000", seen)
        )
        assert newer

        with pytest.raises(PreconditionFailed):
            directory.write(described("second", seen))

        entry = directory.read(TREE.domain("made.test"))
        assert entry
        assert (entry.text("description"), entry.csn) == ("first", newer)

    def test_an_empty_change_makes_a_new_state(self, directory: Directory) -> None:
        """So that a guard holds once."""
        seen = directory.write(domain())
        assert seen
        guard = Modify(TREE.domain("made.test"), (), (seen,))

        newer = directory.write(guard)

        assert newer != seen
        with pytest.raises(PreconditionFailed):
            directory.write(guard)

    @pytest.mark.parametrize(
        ("operation", "refusal"),
        [
            (domain("there.test"), AlreadyExists),
            (domain("no.test", noSuchAttribute=(b"x",)), Refusal),
            (described("x", name="absent.test"), NoSuchAccount),
            (Delete(TREE.domain("absent.test")), NoSuchAccount),
            (Delete(TREE.domain("there.test")), HasChildren),
            (
                Modify(TREE.domain("there.test"), (Mod(Op.ADD, "domainAdmin", (b"a@b.test",)),)),
                ValuePresent,
            ),
            (
                Modify(TREE.domain("there.test"), (Mod(Op.DELETE, "domainAdmin", (b"z@b.test",)),)),
                ValueAbsent,
            ),
            (
                Modify(TREE.domain("there.test"), (Mod(Op.REPLACE, "maxMessageSize", (b"x",)),)),
                Refusal,
            ),
            (
                Modify(
                    TREE.domain("there.test"), (Mod(Op.REPLACE, "domainMaxUserNumber", (b"x",)),)
                ),
                InvalidParameter,
            ),
        ],
    )
    def test_the_directory_says_no(
        self,
        directory: Directory,
        proxy: Proxy,
        operation: Operation,
        refusal: type[Refusal],
    ) -> None:
        """Each of its refusals has a class, and leaves the connection as good as before."""
        directory.write(domain("there.test", domainAdmin=(b"a@b.test",)))
        users = {"objectClass": (b"organizationalUnit",), "ou": (b"Users",)}
        directory.write(Add(TREE.container("there.test", "Users"), users))

        with pytest.raises(refusal):
            directory.write(operation)

        directory.ask()
        assert proxy.connections == 1

    def test_a_base_that_is_not_there_has_no_results(self, directory: Directory) -> None:
        """To look below nothing is no error."""
        nowhere = Query(TREE.domain("nowhere.test"), Scope.SUBTREE, "(objectClass=*)")

        assert directory.find(nowhere) == []
        assert list(directory.stream(nowhere)) == []
        assert directory.read(nowhere.base) is None


def test_the_schema_is_read_once_and_again_when_in_doubt(world: World, open_: Open) -> None:
    def searches() -> int:
        return done_by_server(world, "Search")

    directory = open_(world.slapd.uri)
    first = directory.schema()
    before = searches()

    assert directory.schema() is first
    assert not directory.has_new_schema()
    assert directory.schema() is first
    # Counting costs one, too.
    assert searches() - before == 2
    assert first.holds(["mailUser"], "mailboxFormat")


def test_todays_schema_has_a_place_for_every_row(world: World, open_: Open) -> None:
    """In the classes of the entries that its endpoint makes and changes."""
    schema = open_(world.slapd.uri).schema()

    assert generations.of(schema) is generations.GENERATIONS[-1]
    assert generations.wants(schema) == ()
    rows = [
        (placement.CLASSES[endpoint.partition("_")[0]], row.stored_as.name)
        for endpoint, table in TABLES.items()
        for row in table
        if isinstance(row.stored_as, StoredAttribute)
    ]
    assert [row for row in rows if not schema.holds(*row)] == []


class TestPipeline:
    def test_outcomes_come_in_order(self, directory: Directory, proxy: Proxy) -> None:
        """Refusals stand where their operations stood; the connection serves on."""
        directory.write(domain("d3.test"))
        directory.write(domain("d7.test"))
        operations = [domain(f"d{number}.test") for number in range(25)]

        outcomes = list(directory.pipeline(operations))

        assert [operation for operation, _ in outcomes] == operations
        refused = {n: type(refusal) for n, (_, refusal) in enumerate(outcomes) if refusal}
        assert refused == {3: AlreadyExists, 7: AlreadyExists}
        directory.ask()
        assert proxy.connections == 1

    def test_a_source_that_fails_is_heard_last(self, directory: Directory, proxy: Proxy) -> None:
        """What was sent before is told first: nothing under way is forgotten."""

        def operations() -> Iterator[Operation]:
            yield from (domain(f"d{number}.test") for number in range(5))
            raise InternalError("no more")

        told = []
        with pytest.raises(InternalError, match="no more"):
            told += list(directory.pipeline(operations()))
        pipeline = directory.pipeline(operations())
        with pytest.raises(InternalError, match="no more"):
            told.extend(pipeline)

        assert [type(refusal) for _, refusal in told] == [AlreadyExists] * 5
        directory.ask()
        assert proxy.connections == 1

    def test_one_that_is_left_closes_its_connection(
        self, directory: Directory, proxy: Proxy
    ) -> None:
        """Answers that nobody waits for meet nobody else."""
        pipeline = directory.pipeline(domain(f"d{number}.test") for number in range(50))
        with closing(pipeline):  # type: ignore[type-var]
            next(pipeline)

        wait_until(lambda: proxy.open == 0)
        directory.ask()


class TestStream:
    def test_one_that_is_left_is_abandoned(self, directory: Directory, proxy: Proxy) -> None:
        """Half a search leaves neither a connection nor a place in the pool behind."""
        for number in range(30):
            directory.write(domain(f"d{number}.test"))
        query = Query(TREE.base, Scope.SUBTREE, "(objectClass=*)")

        for _ in range(5):
            stream = directory.stream(query)
            with closing(stream):
                assert len(list(islice(stream, 3))) == 3

        wait_until(lambda: proxy.open == 0)
        assert len(directory.find(query)) == 31

    def test_one_that_is_cut_is_no_end(self, directory: Directory, proxy: Proxy) -> None:
        """A search that breaks off in the middle never looks whole."""
        more_than_the_buffers_hold = (b"x" * 200_000,)
        for number in range(80):
            directory.write(domain(f"d{number}.test", description=more_than_the_buffers_hold))
        stream = directory.stream(Query(TREE.base, Scope.SUBTREE, "(objectClass=*)"))
        next(stream)
        proxy.mode = Mode.SWALLOW
        proxy.cut()

        with pytest.raises(ServerDown):
            list(stream)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tls.certificates(tmp_path_factory.mktemp("certificates"))


def _own_slapd(home: Path, **changes: Any) -> Slapd:
    server = Slapd(
        home=home, suffix=SUFFIX, schema_dir=shipped("schema"), port=free_port(), **changes
    )
    server.prepare(base.ldif(base.entries(TREE, salted(READER_PASSWORD), salted(WRITER_PASSWORD))))
    return started(server)


@pytest.fixture(scope="module")
def strict(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A slapd with TLS and a size limit."""
    server = _own_slapd(
        tmp_path_factory.mktemp("strict"),
        extra=f"sizelimit {SMALL}",
        tls=(certificates / "ca.pem", certificates / "here.pem", certificates / "here.key"),
    )
    yield server
    server.stop()


@pytest.fixture(scope="module")
def elsewhere(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A slapd whose certificate names another host."""
    server = _own_slapd(
        tmp_path_factory.mktemp("elsewhere"),
        tls=(
            certificates / "ca.pem",
            certificates / "elsewhere.pem",
            certificates / "elsewhere.key",
        ),
    )
    yield server
    server.stop()


def test_what_a_size_limit_cuts_off_is_searched_for_in_parts(strict: Slapd, open_: Open) -> None:
    """Whole, each entry once, with nothing that was not asked for; the limit is known then."""
    directory = open_(strict.uri)
    assert directory.size_limit() is None
    query = Query(TREE.base, Scope.ONE, "(objectClass=*)", ("domainName",))
    names = [f"d{number}.test" for number in range(SMALL + 5)]
    for name in names:
        directory.write(domain(name))

    for found in (directory.find(query), [*directory.stream(query)]):
        assert sorted(entry.dn for entry in found) == sorted(map(TREE.domain, names))
        assert {name for entry in found for name in entry.attributes} == {"domainName"}
    assert directory.size_limit() == SMALL
    directory.refuse_partial([query])

    assert open_(strict.uri).size_limit() == SMALL


class TestTls:
    @pytest.fixture
    def between(self, strict: Slapd) -> Iterator[Proxy]:
        with Proxy(("127.0.0.1", strict.port), record=True) as proxy:
            yield proxy

    def test_a_certificate_of_the_right_ca(
        self, between: Proxy, open_: Open, certificates: Path
    ) -> None:
        """A server whose certificate checks out is used, and nothing can be read on the way."""
        directory = open_(between.uri, starttls=True, ca_file=str(certificates / "ca.pem"))

        directory.ask()

        assert directory.verifies(WRITER, WRITER_PASSWORD)
        assert not directory.verifies(WRITER, "a wrong secret")
        assert between.connections == 3
        assert_silent(between)

    def test_a_file_without_certificates(
        self, between: Proxy, open_: Open, certificates: Path
    ) -> None:
        """It trusts no server: libldap 2.6 does not even connect, and none gets a secret."""
        directory = open_(between.uri, starttls=True, ca_file=str(certificates / "here.key"))

        with pytest.raises((ServerDown, InternalError)):
            directory.ask()
        with pytest.raises((ServerDown, InternalError)):
            directory.verifies(WRITER, WRITER_PASSWORD)

        wait_until(lambda: between.open == 0)
        assert WRITER_PASSWORD.encode() not in between.sent
        assert WRITER.encode() not in between.sent

    @pytest.mark.parametrize("ca", ["", "other-ca.pem"])
    def test_a_certificate_of_a_stranger(
        self, between: Proxy, open_: Open, certificates: Path, ca: str
    ) -> None:
        """Without the right CA the server is refused before any secret is sent."""
        ca_file = str(certificates / ca) if ca else ""
        directory = open_(between.uri, starttls=True, ca_file=ca_file)

        with pytest.raises((ServerDown, InternalError)):
            directory.ask()
        with pytest.raises((ServerDown, InternalError)):
            directory.verifies(WRITER, WRITER_PASSWORD)

        # Each was followed by a handshake that finds words for it.
        assert between.connections == 4
        assert_silent(between)
        wait_until(lambda: between.open == 0)

    def test_a_certificate_of_another_host(
        self, elsewhere: Slapd, open_: Open, certificates: Path
    ) -> None:
        """The name in the certificate must be the server's."""
        directory = open_(elsewhere.uri, starttls=True, ca_file=str(certificates / "ca.pem"))

        with Proxy(("127.0.0.1", elsewhere.port), record=True) as proxy:
            directory = open_(proxy.uri, starttls=True, ca_file=str(certificates / "ca.pem"))
            with pytest.raises(ServerDown):
                directory.ask()
            with pytest.raises(ServerDown):
                directory.verifies(WRITER, WRITER_PASSWORD)
            assert_silent(proxy)

    @pytest.mark.parametrize("server", ["strict", "elsewhere"])
    def test_no_check(self, request: pytest.FixtureRequest, open_: Open, server: str) -> None:
        """`verify_certificate = false` takes any certificate."""
        slapd: Slapd = request.getfixturevalue(server)
        directory = open_(slapd.uri, starttls=True, verify_certificate=False)

        directory.ask()

    def test_tls_that_is_not_offered(self, proxy: Proxy, open_: Open) -> None:
        """A server without TLS is refused where TLS was demanded; no secret is sent."""
        directory = open_(proxy.uri, starttls=True, verify_certificate=False)

        for _ in range(2):
            with pytest.raises((ServerDown, DirectoryFailed, InternalError)):
                directory.ask()
            with pytest.raises((ServerDown, DirectoryFailed, InternalError)):
                directory.verifies(WRITER, WRITER_PASSWORD)

        assert proxy.connections == 8
        assert_silent(proxy)
        wait_until(lambda: proxy.open == 0)

    def test_ldaps(self, world: World, open_: Open, certificates: Path) -> None:
        """TLS from the first byte: the right CA is needed here, too."""
        with tls.in_front_of(world.slapd.port, certificates) as uri:
            open_(uri, ca_file=str(certificates / "ca.pem")).ask()
            open_(uri, verify_certificate=False).ask()

            with pytest.raises(ServerDown):
                open_(uri).ask()
            with pytest.raises(ServerDown):
                open_(uri, ca_file=str(certificates / "other-ca.pem")).ask()
            with pytest.raises(ServerDown):
                open_(
                    uri.replace("127.0.0.1", "localhost"), ca_file=str(certificates / "ca.pem")
                ).ask()

    def test_ldaps_to_a_server_without_tls(self, proxy: Proxy, open_: Open) -> None:
        """The same for `ldaps://`."""
        directory = open_(proxy.uri.replace("ldap:", "ldaps:"), verify_certificate=False)

        with pytest.raises(ServerDown):
            directory.ask()
        with pytest.raises(ServerDown):
            directory.verifies(WRITER, WRITER_PASSWORD)

        assert_silent(proxy)


def assert_silent(proxy: Proxy) -> None:
    """Insist that something was sent, and neither a name nor a password in clear."""
    assert proxy.sent
    assert WRITER_PASSWORD.encode() not in proxy.sent
    assert b"vmailadmin" not in proxy.sent


def test_the_proxy_delays_each_way(proxy: Proxy, open_: Open) -> None:
    """A delay is latency: it is felt per round trip, and not by what follows in a pipeline."""
    directory = open_(proxy.uri)
    directory.ask()
    proxy.to_server, proxy.to_client = 0.02, 0.03

    begun = time.monotonic()
    directory.ask()
    once = time.monotonic() - begun
    list(directory.pipeline([domain(f"d{number}.test") for number in range(100)], window=100))
    hundred = time.monotonic() - begun - once

    assert once >= 0.05
    assert hundred < 100 * 0.05
