"""What a trial cluster consists of: servers, relays between them, guards, and their settings."""

import os
import sys
import tomllib
from pathlib import Path

from iredldap.embedded.faults import Line
from iredldap.embedded.gunicorn import Gunicorn
from iredldap.embedded.ports import free_port
from iredldap.embedded.postgresql import PostgreSQL
from iredldap.embedded.process import Process, Server
from iredldap.embedded.relay import CLIENT_ADDRESS, Relay
from iredldap.embedded.replication import Replication
from iredldap.embedded.slapd import Slapd
from iredldap.embedded.trial import SUFFIX, Trial, write_configuration
from iredldap.installation import Value
from iredldap.shipped import shipped

NAMES = ("A", "B")

POSTGRESQL = "postgresql"
BALANCER = "balancer"

MACHINES = {f"node-{name}": frozenset({name, f"api-{name}"}) for name in NAMES}
"""Names of the servers on one machine, by its name."""
WAYS = {
    "link": frozenset(NAMES),
    **{f"state-{name}": frozenset({f"api-{name}", POSTGRESQL}) for name in NAMES},
}
"""Servers between which lines can be cut alone, by the name of that."""
_SERVERS = (POSTGRESQL, *NAMES, *(f"api-{name}" for name in NAMES))
TARGETS = (*_SERVERS, *MACHINES, *WAYS)
"""What can be broken."""


class Parts:
    """Everything but the balancer; nothing is started yet.

    Args:
        trial: The private directory, which exists.
        ports: TCP ports of the directories on 127.0.0.1 for the nodes.
    """

    def __init__(self, trial: Trial, ports: dict[str, int]) -> None:
        self._trial = trial
        own = {name: free_port() for name in NAMES}
        self._fronts = {name: Relay(own[name], ports[name]) for name in NAMES}
        self._links = {name: Relay(own[name]) for name in NAMES}
        self.directories = {name: self._slapd(name, own[name]) for name in NAMES}
        self._postgresql = PostgreSQL(
            trial.home / POSTGRESQL, free_port(), trial.secret(POSTGRESQL)
        )
        self._to_postgresql = {name: Relay(self._postgresql.port) for name in NAMES}
        self.nodes = {name: self._node(name) for name in NAMES}
        self.to_nodes = {name: Relay(node.port) for name, node in self.nodes.items()}
        self.guards = [self._guard(name) for name in NAMES]

    @property
    def servers(self) -> dict[str, Server]:
        """All that can be broken, in the order in which they start."""
        parts: tuple[Server, ...] = (
            self._postgresql,
            *self.directories.values(),
            *self.nodes.values(),
        )
        return dict(zip(_SERVERS, parts, strict=True))

    @property
    def relays(self) -> list[Relay]:
        groups = (self._fronts, self._links, self._to_postgresql, self.to_nodes)
        return [relay for group in groups for relay in group.values()]

    def uri(self, name: str) -> str:
        """Return the URI by which the nodes reach a directory."""
        return f"ldap://127.0.0.1:{self._fronts[name].port}"

    def configuration(self, name: str) -> Path:
        """Return the path of a node's configuration."""
        return self._trial.home / f"node-{name}.toml"

    def lines(self) -> list[Line]:
        """Return the lines between servers."""
        lines = [Line("A", "B", self._links["B"]), Line("B", "A", self._links["A"])]
        for name in NAMES:
            node = f"api-{name}"
            lines += [
                Line(node, directory, self._fronts[directory], _address(name))
                for directory in NAMES
            ]
            lines.append(Line(node, POSTGRESQL, self._to_postgresql[name]))
            lines.append(Line(BALANCER, node, self.to_nodes[name]))
        return lines

    def write_configuration(self, name: str) -> None:
        """Write the settings of a node."""
        ldap: dict[str, Value] = {
            "uri": [self.uri(name) for name in NAMES],
            "writer": "agreed",
        }
        url = self._postgresql.url(self._to_postgresql[name].port)
        sections = self._trial.sections(ldap, self._trial.url_file(f"state-{name}", url))
        sections["server"] = {"node": f"node-{name}"}
        sections["api"] = {**sections["api"], "trusted_proxies": ["127.0.0.1"]}
        write_configuration(self.configuration(name), sections, frozenset({"ldap"}))

    def former_uris(self, name: str) -> dict[str, str]:
        """Return the addresses of the directories now, by those in the settings of a node."""
        path = self.configuration(name)
        if not path.exists():
            return {}
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("ldap", {}).get("uri", [])
        return dict(zip(found, map(self.uri, NAMES), strict=False))

    def _slapd(self, name: str, port: int) -> Slapd:
        (peer,) = set(NAMES) - {name}
        return Slapd(
            home=self._trial.home / f"directory-{name}",
            suffix=SUFFIX,
            schema_dir=shipped("schema"),
            port=port,
            # Both are on one disk, where each would wait for the other one's writes. What they have
            # survives the end of a server, though not of the machine.
            extra="dbnosync",
            replication=Replication(
                NAMES.index(name) + 1,
                f"ldap://127.0.0.1:{self._links[peer].port}",
                self._trial.secret("replicator"),
            ),
        )

    def _node(self, name: str) -> Gunicorn:
        return Gunicorn(
            self.configuration(name),
            free_port(),
            self._trial.home / f"node-{name}.log",
            {CLIENT_ADDRESS: _address(name)},
        )

    def _guard(self, name: str) -> Process:
        slapd = self.directories[name]
        command = "from iredldap.commands.guard import guard; guard()"
        options = {
            "--uri": slapd.uri,
            "--pid-file": str(slapd.home / "slapd.pid"),
            "--suffix": SUFFIX,
            "--bind-dn": f"cn=vmail,{SUFFIX}",
            "--bind-password-file": self._trial.secret_file("vmail"),
        }
        words = [word for option in options.items() for word in option]
        log = self._trial.home / f"guard-{name}.log"
        return Process([sys.executable, "-c", command, *words], log, os.environ)


def _address(name: str) -> str:
    """Return the address that a node's connections come from."""
    return f"127.0.0.{2 + NAMES.index(name)}"
