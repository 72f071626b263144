"""Directories on a pair with an agreed writer, as the workers of two nodes have them."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.dit.plan import Add, Mod, Modify, Op
from iredldap.errors import AlreadyExists, ServerDown
from iredldap.gateways.cluster import agreement, watch
from iredldap.gateways.cluster.register import WriterRegister
from iredldap.gateways.cluster.servers import AgreedServers
from iredldap.gateways.cluster.view import Mode, WriterRow
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import StateDatabase
from tests.support.pair import Pair
from tests.support.patience import PATIENCE, wait_until
from tests.support.world import SUFFIX, WRITER_PASSWORD

QUICK = {"failover_after": 1.0, "lease": 1.5, "health_timeout": 1.0}
"""Seconds: so that a test of a failover takes four."""

_INTERVAL = 0.2
"""Seconds between two looks at a server, and at the row."""

Result = TypeVar("Result")


def insistent(ask: Callable[[], Result]) -> Result:
    """Ask the register until it answers, as a worker does, whose next turn comes soon.

    Who waits for a second for a row that others change is refused, and so is who is slow itself.
    """
    results: list[Result] = []

    def answers() -> bool:
        with suppress(ServerDown):
            results.append(ask())
        return bool(results)

    wait_until(answers)
    return results[0]


def domain(name: str) -> str:
    return f"domainName={name},o=domains,{SUFFIX}"


def creation(name: str) -> Add:
    values = {"objectClass": (b"mailDomain",), "domainName": (name.encode(),), "cn": (b"new",)}
    return Add(domain(name), values)


def change(name: str, value: str) -> Modify:
    return Modify(domain(name), (Mod(Op.REPLACE, "cn", (value.encode(),)),))


class Node:
    """A worker: its directory, and what it knows of the writer."""

    def __init__(self, pair: Pair, url: str, name: str, **settings: Any) -> None:
        self.settings = made = LdapSettings(
            **{
                "uri": tuple(pair.uris),
                "suffix": SUFFIX,
                "bind_dn": f"cn=vmailadmin,{SUFFIX}",
                "bind_password": Secret(WRITER_PASSWORD),
                "writer": "agreed",
                **QUICK,
                **settings,
            }
        )
        self.register = WriterRegister(StateDatabase(Secret(url)).database, name)
        self.servers = AgreedServers(made, self.register, Directory)
        self.directory = Directory(made, self.servers)

    @property
    def row(self) -> WriterRow:
        row = insistent(self.register.read)
        assert row
        return row

    def await_mode(self, mode: Mode) -> None:
        """Wait until this worker knows of a mode, and of a usable writer."""

        def reached() -> bool:
            held = self.servers.agreement.held()
            return bool(held and held.row.mode is mode and held.row.usable)

        wait_until(reached)

    def write(self, operation: Add | Modify) -> None:
        """Carry out an operation as soon as there is a writer."""
        failures = 0

        def done() -> bool:
            nonlocal failures
            try:
                self.directory.write(operation)
            except ServerDown:
                failures += 1
                return False
            except AlreadyExists:
                # An attempt before was carried out, and not confirmed.
                if not failures:
                    raise
                with self.directory.change() as change:
                    change.cover(None, operation.dn)
            return True

        wait_until(done, PATIENCE)

    def close(self) -> None:
        self.directory.close()


def configured(uris: Sequence[str], url: str, folder: Path) -> Path:
    """Write the configuration of a node, for commands."""
    for name, text in (
        ("password", WRITER_PASSWORD),
        ("url", url),
        ("keys", "k" * 40),
    ):
        (folder / name).write_text(text)
    path = folder / "iredldap.toml"
    path.write_text(
        f"""
[ldap]
uri = {json.dumps([*uris])}
suffix = "{SUFFIX}"
bind_dn = "cn=vmailadmin,{SUFFIX}"
bind_password_file = "{folder}/password"
writer = "agreed"
lease = 1
failover_after = 1
[state]
url_file = "{folder}/url"
[session]
keys_file = "{folder}/keys"
"""
    )
    return path


@contextmanager
def nodes(pair: Pair, url: str, *names: str, **settings: Any) -> Iterator[list[Node]]:
    """Run a worker of each node during the block, and wait until both servers are together."""
    with ExitStack() as stack:
        for module in (agreement, watch):
            stack.enter_context(patch.object(module, "INTERVAL", _INTERVAL))
        made = [Node(pair, url, name, **settings) for name in names]
        for node in made:
            stack.callback(node.close)
        for node in made:
            node.await_mode(Mode.TOGETHER)
        yield made
