"""Two directory servers in mirror mode, reached through relays, with the faults to try on them.

The configuration is that of `deploy/openldap`. The servers are called A and B. Clients that run in
`Pair.environment` have names too, and can be cut off one by one; all use the same URIs.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import ldap
from ldap.ldapobject import SimpleLDAPObject

from iredldap.dit.names import Tree
from iredldap.embedded.ports import free_port
from iredldap.embedded.relay import CLIENT_ADDRESS, Relay
from iredldap.embedded.replication import Replication, replicator_entry
from iredldap.embedded.slapd import Slapd
from iredldap.shipped import shipped
from tests.support.patience import PATIENCE, wait_until
from tests.support.world import SUFFIX, UNFLUSHED, World, first_tree, salted

NAMES = ("A", "B")

REPLICATOR = f"cn=replicator,{SUFFIX}"
REPLICATOR_PASSWORD = "replicator's-secret"

_WRITE_AGAIN_SECONDS = 3.0

_OWN = {"contextCSN"}
"""What differs between servers that have the same entries."""


@dataclass
class Member:
    """One of the two servers.

    Attributes:
        name: A or B.
        slapd: Reached directly, past the relays: judge there what stands in it.
    """

    name: str
    slapd: Slapd

    @property
    def world(self) -> World:
        """The directory, as somebody beside the API sees it on this server."""
        return World(self.slapd, Tree(SUFFIX))

    def start(self) -> None:
        """Start it with what it has, and wait until it answers."""
        self.slapd.start(PATIENCE)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.slapd.kill()

    def stop(self) -> None:
        """Let it hang (SIGSTOP): connections stay, new ones are taken by the kernel, all silent."""
        self._signal(signal.SIGSTOP)

    def cont(self) -> None:
        """Let it go on (SIGCONT), also with what it was sent meanwhile."""
        self._signal(signal.SIGCONT)

    def connect(self) -> SimpleLDAPObject:
        """Bind as the replicator, who reads everything."""
        return self.world.connect(REPLICATOR, REPLICATOR_PASSWORD)

    def vector(self) -> dict[str, str]:
        """Return the newest CSN of each server id, as three hexadecimal digits."""
        connection = self.connect()
        try:
            ((_, found),) = connection.search_s(SUFFIX, ldap.SCOPE_BASE, attrlist=["contextCSN"])
        finally:
            connection.unbind_s()
        csns = [value.decode("ascii") for value in found.get("contextCSN", [])]
        return {csn.split("#")[2]: csn for csn in csns}

    def entries(self) -> dict[str, dict[str, Counter[bytes]]]:
        """Return everything that is the same on both servers when nothing is under way."""
        connection = self.connect()
        try:
            found = connection.search_s(SUFFIX, ldap.SCOPE_SUBTREE, attrlist=["*", "+"])
        finally:
            connection.unbind_s()
        return {
            dn: {name: Counter(values) for name, values in attributes.items() if name not in _OWN}
            for dn, attributes in found
        }

    def _signal(self, number: signal.Signals) -> None:
        pid = self.slapd.pid
        assert pid is not None, f"{self.name} does not run"
        os.kill(pid, number)


@dataclass(frozen=True)
class Line:
    """The way to a server, of one client or of all.

    Attributes:
        relay: Through which it goes.
        address: Of the client; None: all clients.
    """

    relay: Relay
    address: str | None = None

    def cut(self) -> None:
        """Reset its connections, and refuse new ones."""
        self.relay.cut(self.address)

    def hang(self) -> None:
        """Let nothing pass, as if the cable were pulled."""
        self.relay.hang(self.address)

    def heal(self) -> None:
        """Let everything pass again."""
        self.relay.heal(self.address)


class Pair:
    """Both servers, and the relays between them and their clients.

    Args:
        folder: For their databases.

    Attributes:
        members: The servers by name.
        relays: Through which clients reach each of them.
    """

    def __init__(self, folder: Path) -> None:
        self._clients: list[str] = []
        ports = {name: free_port() for name in NAMES}
        self.relays = {name: Relay(ports[name]) for name in NAMES}
        self._peers = {name: Relay(ports[name]) for name in NAMES}
        self.members: Mapping[str, Member] = {
            name: Member(name, self._server(folder / name, number, ports[name]))
            for number, name in enumerate(NAMES, 1)
        }

    @property
    def a(self) -> Member:
        return self.members["A"]

    @property
    def b(self) -> Member:
        return self.members["B"]

    def start(self) -> None:
        """Start both with the same tree in them: the first admin alone, and the replicator."""
        for relay in [*self.relays.values(), *self._peers.values()]:
            relay.start()
        ldif = first_tree() + replicator_entry(SUFFIX, salted(REPLICATOR_PASSWORD))
        for member in self.members.values():
            member.slapd.prepare(ldif)
            ldif = member.slapd.dump()
        for member in self.members.values():
            member.start()

    def close(self) -> None:
        """End everything."""
        for relay in [*self.relays.values(), *self._peers.values()]:
            relay.stop()
        for member in self.members.values():
            member.kill()

    @property
    def uris(self) -> list[str]:
        """URIs of both servers for clients."""
        return [self.uri(name) for name in NAMES]

    def uri(self, name: str) -> str:
        """Return the URI of a server for clients."""
        return f"ldap://127.0.0.1:{self.relays[name].port}"

    def line(self, client: str, name: str) -> "Line":
        """Return the line from a client, by its name, to a server."""
        return Line(self.relays[name], self._address(client))

    @property
    def link(self) -> list["Line"]:
        """The lines between the two servers, in both directions."""
        return [Line(relay) for relay in self._peers.values()]

    def lines(self, name: str) -> list["Line"]:
        """Return all lines of a server: those of all clients, and the link."""
        return [Line(self.relays[name]), *self.link]

    def environment(self, client: str) -> dict[str, str]:
        """Return the variables by which a program is this client, a name of your choice."""
        return {CLIENT_ADDRESS: self._address(client)}

    def heal(self) -> None:
        """Heal all lines, and start what does not run."""
        for relay in [*self.relays.values(), *self._peers.values()]:
            relay.heal()
        for member in self.members.values():
            if member.slapd.running:
                member.cont()
            else:
                member.start()

    def vectors(self) -> dict[str, dict[str, str]]:
        """Return the newest CSN of each server id, of each server."""
        return {name: member.vector() for name, member in self.members.items()}

    def wait_until_equal(self, seconds: float = PATIENCE) -> float:
        """Wait until both servers have seen the same changes; return how long it took.

        A write that a server takes while it applies one of its peer can be missing in its own
        contextCSN until its next write (seen with OpenLDAP 2.5.13): each gets another one if they
        stay unequal.
        """
        written = time.monotonic()

        def are_equal() -> bool:
            nonlocal written
            if self.a.vector() == self.b.vector():
                return True
            if time.monotonic() - written > _WRITE_AGAIN_SECONDS:
                for member in self.members.values():
                    member.world.set(
                        member.world.tree.base, description=f"written on {member.name}"
                    )
                written = time.monotonic()
            return False

        return wait_until(are_equal, seconds)

    def differences(self) -> dict[str, list[str]]:
        """Return what differs: for each DN the names of attributes, of all for one that lacks."""
        left, right = self.a.entries(), self.b.entries()
        found = {}
        for dn in left.keys() | right.keys():
            one, other = left.get(dn, {}), right.get(dn, {})
            names = sorted(
                name for name in one.keys() | other.keys() if one.get(name) != other.get(name)
            )
            if names:
                found[dn] = names
        return found

    def _address(self, client: str) -> str:
        if client not in self._clients:
            self._clients.append(client)
        return f"127.0.0.{2 + self._clients.index(client)}"

    def _server(self, home: Path, number: int, port: int) -> Slapd:
        peer = self._peers[NAMES[2 - number]]
        return Slapd(
            home=home,
            suffix=SUFFIX,
            schema_dir=shipped("schema"),
            port=port,
            extra=UNFLUSHED,
            replication=Replication(number, f"ldap://127.0.0.1:{peer.port}", REPLICATOR_PASSWORD),
        )


@contextmanager
def started(folder: Path) -> Iterator[Pair]:
    """Run a pair during the block."""
    with ExitStack() as stack:
        pair = Pair(folder)
        stack.callback(pair.close)
        pair.start()
        yield pair
