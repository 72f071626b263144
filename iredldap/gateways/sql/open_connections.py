"""Connections of PostgreSQL that are open, to abort what they wait for."""

import os
import socket
import threading
import weakref
from contextlib import suppress
from typing import Any

# libpq's number of the transaction status "a statement is in progress".
_ACTIVE = 1


class OpenConnections:
    """The open connections of one database, in one process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all, after a fork: they are the parent process's."""
        self._lock = threading.Lock()
        self._raws: weakref.WeakSet[Any] = weakref.WeakSet()

    def add(self, raw: Any, _: object) -> None:
        """Note a connection that was opened."""
        with self._lock:
            self._raws.add(raw)

    def abort(self) -> None:
        """Abort statements that wait for a response, where only the server would end them.

        psycopg has no client-side time-out for statements. The waiting thread gets an error, as
        from a server that is gone. A session without a running statement may hold a turn, and is
        left open.
        """
        with self._lock:
            ours = [*self._raws]
        for raw in ours:
            # For a closed one the driver raises a class of its own, which is not imported here.
            with suppress(Exception):
                if raw.info.transaction_status == _ACTIVE:
                    with socket.socket(fileno=os.dup(raw.fileno())) as connection:
                        connection.shutdown(socket.SHUT_RDWR)
