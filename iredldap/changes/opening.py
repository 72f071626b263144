"""Open the directory of a configuration, with an agreed writer or without."""

from iredldap.config.sections import Config
from iredldap.gateways.cluster.register import WriterRegister
from iredldap.gateways.cluster.servers import AgreedServers
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import StateDatabase


def open_directory(config: Config) -> Directory:
    """Return the directory; nothing is connected yet."""
    if not config.ldap.is_agreed:
        return Directory(config.ldap)
    return Directory(config.ldap, AgreedServers(config.ldap, open_register(config), Directory))


def open_register(config: Config) -> WriterRegister:
    """Return the row of the agreed writer.

    On connections of its own: leases must be renewed while all others are busy.
    """
    return WriterRegister(StateDatabase(config.state.url).database, config.server.node_name)
