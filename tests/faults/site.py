"""The cluster under test: `iredldap dev --cluster`, broken as `iredldap cluster-fault` does."""

import json
import shutil
import socket
import subprocess
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import ldap
from ldap.ldapobject import SimpleLDAPObject

from iredldap.config.settings import Secret
from iredldap.dit.names import Tree
from iredldap.embedded.cluster_parts import POSTGRESQL
from iredldap.embedded.control import order
from iredldap.embedded.ports import free_port
from iredldap.embedded.postgresql import PostgreSQL
from iredldap.gateways.cluster.register import WriterRegister
from iredldap.gateways.cluster.view import Mode, WriterRow
from iredldap.gateways.state import StateDatabase
from iredldap.installation import changed
from tests.faults.tally import Answer, Tally
from tests.support.agreed import insistent
from tests.support.client import direct_session
from tests.support.development import COMMAND, Running, running
from tests.support.patience import wait_until

NAMES = ("A", "B")

_OWN = {"contextCSN"}
"""What differs between servers that have the same entries."""

Entries = dict[str, dict[str, Counter[bytes]]]
"""By DN the attributes, and their values."""


class Site:
    """A running cluster.

    Args:
        system: What runs it.
        home: Its private directory.
    """

    def __init__(self, system: Running, home: Path) -> None:
        self.root = system.root
        self.tree = Tree(system.fact("suffix"))
        self._system = system
        self._home = home
        url = (home / "secrets" / "state-B-url").read_text("utf-8").strip()
        self._register = WriterRegister(StateDatabase(Secret(url)).database, "test")

    @property
    def account(self) -> tuple[str, str]:
        """The global admin, and the password."""
        return self._system.fact("admin"), self._system.fact("password")

    def close(self) -> None:
        """Close the connection to the state database."""
        self._register.close()

    def node(self, name: str) -> str:
        """Return the URL of a node, past the balancer."""
        return self._system.fact(f"node-{name}")

    def configuration(self, name: str) -> Path:
        """Return the path of a node's configuration."""
        return self._home / f"node-{name}.toml"

    @property
    def home(self) -> Path:
        """The private directory."""
        return self._home

    def reverse_uris(self, name: str) -> None:
        """Have a node name the servers in the other order, from its next start on."""
        path = self.configuration(name)
        text = path.read_text("utf-8")
        uris = tomllib.loads(text)["ldap"]["uri"]
        path.write_text(changed(text, "ldap", {"uri": uris[::-1]}), "utf-8")

    def log_in(self, tally: Tally, name: str) -> Answer:
        """Log in at a node, past the balancer."""
        user, password = self.account
        form = {"username": user, "password": password}
        return tally.send(direct_session(), "POST", f"{self.node(name)}/api/login", form)

    def order(self, fault: str, target: str) -> None:
        """Break something, or mend it; returns when it is so."""
        order(self._home, fault, target)

    def row(self) -> WriterRow:
        """Return what is agreed on."""
        row = insistent(self._register.read)
        assert row, "there is no writer yet"
        return row

    def writer(self) -> str:
        """Return the name of the agreed writer."""
        first = self._system.fact("ldap")
        return NAMES[0] if self.row().uri == first else NAMES[1]

    def standby(self) -> str:
        """Return the name of the other server."""
        (name,) = set(NAMES) - {self.writer()}
        return name

    def await_mode(self, mode: Mode, seconds: float = 60.0) -> float:
        """Wait until both servers are in a mode, and the writer is usable; return how long."""

        def reached() -> bool:
            row = self.row()
            return row.usable and row.mode is mode

        return wait_until(reached, seconds)

    def entries(self, name: str) -> Entries:
        """Return all of a server that has to be the same on the other one, past the relays."""
        with self.reading(name) as connection:
            found = connection.search_s(
                self._system.fact("suffix"), ldap.SCOPE_SUBTREE, attrlist=["*", "+"]
            )
        return {
            dn: {key: Counter(values) for key, values in attributes.items() if key not in _OWN}
            for dn, attributes in found
        }

    @contextmanager
    def reading(self, name: str) -> Iterator[SimpleLDAPObject]:
        """Bind to a server, past the relays, as the replicator, who reads everything."""
        with self._bound(name, "replicator") as connection:
            yield connection

    @contextmanager
    def writing(self, name: str) -> Iterator[SimpleLDAPObject]:
        """Bind to a server, past the relays, as the account of the API."""
        with self._bound(name, "vmailadmin") as connection:
            yield connection

    @contextmanager
    def _bound(self, name: str, account: str) -> Iterator[SimpleLDAPObject]:
        connection = ldap.initialize(self._system.fact(f"directory-{name}"))
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, 5)
        connection.set_option(ldap.OPT_TIMEOUT, 30)
        password = (self._home / "secrets" / account).read_text("utf-8").strip()
        connection.simple_bind_s(f"cn={account},{self._system.fact('suffix')}", password)
        try:
            yield connection
        finally:
            connection.unbind_s()

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the program with the configuration of the first node."""
        return subprocess.run(
            [*COMMAND, *words, "--config", self.configuration(NAMES[0])],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def complaints(self) -> list[str]:
        """Return what `iredldap doctor` finds; without errors nothing."""
        done = self.command("doctor", "--json")
        if done.returncode == 0:
            return []
        return [line for line in (done.stdout + done.stderr).splitlines() if not _is_summary(line)]


def _is_summary(line: str) -> bool:
    with suppress(ValueError):
        found: Any = json.loads(line)
        return isinstance(found, dict) and "summary" in found
    return False


def _ports() -> dict[str, str]:
    """Return a free port for the first directory whose successor is free, too."""
    while True:
        first = free_port()
        with suppress(OSError), socket.create_server(("127.0.0.1", first + 1)):
            return {"LDAP_PORT": str(first)}


@contextmanager
def cluster(home: Path, workers: int) -> Iterator[Site]:
    """Run a cluster during the block, its servers together at the beginning.

    Args:
        home: A private directory.
        workers: Processes of each node.
    """
    environment = {"IREDLDAP_SERVER_WORKERS": str(workers), **_ports()}
    try:
        with (
            running(home, "--cluster", **environment) as system,
            closing(Site(system, home)) as site,
        ):
            site.await_mode(Mode.TOGETHER)
            yield site
    finally:
        # The data of PostgreSQL, which root has elsewhere.
        shutil.rmtree(PostgreSQL(home / POSTGRESQL, 0, "").folder, ignore_errors=True)


def sleep_until(moment: float) -> None:
    """Sleep until a moment of the monotonic clock, or not at all."""
    time.sleep(max(0.0, moment - time.monotonic()))
