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

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy.exc import ArgumentError

from iredldap.config.settings import Secret
from iredldap.gateways.database_locks import DatabaseLocks
from iredldap.gateways.file_locks import FileLocks
from iredldap.gateways.locks import LockBackend
from iredldap.gateways.sql.engines import url_of

PATIENCE = 5.0
"""Seconds for which a change waits for its turn."""

_SHORT_PATIENCE = 0.5
"""Seconds for which it waits where many threads of this process wait already."""


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
        """HeldLocks names while the block runs. A thread takes all names of one kind at once.

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


def _backend(url: Secret) -> LockBackend:
    try:
        parsed = url_of(url)
    except ArgumentError:
        # Taking a turn then says that the database is down, like everything else that needs it.
        return DatabaseLocks(url)
    if parsed.get_backend_name() != "sqlite":
        return DatabaseLocks(url)
    if not parsed.database or parsed.database.startswith((":", "file:")):
        return FileLocks(None)
    return FileLocks(Path(f"{parsed.database}.turns"))
