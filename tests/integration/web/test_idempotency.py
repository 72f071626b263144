"""A repeated POST with the same `Idempotency-Key`: done once, answered as often as it is sent."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from iredldap.dit.plan import Operation
from iredldap.errors import ServerDown
from iredldap.gateways.idempotent_answers import IdempotentAnswers, KeptAnswer
from iredldap.gateways.recorded_directory import RecordedDirectory
from tests.support.client import Client, done, refused
from tests.support.databases import execute, rows
from tests.support.patience import at_once, wait_until
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"
KEY = "3c1f-once"
ANN = "/api/user/ann@one.test"


@pytest.fixture
def api(api: Client) -> Client:
    done(api.post("/api/domain/one.test"))
    return api


def post(
    client: Client, path: str, key: str = KEY, headers: Any = None, **form: str
) -> requests.Response:
    return client.call("POST", path, headers={"Idempotency-Key": key} | (headers or {}), **form)


def test_a_repeat_gets_the_same_answer(api: Client, serve: Any, world: World) -> None:
    """From another worker, too; nothing is done again."""
    first = post(api, ANN, password=PASSWORD, name="Ann")
    assert "Idempotency-Replayed" not in done(first).headers
    before = world.snapshot()

    elsewhere = Client(serve().url, api.session)
    for client in (api, elsewhere):
        again = done(post(client, ANN, password=PASSWORD, name="Ann"))
        assert again.headers["Idempotency-Replayed"] == "true"
        for name in ("ETag", "X-Change-Id", "Content-Type"):
            assert again.headers[name] == first.headers[name]
        assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert world.snapshot() == before
    refused(post(api, ANN, "another", password=PASSWORD), 409, "ALREADY_EXISTS")


def test_a_refusal_is_an_answer(api: Client) -> None:
    """It is told again, even when the request would succeed by then."""
    done(api.post(ANN, password=PASSWORD))
    refused(post(api, ANN, password=PASSWORD), 409, "ALREADY_EXISTS")
    done(api.delete(ANN))
    refused(post(api, ANN, password=PASSWORD), 409, "ALREADY_EXISTS")


def test_another_request_is_refused(api: Client, world: World) -> None:
    """Another path, value, condition or preference; the same form as JSON is the same."""
    done(post(api, ANN, password=PASSWORD, name="Ann"))
    before = world.snapshot()
    form = {"password": PASSWORD, "name": "Ann"}
    for answer in (
        post(api, "/api/user/bob@one.test", **form),
        post(api, "/api/alias/ann@one.test"),
        post(api, ANN, **form | {"name": "Anne"}),
        post(api, ANN, **form | {"password": "another good one"}),
        post(api, ANN, **form, quota="5"),
        post(api, f"{ANN}?dry_run=yes", **form),
        post(api, ANN, headers={"If-None-Match": "*"}, **form),
        post(api, ANN, headers={"Prefer": "respond-async"}, **form),
    ):
        refused(answer, 422, "IDEMPOTENCY_KEY_REUSED")
    assert world.snapshot() == before
    headers = {"Idempotency-Key": KEY}
    same = api.session.post(api.url + ANN, json=form, headers=headers, timeout=60)
    assert done(same).headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "naïve".encode().decode("latin-1")])
def test_a_malformed_key_is_refused(api: Client, key: str) -> None:
    refused(post(api, ANN, key, password=PASSWORD), 400, "INVALID_PARAMETER")
    assert api.get(ANN).status_code == 404


def test_other_methods_take_no_key(api: Client) -> None:
    """They can be repeated as they are."""
    headers = {"Idempotency-Key": KEY}
    for name in ("One", "Two"):
        done(api.call("PUT", "/api/domain/one.test", headers=headers, name=name))
    assert api.get("/api/domain/one.test").json()["_data"]["cn"] == ["Two"]


def test_a_key_belongs_to_its_caller(served: Served, api: Client) -> None:
    """Another admin, and a token of the same one, have keys of their own."""
    done(post(api, ANN, password=PASSWORD))
    made = post(api, "/api/tokens", "t", name="x", scopes="users:create").json()["_data"]
    client = served.client()
    client.session.headers["Authorization"] = f"Bearer {made['secret']}"
    refused(post(client, ANN, password=PASSWORD), 409, "ALREADY_EXISTS")
    done(api.post("/api/user/boss@one.test", password=PASSWORD))
    done(api.put("/api/user/boss@one.test", isGlobalAdmin="yes"))
    boss = served.client().log_in("boss@one.test", PASSWORD)
    done(post(boss, "/api/user/bob@one.test", password=PASSWORD))


def test_a_new_token_is_answered_again_and_stored_nowhere(
    api: Client, served: Served, tmp_path: Path
) -> None:
    """Its secret is in both answers, and in no file; nor is the password of a request."""
    answers = [post(api, "/api/tokens", name="x").json()["_data"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(api.get("/api/tokens").json()["_data"]) == 1
    done(post(api, ANN, "p", password=PASSWORD))
    for file in tmp_path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            for secret in (answers[0]["secret"], PASSWORD, KEY):
                assert secret.encode() not in content, file


def test_a_503_that_changed_nothing_is_not_kept(
    api: Client, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is carried out when the server answers again."""
    with monkeypatch.context() as patch:
        patch.setattr("iredldap.web.resources.base.execute", _down(None))
        refused(post(api, ANN, password=PASSWORD), 503, "SERVER_DOWN")
    again = done(post(api, ANN, password=PASSWORD))
    assert "Idempotency-Replayed" not in again.headers


def test_what_broke_off_is_undone_and_made(
    api: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a repeat: else a creation would be refused, because half of it is there."""
    original = RecordedDirectory.write

    def write(self: RecordedDirectory, operation: Operation) -> str | None:
        if operation.dn.startswith("ou=Externals"):
            raise ServerDown("a test")
        return original(self, operation)

    with monkeypatch.context() as patch:
        patch.setattr(RecordedDirectory, "write", write)
        first = post(api, "/api/domain/two.test")
    assert first.status_code == 503
    assert "done" in first.json()["_data"]
    assert world.entry(world.tree.domain("two.test"))

    second = done(post(api, "/api/domain/two.test"))

    assert "Idempotency-Replayed" not in second.headers
    assert world.entry(f"ou=Externals,{world.tree.domain('two.test')}")
    (undo,) = [one for one in changes(api) if one["endpoint"] == "change_undo"]
    assert undo["undoes"] == first.headers["X-Change-Id"]
    again = done(post(api, "/api/domain/two.test"))
    assert again.headers["Idempotency-Replayed"] == "true"


def changes(api: Client) -> list[Any]:
    found: list[Any] = api.get("/api/changes").json()["_data"]
    return found


def test_a_change_whose_answer_was_lost_is_not_made_again(
    api: Client, served: Served, world: World
) -> None:
    """The log says that it was made: its worker died before it could keep the answer."""
    first = done(post(api, ANN, password=PASSWORD))
    before = world.snapshot()
    _forget_answer(served)

    again = done(post(api, ANN, password=PASSWORD))

    assert again.headers["X-Change-Id"] == first.headers["X-Change-Id"]
    assert world.snapshot() == before


def test_a_creation_whose_worker_died_is_undone_and_made(
    api: Client, served: Served, world: World
) -> None:
    """How far it came is not known: the account gets what the request says, all of it."""
    first = done(post(api, ANN, password=PASSWORD, name="Ann"))
    number, dn = first.headers["X-Change-Id"], world.tree.user("ann@one.test")
    old = world.entry(dn)
    _forget_answer(served)
    log = f"{served.config.state.url.reveal()}.changes"
    killed = "UPDATE changes SET result = 'open', heartbeat = 0, touched = NULL, pending = touched"
    execute(log, f"{killed} WHERE id = '{number}'")

    second = done(post(api, ANN, password=PASSWORD, name="Ann"))

    assert second.headers["X-Change-Id"] != number
    new = world.entry(dn)
    assert old
    assert new
    assert new.text("entryUUID") != old.text("entryUUID")
    assert new.text("cn") == "Ann"
    results = {one["id"]: one["result"] for one in changes(api)}
    assert results[number] == "unconfirmed"


def _forget_answer(served: Served) -> None:
    """Leave the key as a worker does that dies after its change."""
    state = served.config.state.url.reveal()
    execute(state, "UPDATE idempotent_answers SET answer = NULL, began = began - 15001")


def _down(report: dict[str, object] | None) -> Callable[..., None]:
    def fails(*_positional: object, **_named: object) -> None:
        raise ServerDown("a test", report=report)

    return fails


def test_the_client_of_a_broken_connection_asks_again(api: Client, served: Served) -> None:
    """It did not read the answer; the server has made it."""
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(served.url)
    cookies = "; ".join(f"{name}={value}" for name, value in api.session.cookies.items())
    body = f"password={PASSWORD.replace(' ', '+')}"
    with socket.create_connection((parts.hostname or "", parts.port or 0), 60) as raw:
        head = f"POST {ANN} HTTP/1.0\r\nHost: {parts.netloc}\r\nCookie: {cookies}\r\n"
        head += f"Idempotency-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        raw.sendall((head + body).encode())
    answer = post(api, ANN, password=PASSWORD)
    while answer.status_code == 409:
        refused(answer, 409, "IDEMPOTENCY_KEY_IN_USE")
        answer = post(api, ANN, password=PASSWORD)
    done(answer)


def test_the_same_request_at_once_is_done_once(api: Client, served: Served) -> None:
    """While the first is being carried out the others are told to come back."""
    first: list[requests.Response] = []
    thread = threading.Thread(
        target=lambda: first.append(post(Client(api.url, _copy(api)), ANN, password=PASSWORD))
    )
    with served.gateways.outside.turns.take(frozenset({"one.test"})):
        thread.start()
        # Only then: who claims the key waits for the turn, which this thread has.
        wait_until(lambda: bool(_claims(served)))
        waiting = refused(post(api, ANN, password=PASSWORD), 409, "IDEMPOTENCY_KEY_IN_USE")
        assert "Retry-After" in waiting.headers
    thread.join()
    done(first[0])
    again = at_once(*[lambda: post(Client(api.url, _copy(api)), ANN, password=PASSWORD)] * 3)
    assert [done(answer).headers["Idempotency-Replayed"] for answer in again] == ["true"] * 3


def _copy(client: Client) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.cookies.update(client.session.cookies)
    return session


def test_the_claim_of_a_dead_worker_is_taken_over(api: Client, served: Served) -> None:
    """After `jobs.abandoned` without a sign of life; before that, it is in use."""
    done(post(api, ANN, password=PASSWORD))
    state = served.config.state.url.reveal()
    execute(state, "UPDATE idempotent_answers SET answer = NULL")
    answer = refused(post(api, ANN, password=PASSWORD), 409, "IDEMPOTENCY_KEY_IN_USE")
    assert answer.headers["Retry-After"] == "1"
    execute(state, "UPDATE idempotent_answers SET began = began - 15001")
    assert "Idempotency-Replayed" not in done(post(api, ANN, password=PASSWORD)).headers
    assert done(post(api, ANN, password=PASSWORD)).headers["Idempotency-Replayed"] == "true"


def test_a_long_request_is_not_done_twice(api: Client, serve: Any, world: World) -> None:
    """Its worker gives signs of life, however short the time after which it would be dead."""
    served: Served = serve(jobs={"abandoned": 0.5})
    client = Client(served.url, api.session)
    first: list[requests.Response] = []
    thread = threading.Thread(
        target=lambda: first.append(post(Client(served.url, _copy(api)), ANN, password=PASSWORD))
    )
    with served.gateways.outside.turns.take(frozenset({"one.test"})):
        thread.start()
        wait_until(lambda: bool(_claims(served)))
        until = time.monotonic() + 2
        while time.monotonic() < until:
            refused(post(client, ANN, password=PASSWORD), 409, "IDEMPOTENCY_KEY_IN_USE")
    thread.join()
    done(first[0])
    again = done(post(client, ANN, password=PASSWORD))
    assert again.headers["X-Change-Id"] == first[0].headers["X-Change-Id"]


def test_a_sign_of_life_wins_against_who_takes_over(served: Served) -> None:
    """Also when it comes after the other has read the claim."""
    kept = IdempotentAnswers(served.gateways.state.database)
    assert kept.claim("id", KeptAnswer("r", "one", None, 1000), 0) is None
    rival = KeptAnswer("r", "two", None, 90_000)
    found = kept.claim("id", rival, 0)
    assert found == KeptAnswer("r", "one", None, 1000)
    kept.beat(["one"], 80_000)
    assert not kept.take_over("id", found, rival)
    late = kept.claim("id", rival, 0)
    assert late
    assert kept.take_over("id", late, rival)


def _claims(served: Served) -> list[tuple[Any, ...]]:
    return rows(served.config.state.url.reveal(), "SELECT claim FROM idempotent_answers")


def test_an_answer_is_forgotten_after_a_day(api: Client, served: Served) -> None:
    done(post(api, ANN, password=PASSWORD))
    state = served.config.state.url.reveal()
    execute(state, f"UPDATE idempotent_answers SET began = began - {24 * 3600 * 1000 + 1000}")
    refused(post(api, ANN, password=PASSWORD), 409, "ALREADY_EXISTS")


def test_a_job_is_accepted_once(api: Client) -> None:
    headers = {"Prefer": "respond-async"}
    first, again = (post(api, ANN, headers=headers, password=PASSWORD) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert first.headers["Location"] == again.headers["Location"]
