"""One SQL database: its connections, transactions and upserts, and what is wrong when it fails.

SQLite is made on first use; nothing is ever made in MariaDB or PostgreSQL but by `make`.
"""

import os
import random
import re
import socket
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from iredldap.config.settings import Secret
from iredldap.errors import InvalidParameter, ServerDown
from iredldap.gateways.breaker import Breaker
from iredldap.gateways.sql.engines import (
    PATIENT_ARGUMENTS,
    SHORT_ARGUMENTS,
    Arguments,
    file_of,
    new_engine,
    opened,
    question,
    url_of,
)
from iredldap.gateways.sql.tables import columns_of

T = TypeVar("T")
Row = Mapping[str, Any]

_PATIENCE = 5.0
"""Seconds for which a transaction that others undo is made again."""

_SLOW = 0.8
"""Seconds from which on a failure has cost its caller a wait; less than any time-out."""

# Of the last three: a file that is no database, before SQLAlchemy knows of it; a driver that is not
# installed; and a port that is no number.
_FAULTS = (SQLAlchemyError, OSError, sqlite3.Error, ImportError, ValueError)

# As libpq numbers them: a statement is under way.
_ACTIVE = 1

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
        touch: A statement that needs a lock for writing, to see whether there is one to be had. It
            is undone.
        most: Connections at once, beyond the five that are kept; None: any number.
        sessions: Whether it is used by `session` alone.
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
    ) -> None:
        self.name = name
        self._url = url
        self._make = make
        self._touch = touch
        self._most = most
        self._sessions = sessions
        # Readers may go on where writers hang.
        report: dict[str, object] = {"database": name}
        read, write = partial(self._probe, writes=False), partial(self._probe, writes=True)
        self._reading = Breaker(f"{name} database", read, _SLOW, report, self._break_off)
        self._writing = Breaker(f"writing to the {name} database", write, _SLOW, report)
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._raws: weakref.WeakSet[Any] = weakref.WeakSet()
        self._made: sql.Engine | None = None
        self._file: tuple[int, int] | None = None
        self._columns: dict[str, frozenset[str]] = {}
        ours = weakref.WeakMethod(self._begin_again)
        os.register_at_fork(after_in_child=lambda: (begin := ours()) and begin())

    def _begin_again(self) -> None:
        """Leave the connections to the process that forked us."""
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._raws = weakref.WeakSet()
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
        with self._asking(writes=writes):
            engine = self._engine()
            with (
                engine.connect().execution_options(writes=writes) as connection,
                connection.begin(),
            ):
                yield connection

    @contextmanager
    def _asking(self, *, writes: bool) -> Iterator[None]:
        """Let a block ask the database, unless it hangs; what goes wrong becomes a refusal."""
        self._reading.refuse()
        with (self._writing if writes else self._reading).asking():
            began = time.monotonic()
            try:
                yield
            except (sql.exc.DataError, UnicodeError) as ex:
                # A value that its column, or the character set of the connection, does not hold: no
                # second attempt would be more lucky, and the database is well.
                raise InvalidParameter(f"{self.name} database: {_code(ex)}") from ex
            except _FAULTS as ex:
                if writes:
                    self._writing.suspect(began)
                if not writes or self._writing.is_open:
                    self._reading.suspect(began)
                down = self._down(ex)
                if down.report and "missing_table" in down.report:
                    # It may have been there: whose tables are ours to make are made again.
                    self.open_anew()
                raise down from ex

    def session(self, begin: Callable[[sql.Connection, ExitStack], None]) -> ExitStack:
        """Open a connection without a transaction, for what lasts longer than a statement.

        A connection that the server has ended while nobody used it is replaced.

        Args:
            begin: Asks the first things on it, and tells the stack what to do before it ends. Only
                for so long somebody waits for the database; how long the session lasts then tells
                nothing about that. It is called again where the connection turns out to be lost.

        Returns:
            What ends the session when it is closed.

        Raises:
            ServerDown: If the database does not answer.
        """
        with self._asking(writes=False):
            try:
                return self._begun(begin)
            except DBAPIError as ex:
                # One loss invalidates all idle connections: the next one is a new one.
                if not ex.connection_invalidated:
                    raise
            return self._begun(begin)

    def _begun(self, begin: Callable[[sql.Connection, ExitStack], None]) -> ExitStack:
        with ExitStack() as stack:
            begin(stack.enter_context(self._engine().connect()), stack)
            return stack.pop_all()

    def columns(self, table: str) -> frozenset[str]:
        """Names of a table's columns, which differ from release to release; none: no such table.

        Raises:
            ServerDown: If the database does not answer.
        """
        found = self._columns.get(table)
        if found is None:
            found = self.read(lambda connection: columns_of(connection, table))
            if found:
                self._columns[table] = found
        return found

    def ask(self) -> None:
        """See whether it answers, and is not known to hang for writers.

        Raises:
            ServerDown: If not.
        """
        self._writing.refuse()
        with self.transaction() as connection:
            connection.execute(question(connection))

    def check(self) -> None:
        """See whether it can be read and written; nothing stays written.

        Raises:
            ServerDown: If not; the report says so where it can be read alone.
        """
        with self._asking(writes=False):
            self._engine()
        # On connections of their own: those of the pool may wait without a time-out.
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

    def _probe(self, *, writes: bool, arguments: Arguments = SHORT_ARGUMENTS) -> None:
        """Ask the database on a connection of its own, with short time-outs."""
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
        except _FAULTS as ex:
            raise self._down(ex) from ex

    def _note_opened(self, raw: Any, _: object) -> None:
        with self._opening:
            self._raws.add(raw)

    def _break_off(self) -> None:
        """Break off statements that wait for an answer, where only the server would end them.

        psycopg has no time-out of its own for statements. Whoever waits gets an error, as from a
        server that is gone. A session without a statement may hold a turn, and stays.
        """
        with self._opening:
            ours = [*self._raws]
        for raw in ours:
            # One that is closed already is of a class of errors that only the driver knows.
            with suppress(Exception):
                if raw.info.transaction_status == _ACTIVE:
                    with socket.socket(fileno=os.dup(raw.fileno())) as connection:
                        connection.shutdown(socket.SHUT_RDWR)

    def _engine(self) -> sql.Engine:
        with self._lock:
            if self._made and file_of(self._made) != self._file:
                # Somebody has deleted or replaced it. We would go on with the file that nobody
                # else finds any more: SQLite refuses to write into it, yet reads.
                self._leave()
            if self._made is None:
                # Whoever waited for the lock may have waited for one that tried in vain.
                self._reading.refuse()
                self._writing.refuse()
                self._made, self._file = opened(
                    self._url, self._make, self._note_opened, self._most, sessions=self._sessions
                )
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


def _code(fault: Exception) -> str:
    """Error number of MariaDB, or SQLSTATE of PostgreSQL; of what no server said, its class."""
    if not isinstance(fault, DBAPIError):
        return type(fault).__name__
    first = next(iter(getattr(fault.orig, "args", ())), None)
    # PyMySQL tells a state too, which several errors share.
    return str(first if isinstance(first, int) else getattr(fault.orig, "sqlstate", ""))
