"""Listings of views: chosen parameters, searched, as lines."""

import json
from typing import Any

import pytest

from tests.support.client import Client, done, refused
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.serving import Served
from tests.support.views import view
from tests.support.world import ADMIN, World

CORP = "corp.test"
LINES = {"Accept": "application/x-ndjson"}


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    return {"mlmmjadmin": mlmmjadmin.settings}


@pytest.fixture
def corp(api: Client) -> str:
    """A domain with three users, two aliases and a list."""
    done(api.post(f"/api/domain/{CORP}", name="Corporation"))
    done(api.put(f"/api/domain/{CORP}", aliasDomains="a.test", catchall="x@far.test"))
    for name in ("ann", "bob", "eve"):
        path = f"/api/user/{name}@{CORP}"
        done(api.post(path, password="a good password", name=f"{name.upper()} Adams"))
        done(api.put(path, aliases=f"{name}.sales@{CORP}", forwarding="x@far.test"))
    done(api.post(f"/api/alias/team@{CORP}", members=f"ann@{CORP}"))
    done(api.post(f"/api/alias/all@{CORP}"))
    done(api.post(f"/api/ml/news@{CORP}"))
    done(api.post(f"/api/maillist/all.staff@{CORP}", members=f"ann@{CORP},x@far.test"))
    done(api.post("/api/admin/eve@admins.test", password="a good password", maxUsers="9"))
    return CORP


def lines(api: Client, path: str, **parameters: str) -> list[Any]:
    answer = api.get(path, headers=LINES, **parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == LINES["Accept"]
    return [json.loads(line) for line in answer.text.splitlines()]


LISTED = {
    "/api/domains": ("domain", [CORP]),
    f"/api/users/{CORP}": ("user", [f"{name}@{CORP}" for name in ("ann", "bob", "eve")]),
    f"/api/aliases/{CORP}": ("alias", [f"all@{CORP}", f"team@{CORP}"]),
    f"/api/mls/{CORP}": ("ml", [f"news@{CORP}"]),
    f"/api/maillists/{CORP}": ("maillist", [f"all.staff@{CORP}"]),
    "/api/admins": ("admin", ["eve@admins.test", ADMIN]),
}


def test_a_listing_has_the_view_of_each_entry(api: Client, world: World, corp: str) -> None:
    """As a whole, by pages and as lines."""
    for path, (kind, names) in LISTED.items():
        wanted = {name: view(api, f"/api/{kind}/{name}") for name in names}
        assert api.get(path, view="params").json()["_data"] == wanted
        page = api.get(path, view="params", limit="2").json()["_data"]
        assert page == {name: wanted[name] for name in names[:2]}
        key = "domain" if kind == "domain" else "mail"
        assert {one[key]: one for one in lines(api, path, view="params")} == wanted


def test_views_have_paths_of_their_own(api: Client, served: Served, corp: str) -> None:
    """With the answers, rights and pages of the others; nothing is written there."""
    for path, (kind, names) in LISTED.items():
        one = f"/api/{kind}/{names[0]}"
        answer = api.get(f"{one}/params")
        assert answer.json()["_data"] == view(api, one)
        assert answer.headers["ETag"] == api.get(one).headers["ETag"]
        wanted = api.get(path, view="params").json()["_data"]
        assert api.get(f"{path}/params").json()["_data"] == wanted
        assert lines(api, f"{path}/params") == lines(api, path, view="params")
        for place in (f"{path}/params", f"{one}/params"):
            assert api.put(place, quota="1").status_code == 405
            refused(served.client().get(place), 401, "LOGIN_REQUIRED")
    answer = api.get(f"/api/users/{corp}/params", limit="2", fields="quota")
    rest = api.get(answer.headers["Link"].partition("<")[2].partition(">")[0])
    assert not rest.headers.get("X-Ignored-Parameters")
    assert {name: {*one} for name, one in rest.json()["_data"].items()} == {
        f"eve@{corp}": {"mail", "id", "quota"}
    }
    policy = f"/api/throttle/{corp}/inbound"
    assert api.get(f"{policy}/params").json()["_data"] == view(api, policy)


def test_fields_choose_parameters(api: Client, world: World, corp: str) -> None:
    """What identifies an entry is always there, and names of what cannot be shown."""
    path = f"/api/users/{corp}"
    answer = api.get(path, view="params", fields="quota,Aliases,mailQuota")
    assert answer.headers["X-Ignored-Values"] == "mailQuota"
    for name, one in answer.json()["_data"].items():
        assert {*one} == {"mail", "id", "quota", "aliases"}
        assert one["aliases"] == [f"{name.partition('@')[0]}.sales@{corp}"]
    for listing, (kind, names) in LISTED.items():
        whole = view(api, f"/api/{kind}/{names[0]}")
        identity = {"domain" if kind == "domain" else "mail", "id"}
        for name in {*whole} - identity:
            shown = api.get(listing, view="params", fields=name).json()["_data"][names[0]]
            assert shown == {key: whole[key] for key in (*identity, name)}
    strict = {"Prefer": "handling=strict"}
    answer = api.get(path, view="params", fields="quota,cn", headers=strict)
    refused(answer, 400, "INVALID_PARAMETER")
    refused(api.get(path, view="params", fields="cn"), 400, "INVALID_PARAMETER")
    refused(api.get(path, view="params", email_only="yes"), 400, "PARAMETER_CONFLICT")
    world.set(world.tree.user(f"ann@{corp}"), cn=["Ann", "Anna"])
    shown = api.get(path, view="params", fields="name,quota").json()["_data"][f"ann@{corp}"]
    assert (shown["left_out"], "name" in shown) == (["name"], False)


SEARCHED = {
    "ANN": ["ann"],
    "adams": ["ann", "bob", "eve"],
    "b.sales": ["bob"],
    "eve@a.test": ["eve"],
    "*": [],
    "ann)(mail=*": [],
    "(": [],
    ")": [],
    "\\": [],
    "\\2a": [],
    "n": ["ann", "bob"],
    "ü": ["bob"],
    "ÜR": ["bob"],
    "straße": ["bob"],
    "漢": [],
    " ann ": ["ann"],
    "ann  adams": ["ann"],
}


def test_a_search_looks_into_names_and_addresses(api: Client, corp: str) -> None:
    """For the text as it is, in any letter case."""
    done(api.put(f"/api/user/bob@{corp}", name="Jürgen Straße Adams"))
    path = f"/api/users/{corp}"
    found = {
        word: api.get(path, search=word, email_only="yes").json()["_data"] for word in SEARCHED
    }
    assert found == {word: [f"{name}@{corp}" for name in names] for word, names in SEARCHED.items()}
    # Without a text there is nothing to search for, which is told.
    for nothing in ("", " "):
        answer = api.get(path, search=nothing, email_only="yes")
        assert answer.headers["X-Ignored-Parameters"] == "search"
        assert len(answer.json()["_data"]) == 3
    for bad in ("a\0b", "a\nb"):
        refused(api.get(path, search=bad), 400, "INVALID_PARAMETER")


def test_domains_are_searched_by_their_names(api: Client, corp: str) -> None:
    done(api.post("/api/domain/other.test"))
    for word, names in {"porat": [CORP], "A.TEST": [CORP], "r.test": ["other.test"]}.items():
        assert lines(api, "/api/domains", search=word, name_only="yes") == names


def test_profiles_and_names_are_sent_as_lines(api: Client, corp: str) -> None:
    """The address is there whatever was chosen."""
    path = f"/api/users/{corp}"
    assert lines(api, path, email_only="yes") == LISTED[path][1]
    assert lines(api, path, fields="cn", limit="1") == [
        {"mail": [f"ann@{corp}"], "cn": ["ANN Adams"]}
    ]
    profiles = api.get(path).json()["_data"].values()
    assert lines(api, path) == [*profiles]
    # What is refused is refused in the envelope.
    answer = api.get("/api/users/none.test", headers=LINES)
    refused(answer, 404, "NO_SUCH_ACCOUNT")
