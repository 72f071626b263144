"""A whole cluster on one machine, to try what it survives.

Two directory servers in mirror mode with their guards, two nodes of the API, PostgreSQL and a
balancer, as docs/cluster.md describes them; between all of them relays, which can be cut.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from iredldap.dit import passwords
from iredldap.embedded.balancer import balancer
from iredldap.embedded.cluster_parts import BALANCER, MACHINES, NAMES, WAYS, Parts
from iredldap.embedded.control import Control
from iredldap.embedded.errors import EmbeddedError
from iredldap.embedded.faults import Faults
from iredldap.embedded.process import Server, await_http, last_lines
from iredldap.embedded.replication import replicator_entry
from iredldap.embedded.trial import SUFFIX, Trial

_TURN_SECONDS = 0.2
_MOST_RESTARTS = 20
_RESTARTS_SECONDS = 60.0


class Cluster:
    """Two directory servers, two nodes, and what belongs to them.

    Args:
        home: Private directory; created on first use.
        port: TCP port of the balancer on 127.0.0.1.
        ldap_port: TCP port of the directory A on 127.0.0.1, as the nodes reach it; the next one is
            that of B.
        rename: Told of new addresses of the directories, by the former ones, before the nodes
            start; with the configuration of a node that has the new ones.
    """

    def __init__(
        self,
        home: Path,
        port: int,
        ldap_port: int,
        rename: Callable[[Path, Mapping[str, str]], None],
    ) -> None:
        self._rename = rename
        self._trial = Trial(home)
        self._port = port
        self._ldap_ports = {name: ldap_port + number for number, name in enumerate(NAMES)}
        self._restarts: list[float] = []

    @property
    def configuration(self) -> Path:
        """File with the settings of the first node."""
        return self._parts.configuration(NAMES[0])

    @property
    def logs(self) -> list[Path]:
        return [server.log for server in self._parts.servers.values()]

    def facts(self) -> dict[str, str]:
        """Return addresses and credentials, by name."""
        parts = self._parts
        nodes = {
            f"node-{name}": f"http://127.0.0.1:{node.port}" for name, node in parts.nodes.items()
        }
        # Past the relays: what stands there also while it is cut off.
        directories = {f"directory-{name}": slapd.uri for name, slapd in parts.directories.items()}
        url = f"http://127.0.0.1:{self._port}/iredadmin/api"
        return self._trial.facts(url, parts.uri(NAMES[0])) | nodes | directories

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run all servers during the block; all respond when it begins.

        Raises:
            PortRefusedError: If a port is taken, or none.
            EmbeddedError: If one cannot be started, or the directory is in use.
        """
        ports = (self._port, *self._ldap_ports.values())
        with self._trial.locked(ports), ExitStack() as stack:
            self._parts = Parts(self._trial, self._ldap_ports)
            parts = self._parts
            self._faults = Faults(parts.servers, parts.lines(), MACHINES, WAYS)
            self._control = Control(self._trial.home)
            stack.callback(self._control.close)
            self._start(stack)
            yield

    def watch(self) -> None:
        """Execute faults that are ordered, and start again what ends otherwise, as systemd does.

        Raises:
            EmbeddedError: If a server cannot be started, or ends again and again.
        """
        while True:
            self._control.serve(_TURN_SECONDS, self._faults.apply)
            for name, server in self._parts.servers.items():
                if not server.running and name not in self._faults.killed:
                    self._start_again(name, server)

    def _start_again(self, name: str, server: Server) -> None:
        now = time.monotonic()
        recent = [when for when in self._restarts if now - when < _RESTARTS_SECONDS]
        self._restarts = [*recent, now]
        if len(self._restarts) > _MOST_RESTARTS:
            words = [f"{name} ends again and again; {server.log} says:", *last_lines(server.log)]
            raise EmbeddedError("\n".join(words))
        self._faults.settle()
        server.start()
        self._faults.settle()

    def _start(self, stack: ExitStack) -> None:
        parts = self._parts
        self._seed()
        # That of the first node keeps the former addresses until they are renamed.
        first, other = NAMES
        former = parts.former_uris(first)
        parts.write_configuration(other)
        for relay in parts.relays:
            stack.callback(relay.stop)
            relay.start()
        # What starts last stops first: the nodes before what they depend on.
        nodes = [*parts.nodes.values()]
        for server in (one for one in parts.servers.values() if one not in nodes):
            stack.callback(server.stop)
            server.start()
        if names := {old: new for old, new in former.items() if old != new}:
            self._rename(parts.configuration(other), names)
        parts.write_configuration(first)
        for server in [*nodes, *parts.guards]:
            stack.callback(server.stop)
            server.start()
        self._faults.settle()
        # Before the balancer starts, which would take out a node that is not ready yet.
        for name, node in parts.nodes.items():
            await_http(node, f"node-{name}", f"http://127.0.0.1:{node.port}/readyz")
        ports = {f"node-{name}": relay.port for name, relay in parts.to_nodes.items()}
        front = balancer(self._trial.home / BALANCER, self._port, ports)
        stack.callback(front.stop)
        front.start()
        await_http(front, "the balancer", f"http://127.0.0.1:{self._port}/readyz")

    def _seed(self) -> None:
        """Give both the same tree, the second from a dump of the first."""
        stored = passwords.hashed(self._trial.secret("replicator"), "SSHA", os.urandom(16))
        first, second = self._parts.directories.values()
        if not first.prepared:
            first.prepare(self._trial.first_tree() + replicator_entry(SUFFIX, stored))
        if not second.prepared:
            second.prepare(first.dump())
