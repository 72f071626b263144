"""Turns: exclusive locks on names, held while a change is planned and carried out.

A name is a mail domain, a mailing list or another word that changes have in common. Whoever changes
something takes all names that the change touches before it reads what it decides on, in sorted
order, so that two changes never wait for each other. Reading takes nothing.

A turn excludes other threads, other worker processes and, where the state database is a server,
other machines; it ends with the process that holds it, however that ends:

* beside an SQLite state database, one file with a byte for each name (`fcntl(2)`, open file
  description locks), which the kernel releases when the process ends;
* in PostgreSQL and MariaDB, session-level advisory locks on a connection of their own.

Source: `docs/decisions/0022-turns.md`.
"""

import fcntl
import hashlib
import os
import random
import struct
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

import sqlalchemy as sql
import structlog
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from iredldap.config.settings import Secret
from iredldap.errors import ServerDown
from iredldap.gateways.database import Database
from iredldap.gateways.engines import url_of

PATIENCE = 5.0
"""Seconds for which a change waits for its turn."""

_SHORT_PATIENCE = 0.5
"""Seconds for which it waits where many threads of this process wait already."""

_LONGEST_STATEMENT = 10.0
"""Seconds that one statement may wait in a database, below the time-outs of connections."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.008
"""Seconds between two attempts to lock a byte that another process holds."""

_LOCK_TIMEOUT = "55P03"

log = structlog.get_logger("iredldap.turns")


class Busy(ServerDown):
    """Others hold a name, and went on holding it."""


class Backend(Protocol):
    """Excludes other processes."""

    def take(self, names: list[str], deadline: float) -> "Hold":
        """Acquire names in this order.

        Args:
            names: Sorted, without repeats.
            deadline: On the monotonic clock.

        Raises:
            ServerDown: If others held one of them for too long, or the database does not answer.
        """

    def close(self) -> None:
        """Release everything."""


class Hold(Protocol):
    """Names that are held."""

    def release(self) -> None:
        """Let others take them."""


class Turns:
    """The turns of an installation, as one of its processes takes them.

    Args:
        url: SQLAlchemy URL of the state database.
        threads: Request threads of this process. When half of them wait for a turn, others wait
            for a shorter time, so that reads always find a thread.
    """

    def __init__(self, url: Secret, threads: int = 4) -> None:
        self._backend = _backend(url)
        self._most_waiting = max(1, threads // 2)
        self._waiting = 0
        self._lock = threading.Lock()
        self._mine = threading.local()

    @contextmanager
    def take(self, names: Iterable[str], patience: float = PATIENCE) -> Iterator[None]:
        """Hold names while the block runs. A thread takes all names of one kind at once.

        Args:
            names: What the change touches; letter case matters.
            patience: Seconds to wait.

        Raises:
            Busy: If others hold one of them for longer.
            ServerDown: If the database does not answer.
        """
        wanted = sorted(set(names))
        if not wanted:
            yield
            return
        depth = getattr(self._mine, "depth", 0)
        # A change that has begun, and needs a list in between, would break off half-done.
        with nullcontext(True) if depth else self._one_more_waiting() as patient:
            seconds = patience if patient else min(patience, _SHORT_PATIENCE)
            hold = self._backend.take(wanted, time.monotonic() + seconds)
        self._mine.depth = depth + 1
        try:
            yield
        finally:
            self._mine.depth = depth
            hold.release()

    @contextmanager
    def _one_more_waiting(self) -> Iterator[bool]:
        with self._lock:
            self._waiting += 1
            patient = self._waiting <= self._most_waiting
        try:
            yield patient
        finally:
            with self._lock:
                self._waiting -= 1

    def close(self) -> None:
        """Release what is held, and close the file or the connections."""
        self._backend.close()


def _backend(url: Secret) -> Backend:
    try:
        parsed = url_of(url)
    except ArgumentError:
        # Taking a turn then says that the database is down, like everything else that needs it.
        return _DatabaseLocks(url)
    if parsed.get_backend_name() != "sqlite":
        return _DatabaseLocks(url)
    if not parsed.database or parsed.database.startswith((":", "file:")):
        return _FileLocks(None)
    return _FileLocks(Path(f"{parsed.database}.turns"))


def _number(name: str) -> int:
    """Map a name to a whole number of 62 bits; no two names that occur together share one."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 2


def _busy(name: str) -> Busy:
    return Busy(f"others are changing {name}")


class _Queues:
    """Lets the threads of one process take each name in the order in which they came."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[object]] = {}

    def acquire(self, name: str, deadline: float) -> bool:
        ticket = object()
        with self._changed:
            queue = self._waiting.setdefault(name, deque())
            queue.append(ticket)
            if self._changed.wait_for(
                lambda: queue[0] is ticket, max(0.0, deadline - time.monotonic())
            ):
                return True
            queue.remove(ticket)
            return False

    def release(self, name: str) -> None:
        with self._changed:
            queue = self._waiting[name]
            queue.popleft()
            if not queue:
                del self._waiting[name]
            self._changed.notify_all()


class _FileLocks:
    """Locks bytes of one file; without a file, only threads of this process are excluded.

    Open file description locks, unlike those of POSIX, exclude each other also within a process,
    and are not lost when somebody closes another descriptor of the file.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._begin()
        ours = weakref.WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: (begin := ours()) and begin())

    def _begin(self) -> None:
        """Begin without locks; those of the process that forked this one stay its own."""
        self._queues = _Queues()
        self._lock = threading.Lock()
        self._descriptors: list[int] = []

    def take(self, names: list[str], deadline: float) -> Hold:
        with ExitStack() as stack:
            for name in names:
                if not self._queues.acquire(name, deadline):
                    raise _busy(name)
                stack.callback(self._queues.release, name)
                self._lock_bytes(name, deadline, stack)
            return _Held(stack.pop_all())

    def _lock_bytes(self, name: str, deadline: float, stack: ExitStack) -> None:
        if self._file is None:
            return
        try:
            descriptor = self._opened(self._file)
            main = 2 * _number(name)
            # The second byte is the place of whoever waits. Without it, a process with many threads
            # would hand a busy name from one of them to the next, and others would hardly find the
            # moment between.
            gate = main + 1
            _lock_byte(descriptor, gate, deadline, name)
            try:
                _lock_byte(descriptor, main, deadline, name)
            finally:
                _set_lock(descriptor, fcntl.F_UNLCK, gate)
        except OSError as ex:
            raise ServerDown(f"{self._file}: {ex}") from ex
        stack.callback(_set_lock, descriptor, fcntl.F_UNLCK, main)

    def _opened(self, file: Path) -> int:
        """Return a descriptor of the file that other processes find under this name now.

        If it was deleted or replaced, those who came later would lock another file. Descriptors of
        former ones stay open, as turns may be held by them.
        """
        with self._lock:
            if not self._descriptors or not _is_there(file, self._descriptors[-1]):
                file.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                self._descriptors.append(os.open(file, flags, 0o600))
            return self._descriptors[-1]

    def close(self) -> None:
        with self._lock:
            descriptors, self._descriptors = self._descriptors, []
        for descriptor in descriptors:
            os.close(descriptor)


class _Held:
    """Names held until a stack of callbacks is unwound."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def release(self) -> None:
        self._stack.close()


def _is_there(file: Path, descriptor: int) -> bool:
    """Return whether a descriptor is of the file that has this name now."""
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))  # noqa: PTH116 - its twin
    except FileNotFoundError:
        return False


def _lock_byte(descriptor: int, offset: int, deadline: float, name: str) -> None:
    pause = _SHORTEST_PAUSE
    while not _set_lock(descriptor, fcntl.F_WRLCK, offset):
        if time.monotonic() > deadline:
            raise _busy(name)
        time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - spreads the rivals
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _set_lock(descriptor: int, kind: int, offset: int) -> bool:
    """Lock or unlock one byte; return whether that succeeded, or others hold it.

    Raises:
        OSError: If the file system knows no locks.
    """
    # struct flock of Linux; the process id must be 0 for these locks.
    request = struct.pack("@hhqqi4x", kind, os.SEEK_SET, offset, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)
    except BlockingIOError:
        return False
    except PermissionError:
        # POSIX lets systems say EACCES for the same.
        return False
    return True


class _DatabaseLocks:
    """Advisory locks of a session in PostgreSQL, or named ones in MariaDB and MySQL.

    Behind a pooler that changes sessions between transactions (pgbouncer's transaction mode, say)
    they exclude nobody: `docs/running.md` says so.
    """

    def __init__(self, url: Secret) -> None:
        # A change holds one for its domains, and another for a list in between: none may have to
        # wait for a connection that only its own end would free.
        self._database = Database("state", url, lambda _: None, most=None, sessions=True)

    def take(self, names: list[str], deadline: float) -> Hold:
        def acquire(connection: sql.Connection, stack: ExitStack) -> None:
            locks = _locks_of(connection)
            # Releases all: of a lock whose acquisition was not answered nobody knows.
            stack.callback(_release, connection, locks)
            for name in names:
                while not locks.acquire(name, _seconds(deadline)):
                    if time.monotonic() >= deadline:
                        raise _busy(name)

        return _Held(self._database.session(acquire))

    def close(self) -> None:
        self._database.close()


def _seconds(deadline: float) -> float:
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
    # In a target list the time-out is set before the lock is waited for.
    _ACQUIRE = sql.text(
        "SELECT set_config('lock_timeout', :timeout, false), pg_advisory_lock(:number)"
    )
    _RELEASE = sql.text("SELECT pg_advisory_unlock_all()")
    # PostgreSQL has it since version 14; 0 is its default, but a server may be set up otherwise.
    _STAY = sql.text(
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
    )

    def __init__(self, connection: sql.Connection) -> None:
        self._connection = connection
        if not connection.info.get("stays"):
            connection.execute(self._STAY)
            connection.info["stays"] = True

    def acquire(self, name: str, seconds: float) -> bool:
        # 0 would be no time-out at all.
        timeout = f"{max(1, int(seconds * 1000))}ms"
        parameters = {"timeout": timeout, "number": _number(f"iredldap turn {name}")}
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
    # The server knows one set of names for all its databases.
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
        self._names.append(name)
        parameters = {"name": name, "seconds": round(seconds, 3)}
        found = self._connection.execute(self._ACQUIRE, parameters).scalar()
        if found != 1:
            self._names.remove(name)
        if found is None:
            # Not a wait that was in vain, but an error, which would come back at once.
            raise ServerDown(f"the database gives no lock for {name}")
        return bool(found == 1)

    def release(self) -> None:
        for name in self._names:
            self._connection.execute(self._RELEASE, {"name": name})
        self._names.clear()
