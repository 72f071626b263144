"""What SQLite, MariaDB and PostgreSQL have in common, as the gateways need it."""

import os
import re
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from iredldap.config.settings import Secret
from iredldap.errors import ServerDown
from iredldap.gateways import touched_rows
from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.prepared import Prepared
from iredldap.gateways.sql.statements import upsert
from iredldap.gateways.sql.tables import from_script
from iredldap.shipped import shipped
from tests.support.databases import MariaDB, Urls, execute, rows, sqlite_databases
from tests.support.patience import PATIENCE

GREYLISTING = sql.Table(
    "greylisting",
    sql.MetaData(),
    sql.Column("account", sql.String),
    sql.Column("priority", sql.Integer),
    sql.Column("sender", sql.String),
    sql.Column("active", sql.Integer),
)
KEY = ("account", "sender")
SELECT = "SELECT account, sender, active FROM greylisting WHERE account <> '@.' ORDER BY 1, 2"


@pytest.fixture
def database(databases: Urls) -> Iterator[Database]:
    with closing(Database("iredapd", Secret(databases.iredapd), lambda _: None)) as opened:
        yield opened


def row(account: str, active: int) -> dict[str, Any]:
    return {"account": account, "priority": 100, "sender": "@.", "active": active}


def test_an_upsert_inserts_and_changes(database: Database, databases: Urls) -> None:
    """Several rows at once, of which some are there."""
    database.write(lambda c: upsert(c, GREYLISTING, [row("a@b.c", 1)], KEY, ("active",)))

    both = [row("a@b.c", 0), row("d@e.f", 1)]
    database.write(lambda c: upsert(c, GREYLISTING, both, KEY, ("active",)))

    assert rows(databases.iredapd, SELECT) == [("a@b.c", "@.", 0), ("d@e.f", "@.", 1)]


def test_an_upsert_that_changes_nothing_keeps_what_is_there(
    database: Database, databases: Urls
) -> None:
    database.write(lambda c: upsert(c, GREYLISTING, [row("a@b.c", 1)], KEY))
    database.write(lambda c: upsert(c, GREYLISTING, [row("a@b.c", 0)], KEY))
    database.write(lambda c: upsert(c, GREYLISTING, [], KEY))

    assert rows(databases.iredapd, SELECT) == [("a@b.c", "@.", 1)]


def test_writers_that_stand_in_one_anothers_way_all_get_through(
    database: Database, databases: Urls
) -> None:
    """They take the same two rows in opposite order, three times each."""
    pair = [row("a@b.c", 1), row("d@e.f", 1)]
    faults: list[BaseException] = []
    together = threading.Barrier(2)

    def write(number: int) -> None:
        ordered = pair if number % 2 else pair[::-1]

        def work(connection: sql.Connection) -> None:
            for one in ordered:
                upsert(connection, GREYLISTING, [one], KEY, ("active",))

        try:
            together.wait(PATIENCE)
            for _ in range(3):
                database.write(work)
        except BaseException as ex:  # noqa: BLE001 - reported below
            faults.append(ex)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert faults == []
    assert len(rows(databases.iredapd, SELECT)) == 2


def test_what_fails_leaves_nothing(database: Database, databases: Urls) -> None:
    def work(connection: sql.Connection) -> None:
        upsert(connection, GREYLISTING, [row("a@b.c", 1)], KEY)
        raise KeyError

    with pytest.raises(KeyError):
        database.write(work)

    assert rows(databases.iredapd, SELECT) == []


def test_a_missing_table_is_named(database: Database, databases: Urls) -> None:
    """Whatever the database says about it."""
    execute(databases.iredapd, "DROP TABLE greylisting")

    with pytest.raises(ServerDown, match="iredapd database has no table greylisting") as failed:
        database.read(lambda c: c.execute(sql.select(GREYLISTING)))

    assert failed.value.report == {"database": "iredapd", "missing_table": "greylisting"}


def test_a_table_that_appears_is_seen(database: Database, databases: Urls) -> None:
    """Upgrades add tables and columns while we run; those that were seen stay."""
    assert database.columns("wanted") == frozenset()

    execute(databases.iredapd, "CREATE TABLE wanted (id INTEGER, word VARCHAR(20))")

    assert database.columns("wanted") == {"id", "word"}
    execute(databases.iredapd, "DROP TABLE wanted")


@pytest.mark.parametrize("backend", ["mariadb", "postgresql"])
def test_a_server_that_comes_back_is_used_again(
    backend: str, request: pytest.FixtureRequest
) -> None:
    """Without a restart of ours; meanwhile it is down."""
    server = request.getfixturevalue(backend)
    urls: Urls = server.fresh()
    with closing(Database("iredapd", Secret(urls.iredapd), lambda _: None)) as database:
        database.ask()
        server.kill()

        with pytest.raises(ServerDown) as failed:
            database.ask()
        assert failed.value.report == {"database": "iredapd"}

        server.start()
        database.ask()


@pytest.mark.parametrize("backend", ["mariadb", "postgresql"])
def test_what_to_do_about_a_server_is_said(backend: str, request: pytest.FixtureRequest) -> None:
    """By kind, and with nothing of the URL: a password could be in the wrong place of that."""
    good = sql.make_url(request.getfixturevalue(backend).fresh().iredapd)
    for wrong, words in (
        ({"port": 1}, "nothing listens there"),
        ({"host": "no-such.invalid"}, "the host of its URL is unknown"),
        ({"database": "no-such"}, "the server has no database of the name in its URL"),
        ({"password": "secret"}, "access denied"),
        ({"username": "no-such"}, "access denied"),
    ):
        url = Secret(good.set(**wrong).render_as_string(hide_password=False))
        with (
            closing(Database("iredapd", url, lambda _: None)) as database,
            pytest.raises(ServerDown, match=f"^iredapd database: \\w+: {words}") as failed,
        ):
            database.ask()
        assert not re.search("no-such|secret|127", failed.value.detail)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:////dev/null/x/y", "/dev/null/x: Not a directory"),
        ("sqlite:////dev", "its file cannot be opened"),
        ("nosuch://x", "the kind of database in its URL is unknown"),
        ("mysql+nosuch://x", "the kind of database in its URL is unknown"),
        ("mysql://x:port/x", "its URL is malformed"),
        ("mysql+asyncmy://x/x", "its driver cannot be loaded: No module named 'asyncmy'"),
    ],
)
def test_what_to_do_about_a_url_is_said(url: str, words: str) -> None:
    """Before anything is sent."""
    with (
        closing(Database("iredapd", Secret(url), lambda _: None)) as database,
        pytest.raises(ServerDown, match=words),
    ):
        database.ask()


def test_a_file_that_is_no_database_is_a_database_that_is_down(tmp_path: Path) -> None:
    """And stays as it is."""
    file = tmp_path / "state.sqlite3"
    file.write_text("something else, and long enough to be looked at\n" * 30)
    script = tmp_path / "made.sql"
    script.write_text("CREATE TABLE made (id INTEGER);")
    with (
        closing(Database("state", Secret(f"sqlite:///{file}"), from_script(script))) as opened,
        pytest.raises(ServerDown, match="its file is not an SQLite database"),
    ):
        opened.ask()
    assert file.read_text().startswith("something else")


def test_tables_are_made_in_sqlite_once(tmp_path: Path) -> None:
    """By whoever comes first, also if all come at once; a file with tables is left alone."""
    script = tmp_path / "made.sql"
    script.write_text(
        "CREATE TABLE t (n INTEGER);\nCREATE TRIGGER g AFTER INSERT ON t BEGIN\n"
        "  UPDATE t SET n = 7;\n  UPDATE t SET n = n + 1;\nEND;\nINSERT INTO t VALUES (1);\n"
    )
    url = Secret(f"sqlite:///{tmp_path}/made.sqlite3")
    faults: list[BaseException] = []
    together = threading.Barrier(6)

    def ask() -> None:
        with closing(Database("made", url, from_script(script))) as database:
            together.wait(PATIENCE)
            try:
                database.ask()
            except ServerDown as ex:
                faults.append(ex)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert faults == []
    assert rows(url.reveal(), "SELECT n FROM t") == [(8,)]


def test_where_nothing_can_be_rolled_back_nothing_is_tried(mariadb: MariaDB) -> None:
    """Tables of MyISAM would keep what a trial writes, also that of a step which is planned."""
    url = mariadb.fresh().iredapd
    select = "SELECT active FROM greylisting WHERE account = 'a@b.c'"
    with closing(Database("iredapd", Secret(url), lambda _: None)) as database:
        with touched_rows.collected() as touched:
            database.write(lambda c: upsert(c, GREYLISTING, [row("a@b.c", 1)], KEY, ("active",)))

        def change(connection: sql.Connection) -> None:
            connection.execute(sql.update(GREYLISTING).values(active=0))

        for engine, can_roll_back in (("InnoDB", True), ("MyISAM", False)):
            execute(url, f"ALTER TABLE greylisting ENGINE = {engine}")
            database.open_anew()
            with ExitStack() as stack:
                if not can_roll_back:
                    stack.enter_context(pytest.raises(touched_rows.NotTried))
                with touched_rows.tried():
                    database.write(change)
            assert database.revert(touched, tries=True).changed
            assert rows(url, select) == [(1,)]
        # Reverted for real it is all the same.
        assert database.revert(touched).changed
        assert rows(url, select) == []


def test_a_prepared_statement_is_never_tried(database: Database, databases: Urls) -> None:
    """It commits by itself."""
    prepared = Prepared(sql.insert(GREYLISTING), row("a@b.c", 1))
    with touched_rows.tried(), pytest.raises(touched_rows.NotTried):
        database.execute(prepared, row("a@b.c", 1))
    assert rows(databases.iredapd, SELECT) == []
    database.execute(prepared, row("a@b.c", 1))
    assert rows(databases.iredapd, SELECT) == [("a@b.c", "@.", 1)]


ACCOUNTS = sql.select(GREYLISTING.c.account, GREYLISTING.c.active)
NAMED = Prepared(ACCOUNTS.where(GREYLISTING.c.account == sql.bindparam("account")))
OTHERS = Prepared(
    ACCOUNTS.where(GREYLISTING.c.account != sql.bindparam("account"), GREYLISTING.c.priority == 100)
)
NEW = Prepared(sql.insert(GREYLISTING), row("", 0))


def test_prepared_queries_find_what_is_there(database: Database) -> None:
    """Several have the same parameters; values in the statement itself are not among these."""
    assert database.rows([NAMED], {"account": "a@b.c"}) == [[]]
    database.execute(NEW, row("a@b.c", 1))
    database.execute(NEW, row("d@e.f", 0))
    one, others = database.rows([NAMED, OTHERS], {"account": "a@b.c"})
    assert [*map(tuple, one)] == [("a@b.c", 1)]
    assert [*map(tuple, others)] == [("d@e.f", 0)]


def test_a_prepared_statement_that_fails_leaves_nothing(database: Database) -> None:
    """Neither a transaction nor a connection that the next one would meet."""
    broken = Prepared(sql.insert(sql.table("no_such_table", sql.column("account"))), ["account"])
    with pytest.raises(ServerDown) as caught:
        database.execute(broken, {"account": "a@b.c"})
    assert caught.value.report == {"database": "iredapd", "missing_table": "no_such_table"}
    database.execute(NEW, row("a@b.c", 1))
    database.write(lambda c: c.execute(sql.update(GREYLISTING).values(active=0)))
    assert [*map(tuple, database.rows([NAMED], {"account": "a@b.c"})[0])] == [("a@b.c", 0)]


def test_prepared_statements_go_to_the_file_that_is_there(tmp_path: Path) -> None:
    """Also where somebody replaces it while it is open."""
    url = Secret(f"sqlite:///{tmp_path}/a.sqlite3")
    make = from_script(shipped("schema/iredapd.sqlite.sql"))
    with closing(Database("iredapd", url, make)) as database:
        database.execute(NEW, row("a@b.c", 1))
        (tmp_path / "a.sqlite3").unlink()
        assert database.rows([NAMED], {"account": "a@b.c"}) == [[]]
        database.execute(NEW, row("a@b.c", 0))
        assert database.rows([NAMED], {"account": "a@b.c"}) == [[("a@b.c", 0)]]


def test_a_forked_process_has_prepared_statements_of_its_own(tmp_path: Path) -> None:
    """A connection of SQLite that two processes share breaks the file."""
    make = from_script(shipped("schema/iredapd.sqlite.sql"))
    with closing(Database("iredapd", Secret(f"sqlite:///{tmp_path}/a.sqlite3"), make)) as database:
        database.execute(NEW, row("a@b.c", 1))
        if (child := os.fork()) == 0:
            database.execute(NEW, row("d@e.f", 1))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        found = database.rows([NAMED, OTHERS], {"account": "a@b.c"})
        assert [[*map(tuple, rows)] for rows in found] == [[("a@b.c", 1)], [("d@e.f", 1)]]


@pytest.mark.parametrize("spelling", ["mysql", "mariadb", "postgresql"])
def test_a_bare_name_of_a_database_finds_its_driver(
    spelling: str, request: pytest.FixtureRequest
) -> None:
    """`mysql://` is how other programs write it."""
    backend = "postgresql" if spelling == "postgresql" else "mariadb"
    urls: Urls = request.getfixturevalue(backend).fresh()
    _, _, rest = urls.iredapd.partition("://")
    with closing(Database("iredapd", Secret(f"{spelling}://{rest}"), lambda _: None)) as database:
        database.ask()


def test_files_that_the_program_makes_flush_once_a_commit(tmp_path: Path) -> None:
    """By a write-ahead log, and each commit survives a power failure; older files are taken."""
    url = sqlite_databases(tmp_path).iredapd
    file = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as older:
        assert older.execute("PRAGMA journal_mode = PERSIST").fetchone() == ("persist",)
        older.execute("INSERT INTO greylisting (account, sender) VALUES ('kept@b.c', '@.')")
        older.commit()
    make = from_script(shipped("schema/iredapd.sqlite.sql"))

    with closing(Database("iredapd", Secret(url), make)) as database:
        database.write(lambda c: upsert(c, GREYLISTING, [row("a@b.c", 1)], KEY))
        with database.transaction() as connection:
            mode, full = "wal", 2
            assert connection.execute(sql.text("PRAGMA journal_mode")).scalar() == mode
            assert connection.execute(sql.text("PRAGMA synchronous")).scalar() == full
        # What another program reads meanwhile, and what nobody else may.
        assert [found[0] for found in rows(url, SELECT)] == ["a@b.c", "kept@b.c"]
        assert Path(f"{file}-wal").stat().st_mode == Path(file).stat().st_mode

    assert not Path(f"{file}-wal").exists()
    assert [found[0] for found in rows(url, SELECT)] == ["a@b.c", "kept@b.c"]


def test_a_file_that_a_killed_process_left_is_complete(tmp_path: Path) -> None:
    """What it has committed is in the log beside the file."""
    url = sqlite_databases(tmp_path).iredapd
    make = from_script(shipped("schema/iredapd.sqlite.sql"))
    if not (child := os.fork()):
        database = Database("iredapd", Secret(url), make)
        database.write(lambda c: upsert(c, GREYLISTING, [row("a@b.c", 1)], KEY))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)

    with closing(Database("iredapd", Secret(url), make)) as database:
        database.write(lambda c: upsert(c, GREYLISTING, [row("d@e.f", 1)], KEY))

    assert [found[0] for found in rows(url, SELECT)] == ["a@b.c", "d@e.f"]
