"""The two servers of a directory with an agreed writer: which of them a request may use."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from itertools import count

import structlog

from iredldap.config.ldap import LdapSettings
from iredldap.errors import ServerDown
from iredldap.gateways.cluster.agreement import SEEN_AGAIN, Agreement, NoWriter, unnamed
from iredldap.gateways.cluster.clock import now
from iredldap.gateways.cluster.confirmation import PendingChange
from iredldap.gateways.cluster.joining import Joining, Opener
from iredldap.gateways.cluster.register import WriterRegister
from iredldap.gateways.cluster.view import Held, Mode
from iredldap.gateways.ldap.servers import (
    Change,
    Connections,
    DirectoryConnection,
    LdapServers,
    Purpose,
    Route,
)

_NOT_KNOWN = "the state database does not answer: the writer is not known"

log = structlog.get_logger("iredldap.writer")


class AgreedServers(LdapServers):
    """Two servers, of which one is written to.

    Within a change everything goes to the writer, also its reads: they decide what is written.

    Args:
        settings: Their addresses, time-outs and the service account.
        register: The row of the writer.
        open_one: Opens one of them for reads, past the agreement.
    """

    def __init__(self, settings: LdapSettings, register: WriterRegister, open_one: Opener) -> None:
        # A server that is cut off must not cost a request more than its failover takes.
        quick = min(settings.network_timeout, max(settings.failover_after, settings.health_timeout))
        super().__init__(replace(settings, network_timeout=quick))
        self.confirms = settings.confirm
        self._joining = Joining(settings, register, open_one)
        self.agreement = Agreement(settings, register, self._all, self._joining)
        self._reads = settings.reads
        self._turn = count()
        self._mine = threading.local()
        self._pool: Connections | None = None

    def attach(self, pool: Connections) -> None:
        self._pool = pool
        self._joining.attach(pool)

    def start(self) -> None:
        self.agreement.start()

    def close(self) -> None:
        self.agreement.close()
        super().close()

    def route(self, purpose: Purpose) -> Route:
        change = self._current()
        if purpose is Purpose.STANDBY:
            return self._beside()
        if purpose is Purpose.WRITE or change:
            row = self.agreement.permitted(change.epoch if change else None)
            return Route((row.uri,), row.epoch)
        return self._reading()

    def connect(self, route: Route | None = None) -> DirectoryConnection:
        route = route or self.route(Purpose.READ)
        connection = super().connect(route)
        connection.fence = lambda: self._fence(route)
        connection.gives_up = True
        return connection

    def _fence(self, route: Route) -> None:
        row = self.agreement.permitted(route.epoch)
        if route.uris != (row.uri,):
            # A connection for reads.
            raise NoWriter(f"{', '.join(route.uris)}: not the writer {row.uri}")

    def change(self) -> AbstractContextManager[Change]:
        current = self._current()
        # A write of a change: that is confirmed as a whole.
        return nullcontext(current) if current else self._begun()

    @contextmanager
    def _begun(self) -> Iterator[Change]:
        assert self._pool
        epoch = self.agreement.permitted().epoch
        current = PendingChange(epoch, self.agreement, self._pool, self._settings)
        self._mine.change = current
        try:
            yield current
            current.confirm()
        finally:
            self._mine.change = None

    def take_notice(self) -> str | None:
        notice: str | None = getattr(self._mine, "notice", None)
        self._mine.notice = None
        return notice

    def check(self) -> None:
        """Check, from memory, that a directory can be read, and that this node sees the writer.

        Raises:
            ServerDown: If not: no server answers, or only others see the writer.
        """
        held = self.agreement.held()
        sights = {server.uri: self.agreement.sight(server.uri) for server in self._all}
        if not any(sight.is_healthy for sight in sights.values()):
            raise ServerDown(f"{', '.join(sights)}: neither answers")
        if held is None or not held.is_valid(now()):
            return
        if held.row.unseen >= self._settings.failover_after:
            # No node is better off.
            return
        if not self.agreement.names(held.row):
            raise ServerDown(unnamed(held.row.uri))
        silent_since = sights[held.row.uri].silent_since
        # Not by a note from before it fell, or from a moment after: then all nodes would be out.
        if silent_since is not None and held.seen_after(silent_since + SEEN_AGAIN):
            raise ServerDown(f"{held.row.uri}: the writer answers others, but not this node")

    def _current(self) -> PendingChange | None:
        return getattr(self._mine, "change", None)

    def _beside(self) -> Route:
        held = self.agreement.held()
        uri = self.agreement.standby_of(held.row) if held else None
        if held is None or uri is None:
            raise NoWriter("no other server is known")
        return Route((uri,), held.row.epoch)

    def _reading(self) -> Route:
        """Return where a read goes that no change depends on.

        To the writer, or to either where both have every acknowledged change. If the writer is
        gone otherwise, to what is left; the client is told, as of a writer that other nodes may
        have replaced while the state database does not answer this one.
        """
        held = self.agreement.held()
        if held is None:
            return self._told(Route(self._settings.uri), _NOT_KNOWN)
        row, standby = held.row, self.agreement.standby_of(held.row)
        if not self.agreement.names(row):
            return self._told(Route(self._settings.uri, row.epoch), unnamed(row.uri))
        if standby is None or not self.agreement.sight(standby).is_healthy:
            return self._from_writer(held)
        if self._are_equal(held):
            first = (row.uri, standby)
            is_other = (self._reads == "any" and next(self._turn) % 2) or not self._sees(row.uri)
            return Route((standby, row.uri) if is_other else first, row.epoch)
        silent_since = self.agreement.sight(row.uri).silent_since
        if silent_since is not None and now() - silent_since >= self._settings.failover_after:
            words = f"read from {standby}: the writer {row.uri} does not answer"
            return self._told(Route((standby,), row.epoch), words)
        return self._from_writer(held)

    def _from_writer(self, held: Held) -> Route:
        route = Route((held.row.uri,), held.row.epoch)
        # The wait of a new epoch is longer than a lease of the one before, by the margin at least:
        # only then other nodes may have written to another server.
        may_be_replaced = not held.is_valid(now() - self.agreement.times.margin)
        return self._told(route, _NOT_KNOWN) if may_be_replaced else route

    def _are_equal(self, held: Held) -> bool:
        is_together = held.row.mode is Mode.TOGETHER and held.is_fresh(now())
        return self.confirms and is_together and self.agreement.is_confirmed_by(held.row)

    def _sees(self, uri: str) -> bool:
        # Not yet seen at the start of a process: then the writer is tried.
        return self.agreement.sight(uri).silent_since is None

    def _told(self, route: Route, words: str) -> Route:
        self._mine.notice = words
        return route
