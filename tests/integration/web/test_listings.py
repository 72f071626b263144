"""Listings: what is in them, how they are paged, and what becomes of them when something breaks."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from iredldap.dit import base
from iredldap.dit.names import Tree
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.shipped import shipped
from tests.integration.web.test_costs import counted
from tests.support.client import Client, done, refused
from tests.support.databases import Urls, execute, sqlite_databases
from tests.support.gunicorn import gunicorn
from tests.support.patience import PATIENCE, started
from tests.support.serving import Served
from tests.support.world import (
    ADMIN,
    ADMIN_PASSWORD,
    READER_PASSWORD,
    SUFFIX,
    WRITER_PASSWORD,
    World,
    salted,
)

PASSWORD = "a good password"
STORED = salted(PASSWORD)
ANN, BOB, EVE = USERS = ["ann@corp.test", "bob@corp.test", "eve@corp.test"]
LISTS = "/api/mls/corp.test"
PLAIN = ["plain@corp.test"]


@pytest.fixture
def urls(tmp_path: Path) -> Urls:
    return sqlite_databases(tmp_path)


@pytest.fixture
def corp(api: Client, world: World) -> Client:
    """A domain with an alias domain, a catch-all, users, aliases and lists of both kinds."""
    done(api.post("/api/domain/corp.test"))
    done(api.put("/api/domain/corp.test", aliasDomains="corp.example", catchall="x@far.example"))
    for mail in reversed(USERS):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.put(f"/api/user/{BOB}", accountStatus="disabled"))
    for mail in ("team@corp.test", "all@corp.test"):
        done(api.post(f"/api/alias/{mail}", members="z@far.example,y@far.example"))
    done(api.put("/api/alias/all@corp.test", accountStatus="disabled"))
    done(api.post("/api/maillist/plain@corp.test", members=ANN))
    for name in ("news", "chat"):
        add_list(world, f"{name}@corp.test")
    return api


def add_list(world: World, mail: str) -> None:
    """Add a list as mlmmjadmin's users have it."""
    world.add(
        world.tree.maillist(mail),
        objectClass="mailList",
        mail=mail,
        cn="A list",
        accountStatus="active",
        enabledService=["mail", "deliver", "mlmmj"],
        mtaTransport=f"mlmmj:{mail}",
    )


def add_users(world: World, mails: list[str], **attributes: str) -> None:
    """Add users, all on one connection."""
    connection = world.connect()
    for mail in mails:
        user = {"mail": mail, "cn": "A user", "sn": "user", "uid": mail, "accountStatus": "active"}
        values = [(name, [value.encode()]) for name, value in {**user, **attributes}.items()]
        classes = [b"inetOrgPerson", b"mailUser"]
        connection.add_s(world.tree.user(mail), [("objectClass", classes), *values])
    connection.unbind_s()


def data(answer: requests.Response) -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"_success", "_data"}
    return answer.json()["_data"]


def listed(client: Client, path: str, **parameters: Any) -> Any:
    return data(client.get(path, **parameters))


# --- what is in them --------------------------------------------------------------------------


def test_profiles_are_those_of_single_reads(corp: Client) -> None:
    """Keyed by name or address; the catch-all account is no user."""
    for path, kind, names in (
        ("/api/domains", "domain", ["corp.test"]),
        ("/api/users/corp.test", "user", USERS),
        ("/api/aliases/corp.test", "alias", ["all@corp.test", "team@corp.test"]),
    ):
        single = {name: data(corp.get(f"/api/{kind}/{name}")) for name in names}
        assert listed(corp, path) == single


def test_subscribable_lists_are_shown_as_they_are_stored(corp: Client, world: World) -> None:
    """Lists of the other kind are not among them."""
    found = listed(corp, LISTS)
    assert found.keys() == {"chat@corp.test", "news@corp.test"}
    stored = world.attributes(world.tree.maillist("news@corp.test"))
    assert {name: set(values) for name, values in found["news@corp.test"].items()} == stored


def test_unsubscribable_lists_are_shown_as_they_are_stored(corp: Client, world: World) -> None:
    """By the name of an alias domain, too; a list of a normal admin's domain is theirs to see."""
    path, (plain,) = "/api/maillists/corp.test", PLAIN
    found = listed(corp, path)
    assert found.keys() == {plain}
    stored = world.attributes(world.tree.maillist(plain))
    assert {name: set(values) for name, values in found[plain].items()} == stored
    assert listed(corp, "/api/maillists/corp.example") == found
    assert listed(corp, path, email_only="yes", search="PLAI") == PLAIN
    assert listed(corp, path, email_only="yes", search="news") == []
    refused(corp.get("/api/maillists/missing.test"), 404, "NO_SUCH_ACCOUNT")


def test_admins_are_those_that_single_reads_show(corp: Client, world: World) -> None:
    """But for the domains that name them; mail users with rights are none of them."""
    eve = "eve@admins.test"
    done(corp.post(f"/api/admin/{eve}", password=PASSWORD, name="Eve", maxUsers="9"))
    done(corp.put(f"/api/admin/{eve}", accountStatus="disabled"))
    done(corp.put(f"/api/user/{ANN}", isGlobalAdmin="yes"))
    found = listed(corp, "/api/admins")
    assert found.keys() == {ADMIN, eve}
    for mail, profile in found.items():
        single = data(corp.get(f"/api/admin/{mail}"))
        assert single.pop("managed_domains") == []
        assert profile == single
    assert listed(corp, "/api/admins", email_only="yes") == [eve, ADMIN]
    assert listed(corp, "/api/admins", disabled_only="yes", email_only="yes") == [eve]
    assert listed(corp, "/api/admins", fields="settings,isGlobalAdmin", limit=1) == {
        eve: {"settings": {"create_max_users": 9}, "isglobaladmin": 0}
    }


def test_hidden_attributes_of_admins_stay_hidden(serve: Any, corp: Client) -> None:
    client = (
        serve(api={"api_hidden_admin_profiles": ["userPassword", "accountSetting"]})
        .client()
        .log_in()
    )
    shown = listed(client, "/api/admins")[ADMIN]
    assert "mail" in shown
    assert not {"accountSetting", "settings", "userPassword"} & shown.keys()


def test_profiles_come_in_the_directory_s_order(corp: Client, world: World) -> None:
    users = world.find("(objectClass=mailUser)", world.tree.container("corp.test", "Users"))
    mails = [entry.text("mail") for entry in users]
    assert list(listed(corp, "/api/users/corp.test")) == [m for m in mails if m != "@corp.test"]


def test_names_are_sorted(corp: Client) -> None:
    done(corp.post("/api/domain/an.example"))
    assert listed(corp, "/api/domains", name_only="yes") == ["an.example", "corp.test"]
    assert listed(corp, "/api/users/corp.test", email_only="yes") == USERS
    aliases = listed(corp, "/api/aliases/corp.test", email_only="on")
    assert aliases == ["all@corp.test", "team@corp.test"]
    assert listed(corp, LISTS, email_only="1") == ["chat@corp.test", "news@corp.test"]


def test_disabled_only(corp: Client, world: World) -> None:
    """It is about an account's own status: that its domain is disabled is another matter."""
    done(corp.post("/api/domain/idle.test"))
    done(corp.put("/api/domain/idle.test", accountStatus="disabled"))
    world.set(world.tree.user(EVE), accountStatus=None)
    world.set(world.tree.user(ANN), domainStatus="disabled")
    assert listed(corp, "/api/domains", disabled_only="yes", name_only="yes") == ["idle.test"]
    assert listed(corp, "/api/users/corp.test", disabled_only="yes").keys() == {BOB, EVE}
    aliases = listed(corp, "/api/aliases/corp.test", disabled_only="yes", email_only="yes")
    assert aliases == ["all@corp.test"]
    assert listed(corp, "/api/users/corp.test", disabled_only="no").keys() == {*USERS}


def test_a_domain_of_nobody(corp: Client) -> None:
    """It is empty, which is another thing than missing."""
    done(corp.post("/api/domain/bare.test"))
    for kind in ("users", "aliases", "mls"):
        assert listed(corp, f"/api/{kind}/bare.test") == {}
        assert listed(corp, f"/api/{kind}/bare.test", email_only="yes") == []
        assert listed(corp, f"/api/{kind}/bare.test", limit=5) == {}
        for parameters in ({}, {"email_only": "yes"}, {"limit": 5}):
            missing = corp.get(f"/api/{kind}/missing.test", **parameters)
            refused(missing, 404, "NO_SUCH_ACCOUNT")
        refused(corp.get(f"/api/{kind}/no_domain"), 400, "INVALID_DOMAIN_NAME")


def test_a_domain_without_its_container_is_empty(corp: Client, world: World) -> None:
    """Its creation may have been broken off."""
    done(corp.post("/api/domain/bare.test"))
    connection = world.connect()
    connection.delete_s(world.tree.container("bare.test", "Users"))
    connection.unbind_s()
    assert listed(corp, "/api/users/bare.test") == {}


@pytest.mark.parametrize("kind", ["users", "aliases", "mls"])
def test_an_alias_domain_names_its_primary(corp: Client, kind: str) -> None:
    own, alias = (listed(corp, f"/api/{kind}/{name}") for name in ("corp.test", "Corp.EXAMPLE"))
    assert own == alias != {}


def test_hidden_attributes_stay_hidden(serve: Any, corp: Client, world: World) -> None:
    """Also when they are asked for, by whatever name."""
    client = serve(api={"api_hidden_user_profiles": ["userPassword", "CN"]}).client().log_in()
    ann = listed(client, "/api/users/corp.test")[ANN]
    assert "mail" in ann
    assert not {"userPassword", "cn"} & ann.keys()

    fields = "userPassword,2.5.4.35,commonName,mail"
    answer = client.get("/api/users/corp.test", fields=fields)
    assert data(answer)[ANN] == {"mail": [ANN]}
    assert answer.headers["X-Ignored-Values"] == "userPassword, 2.5.4.35, commonName"
    refused(client.get("/api/users/corp.test", fields="userPassword"), 400, "INVALID_PARAMETER")


def test_what_dovecot_wrote_is_shown_of_each(corp: Client, urls: Urls) -> None:
    """As single reads show it."""
    insert = "INSERT INTO used_quota (username, bytes, messages) VALUES (:mail, :size, 3)"
    for size, mail in enumerate((ANN, EVE), 1):
        execute(urls.iredadmin, insert, mail=mail, size=size)
    found = listed(corp, "/api/users/corp.test")
    assert [found[mail].get("stored_bytes") for mail in USERS] == [1, None, 2]
    assert found == {mail: data(corp.get(f"/api/user/{mail}")) for mail in USERS}
    assert listed(corp, "/api/users/corp.test", fields="Stored_Bytes", limit=2) == {
        ANN: {"stored_bytes": 1},
        BOB: {},
    }


def test_a_database_that_is_down_hides_no_user(corp: Client, serve: Any, urls: Urls) -> None:
    file = Path(urls.iredadmin.removeprefix("sqlite:///"))
    file.unlink()
    file.mkdir()
    client = serve().client().log_in()
    found = listed(client, "/api/users/corp.test")
    assert found.keys() == {*USERS}
    assert not any("stored_bytes" in profile for profile in found.values())


def test_fields_thin_profiles(corp: Client) -> None:
    """In any letter case, by any name of an attribute; what is computed counts as one."""
    whole = listed(corp, "/api/users/corp.test")
    thin = listed(corp, "/api/users/corp.test", fields="MAIL,surname,description")
    assert thin == {m: {k: p[k] for k in ("mail", "sn")} for m, p in whole.items()}
    assert listed(corp, "/api/aliases/corp.test", fields="Members") == {
        mail: {"members": ["y@far.example", "z@far.example"]}
        for mail in ("all@corp.test", "team@corp.test")
    }
    domains = listed(corp, "/api/domains", fields="domainAliasName,domainAdmin")
    assert domains == {"corp.test": {"domainAliasName": ["corp.example"]}}


def test_unknown_fields_are_ignored_and_named(corp: Client) -> None:
    """A strict client is refused; so is a list of nothing but such names."""
    path, fields = "/api/users/corp.test", "mail,mial,entryUUID,members,two words"
    answer = corp.get(path, fields=fields)
    assert data(answer)[ANN] == {"mail": [ANN]}
    ignored = {"mial", "entryUUID", "members", "two%20words"}
    assert {*answer.headers["X-Ignored-Values"].split(", ")} == ignored

    strict = {"Prefer": "handling=strict"}
    for word in ("mial", "two words"):
        answer = corp.call("GET", path, headers=strict, fields=f"mail,{word}")
        refused(answer, 400, "INVALID_PARAMETER")
    assert data(corp.call("GET", path, headers=strict, fields="mail"))
    refused(corp.get(path, fields="mial,entryCSN"), 400, "INVALID_PARAMETER")
    refused(corp.get(path, fields="mail", email_only="yes"), 400, "PARAMETER_CONFLICT")


@pytest.mark.parametrize("parameters", [{}, {"limit": 2}, {"email_only": "yes"}])
def test_envelope_of_older_clients(serve: Any, corp: Client, parameters: dict[str, Any]) -> None:
    client = serve(api={"legacy_keys": True}).client().log_in()
    answer = client.get("/api/users/corp.test", **parameters).json()
    assert answer.keys() == {"_success", "success", "_data"}
    assert answer["success"] is True


# --- who sees what ----------------------------------------------------------------------------


@pytest.fixture
def normal(corp: Client, served: Served, world: World) -> Client:
    """An admin of corp.test, where a global admin has an account; another domain is not theirs."""
    done(corp.post("/api/domain/far.test"))
    world.set(world.tree.user(ANN), enabledService=["mail", "domainadmin"])
    world.set(world.tree.domain("corp.test"), domainAdmin=ANN)
    world.set(world.tree.user(EVE), domainGlobalAdmin="yes")
    return served.client().log_in(ANN, PASSWORD)


def test_a_normal_admin_sees_their_domains(normal: Client) -> None:
    assert listed(normal, "/api/domains", name_only="yes") == ["corp.test"]
    assert listed(normal, "/api/domains", limit=5).keys() == {"corp.test"}
    for kind in ("users", "aliases", "mls"):
        assert listed(normal, f"/api/{kind}/corp.example") == listed(
            normal, f"/api/{kind}/corp.test"
        )
        refused(normal.get(f"/api/{kind}/far.test"), 403, "PERMISSION_DENIED")
        refused(normal.get(f"/api/{kind}/missing.test"), 403, "PERMISSION_DENIED")


def test_a_normal_admin_sees_no_global_one(normal: Client, corp: Client) -> None:
    """Single reads refuse them that account, too."""
    for parameters in ({}, {"limit": 9}, {"email_only": "yes"}, {"fields": "mail"}):
        assert set(listed(normal, "/api/users/corp.test", **parameters)) == {ANN, BOB}
        assert set(listed(corp, "/api/users/corp.test", **parameters)) == {*USERS}


# --- pages ------------------------------------------------------------------------------------


def walk(client: Client, path: str, **parameters: Any) -> Iterator[list[str]]:
    """Keys of each page, found by the links."""
    answer = client.get(path, **parameters)
    while True:
        yield list(data(answer))
        if "next" not in answer.links:
            return
        answer = client.session.get(
            urljoin(answer.url, answer.links["next"]["url"]), timeout=PATIENCE
        )


@pytest.mark.parametrize("parameters", [{}, {"email_only": "yes"}, {"fields": "cn"}])
@pytest.mark.parametrize("prefix", ["", "/iredadmin"])
def test_pages_are_sorted_and_lead_on(
    corp: Client, world: World, prefix: str, parameters: dict[str, str]
) -> None:
    """Link and cursor say the same; the last page leads nowhere, and may be full."""
    add_users(world, ["Zoe@corp.test", "carl@corp.test", "a+b&c=%41#@corp.test"])
    keys = ["a+b&c=%41#@corp.test", ANN, BOB, "carl@corp.test", EVE, "zoe@corp.test"]
    path = f"{prefix}/api/users/corp.test"
    for limit in (1, 2, 4, 6, 1000):
        pages = [keys[start : start + limit] for start in range(0, len(keys), limit)]
        assert [*walk(corp, path, limit=limit, **parameters)] == pages

        found, cursor = [], [""]
        while cursor:
            answer = corp.get(path, limit=limit, cursor=cursor.pop(), **parameters)
            found.append(list(data(answer)))
            cursor += filter(None, [answer.headers.get("X-Next-Cursor")])
        assert found == pages


def test_any_text_is_a_cursor(corp: Client) -> None:
    """The page begins behind it, whether somebody is called so or not."""
    for cursor, first in (("B", BOB), (BOB.upper(), EVE), ("zz", None), (" ", ANN)):
        found = listed(corp, "/api/users/corp.test", email_only="yes", limit=1, cursor=cursor)
        assert found == [first] * bool(first)


def test_pages_of_profiles_are_those_of_single_reads(corp: Client) -> None:
    for path, kind in (("users", "user"), ("aliases", "alias")):
        for name, profile in listed(corp, f"/api/{path}/corp.test", limit=9).items():
            assert profile == data(corp.get(f"/api/{kind}/{name}"))


def test_wrong_pages_are_refused(corp: Client) -> None:
    for limit in ("0", "1001", "x", "-1"):
        answer = corp.get("/api/users/corp.test", limit=limit)
        refused(answer, 400, "INVALID_PARAMETER")
        assert answer.headers["X-Invalid-Parameters"] == "limit"
    refused(corp.get("/api/users/corp.test", cursor=ANN), 400, "MISSING_PARAMETER")


def test_pages_cover_everybody_once_while_others_come_and_go(api: Client, world: World) -> None:
    """Who is there all the time is on exactly one page; nobody is on two."""
    done(api.post("/api/domain/corp.test"))
    staying = [f"user{number:03}@corp.test" for number in range(0, 200, 2)]
    others = [f"user{number:03}@corp.test" for number in range(1, 200, 2)]
    add_users(world, staying + others[::2])
    over, changes = threading.Event(), 0

    def come_and_go() -> None:
        nonlocal changes
        present = {*others[::2]}
        while not over.is_set():
            for mail in others:
                if mail in present:
                    connection.delete_s(world.tree.user(mail))
                else:
                    add_users(world, [mail])
                present ^= {mail}
                changes += 1

    connection = world.connect()
    writer = threading.Thread(target=come_and_go)
    writer.start()
    try:
        for parameters in ({}, {"email_only": "yes"}, {"fields": "cn"}) * 3:
            began = changes
            keys = [key for page in walk(api, "/api/users/corp.test", limit=7, **parameters)
                    for key in page]  # fmt: skip
            assert all(one < other for one, other in pairwise(keys))
            assert {*staying} <= {*keys} <= {*staying, *others}
            assert changes > began
    finally:
        over.set()
        writer.join()
        connection.unbind_s()


# --- what they cost ---------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [{}, {"email_only": "yes"}, {"limit": 2}, {"fields": "cn"}])
@pytest.mark.parametrize("path", ["/api/domains", "/api/users/corp.test", LISTS])
def test_a_listing_costs_one_search(
    served: Served, corp: Client, world: World, path: str, parameters: dict[str, Any]
) -> None:
    """Whatever is asked for; the schema is looked at once in the life of a worker."""
    client = served.client().log_in()
    data(client.get(path, fields="mail"))
    name = {"email_only": "name_only"} if path == "/api/domains" else {}
    sent = {name.get(key, key): value for key, value in parameters.items()}
    assert counted(world, client, lambda: data(client.get(path, **sent))) == {"search": 1}


# --- what becomes of them when something breaks -----------------------------------------------


FAT = 300
"""Users whose profiles fill 30 MB together: more than all buffers on the way hold."""


@pytest.fixture
def fat(world: World) -> list[str]:
    mails = [f"user{number:03}@fat.test" for number in range(FAT)]
    tree = world.tree
    world.add(
        tree.domain("fat.test"),
        objectClass="mailDomain",
        domainName="fat.test",
        accountStatus="active",
    )
    world.add(tree.container("fat.test", "Users"), objectClass="organizationalUnit", ou="Users")
    add_users(world, mails, description="x" * 100_000)
    return mails


@contextmanager
def narrow(world: World, folder: Path, uri: str = "") -> Iterator[Client]:
    """One thread and one connection to the directory: who holds them is missed."""
    settings = {
        "SERVER_WORKERS": "1",
        "SERVER_THREADS": "1",
        "API_STALLED_DOWNLOAD": "2",
        "LDAP_CONNECTIONS": "1",
        "LDAP_OPERATION_TIMEOUT": "5",
    }
    with gunicorn(world, folder, uri, **settings) as url:
        yield Client(url).log_in()


@contextmanager
def receiving(api: Client, accept: str = "*/*") -> Iterator[socket.socket]:
    """A client that has taken the first bytes of a listing."""
    host, _, port = api.url.removeprefix("http://").partition(":")
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in api.session.cookies)
    with closing(socket.create_connection((host, int(port)), timeout=PATIENCE)) as client:
        head = f"GET /api/users/fat.test HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n"
        client.sendall(f"{head}Cookie: {cookies}\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        yield client


def rest(client: socket.socket) -> bytes:
    """What a client still gets, until the connection is closed or broken."""
    text = b""
    try:
        while piece := client.recv(256 * 1024):
            text += piece
    except ConnectionResetError:
        pass
    return text


def test_a_long_listing_streams(world: World, fat: list[str], tmp_path: Path) -> None:
    """Its length is not known when it begins; the connection is good for more."""
    with narrow(world, tmp_path) as api:
        for _ in range(3):
            answer = api.get("/api/users/fat.test")
            assert answer.headers["Transfer-Encoding"] == "chunked"
            assert data(answer).keys() == {*fat}
        assert "Content-Length" in api.get("/api/users/fat.test", email_only="yes").headers


def test_who_stalls_or_leaves_holds_nothing(world: World, fat: list[str], tmp_path: Path) -> None:
    """Neither a thread nor a connection to the directory, once `stalled_download` is over."""
    with narrow(world, tmp_path) as api:
        with receiving(api) as stalling:
            answer = api.get("/api/users/fat.test", email_only="yes")
            assert data(answer) == fat
            assert b"}}\r\n0\r\n\r\n" not in rest(stalling)
        for _ in range(3):
            with receiving(api):
                pass
            assert data(api.get("/api/users/fat.test", email_only="yes")) == fat


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_a_directory_that_dies_breaks_the_listing(
    world: World, fat: list[str], tmp_path: Path, accept: str
) -> None:
    """There is no clean end, so nobody takes the part for the whole: lines least of all."""
    with narrow(world, tmp_path) as api:
        with receiving(api, accept) as client:
            world.slapd.stop()
            text = rest(client)
        assert not text.endswith((b"0\r\n\r\n", b"}}"))

        for parameters in ({}, {"limit": 5}, {"email_only": "yes"}):
            answer = api.get("/api/users/fat.test", **parameters)
            refused(answer, 503, "SERVER_DOWN")


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[World]:
    """A directory that gives 60 entries at once, of those that nothing tells parts apart by."""
    slapd = Slapd(
        home=tmp_path / "limited",
        suffix=SUFFIX,
        schema_dir=shipped("schema"),
        port=free_port(),
        extra="sizelimit 60\nlastmod off",
    )
    world = World(slapd, Tree(SUFFIX))
    admin = base.global_admin_entry(world.tree, ADMIN, salted(ADMIN_PASSWORD), "20000")
    made = [*base.entries(world.tree, salted(READER_PASSWORD), salted(WRITER_PASSWORD)), admin]
    slapd.prepare(base.ldif(iter(made)))
    started(slapd)
    yield world
    slapd.stop()


def test_what_the_directory_does_not_give_is_refused(limited: World, tmp_path: Path) -> None:
    """Before the headers leave, if little was given until then; else the connection breaks."""
    with narrow(limited, tmp_path) as api:
        for name, size in (("small.test", 10), ("fat.test", 100_000)):
            done(api.post(f"/api/domain/{name}"))
            mails = [f"user{number:03}@{name}" for number in range(61)]
            add_users(limited, mails[:60], description="x" * size)
            assert listed(api, f"/api/users/{name}").keys() == {*mails[:60]}
            add_users(limited, mails[60:], description="x")

            for parameters in ({"limit": 5}, {"email_only": "yes"}, {"fields": "mail"}):
                answer = api.get(f"/api/users/{name}", **parameters)
                refused(answer, 409, "EXCEEDED_LDAP_SERVER_SIZELIMIT")

        answer = api.get("/api/users/small.test")
        refused(answer, 409, "EXCEEDED_LDAP_SERVER_SIZELIMIT")
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            api.get("/api/users/fat.test")
        with receiving(api) as client, pytest.raises(json.JSONDecodeError):
            json.loads(rest(client).partition(b"\r\n\r\n")[2])
