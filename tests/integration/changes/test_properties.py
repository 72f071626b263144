"""Whatever is valid is read back as it was written; whatever is junk is refused in order."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import ENDPOINTS
from tests.support.client import Client, done
from tests.support.examples import examples
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.patience import PATIENCE
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"
MAIL, DOMAIN = "ann@here.test", "here.test"

EXAMPLES = 20

TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=60).filter(
    lambda text: text.strip() and _is_kept(text)
)


def _is_kept(text: str) -> bool:
    """The directory does not keep what it prepares to nothing at all (RFC 4518)."""
    return any(char.isalnum() for char in text)


LOCAL = st.from_regex(r"[a-z0-9_#-][a-z0-9_&#-]{0,20}(\.[a-z0-9_&#-]{1,10})?", fullmatch=True)
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
NAME = st.builds(lambda one, two: f"{one}.{two}.test", LABEL, LABEL)
ADDRESS = st.builds(lambda local, name: f"{local}@{name}", LOCAL, NAME)
PASSWORDS = (
    st.text(string.printable[:95], min_size=8, max_size=40)
    .map(str.strip)
    .filter(lambda text: len(text) >= 8)
)
JUNK = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["\x00", "-1", "9" * 400, "٣", "a@b@c", ",,,", "*", ")(uid=*", "\r\nX: y", "%"]
    ),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
)


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    return {"mlmmjadmin": mlmmjadmin.settings}


@pytest.fixture
def ready(api: Client) -> Client:
    """A domain with a user, lists and an alias; and a standalone admin."""
    done(api.post(f"/api/domain/{DOMAIN}"))
    done(api.post("/api/ml/talk@here.test"))
    done(api.post("/api/admin/root@far.test", password=PASSWORD))
    done(api.post(f"/api/user/{MAIL}", password=PASSWORD))
    done(api.post("/api/maillist/list@here.test", members=MAIL))
    done(api.post("/api/alias/alias@here.test", members=MAIL))
    return api


@examples(EXAMPLES)
@given(mail=LOCAL, name=TEXT, password=PASSWORDS, quota=st.integers(0, 16 * 1024 * 1024))
def test_any_user(
    ready: Client, world: World, mail: str, name: str, password: str, quota: int
) -> None:
    """Address, display name, quota and password are those that were sent."""
    path = f"/api/user/{mail.replace('#', '%23')}x1@{DOMAIN}"
    done(ready.post(path, name=name, password=password, quota=quota))
    shown = ready.get(path).json()["_data"]
    assert shown["mail"] == [f"{mail}x1@{DOMAIN}"]
    assert shown["cn"] == [name.strip()]
    assert shown.get("mailQuota") == ([str(quota * 1024 * 1024)] if quota else None)
    world.connect(world.tree.user(f"{mail}x1@{DOMAIN}"), password).unbind_s()
    done(ready.delete(path))


@examples(EXAMPLES)
@given(name=NAME, description=TEXT, limits=st.lists(st.integers(-1, 10**6), min_size=3, max_size=3))
def test_any_domain(ready: Client, name: str, description: str, limits: list[int]) -> None:
    """Name, description and limits; a limit of 0 is none."""
    keys = ("numberOfUsers", "numberOfAliases", "numberOfLists")
    sent = dict(zip(keys, limits, strict=True))
    done(ready.post(f"/api/domain/{name}", name=description, **sent))
    shown = ready.get(f"/api/domain/{name}").json()["_data"]
    assert shown["domainName"] == [name]
    assert shown["cn"] == [description.strip()]
    stored = shown.get("accountSetting", {})
    assert {key: stored.get(key, 0) for key in keys} == sent
    done(ready.delete(f"/api/domain/{name}"))


@examples(EXAMPLES)
@given(addresses=st.lists(ADDRESS, max_size=8), kind=st.sampled_from(["maillist", "alias"]))
def test_any_members(ready: Client, addresses: list[str], kind: str) -> None:
    """A list of foreign addresses is read back as a set."""
    path = f"/api/{kind}/{'list' if kind == 'maillist' else 'alias'}@here.test"
    done(ready.put(path, members=",".join(addresses)))
    assert ready.get(path).json()["_data"]["members"] == sorted(set(addresses))


@examples(EXAMPLES)
@given(addresses=st.lists(ADDRESS, min_size=1, max_size=8))
def test_any_forwarding(ready: Client, world: World, addresses: list[str]) -> None:
    """Forwardings too."""
    done(ready.put(f"/api/user/{MAIL}", forwarding=",".join(addresses)))
    stored = world.attributes(world.tree.user(MAIL))["mailForwardingAddress"]
    assert stored == set(addresses)


WRITES = [
    endpoint
    for endpoint in ENDPOINTS
    if endpoint.method in {"POST", "PUT"} and endpoint.table and not endpoint.is_open
]


THERE = {"maillist": "list@here.test", "alias": "alias@here.test", "ml": "talk@here.test",
         "admin": "root@far.test"}  # fmt: skip
"""Accounts beside the user, by the word that paths have for them."""


def path_of(endpoint: Endpoint) -> str:
    """Where it is about something that is there, or, for a creation, is not."""
    kind = next((word for word in THERE if f"/{word}/" in endpoint.path), "")
    mail = THERE.get(kind, MAIL)
    if endpoint.id.endswith("_create"):
        mail = f"new-{mail}"
    domain = "new.test" if endpoint.id == "domain_create" else DOMAIN
    return endpoint.path.format(mail=mail, domain=domain, new_mail="newer@here.test")


@pytest.mark.parametrize("endpoint", WRITES, ids=lambda endpoint: endpoint.id)
@examples(EXAMPLES)
@given(data=st.data())
def test_any_junk(
    ready: Client, world: World, served: Served, endpoint: Endpoint, data: st.DataObject
) -> None:
    """An envelope with a code, never an error of ours, and a refusal changes nothing."""
    names = [field.name for field in endpoint.table]
    chosen = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    parameters: dict[str, Any] = {name: data.draw(JUNK) for name in chosen}
    if endpoint.id in {"user_create", "admin_create"} and "password" not in parameters:
        parameters["password"] = PASSWORD
    before = world.snapshot()

    answer = ready.call(endpoint.method, path_of(endpoint), **parameters)

    envelope = answer.json()
    assert answer.status_code < 500, parameters
    assert envelope["_success"] is (answer.status_code == 200 and "_msg" not in envelope)
    if not envelope["_success"]:
        assert envelope["_msg"]
        assert world.snapshot() == before, parameters
    elif endpoint.method == "POST" and endpoint.id.endswith("_create"):
        made = envelope["_data"]["id"] if endpoint.id == "token_create" else ""
        done(ready.delete(path_of(endpoint) + (f"/{made}" if made else "")))


@examples(EXAMPLES)
@given(path=st.text(max_size=40), method=st.sampled_from(["GET", "PUT", "POST", "DELETE"]))
def test_any_path(ready: Client, world: World, path: str, method: str) -> None:
    """Names in a path are no better than parameters."""
    before = world.snapshot()
    for prefix in ("/api/user/", "/api/domain/", "/api/"):
        answer = ready.session.request(
            method, f"{ready.url}{prefix}{path}@here.test", timeout=PATIENCE, allow_redirects=False
        )
        assert answer.status_code < 500
        if answer.headers["Content-Type"] == "application/json":
            assert answer.json()["_success"] is False
    assert world.snapshot() == before
