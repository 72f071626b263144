"""A running `iredldap dev`, with or without `--cluster`, as a user starts it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ldap

from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.ports import free_port
from tests.support.client import Client
from tests.support.patience import PATIENCE

COMMAND = [sys.executable, "-c", "from iredldap.cli import main; main()"]


@dataclass
class Running:
    """A running `iredldap dev` and what it said."""

    process: "subprocess.Popen[str]"
    lines: list[str]

    def fact(self, name: str) -> str:
        """The one line with this name."""
        (line,) = [line for line in self.lines if line.startswith(f"{name}: ")]
        return line.removeprefix(f"{name}: ")

    @property
    def root(self) -> str:
        return self.fact("url").removesuffix("/iredadmin/api")

    def client(self) -> Client:
        return Client(self.root).log_in(self.fact("admin"), self.fact("password"))

    def entry(self, dn: str) -> dict[str, list[bytes]] | None:
        """Look an entry up as Postfix and Dovecot do."""
        reader, password = self.fact("reader").split(" ", 1)
        connection = ldap.initialize(self.fact("ldap"))
        connection.simple_bind_s(reader, password)
        try:
            ((_, attributes),) = connection.search_s(dn, ldap.SCOPE_BASE)
        except ldap.NO_SUCH_OBJECT:
            return None
        finally:
            connection.unbind_s()
        found: dict[str, list[bytes]] = attributes
        return found

    def user_dn(self, mail: str) -> str:
        domain = mail.rpartition("@")[2]
        base = f"o=domains,{self.fact('suffix')}"
        return f"mail={mail},ou=Users,domainName={domain},{base}"


@contextmanager
def running(home: Path, *options: str, **environment: str) -> Iterator[Running]:
    """Start it and wait for its last line; end it as Ctrl-C does."""
    ports = {"PORT": str(free_port()), "LDAP_PORT": str(free_port()), "VAR": str(home)}
    process = subprocess.Popen(
        [*COMMAND, "dev", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | ports | environment,
        preexec_fn=ended_with_parent(),  # noqa: PLW1509
    )
    watchdog = threading.Timer(3 * PATIENCE, process.kill)
    watchdog.start()
    lines: list[str] = []
    assert process.stdout
    try:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if lines[-1] == "ready":
                break
        else:
            raise AssertionError("\n".join(lines))
        # What is done with it may take longer.
        watchdog.cancel()
        yield Running(process, lines)
    finally:
        watchdog.cancel()
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.stdout.close()
