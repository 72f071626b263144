"""A server that dies with the response to a write: its client hears what became of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from iredldap.changes import read_back
from iredldap.dit.plan import Operation
from iredldap.errors import ServerDown
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import BeginAgain, Unanswered
from iredldap.gateways.ldap.read_entry import ReadWithWrite
from tests.support.client import Client, done, refused
from tests.support.world import World

ANN = "/api/user/ann@one.test"
PASSWORD = "a good password"
KEY = {"Idempotency-Key": "once"}


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lose the response to the next write, and all reads of what became of it for a while."""
    written = Directory._written

    def lose(*, carried_out: bool, silent: int = 2) -> None:
        def lost(directory: Directory, operation: Operation, send: Any) -> ReadWithWrite:
            if carried_out:
                written(directory, operation, send)
            monkeypatch.setattr(Directory, "_written", written)
            raise Unanswered("the server is gone")

        unreadable = [ServerDown("away")] * silent

        def read(*arguments: Any) -> bool:
            if unreadable:
                raise unreadable.pop()
            return True

        is_visible = read_back._is_visible
        monkeypatch.setattr(read_back, "_SETTLING", 0.0)
        monkeypatch.setattr(read_back, "_is_visible", lambda *seen: read() and is_visible(*seen))
        monkeypatch.setattr(Directory, "_written", lost)

    return lose


@pytest.fixture
def api(api: Client) -> Client:
    done(api.post("/api/domain/one.test"))
    return api


def test_a_write_that_was_carried_out_is_a_success(
    api: Client, lost: Callable[..., None], world: World
) -> None:
    lost(carried_out=True)
    first = done(api.call("POST", ANN, headers=KEY, password=PASSWORD))
    again = done(api.call("POST", ANN, headers=KEY, password=PASSWORD))
    logged = api.get(f"/api/changes/{first.headers['X-Change-Id']}").json()["_data"]
    assert (logged["result"], logged["codes"]) == ("done", [])
    assert again.headers["Idempotency-Replayed"] == "true"
    assert world.entry(world.tree.user("ann@one.test")) is not None


def test_one_that_was_not_can_be_repeated(
    api: Client, lost: Callable[..., None], world: World
) -> None:
    """With the same key: nothing has been done under it."""
    lost(carried_out=False)
    answer = api.call("POST", ANN, headers=KEY, password=PASSWORD)
    refused(answer, 503, "SERVER_DOWN")
    assert answer.headers["Retry-After"]
    assert world.entry(world.tree.user("ann@one.test")) is None
    done(api.call("POST", ANN, headers=KEY, password=PASSWORD))


def test_one_that_stays_unknown_is_told_as_such(
    api: Client, lost: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iredldap.changes.aftermath.PATIENCE", 0.5)
    lost(carried_out=True, silent=1000)
    answer = api.put("/api/domain/one.test", name="x")
    assert (answer.status_code, answer.json()["_msg"]) == (503, "SERVER_DOWN")
    (unknown,) = answer.json()["_data"]["unknown"]
    assert unknown.startswith("modify domainName=one.test")


def test_a_change_under_if_match_is_not_refused_for_its_own_write(
    api: Client, lost: Callable[..., None], world: World
) -> None:
    state = api.get("/api/domain/one.test").headers["ETag"]
    lost(carried_out=True)
    done(api.call("PUT", "/api/domain/one.test", headers={"If-Match": state}, name="new"))
    assert world.attributes(world.tree.domain("one.test"))["cn"] == {"new"}


@pytest.mark.parametrize("kept", [True, False])
def test_a_change_that_was_not_confirmed(
    api: Client, world: World, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """The other server has become the writer: it has the entry, or it was lost with the old one."""
    change = Directory.change

    @contextmanager
    def changing(directory: Directory) -> Iterator[Any]:
        is_outermost = not inside
        inside.append(1)
        with change(directory) as current:
            yield current
        inside.pop()
        if is_outermost and world.entry(world.tree.user("ann@one.test")):
            monkeypatch.setattr(Directory, "change", change)
            if not kept:
                connection = world.connect()
                connection.delete_s(world.tree.user("ann@one.test"))
                connection.unbind_s()
            raise BeginAgain("another writer")

    inside: list[int] = []
    monkeypatch.setattr(Directory, "change", changing)
    answer = api.call("POST", ANN, headers=KEY, password=PASSWORD)
    if kept:
        done(answer)
    else:
        refused(answer, 503, "SERVER_DOWN")
    done(api.call("POST", ANN, headers=KEY, password=PASSWORD))
    assert world.entry(world.tree.user("ann@one.test")) is not None
