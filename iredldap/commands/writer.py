"""The commands `iredldap directory status`, `promote` and `rename`: a cluster's agreed writer."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from iredldap.changes.opening import open_register
from iredldap.commands.options import Unreadable, config_option, unreadable
from iredldap.commands.terminal import plain
from iredldap.config.ldap import LdapSettings
from iredldap.config.reader import read_file
from iredldap.gateways.cluster.register import JoiningReport, WriterRegister
from iredldap.gateways.cluster.servers import AgreedServers
from iredldap.gateways.directory import Directory
from iredldap.operations.diagnosis import writer_promotion, writer_renaming
from iredldap.operations.diagnosis.writer_promotion import PromotionRefused
from iredldap.operations.diagnosis.writer_renaming import RenamingRefused
from iredldap.operations.diagnosis.writer_status import ServerStatus, WriterStatus
from iredldap.operations.diagnosis.writer_status import status as status_of

DEGRADED = 1
"""Exit status: the standby could not take the writer's place, or there are strays."""

_POLL = 0.1


@click.command("status")
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def status(context: click.Context, /, *, path: Path, as_json: bool) -> None:
    """Report which server is the writer, since when, and whether the other one could replace it.

    Strays are entries that a server has written while it was not the writer.

    The exit status is 0 if the standby has every acknowledged change and could take over, 1 if
    not, or if there are strays, and 2 if that cannot be found out.
    """
    with _agreement(path) as (settings, register):
        found = status_of(settings, register)
    if as_json:
        click.echo(json.dumps(found.as_json()))
    else:
        for line in _as_text(found):
            click.echo(plain(line))
    context.exit(0 if found.is_good else DEGRADED)


@click.command("promote")
@config_option
@click.argument("uri", required=False)
@click.option(
    "--force",
    is_flag=True,
    help="Also where acknowledged changes are lost by it; what is lost is reported.",
)
def promote(path: Path, uri: str | None, *, force: bool) -> None:
    """Make the other server, or the one with this URI, the writer.

    Without --force only where no acknowledged change is lost: both servers are together, and the
    other one answers and accepts writes. Changes are refused for some seconds, until no worker
    relies on the former writer any more.

    The exit status is 0 if it is the writer, 1 if it is refused, and 2 if the state database cannot
    be read.
    """
    with _agreement(path) as (settings, register):
        try:
            done = writer_promotion.promote(settings, register, uri, force=force)
        except PromotionRefused as ex:
            raise click.ClickException(str(ex)) from ex
        for line in done.lost:
            click.echo(f"lost: {plain(line)}", err=True)
        click.echo(f"epoch {done.epoch}: {plain(done.uri)} becomes the writer")
        _await_use(settings, register, done.epoch)


@click.command("rename")
@config_option
@click.argument("addresses", nargs=-1, required=True, metavar="OLD NEW [OLD NEW]")
@click.option(
    "--force",
    is_flag=True,
    help="Also where it cannot be seen that both are addresses of the same server.",
)
def rename(path: Path, addresses: tuple[str, ...], *, force: bool) -> None:
    """Tell all nodes that the writer, known as OLD, has the address NEW.

    NEW is in ldap.uri of the configuration already. Without --force it must have the server id that
    the writer had. Changes are refused for some seconds, until no worker relies on the former
    address any more, and by nodes that do not name the new one. An address of the other server
    needs no order, and may be given too.

    The exit status is 0 if it is done, 1 if it is refused, and 2 if the command line is wrong or
    the state database cannot be read.
    """
    old, new = addresses[::2], addresses[1::2]
    if len(old) != len(new) or len({*old}) != len(old):
        raise click.UsageError("give a new address for each old one: OLD NEW [OLD NEW]")
    with _agreement(path) as (settings, register):
        try:
            done = writer_renaming.rename(
                settings, register, dict(zip(old, new, strict=True)), force=force
            )
        except RenamingRefused as ex:
            raise click.ClickException(str(ex)) from ex
        click.echo(f"epoch {done.epoch}: the address of the writer is {plain(done.uri)}")
        _await_use(settings, register, done.epoch)


def _await_use(settings: LdapSettings, register: WriterRegister, epoch: int) -> None:
    """Wait until the epoch is usable; take part in the agreement, where no worker runs."""
    servers = AgreedServers(settings, register, Directory)
    with closing(servers):
        servers.start()
        while True:
            held = servers.agreement.held()
            if held and held.row.epoch > epoch:
                raise click.ClickException("another server was made the writer meanwhile")
            if held and held.row.epoch == epoch and held.row.usable:
                click.echo("writes are accepted")
                return
            time.sleep(_POLL)


@contextmanager
def _agreement(path: Path) -> Iterator[tuple[LdapSettings, WriterRegister]]:
    """Open the row of a configuration; errors that keep it from being read end with status 2."""
    with unreadable():
        config = read_file(path, os.environ)
        if not config.ldap.is_agreed:
            raise Unreadable('ldap.writer is not "agreed": there is one server, and no agreement')
        with closing(open_register(config)) as register:
            yield config.ldap, register


def _as_text(found: WriterStatus) -> Iterator[str]:
    row, epoch = found.row, found.epoch
    if row is None:
        yield "no writer is agreed yet: both servers must answer once"
    else:
        began = f" since {_moment(epoch.began)}, decided on {epoch.node}" if epoch else ""
        forced = ", forced" if epoch and epoch.forced else ""
        yield f"epoch {row.epoch}: the writer is {row.uri}{began}{forced}"
        usable = "" if row.usable else "; not yet usable"
        yield f"mode: {row.mode} for {_duration(row.mode_age)}{usable}"
        yield from found.unnamed
        if found.comparison:
            yield from _compared(found.comparison)
    for server in found.servers:
        yield f"{server.uri}: {', '.join(_facts(server))}"
        if server.sight.last:
            for csn in server.sight.last.vector:
                yield f"    {csn}"


def _compared(comparison: JoiningReport) -> Iterator[str]:
    if comparison.differing is None:
        yield "the servers are compared before the standby may take over"
        return
    count = (
        "1 entry differs" if comparison.differing == 1 else f"{comparison.differing} entries differ"
    )
    yield f"{count}, and the standby does not join until that is mended (docs/cluster.md):"
    for example in comparison.examples:
        yield f"    {example}"


def _facts(server: ServerStatus) -> Iterator[str]:
    yield server.role
    if server.server_id is not None:
        yield f"server id {server.server_id:03x}"
    if not server.sight.is_healthy:
        yield f"does not answer: {server.detail}"
        return
    if not server.sight.is_provider:
        yield "a consumer, which never becomes the writer"
    if server.lag is not None:
        yield f"lag {server.lag:.3g} s"
    yield "strays not counted" if server.strays is None else f"{server.strays} strays"


def _moment(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"
