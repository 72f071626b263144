"""Turns: exclusive locks on names, held while a change is planned and carried out.

A name is a mail domain, a mailing list or another word that changes have in common. A change locks
all names that it touches before it reads anything that it depends on, in sorted order, so that two
changes cannot deadlock. Reads take no locks.

A turn excludes other threads, other worker processes and, where the state database is a server,
other machines. It ends with the process that holds it, even when that crashes:

* beside an SQLite state database, one file with a byte for each name (`fcntl(2)`, open file
  description locks), which the kernel releases when the process ends;
* in PostgreSQL and MariaDB, session-level advisory locks on a connection of their own, which the
  server ends when nothing has come from a machine for some seconds. Each write to the directory
  checks that this has not happened.

Source: `docs/decisions/0022-turns.md`.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from sqlalchemy.exc import ArgumentError

from iredldap.config.settings import Secret
from iredldap.gateways.database_locks import DatabaseLocks
from iredldap.gateways.file_locks import FileLocks
from iredldap.gateways.locks import HeldLocks, LockBackend, hold, let_go
from iredldap.gateways.sql.engines import url_of

PATIENCE = 5.0
"""Seconds for which a change waits for its turn."""

_SHORT_PATIENCE = 0.5
"""Seconds for which it waits where many threads of this process wait already."""


class Turns:
    """The turns of an installation.

    Args:
        url: SQLAlchemy URL of the state database.
        threads: Request threads of this process. When half of them wait for a turn, others wait
            for a shorter time, so that threads remain for reads.
    """

    def __init__(self, url: Secret, threads: int = 4) -> None:
        self._backend = _backend(url)
        self._most_waiting = max(1, threads // 2)
        self._waiting = 0
        self._lock = threading.Lock()
        self._mine = threading.local()

    def take(
        self, names: Iterable[str], patience: float = PATIENCE
    ) -> AbstractContextManager[None]:
        """Hold names during the block. A thread takes all names of one kind in one call.

        Args:
            names: What the change touches; case-sensitive.
            patience: Seconds to wait.

        Raises:
            Busy: If others hold one of them for longer.
            ServerDown: If the database does not respond.
        """
        wanted = sorted(set(names))
        if not wanted:
            return nullcontext()
        return _Turn(partial(self._begin, wanted, patience), self._end)

    def _begin(self, wanted: list[str], patience: float) -> HeldLocks:
        depth = getattr(self._mine, "depth", 0)
        # Always patient inside another turn: a change that has begun, and needs a list meanwhile,
        # would be aborted half-done.
        taken = (
            self._backend.take(wanted, time.monotonic() + patience)
            if depth
            else self._taken_in_time(wanted, patience)
        )
        self._mine.depth = depth + 1
        hold(taken)
        return taken

    def _taken_in_time(self, wanted: list[str], patience: float) -> HeldLocks:
        """Take names for a time that depends on how many threads wait already."""
        with self._lock:
            self._waiting += 1
            patient = self._waiting <= self._most_waiting
        try:
            seconds = patience if patient else min(patience, _SHORT_PATIENCE)
            return self._backend.take(wanted, time.monotonic() + seconds)
        finally:
            with self._lock:
                self._waiting -= 1

    def _end(self, taken: HeldLocks) -> None:
        let_go(taken)
        self._mine.depth -= 1
        taken.release()

    def close(self) -> None:
        """Release all locks, and close the file or the connections."""
        self._backend.close()


class _Turn:
    """Names that are held during a block; a class, not a generator, which takes twice the time."""

    __slots__ = ("_begin", "_end", "_taken")

    def __init__(self, begin: Callable[[], HeldLocks], end: Callable[[HeldLocks], None]) -> None:
        self._begin = begin
        self._end = end

    def __enter__(self) -> None:
        self._taken = self._begin()

    def __exit__(self, *_: object) -> None:
        self._end(self._taken)


def _backend(url: Secret) -> LockBackend:
    try:
        parsed = url_of(url)
    except ArgumentError:
        # Taking a turn then fails as with a database that is down, like all other uses of it.
        return DatabaseLocks(url)
    if parsed.get_backend_name() != "sqlite":
        return DatabaseLocks(url)
    if not parsed.database or parsed.database.startswith((":", "file:")):
        return FileLocks(None)
    return FileLocks(Path(f"{parsed.database}.turns"))
