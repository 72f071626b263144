"""What is shipped for a cluster: HAProxy's configuration with a real one, slapd's with slaptest."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from iredldap.embedded.balancer import balancer, haproxy
from iredldap.embedded.ports import free_port
from iredldap.embedded.process import Process
from iredldap.embedded.replication import Replication
from tests.support.mailservers import PATH
from tests.support.patience import PATIENCE, wait_until
from tests.support.sqlservers import program
from tests.support.tls import certificates
from tests.support.world import SUFFIX, new_server

DEPLOY = Path(__file__).parents[3] / "deploy"


def test_haproxy_accepts_the_configuration(tmp_path: Path) -> None:
    """Appended to the global section of the system's, without a warning, with TLS."""
    home = certificates(tmp_path)
    pem = home / "iredldap.pem"
    pem.write_bytes((home / "here.pem").read_bytes() + (home / "here.key").read_bytes())
    text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text("utf-8")
    text = text.replace("/etc/haproxy/errors", str(DEPLOY / "haproxy" / "errors"))
    text = text.replace("/etc/haproxy/iredldap.pem", str(pem))
    path = tmp_path / "haproxy.cfg"
    first = "global\n    log 127.0.0.1 local0\n    ssl-default-bind-options ssl-min-ver TLSv1.2\n"
    path.write_text(first + text)

    judged = subprocess.run(
        [str(haproxy()), "-c", "-f", path], capture_output=True, text=True, check=False
    )

    assert judged.returncode == 0, judged.stderr
    assert "WARNING" not in judged.stderr + judged.stdout


def test_slapd_accepts_the_lines_in_the_configuration_of_iredmail(tmp_path: Path) -> None:
    """Included at the three places that their first lines name."""
    slapd = new_server(tmp_path / "slapd")
    slapd.start(PATIENCE)
    slapd.stop()
    text = (slapd.home / "slapd.conf").read_text("utf-8")
    replication = Replication(1, "ldap://192.0.2.12", "a password of words")
    for part, place in (
        ("1-before-database", "database mdb"),
        ("2-access", "access to"),
        ("3-end-of-database", "database monitor"),
    ):
        path = tmp_path / f"{part}.conf"
        path.write_text(replication.lines(part, SUFFIX))
        text = text.replace(f"\n{place}", f'\ninclude "{path}"\n{place}', 1)
    whole = tmp_path / "slapd.conf"
    whole.write_text(text)

    judged = subprocess.run(
        [program("slaptest", PATH), "-u", "-f", whole], capture_output=True, text=True, check=False
    )

    assert judged.returncode == 0, judged.stderr
    assert judged.stderr.splitlines() == ["config file testing succeeded"]


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_error_of_the_balancer_has_the_form_of_the_api(status: int) -> None:
    raw = (DEPLOY / "haproxy" / "errors" / f"iredldap-{status}.http").read_bytes()
    head, body = raw.split(b"\r\n\r\n")

    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Retry-After: " in head
    assert json.loads(body) == {"_success": False, "_msg": "SERVER_DOWN"}


@dataclass
class Node:
    """A stand-in for a node: answers, hangs up without an answer, or says that it is not ready."""

    name: str
    is_ready: bool = True
    has_fault: bool = False
    hangs_up: bool = False
    is_hung: bool = False
    seen: list[str] = field(default_factory=list)


@contextmanager
def serving(node: Node) -> Iterator[int]:
    """Serve it; give its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        do_PUT = do_POST

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            while node.is_hung:
                time.sleep(0.02)
            if self.path == "/readyz":
                faults = [{"what": "state", "why": "no answer"}] if node.has_fault else None
                data = {"_data": {"failed": faults}} if faults else {}
                body = json.dumps({"_success": node.is_ready, **data}).encode()
                self._send(200 if node.is_ready else 503, body)
                return
            node.seen.append(f"{self.command} {self.headers['X-Forwarded-For']}")
            if node.hangs_up:
                self.close_connection = True
                return
            self._send(200)

        def _send(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("X-Served-By", node.name)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing: a balancer may reset a connection after it was asked something."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Balanced:
    """A balancer in front of two nodes."""

    url: str
    one: Node
    two: Node
    process: Process

    def served_by(self) -> set[str | None]:
        """Names of the nodes that answer some requests; None for the balancer itself."""
        return _served(self.url)


@pytest.fixture(params=["haproxy", "nginx"])
def balanced(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Balanced]:
    """The shipped HAProxy, and nginx, which takes its place in a trial where it is missing."""
    if request.param == "nginx":
        monkeypatch.setattr("iredldap.embedded.balancer.haproxy", lambda: None)
    one, two = Node("n1"), Node("n2")
    with serving(one) as first, serving(two) as second:
        port = free_port()
        process = balancer(tmp_path / "balancer", port, {"n1": first, "n2": second})
        process.start()
        whole = Balanced(f"http://127.0.0.1:{port}/x", one, two, process)
        try:
            wait_until(lambda: process.running and _answers(whole))
            yield whole
        finally:
            process.stop()


def _served(url: str) -> set[str | None]:
    try:
        return {requests.get(url, timeout=PATIENCE).headers.get("X-Served-By") for _ in "1234"}
    except requests.ConnectionError:
        return set()


def _answers(balanced: Balanced) -> bool:
    return balanced.served_by() == {"n1", "n2"}


def test_a_read_goes_to_the_other_node_and_a_write_is_not_repeated(balanced: Balanced) -> None:
    """A node that ends without an answer may have carried out a write."""
    balanced.one.hangs_up = True

    assert balanced.served_by() == {"n2"}

    balanced.one.seen.clear()
    balanced.two.seen.clear()
    statuses = [requests.post(balanced.url, timeout=PATIENCE).status_code for _ in range(2)]
    sent = len(balanced.one.seen) + len(balanced.two.seen)
    assert sent == len(statuses)
    assert set(statuses) <= {200, 502, 503}


def test_a_client_that_keeps_its_connection_is_told_of_a_failure(balanced: Balanced) -> None:
    """A connection that just ends is no answer: many clients take it for one to repeat."""
    with requests.Session() as session:
        assert session.post(balanced.url, timeout=PATIENCE).ok
        assert session.post(balanced.url, timeout=PATIENCE).ok
        balanced.one.hangs_up = balanced.two.hangs_up = True

        found = session.post(balanced.url, timeout=PATIENCE)

    assert found.status_code in {502, 503}
    assert found.json() == {"_success": False, "_msg": "SERVER_DOWN"}


def test_a_node_learns_the_address_of_the_client(balanced: Balanced) -> None:
    requests.get(balanced.url, headers={"X-Forwarded-For": "203.0.113.9"}, timeout=PATIENCE)

    assert {*balanced.one.seen, *balanced.two.seen} == {"GET 127.0.0.1"}


def test_without_a_node_the_answer_is_ours(balanced: Balanced) -> None:
    """In JSON, with the time to wait."""
    balanced.one.hangs_up = balanced.two.hangs_up = True

    found = requests.put(balanced.url, timeout=PATIENCE)

    assert found.status_code in {502, 503}
    assert found.json() == {"_success": False, "_msg": "SERVER_DOWN"}
    assert int(found.headers["Retry-After"]) > 0
    assert found.headers["Content-Type"] == "application/json"


def test_what_waits_for_a_hung_node_is_told_when_it_is_out(tmp_path: Path) -> None:
    """Long before the time-out of a request; also who has not sent all of it yet."""
    one = Node("n1")
    with serving(one) as first:
        port = free_port()
        process = balancer(tmp_path, port, {"n1": first})
        process.start()
        try:
            url = f"http://127.0.0.1:{port}/x"
            wait_until(lambda: _served(url) == {"n1"})
            slow = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            slow.putrequest("PUT", "/x")
            slow.putheader("Content-Length", "3")
            slow.endheaders()
            one.is_hung = True
            found = requests.post(url, timeout=PATIENCE)
            assert found.status_code in {502, 503, 504}
            assert found.json()["_msg"] == "SERVER_DOWN"
            assert found.elapsed.total_seconds() < 30
            slow.send(b"a=b")
            told = slow.getresponse()
            assert told.status in {502, 503, 504}
            assert json.loads(told.read())["_msg"] == "SERVER_DOWN"
        finally:
            one.is_hung = False
            process.stop()


def test_a_node_with_a_fault_of_its_own_gets_nothing(tmp_path: Path) -> None:
    """Such as one that is cut off from the state database; with the same fault both serve."""
    one, two = Node("n1"), Node("n2")
    with serving(one) as first, serving(two) as second:
        port = free_port()
        process = balancer(tmp_path, port, {"n1": first, "n2": second})
        process.start()
        whole = Balanced(f"http://127.0.0.1:{port}/x", one, two, process)
        try:
            wait_until(lambda: _answers(whole))
            one.has_fault = True
            wait_until(lambda: whole.served_by() == {"n2"})
            two.has_fault = True
            wait_until(lambda: _answers(whole))
            two.has_fault = False
            wait_until(lambda: whole.served_by() == {"n2"})
            # The other one is better than nobody.
            two.is_ready = False
            wait_until(lambda: whole.served_by() == {"n1"})
        finally:
            process.stop()


def test_a_node_that_is_not_ready_gets_nothing(tmp_path: Path) -> None:
    """HAProxy asks each second; two bad answers take it out, one good one puts it back."""
    one, two = Node("n1"), Node("n2")
    with serving(one) as first, serving(two) as second:
        port = free_port()
        process = balancer(tmp_path, port, {"n1": first, "n2": second})
        process.start()
        whole = Balanced(f"http://127.0.0.1:{port}/x", one, two, process)
        try:
            wait_until(lambda: _answers(whole))
            one.is_ready = False
            assert wait_until(lambda: whole.served_by() == {"n2"}) < PATIENCE
            two.is_ready = False
            wait_until(lambda: whole.served_by() == {None})
            found = requests.get(whole.url, timeout=PATIENCE)
            assert (found.status_code, found.json()["_msg"]) == (503, "SERVER_DOWN")
            one.is_ready = two.is_ready = True
            wait_until(lambda: _answers(whole))
        finally:
            process.stop()
