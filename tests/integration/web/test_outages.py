"""The state database is away: who may read meanwhile, and who may not."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from iredldap.config.settings import Secret
from iredldap.gateways.rounds import Rounds
from tests.support.client import Client, done, refused
from tests.support.databases import PostgreSQL, Urls
from tests.support.patience import wait_until
from tests.support.serving import Served, configuration, serving
from tests.support.world import ADMIN, ADMIN_PASSWORD, World

DOMAIN = "/api/domain/one.test"


@pytest.fixture
def state(postgresql: PostgreSQL, unique: str) -> Iterator[str]:
    if not postgresql.running:
        postgresql.start()
    name = f"state_{unique}"
    yield postgresql.create_empty(name)
    postgresql.drop(name)


@pytest.fixture
def nodes(
    world: World, tmp_path: Path, urls: Urls, state: str, patient: None, parsed_once: None
) -> Iterator[Any]:
    """Start a node on one PostgreSQL: ``nodes("n1", known_for=…)``."""
    with ExitStack() as running:

        def start(name: str, known_for: int = 300, **changes: Any) -> Served:
            own: dict[str, Any] = {"session": {"recheck": 0.05}, "server": {"node": name}}
            config = configuration(world, tmp_path, urls, **own | changes)
            stored = replace(config.state, url=Secret(state), known_for=known_for)
            return running.enter_context(serving(replace(config, state=stored)))

        yield start


@contextmanager
def away(server: PostgreSQL) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


def confirm(served: Served) -> None:
    """Do what a node does every two seconds."""
    for work in served.gateways.background:
        if isinstance(work, Rounds):
            work.work()


def token_client(served: Served, api: Client) -> tuple[Client, str]:
    made = api.post("/api/tokens", name="t", scopes="domains:read,domains:update").json()["_data"]
    client = served.client()
    client.session.headers["Authorization"] = f"Bearer {made['secret']}"
    return client, made["id"]


def shown(answer: requests.Response) -> None:
    assert answer.status_code == 200, answer.text


def down(answer: requests.Response) -> None:
    """Insist on the refusal that a client repeats."""
    assert (answer.status_code, answer.json()["_msg"]) == (503, "SERVER_DOWN")
    assert int(answer.headers["Retry-After"]) > 0


def test_who_is_known_may_read(nodes: Any, postgresql: PostgreSQL) -> None:
    """By cookie and by token; changes and strangers wait, and a forged cookie is none."""
    served = nodes("n1")
    api = served.client().log_in()
    done(api.post(DOMAIN))
    stranger = served.client().log_in()
    token, _ = token_client(served, api)
    shown(token.get(DOMAIN))
    forged = served.client()
    forged.session.headers["Cookie"] = "iRedAdmin-LDAP=forged"
    with away(postgresql):
        for _ in range(3):
            for client in (api, token):
                shown(client.get(DOMAIN))
                down(client.put(DOMAIN, name="x"))
        down(stranger.get(DOMAIN))
        down(served.client().post("/api/login", username=ADMIN, password=ADMIN_PASSWORD))
        down(api.post("/api/logout"))
        refused(forged.get(DOMAIN), 401, "LOGIN_REQUIRED")
        refused(served.client().get(DOMAIN), 401, "LOGIN_REQUIRED")
    for client in (api, token, stranger):
        done(client.put(DOMAIN, name="x"))


def test_a_logout_elsewhere_holds(nodes: Any, postgresql: PostgreSQL) -> None:
    """Of a session and of a token, on a node that was not asked since, and did not see it."""
    first, second = nodes("n1"), nodes("n2")
    api = first.client().log_in()
    done(api.post(DOMAIN))
    token, id_ = token_client(second, api)
    goes = first.client().log_in()
    elsewhere = Client(second.url, goes.session)
    stays = Client(second.url, api.session)
    for client in (elsewhere, token, stays):
        shown(client.get(DOMAIN))
    cookie = goes.session.cookies.copy()
    done(goes.post("/api/logout"))
    goes.session.cookies.update(cookie)
    done(api.delete(f"/api/tokens/{id_}"))
    confirm(second)
    with away(postgresql):
        refused(elsewhere.get(DOMAIN), 401, "LOGIN_REQUIRED")
        down(token.get(DOMAIN))
        shown(stays.get(DOMAIN))


def test_who_was_not_confirmed_lately_waits(nodes: Any, postgresql: PostgreSQL) -> None:
    served = nodes("n1", known_for=0)
    api = served.client().log_in()
    done(api.post(DOMAIN))
    with away(postgresql):
        # Within `session.recheck` nobody is looked up.
        wait_until(lambda: api.get(DOMAIN).status_code != 200)
        down(api.get(DOMAIN))


def test_a_new_password_ends_a_known_session(nodes: Any, postgresql: PostgreSQL) -> None:
    """That is in the directory, which responds."""
    served = nodes("n1")
    api = served.client().log_in()
    done(api.post(DOMAIN))
    done(api.post("/api/user/boss@one.test", password="a good password"))
    done(api.put("/api/user/boss@one.test", isGlobalAdmin="yes"))
    boss = served.client().log_in("boss@one.test", "a good password")
    shown(boss.get(DOMAIN))
    done(api.put("/api/user/boss@one.test", password="another good password"))
    with away(postgresql):
        wait_until(lambda: boss.get(DOMAIN).status_code == 401)
