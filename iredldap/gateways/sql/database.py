"""One SQL database: its connections and transactions, and the refusals when it fails.

SQLite files are created on first use; nothing is ever created in MariaDB or PostgreSQL except by
`make`.
"""

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError

from iredldap.config.settings import Secret
from iredldap.dit.change_log import TouchedRows
from iredldap.dit.left_alone import Reverted
from iredldap.errors import ServerDown
from iredldap.gateways import touched_rows
from iredldap.gateways.breaker import Breaker
from iredldap.gateways.sql.driver_connections import DriverConnections
from iredldap.gateways.sql.engines import (
    PATIENT_ARGUMENTS,
    SHORT_ARGUMENTS,
    Arguments,
    DatabaseFile,
    new_engine,
    opened,
    question,
    url_of,
)
from iredldap.gateways.sql.guard import ERRORS, Guard
from iredldap.gateways.sql.open_connections import OpenConnections
from iredldap.gateways.sql.prepared import Prepared
from iredldap.gateways.sql.recording import RowRecorder
from iredldap.gateways.sql.refusals import down, repeated
from iredldap.gateways.sql.revert import Dependents, revert
from iredldap.gateways.sql.tables import can_roll_back, columns_of, key_of

T = TypeVar("T")
Row = Mapping[str, Any]

_SLOW = 0.8
"""Seconds from which on a failure counts as a time-out; less than any time-out."""

_ABANDONED: list[object] = []
"""Connections of the parent process: destroyed, they would be closed, which SQLite forbids."""


class _Tried(Exception):
    """Ends a transaction that only tries what would happen."""


class Database:
    """A database, given by an SQLAlchemy URL.

    Args:
        name: Its name in refusals.
        url: Parsed on first use, so that an invalid one is a database that is down.
        make: Called once with each new engine, to create tables where the program does that.
        touch: Returns a statement that needs a write lock, to test whether one can be had. It is
            rolled back.
        most: Maximum of connections beyond the five that are kept; None: any number.
        sessions: Whether only `session` is used.
        dependents: What refers to rows that `revert` takes out.
        recorded: Whether changes of rows are reported to the change log, where there is one.
    """

    def __init__(
        self,
        name: str,
        url: Secret,
        make: Callable[[sql.Engine], None],
        touch: Callable[[], sql.Executable] | None = None,
        *,
        most: int | None = 10,
        sessions: bool = False,
        dependents: Dependents = MappingProxyType({}),
        recorded: bool = True,
    ) -> None:
        self.name = name
        self._url = url
        self._make = make
        self._touch = touch
        self._most = most
        self._sessions = sessions
        self._dependents = dependents
        self._recorded = recorded
        self._connections = OpenConnections()
        report: dict[str, object] = {"database": name}
        read, write = partial(self._probe, writes=False), partial(self._probe, writes=True)
        abort = self._connections.abort
        self._reading = Breaker(f"{name} database", read, _SLOW, report, abort)
        self._writing = Breaker(f"writing to the {name} database", write, _SLOW, report)
        self._guard = Guard(name, self._reading, self._writing, self.open_anew)
        self._lock = threading.Lock()
        self._made: sql.Engine | None = None
        self._drivers: DriverConnections | None = None
        self._file: DatabaseFile | None = None
        self._columns: dict[str, frozenset[str]] = {}
        self._keys: dict[str, tuple[str, ...]] = {}
        self._can_roll_back: bool | None = None
        reset = weakref.WeakMethod(self._reset)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _reset(self) -> None:
        """Forget the connections, after a fork: they are the parent process's."""
        self._lock = threading.Lock()
        self._connections.reset()
        if self._made:
            _ABANDONED.append(self._made.pool)
            self._made.dispose(close=False)
        if self._drivers:
            _ABANDONED.append(self._drivers)
            self._drivers = DriverConnections(self._drivers.engine)

    def read(self, work: Callable[[sql.Connection], T]) -> T:
        """Call a function in a transaction that only reads.

        Raises:
            ServerDown: If the database does not respond, or lacks a table; the report says which.
        """
        with self.transaction() as connection:
            return work(connection)

    def write(self, work: Callable[[sql.Connection], T]) -> T:
        """Call a function in a transaction; again, if the database rolls it back for a conflict.

        Raises:
            ServerDown: If the database does not respond, or lacks a table; the report says which.
        """
        return repeated(lambda: self._written(work))

    def execute(self, statement: Prepared, row: Row) -> int:
        """Execute one statement in a transaction of its own; again, as `write`.

        Returns:
            As `Prepared.execute`. The rows are not reported to the change log.

        Raises:
            ServerDown: As `write`.
            NotTried: In a step that is only tried: it would be carried out.
        """
        if touched_rows.are_tried():
            raise touched_rows.NotTried(self.name)

        def work() -> int:
            with self.asking(writes=True):
                engine = self._engine()
                if drivers := self._drivers:
                    return drivers.use(lambda one: statement.changed(one, engine.dialect, row))
                with engine.begin() as connection:
                    return statement.change(connection, row)

        return repeated(work)

    def rows(self, queries: Iterable[Prepared], row: Row) -> list[list[Sequence[Any]]]:
        """Execute queries with the same parameters; return the rows of each.

        Raises:
            ServerDown: As `read`.
        """
        with self.asking(writes=False):
            engine = self._engine()
            if drivers := self._drivers:
                dialect = engine.dialect
                return drivers.use(lambda one: [ask.found(one, dialect, row) for ask in queries])
            with engine.begin() as connection:
                return [one.rows(connection, row) for one in queries]

    def _written(self, work: Callable[[sql.Connection], T]) -> T:
        if touched_rows.are_tried():
            return self._tried(work)
        if not (self._recorded and touched_rows.are_collected()):
            with self.transaction(writes=True) as connection:
                return work(connection)
        with self.transaction(writes=True) as connection:
            recorder = RowRecorder(self.name, connection, self.key_of)
            done = work(connection)
        recorder.report()
        return done

    def _tried(self, work: Callable[[sql.Connection], T]) -> T:
        """Have a transaction report what it changes, and roll it back."""
        if not self._rolls_back():
            raise touched_rows.NotTried(self.name)
        outcome: list[T] = []
        with suppress(_Tried), self.transaction(writes=True) as connection:
            recorder = RowRecorder(self.name, connection, self.key_of)
            outcome.append(work(connection))
            raise _Tried
        recorder.report()
        return outcome[0]

    def _rolls_back(self) -> bool:
        """Return whether all tables can be rolled back; those of old engines of MariaDB cannot."""
        if self._can_roll_back is None:
            self._can_roll_back = self.read(can_roll_back)
        return self._can_roll_back

    def revert(self, touched: Sequence[TouchedRows], *, tries: bool = False) -> Reverted:
        """Revert recorded changes of rows, the last first.

        Args:
            touched: Reports of this database, in the order in which they were made.
            tries: Whether to change nothing, and only find out what would be. Of a database that
                cannot roll back that is not known: only that something may be changed.

        Raises:
            ServerDown: If that fails; nothing is changed then.
        """
        outcome = Reverted()
        if tries and touched and not self._rolls_back():
            return Reverted(changed=True)

        def work(connection: sql.Connection) -> None:
            nonlocal outcome
            outcome = revert(connection, self.key_of, self._dependents, [*touched])
            if tries:
                raise _Tried

        if touched:
            with suppress(_Tried):
                self.write(work)
        left = [replace(one, where=f"{self.name}.{one.where}") for one in outcome.left]
        return Reverted(left, outcome.changed)

    def key_of(self, connection: sql.Connection, table: str) -> tuple[str, ...]:
        """Return the columns of a table's primary key; all of them where it has none."""
        if table not in self._keys:
            self._keys[table] = key_of(connection, table)
        return self._keys[table]

    @contextmanager
    def transaction(self, *, writes: bool = False) -> Iterator[sql.Connection]:
        """Open a transaction that ends with the block.

        Raises:
            ServerDown: If the database does not respond, or lacks a table; the report says which.
        """
        with self.asking(writes=writes):
            engine = self._engine()
            with (
                engine.connect().execution_options(writes=writes) as connection,
                connection.begin(),
            ):
                yield connection

    def set_pragma(self, pragma: str) -> None:
        """Execute a PRAGMA of SQLite, outside a transaction.

        Raises:
            ServerDown: If the database does not respond.
        """
        with self.asking(writes=True):
            pooled = self._engine().raw_connection()
            try:
                driver: Any = pooled.driver_connection
                driver.execute(f"PRAGMA {pragma}").fetchall()
            finally:
                pooled.close()

    def asking(self, *, writes: bool) -> AbstractContextManager[None]:
        """Guard a block that uses the database; its errors are translated into refusals."""
        return self._guard.asking(writes=writes)

    def session(self, begin: Callable[[sql.Connection, ExitStack], None]) -> ExitStack:
        """Open a connection without a transaction, for a session longer than a statement.

        A connection that the server has closed while it was idle is replaced.

        Args:
            begin: Executes the first statements, and registers with the stack what to do before
                the session ends. The breaker watches only this function; the duration of the
                session says nothing about the server. Called again if the connection was lost.

        Returns:
            A stack that ends the session when it is closed.

        Raises:
            ServerDown: If the database does not respond.
        """
        with self.asking(writes=False):
            try:
                return self._begun(begin)
            except DBAPIError as ex:
                # SQLAlchemy drops all idle connections when one is lost: the next one is new.
                if not ex.connection_invalidated:
                    raise
            return self._begun(begin)

    def _begun(self, begin: Callable[[sql.Connection, ExitStack], None]) -> ExitStack:
        with ExitStack() as stack:
            begin(stack.enter_context(self._engine().connect()), stack)
            return stack.pop_all()

    def columns(self, table: str) -> frozenset[str]:
        """Return the names of a table's columns, which differ between releases; none: no table.

        Raises:
            ServerDown: If the database does not respond.
        """
        found = self._columns.get(table)
        if found is None:
            found = self.read(lambda connection: columns_of(connection, table))
            if found:
                self._columns[table] = found
        return found

    def ask(self) -> None:
        """Check that it responds to reads, and is not known to hang for writes.

        Raises:
            ServerDown: If not.
        """
        self._writing.refuse()
        with self.transaction() as connection:
            connection.execute(question(connection))

    def check(self) -> None:
        """Check that it can be read and written; what is written is rolled back.

        Raises:
            ServerDown: If not; the report says so if only writing fails.
        """
        with self.asking(writes=False):
            self._engine()
        # On new connections: statements on pooled ones may wait without a time-out.
        self._reading.check(partial(self._probe, writes=False, arguments=PATIENT_ARGUMENTS))
        try:
            self._writing.check(partial(self._probe, writes=True, arguments=PATIENT_ARGUMENTS))
        except ServerDown as ex:
            if ex.report and "missing_table" in ex.report:
                self.open_anew()
            ex.report = {**(ex.report or {}), "fault": "cannot be written"}
            raise

    def close(self) -> None:
        self._reading.close()
        self._writing.close()
        self._dispose()

    def _dispose(self) -> None:
        if self._drivers:
            self._drivers.close()
        if self._made:
            self._made.dispose()

    def open_anew(self) -> None:
        """Drop the engine, so that the next transaction opens the database again."""
        with self._lock:
            self._drop_engine()

    def _drop_engine(self) -> None:
        self._dispose()
        self._made = self._drivers = None
        self._columns.clear()
        self._keys.clear()
        self._can_roll_back = None

    def _probe(self, *, writes: bool, arguments: Arguments = SHORT_ARGUMENTS) -> None:
        """Send a small statement on a connection of its own, with short time-outs."""
        try:
            engine = new_engine(url_of(self._url), arguments, poolclass=sql.NullPool)
            with (
                engine.connect().execution_options(writes=writes) as connection,
                connection.begin() as transaction,
            ):
                connection.execute(question(connection))
                if writes and self._touch:
                    connection.execute(self._touch())
                transaction.rollback()
        except ERRORS as ex:
            raise down(self.name, ex) from ex

    def _engine(self) -> sql.Engine:
        with self._lock:
            if self._made and self._file and self._file.is_replaced():
                # The file was deleted or replaced. The engine would continue with the old one,
                # which no other process finds: SQLite refuses to write to it, but reads.
                self._drop_engine()
            if self._made is None:
                # The thread that held the lock may have opened the breaker meanwhile.
                self._reading.refuse()
                self._writing.refuse()
                self._made, self._file = opened(
                    self._url,
                    self._make,
                    self._connections.add,
                    self._most,
                    sessions=self._sessions,
                )
                if self._file:
                    self._drivers = DriverConnections(self._made)
            return self._made
