"""Accounts whose addresses a path holds only encoded, or that have no address at all.

Other tools made them; listings show them, so every call reaches them, through the server as it is
installed: what of a path it decodes is its own business.
"""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd
from tests.support.client import Client, done, refused
from tests.support.gunicorn import gunicorn
from tests.support.world import SUFFIX, World, salted

CORP, ANN = "corp.test", "ann@corp.test"
PASSWORD = "a good password"
ADDRESSES = ["a/b@corp.test", "/a//b/@corp.test", "two@at@corp.test", "noatsign", "no/sign"]
KINDS = {"user": "Users", "alias": "Aliases", "maillist": "Groups"}


@pytest.fixture(scope="module")
def url(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("gunicorn")
    with gunicorn(World(slapd, Tree(SUFFIX)), folder) as served:
        yield served


@pytest.fixture
def api(url: str, world: World) -> Client:
    """A global admin, in front of a domain with one user."""
    client = Client(url).log_in()
    done(client.post(f"/api/domain/{CORP}"))
    done(client.post(f"/api/user/{ANN}", password=PASSWORD))
    return client


def plant(world: World, kind: str, mail: str) -> str:
    """Make an account as another tool does; give its DN."""
    classes = {
        "user": ["inetOrgPerson", "mailUser"],
        "alias": ["mailAlias"],
        "maillist": ["mailList"],
    }
    more = {"sn": "Odd", "cn": "Odd", "uid": "odd"} if kind == "user" else {}
    dn = f"mail={mail},{world.tree.container(CORP, KINDS[kind])}"
    world.add(
        dn,
        objectClass=classes[kind],
        mail=mail,
        accountStatus="active",
        enabledService=["mail", "deliver"],
        **({"userPassword": salted(PASSWORD)} if kind == "user" else {}),
        **more,
    )
    return dn


@pytest.mark.parametrize("mail", ADDRESSES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_listed_is_reached(api: Client, world: World, kind: str, mail: str) -> None:
    """Read, switched off and on, exported, renamed and deleted, named as the listing does."""
    dn = plant(world, kind, mail)
    if kind != "maillist":
        plural = {"user": "users", "alias": "aliases"}[kind]
        assert mail in api.get(f"/api/{plural}/{CORP}").json()["_data"]
    path = f"/api/{kind}/{quote(mail, safe='')}"

    assert api.get(path).json()["_data"]["mail"] == [mail]
    if kind != "maillist":
        done(api.put(path, accountStatus="disabled"))
        assert world.attributes(dn)["accountStatus"] == {"disabled"}
    done(api.put(path, name="Nobody"))
    assert world.attributes(dn)["cn"] == {"Nobody"}
    text = api.get(f"/api/ldif/{kind}/{quote(mail, safe='')}", format="ldif").text
    assert re.findall("(?m)^mail: (.*)$", text.replace("\n ", "")) == [mail]
    if kind == "user":
        verify = f"/api/verify_password/user/{quote(mail, safe='')}"
        assert api.post(verify, password=PASSWORD).json()["_success"]
    if kind != "maillist":
        new = f"new@{CORP}"
        done(api.post(f"{path}/change_email/{new}"))
        assert world.entry(dn) is None
        now = world.attributes(f"mail={new},{world.tree.container(CORP, KINDS[kind])}")
        assert (now["mail"], "shadowAddress" in now) == ({new}, False)
        done(api.delete(f"/api/{kind}/{new}"))
        plant(world, kind, mail)

    done(api.delete(path))

    assert world.entry(dn) is None
    gone = api.get(path)
    refused(gone, *((404, "NO_SUCH_ACCOUNT") if "@" in mail else (400, "INVALID_MAIL")))


def test_mentions_of_what_is_no_address_follow_it(api: Client, world: World) -> None:
    """And go with it, as those of an address do."""
    plant(world, "user", "noatsign")
    ann = world.tree.user(ANN)
    world.set(ann, mailForwardingAddress=["noatsign", ANN])
    done(api.post(f"/api/user/noatsign/change_email/good@{CORP}"))
    assert world.attributes(ann)["mailForwardingAddress"] == {f"good@{CORP}", ANN}
    plant(world, "user", "noatsign")
    world.set(ann, mailForwardingAddress=["noatsign", ANN])
    done(api.delete("/api/user/noatsign"))
    assert world.attributes(ann)["mailForwardingAddress"] == {ANN}


def test_what_is_no_address_is_for_global_admins(api: Client, url: str, world: World) -> None:
    """It tells no domain whose admins could have a right to it."""
    dn = plant(world, "user", "noatsign")
    done(api.put(f"/api/domain/admins/{CORP}", addAdmin=ANN))
    ann = Client(url).log_in(ANN, PASSWORD)
    refused(ann.get("/api/user/noatsign"), 400, "INVALID_MAIL")
    refused(ann.delete("/api/user/noatsign"), 400, "INVALID_MAIL")
    refused(ann.post(f"/api/user/noatsign/change_email/x@{CORP}"), 400, "INVALID_MAIL")
    assert world.entry(dn)


def test_two_that_are_no_address_are_told(api: Client, world: World) -> None:
    """Of two domains: nobody can say which one was meant."""
    done(api.post("/api/domain/other.test"))
    dn = plant(world, "alias", "noatsign")
    other = dn.replace(CORP, "other.test")
    world.add(other, objectClass="mailAlias", mail="noatsign", accountStatus="active")
    answer = api.delete("/api/alias/noatsign")
    assert (answer.status_code, answer.json()["_msg"]) == (409, "AMBIGUOUS_ACCOUNT")
    assert answer.json()["_data"] == {"entries": sorted([dn, other])}


def test_a_slash_that_is_not_encoded_separates(api: Client, world: World) -> None:
    """Neither is an encoded one a part of the path's own words."""
    plant(world, "user", "a/b@corp.test")
    assert api.get("/api/user/a/b@corp.test").status_code == 404
    assert api.get(f"/api%2Fuser/{ANN}").status_code == 404
    assert api.get(f"//iredadmin/api//user/{ANN}/").status_code == 200
    assert api.get("//iredadmin/api//user/a%2fb@corp.test/").status_code == 200
    assert api.get(f"/api/user/{ANN}?next=a%2Fb").status_code == 200


def test_a_new_account_has_an_address(api: Client, world: World) -> None:
    before = world.snapshot()
    for kind in KINDS:
        for mail in ADDRESSES:
            answer = api.post(f"/api/{kind}/{quote(mail, safe='')}", password=PASSWORD)
            refused(answer, 400, "INVALID_MAIL")
    for mail in ADDRESSES:
        new = quote(mail, safe="")
        refused(api.post(f"/api/user/{ANN}/change_email/{new}"), 400, "INVALID_MAIL")
    assert world.snapshot() == before
