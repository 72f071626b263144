"""Locks of sessions of a database server, for the processes of several machines.

Source: PostgreSQL, "Advisory Locks"; MariaDB, `GET_LOCK`; `docs/decisions/0022-turns.md`.
"""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

import sqlalchemy as sql
import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from iredldap.config.settings import Secret
from iredldap.errors import ServerDown
from iredldap.gateways.cluster.clock import now
from iredldap.gateways.locks import HeldLocks, busy, number_of
from iredldap.gateways.rounds import Rounds
from iredldap.gateways.sql.database import Database

_LONGEST_STATEMENT = 10.0
"""Seconds that one statement may wait in a database, below the time-outs of connections."""

_LOCK_TIMEOUT = "55P03"

_IDLE_SECONDS = 6
"""Seconds without a statement after which the server ends a session that holds locks: its machine
is cut off, or its process is suspended. Less than a failover of the directory takes."""

_MARGIN = 1.0
"""Seconds that a write may take from the check of its locks to the directory."""

_ALIVE_EVERY = 1.0
"""Seconds between two signs of life of sessions that hold locks for so long."""

_DAY = 24 * 3600

_SIGN_OF_LIFE = sql.text("SELECT 1")

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

        self._held: set[_Session] = set()
        self._rounds = Rounds("turns", self._keep_alive, _ALIVE_EVERY)

    def take(self, names: list[str], deadline: float) -> HeldLocks:
        holds: list[_Session] = []

        def acquire(connection: sql.Connection, stack: ExitStack) -> None:
            locks = _locks_of(connection)
            # Before the first one is acquired, and all at once: whether a lock was acquired is not
            # known where the response was lost.
            stack.callback(_release, connection, locks)
            sent = now()
            for name in names:
                while not locks.acquire(name, _seconds(deadline)):
                    if time.monotonic() >= deadline:
                        raise busy(name)
                    sent = now()
            holds[:] = [_Session(connection, locks, sent, self._held.discard)]
            if holds[0].is_due():
                # It has waited, which the server does not count as idle.
                holds[0].keep_alive()

        stack = self._database.session(acquire)
        (held,) = holds
        held.begin(stack)
        self._held.add(held)
        self._rounds.start()
        return held

    def close(self) -> None:
        self._rounds.close()
        self._database.close()

    def _keep_alive(self) -> None:
        failure: ServerDown | None = None
        for held in [*self._held]:
            try:
                if held.is_due():
                    with self._database.asking(writes=False):
                        held.keep_alive()
            except ServerDown as ex:
                # The other sessions need their sign of life all the same.
                failure = ex
        if failure:
            raise failure


class _Session:
    """A session that holds locks: for how long after its last statement the server keeps it.

    Args:
        connection: The session.
        locks: What it holds.
        sent: When a statement was sent behind whose end it has been idle.
        ended: Called when it ends.
    """

    def __init__(
        self,
        connection: sql.Connection,
        locks: "_Locks",
        sent: float,
        ended: Callable[["_Session"], None],
    ) -> None:
        self._connection = connection
        self._ended = ended
        self._lasts = locks.idle_seconds is None
        self._stack = ExitStack()
        self._statements = threading.Lock()
        self._is_lost = False
        self._is_over = False
        self._sent = sent

    def begin(self, stack: ExitStack) -> None:
        """Begin; the stack ends the session."""
        self._stack = stack

    def check(self) -> None:
        """Check that the locks are held still.

        Raises:
            ServerDown: If the server may have ended the session.
        """
        if self._is_lost:
            raise ServerDown("the session of this change's turn has ended")
        if not self._lasts and now() - self._sent > _IDLE_SECONDS - _MARGIN:
            raise ServerDown("the turn of this change has ended: no sign of life in time")

    def is_due(self) -> bool:
        """Return whether a sign of life is due."""
        return not self._lasts and not self._is_lost and now() - self._sent >= _ALIVE_EVERY

    def keep_alive(self) -> None:
        """Give a sign of life.

        Raises:
            SQLAlchemyError: If the session has ended, and the locks with it.
        """
        with self._statements:
            if self._is_over:
                return
            sent = now()
            try:
                self._connection.execute(_SIGN_OF_LIFE)
            except BaseException:
                self._is_lost = True
                raise
            self._sent = sent

    def release(self) -> None:
        self._ended(self)
        with self._statements:
            self._is_over = True
            self._stack.close()


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
    idle_seconds: int | None
    """Seconds without a statement after which the server ends the session; None: it does not."""

    def acquire(self, name: str, seconds: float) -> bool: ...

    def release(self) -> None: ...


def _locks_of(connection: sql.Connection) -> _Locks:
    if connection.dialect.name == "postgresql":
        return _PostgresLocks(connection)
    return _NamedLocks(connection)


class _PostgresLocks:
    # PostgreSQL evaluates a target list from left to right: the time-outs are set first.
    _ACQUIRE = "SELECT set_config('lock_timeout', :timeout, false),{idle} pg_advisory_lock(:number)"
    _RELEASE = "SELECT pg_advisory_unlock_all(){idle}"
    _IDLE = " set_config('idle_session_timeout', '{seconds}s', false)"
    # The setting exists since PostgreSQL 14. Before, the server notices by TCP that a machine is
    # gone, and not at all that a process is suspended.
    _KNOWS_IDLE = sql.text("SELECT 1 FROM pg_settings WHERE name = 'idle_session_timeout'")

    def __init__(self, connection: sql.Connection) -> None:
        self._connection = connection
        known = connection.info.get("knows_idle")
        if known is None:
            known = connection.info["knows_idle"] = bool(connection.scalar(self._KNOWS_IDLE))
        self.idle_seconds = _IDLE_SECONDS if known else None
        idle = self._IDLE.format(seconds=_IDLE_SECONDS) + "," if known else ""
        # 0: a session without locks stays.
        stays = "," + self._IDLE.format(seconds=0) if known else ""
        self._acquire = sql.text(self._ACQUIRE.format(idle=idle))
        self._release = sql.text(self._RELEASE.format(idle=stays))

    def acquire(self, name: str, seconds: float) -> bool:
        # At least 1: 0 means no time-out.
        timeout = f"{max(1, int(seconds * 1000))}ms"
        parameters = {"timeout": timeout, "number": number_of(f"iredldap turn {name}")}
        try:
            self._connection.execute(self._acquire, parameters)
        except DBAPIError as ex:
            if getattr(ex.orig, "sqlstate", "") == _LOCK_TIMEOUT:
                return False
            raise
        return True

    def release(self) -> None:
        self._connection.execute(self._release)


class _NamedLocks:
    # Lock names are shared by all databases of a server.
    _ACQUIRE = sql.text(
        "SELECT GET_LOCK(CONCAT('iredldap-', LEFT(SHA1(CONCAT(DATABASE(), ' ', :name)), 40)),"
        " :seconds)"
    )
    _RELEASE = sql.text(
        "SELECT RELEASE_LOCK(CONCAT('iredldap-', LEFT(SHA1(CONCAT(DATABASE(), ' ', :name)), 40)))"
    )

    _IDLE = sql.text("SET SESSION wait_timeout = :seconds")

    idle_seconds: int | None = _IDLE_SECONDS

    def __init__(self, connection: sql.Connection) -> None:
        self._connection = connection
        self._names: list[str] = []
        connection.execute(self._IDLE, {"seconds": _IDLE_SECONDS})

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
        # A session without locks stays.
        self._connection.execute(self._IDLE, {"seconds": _DAY})
