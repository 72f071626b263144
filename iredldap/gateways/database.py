"""One SQL database: its connections, transactions and upserts, and what is wrong when it fails.

SQLite is made on first use; nothing is ever made in MariaDB or PostgreSQL but by `make`.
"""

import os
import random
import re
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sql
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from iredldap.errors import InvalidParameter, ServerDown
from iredldap.settings import Secret

T = TypeVar("T")
Row = Mapping[str, Any]

_NO_FILE = (":", "file:")
"""How a name begins that SQLite does not take for that of a file, or takes for a URI."""

_PATIENCE = 5.0
"""Seconds for which a transaction that others undo is made again."""

_BATCH = 500
"""Values in one statement; SQLite may be built to take no more than 999."""

_DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "postgresql": "postgresql+psycopg",
}

# A statement may not hang a thread of ours for longer than the directory may. The session that
# holds a turn may be idle for as long as a change takes (`gateways/turns.py`): the server must not
# end it, but notice within a minute that our machine is gone.
_ARGUMENTS: Mapping[str, dict[str, Any]] = {
    "sqlite": {"timeout": 10},
    "mysql": {
        "connect_timeout": 5,
        "read_timeout": 15,
        "write_timeout": 15,
        "init_command": "SET SESSION wait_timeout = 86400",
    },
    "postgresql": {
        "connect_timeout": 5,
        "options": "-c statement_timeout=15000 -c tcp_keepalives_idle=30"
        " -c tcp_keepalives_interval=5 -c tcp_keepalives_count=5",
    },
}

# Of the last three: a file that is no database, before SQLAlchemy knows of it; a driver that is not
# installed; and a port that is no number.
_FAULTS = (SQLAlchemyError, OSError, sqlite3.Error, ImportError, ValueError)

# Deadlock and lock wait timeout of MariaDB; serialization failure and deadlock of PostgreSQL.
_OVERTAKEN = {"1213", "1205", "40001", "40P01"}
_NO_TABLE = {"1146", "42P01"}
_SQLITE_NO_TABLE = re.compile(r"no such table: (?:\w+\.)?(\w+)")
_QUOTED = re.compile(r"""["'`](?:\w+\.)?(\w+)["'`]""")


class Overtaken(ServerDown):
    """Another transaction stood in the way; the same one may succeed now."""


class Database:
    """A database, reached by an SQLAlchemy URL.

    Args:
        name: What refusals call it.
        url: Read on first use, so that a wrong one is a database that is down.
        make: Is given each new engine once, to make tables where that is ours to do.
        most: Connections at once, beyond the five that are kept; None: any number.
    """

    def __init__(
        self,
        name: str,
        url: Secret,
        make: Callable[[sql.Engine], None],
        *,
        most: int | None = 10,
    ) -> None:
        self.name = name
        self._url = url
        self._make = make
        self._most = most
        self._lock = threading.Lock()
        self._made: sql.Engine | None = None
        self._file: tuple[int, int] | None = None
        self._columns: dict[str, frozenset[str]] = {}
        ours = weakref.WeakMethod(self._begin_again)
        os.register_at_fork(after_in_child=lambda: (begin := ours()) and begin())

    def _begin_again(self) -> None:
        """Leave the connections to the process that forked us."""
        self._lock = threading.Lock()
        if self._made:
            self._made.dispose(close=False)

    def read(self, work: Callable[[sql.Connection], T]) -> T:
        """Do something in a transaction that only reads.

        Raises:
            ServerDown: If the database does not answer, or lacks a table; the report says which.
        """
        with self.transaction() as connection:
            return work(connection)

    def write(self, work: Callable[[sql.Connection], T]) -> T:
        """Do something in a transaction, from its beginning again if others undo it.

        Raises:
            ServerDown: If the database does not answer, or lacks a table; the report says which.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                with self.transaction(writes=True) as connection:
                    return work(connection)
            except Overtaken:
                if time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0.001, 0.05))  # noqa: S311 - spreads the rivals

    @contextmanager
    def transaction(self, *, writes: bool = False) -> Iterator[sql.Connection]:
        """Open a transaction that ends with the block.

        Raises:
            ServerDown: If the database does not answer, or lacks a table; the report says which.
        """
        try:
            engine = self._engine()
            with (
                engine.connect().execution_options(writes=writes) as connection,
                connection.begin(),
            ):
                yield connection
        except sql.exc.DataError as ex:
            # A value that its column does not hold: no second attempt would be more lucky.
            raise InvalidParameter(f"{self.name} database: {_code(ex)}") from ex
        except _FAULTS as ex:
            down = self._down(ex)
            if down.report and "missing_table" in down.report:
                # It may have been there: whose tables are ours to make are made again.
                self.open_anew()
            raise down from ex

    @contextmanager
    def session(self) -> Iterator[sql.Connection]:
        """Open a connection without a transaction, for what lasts longer than a statement.

        Raises:
            ServerDown: If the database does not answer.
        """
        try:
            with self._engine().connect() as connection:
                yield connection.execution_options(isolation_level="AUTOCOMMIT")
        except _FAULTS as ex:
            raise self._down(ex) from ex

    def columns(self, table: str) -> frozenset[str]:
        """Names of a table's columns, which differ from release to release; none: no such table.

        Raises:
            ServerDown: If the database does not answer.
        """
        found = self._columns.get(table)
        if found is None:
            found = self.read(lambda connection: _columns(connection, table))
            if found:
                self._columns[table] = found
        return found

    def ask(self) -> None:
        """See whether it answers.

        Raises:
            ServerDown: If it does not.
        """
        self.read(lambda connection: connection.execute(sql.text("SELECT 1")))

    def close(self) -> None:
        if self._made:
            self._made.dispose()

    def open_anew(self) -> None:
        """Have the next transaction open the database as the first one did."""
        with self._lock:
            self._leave()

    def _leave(self) -> None:
        if self._made:
            self._made.dispose()
        self._made = None
        self._columns.clear()

    def _engine(self) -> sql.Engine:
        with self._lock:
            if self._made and _file(self._made) != self._file:
                # Somebody has deleted or replaced it. We would go on with the file that nobody
                # else finds any more: SQLite refuses to write into it, yet reads.
                self._leave()
            if self._made is None:
                self._made, self._file = _opened(self._url, self._make, self._most)
            return self._made

    def _down(self, fault: Exception) -> ServerDown:
        detail = f"{self.name} database: {type(fault).__name__}"
        report: dict[str, object] = {"database": self.name}
        if isinstance(fault, DBAPIError):
            code = _code(fault)
            if code in _OVERTAKEN:
                return Overtaken(detail, report=report)
            missing = _SQLITE_NO_TABLE.search(str(fault.orig))
            if code in _NO_TABLE:
                missing = _QUOTED.search(str(fault.orig))
            if missing:
                detail = f"{self.name} database has no table {missing[1]}"
                report["missing_table"] = missing[1]
        return ServerDown(detail, report=report)


def _code(fault: DBAPIError) -> str:
    """Error number of MariaDB, or SQLSTATE of PostgreSQL."""
    first = next(iter(getattr(fault.orig, "args", ())), None)
    # PyMySQL tells a state too, which several errors share.
    return str(first if isinstance(first, int) else getattr(fault.orig, "sqlstate", ""))


def _columns(connection: sql.Connection, table: str) -> frozenset[str]:
    inspector = sql.inspect(connection)
    if not inspector.has_table(table):
        return frozenset()
    return frozenset(column["name"] for column in inspector.get_columns(table))


def url_of(secret: Secret) -> sql.URL:
    """Parse the URL of a database; one without a driver gets ours.

    Raises:
        ArgumentError: If it is none.
    """
    url = sql.make_url(secret.reveal())
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def _file(engine: sql.Engine) -> tuple[int, int] | None:
    """Return device and inode of an SQLite file; None if there is none."""
    name = engine.url.database
    if engine.dialect.name != "sqlite" or not name or name.startswith(_NO_FILE):
        return None
    try:
        found = Path(name).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _opened(
    secret: Secret, make: Callable[[sql.Engine], None], most: int | None
) -> tuple[sql.Engine, tuple[int, int] | None]:
    """Make an engine and the tables; return it, and the file as it was before."""
    url = url_of(secret)
    kind = "mysql" if url.get_backend_name() == "mariadb" else url.get_backend_name()
    # MariaDB's own default locks gaps between rows, in which writers of new rows meet.
    options: dict[str, Any] = {"isolation_level": "READ COMMITTED"} if kind == "mysql" else {}
    if kind != "sqlite":
        options["max_overflow"] = -1 if most is None else most
    engine = sql.create_engine(
        url, pool_pre_ping=True, connect_args=_ARGUMENTS.get(kind, {}), **options
    )
    if kind == "sqlite":
        _begin_by_hand(engine)
        if url.database:
            _make_private(url.database)
    # Before it is opened: one that is replaced meanwhile differs next time, at worst in vain.
    file = _file(engine)
    try:
        engine.connect().close()
        make(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine, file


def _begin_by_hand(engine: sql.Engine) -> None:
    """A transaction that reads first and then writes would lose to another one, and not wait."""

    @sql.event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None

    @sql.event.listens_for(engine, "begin")
    def begun(connection: sql.Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make_private(file: str) -> None:
    """Make a database file that others cannot read: a job may hold the hash of a password."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    if not file.startswith(_NO_FILE):
        Path(file).touch(mode=0o600)


def from_script(script: Path) -> Callable[[sql.Engine], None]:
    """Say how tables are made: by a script, in an SQLite database that has none yet."""

    def make(engine: sql.Engine) -> None:
        if engine.dialect.name != "sqlite":
            return
        text = script.read_text(encoding="utf-8")
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            try:
                # Whoever comes second waits here, and finds the tables made.
                driver.execute("BEGIN IMMEDIATE")
                if not driver.execute("SELECT 1 FROM sqlite_master").fetchone():
                    for statement in _statements(text):
                        driver.execute(statement)
                driver.execute("COMMIT")
            finally:
                if driver.in_transaction:
                    driver.execute("ROLLBACK")

    return make


def _statements(script: str) -> Iterator[str]:
    """Cut a script of SQLite into statements, of which one may hold semicolons."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def upsert(
    connection: sql.Connection,
    table: sql.Table,
    rows: Sequence[Row],
    key: Iterable[str],
    changed: Iterable[str] = (),
) -> None:
    """Insert rows, or change those that are there already.

    Args:
        connection: In a transaction.
        table: Where; the key is unique there, in the database itself.
        rows: All with the same columns. In a fixed order, two writers cannot wait for each other.
        key: Columns that tell rows apart.
        changed: Columns that a row which is there gets from the new one; none: it stays.
    """
    if not rows:
        return
    statement: Any
    match connection.dialect.name:
        case "mysql" | "mariadb":
            statement = mysql.insert(table)
            kept = [*changed] or [next(iter(key))]
            new = {name: statement.inserted[name] if changed else table.c[name] for name in kept}
            statement = statement.on_duplicate_key_update(new)
        case "postgresql" | "sqlite" as name:
            insert = postgresql.insert if name == "postgresql" else sqlite.insert
            statement = insert(table)
            new = {column: statement.excluded[column] for column in changed}
            columns = [table.c[column] for column in key]
            statement = (
                statement.on_conflict_do_update(index_elements=columns, set_=new)
                if new
                else statement.on_conflict_do_nothing(index_elements=columns)
            )
        case name:
            raise NotImplementedError(f"upsert into {name}")
    connection.execute(statement, [dict(row) for row in rows])


def batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut values into pieces that one statement takes."""
    return (values[start : start + _BATCH] for start in range(0, len(values), _BATCH))


def move_rows(
    connection: sql.Connection,
    column: sql.Column[Any],
    rest: Sequence[str],
    old: str,
    values: Row,
) -> None:
    """Rename rows; those of the new name that are in their way go, but only then.

    Args:
        connection: In a transaction.
        column: Holds the name.
        rest: Columns that tell the rows of one name apart.
        old: The name.
        values: The new name by the name of its column, and what follows from it.
    """
    table = column.table
    keys = [table.c[name] for name in rest]
    wanted = sql.select(sql.literal(1), *keys).where(column == old)
    moving = connection.execute(wanted).fetchall()
    if not moving:
        return
    same = (key == sql.bindparam(f"at_{key.name}") for key in keys)
    stale = sql.delete(table).where(column == values[column.name], *same)
    places = [{f"at_{n}": v for n, v in zip(rest, key, strict=True)} for _, *key in moving]
    connection.execute(stale, places)
    connection.execute(sql.update(table).where(column == old).values(**values))
