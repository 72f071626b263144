"""Bound connections to the directory, kept and lent by one process."""

import os
import select
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import ldap

from iredldap.config.ldap import LdapSettings
from iredldap.errors import Refusal, ServerDown
from iredldap.gateways.ldap.errors import LOST
from iredldap.gateways.ldap.servers import DirectoryConnection, LdapServers, close

_MAX_IDLE = 240.0

_SLICE = 0.5
"""Seconds between two looks whether the directory hangs, while a connection is waited for."""


class ConnectionPool:
    """Bound connections of one process, the youngest first.

    It is made anew after a fork: a connection shared by two processes mixes their answers.

    A thread that holds a connection gets further ones beyond the limit: else threads that hold
    one each, and need a second to get on, would wait for one another.

    Args:
        settings: How many there may be, and how long they are waited for.
        servers: Open them; by default those of the settings, with nothing known about them.
    """

    def __init__(self, settings: LdapSettings, servers: LdapServers | None = None) -> None:
        self._settings = settings
        self._servers = servers or LdapServers(settings)
        self._idle: list[tuple[float, DirectoryConnection]] = []
        self._begin()
        ours = weakref.WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: (begin := ours()) and begin())

    def _begin(self) -> None:
        inherited, self._idle = self._idle, []
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(self._settings.connections)
        self._mine = threading.local()
        for _, connection in inherited:
            _drop(connection)

    def connection(self, *, fresh: bool = False) -> "Lease":
        """Lend a connection for a block; it comes back unless it broke.

        Args:
            fresh: Open a new one rather than take one that waited.

        Raises:
            Hanging: When the block begins, if all servers are known to hang.
            ServerDown: When it begins, if no server answers, or every connection is busy for too
                long.
        """
        return Lease(partial(self._borrow, fresh), self._give_back)

    def _borrow(self, fresh: bool) -> tuple[DirectoryConnection, "_Slot"]:
        self._servers.refuse()
        held: set[object] = self._mine.__dict__.setdefault("held", set())
        place = _Slot(held, None if held else self._free)
        if place.free and not place.free.acquire(blocking=False):
            self._acquire(place.free)
        held.add(place)
        try:
            return (None if fresh else self._waiting()) or self._servers.connect(), place
        except BaseException:
            place.leave()
            raise

    def _give_back(
        self, connection: DirectoryConnection, place: "_Slot", error: BaseException | None
    ) -> None:
        try:
            if error is None:
                self._keep(connection)
            elif isinstance(error, GeneratorExit):
                close(connection)
            elif isinstance(error, Exception):
                self._after(connection, error)
        finally:
            place.leave()

    def _after(self, connection: DirectoryConnection, error: Exception) -> None:
        if not _breaks(error):
            self._keep(connection)
            return
        _forget(connection)
        if _is_timeout(error):
            # Of one operation, be it a slow one: others are refused only if a probe waits in
            # vain, too.
            connection.breaker.suspect(float("-inf"))

    def _acquire(self, free: threading.Semaphore) -> None:
        until = time.monotonic() + self._settings.operation_timeout
        while not free.acquire(timeout=max(0.0, min(_SLICE, until - time.monotonic()))):
            self._servers.refuse()
            if time.monotonic() >= until:
                raise ServerDown("every connection to the directory is busy")

    def close(self) -> None:
        """Close what waits."""
        self._servers.close()
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            close(connection)

    def _waiting(self) -> DirectoryConnection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                since, connection = self._idle.pop()
            young = time.monotonic() - since < _MAX_IDLE
            # Of a server that hangs none is kept: when it answers again, they may be dead.
            if young and not connection.breaker.is_open and _is_alive(connection):
                return connection
            _forget(connection)

    def _keep(self, connection: DirectoryConnection) -> None:
        with self._lock:
            self._idle.append((time.monotonic(), connection))


class _Slot:
    """A place in the pool that a thread holds; one beyond its first takes none from others."""

    __slots__ = ("_held", "free")

    def __init__(self, held: set[object], free: threading.Semaphore | None) -> None:
        self._held = held
        self.free = free

    def leave(self) -> None:
        # Another thread may end what this one began; its own places are not meant then.
        self._held.discard(self)
        if self.free:
            self.free.release()


class Lease:
    """A connection that is lent for a block.

    Each request needs several; as a generator, this took twice the time.
    """

    __slots__ = ("_borrow", "_connection", "_give_back", "_place")

    def __init__(
        self,
        borrow: Callable[[], tuple[DirectoryConnection, _Slot]],
        give_back: Callable[[DirectoryConnection, _Slot, BaseException | None], None],
    ) -> None:
        self._borrow = borrow
        self._give_back = give_back

    def __enter__(self) -> DirectoryConnection:
        self._connection, self._place = self._borrow()
        return self._connection

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._give_back(self._connection, self._place, error)


def _breaks(error: BaseException) -> bool:
    """Whether a connection is not to be used again after this error."""
    if isinstance(error, Refusal):
        return isinstance(error, ServerDown) or isinstance(error.__cause__, LOST)
    return isinstance(error, LOST) or not isinstance(error, ldap.LDAPError)


def _forget(connection: DirectoryConnection) -> None:
    """Close a connection, perhaps of a server that has ended: its database may be another one."""
    connection.stored.clear()
    close(connection)


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, ldap.TIMEOUT) or isinstance(error.__cause__, ldap.TIMEOUT)


def _is_alive(connection: DirectoryConnection) -> bool:
    """Whether the server has not hung up while the connection waited; nothing is sent."""
    # Unlike select(), poll() knows descriptors beyond 1023.
    poll = select.poll()
    try:
        poll.register(connection.fileno(), select.POLLIN)
    except (OSError, ValueError, ldap.LDAPError):
        return False
    # Nobody owes us an answer, so anything to read is the end, or a notice of it.
    return not poll.poll(0)


def _drop(connection: DirectoryConnection) -> None:
    """Close a connection that another process goes on using: it must not see our unbind."""
    with suppress(OSError, ValueError, ldap.LDAPError):
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, connection.fileno())
        os.close(null)
    close(connection)
