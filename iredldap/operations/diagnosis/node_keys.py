"""Compare what this node and the others that share the state database must have in common.

A cookie that one node signs is refused by a node with other keys, and what one seals in the change
log cannot be opened by it. The state database gets digests by scrypt, from which keys can be
computed no faster than by trying each one. Servers that are not named alike are none of the same
agreement on the writer.
"""

import hashlib
import time
from collections.abc import Callable, Iterator

from iredldap.config.ldap import LdapSettings
from iredldap.config.sections import Config
from iredldap.config.settings import Secret
from iredldap.gateways.state import StateDatabase
from iredldap.operations.diagnosis.findings import Finding

_DAYS = 30
"""After so long a node that has neither started nor been probed counts as gone."""

_COST = 2**14
"""Of scrypt: 16 MB and 50 ms, more than a moment for whoever tries keys that an admin made up."""

_EFFECTS = {
    "session.keys": "each of them ends the sessions that the other began. Give all nodes the same"
    " keys",
    "changes.keys": "an undo cannot open what the other has sealed in the change log. Give all"
    " nodes the same keys",
    "ldap.uri": "they do not agree on a writer. Name the same two servers by the same addresses on"
    " all nodes",
}


def differing_keys(
    config: Config, state: StateDatabase, now: Callable[[], float] = time.time
) -> Iterator[Finding]:
    """Note the keys and servers of this node, and report those of other nodes that differ.

    A state database that is a file serves one node, and gets no digests.

    Raises:
        ServerDown: If the state database does not respond.
    """
    if config.state.is_local:
        return
    node, moment = config.server.node_name, int(now() * 1000)
    digests = {
        "session.keys": _digest("session.keys", config.session.keys),
        "changes.keys": _digest("changes.keys", config.changes.keys),
        "ldap.uri": _servers(config.ldap),
    }
    oldest = moment - _DAYS * 24 * 3600 * 1000
    for other in state.exchange_keys(node, digests, moment, oldest):
        if digests.get(other.name, other.digest) != other.digest:
            seen = time.strftime("%Y-%m-%d %H:%M", time.gmtime(other.seen / 1000))
            yield Finding(
                f"{other.name} of this node ({node}) are not those that node {other.node} had at"
                f" {seen} UTC: {_EFFECTS[other.name]}"
            )


def _servers(settings: LdapSettings) -> str:
    if not settings.is_agreed:
        return ""
    return hashlib.sha256("\n".join(sorted(settings.uri)).encode()).hexdigest()


def _digest(name: str, keys: tuple[Secret, ...]) -> str:
    if not keys:
        return ""
    text = " ".join(key.reveal() for key in keys).encode()
    return hashlib.scrypt(text, salt=f"iredldap {name}".encode(), n=_COST, r=8, p=1, dklen=32).hex()
