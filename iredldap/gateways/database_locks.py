"""Locks of sessions of a database server, for the processes of several machines.

Source: PostgreSQL, "Advisory Locks"; MariaDB, `GET_LOCK`; `docs/decisions/0022-turns.md`.
"""

import time
from contextlib import ExitStack
from typing import Protocol

import sqlalchemy as sql
import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from iredldap.config.settings import Secret
from iredldap.errors import ServerDown
from iredldap.gateways.locks import HeldLocks, HeldUntilClosed, busy, number_of
from iredldap.gateways.sql.database import Database

_LONGEST_STATEMENT = 10.0
"""Seconds that one statement may wait in a database, below the time-outs of connections."""

_LOCK_TIMEOUT = "55P03"

log = structlog.get_logger("iredldap.turns")


class DatabaseLocks:
    """Advisory locks of a session in PostgreSQL, or named ones in MariaDB and MySQL.

    They do not work behind a pooler that changes sessions between transactions, such as pgbouncer
    in transaction mode: `docs/running.md` says so.
    """

    def __init__(self, url: Secret) -> None:
        # Without a maximum of connections: a change holds one for its domains, and another one for
        # a list meanwhile; it must not wait for a connection that only its own end would free.
        self._database = Database("state", url, lambda _: None, most=None, sessions=True)

    def take(self, names: list[str], deadline: float) -> HeldLocks:
        def acquire(connection: sql.Connection, stack: ExitStack) -> None:
            locks = _locks_of(connection)
            # Before the first one is acquired, and all at once: whether a lock was acquired is not
            # known where the response was lost.
            stack.callback(_release, connection, locks)
            for name in names:
                while not locks.acquire(name, _seconds(deadline)):
                    if time.monotonic() >= deadline:
                        raise busy(name)

        return HeldUntilClosed(self._database.session(acquire))

    def close(self) -> None:
        self._database.close()


def _seconds(deadline: float) -> float:
    # Several short waits rather than a long one, which the time-out of the connection would end as
    # a failure of the database.
    return min(max(deadline - time.monotonic(), 0.0), _LONGEST_STATEMENT)


def _release(connection: sql.Connection, locks: "_Locks") -> None:
    """Release all locks of a session; if that fails, end the session, which releases them too."""
    try:
        locks.release()
    except SQLAlchemyError as ex:
        log.warning("turns ended with their session", cause=repr(ex))
        connection.invalidate()


class _Locks(Protocol):
    def acquire(self, name: str, seconds: float) -> bool: ...

    def release(self) -> None: ...


def _locks_of(connection: sql.Connection) -> _Locks:
    if connection.dialect.name == "postgresql":
        return _PostgresLocks(connection)
    return _NamedLocks(connection)


class _PostgresLocks:
    # PostgreSQL evaluates a target list from left to right: the time-out is set first.
    _ACQUIRE = sql.text(
        "SELECT set_config('lock_timeout', :timeout, false), pg_advisory_lock(:number)"
    )
    _RELEASE = sql.text("SELECT pg_advisory_unlock_all()")
    # Never end the session while it is idle. The setting exists since PostgreSQL 14; 0 is its
    # default, but a server may have another.
    _STAY = sql.text(
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
    )

    def __init__(self, connection: sql.Connection) -> None:
        self._connection = connection
        if not connection.info.get("stays"):
            connection.execute(self._STAY)
            # Once for each connection: it belongs to the session, not to the transaction.
            connection.info["stays"] = True

    def acquire(self, name: str, seconds: float) -> bool:
        # At least 1: 0 means no time-out.
        timeout = f"{max(1, int(seconds * 1000))}ms"
        parameters = {"timeout": timeout, "number": number_of(f"iredldap turn {name}")}
        try:
            self._connection.execute(self._ACQUIRE, parameters)
        except DBAPIError as ex:
            if getattr(ex.orig, "sqlstate", "") == _LOCK_TIMEOUT:
                return False
            raise
        return True

    def release(self) -> None:
        self._connection.execute(self._RELEASE)


class _NamedLocks:
    # Lock names are shared by all databases of a server.
    _ACQUIRE = sql.text(
        "SELECT GET_LOCK(CONCAT('iredldap-', LEFT(SHA1(CONCAT(DATABASE(), ' ', :name)), 40)),"
        " :seconds)"
    )
    _RELEASE = sql.text(
        "SELECT RELEASE_LOCK(CONCAT('iredldap-', LEFT(SHA1(CONCAT(DATABASE(), ' ', :name)), 40)))"
    )

    def __init__(self, connection: sql.Connection) -> None:
        self._connection = connection
        self._names: list[str] = []

    def acquire(self, name: str, seconds: float) -> bool:
        # Before the statement, so that it is released even if its response is lost.
        self._names.append(name)
        parameters = {"name": name, "seconds": round(seconds, 3)}
        found = self._connection.execute(self._ACQUIRE, parameters).scalar()
        if found != 1:
            self._names.remove(name)
        if found is None:
            # NULL is an error, not a time-out: waiting again would fail at once.
            raise ServerDown(f"the database gives no lock for {name}")
        return bool(found == 1)

    def release(self) -> None:
        for name in self._names:
            self._connection.execute(self._RELEASE, {"name": name})
        self._names.clear()
