"""Make a server the writer, by an admin's order."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from iredldap.config.ldap import LdapSettings
from iredldap.dit import csn
from iredldap.dit.csn import CsnVector
from iredldap.gateways.cluster.agreement import times_of
from iredldap.gateways.cluster.decision import Found, Promote
from iredldap.gateways.cluster.register import WriterRegister
from iredldap.gateways.cluster.view import Mode, WriterRow
from iredldap.gateways.cluster.watch import INTERVAL, ServerWatch

_TRIES = 5


class PromotionRefused(Exception):
    """The server does not become the writer; the text says why."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """The epoch that has begun, its writer, and what is lost by it, a sentence each."""

    epoch: int
    uri: str
    lost: tuple[str, ...] = ()


def promote(
    settings: LdapSettings, register: WriterRegister, uri: str | None, *, force: bool
) -> Promotion:
    """Begin an epoch with another writer; it is usable when no worker relies on the former one.

    Args:
        settings: The servers.
        register: The row.
        uri: The new writer; None: the server that is not the writer.
        force: Whether to do it where acknowledged changes are lost.

    Raises:
        PromotionRefused: If they would be, or the server cannot take writes.
        ServerDown: If the state database does not respond.
    """
    for _ in range(_TRIES):
        row = register.read()
        wanted = uri or _other(settings, row)
        _judge_request(settings, row, wanted, force=force)
        vector = _drained(settings, wanted, force=force)
        if row and not force:
            _judge_mode(row, wanted, settings.uri)
        lost = tuple(_lost(settings, row, vector)) if row and force else ()
        action = Promote(row, wanted) if row else Found(wanted, is_alone=True)
        if register.change_row(action, times_of(settings), vector, forced=force):
            made = register.read()
            assert made
            return Promotion(made.epoch, wanted, lost)
    raise PromotionRefused("the row of the writer changes again and again; try again")


def _other(settings: LdapSettings, row: WriterRow | None) -> str:
    if row is None:
        raise PromotionRefused("no writer is agreed yet: name one of the servers")
    return next(uri for uri in settings.uri if uri != row.uri)


def _judge_request(settings: LdapSettings, row: WriterRow | None, uri: str, *, force: bool) -> None:
    if uri not in settings.uri:
        raise PromotionRefused(f"{uri} is not in ldap.uri: {', '.join(settings.uri)}")
    if row is None and not force:
        raise PromotionRefused(
            "no writer is agreed yet; the workers choose one as soon as both servers answer"
        )
    if row and row.uri == uri:
        raise PromotionRefused(f"{uri} is the writer already")


def _judge_mode(row: WriterRow, uri: str, servers: tuple[str, ...]) -> None:
    # By its address alone it cannot be told from a third server, which lacks changes.
    if row.standby != uri and (row.standby or row.uri not in servers):
        beside = f" and the other server is {row.standby}" if row.standby else ""
        raise PromotionRefused(
            f"the writer is {row.uri}{beside}, not {uri}: if an address has changed, first"
            f" `iredldap directory rename {row.uri} NEW`"
        )
    if row.mode is not Mode.TOGETHER or not row.usable:
        state = str(row.mode) if row.usable else "not yet usable"
        raise PromotionRefused(
            f"the mode is {state}, not together: the other server may lack acknowledged changes of"
            f" {row.uri}; --force does it nevertheless"
        )


def _drained(settings: LdapSettings, uri: str, *, force: bool) -> CsnVector:
    """Return what a server has, when it answers, accepts writes, and is no longer busy."""
    watch = ServerWatch(uri, settings, lambda: None)
    times = times_of(settings)
    try:
        until = time.monotonic() + times.patience
        while True:
            sight = watch.probe()
            if not sight.is_healthy or sight.last is None or sight.answered is None:
                raise PromotionRefused(f"{uri} does not answer: {watch.detail}")
            if not sight.is_provider:
                raise PromotionRefused(f"{uri} is a consumer: it accepts no writes")
            assert sight.rest_since is not None
            # Of a server that is written to all the time the workers see to it: the epoch is opened
            # when it has what the former writer had.
            rests = sight.answered - sight.rest_since >= times.rest
            if rests or force or time.monotonic() > until:
                return sight.last.vector
            time.sleep(INTERVAL / 2)
    finally:
        watch.close()


def _lost(settings: LdapSettings, row: WriterRow, vector: CsnVector) -> Iterator[str]:
    """Yield what the new writer lacks, as far as that can be known."""
    watch = ServerWatch(row.uri, settings, lambda: None)
    sight = watch.probe()
    watch.close()
    if sight.last is None:
        if row.mode is not Mode.TOGETHER:
            yield (
                f"changes that {row.uri} alone has; it does not answer. It was {row.mode} for"
                f" {row.mode_age:.0f} s: what was acknowledged since before that is in doubt"
            )
        return
    for newest in sight.last.vector:
        if not vector.includes(newest):
            sid = csn.server_id(newest)
            mine = vector.of_server(sid)
            since = f"{csn.time(mine):%Y-%m-%d %H:%M:%S} UTC" if mine else "the beginning"
            yield (
                f"changes of server id {sid:03x} on {row.uri} since {since}, until"
                f" {csn.time(newest):%Y-%m-%d %H:%M:%S} UTC, unless they are replicated yet"
            )
