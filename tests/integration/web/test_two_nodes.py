"""Two machines, as two gunicorns with two workers each, on one directory and one PostgreSQL."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from iredldap.embedded.ports import free_port
from tests.support.client import Client, done, refused
from tests.support.databases import PostgreSQL, rows
from tests.support.gunicorn import Running, started
from tests.support.patience import comes_within, wait_until
from tests.support.proxy import Proxy
from tests.support.world import ADMIN, World

DOMAIN = "one.test"
PATH = f"/api/domain/{DOMAIN}"
PASSWORD = "a good password"
SOON = 2.0
"""Seconds after which what ended on one node has ended on the other."""


@dataclass
class Pair:
    """Two nodes, what slows the way to their directory, and their database."""

    first: Running
    second: Running
    proxy: Proxy
    state: str

    def elsewhere(self, client: Client) -> Client:
        """The same session, as the second node sees it."""
        return Client(self.second.url, client.session)


@pytest.fixture
def pair(world: World, postgresql: PostgreSQL, tmp_path: Path, unique: str) -> Iterator[Pair]:
    if not postgresql.running:
        postgresql.start()
    name = f"pair_{unique}"
    state = postgresql.create_empty(name)
    # The first host of the URL does not answer, as one that has been replaced.
    hosts = f"host=127.0.0.1:{free_port()}&host=127.0.0.1:{postgresql.port}"
    user = f"{name}:{postgresql.password}"
    url = f"postgresql://{user}@/{name}?{hosts}&target_session_attrs=read-write"
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(("127.0.0.1", world.slapd.port)))
        nodes = []
        for node in ("n1", "n2"):
            home = tmp_path / node
            home.mkdir()
            settings = {"STATE_URL": url, "SERVER_NODE": node, "JOBS_ABANDONED": "1.0"}
            # A token that has ended counts as a guess.
            settings["LOGIN_FAILURES"] = "1000"
            nodes.append(stack.enter_context(started(world, home, proxy.uri, **settings)))
        first, second = nodes
        yield Pair(first, second, proxy, state)
    postgresql.drop(name)


def comes_soon(ask: "Client", status: int) -> None:
    """On every worker: each connection is a new one, which any of them takes."""

    def has_come() -> bool:
        cookies = ask.session.cookies
        headers = {"Authorization": ask.session.headers.get("Authorization", "")}
        answers = (
            requests.get(ask.url + PATH, cookies=cookies, headers=headers, timeout=60)
            for _ in range(8)
        )
        return {answer.status_code for answer in answers} == {status}

    comes_within(has_come, SOON)


def test_what_one_node_does_holds_on_the_other(pair: Pair) -> None:
    """Sessions, logouts, tokens, answers to repeated requests, and the names of the nodes."""
    api = Client(pair.first.url).log_in()
    other = pair.elsewhere(api)
    headers = {"Idempotency-Key": "once"}
    first = done(api.call("POST", PATH, headers=headers))
    again = done(other.call("POST", PATH, headers=headers))
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (first.headers["X-Served-By"], again.headers["X-Served-By"]) == ("n1", "n2")

    made = other.post("/api/tokens", name="t", scopes="domains:read").json()["_data"]
    bearer = Client(pair.second.url)
    bearer.session.headers["Authorization"] = f"Bearer {made['secret']}"
    comes_soon(bearer, 200)
    done(api.delete(f"/api/tokens/{made['id']}"))
    comes_soon(bearer, 401)

    comes_soon(other, 200)
    cookies = api.session.cookies.copy()
    done(api.post("/api/logout"))
    api.session.cookies.update(cookies)
    comes_soon(other, 401)

    api = Client(pair.first.url).log_in()
    other = pair.elsewhere(api)
    comes_soon(other, 200)
    done(api.delete("/api/sessions"))
    comes_soon(other, 401)


def test_a_job_of_a_node_that_is_killed(pair: Pair, world: World) -> None:
    """The other one goes on with it, and its status tells of both runs."""
    api = Client(pair.first.url).log_in()
    fill(api, world, 60)
    pair.proxy.to_server = 0.05
    answer = api.call("PUT", PATH, headers={"Prefer": "respond-async"}, accountStatus="disabled")
    job = answer.headers["Location"]
    wait_until(lambda: 0 < disabled(world) < 60)
    ((worker,),) = rows(pair.state, "SELECT worker FROM jobs")
    node = pair.first if worker.startswith("n1:") else pair.second
    left = pair.second if node is pair.first else pair.first
    # A stopped master starts no other workers.
    os.kill(node.pid, signal.SIGSTOP)
    for pid in node.workers():
        os.kill(pid, signal.SIGKILL)
    pair.proxy.to_server = 0.0
    try:
        client = Client(left.url, api.session)
        wait_until(lambda: client.get(job).json()["_data"]["finished"] is not None)
        ended = client.get(job).json()["_data"]
        assert (ended["status"], ended["code"], disabled(world)) == ("done", None, 60)
        assert ended["node"] != worker.partition(":")[0]
        assert 1 <= len(ended["changes"]) <= 2
    finally:
        os.kill(node.pid, signal.SIGCONT)


def test_a_state_database_that_falls(pair: Pair, world: World, postgresql: PostgreSQL) -> None:
    """Reads of those who are known go on, and a job under way is done when it is back."""
    api = Client(pair.first.url).log_in()
    fill(api, world, 60)
    for _ in range(2):
        comes_soon(api, 200)
    pair.proxy.to_server = 0.03
    answer = api.call("PUT", PATH, headers={"Prefer": "respond-async"}, accountStatus="disabled")
    wait_until(lambda: 0 < disabled(world) < 60)
    postgresql.kill()
    pair.proxy.to_server = 0.0
    try:
        comes_soon(api, 200)
        refusal = api.put(PATH, name="x")
        assert (refusal.status_code, refusal.headers["Retry-After"]) == (503, "5")
        unknown = Client(pair.first.url).post("/api/login", username=ADMIN, password=PASSWORD)
        assert unknown.status_code in {401, 503}
    finally:
        postgresql.start()
    wait_until(lambda: api.get(answer.headers["Location"]).status_code == 200)
    wait_until(
        lambda: api.get(answer.headers["Location"]).json()["_data"]["status"] in {"done", "failed"}
    )
    ended = api.get(answer.headers["Location"]).json()["_data"]
    assert (ended["status"], ended["code"], disabled(world)) == ("done", None, 60)
    refused(api.get("/api/jobs/none"), 404, "NO_SUCH_JOB")


def fill(api: Client, world: World, count: int) -> None:
    """Make a domain with users."""
    done(api.post(PATH))
    connection = world.connect()
    for number in range(count):
        mail = f"user{number}@{DOMAIN}"
        connection.add_s(
            world.tree.user(mail),
            [
                ("objectClass", [b"inetOrgPerson", b"mailUser", b"shadowAccount"]),
                *((name, [b"x"]) for name in ("cn", "sn", "uid")),
                ("mail", [mail.encode()]),
                ("accountStatus", [b"active"]),
            ],
        )
    connection.unbind_s()


def disabled(world: World) -> int:
    marked = "(&(objectClass=mailUser)(domainStatus=disabled))"
    return len(world.find(marked, world.tree.domain(DOMAIN)))
