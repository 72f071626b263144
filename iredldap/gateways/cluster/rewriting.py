"""Write an entry again as it is, for a server that has missed it.

slapd 2.5.13 misses an entry now and then that is written while a server takes over what it lacks
after a fall, and the contextCSN of that server moves on all the same. A new state has replication
carry the entry whole. Each state is a new entity tag, too.
"""

import structlog

from iredldap.dit.plan import Modify
from iredldap.errors import NoSuchAccount, PreconditionFailed
from iredldap.gateways.ldap import requests
from iredldap.gateways.ldap.servers import DirectoryConnection

log = structlog.get_logger("iredldap.writer")


def write_again(connection: DirectoryConnection, dn: str, state: str) -> None:
    """Give an entry a new state, and leave its values as they are.

    One that others have changed or deleted meanwhile stays as it is.

    Args:
        connection: To the writer.
        dn: The entry.
        state: The state that it was seen in.

    Raises:
        ServerDown: If the server does not answer, or must no longer be written to.
    """
    try:
        with requests.sent():
            # Without a modification: the server asserts the state, and makes a new one.
            number = requests.send(connection, Modify(dn, (), (state,)))
            requests.response(connection, number)
    except (NoSuchAccount, PreconditionFailed):
        return
    log.warning("written again for the other server", dn=dn)
