"""`iredldap dev --cluster`, which `make cluster` calls, and `iredldap cluster-fault`, for real.

One cluster serves all of them but one, as a start takes six seconds of a processor. In the end it
is under load while a part of it is broken, and nothing that was acknowledged is lost: the short
form of `python -m benchmarks cluster`, which breaks more, for longer, and measures times. What
happens without the line between the servers, and without PostgreSQL, is in `test_agreed_writer.py`.
"""

import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import ldap
import pytest
import requests
from click.testing import CliRunner, Result

from iredldap.cli import main
from iredldap.embedded.control import order
from iredldap.embedded.faults import ALL
from iredldap.embedded.ports import free_port
from iredldap.embedded.postgresql import PostgreSQL
from iredldap.gateways.cluster.view import Mode
from tests.faults.scenes import SCENES, Tempo, play
from tests.faults.site import Site
from tests.support.client import done
from tests.support.development import COMMAND, Running, running
from tests.support.patience import PATIENCE, wait_until
from tests.support.processes import descendants

TARGETS = "postgresql, A, B, api-A, api-B, node-A, node-B, link, state-A, state-B"


def ports(least: int = 2) -> dict[str, str]:
    """A free port for the first directory whose successors are free, too."""
    while True:
        first = free_port()
        with suppress(OSError), ExitStack() as stack:
            for port in range(first + 1, first + least):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return {"LDAP_PORT": str(first)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("cluster") / ("long" * 30) / "var"
    yield path
    forget(path)


def forget(home: Path) -> None:
    """Remove the data of PostgreSQL, which root has elsewhere."""
    shutil.rmtree(PostgreSQL(home / "postgresql", 0, "").folder)


@pytest.fixture(scope="module")
def started(home: Path) -> Iterator[Running]:
    """One for all tests of this file."""
    with running(home, "--cluster", IREDLDAP_SERVER_WORKERS="1", **ports()) as system:
        yield system


@pytest.fixture(scope="module")
def site(started: Running, home: Path) -> Iterator[Site]:
    with closing(Site(started, home)) as made:
        yield made


@pytest.fixture
def cluster(started: Running, home: Path) -> Iterator[Running]:
    """A cluster that is whole before and after."""
    yield started
    order(home, "heal", ALL)


def fault(home: Path, *words: str) -> Result:
    """Run the command; an order of its own takes a second less of a processor."""
    return CliRunner().invoke(main, ["cluster-fault", "--var", str(home), *words])


def answers(cluster: Running, directory: str, seconds: float = 1.0) -> bool:
    """Return whether a directory server answers, past the relays."""
    connection = ldap.initialize(cluster.fact(f"directory-{directory}"))
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, seconds)
    connection.set_option(ldap.OPT_TIMEOUT, seconds)
    try:
        connection.simple_bind_s(*cluster.fact("reader").split(" ", 1))
    except (ldap.SERVER_DOWN, ldap.TIMEOUT):
        return False
    finally:
        connection.unbind_s()
    return True


def passes(cluster: Running, *nodes: str) -> bool:
    """Return whether these nodes, and no other ones, answer some requests to the balancer."""
    seen = set()
    for _ in range(6):
        seen.add(served_by(cluster))
        if not seen <= {*nodes}:
            return False
    return seen == {*nodes}


def served_by(cluster: Running) -> str | None:
    """Return which node answers a request to the balancer; None: it does so itself."""
    connection = HTTPConnection(urlsplit(cluster.root).netloc, timeout=PATIENCE)
    with closing(connection):
        connection.request("GET", "/livez")
        return connection.getresponse().headers.get("X-Served-By")


def test_it_says_what_a_single_one_does_and_the_parts(cluster: Running) -> None:
    """A line for each fact, `ready` at the end; both nodes answer for the same directory."""
    for name in ("url", "admin", "password", "ldap", "suffix", "reader", "config"):
        assert cluster.fact(name)
    assert cluster.lines[-1] == "ready"
    wait_until(lambda: passes(cluster, "node-A", "node-B"))
    account = {"username": cluster.fact("admin"), "password": cluster.fact("password")}
    for node in ("node-A", "node-B"):
        found = requests.post(f"{cluster.fact(node)}/api/login", data=account, timeout=PATIENCE)
        assert found.json()["_success"], found.text
    assert answers(cluster, "A", PATIENCE)
    assert answers(cluster, "B", PATIENCE)


def test_when_it_is_ready_it_accepts_changes(cluster: Running) -> None:
    """The writer is agreed on by then, and the other server may take its place."""
    done(cluster.client().post("/api/domain/at-once.test", name="At once"))


def test_commands_print_their_own_lines_only(cluster: Running) -> None:
    """What they log about the servers goes to standard error, if it is an error."""
    for words in (["doctor"], ["directory", "compare"]):
        found = subprocess.run(
            [*COMMAND, *words, "--json", "--config", cluster.fact("config")],
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * PATIENCE,
        )
        assert (found.returncode, found.stderr) == (0, "")
        for line in found.stdout.splitlines():
            json.loads(line)


def test_a_killed_server_stays_down_until_it_is_healed(cluster: Running, home: Path) -> None:
    assert fault(home, "kill", "B").exit_code == 0
    assert not answers(cluster, "B")
    assert answers(cluster, "A", PATIENCE)
    assert fault(home, "heal").exit_code == 0
    assert answers(cluster, "B", PATIENCE)


def test_a_hung_server_is_killed_by_its_guard_and_started_again(
    cluster: Running, site: Site, home: Path
) -> None:
    """As systemd does."""
    before = pid_of(home, "B")
    await_guard(site)
    order(home, "hang", "B")
    wait_until(lambda: pid_of(home, "B") not in {before, 0} and answers(cluster, "B"))


def await_guard(site: Site) -> None:
    """Wait until the guard of B has seen it answer: one that never has may still be starting."""
    binds = "cn=Bind,cn=Operations,cn=Monitor"
    # Of the nodes, whose connections bind once; the guard binds each second.
    others = 3
    with site.writing("B") as connection:

        def count() -> int:
            found = connection.search_s(binds, ldap.SCOPE_BASE, attrlist=["monitorOpCompleted"])
            return int(found[0][1]["monitorOpCompleted"][0])

        first = count()
        wait_until(lambda: count() > first + others)


def pid_of(home: Path, directory: str) -> int:
    """Return the process number of a directory server; 0 while it has none."""
    try:
        return int((home / f"directory-{directory}" / "slapd.pid").read_text())
    except (OSError, ValueError):
        return 0


def test_a_killed_node_is_replaced_by_the_other(cluster: Running, home: Path) -> None:
    """And is back after it was healed."""
    order(home, "kill", "api-A")
    wait_until(lambda: passes(cluster, "node-B"))
    order(home, "heal", "api-A")
    wait_until(lambda: passes(cluster, "node-A", "node-B"))


def test_a_hung_node_carries_out_nothing_that_nobody_waits_for(
    cluster: Running, home: Path
) -> None:
    """Its balancer has sent that to the other node, which has acknowledged newer changes since."""
    path = "/api/domain/stale.test"
    client = cluster.client()
    done(client.post(path, name="acknowledged"))
    (cookie,) = client.session.cookies.items()
    given = {"Cookie": "=".join(cookie), "Content-Type": "application/json"}
    logs = [Path(one) for one in cluster.fact("logs").split()]
    order(home, "hang", "api-B")
    connection = HTTPConnection(urlsplit(cluster.fact("node-B")).netloc, timeout=PATIENCE)
    with closing(connection):
        connection.request("PUT", path, json.dumps({"name": "older"}), given)
    order(home, "heal", "api-B")

    wait_until(lambda: any("the client has closed" in log.read_text() for log in logs))

    wait_until(lambda: passes(cluster, "node-A", "node-B"))
    assert client.get(path).json()["_data"]["cn"] == ["acknowledged"]


def test_a_machine_that_is_cut_off_gets_nothing(cluster: Running, home: Path) -> None:
    """Its servers run, and nobody reaches them."""
    order(home, "cut", "node-A")
    assert answers(cluster, "A", PATIENCE)
    wait_until(lambda: passes(cluster, "node-B"))
    order(home, "heal", ALL)
    wait_until(lambda: passes(cluster, "node-A", "node-B"))


def test_a_node_without_the_state_database_gets_nothing_new(cluster: Running, home: Path) -> None:
    """The other one has no fault; without that one it is better than none."""
    order(home, "cut", "state-A")
    wait_until(lambda: passes(cluster, "node-B"))
    order(home, "kill", "api-B")
    wait_until(lambda: passes(cluster, "node-A"))
    order(home, "heal", ALL)
    wait_until(lambda: passes(cluster, "node-A", "node-B"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["kill", "C"], f"C: choose one of {TARGETS}\n"),
        (["hang", "link"], "link is no server: it can be cut and healed\n"),
    ],
)
def test_what_cannot_be_broken_is_refused(
    cluster: Running, home: Path, words: list[str], told: str
) -> None:
    refused = fault(home, *words)

    assert (refused.exit_code, refused.stderr) == (1, told)


def test_without_a_cluster_there_is_nothing_to_break(tmp_path: Path) -> None:
    refused = fault(tmp_path, "kill", "A")

    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"no cluster runs in {tmp_path}: ")


def test_it_ends_whole_and_starts_with_what_it_had(tmp_path: Path) -> None:
    """Ctrl-C ends every process; so does a kill -9 of the first one, in a moment.

    Also with other ports, of which one was the other directory's before.
    """
    same = {"IREDLDAP_SERVER_WORKERS": "1", **ports(3)}
    with running(tmp_path / "var", "--cluster", **same) as system:
        password = system.fact("password")
        parts = descendants(system.process.pid)
        assert len(parts) > 8
    assert system.process.returncode == 0
    assert not any(lives(pid) for pid in parts)

    same["LDAP_PORT"] = str(int(same["LDAP_PORT"]) + 1)
    with running(tmp_path / "var", "--cluster", **same) as system:
        assert system.fact("password") == password
        done(system.client().post("/api/domain/at-once.test", name="At once"))
        parts = descendants(system.process.pid)
        system.process.send_signal(signal.SIGKILL)
        began = time.monotonic()
        wait_until(lambda: not any(lives(pid) for pid in parts))
        # Of the graceful time-out of a node, half a minute, nothing is taken.
        assert time.monotonic() - began < 20
    forget(tmp_path / "var")


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("kill -9 of the writer, back after 12 s", 0.7),
        ("kill -9 of an API node, back after 12 s", 0.3),
    ],
)
def test_what_is_acknowledged_stays(cluster: Running, site: Site, name: str, scale: float) -> None:
    """On both servers, once, and for every reader; what fails succeeds when it is repeated."""
    site.await_mode(Mode.TOGETHER)
    ((number, scene),) = [found for found in enumerate(SCENES) if found[1].name == name]
    tempo = Tempo(scale, pause=0.25, before=1.0, after=1.5, judged=None)

    outcome = play(site, scene, f"s{number}", tempo)

    assert outcome.verdict.all() == [], str(outcome)
    assert outcome.tally.successes, str(outcome)
    assert outcome.tally.reads, str(outcome)


def lives(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
