"""An undo gives its caller nothing that the calls themselves would not give them."""

import pytest
import requests

from tests.support.client import Client, done, refused
from tests.support.serving import Served
from tests.support.world import World

CORP, OTHER = "corp.test", "other.test"
ANN, BOB = f"ann@{CORP}", f"bob@{CORP}"
PASSWORD = "a good Passw0rd"


@pytest.fixture
def bob(api: Client, served: Served) -> Client:
    """A normal admin of a domain; Ann is a user in it."""
    for name in (CORP, OTHER):
        done(api.post(f"/api/domain/{name}"))
    for mail in (ANN, BOB):
        done(api.post(f"/api/user/{mail}", password=PASSWORD, name="Name"))
    done(api.put(f"/api/domain/admins/{CORP}", addAdmin=BOB))
    return served.client().log_in(BOB, PASSWORD)


def number(answer: requests.Response) -> str:
    return done(answer).headers["X-Change-Id"]


def undo(client: Client, change: str) -> requests.Response:
    return client.post(f"/api/changes/{change}/undo")


def test_a_deleted_global_admin_comes_back_for_global_admins_only(
    api: Client, bob: Client, world: World
) -> None:
    done(api.put(f"/api/user/{ANN}", isGlobalAdmin="yes"))
    change = number(api.delete(f"/api/user/{ANN}"))

    refused(undo(bob, change), 403, "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE")
    assert world.entry(world.tree.user(ANN)) is None
    assert undo(api, change).status_code == 200
    assert world.entry(world.tree.user(ANN))


def test_an_admin_of_foreign_domains_does_not_get_a_former_password_back(
    api: Client, bob: Client, world: World
) -> None:
    """With it the caller could log in as them."""
    change = number(api.put(f"/api/user/{ANN}", password="another Passw0rd"))
    done(api.put(f"/api/domain/admins/{OTHER}", addAdmin=ANN))
    before = world.snapshot()

    refused(undo(bob, change), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before


def test_a_token_without_the_scope_gives_no_admin_a_former_password_back(
    api: Client, bob: Client, served: Served, world: World
) -> None:
    change = number(api.put(f"/api/user/{BOB}", password="another Passw0rd"))
    before = world.snapshot()
    scopes = "passwords:update,users:update,changes:update"

    refused(undo(with_token(served, api, scopes), change), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before
    assert undo(with_token(served, api, f"{scopes},admins:update"), change).status_code == 200


def with_token(served: Served, maker: Client, scopes: str) -> Client:
    made = maker.post("/api/tokens", name="undo", scopes=scopes).json()["_data"]
    client = served.client()
    client.session.headers["Authorization"] = f"Bearer {made['secret']}"
    return client
