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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy.exc import ArgumentError

from iredldap.config.settings import Secret
from iredldap.gateways.database_locks import DatabaseLocks
from iredldap.gateways.file_locks import FileLocks
from iredldap.gateways.locks import LockBackend, hold, let_go
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

    @contextmanager
    def take(self, names: Iterable[str], patience: float = PATIENCE) -> Iterator[None]:
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
            yield
            return
        depth = getattr(self._mine, "depth", 0)
        # Always patient inside another turn: a change that has begun, and needs a list meanwhile,
        # would be aborted half-done.
        with nullcontext(True) if depth else self._one_more_waiting() as patient:
            seconds = patience if patient else min(patience, _SHORT_PATIENCE)
            taken = self._backend.take(wanted, time.monotonic() + seconds)
        self._mine.depth = depth + 1
        hold(taken)
        try:
            yield
        finally:
            let_go(taken)
            self._mine.depth = depth
            taken.release()

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
        """Release all locks, and close the file or the connections."""
        self._backend.close()


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
