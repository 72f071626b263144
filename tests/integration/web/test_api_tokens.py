"""API tokens: who may create them, what they may do, and when they end."""

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from iredldap.dit import api_tokens, token_scopes
from tests.support.client import Client, done, refused
from tests.support.databases import execute
from tests.support.gunicorn import started
from tests.support.patience import PATIENCE, comes_within, wait_until
from tests.support.serving import Served
from tests.support.world import ADMIN, World, salted

PASSWORD = "a good password"
UNKNOWN = api_tokens.new_secret(bytes(32))
DENIED = (403, "PERMISSION_DENIED")
LOGIN = (401, "LOGIN_REQUIRED")
"""What every token gets that is none."""


@pytest.fixture
def company(api: Client, world: World) -> Client:
    """Two domains, with an admin who manages both and lives in the first."""
    for name in ("one.test", "two.test", "three.test"):
        done(api.post(f"/api/domain/{name}"))
        done(api.post(f"/api/user/ann@{name}", password=PASSWORD))
    done(api.post("/api/user/boss@one.test", password=PASSWORD))
    for name in ("one.test", "two.test"):
        done(api.put(f"/api/domain/admins/{name}", addAdmin="boss@one.test"))
    return api


def create(maker: Client, **asked: str) -> dict[str, Any]:
    answer = maker.post("/api/tokens", **{"name": "test"} | asked)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["_data"]
    return data


def bearer(server: Served | str, secret: str) -> Client:
    client = Client(server if isinstance(server, str) else server.url)
    client.session.headers["Authorization"] = f"Bearer {secret}"
    return client


def token(server: Served, maker: Client, **asked: str) -> Client:
    return bearer(server, create(maker, **asked)["secret"])


def in_time(**more: float) -> str:
    return (datetime.now(UTC) + timedelta(**more)).isoformat()


def test_a_token_calls_without_a_session(served: Served, company: Client) -> None:
    """Its secret is shown once, and stored nowhere."""
    made = create(company, name="billing", scopes="users:read, users:create")

    assert api_tokens.id_of(api_tokens.digest(made["secret"])) == made["id"]
    with_token = bearer(served, made.pop("secret"))
    assert with_token.get("/api/user/ann@one.test").json()["_success"]
    done(with_token.post("/api/user/new@one.test", password=PASSWORD))
    assert company.get("/api/tokens").json()["_data"] == [made]
    assert company.get(f"/api/tokens/{made['id']}").json()["_data"] == made
    assert made["scopes"] == ["users:create", "users:read"]
    assert (made["admin"], made["name"], made["parent"]) == (ADMIN, "billing", None)


def test_reading_users_is_the_default(served: Served, company: Client) -> None:
    made = create(company)
    assert made["scopes"] == ["users:read"]
    client = bearer(served, made["secret"])
    assert client.get("/api/users/one.test").json()["_success"]
    answer = refused(client.get("/api/domain/one.test"), *DENIED)
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="iredldap", error="insufficient_scope", scope="domains:read"'
    )


def test_only_a_digest_is_stored(served: Served, company: Client, tmp_path: Path) -> None:
    secret = create(company)["secret"]
    bearer(served, secret).get("/api/whoami")
    served.gateways.state.ask()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file


# --- what is refused, and how -------------------------------------------------------------------


def spoiled(secret: str) -> str:
    return secret[:-1] + ("a" if secret[-1] != "a" else "b")


def test_every_token_that_is_none_gets_the_same_answer(serve: Any, world: World) -> None:
    """Words, headers and time: a client learns nothing of a token that it may not use."""
    served: Served = serve(login={"failures": 1000})
    api = served.client().log_in()
    state = served.config.state.url.reveal()
    good = create(api)["secret"]
    expired, foreign = create(api), create(api, networks="192.0.2.0/24")
    execute(state, f"UPDATE api_tokens SET expires = 1 WHERE id = '{expired['id']}'")
    deleted = create(api)
    done(api.delete(f"/api/tokens/{deleted['id']}"))
    sent = {
        "unknown": UNKNOWN,
        "malformed": "x",
        "empty": "",
        "long": "x" * 4000,
        "spoiled": spoiled(good),
        "expired": expired["secret"],
        "foreign": foreign["secret"],
        "deleted": deleted["secret"],
    }
    clients = {name: bearer(served, secret) for name, secret in sent.items()}

    def attempt(client: Client) -> tuple[float, str]:
        began = time.perf_counter()
        answer = client.get("/api/user/ann@one.test")
        took = time.perf_counter() - began
        ignored = {"x-request-id", "date"}
        headers = {k: v for k, v in answer.headers.items() if k.lower() not in ignored}
        return took, repr((answer.status_code, answer.text, sorted(headers.items())))

    # In turns, and the best of each: what else the machine does meets all of them alike.
    rounds = [[attempt(client) for client in clients.values()] for _ in range(15)]
    answers = {answer for results in rounds for _, answer in results}
    assert len(answers) == 1, answers
    assert '"LOGIN_REQUIRED"' in str(answers)
    best = [min(took for took, _ in results) for results in zip(*rounds, strict=True)]
    assert max(best) < 4 * min(best), dict(zip(sent, best, strict=True))


def test_a_401_says_how_to_be_identified(served: Served) -> None:
    """Without credentials, with a bad token, a bad cookie, and after a failed login."""
    client, realm = served.client(), 'Bearer realm="iredldap"'
    assert client.get("/api/domains").headers["WWW-Authenticate"] == realm
    failed = client.post("/api/login", username=ADMIN, password="wrong")
    assert (failed.status_code, failed.headers["WWW-Authenticate"]) == (401, realm)
    answer = bearer(served, UNKNOWN).get("/api/domains")
    assert answer.headers["WWW-Authenticate"] == f'{realm}, error="invalid_token"'
    client.session.cookies.set("iRedAdmin-LDAP", "forged")
    answer = refused(client.get("/api/domains"), *LOGIN)
    assert answer.headers["WWW-Authenticate"] == realm


def test_a_bad_token_is_not_mended_by_a_cookie(served: Served, api: Client) -> None:
    """Where there is a token, no cookie is looked at; other schemes are for a web server."""
    for secret in (UNKNOWN, ""):
        headers = {"Authorization": f"Bearer {secret}"}
        refused(api.call("GET", "/api/domains", headers=headers), *LOGIN)
        refused(api.call("POST", "/api/logout", headers=headers), *LOGIN)
    basic = {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}
    assert api.call("GET", "/api/domains", headers=basic).json()["_success"]


def test_the_scheme_is_read_in_any_case(served: Served, api: Client) -> None:
    secret = create(api)["secret"]
    for words in (f"bearer {secret}", f"BEARER   {secret}"):
        answer = served.client().call("GET", "/api/whoami", headers={"Authorization": words})
        assert answer.json()["_success"]
    twice = f"Bearer {secret}, Bearer {secret}"
    refused(served.client().call("GET", "/api/whoami", headers={"Authorization": twice}), *LOGIN)


def test_open_endpoints_need_no_good_token(served: Served) -> None:
    """Health, the reference and the login are as they are without one."""
    client = bearer(served, UNKNOWN)
    for path in ("/livez", "/readyz", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("name", ["access_token", "token", "x"])
def test_a_token_in_the_query_string_is_refused(
    served: Served, api: Client, name: str, caplog: Any, capfd: Any
) -> None:
    """With a good session, too; encoded, too; and no log has it."""
    secret = create(api, scopes="domains:read")["secret"]
    encoded = "".join(f"%{ord(char):02x}" for char in secret)
    for query in (f"{name}={secret}", f"{name}={encoded}", secret):
        answer = api.get(f"/api/domains?{query}")
        refused(answer, 400, "INVALID_PARAMETER")
        assert secret not in str(answer.headers)
        refused(served.client().get(f"/livez?{query}"), 400, "INVALID_PARAMETER")


def test_guesses_are_counted_by_network(serve: Any) -> None:
    """As failed logins are. A valid token is taken all the same; one that has ended is no guess."""
    served: Served = serve(login={"failures": 3})
    api = served.client().log_in()
    used, new = create(api)["secret"], create(api)["secret"]
    ended = create(api, networks="192.0.2.1")["secret"]
    assert bearer(served, used).get("/api/whoami").json()["_success"]
    for _ in range(5):
        refused(bearer(served, ended).get("/api/whoami"), *LOGIN)
    for number in range(3):
        refused(bearer(served, f"{UNKNOWN}{number}").get("/api/whoami"), *LOGIN)
    answer = refused(bearer(served, UNKNOWN).get("/api/whoami"), 429, "TOO_MANY_REQUESTS")
    assert int(answer.headers["Retry-After"]) > 0
    for secret in (used, new):
        assert bearer(served, secret).get("/api/whoami").json()["_success"]
    served.client().log_in()


# --- creating them ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "status", "code", "parameter"),
    [
        ({"name": ""}, 400, "MISSING_PARAMETER", "name"),
        ({"scopes": "users:read,users:fly"}, 400, "INVALID_PARAMETER", "scopes"),
        ({"scopes": "*"}, 400, "INVALID_PARAMETER", "scopes"),
        ({"domains": "one.test,no_domain"}, 400, "INVALID_DOMAIN_NAME", "domains"),
        ({"domains": "missing.test"}, 404, "NO_SUCH_ACCOUNT", "domains"),
        ({"networks": "10.0.0.0/8,here"}, 400, "INVALID_PARAMETER", "networks"),
        ({"expires": "soon"}, 400, "INVALID_PARAMETER", "expires"),
        ({"expires": "2020-01-01"}, 400, "INVALID_PARAMETER", "expires"),
        # A limit that is left empty by a script must not be no limit.
        ({"domains": ""}, 400, "INVALID_PARAMETER", "domains"),
        ({"networks": " , "}, 400, "INVALID_PARAMETER", "networks"),
        ({"expires": ""}, 400, "INVALID_PARAMETER", "expires"),
    ],
)
def test_what_is_no_token_is_refused(
    company: Client, asked: dict[str, str], status: int, code: str, parameter: str
) -> None:
    answer = refused(company.post("/api/tokens", **{"name": "x"} | asked), status, code)
    assert answer.headers["X-Invalid-Parameters"] == parameter
    assert company.get("/api/tokens").json()["_data"] == []


def test_a_normal_admin_gives_no_domains_of_others(served: Served, company: Client) -> None:
    """One that does not exist looks the same."""
    boss = served.client().log_in("boss@one.test", PASSWORD)
    for name in ("three.test", "missing.test"):
        asked = {"name": "x", "domains": f"one.test,{name}"}
        refused(boss.post("/api/tokens", **asked), 403, "TOKEN_TOO_WIDE")
    assert create(boss, domains="two.test,one.test")["domains"] == ["one.test", "two.test"]


def test_limits_of_new_tokens(serve: Any) -> None:
    served: Served = serve(tokens={"max_days": 10, "per_admin": 2})
    api = served.client().log_in()
    asked = {"name": "x", "expires": in_time(days=11)}
    refused(api.post("/api/tokens", **asked), 400, "INVALID_PARAMETER")
    ends = datetime.fromisoformat(create(api)["expires"])
    assert timedelta(days=9) < ends - datetime.now(UTC) <= timedelta(days=10)
    create(api, expires=in_time(days=9))
    refused(api.post("/api/tokens", name="x"), 409, "EXCEED_LIMIT_TOKENS")


MAKERS_OWN = {
    "scopes": "tokens:create,tokens:read,tokens:delete,users:read,users:update",
    "domains": "one.test,two.test",
    "networks": "127.0.0.0/8,192.0.2.0/24",
}


@pytest.mark.parametrize(
    "asked",
    [
        {"scopes": "users:delete"},
        {"scopes": "users:read,users:delete"},
        {"domains": "one.test,three.test"},
        {"networks": "127.0.0.0/7"},
        {"networks": "127.0.0.1,10.0.0.1"},
        {"networks": "::/0"},
        {"expires": "2099-01-01"},
    ],
)
def test_a_token_creates_no_wider_one(
    served: Served, company: Client, asked: dict[str, str]
) -> None:
    maker = token(served, company, **MAKERS_OWN, expires=in_time(days=1))
    answer = refused(maker.post("/api/tokens", name="x", **asked), 403, "TOKEN_TOO_WIDE")
    assert answer.headers["X-Invalid-Parameters"] in asked
    assert len(company.get("/api/tokens").json()["_data"]) == 1


def test_a_token_of_a_token_has_its_bounds_and_ends_with_it(
    served: Served, company: Client
) -> None:
    made = create(company, **MAKERS_OWN, expires=in_time(days=1))
    maker = bearer(served, made["secret"])
    child = create(maker, networks="127.0.0.0/16")
    assert child["domains"] == made["domains"]
    assert (child["expires"], child["parent"]) == (made["expires"], made["id"])
    user = bearer(served, child["secret"])
    assert user.get("/api/user/ann@one.test").json()["_success"]

    done(company.delete(f"/api/tokens/{made['id']}"))

    assert company.get("/api/tokens").json()["_data"] == []
    comes_within(lambda: user.get("/api/user/ann@one.test").status_code == 401, 2)


def test_no_token_creates_tokens_without_the_scope(served: Served, company: Client) -> None:
    every = ",".join({*token_scopes.SCOPES} - {"tokens:create"})
    client = token(served, company, scopes=every)
    refused(client.post("/api/tokens", name="x"), *DENIED)


def test_who_sees_which_tokens(served: Served, company: Client) -> None:
    """A global admin all, a normal one their own, a limited token itself and those it made."""
    boss = served.client().log_in("boss@one.test", PASSWORD)
    of_chief, of_boss = create(company), create(boss)
    scopes = "tokens:read,tokens:create,tokens:delete"
    maker = create(boss, scopes=scopes, domains="one.test")
    narrow = bearer(served, maker["secret"])
    child = create(narrow, scopes="tokens:read")

    def seen(client: Client) -> set[str]:
        return {one["id"] for one in client.get("/api/tokens").json()["_data"]}

    mine = {of_boss["id"], maker["id"], child["id"]}
    assert seen(company) == {of_chief["id"], *mine}
    assert seen(boss) == mine
    assert seen(narrow) == {maker["id"], child["id"]}
    for client, id_ in ((boss, of_chief["id"]), (narrow, of_boss["id"]), (boss, "none")):
        for method in ("GET", "DELETE"):
            refused(client.call(method, f"/api/tokens/{id_}"), 404, "NO_SUCH_TOKEN")
    done(narrow.delete(f"/api/tokens/{child['id']}"))
    done(company.delete(f"/api/tokens/{of_boss['id']}"))
    assert seen(boss) == {maker["id"]}


def test_whoami(served: Served, company: Client) -> None:
    assert company.get("/api/whoami").json()["_data"] == {
        "admin": ADMIN,
        "is_global_admin": True,
        "token": None,
        "scopes": list(token_scopes.SCOPES),
        "domains": None,
        "limits": {},
    }
    boss = served.client().log_in("boss@one.test", PASSWORD)
    made = create(boss, domains="two.test", scopes="lists:read")
    told = bearer(served, made.pop("secret")).get("/api/whoami").json()["_data"]
    assert told == {
        "admin": "boss@one.test",
        "is_global_admin": False,
        "token": made,
        "scopes": ["lists:read"],
        "domains": ["two.test"],
        "limits": {},
    }
    refused(served.client().get("/api/whoami"), *LOGIN)


# --- what they may do ---------------------------------------------------------------------------


def test_a_limited_token_is_a_normal_admin_of_its_domains(
    served: Served, company: Client, world: World
) -> None:
    """Also of a global admin: it reaches nothing beside them, and no account of a global admin."""
    world.set(world.tree.user("boss@one.test"), domainGlobalAdmin="yes")
    every = ",".join(token_scopes.SCOPES)
    client = token(served, company, scopes=every, domains="one.test,two.test")

    done(client.post("/api/user/new@one.test", password=PASSWORD))
    assert client.get("/api/domains?name_only=yes").json()["_data"] == ["one.test", "two.test"]
    for method, path in (
        ("GET", "/api/domain/three.test"),
        ("GET", "/api/users/three.test"),
        ("POST", "/api/user/new@three.test"),
        ("GET", "/api/domain/missing.test"),
        ("POST", "/api/domain/new.test"),
        ("DELETE", "/api/domain/one.test"),
        ("POST", "/api/user/ann@one.test/change_email/moved@three.test"),
        ("GET", "/api/throttle/global/inbound"),
        ("GET", f"/api/admin/{ADMIN}"),
        ("GET", "/api/ldif"),
        ("POST", "/api/ldif"),
    ):
        refused(client.call(method, path), *DENIED)
    code = "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE"
    refused(client.put("/api/user/boss@one.test", password="another one"), 403, code)


def test_a_limited_token_loses_what_its_admin_loses(served: Served, company: Client) -> None:
    boss = served.client().log_in("boss@one.test", PASSWORD)
    client = token(served, boss, domains="one.test,two.test")
    assert client.get("/api/user/ann@two.test").json()["_success"]
    done(company.put("/api/domain/admins/two.test", removeAdmin="boss@one.test"))
    comes_within(lambda: client.get("/api/user/ann@two.test").status_code == 403, 2)
    assert client.get("/api/user/ann@one.test").json()["_success"]


def test_a_token_has_no_account_of_its_own_outside_its_domains(
    served: Served, company: Client
) -> None:
    """The admin may read and change their own account anywhere; their limited token may not."""
    done(company.put("/api/domain/admins/one.test", removeAdmin="boss@one.test"))
    boss = served.client().log_in("boss@one.test", PASSWORD)
    scopes = "users:read,users:update,passwords:update"
    wide, narrow = (
        token(served, boss, scopes=scopes),
        token(served, boss, scopes=scopes, domains="two.test"),
    )
    path = "/api/user/boss@one.test"
    assert wide.get(path).json()["_success"]
    done(wide.put(path, name="Boss"))
    refused(narrow.get(path), *DENIED)
    refused(narrow.put(path, name="Other"), *DENIED)


def test_passwords_have_an_area_of_their_own(served: Served, company: Client) -> None:
    """By the parameter: who may reset a password may change nothing else, and the reverse."""
    users = token(served, company, scopes="users:update,users:create")
    helpdesk = token(served, company, scopes="passwords:update")
    path, new = "/api/user/ann@one.test", "another good one"
    done(users.put(path, name="Ann"))
    answer = refused(users.put(path, name="Anne", password=new), *DENIED)
    assert 'scope="passwords:update users:update"' in answer.headers["WWW-Authenticate"]
    refused(users.put(path, password_hash=salted(new)), *DENIED)
    refused(users.put("/api/users/one.test", password=new), *DENIED)
    done(helpdesk.put(path, password=new))
    refused(helpdesk.put(path, password=new, name="Anne"), *DENIED)
    refused(helpdesk.put(path), *DENIED)
    # Part of a creation: without one there is no account.
    done(users.post("/api/user/new@one.test", password=new))
    # The role belongs to the area of admins.
    refused(users.put(path, isGlobalAdmin="yes"), *DENIED)
    done(token(served, company, scopes="admins:update").put(path, isGlobalAdmin="yes"))


def test_no_token_becomes_its_admin_by_a_password(served: Served, company: Client) -> None:
    """With the password of an admin one could log in, and do more than the token."""
    new = "another good one"
    boss = served.client().log_in("boss@one.test", PASSWORD)
    for maker in (company, boss):
        client = token(served, maker, scopes="passwords:update")
        refused(client.put("/api/user/boss@one.test", password=new), *DENIED)
        answer = done(client.put("/api/users/one.test", password=new))
        assert answer.headers["X-Ignored-Values"] == "boss@one.test"
    refused(token(served, company, scopes="passwords:update").put(
        f"/api/admin/{ADMIN}", password=new), *DENIED)  # fmt: skip
    served.client().log_in("boss@one.test", PASSWORD)
    narrow = token(served, boss, scopes="passwords:update,admins:update", domains="one.test")
    refused(narrow.put("/api/user/boss@one.test", password=new), *DENIED)
    wide = token(served, company, scopes="passwords:update,admins:update")
    done(wide.put("/api/user/boss@one.test", password=new))


def test_hashes_leave_only_with_the_scope_for_them(serve: Any, world: World) -> None:
    """In exports, and in answers where the settings show them."""
    served: Served = serve(api={"api_hidden_user_profiles": [], "api_hidden_admin_profiles": []})
    api = served.client().log_in()
    done(api.post("/api/domain/one.test"))
    done(api.post("/api/user/ann@one.test", password=PASSWORD))
    reads = "users:read,ldif:read,admins:read,domains:read"
    without, having = (
        token(served, api, scopes=scopes) for scopes in (reads, f"{reads},passwords:read")
    )
    for path in (
        "/api/user/ann@one.test",
        "/api/users/one.test",
        f"/api/admin/{ADMIN}",
        "/api/ldif/user/ann@one.test",
        "/api/ldif/domain/one.test",
        "/api/ldif",
    ):
        assert "userPassword" in having.get(path).text, path
        assert "userPassword" not in without.get(path).text, path


def test_an_undo_needs_the_scopes_of_the_change(served: Served, company: Client) -> None:
    """Beside its own: who could not have made the change may not take it back."""
    path = "/api/user/ann@one.test"
    renamed, reset = (
        done(company.put(path, **form)).headers["X-Change-Id"]
        for form in ({"name": "Anne"}, {"password": "another good one"})
    )
    undo = token(served, company, scopes="changes:update")
    users = token(served, company, scopes="changes:update,users:update")
    every = token(served, company, scopes="changes:update,users:update,passwords:update")
    refused(undo.post(f"/api/changes/{renamed}/undo"), *DENIED)
    refused(users.post(f"/api/changes/{reset}/undo"), *DENIED)
    assert users.post(f"/api/changes/{renamed}/undo").json()["_success"]
    answer = every.post(f"/api/changes/{reset}/undo")
    assert answer.json().get("_msg") != "PERMISSION_DENIED"


def test_changes_name_the_token(served: Served, company: Client) -> None:
    made = create(company, scopes="users:update,changes:read", domains="one.test")
    client = bearer(served, made["secret"])
    done(client.put("/api/user/ann@one.test", name="Anne"))
    done(company.put("/api/user/ann@two.test", name="Anne"))
    found = client.get("/api/changes").json()["_data"]
    assert {change["domain"] for change in found if change.get("account")} == {"one.test"}
    assert found[0]["token"] == made["id"]


def test_a_restore_needs_every_scope_that_it_could_use(served: Served, company: Client) -> None:
    file = b"version: 1\n\n# entries: 0\n"
    refused(token(served, company, scopes="ldif:create").send_file("/api/ldif", file), *DENIED)
    scopes = "ldif:create,passwords:update,admins:update"
    answer = token(served, company, scopes=scopes).send_file("/api/ldif", file)
    assert answer.status_code == 200


def test_head_needs_what_get_needs(served: Served, company: Client) -> None:
    client = token(served, company)
    assert client.session.head(f"{served.url}/api/user/ann@one.test").status_code == 200
    assert client.session.head(f"{served.url}/api/domain/one.test").status_code == 403


def test_a_page_of_another_site_may_use_a_token(served: Served, company: Client) -> None:
    """No browser adds it by itself; with a cookie beside it, it is the token that counts."""
    client = token(served, company, scopes="users:update")
    client.session.cookies.update(company.session.cookies)
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://panel.test"}
    answer = client.call("PUT", "/api/user/ann@one.test", headers=headers, name="Ann")
    done(answer)
    refused(client.call("PUT", "/api/domain/one.test", headers=headers, name="One"), *DENIED)
    answer = client.call("POST", "/api/login", headers=headers, username=ADMIN, password="x")
    assert answer.json()["_msg"] == "CROSS_SITE_REQUEST"


# --- jobs ---------------------------------------------------------------------------------------

LATER = {"Prefer": "respond-async"}


def test_a_job_of_a_token_is_seen_by_it(served: Served, company: Client) -> None:
    """A token that is limited sees its own jobs alone; a job of it is its admin's, too."""
    scopes = "users:update,jobs:read"
    first, second = (token(served, company, scopes=scopes, domains="one.test") for _ in range(2))
    answer = first.call("PUT", "/api/users/one.test", headers=LATER, language="de_DE")
    path = f"/api/jobs/{answer.json()['_data']['job']}"
    comes_within(lambda: first.get(path).json()["_data"]["status"] == "done", 60)
    refused(second.get(path), 404, "NO_SUCH_JOB")
    assert company.get(path).json()["_success"]
    refused(token(served, company, scopes="users:update").get(path), *DENIED)


def test_a_job_of_a_token_that_has_ended_is_refused(serve: Any, world: World) -> None:
    """It was accepted, and has not begun."""
    served: Served = serve()
    api = served.client().log_in()
    done(api.post("/api/domain/one.test"))
    made = create(api, scopes="users:update,jobs:read")
    client = bearer(served, made["secret"])
    turns = served.gateways.outside.turns
    with turns.take(frozenset({"one.test"})):
        answer = client.call("PUT", "/api/users/one.test", headers=LATER, language="de_DE")
        job = answer.json()["_data"]["job"]
        done(api.delete(f"/api/tokens/{made['id']}"))

    def code() -> str | None:
        found: str | None = api.get(f"/api/jobs/{job}").json()["_data"]["code"]
        return found

    comes_within(lambda: code() == "PERMISSION_DENIED", 60)


# --- their end, on every worker -----------------------------------------------------------------


ENDS: dict[str, Callable[[Client, World], object]] = {
    "demoted": lambda api, _: done(api.put("/api/user/chief@one.test", isGlobalAdmin="no")),
    "made a normal admin": lambda _, world: world.set(
        world.tree.user("chief@one.test"), domainGlobalAdmin=None
    ),
    "disabled": lambda api, _: done(api.put("/api/user/chief@one.test", accountStatus="disabled")),
    "renamed": lambda api, _: done(api.post("/api/user/chief@one.test/change_email/c@one.test")),
    "deleted": lambda api, _: done(api.delete("/api/user/chief@one.test")),
}


@pytest.mark.parametrize("why", ["revoked", "expired", *ENDS])
def test_it_ends_on_every_worker(serve: Any, world: World, why: str) -> None:
    """Within two seconds of its deletion, its expiry, or the end of its admin."""
    workers: list[Served] = [serve(session={"recheck": 1.0}) for _ in range(2)]
    api = workers[0].client().log_in()
    done(api.post("/api/domain/one.test"))
    done(api.post("/api/user/chief@one.test", password=PASSWORD))
    done(api.put("/api/user/chief@one.test", isGlobalAdmin="yes"))
    chief = workers[0].client().log_in("chief@one.test", PASSWORD)
    made = create(chief, **({"expires": in_time(seconds=3)} if why == "expired" else {}))
    clients = [bearer(worker, made["secret"]) for worker in workers]

    def statuses() -> list[int]:
        return [client.get("/api/whoami").status_code for client in clients]

    assert statuses() == [200, 200]
    within = 2.0
    if why == "revoked":
        done(api.delete(f"/api/tokens/{made['id']}"))
    elif why == "expired":
        within += 3
    else:
        ENDS[why](api, world)
    comes_within(lambda: statuses() == [401, 401], within)


def test_a_new_account_of_the_address_has_no_token(served: Served, company: Client) -> None:
    """A token belongs to an account, not to its address; a new password does not end it."""
    boss = served.client().log_in("boss@one.test", PASSWORD)
    client = token(served, boss)
    done(company.put("/api/user/boss@one.test", password="another good one"))
    comes_within(lambda: boss.get("/api/whoami").status_code == 401, 2)
    assert client.get("/api/whoami").json()["_success"]
    done(company.delete("/api/user/boss@one.test"))
    done(company.post("/api/user/boss@one.test", password=PASSWORD))
    done(company.put("/api/domain/admins/one.test", addAdmin="boss@one.test"))
    served.client().log_in("boss@one.test", PASSWORD)
    comes_within(lambda: client.get("/api/whoami").status_code == 401, 2)


def test_no_log_of_gunicorn_has_a_token(world: World, tmp_path: Path) -> None:
    """Wherever a client puts it: in the header, the query, the path, the request id."""
    with started(world, tmp_path) as running:
        api = Client(running.url).log_in()
        secret = create(api)["secret"]
        client = bearer(running.url, secret)
        assert client.get("/api/whoami").json()["_success"]
        for path in (f"/api/domains?access_token={secret}", f"/api/{secret}", f"/{secret}"):
            assert client.get(path).status_code >= 400
        headers = {"X-Request-Id": secret}
        answer = client.call("GET", f"/api/user/{secret}@one.test", headers=headers)
        assert answer.headers["X-Request-Id"] != secret
        with socket.create_connection(("127.0.0.1", urlsplit(running.url).port), PATIENCE) as raw:
            raw.sendall(f"GET/?token={secret}\r\n\r\n".encode())
            while raw.recv(4096):
                pass
        wait_until(lambda: "GET/?token=iredldap_…" in running.log.read_text())
        log = running.log.read_text()
    assert secret not in log
    assert f'"token": "{api_tokens.id_of(api_tokens.digest(secret))}"' in log
