"""The agreement on the writer, as one worker process takes part in it.

A thread reads the row each half second, decides what it should become, and changes it. What it has
read holds for the lease. Two more threads watch the servers. After a fork the child begins anew.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable

import structlog

from iredldap.config.ldap import LdapSettings
from iredldap.errors import ServerDown
from iredldap.gateways.cluster.clock import now
from iredldap.gateways.cluster.decision import Action, Compare, Enter, Found, Open, Promote, decide
from iredldap.gateways.cluster.joining import Joining
from iredldap.gateways.cluster.register import WriterRegister
from iredldap.gateways.cluster.view import (
    FRESH,
    Held,
    Mode,
    Sight,
    Times,
    View,
    WriterRow,
    held_after,
)
from iredldap.gateways.cluster.watch import INTERVAL, ServerWatch
from iredldap.gateways.ldap.errors import BeginAgain
from iredldap.gateways.ldap.servers import LdapServer

_LEAST_MARGIN = 0.5
"""Seconds added to a lease, at least."""

_FIRST_ROW = 5.0
"""Seconds that the first request of a process waits for the row."""

SEEN_AGAIN = 1.0
"""Seconds since its last answer for which the writer counts as seen."""

log = structlog.get_logger("iredldap.writer")


class NoWriter(ServerDown):
    """No server may be written to now; the agreement will name one."""


class WriterChanged(BeginAgain):
    """Another server is the writer now; what was begun before is not continued."""


class Agreement:
    """What this process knows about the writer.

    Args:
        settings: The servers, and the times of the agreement.
        register: The row in the state database.
        servers: By their URIs.
        joining: Compares both servers before they are together.
    """

    def __init__(
        self,
        settings: LdapSettings,
        register: WriterRegister,
        servers: list[LdapServer],
        joining: Joining,
    ) -> None:
        self._joining = joining
        self.times = times_of(settings)
        self._settings = settings
        self._register = register
        self._watches = {
            server.uri: ServerWatch(server.uri, settings, _opening(server)) for server in servers
        }
        uris = [*self._watches]
        self._beside = dict(zip(uris, reversed(uris), strict=True)) if len(uris) > 1 else {}
        self._reset()
        reset = weakref.WeakMethod(self._reset)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _reset(self) -> None:
        # A lease of the parent process is not the child's: it has no thread that renews it.
        self._held: Held | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._first = threading.Event()
        self._threads: list[threading.Thread] = []
        self._wrote_as: tuple[int, int] | None = None
        self._noted: tuple[int, int] | None = None
        self._mistaken: tuple[int, str] | None = None
        for watch in self._watches.values():
            watch.forget()
        self._joining.reset()

    def start(self) -> None:
        """Start the threads, unless they are running."""
        if self._threads:
            return
        with self._lock:
            if self._threads or self._closing.is_set():
                return
            runs: list[Callable[[], None]] = [self._renew]
            runs += [_run(watch, self._closing) for watch in self._watches.values()]
            self._threads = [
                threading.Thread(target=run, name="agreed writer", daemon=True) for run in runs
            ]
            for thread in self._threads:
                thread.start()

    def close(self) -> None:
        """End the threads; nothing is valid afterwards."""
        self._closing.set()
        with self._lock:
            threads = [*self._threads]
        for thread in threads:
            thread.join(self._settings.health_timeout + _LEAST_MARGIN)
        self._joining.close()
        self._register.close()

    def held(self) -> Held | None:
        """Return the row as it was read last, valid or not; the first call waits for it."""
        self.start()
        if self._held is None:
            self._first.wait(_FIRST_ROW)
        return self._held

    def permitted(self, epoch: int | None = None) -> WriterRow:
        """Return the row, if its writer may be written to now.

        Args:
            epoch: The epoch in which a change has begun; None: any.

        Raises:
            WriterChanged: If the epoch is another one.
            NoWriter: If there is no usable writer, or no valid lease.
        """
        held = self.held()
        if held is None:
            raise NoWriter("no writer of the directory is known: the state database was not read")
        row = held.row
        if epoch is not None and row.epoch != epoch:
            raise WriterChanged(f"the writer is {row.uri} since the change began")
        if not held.is_valid(now()):
            raise NoWriter("the state database was not read in time: the writer is not known")
        if not row.usable:
            raise NoWriter(f"{row.uri} becomes the writer")
        if self._mistaken and self._mistaken[0] == row.epoch:
            raise NoWriter(self._mistaken[1])
        if row.uri not in self._watches:
            raise NoWriter(unnamed(row.uri))
        return row

    def sight(self, uri: str) -> Sight:
        """Return what is known of a server."""
        watch = self._watches.get(uri)
        return watch.sight if watch else Sight()

    def standby_of(self, row: WriterRow) -> str | None:
        """Return the server beside the writer; None: the settings do not name the writer."""
        return self._beside.get(row.uri)

    def names(self, row: WriterRow) -> bool:
        """Return whether the settings name the writer."""
        return row.uri in self._watches

    def is_confirmed_by(self, row: WriterRow) -> bool:
        """Return whether the mode speaks of the server that this worker asks for confirmations."""
        return row.speaks_of(self.standby_of(row))

    def go_alone(self, epoch: int) -> None:
        """Have everybody know that the writer is alone, before a change is acknowledged without.

        Returns when the row says so, in this epoch.

        Raises:
            WriterChanged: If the standby has taken the writer's place meanwhile.
            NoWriter: If the row could not be changed.
        """
        row = self.permitted(epoch)
        if row.mode is not Mode.ALONE:
            log.error("no confirmation: the writer is alone", writer=row.uri, epoch=epoch)
            self._change_row(Enter(row, Mode.ALONE))
        if self.permitted(epoch).mode is not Mode.ALONE:
            raise NoWriter(
                "the other server has not confirmed, and the state database was not told"
            )

    def await_alone(self, epoch: int) -> None:
        """Wait until no worker reads from the standby any more that the writer is alone without.

        Raises:
            WriterChanged, NoWriter: As `permitted`.
        """
        held = self._held
        # Not for nothing: that would give the processor away.
        if held and (left := held.mode_since + FRESH - now()) > 0:
            time.sleep(left)
        self.permitted(epoch)

    def wrote_as(self, epoch: int, server_id: int) -> None:
        """Note the server id that a write in an epoch has shown, for the history."""
        self._wrote_as = (epoch, server_id)

    def _renew(self) -> None:
        while not self._closing.is_set():
            began = now()
            try:
                self._turn()
            except ServerDown as ex:
                # The lease runs out by itself.
                log.warning("the writer was not read", detail=ex.detail)
            except Exception:
                # Without this thread no lease would ever be renewed.
                log.exception("agreed writer")
            self._closing.wait(max(0.05, began + INTERVAL - now()))

    def _turn(self) -> None:
        """Read the row, and do what it needs."""
        row = self._read()
        view = self._view(None if row is None else self._held)
        if view.held and view.held.row.usable and self._was_seen(view.writer):
            self._register.note_seen(view.held.row)
        if self._wrote_as and self._wrote_as != self._noted:
            self._note(*self._wrote_as)
        match decide(view):
            case None:
                pass
            case Compare(row=row):
                self._joining.compare(row)
            case action:
                self._change_row(action)

    def _note(self, epoch: int, server_id: int) -> None:
        """Note the server id of a write; refuse more if the writer of the epoch had another one."""
        first = self._register.note_server_id(epoch, server_id)
        self._noted = (epoch, server_id)
        if first != server_id:
            words = (
                f"the agreed writer had the server id {first:03x}, and the server that has its"
                f" address gives {server_id:03x}: `iredldap directory rename`, or `promote`"
            )
            self._mistaken = (epoch, words)
            log.error("changes are refused", detail=words)

    def _view(self, held: Held | None) -> View:
        sights = {uri: watch.sight for uri, watch in self._watches.items()}
        uris, equal = tuple(self._watches), self._joining.equal
        return View(now(), held, self.times, sights, uris, equal)

    def _was_seen(self, sight: Sight) -> bool:
        return sight.is_healthy and now() - (sight.answered or 0) < SEEN_AGAIN

    def _read(self) -> WriterRow | None:
        # One at a time, so that a slow answer never replaces a later one.
        with self._reading:
            asked = now()
            row = self._register.read()
            if row is not None:
                self._learn(row, asked, now())
            return row

    def _learn(self, row: WriterRow, asked: float, got: float) -> None:
        former = self._held
        held = held_after(former, row, asked, got, self._settings.lease)
        if held is None:
            log.error("the state database has an older writer than before", uri=row.uri)
            return
        self._held = held
        self._first.set()
        if former is None or not former.row.is_same(row):
            log.warning(
                "writer", uri=row.uri, epoch=row.epoch, mode=str(row.mode), usable=row.usable
            )
            if not self.names(row):
                log.error("changes are refused", detail=unnamed(row.uri))
            elif not self.is_confirmed_by(row):
                log.error("other nodes name another server", server=row.standby)

    def _change_row(self, action: Action) -> None:
        uri = action.uri if isinstance(action, Found | Promote) else None
        last = self.sight(uri).last if uri else None
        done = self._register.change_row(action, self.times, last.vector if last else None)
        if done:
            log.warning("writer decided", action=type(action).__name__, what=_words(action))
        self._read()


def unnamed(uri: str) -> str:
    """Return what is to be done where the settings of a node do not name the agreed writer."""
    return (
        f"ldap.uri does not name the agreed writer {uri}: spell it alike on all nodes; where the"
        f" server has a new address: `iredldap directory rename {uri} NEW`"
    )


def times_of(settings: LdapSettings) -> Times:
    """Return the times that decisions depend on.

    The margin is the time for which what was sent at the end of a lease may be under way.
    """
    margin = max(_LEAST_MARGIN, settings.health_timeout)
    return Times(settings.failover_after, settings.lease, margin)


def _words(action: Action) -> str:
    match action:
        case Enter(mode=mode):
            return str(mode)
        case Open(row=row):
            return row.uri
        case _:
            return action.uri


def _opening(server: LdapServer) -> Callable[[], None]:
    """Return what is done when a server is silent: requests that wait for it are refused."""
    return lambda: server.breaker.failed(float("-inf"))


def _run(watch: ServerWatch, closing: threading.Event) -> Callable[[], None]:
    return lambda: watch.run(closing)
