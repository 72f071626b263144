"""The service tells how it is, and refuses at once what it cannot do, while slapd or SQL hangs."""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import ldap
import pytest
import requests

from tests.support.client import Client, done
from tests.support.gunicorn import gunicorn
from tests.support.patience import PATIENCE, wait_until
from tests.support.world import ADMIN, ADMIN_PASSWORD, World, salted

CLIENTS = 16


class Answer(NamedTuple):
    """When a call began, on the monotonic clock, the seconds that it took, and its status."""

    began: float
    seconds: float
    status: int


@contextmanager
def stopped(pid: int | None) -> Iterator[None]:
    """Let a process hang: it answers nothing, and does not end its connections."""
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def hammered(*calls: Callable[[], requests.Response]) -> Iterator[list[Answer]]:
    """Repeat calls in a thread each; give every answer."""
    over = threading.Event()
    answers: list[Answer] = []

    def repeat(call: Callable[[], requests.Response]) -> None:
        while not over.is_set():
            began = time.monotonic()
            status = call().status_code
            answers.append(Answer(began, time.monotonic() - began, status))

    threads = [threading.Thread(target=repeat, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join()


def slowest(url: str, seconds: float) -> tuple[float, set[int]]:
    """The longest of many calls on connections of their own, and the statuses that came."""
    longest, statuses = 0.0, set()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        statuses.add(requests.get(url, timeout=PATIENCE).status_code)
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.05)  # A probe of a monitoring system; nothing is waited for.
    return longest, statuses


def calls(url: str) -> list[Callable[[], requests.Response]]:
    """Reads and logins, on a connection each."""
    api = Client(url).log_in()
    clients = [Client(url) for _ in range(CLIENTS)]
    for client in clients:
        client.session.cookies.update(api.session.cookies)
    reads = [lambda c=client: c.get("/api/domains") for client in clients[::2]]
    logins = [
        lambda c=client: c.post("/api/login", username=ADMIN, password=ADMIN_PASSWORD)
        for client in clients[1::2]
    ]
    return [*reads, *logins]


def test_while_the_directory_hangs(world: World, tmp_path: Path) -> None:
    """Liveness and readiness within a second or two, all else refused at once, and a quick return.

    The directory hangs while 16 clients read and log in, so that every thread waits for it and more
    requests than there are threads wait for these.
    """
    settings = {"LDAP_NETWORK_TIMEOUT": "2", "LDAP_OPERATION_TIMEOUT": "6"}
    with gunicorn(world, tmp_path, **settings) as url:
        api = Client(url).log_in()
        with hammered(*calls(url)) as answers:
            # What must be quick is judged by what a machine that is busy needs anyway.
            usual, _ = slowest(f"{url}/livez", 1)
            with stopped(world.slapd.pid):
                for path, bound in (("livez", 1.0), ("readyz", 2.0)):
                    longest, statuses = slowest(f"{url}/{path}", 2)
                    print(f"{path}, from the first moment on: {longest:.3f} s, {statuses}")
                    assert longest < max(bound, 3 * usual)
                wait_until(
                    lambda: requests.get(f"{url}/readyz", timeout=PATIENCE).status_code == 503
                )
                wait_until(lambda: {answer.status for answer in answers[-CLIENTS:]} == {503})

                since = time.monotonic()
                known = slowest(f"{url}/readyz", 2)
                all_is_refused(api)
                print(f"readyz, known to hang: {known[0]:.3f} s, {known[1]}")
                later = [answer for answer in answers if answer.began > since]
                longest = max(answer.seconds for answer in later)
                print(f"refused meanwhile: {len(later)}, longest {longest:.3f} s")
                assert known[1] == {503}
                # The time-out of a connection is the least that a request which waits would take.
                assert known[0] < max(2, 3 * usual)
                assert longest < max(2, 3 * usual)
                assert {answer.status for answer in later} == {503}
            began = time.monotonic()
            wait_until(lambda: api.get("/api/domains").status_code == 200)
            print(f"recovery of reads: {time.monotonic() - began:.2f} s")
            wait_until(lambda: requests.get(f"{url}/readyz", timeout=PATIENCE).status_code == 200)
            print(f"recovery of readyz: {time.monotonic() - began:.2f} s")
            wait_until(lambda: {answer.status for answer in answers[-CLIENTS:]} == {200})


def all_is_refused(api: Client) -> None:
    """Whatever is asked: with a code, and when to come back."""
    for method, path in (
        ("GET", "/api/domains"),
        ("PUT", "/api/domain/corp.test"),
        ("DELETE", "/api/user/a@corp.test"),
        ("GET", "/api/ldif"),
        ("POST", "/api/login"),
    ):
        fields = {"username": ADMIN, "password": ADMIN_PASSWORD} if path == "/api/login" else {}
        answer = api.call(method, path, **fields)
        assert (answer.status_code, answer.json()["_msg"]) == (503, "SERVER_DOWN")
        assert answer.headers["Retry-After"]


def test_readiness_names_what_failed(world: World, serve: Any, tmp_path: Path) -> None:
    """And since when: a directory that is down, a state that cannot be written, or both."""
    client: Client = serve().client()
    assert client.get("/readyz").json() == {"_success": True}

    with cannot_be_written(tmp_path / "state.sqlite3", "revoked_sessions"):
        told = client.get("/readyz").json()
        assert (told["_success"], told["_msg"]) == (False, "SERVER_DOWN")
        (fault,) = told["_data"]["failed"]
        assert (fault["what"], fault["why"]) == ("state", "cannot be written")
        assert told["_data"]["database"] == "state"

        world.slapd.stop()
        both = client.get("/readyz").json()["_data"]["failed"]
        assert [fault["what"] for fault in both] == ["directory", "state"]
        assert both[1]["since"] == fault["since"]
        assert datetime.fromisoformat(both[0]["since"]) >= datetime.fromisoformat(fault["since"])
        assert "127.0.0.1" not in client.get("/readyz").text
        world.slapd.start()
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(("on_failure", "failed"), [("refuse", ["change_log"]), ("go_on", [])])
def test_a_change_log_that_cannot_be_written_is_named(
    serve: Any, tmp_path: Path, on_failure: str, failed: list[str]
) -> None:
    """Unless changes go on without it."""
    client: Client = serve(changes={"on_failure": on_failure}).client().log_in()
    done(client.post("/api/domain/corp.test"))
    assert client.get("/readyz").status_code == 200

    with cannot_be_written(tmp_path / "state.sqlite3.changes", "change_targets"):
        answer = client.get("/readyz").json()
        assert [fault["what"] for fault in answer.get("_data", {}).get("failed", [])] == failed
    assert client.get("/readyz").status_code == 200


def test_a_refused_bind_is_named(world: World, serve: Any) -> None:
    """503 to whoever asks, until the account is as the configuration says; then all is well."""
    client: Client = serve().client()
    assert client.get("/readyz").status_code == 200
    account = f"cn=vmailadmin,{world.tree.suffix}"
    with given_another_password(world, account):
        other: Client = serve().client()
        answer = other.post("/api/login", username=ADMIN, password=ADMIN_PASSWORD)
        assert (answer.status_code, answer.json()["_msg"]) == (503, "DIRECTORY_DENIES")
        (fault,) = other.get("/readyz").json()["_data"]["failed"]
        named = "bind refused: ldap.bind_dn, ldap.bind_password"
        assert (fault["what"], fault["why"]) == ("directory", named)
        wait_until(lambda: named in client.get("/readyz").text)
    wait_until(lambda: client.get("/readyz").status_code == 200)
    other.log_in()


@contextmanager
def given_another_password(world: World, dn: str) -> Iterator[None]:
    # Bound before, and as the same account: nobody else may come in meanwhile.
    connection = world.connect()
    ((_, found),) = connection.search_s(dn, ldap.SCOPE_BASE, attrlist=["userPassword"])
    new = salted("another password").encode()
    connection.modify_s(dn, [(ldap.MOD_REPLACE, "userPassword", [new])])
    try:
        yield
    finally:
        connection.modify_s(dn, [(ldap.MOD_REPLACE, "userPassword", found["userPassword"])])
        connection.unbind_s()


@contextmanager
def cannot_be_written(file: Path, table: str) -> Iterator[None]:
    """Let every insertion fail, as it does when the disk is full or the server takes no writes."""
    with closing(sqlite3.connect(file)) as other:
        other.execute(
            f"CREATE TRIGGER full BEFORE INSERT ON {table}"
            " BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
        yield
        other.execute("DROP TRIGGER full")


def test_a_state_that_is_no_file(serve: Any, tmp_path: Path) -> None:
    """The first answer is right already."""
    (tmp_path / "state.sqlite3").mkdir()
    client: Client = serve().client()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert [fault["what"] for fault in answer.json()["_data"]["failed"]] == ["state"]


def test_a_locked_admin_log_costs_one_change_a_wait(world: World, tmp_path: Path) -> None:
    """All changes are made, and those after the first wait for nothing; so do reads of usage."""
    database = tmp_path / "iredadmin.sqlite3"
    with gunicorn(world, tmp_path, SERVER_WORKERS="1") as url:
        api = Client(url).log_in()
        done(api.post("/api/domain/corp.test"))
        done(api.post("/api/user/ann@corp.test", password="a good password"))
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            waits = [
                timed(partial(api.put, "/api/domain/corp.test", name=f"n{number}"))
                for number in range(5)
            ]
            usage = timed(lambda: api.get("/api/user/ann@corp.test"))
            print(f"changes: {[round(wait, 2) for wait in waits]} s; usage: {usage:.2f} s")
            other.execute("ROLLBACK")
        # SQLite waits ten seconds for a lock.
        assert max(waits[1:]) < 5
        assert usage < 5
        assert world.attributes(world.tree.domain("corp.test"))["cn"] == {"n4"}
        assert (tmp_path / "gunicorn.log").read_text().count("not in the admin log") == 5

        def is_logged() -> bool:
            done(api.put("/api/domain/corp.test", name="logged"))
            with closing(sqlite3.connect(database)) as other:
                found = other.execute("SELECT count(*) FROM log WHERE domain = 'corp.test'")
                return bool(found.fetchone()[0] > 2)

        print(f"recovery: {wait_until(is_logged):.2f} s")


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
