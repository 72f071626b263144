"""Pool of bound connections to the directory, one for each process."""

import os
import select
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from itertools import chain

import ldap

from iredldap.config.ldap import LdapSettings
from iredldap.directory_errors import DirectoryReadOnly
from iredldap.errors import Refusal, ServerDown
from iredldap.gateways.ldap.errors import LOST
from iredldap.gateways.ldap.inherited import abandon
from iredldap.gateways.ldap.servers import (
    DirectoryConnection,
    LdapServers,
    Purpose,
    Route,
    close,
)

_MAX_IDLE = 240.0
"""Seconds after which an idle connection is not used again."""

_SLICE = 0.5
"""Seconds between two checks of the breaker, while a thread waits for a connection."""


class ConnectionPool:
    """Bound connections of one process, last in, first out.

    The pool is emptied after a fork: a connection shared by two processes mixes their responses.

    A thread that holds a connection gets further ones beyond the limit: otherwise threads that
    hold one each, and need a second one to continue, would deadlock.

    Args:
        settings: Maximum of connections, and how long to wait for one.
        servers: Where they are opened; by default the servers of the settings.

    Attributes:
        breaks: How often a connection was found broken, or belonged to a former writer: the server
            may have been stopped, and what it has may be another state.
    """

    def __init__(self, settings: LdapSettings, servers: LdapServers | None = None) -> None:
        self._settings = settings
        self._servers = servers or LdapServers(settings)
        self._idle: dict[Route, list[tuple[float, DirectoryConnection]]] = {}
        self.breaks = 0
        self._reset()
        reset = weakref.WeakMethod(self._reset)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _reset(self) -> None:
        inherited, self._idle = self._idle, {}
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(self._settings.connections)
        self._mine = threading.local()
        for _, connection in chain.from_iterable(inherited.values()):
            abandon(connection)

    def connection(self, purpose: Purpose = Purpose.READ, *, fresh: bool = False) -> "Lease":
        """Return a context manager that lends a connection; a broken one is not kept.

        Args:
            purpose: What it is for; it decides between several servers.
            fresh: Open a new connection rather than use an idle one.

        Raises:
            Hanging: On entering, if all servers are known to hang.
            ServerDown: On entering, if no server responds, or every connection is busy for too
                long.
        """
        return Lease(partial(self._borrow, purpose, fresh), self._return)

    def _borrow(self, purpose: Purpose, fresh: bool) -> tuple[DirectoryConnection, "_Slot"]:
        route = self._servers.route(purpose)
        self._servers.refuse(route)
        held: set[object] = self._mine.__dict__.setdefault("held", set())
        slot = _Slot(held, None if held else self._free)
        if slot.free and not slot.free.acquire(blocking=False):
            self._acquire(slot.free, route)
        held.add(slot)
        try:
            idle = None if fresh else self._idle_one(route)
            return idle or self._servers.connect(route), slot
        except BaseException:
            slot.release()
            raise

    def _return(
        self, connection: DirectoryConnection, slot: "_Slot", error: BaseException | None
    ) -> None:
        try:
            if error is None:
                self._keep(connection)
            elif isinstance(error, GeneratorExit):
                close(connection)
            elif isinstance(error, Exception):
                self._return_after(connection, error)
        finally:
            slot.release()

    def _return_after(self, connection: DirectoryConnection, error: Exception) -> None:
        if not _breaks(error):
            self._keep(connection)
            return
        self._break(connection)
        if _is_timeout(error):
            # That may be one slow operation: other requests are refused only if a probe times
            # out, too. Minus infinity: however long this one has waited.
            connection.breaker.suspect(float("-inf"))

    def _acquire(self, free: threading.Semaphore, route: Route) -> None:
        until = time.monotonic() + self._settings.operation_timeout
        while not free.acquire(timeout=max(0.0, min(_SLICE, until - time.monotonic()))):
            self._servers.refuse(route)
            if time.monotonic() >= until:
                raise ServerDown("every connection to the directory is busy")

    def close(self) -> None:
        """Close the idle connections."""
        self._servers.close()
        with self._lock:
            idle, self._idle = self._idle, {}
        for _, connection in chain.from_iterable(idle.values()):
            close(connection)

    def _idle_one(self, route: Route) -> DirectoryConnection | None:
        while True:
            with self._lock:
                if not (idle := self._idle.get(route)):
                    return None
                since, connection = idle.pop()
            if not _is_alive(connection):
                self._break(connection)
                continue
            young = time.monotonic() - since < _MAX_IDLE
            # Idle connections to a server that hangs are dropped: when it responds again, they may
            # be dead.
            if young and not connection.breaker.is_open:
                return connection
            _discard(connection)

    def _keep(self, connection: DirectoryConnection) -> None:
        route, stale = connection.route, []
        with self._lock:
            if route not in self._idle:
                stale = self._dropped_before(route.epoch)
            if any(other.epoch > route.epoch for other in self._idle):
                stale.append(connection)
            else:
                self._idle.setdefault(route, []).append((time.monotonic(), connection))
        for other in stale:
            self._break(other)

    def _break(self, connection: DirectoryConnection) -> None:
        self.breaks += 1
        _discard(connection)

    def _dropped_before(self, epoch: int) -> list[DirectoryConnection]:
        """Drop the idle connections of earlier epochs, which are never lent again."""
        gone = [route for route in self._idle if route.epoch < epoch]
        return [connection for route in gone for _, connection in self._idle.pop(route)]


class _Slot:
    """A slot of the pool that a thread holds; only its first counts against the limit."""

    __slots__ = ("_held", "free")

    def __init__(self, held: set[object], free: threading.Semaphore | None) -> None:
        self._held = held
        self.free = free

    def release(self) -> None:
        # A generator may be closed by another thread than began it: `_held` is the set of the
        # thread that began.
        self._held.discard(self)
        if self.free:
            self.free.release()


class Lease:
    """A connection that is lent for a block.

    A class, not a generator: each request needs several, and a generator took twice the time.
    """

    __slots__ = ("_borrow", "_connection", "_return", "_slot")

    def __init__(
        self,
        borrow: Callable[[], tuple[DirectoryConnection, _Slot]],
        give_back: Callable[[DirectoryConnection, _Slot, BaseException | None], None],
    ) -> None:
        self._borrow = borrow
        self._return = give_back

    def __enter__(self) -> DirectoryConnection:
        self._connection, self._slot = self._borrow()
        return self._connection

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._return(self._connection, self._slot, error)


def _breaks(error: BaseException) -> bool:
    """Return whether a connection must not be used again after this error."""
    if isinstance(error, Refusal):
        # Read-only: that says something about the server, such as that it is a consumer. The next
        # request asks anew which server to use.
        return isinstance(error, ServerDown | DirectoryReadOnly) or isinstance(
            error.__cause__, LOST
        )
    return isinstance(error, LOST) or not isinstance(error, ldap.LDAPError)


def _discard(connection: DirectoryConnection) -> None:
    """Close a connection whose server may have restarted, perhaps with another database."""
    # What the new database has stored is not known: see `no_op.py`.
    connection.stored.clear()
    close(connection)


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, ldap.TIMEOUT) or isinstance(error.__cause__, ldap.TIMEOUT)


def _is_alive(connection: DirectoryConnection) -> bool:
    """Return whether an idle connection has not been closed by the server; nothing is sent."""
    # Not select(), which fails on descriptors beyond 1023.
    poll = select.poll()
    try:
        poll.register(connection.fileno(), select.POLLIN)
    except (OSError, ValueError, ldap.LDAPError):
        return False
    # No response is outstanding, so anything to read is the end of the connection, or a notice
    # of disconnection.
    return not poll.poll(0)
