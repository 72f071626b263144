"""Report the agreed writer: the row of the state database, and what each server is now."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from iredldap.config.ldap import LdapSettings
from iredldap.dit import csn
from iredldap.dit.csn import CsnVector
from iredldap.dit.plan import Query, Scope
from iredldap.errors import Refusal
from iredldap.gateways.cluster import strays
from iredldap.gateways.cluster.agreement import unnamed
from iredldap.gateways.cluster.register import Epoch, JoiningReport, WriterRegister
from iredldap.gateways.cluster.view import Mode, Sight, WriterRow
from iredldap.gateways.cluster.watch import ServerWatch
from iredldap.gateways.directory import Directory

_PATIENCE = 2.0
"""Seconds in which a standby must have what the writer had at the beginning."""

_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A server.

    Attributes:
        uri: Its address.
        role: `writer` or `standby`.
        server_id: As the history knows it; None: it has not written yet.
        sight: What probes have seen.
        detail: Why it does not answer; empty: it does.
        lag: Seconds by which its newest change of the writer is older than the writer's; None: not
            known.
        strays: Entries that it has written without being the writer; None: not counted.
    """

    uri: str
    role: str
    server_id: int | None
    sight: Sight
    detail: str
    lag: float | None = None
    strays: int | None = None

    def as_json(self) -> dict[str, object]:
        """Return it as a dictionary for `json.dumps`."""
        return {
            "uri": self.uri,
            "role": self.role,
            "server_id": self.server_id,
            "answers": self.sight.is_healthy,
            "accepts_writes": self.sight.is_provider,
            "detail": self.detail,
            "context_csn": [*self.sight.last.vector] if self.sight.last else [],
            "lag": self.lag,
            "strays": self.strays,
        }


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """The agreement, and the servers; `row` is None where nothing was agreed yet.

    `comparison` is that by which the standby joins; None: it does not join now, or is behind.
    """

    row: WriterRow | None
    epoch: Epoch | None
    servers: Sequence[ServerStatus]
    comparison: JoiningReport | None = None

    @property
    def unnamed(self) -> list[str]:
        """What is to be done about servers that the nodes agree on, and the settings lack."""
        row, known = self.row, {server.uri for server in self.servers}
        if row is None:
            return []
        if row.uri not in known:
            return [unnamed(row.uri)]
        if row.mode is not Mode.ALONE and not any(row.speaks_of(uri) for uri in known - {row.uri}):
            words = "name the same two servers by the same addresses on all nodes"
            return [f"other nodes name {row.standby} beside the writer, not in ldap.uri: {words}"]
        return []

    @property
    def is_good(self) -> bool:
        """Whether the standby could take the writer's place now, and nothing wrote beside it."""
        return bool(
            self.row
            and self.row.usable
            and self.row.mode is Mode.TOGETHER
            and not self.unnamed
            and all(
                server.sight.is_healthy and server.sight.is_provider and not server.strays
                for server in self.servers
            )
        )

    def as_json(self) -> dict[str, object]:
        """Return it as a dictionary for `json.dumps`."""
        row, epoch = self.row, self.epoch
        return {
            "ok": self.is_good,
            "epoch": row.epoch if row else None,
            "writer": row.uri if row else None,
            "standby": (row.standby or None) if row else None,
            "faults": self.unnamed,
            "usable": row.usable if row else None,
            "mode": str(row.mode) if row else None,
            "mode_age": round(row.mode_age, 3) if row else None,
            "began": epoch.began if epoch else None,
            "node": epoch.node if epoch else None,
            "forced": epoch.forced if epoch else None,
            "differing": self.comparison.differing if self.comparison else None,
            "differences": [*self.comparison.examples] if self.comparison else [],
            "servers": [server.as_json() for server in self.servers],
        }


def status(settings: LdapSettings, register: WriterRegister) -> WriterStatus:
    """Ask the state database and both servers.

    Raises:
        ServerDown: If the state database does not respond.
    """
    row, history = register.read(), register.epochs()
    watches = {uri: ServerWatch(uri, settings, lambda: None) for uri in settings.uri}
    for watch in watches.values():
        watch.probe()
    lags = _lags(row, watches)
    wanted = strays.ranges(history)
    known = {epoch.uri: epoch.server_id for epoch in history if epoch.server_id is not None}
    servers = []
    for uri, watch in watches.items():
        counted = _strays(settings, uri, wanted) if watch.sight.is_healthy else None
        role = "writer" if row and row.uri == uri else "standby"
        servers.append(
            ServerStatus(
                uri, role, known.get(uri), watch.sight, watch.detail, lags.get(uri), counted
            )
        )
        watch.close()
    is_joining = row is not None and row.mode is Mode.JOINING
    comparison = register.comparison(row) if row and is_joining else None
    return WriterStatus(row, history[-1] if history else None, servers, comparison)


def _lags(row: WriterRow | None, watches: dict[str, ServerWatch]) -> dict[str, float]:
    """Return the lag of each server that answers, after a moment to catch up."""
    writer = watches.get(row.uri) if row else None
    if writer is None or writer.sight.last is None:
        return {}
    wanted = writer.sight.last.vector
    until = time.monotonic() + _PATIENCE
    for watch in watches.values():
        while watch.sight.last and not watch.sight.last.vector.covers(wanted):
            if time.monotonic() > until:
                break
            time.sleep(_PAUSE)
            watch.probe()
    return {
        uri: _lag(watch.sight.last.vector, wanted)
        for uri, watch in watches.items()
        if watch.sight.last
    }


def _lag(vector: CsnVector, wanted: CsnVector) -> float:
    """Return the seconds between the newest CSNs of one server id: they are of one clock."""
    lags = [0.0]
    for newest in wanted:
        mine = vector.of_server(csn.server_id(newest))
        if mine and mine < newest:
            lags.append((csn.time(newest) - csn.time(mine)).total_seconds())
    return max(lags)


def _strays(settings: LdapSettings, uri: str, wanted: Sequence[strays.StrayRange]) -> int | None:
    """Count the entries of a server that are strays; None: it cannot be read."""
    if not wanted:
        return 0
    query = Query(settings.suffix, Scope.SUBTREE, strays.narrowed(wanted), ("entryCSN",))
    is_stray: Callable[[str], bool] = lambda state: any(  # noqa: E731
        one.includes(state) for one in wanted
    )
    try:
        with closing(Directory(settings.only(uri))) as directory:
            return sum(bool(entry.csn and is_stray(entry.csn)) for entry in directory.stream(query))
    except Refusal:
        return None
