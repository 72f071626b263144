"""The guard beside a slapd, as it is deployed: a hung one is dead within four seconds."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ldap
import pytest

from iredldap.commands.guard import guard as guard_command
from iredldap.dit.names import Tree
from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.slapd import Slapd
from tests.integration.commands.test_deployment import LARGEST_EXPOSURE, analyzed
from tests.support.patience import PATIENCE, wait_until
from tests.support.world import READER_PASSWORD, SUFFIX, World, new_server

DEPLOY = Path(__file__).parents[3] / "deploy"
UNIT = DEPLOY / "iredldap-directory-guard.service"


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    server = new_server(tmp_path / "slapd")
    server.start(PATIENCE)
    yield server
    server.kill()


@pytest.fixture
def guard(slapd: Slapd, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    password = tmp_path / "password"
    password.write_text(READER_PASSWORD)
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from iredldap.commands.guard import guard; guard()"),
            *("--uri", slapd.uri, "--pid-file", slapd.home / "slapd.pid", "--suffix", SUFFIX),
            *("--bind-dn", f"cn=vmail,{SUFFIX}", "--bind-password-file", password),
        ],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=ended_with_parent(),  # noqa: PLW1509
    )
    yield process
    process.kill()
    assert process.stderr
    process.stderr.close()
    process.wait(PATIENCE)


def test_a_hung_server_is_killed(slapd: Slapd, guard: "subprocess.Popen[str]") -> None:
    """And one that was started again is left alone; a guard outlives its server."""
    pid = slapd.pid
    assert pid
    await_probes(slapd)
    os.kill(pid, signal.SIGSTOP)
    took = wait_until(lambda: not slapd.running)
    assert guard.stderr
    assert guard.stderr.readline() == f"slapd (process {pid}) gave no answer 3 times: killed\n"
    # Two seconds more for a machine with other work; the judge itself is proved in unit tests.
    assert took < 4 + 2

    slapd.start(PATIENCE)
    again = slapd.pid
    await_probes(slapd)
    assert slapd.pid == again
    assert guard.poll() is None


def await_probes(slapd: Slapd) -> None:
    """Wait until the server has answered the guard twice."""
    connection = World(slapd, Tree(SUFFIX)).connect()
    binds = "cn=Bind,cn=Operations,cn=Monitor"

    def count() -> int:
        ((_, found),) = connection.search_s(binds, ldap.SCOPE_BASE, attrlist=["monitorOpCompleted"])
        return int(found["monitorOpCompleted"][0])

    first = count()
    wait_until(lambda: count() >= first + 2)
    connection.unbind_s()


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program where it is here."""
    path = tmp_path / UNIT.name
    text = UNIT.read_text()
    assert text.count("/opt/iredldap/bin/iredldap-directory-guard") == 1
    path.write_text(text.replace("/opt/iredldap/bin/iredldap-directory-guard", sys.executable))
    return path


def test_systemd_accepts_the_unit(unit: Path) -> None:
    """Without a warning; and it may do little."""
    assert UNIT.name not in analyzed("verify", "--man=no", str(unit))
    analyzed("security", "--offline=yes", f"--threshold={LARGEST_EXPOSURE}", str(unit))


def test_the_unit_gives_the_options_of_the_command() -> None:
    """All of those that have to be given, and none that is not there."""
    text = UNIT.read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    words = {word for word in line.split() if word.startswith("--")}
    known = {option.opts[0] for option in guard_command.params}
    needed = {option.opts[0] for option in guard_command.params if option.required}
    assert needed <= words <= known
