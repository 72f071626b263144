"""The command `iredldap directory guard`: kill a slapd that hangs.

A program of its own, `iredldap-directory-guard`, too: it stands beside a slapd and loads nothing
but libldap, 30 MB in place of 73.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import ldap
from ldap.ldapobject import SimpleLDAPObject

_PROGRAM = "slapd"
_SILENCE = (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.TIMEOUT)


@dataclass(frozen=True)
class Running:
    """A process, told apart from a later one with the same number.

    Attributes:
        pid: Its number.
        started: Since when it runs, in clock ticks since the machine's start.
    """

    pid: int
    started: int


class HangDetector:
    """Decide when a server hangs.

    Args:
        failures: After how many probes without an answer, in succession.
        patience: Seconds that a server may take from its start to its first answer.
    """

    def __init__(self, failures: int, patience: float) -> None:
        self._failures = failures
        self._patience = patience
        self._process: Running | None = None
        self._since = 0.0
        self._has_answered = False
        self._failed = 0

    def hangs(self, process: Running | None, answered: bool, now: float) -> bool:
        """Take in a probe; return whether the process has to be killed.

        Args:
            process: The server that was running before the probe; None: there was none.
            answered: Whether the probe was answered.
            now: Time in seconds, on a monotonic clock.
        """
        if process != self._process:
            self._process, self._since = process, now
            self._has_answered, self._failed = False, 0
        if answered:
            self._has_answered, self._failed = True, 0
        # No process is not a hang: then it is systemd's turn, and there is nothing to kill.
        elif process is not None:
            self._failed += 1
        # A server that has not answered yet may be recovering a large database after a crash;
        # killed, it would begin again.
        is_due = self._has_answered or now - self._since >= self._patience
        return process is not None and is_due and self._failed >= self._failures


@click.command("guard")
@click.option("--uri", default="ldap://127.0.0.1", show_default=True, help="URI of the server.")
@click.option(
    "--pid-file",
    type=click.Path(path_type=Path),
    default="/run/slapd/slapd.pid",
    show_default=True,
    help="File with the server's process number.",
)
@click.option("--bind-dn", required=True, help="Account to bind as, such as cn=vmail,SUFFIX.")
@click.option(
    "--bind-password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="File with its password.",
)
@click.option("--suffix", required=True, help="Entry to read: the suffix of the tree.")
@click.option("--interval", default=1.0, show_default=True, help="Seconds between two probes.")
@click.option("--timeout", default=0.8, show_default=True, help="Seconds that an answer may take.")
@click.option(
    "--failures", default=3, show_default=True, help="Probes without an answer, in succession."
)
@click.option(
    "--patience",
    default=60.0,
    show_default=True,
    help="Seconds from the server's start to its first answer.",
)
def guard(
    uri: str,
    pid_file: Path,
    bind_dn: str,
    bind_password_file: Path,
    suffix: str,
    interval: float,
    timeout: float,
    failures: int,
    patience: float,
) -> None:
    """Kill a slapd that hangs, so that systemd starts it again.

    A hung server that wakes up carries out writes that it was sent before, after the other one
    has taken its place: it must not wake up. Each second the server has to answer a bind and a
    search of one entry; whatever it answers, it does not hang. Run it on the server's machine, as
    its user (docs/cluster.md).
    """
    password = bind_password_file.read_text(encoding="utf-8").strip()
    detector = HangDetector(failures, patience)
    while True:
        began = time.monotonic()
        process = running(pid_file)
        answered = process is not None and answers(uri, bind_dn, password, suffix, timeout)
        if detector.hangs(process, answered, time.monotonic()):
            assert process
            if kill(process):
                click.echo(
                    f"slapd (process {process.pid}) gave no answer {failures} times: killed",
                    err=True,
                )
        time.sleep(max(0.0, began + interval - time.monotonic()))


def running(pid_file: Path) -> Running | None:
    """Return the slapd that a file names; None: there is no such process."""
    try:
        return _slapd(int(pid_file.read_text("ascii")))
    except (OSError, ValueError):
        return None


def kill(process: Running) -> bool:
    """Kill a slapd by SIGKILL; return whether it was there."""
    try:
        # By a handle, not by number: between the look and the signal the number may be given to
        # another process.
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        # The handle is of whoever has the number now: it must be the same as before.
        if _slapd(process.pid) != process:
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def _slapd(pid: int) -> Running | None:
    try:
        # The name may hold blanks and parentheses; what follows it does not.
        name, _, rest = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")
    except OSError:
        return None
    state, *numbers = rest.split()
    if name.partition("(")[2] != _PROGRAM or state == "Z":
        return None
    # Field 22 of proc(5), the start time; the first field here is the third of the file.
    return Running(pid, int(numbers[18]))


def answers(uri: str, bind_dn: str, password: str, suffix: str, timeout: float) -> bool:
    """Return whether a server answers a bind and a search of one entry in time, in whatever way.

    Args:
        uri: Of the server.
        bind_dn: Account to bind as.
        password: Its password.
        suffix: Entry to read.
        timeout: Seconds for both together.
    """
    until = time.monotonic() + timeout
    connection = ldap.initialize(uri)
    try:
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, timeout)
        with _refusals_are_answers():
            _await(connection, connection.simple_bind(bind_dn, password), until)
        with _refusals_are_answers():
            _await(connection, connection.search(suffix, ldap.SCOPE_BASE, attrlist=["1.1"]), until)
    except _SILENCE:
        return False
    finally:
        connection.unbind_ext()
    return True


@contextmanager
def _refusals_are_answers() -> Iterator[None]:
    try:
        yield
    except _SILENCE:
        raise
    # A wrong password, an entry that is not there, a busy server: all are answers of a server that
    # lives.
    except ldap.LDAPError:
        pass


def _await(connection: SimpleLDAPObject, message: int, until: float) -> None:
    """Wait for an answer until a time on the monotonic clock."""
    connection.result(message, timeout=max(0.01, until - time.monotonic()))
