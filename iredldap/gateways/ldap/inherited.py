"""Connections that a process has from its parent, which still uses them."""

import os
from contextlib import suppress

import ldap

from iredldap.gateways.ldap.servers import DirectoryConnection, close


def abandon(connection: DirectoryConnection) -> None:
    """Close a connection that the parent process still uses, without sending an unbind."""
    with suppress(ValueError, ldap.LDAPError):
        redirect(connection.fileno())
    close(connection)


def redirect(descriptor: int) -> None:
    """Have what this process sends on a connection of its parent go to /dev/null.

    libldap sends an unbind request when it closes one.
    """
    with suppress(OSError):
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, descriptor)
        os.close(null)
