"""Break parts of a trial cluster on purpose, and mend them: servers, and the lines between them."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from iredldap.embedded.process import Server
from iredldap.embedded.relay import Relay, State

FAULTS = ("kill", "hang", "cut", "heal")
ALL = "all"


@dataclass(frozen=True)
class Line:
    """A line between two ends, each a server or the balancer.

    Attributes:
        source: From where connections are made.
        target: The server at the other end.
        relay: Through which it goes.
        client: Address of the source, where a relay has several.
    """

    source: str
    target: str
    relay: Relay
    client: str | None = None


class Faults:
    """What is broken at present.

    Args:
        servers: By name.
        lines: Between them.
        machines: Names of the servers that are on one machine, by its name.
        ways: Pairs of servers between which the lines can be cut alone, by name.
    """

    def __init__(
        self,
        servers: Mapping[str, Server],
        lines: list[Line],
        machines: Mapping[str, frozenset[str]],
        ways: Mapping[str, frozenset[str]],
    ) -> None:
        self._ways = ways
        self._servers = servers
        self._lines = lines
        self._groups = {name: frozenset({name}) for name in servers} | dict(machines)
        self._cut: set[str] = set()
        self.killed: set[str] = set()
        """Servers that stay down."""

    @property
    def targets(self) -> list[str]:
        """What can be broken."""
        return [*self._groups, *self._ways]

    def apply(self, fault: str, target: str) -> None:
        """Break something, or mend it.

        Args:
            fault: One of `FAULTS`: `kill` ends servers by SIGKILL until they are healed, `hang`
                suspends them (SIGSTOP), `cut` lets nothing pass between them and the rest.
            target: One of `targets`; everything that is broken for `heal` is called `all`.

        Raises:
            ValueError: If there is no such fault or target; the text is for the user.
            EmbeddedError: If a server does not start again.
        """
        if fault == "heal" and target == ALL:
            for name in self.targets:
                self._heal(name)
        elif target not in self.targets:
            raise ValueError(f"{target}: choose one of {', '.join(self.targets)}")
        elif target in self._ways and fault in {"kill", "hang"}:
            raise ValueError(f"{target} is no server: it can be cut and healed")
        else:
            actions: Mapping[str, Callable[[str], None]] = {
                "kill": self._kill,
                "hang": self._hang,
                "cut": self._cut.add,
                "heal": self._heal,
            }
            if fault not in actions:
                raise ValueError(f"{fault}: choose one of {', '.join(FAULTS)}")
            actions[fault](target)
        self.settle()

    def settle(self) -> None:
        """Put each line into the state that it has to have now."""
        for line in self._lines:
            line.relay.set(self._state(line), line.client)

    def _kill(self, target: str) -> None:
        for name in self._groups[target]:
            self.killed.add(name)
            self._servers[name].kill()

    def _hang(self, target: str) -> None:
        for name in self._groups[target]:
            self._servers[name].signal(signal.SIGSTOP)

    def _heal(self, target: str) -> None:
        self._cut.discard(target)
        self.settle()
        for name in sorted(self._groups.get(target, ())):
            self._servers[name].signal(signal.SIGCONT)
            self.killed.discard(name)
            if not self._servers[name].running:
                self._servers[name].start()

    def _state(self, line: Line) -> State:
        if any(self._crosses(line, target) for target in self._cut):
            # A cable that is pulled refuses nothing: both ends wait.
            return State.HANGS
        # As without a relay: nobody listens.
        return State.PASSES if self._servers[line.target].running else State.CUT

    def _crosses(self, line: Line, target: str) -> bool:
        if target in self._ways:
            return {line.source, line.target} == self._ways[target]
        group = self._groups[target]
        return (line.source in group) != (line.target in group)
