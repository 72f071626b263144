"""Our SQL files make the tables that iRedAPD, Amavisd, Dovecot and iRedAdmin expect.

`sql_facts.tsv` has a line per sort of column and per key. Several columns of a table are joined by
commas, `=` stands for what MariaDB has; without backends a key is in all of them:

    column  table  columns  type in MariaDB  in PostgreSQL  default  [default in PostgreSQL]
    key     table  primary|unique|index|foreign  columns    [backends]

A default of `-` is none, `number` the next one, `now` the time; after `NULL` a column may be null.
"""

import os
import re
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError

from tests.support.databases import (
    NAMES,
    POSTGRESQL_PATH,
    Holder,
    PostgreSQL,
    Script,
    Urls,
    connected,
    execute,
    rows,
)
from tests.support.mailservers import PATH
from tests.support.patience import PATIENCE
from tests.support.sqlservers import ADMIN, program

FACTS = [
    line.split("\t")
    for line in Path(__file__).with_name("sql_facts.tsv").read_text("utf-8").splitlines()
]


class Column(NamedTuple):
    """A column as its readers know it."""

    table: str
    name: str
    type: str
    nullable: bool
    default: str | None


class Key(NamedTuple):
    """A key; a foreign one names what it refers to."""

    table: str
    kind: str
    columns: str


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> Holder:
    found: Holder = request.getfixturevalue(request.param)
    return found


def expected_columns(backend: str, database: str) -> set[Column]:
    columns = set()
    for _, table, names, mariadb, postgresql, *defaults in facts("column", database):
        types = {
            "sqlite": in_sqlite(mariadb),
            "mariadb": mariadb,
            "postgresql": mariadb if postgresql == "=" else postgresql,
        }
        default = defaults[-1 if backend == "postgresql" else 0]
        nullable, value = default.startswith("NULL"), default.removeprefix("NULL").strip()
        known = None if value in {"", "-", "number"} else value.strip("'")
        columns |= {
            Column(table, name, types[backend], nullable, known) for name in names.split(",")
        }
    return columns


def expected_keys(backend: str, database: str) -> set[Key]:
    return {
        Key(table, kind, columns)
        for _, table, kind, columns, *backends in facts("key", database)
        if not backends or backend in backends[0]
    }


def facts(kind: str, database: str) -> list[list[str]]:
    return [
        [first, table.removeprefix(f"{database}."), *rest]
        for first, table, *rest in FACTS
        if first == kind and table.startswith(f"{database}.")
    ]


def in_sqlite(type_: str) -> str:
    """Say what stands for a type of MariaDB."""
    if "INT" in type_:
        return "INTEGER"
    return "BLOB" if type_.startswith("VARBINARY") else type_


def actual_columns(connection: sql.Connection) -> set[Column]:
    inspector = sql.inspect(connection)
    return {
        Column(
            table,
            column["name"],
            type_text(connection, column["type"]),
            column["nullable"],
            default_text(column["default"]),
        )
        for table in inspector.get_table_names()
        for column in inspector.get_columns(table)
    }


def type_text(connection: sql.Connection, type_: Any) -> str:
    text = str(type_.compile(connection.dialect))
    if connection.dialect.name == "mysql":
        text = re.sub(r"(INT|INTEGER)\(\d+\)", r"\1", text).replace("INTEGER", "INT")
    return text


def default_text(default: str | None) -> str | None:
    if default is None or default.startswith("nextval("):
        return None
    if default.lower().startswith("current_timestamp"):
        return "now"
    return re.sub(r"::[\w ]+$", "", default).strip("'")


def actual_keys(connection: sql.Connection) -> set[Key]:
    inspector = sql.inspect(connection)
    keys = set()
    for table in inspector.get_table_names():
        keys.add(Key(table, "primary", joined(inspector.get_pk_constraint(table))))
        for constraint in inspector.get_unique_constraints(table):
            keys.add(Key(table, "unique", ",".join(constraint["column_names"])))
        for index in inspector.get_indexes(table):
            kind = "unique" if index["unique"] else "index"
            keys.add(Key(table, kind, ",".join(name or "" for name in index["column_names"])))
        for foreign in inspector.get_foreign_keys(table):
            assert not foreign["options"], "nothing happens to a referring row by itself"
            target = f"{foreign['referred_table']}.{','.join(foreign['referred_columns'])}"
            keys.add(Key(table, "foreign", f"{joined(foreign)}>{target}"))
    return keys


def joined(constraint: Any) -> str:
    return ",".join(constraint["constrained_columns"])


def everything(url: str, schema: str, suffix: str) -> dict[str, list[tuple[Any, ...]]]:
    """Read all rows of all tables."""
    with connected(url) as connection:
        return {
            table: [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")]
            for table in Script(schema, suffix).tables
        }


def run_client(server: Holder, database: str, script: Path, *, go_on: bool = False) -> int:
    """Run a file with the server's own client program; give its exit status."""
    if isinstance(server, PostgreSQL):
        stop = [] if go_on else ["--set=ON_ERROR_STOP=1"]
        command = [program("psql", POSTGRESQL_PATH), "--no-psqlrc", "--no-password", *stop]
    else:
        command = [program("mariadb", PATH), "--no-defaults", *(["--force"] if go_on else [])]
    with script.open("rb") as file:
        return subprocess.run(
            [*command, "--host=127.0.0.1", f"--port={server.port}", f"--user={ADMIN}", database],
            stdin=file,
            capture_output=True,
            timeout=PATIENCE,
            env=os.environ | {"MYSQL_PWD": server.password, "PGPASSWORD": server.password},
            check=False,
        ).returncode


@pytest.mark.parametrize("name", NAMES)
def test_columns_and_keys_are_those_of_an_iredmail_server(databases: Urls, name: str) -> None:
    """No more and no less, on each server in its own types."""
    with connected(getattr(databases, name)) as connection:
        columns = actual_columns(connection)
        keys = actual_keys(connection)

    assert columns == expected_columns(databases.backend, name)
    assert keys == expected_keys(databases.backend, name)


@pytest.mark.parametrize("schema", NAMES)
def test_the_clients_run_a_whole_file(server: Holder, schema: str) -> None:
    """Once; a second time is refused at the first statement and, forced, changes nothing."""
    script = Script(schema, server.suffix)
    server.administer(server.system_database, "CREATE DATABASE by_client")
    try:
        assert run_client(server, "by_client", script.path) == 0
        url = server.url("by_client", ADMIN)
        before = everything(url, schema, server.suffix)

        assert run_client(server, "by_client", script.path) != 0
        run_client(server, "by_client", script.path, go_on=True)

        assert everything(url, schema, server.suffix) == before
    finally:
        server.drop("by_client")


@pytest.mark.parametrize("schema", NAMES)
def test_sqlite_runs_a_whole_file(tmp_path: Path, schema: str) -> None:
    """Once; a second time is refused at the first statement and changes nothing."""
    script = Script(schema, "sqlite")
    file = tmp_path / "database"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script.text)
        before = everything(f"sqlite:///{file}", schema, "sqlite")

        with pytest.raises(sqlite3.OperationalError, match=f"{script.tables[0]} already exists"):
            connection.executescript(script.text)
        for statement in script.seeds:
            with suppress(sqlite3.IntegrityError):
                connection.execute(statement)
        connection.commit()

    assert everything(f"sqlite:///{file}", schema, "sqlite") == before


def test_greylisting_is_on_for_all_at_first(databases: Urls) -> None:
    """And nothing else is set."""
    assert rows(
        databases.iredapd,
        "SELECT account, priority, sender, sender_priority, comment, active FROM greylisting",
    ) == [("@.", 0, "@.", 0, "", 1)]
    assert rows(databases.iredapd, "SELECT * FROM throttle") == []


def test_there_is_a_global_spam_policy_at_first(databases: Urls) -> None:
    """It has the number that users.policy_id has by default, and delivers or quarantines all."""
    policy = rows(
        databases.amavisd,
        """SELECT users.priority, users.policy_id, policy_name,
               spam_lover, bypass_spam_checks, spam_quarantine_to,
               virus_lover, bypass_virus_checks, virus_quarantine_to,
               banned_files_lover, bypass_banned_checks, banned_quarantine_to,
               bad_header_lover, bypass_header_checks, bad_header_quarantine_to
           FROM users JOIN policy ON policy.id = users.policy_id WHERE users.email = :email""",
        email=b"@.",
    )

    spam, virus = ("Y", "N", ""), ("N", "N", "virus-quarantine")
    banned, header = ("N", "N", "banned-quarantine"), ("Y", "N", "")
    assert policy == [(0, 1, "@.", *spam, *virus, *banned, *header)]


def test_the_domain_of_a_used_quota_fills_itself(databases: Urls) -> None:
    """For Dovecot, which does not write it."""
    execute(
        databases.iredadmin,
        "INSERT INTO used_quota (username, bytes, messages) VALUES ('a@example.com', 7, 1)",
    )

    assert rows(databases.iredadmin, "SELECT * FROM used_quota") == [
        ("a@example.com", 7, 1, "example.com")
    ]


def test_postgresql_adds_to_a_used_quota(postgresql: PostgreSQL) -> None:
    """There Dovecot inserts what is to be added."""
    url = postgresql.fresh().iredadmin
    for bytes_ in (7, -2):
        execute(
            url,
            "INSERT INTO used_quota (username, bytes, messages) VALUES ('a@b.test', :bytes, 1)",
            bytes=bytes_,
        )

    assert rows(url, "SELECT * FROM used_quota") == [("a@b.test", 5, 2, "b.test")]


def test_text_is_compared_as_on_an_iredmail_server(databases: Urls) -> None:
    """Without regard to case but in PostgreSQL; the addresses of Amavisd byte by byte."""
    execute(databases.iredapd, "INSERT INTO greylisting_whitelist_domains (domain) VALUES ('a.b')")
    for email in (b"a@b.test", b"A@b.test"):
        execute(databases.amavisd, "INSERT INTO mailaddr (email) VALUES (:email)", email=email)

    found = rows(
        databases.iredapd, "SELECT domain FROM greylisting_whitelist_domains WHERE domain = 'A.B'"
    )
    assert found == ([] if databases.backend == "postgresql" else [("a.b",)])
    emails = rows(
        databases.amavisd, "SELECT email FROM mailaddr WHERE email = :email", email=b"A@b.test"
    )
    assert emails == [(b"A@b.test",)]


@pytest.mark.parametrize("schema", NAMES)
def test_sqlite_and_mariadb_fold_case_in_the_same_columns(schema: str) -> None:
    """All text; none of the tables of MariaDB goes another way."""
    lines = Script(schema, "sqlite").text.splitlines()
    text = [line for line in lines if re.match(r"    \w+ (VARCHAR|CHAR|TEXT)\b", line)]
    assert [line for line in text if "COLLATE NOCASE" not in line] == []

    mariadb = Script(schema, "mysql")
    assert mariadb.text.count("COLLATE=utf8mb4_general_ci;") == len(mariadb.tables)


def test_the_users_have_the_rights_of_iredmail(server: Holder) -> None:
    """Amavisd's may only read and write, and reads binary addresses as escaped text."""
    urls = server.fresh()
    for url in (urls.iredapd, urls.iredadmin):
        execute(url, "CREATE TABLE more (id INTEGER)")

    with pytest.raises(DBAPIError, match="denied"):
        execute(urls.amavisd, "CREATE TABLE more (id INTEGER)")
    with pytest.raises(DBAPIError, match=r"denied|must be owner"):
        execute(urls.amavisd, "DROP TABLE wblist")
    if isinstance(server, PostgreSQL):
        assert rows(urls.amavisd, "SHOW bytea_output") == [("escape",)]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM greylisting",
        "INSERT INTO greylisting (account, sender) VALUES ('@b.test', '@.')",
        "UPDATE greylisting SET active = 0",
        "DROP TABLE wblist_rdns",
        "DROP TABLE throttle_tracking",
        "ALTER TABLE greylisting DROP COLUMN comment",
        "CREATE TABLE more (id INTEGER)",
    ],
)
def test_what_a_test_did_is_undone_for_the_next(server: Holder, change: str) -> None:
    """Rows, their numbers, and tables."""
    urls = server.fresh()
    new = everything(urls.iredapd, "iredapd", server.suffix)
    execute(urls.iredapd, change)

    assert server.fresh() == urls

    assert everything(urls.iredapd, "iredapd", server.suffix) == new
    with connected(urls.iredapd) as connection:
        assert actual_columns(connection) == expected_columns(server.backend, "iredapd")


def test_counters_go_before_the_setting_they_belong_to(server: Holder) -> None:
    """The database refuses the other order, and tests are cleared in the right one."""
    url = server.fresh().iredapd
    execute(url, "INSERT INTO throttle (account) VALUES ('@.')")
    execute(url, "INSERT INTO throttle_tracking (tid, account) SELECT id, 'a' FROM throttle")

    with pytest.raises(DBAPIError, match="foreign key"):
        execute(url, "DELETE FROM throttle")
    server.fresh()

    assert rows(url, "SELECT * FROM throttle") == []


def test_a_crashed_server_comes_back_with_what_was_committed(server: Holder) -> None:
    """Under the same URL."""
    url = server.fresh().iredadmin
    execute(url, "INSERT INTO settings (k, v) VALUES ('a', 'b')")
    server.kill()
    with pytest.raises(DBAPIError):
        rows(url, "SELECT 1")

    server.start()

    assert rows(url, "SELECT account, k, v FROM settings") == [("global", "a", "b")]
