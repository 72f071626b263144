"""The commands `iredldap dev` and `iredldap cluster-fault`: installations for trials."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import click

from iredldap.config.reader import read_file
from iredldap.embedded.cluster import Cluster
from iredldap.embedded.cluster_parts import TARGETS
from iredldap.embedded.control import order
from iredldap.embedded.development import Development
from iredldap.embedded.errors import EmbeddedError, PortRefusedError
from iredldap.embedded.faults import ALL, FAULTS
from iredldap.embedded.ports import free_port
from iredldap.gateways.cluster.register import WriterRegister
from iredldap.gateways.cluster.view import Mode
from iredldap.gateways.state import StateDatabase
from iredldap.operations.diagnosis import writer_renaming
from iredldap.operations.diagnosis.writer_renaming import RenamingRefused

_WRITER_SECONDS = 60.0

_var = click.option(
    "--var",
    "home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="VAR",
    help="Directory for all data, created on first use.  [default: var, of a cluster var/cluster]",
)


@click.command()
@click.option(
    "--port",
    type=int,
    default=8080,
    envvar="PORT",
    show_default=True,
    help="TCP port of the API on 127.0.0.1.",
)
@click.option(
    "--ldap-port",
    type=int,
    default=3890,
    envvar="LDAP_PORT",
    show_default=True,
    help="TCP port of the directory on 127.0.0.1; a cluster takes the next one, too.",
)
@_var
@click.option(
    "--cluster",
    "is_cluster",
    is_flag=True,
    help="Two directory servers, two nodes, PostgreSQL and a balancer (docs/cluster.md).",
)
def dev(port: int, ldap_port: int, home: Path | None, *, is_cluster: bool) -> None:
    """Start a private slapd and the API, until Ctrl-C."""
    # As an exception, so that the servers are stopped by what has started them.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    place = home or default_home(is_cluster=is_cluster)
    try:
        system = (
            Cluster(place, port, ldap_port, _rename)
            if is_cluster
            else Development(place, port, ldap_port)
        )
        with system.running():
            if is_cluster:
                _await_writer(system.configuration)
            _introduce(system)
            system.watch()
    except PortRefusedError as ex:
        name = "PORT" if ex.port == port else "LDAP_PORT"
        word = "cluster" if is_cluster else "run"
        click.echo(
            f"{ex}; choose another one with the variable {name}: {name}={free_port()} make {word}",
            err=True,
        )
        sys.exit(1)
    except EmbeddedError as ex:
        click.echo(str(ex), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo()


def _targets(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    """Complete a target."""
    return [name for name in TARGETS if name.startswith(incomplete)]


@click.command("cluster-fault")
@_var
@click.argument("fault", type=click.Choice(FAULTS))
@click.argument("target", default=ALL, shell_complete=_targets)
def cluster_fault(home: Path | None, fault: str, target: str) -> None:
    """Break a part of the cluster that `iredldap dev --cluster` runs, or mend it.

    kill ends servers by SIGKILL until they are healed; hang suspends them (SIGSTOP); cut lets
    nothing pass between them and the rest, as of a pulled cable; heal ends each of these.

    TARGET is a directory server (A, B), the line between both (link), a process of the API (api-A,
    api-B), the line from one to the state database (state-A, state-B), a machine with its directory
    server and its API (node-A, node-B) or postgresql. Without one, heal mends everything; the lines
    alone can be cut and healed only.
    """
    try:
        order(home or default_home(is_cluster=True), fault, target)
    except EmbeddedError as ex:
        click.echo(str(ex), err=True)
        sys.exit(1)


def default_home(*, is_cluster: bool) -> Path:
    """Return the directory for the data of a trial."""
    return Path("var/cluster") if is_cluster else Path("var")


def _rename(configuration: Path, names: Mapping[str, str]) -> None:
    """Give the agreed writer its address of this start.

    Raises:
        EmbeddedError: If that is not possible.
    """
    config = read_file(configuration, os.environ)
    with closing(WriterRegister(StateDatabase(config.state.url).database, "dev")) as register:
        row = register.read()
        if row is None or row.uri not in names:
            return
        try:
            # By force: which one it is, its folder tells.
            writer_renaming.rename(config.ldap, register, names, force=True)
        except RenamingRefused as ex:
            raise EmbeddedError(str(ex)) from ex


def _await_writer(configuration: Path) -> None:
    """Wait until changes are accepted, and either directory server may fail.

    The first writer of a directory is agreed on when both servers have been seen.

    Raises:
        EmbeddedError: If it takes too long.
    """
    config = read_file(configuration, os.environ)
    until = time.monotonic() + _WRITER_SECONDS
    with closing(WriterRegister(StateDatabase(config.state.url).database, "dev")) as register:
        while True:
            row = register.read()
            if row and row.usable and row.mode is Mode.TOGETHER:
                return
            if time.monotonic() > until:
                raise EmbeddedError(f"the directory servers are not together: {row}")
            time.sleep(0.1)


def _introduce(system: Development | Cluster) -> None:
    facts = system.facts()
    for name, fact in facts.items():
        click.echo(f"{name}: {fact}")
    click.echo(f"config: {system.configuration}")
    click.echo(f"logs: {' '.join(map(str, system.logs))}")
    click.echo("try:")
    click.echo(
        f"  curl -c cookies -d username={facts['admin']} -d 'password={facts['password']}'"
        f" {facts['url']}/login"
    )
    click.echo(f"  curl -b cookies -X POST -d defaultQuota=1024 {facts['url']}/domain/test.com")
    click.echo("ready")
    # Scripts wait for `ready` in a pipe, which is buffered.
    sys.stdout.flush()
