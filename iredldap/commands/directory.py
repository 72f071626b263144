"""The command `iredldap directory`: the directory servers of a cluster."""

import click

from iredldap.commands.compare import compare
from iredldap.commands.guard import guard
from iredldap.commands.lazy import LazyGroup
from iredldap.commands.writer import promote, rename, status


@click.group("directory", cls=LazyGroup)
def directory() -> None:
    """Look after the directory servers (docs/cluster.md)."""


directory.add_command(compare)
directory.add_command(guard)
directory.add_command(status)
directory.add_command(promote)
directory.add_command(rename)
