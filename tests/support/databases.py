"""The databases of an iRedMail server, in SQLite, MariaDB and PostgreSQL of the tests' own."""

import os
import re
import signal
import sqlite3
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sql
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from iredldap.shipped import shipped
from tests.support.mailservers import PATH
from tests.support.sqlservers import ADMIN, Server, program

NAMES = ("iredapd", "amavisd", "iredadmin")

# Debian keeps PostgreSQL's programs out of the PATH. The newest release goes first.
DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda bin_: float(bin_.parts[-2]))
POSTGRESQL_PATH = os.pathsep.join([*map(str, reversed(DEBIAN)), PATH])

DATA = "SELECT, INSERT, UPDATE, DELETE"


@dataclass(frozen=True, slots=True)
class Urls:
    """Three databases of one kind, as SQLAlchemy URLs of their iRedMail users."""

    backend: str
    iredapd: str
    amavisd: str
    iredadmin: str


class Script:
    """A schema file.

    Attributes:
        path: Where it is.
        text: All of it.
        tables: Their names; what refers to a table comes after it.
        seeds: Statements that fill some of them.
        seeded: The names of those.
    """

    def __init__(self, schema: str, suffix: str) -> None:
        self.path = shipped(f"schema/{schema}.{suffix}.sql")
        self.text = self.path.read_text("utf-8")
        self.tables = re.findall(r"^CREATE TABLE (\w+)", self.text, re.MULTILINE)
        self.seeds = re.findall(r"^INSERT .+?;$", self.text, re.MULTILINE | re.DOTALL)
        self.seeded = [seed.split()[2] for seed in self.seeds]


class Holder(Server):
    """A server with databases like an iRedMail server's."""

    suffix: ClassVar[str]
    """Of its schema files."""
    shape: ClassVar[str]
    """A statement whose result changes with the columns, keys and triggers of a database."""

    def __init__(self) -> None:
        super().__init__()
        self._shapes: dict[str, list[tuple[Any, ...]]] = {}

    def create(self, database: str, schema: str) -> str:
        """Make a database with its user and the tables of a schema; give that user's URL.

        As on an iRedMail server, they own everything, but may only read and write in `amavisd`.
        """
        owns = schema != "amavisd"
        self.administer(self.system_database, *self._makings(database, owns=owns))
        self.load(self.url(database, database if owns else ADMIN), schema)
        self.administer(database, *self._grants(database, owns=owns))
        self._shapes[database] = self._shape(database)
        return self.url(database)

    def create_empty(self, database: str) -> str:
        """Make a database with its user, and nothing in it; give that user's URL."""
        self.administer(self.system_database, *self._makings(database, owns=True))
        return self.url(database)

    def load(self, url: str, schema: str) -> None:
        """Run a schema file."""
        with connected(url) as connection:
            for statement in self._statements(Script(schema, self.suffix).text):
                connection.exec_driver_sql(statement)

    def drop(self, database: str) -> None:
        """Remove a database and its user, if they are there."""
        self.forget_connections()
        self.administer(self.system_database, *self._removals(database))

    def fresh(self) -> Urls:
        """Give the three databases with nothing in them but what a new one has."""
        if not self.running:
            self.start()
        for name in NAMES:
            if name in self._shapes and self._shape(name) == self._shapes[name]:
                self._empty(name)
            else:
                self.drop(name)
                self.create(name, name)
        return Urls(self.backend, *map(self.url, NAMES))

    @abstractmethod
    def _makings(self, database: str, *, owns: bool) -> list[str]:
        """Say how a database and its user are made."""

    def _grants(self, database: str, *, owns: bool) -> list[str]:
        """Say what is left to do when there are tables."""
        return []

    @abstractmethod
    def _removals(self, database: str) -> list[str]: ...

    @abstractmethod
    def _statements(self, script: str) -> list[str]:
        """Cut a script into what the driver takes at once."""

    @abstractmethod
    def _renumbering(self, table: str) -> str:
        """Say how the numbers of an empty table begin anew."""

    def _empty(self, database: str) -> None:
        script = Script(database, self.suffix)
        self.administer(
            database,
            *(f"DELETE FROM {table}" for table in reversed(script.tables)),
            *map(self._renumbering, script.seeded),
            *script.seeds,
        )

    def _shape(self, database: str) -> list[tuple[Any, ...]]:
        try:
            with self.engine(database).connect() as connection:
                return [tuple(row) for row in connection.exec_driver_sql(self.shape)]
        except OperationalError:
            return []


class MariaDB(Holder):
    """MariaDB as iRedMail sets it up, but for what makes it safe and slow."""

    backend = "mariadb"
    account = "mysql"
    suffix = "mysql"
    driver = "mysql+pymysql"
    system_database = "mysql"
    crash = signal.SIGKILL
    end = signal.SIGTERM
    # A test that left a transaction open must not hold up the ones after it for long.
    arguments: ClassVar = {
        "init_command": "SET lock_wait_timeout = 30, innodb_lock_wait_timeout = 30"
    }
    shape = """
        SELECT table_name, column_name, column_type, is_nullable, column_default
        FROM information_schema.columns WHERE table_schema = DATABASE()
        UNION ALL SELECT table_name, index_name, column_name, seq_in_index, non_unique
        FROM information_schema.statistics WHERE table_schema = DATABASE()
        UNION ALL SELECT event_object_table, trigger_name, '', '', ''
        FROM information_schema.triggers WHERE trigger_schema = DATABASE()
        ORDER BY 1, 2, 3, 4
    """

    def _install(self) -> None:
        # Root of the machine is root of the database; others need the password.
        self._write(
            "administrator.sql",
            f"CREATE USER IF NOT EXISTS {ADMIN}@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO {ADMIN}@'127.0.0.1' WITH GRANT OPTION;\n",
        )
        self._run(
            program("mariadb-install-db", PATH),
            *self._options(),
            "--auth-root-authentication-method=socket",
            "--skip-test-db",
        )

    def _command(self) -> Sequence[str | Path]:
        return [
            program("mariadbd", PATH),
            *self._options(),
            f"--socket={self.home / 'socket'}",
            f"--pid-file={self.home / 'pid'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            f"--init-file={self.home / 'administrator.sql'}",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
        ]

    def _options(self) -> list[str]:
        return [
            # First, or it is not understood.
            "--no-defaults",
            f"--datadir={self.home / 'data'}",
            # Several servers that share /tmp delete each other's temporary tables.
            f"--tmpdir={self._temporary()}",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-flush-method=nosync",
            "--skip-innodb-doublewrite",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=8M",
        ]

    def _temporary(self) -> Path:
        folder = self.home / "tmp"
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            # mariadbd and its installer may run as another user than root.
            folder.chmod(0o777)
        return folder

    def _makings(self, database: str, *, owns: bool) -> list[str]:
        return [
            f"CREATE DATABASE {database} CHARACTER SET utf8mb4",
            f"CREATE USER {database}@'127.0.0.1' IDENTIFIED BY '{self.password}'",
            f"GRANT {'ALL' if owns else DATA} ON {database}.* TO {database}@'127.0.0.1'",
        ]

    def _removals(self, database: str) -> list[str]:
        return [
            f"DROP DATABASE IF EXISTS {database}",
            f"DROP USER IF EXISTS {database}@'127.0.0.1'",
        ]

    def _statements(self, script: str) -> list[str]:
        return [statement for statement in script.split(";\n") if statement.strip()]

    def _renumbering(self, table: str) -> str:
        return f"ALTER TABLE {table} AUTO_INCREMENT = 1"


class PostgreSQL(Holder):
    """PostgreSQL as iRedMail sets it up, but for what makes it safe and slow."""

    backend = "postgresql"
    account = "postgres"
    suffix = "pgsql"
    driver = "postgresql+psycopg"
    system_database = "postgres"
    crash = signal.SIGQUIT  # SIGKILL would leave its children behind for a while.
    end = signal.SIGINT
    arguments: ClassVar = {"options": "-c lock_timeout=30s"}
    shape = """
        SELECT attrelid::regclass::text, attname, atttypid::regtype::text, atttypmod, attnotnull
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0
        UNION ALL SELECT tablename, indexdef, '', 0, false
        FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT tgrelid::regclass::text, tgname, '', 0, false
        FROM pg_trigger WHERE NOT tgisinternal
        ORDER BY 1, 2
    """

    def _install(self) -> None:
        self._run(
            program("initdb", POSTGRESQL_PATH),
            f"--pgdata={self.home / 'data'}",
            f"--username={ADMIN}",
            f"--pwfile={self._write('password', self.password)}",
            # The other way computes for some milliseconds at each connection, on both sides.
            "--auth=md5",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        )

    def _command(self) -> Sequence[str | Path]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
        }
        return [
            program("postgres", POSTGRESQL_PATH),
            *("-D", self.home / "data"),
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
        ]

    def _makings(self, database: str, *, owns: bool) -> list[str]:
        return [
            f"CREATE ROLE {database} LOGIN PASSWORD '{self.password}'",
            f"CREATE DATABASE {database} OWNER {database if owns else ADMIN}",
            # As iRedMail does for Amavisd, whose addresses are binary.
            *([] if owns else [f"ALTER DATABASE {database} SET bytea_output = 'escape'"]),
        ]

    def _grants(self, database: str, *, owns: bool) -> list[str]:
        if owns:
            return []
        return [
            f"GRANT {DATA} ON ALL TABLES IN SCHEMA public TO {database}",
            f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {database}",
        ]

    def _removals(self, database: str) -> list[str]:
        return [
            f"DROP DATABASE IF EXISTS {database} WITH (FORCE)",
            f"DROP ROLE IF EXISTS {database}",
        ]

    def _statements(self, script: str) -> list[str]:
        return [script]

    def _renumbering(self, table: str) -> str:
        return f"ALTER SEQUENCE {table}_id_seq RESTART"


def sqlite_urls(folder: Path) -> Urls:
    """Name three files, which need not be there."""
    return Urls("sqlite", *(f"sqlite:///{folder}/{name}.sqlite3" for name in NAMES))


def sqlite_databases(folder: Path) -> Urls:
    """Make the three databases as files."""
    for name in NAMES:
        (folder / f"{name}.sqlite3").write_bytes(_sqlite_file(name))
    return sqlite_urls(folder)


@cache
def _sqlite_file(schema: str) -> bytes:
    """Give what the file of a new database holds."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(Script(schema, "sqlite").text)
        return connection.serialize()


def rows(url: str, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Look into a database beside the API."""
    with connected(url) as connection:
        return [tuple(row) for row in connection.execute(sql.text(statement), parameters)]


def execute(url: str, statement: str, **parameters: Any) -> int:
    """Change something beside the API; give the number of rows."""
    with connected(url) as connection:
        return connection.execute(sql.text(statement), parameters).rowcount


@contextmanager
def connected(url: str) -> Iterator[sql.Connection]:
    """Open a connection for one transaction, and close it."""
    with _engine(url).begin() as connection:
        yield connection


@lru_cache(maxsize=32)
def _engine(url: str) -> sql.Engine:
    """Give what makes connections and keeps none; the first one asks what the server is."""
    return sql.create_engine(url, poolclass=NullPool, execution_options={"no_parameters": True})
