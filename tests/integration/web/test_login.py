"""Logging in, staying in, and being put out."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from iredldap.config.settings import Secret
from iredldap.gateways.access.sessions import OpenedSession
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import StateDatabase
from iredldap.operations.login import digest
from iredldap.web.callers.cookies import CLOCK_TOLERANCE, CookieSigner, SessionCookie
from tests.support.client import Client, done, refused
from tests.support.databases import execute
from tests.support.patience import comes_within, wait_until
from tests.support.serving import Served
from tests.support.world import ADMIN, ADMIN_PASSWORD, World, salted

PASSWORD = "a good password"
COOKIE = "iRedAdmin-LDAP"


@pytest.fixture
def promoted(api: Client, world: World) -> str:
    """A mail user who is a global admin."""
    done(api.post("/api/domain/corp.test"))
    done(api.post("/api/user/boss@corp.test", password=PASSWORD))
    world.set(world.tree.user("boss@corp.test"), domainGlobalAdmin="yes")
    return "boss@corp.test"


def test_login_answers_with_the_older_twins_too(served: Served) -> None:
    """The April 2016 sample reads `success`, and only of the login."""
    answer = served.client().post("/api/login", username=ADMIN, password=ADMIN_PASSWORD)
    assert answer.json() == {"_success": True, "success": True}
    answer = served.client().post("/api/login", username=ADMIN, password="wrong")
    assert answer.status_code == 401
    assert answer.json() == {
        "_success": False,
        "_msg": "INVALID_CREDENTIALS",
        "success": False,
        "msg": "INVALID_CREDENTIALS",
    }


def test_cookie_attributes(serve: Any) -> None:
    """The cookie is for the server only, for the whole path, and Secure over TLS alone."""
    plain = serve().client().post("/api/login", username=ADMIN, password=ADMIN_PASSWORD)
    attributes = plain.headers["Set-Cookie"].split("; ")[1:]
    assert set(attributes) == {"HttpOnly", "Path=/", "SameSite=Strict"}

    behind_proxy = serve(api={"trusted_proxies": ["127.0.0.1"]}).client()
    over_tls = behind_proxy.call(
        "POST",
        "/api/login",
        headers={"X-Forwarded-Proto": "https"},
        username=ADMIN,
        password=ADMIN_PASSWORD,
    )
    assert "Secure" in over_tls.headers["Set-Cookie"].split("; ")

    stranger = served_by_stranger(serve)
    assert "Secure" not in stranger.headers["Set-Cookie"]


def served_by_stranger(serve: Any) -> Any:
    """Log in claiming TLS without being a trusted proxy."""
    return (
        serve()
        .client()
        .call(
            "POST",
            "/api/login",
            headers={"X-Forwarded-Proto": "https"},
            username=ADMIN,
            password=ADMIN_PASSWORD,
        )
    )


@pytest.mark.parametrize("base", ["/api", "/iredadmin/api", "/iredadmin/api/", "//api/"])
def test_every_known_spelling_of_a_path(served: Served, base: str) -> None:
    """Both prefixes, repeated slashes and one at the end are the same path."""
    client = served.client()
    answer = client.post(f"{base}/login/", username=ADMIN, password=ADMIN_PASSWORD)
    assert answer.json()["_success"]
    refused(client.get(f"{base}/domain/none.test"), 404, "NO_SUCH_ACCOUNT")


def test_promoted_mail_user_may_log_in(served: Served, promoted: str) -> None:
    """A mail user with the role is an admin."""
    client = served.client().log_in(promoted, PASSWORD)
    assert client.get("/api/domain/corp.test").json()["_success"]


def test_normal_admin_needs_the_role(served: Served, promoted: str, world: World) -> None:
    """Without domainGlobalAdmin, the word domainadmin makes a normal admin, nothing else does."""
    dn = world.tree.user(promoted)
    world.set(dn, domainGlobalAdmin=None)
    answer = served.client().post("/api/login", username=promoted, password=PASSWORD)
    assert answer.json()["_msg"] == "INVALID_CREDENTIALS"
    world.modify(dn, (0, "enabledService", [b"domainadmin"]))
    served.client().log_in(promoted, PASSWORD)


@pytest.mark.parametrize(
    "change", [{"accountStatus": "disabled"}, {"domainStatus": "disabled"}, {"accountStatus": None}]
)
def test_disabled_admin_is_refused(
    served: Served, promoted: str, world: World, change: dict[str, Any]
) -> None:
    """A disabled account, or one in a disabled domain, is no admin."""
    world.set(world.tree.user(promoted), **change)
    answer = served.client().post("/api/login", username=promoted, password=PASSWORD)
    assert (answer.status_code, answer.json()["_msg"]) == (401, "INVALID_CREDENTIALS")


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "INVALID_USERNAME,EMPTY_PASSWORD"),
        ({"username": ADMIN}, "EMPTY_PASSWORD"),
        ({"username": ADMIN, "password": "  "}, "EMPTY_PASSWORD"),
        ({"username": "root", "password": "x"}, "INVALID_USERNAME"),
        ({"username": "a@b@", "password": "x"}, "INVALID_USERNAME"),
    ],
)
def test_incomplete_login(served: Served, form: dict[str, str], code: str) -> None:
    """What is missing is told; an empty password never reaches the directory."""
    answer = served.client().post("/api/login", **form)
    assert (answer.status_code, answer.json()["_msg"]) == (400, code)


def test_wrong_name_and_wrong_password_are_alike(serve: Any, promoted: str) -> None:
    """Neither the answer nor its time tells whether an account exists."""
    client = serve(login={"failures": 100}).client()

    def attempt(name: str) -> tuple[float, tuple[int, str]]:
        began = time.perf_counter()
        answer = client.post("/api/login", username=name, password="wrong password")
        return time.perf_counter() - began, (answer.status_code, answer.text)

    names = [promoted, "nobody@corp.test", ADMIN, "nobody@admins.test"]
    # In turns, and the best of each: what else the machine does meets all of them alike.
    rounds = [[attempt(name) for name in names] for _ in range(15)]
    assert len({answer for results in rounds for _, answer in results}) == 1
    best = [min(results)[0] for results in zip(*rounds, strict=True)]
    assert max(best) < 4 * min(best)


def test_no_cookie_no_answer(served: Served, api: Client) -> None:
    """Without a cookie of ours there is no caller."""
    stranger = served.client()
    refused(stranger.get("/api/domain/corp.test"), 401, "LOGIN_REQUIRED")
    stranger.session.cookies.set("iRedAdmin-LDAP", "forged")
    refused(stranger.get("/api/domain/corp.test"), 401, "LOGIN_REQUIRED")


def test_logout_ends_the_session_everywhere(serve: Any) -> None:
    """Another worker, with memory of its own, refuses the cookie within two seconds."""
    first, second = serve(), serve()
    client = first.client().log_in()
    elsewhere = Client(second.url, client.session)
    refused(elsewhere.get("/api/domain/none.test"), 404, "NO_SUCH_ACCOUNT")
    kept = dict(client.session.cookies)

    done(client.post("/api/logout"))

    for server in (first, second):
        again = server.client()
        again.session.cookies.update(kept)
        comes_within(lambda c=again: c.get("/api/domain/x.test").status_code == 401, 2)  # type: ignore[misc]


def test_all_sessions_of_an_admin_end_everywhere(serve: Any, promoted: str) -> None:
    """Those of others go on; an admin may end their own, and a global one everybody's."""
    first, second = serve(), serve()
    mine, other = first.client().log_in(), first.client().log_in(promoted, PASSWORD)
    theirs = [logged_in(first), logged_in(second)]
    assert [ask(second, cookie) for cookie in theirs] == [404, 404]
    plan = other.delete(f"/api/sessions/{ADMIN}?dry_run=yes").json()["_data"]
    assert [step["step"] for step in plan["outside"]] == [f"end the sessions of {ADMIN}"]
    refused(other.delete("/api/sessions/nobody@corp.test"), 404, "NO_SUCH_ACCOUNT")

    done(other.delete(f"/api/sessions/{ADMIN}"))

    for server in (first, second):
        comes_within(lambda s=server: {ask(s, c) for c in theirs} == {401}, 2)  # type: ignore[misc]
    refused(mine.get("/api/domains"), 401, "LOGIN_REQUIRED")
    assert other.get("/api/domains").status_code == 200

    mine = second.client().log_in()
    # Of a script whose variable was empty.
    refused(mine.delete("/api/sessions/"), 400, "MISSING_PARAMETER")
    done(mine.delete("/api/sessions"))
    refused(mine.get("/api/domains"), 401, "LOGIN_REQUIRED")
    comes_within(lambda: other.get("/api/domains").status_code == 401, 2)


def test_an_admin_of_a_domain_ends_their_own_sessions(
    served: Served, promoted: str, world: World
) -> None:
    """With a session, or a token that may change admins; nobody else's."""
    world.set(world.tree.user(promoted), domainGlobalAdmin=None, enabledService="domainadmin")
    theirs = served.client().log_in(promoted, PASSWORD)
    made = theirs.post("/api/tokens", name="end", scopes="admins:update").json()["_data"]
    program = served.client()
    program.session.headers["Authorization"] = f"Bearer {made['secret']}"
    for path in ("/api/sessions", f"/api/sessions/{ADMIN}"):
        refused(theirs.delete(path), 403, "PERMISSION_DENIED")

    done(program.delete(f"/api/sessions/{promoted}"))

    refused(theirs.get("/api/domains"), 401, "LOGIN_REQUIRED")
    assert program.get("/api/whoami").json()["_data"]["admin"] == promoted
    assert served.client().log_in(promoted, PASSWORD).get("/api/domains").status_code == 200


def test_a_login_that_was_under_way_ends_too(served: Served, monkeypatch: Any) -> None:
    """Sessions that are ended while its password is checked are those of before."""
    sessions = served.gateways.state.sessions
    verifies = Directory.verifies

    def slow(directory: Directory, dn: str, password: str) -> bool:
        sessions.end_all(ADMIN)
        return verifies(directory, dn, password)

    monkeypatch.setattr(Directory, "verifies", slow)
    assert ask(served, logged_in(served)) == 401


def test_logout_without_a_session(served: Served) -> None:
    """There is nothing to end."""
    refused(served.client().post("/api/logout"), 401, "LOGIN_REQUIRED")


def with_cookies(*values: str) -> dict[str, str]:
    """Headers with several cookies of our name, among others."""
    named = [f"{COOKIE}={value}" for value in values]
    return {"Cookie": "; ".join(["first=1", *named, "last=2"])}


def ask(server: Served, *values: str) -> int:
    """Status of a read with these cookies: 404 if one is good, else 401."""
    headers = with_cookies(*values)
    return server.client().call("GET", "/api/domain/none.test", headers=headers).status_code


def logged_in(server: Served) -> str:
    """A new session's cookie."""
    return str(server.client().log_in().session.cookies[COOKIE])


def test_of_several_cookies_a_good_one_counts(served: Served) -> None:
    """Wherever it stands; another host of the site, or an older path, may have set the others."""
    good, ended = logged_in(served), logged_in(served)
    headers = with_cookies(ended)
    done(served.client().call("POST", "/api/logout", headers=headers))
    wait_until(lambda: ask(served, ended) == 401)

    for values in ([good, "x"], ["x", good], [ended, "", good, "y"], ['"x"', good, good]):
        assert ask(served, *values) == 404

    assert [ask(served, "x", ended), ask(served, "x", "y"), ask(served)] == [401] * 3


def test_a_logout_ends_the_sessions_of_all_cookies(served: Served) -> None:
    one, two = logged_in(served), logged_in(served)
    client = served.client()

    done(client.call("POST", "/api/logout", headers=with_cookies("x", one, two)))

    wait_until(lambda: ask(served, one) == ask(served, two) == 401)
    answer = client.call("POST", "/api/logout", headers=with_cookies("x", "y"))
    refused(answer, 401, "LOGIN_REQUIRED")


def test_the_good_one_of_several_cookies_is_renewed(serve: Any) -> None:
    server = serve(session={"idle_age": 600})
    good = logged_in(server)

    headers = with_cookies("x", good)
    answer = server.client().call("GET", "/api/domain/none.test", headers=headers)

    assert ask(server, answer.cookies[COOKIE]) == 404


def test_an_expired_one_of_several_cookies_is_told(serve: Any) -> None:
    """If none is good, the one that was is what a client wants to know of."""
    server = serve(session={"max_age": 1})
    old = logged_in(server)
    wait_until(lambda: ask(server, old) == 401)

    for values in (["x", old], [old, "x"]):
        for method, path in (("GET", "/api/domains"), ("POST", "/api/logout")):
            headers = with_cookies(*values)
            refused(server.client().call(method, path, headers=headers), 401, "SESSION_EXPIRED")


def test_clocks_of_two_machines_may_differ(served: Served, world: World) -> None:
    """By a minute: a session opened where it is later is one, and is remembered when it ended."""
    tokens = CookieSigner(served.config.session)
    state = served.gateways.state
    stored = world.entry(world.tree.admin(ADMIN))
    assert stored
    proof = digest(tuple(stored.values("userPassword")), tokens.keys[-1])

    def cookie(ahead: int) -> str:
        now = int(time.time()) + ahead
        return tokens.dump(SessionCookie(ADMIN, state.sessions.new(ADMIN), proof, now), now)

    assert ask(served, cookie(CLOCK_TOLERANCE)) == 404
    assert ask(served, cookie(CLOCK_TOLERANCE + 60)) == 401

    # Where it is a minute earlier, the cookie has not come to its end yet.
    oldest = SessionCookie(ADMIN, state.sessions.new(ADMIN), proof, int(time.time()))
    headers = with_cookies(tokens.dump(oldest, oldest.since))
    done(served.client().call("POST", "/api/logout", headers=headers))
    end = oldest.since + served.config.session.max_age
    state.sessions.revoke("another", end + 1000, end + CLOCK_TOLERANCE)
    assert state.sessions.is_ended(OpenedSession(oldest.session, ADMIN, oldest.since))


@pytest.mark.parametrize("restarted", [False, True])
def test_a_lost_state_database_ends_all_sessions(
    serve: Any, tmp_path: Path, restarted: bool
) -> None:
    """On every worker, those that were logged out above all; new ones are opened at once."""
    workers = [serve(), serve()]
    kept, ended = logged_in(workers[0]), logged_in(workers[0])
    done(workers[0].client().call("POST", "/api/logout", headers=with_cookies(ended)))
    assert ask(workers[1], kept) == 404

    (tmp_path / "state.sqlite3").unlink()
    if restarted:
        workers = [serve(), serve()]

    for worker in workers:
        wait_until(lambda w=worker: ask(w, kept) == ask(w, ended) == 401)  # type: ignore[misc]
    new = logged_in(workers[1])
    assert [ask(worker, new) for worker in workers] == [404, 404]


def test_an_update_ends_no_session(serve: Any, world: World, tmp_path: Path) -> None:
    """A cookie of the version before says nothing of a database, and one made then has no name."""
    with closing(StateDatabase(Secret(f"sqlite:///{tmp_path}/state.sqlite3"))) as state:
        state.ask()
    execute(f"sqlite:///{tmp_path}/state.sqlite3", "DROP TABLE state_identity")
    server = serve()
    tokens = CookieSigner(server.config.session)
    stored = world.entry(world.tree.admin(ADMIN))
    assert stored
    proof = digest(tuple(stored.values("userPassword")), tokens.keys[-1])
    since = int(time.time()) - 3600
    cookie = tokens.dump(SessionCookie(ADMIN, "0123456789abcdef" * 2, proof, since), since)

    assert ask(server, cookie) == 404

    done(server.client().call("POST", "/api/logout", headers=with_cookies(cookie)))
    wait_until(lambda: ask(server, cookie) == 401)


@pytest.mark.parametrize(
    "event",
    [
        {"userPassword": salted("another password")},
        {"accountStatus": "disabled"},
        {"domainGlobalAdmin": None},
        None,
    ],
    ids=["password", "disabled", "demoted", "deleted"],
)
def test_cookie_ends_with_what_it_stands_on(
    serve: Any, promoted: str, world: World, event: dict[str, Any] | None
) -> None:
    """Within two seconds, on every worker."""
    workers = [serve(session={"recheck": 1.0}) for _ in range(2)]
    client = workers[0].client().log_in(promoted, PASSWORD)
    both = [Client(worker.url, client.session) for worker in workers]
    for one in both:
        assert one.get("/api/domain/corp.test").status_code == 200

    if event is None:
        world.connect().delete_s(world.tree.user(promoted))
    else:
        world.set(world.tree.user(promoted), **event)

    for one in both:
        comes_within(lambda c=one: c.get("/api/domain/corp.test").status_code == 401, 2)  # type: ignore[misc]


def test_session_has_an_end(serve: Any) -> None:
    """A cookie is told apart from no cookie when its time is over."""
    short = serve(session={"max_age": 1})
    client = short.client().log_in()

    def is_over() -> bool:
        return bool(client.get("/api/domain/x.test").json()["_msg"] == "SESSION_EXPIRED")

    comes_within(is_over, 4)


def test_keys_rotate(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie under an older key is good for as long as that key is configured."""
    from tests.support import serving

    old = serve()
    client = old.client().log_in()
    monkeypatch.setattr(serving, "SESSION_KEY", f"{serving.SESSION_KEY} {'n' * 40}")
    rotated = Client(serve().url, client.session)
    refused(rotated.get("/api/domain/x.test"), 404, "NO_SUCH_ACCOUNT")
    monkeypatch.setattr(serving, "SESSION_KEY", "n" * 40)
    refused(Client(serve().url, client.session).get("/api/domain/x.test"), 401, "LOGIN_REQUIRED")


def test_switch_and_client_list(serve: Any) -> None:
    """The API is off unless switched on, and the list of clients comes before the login."""
    off = serve(api={"enable_restful_api": False}).client()
    refused(off.get("/api/domain/x.test"), 404, "API_DISABLED")
    assert off.get("/livez").json() == {"_success": True}
    elsewhere = serve(api={"restful_api_clients": ["192.0.2.0/24"]}).client()
    refused(elsewhere.get("/api/domain/x.test"), 403, "NOT_AUTHORIZED")
    nobody = serve(api={"restrict_api_access": True}).client()
    refused(nobody.get("/api/domain/x.test"), 403, "NOT_AUTHORIZED")
    listed = serve(api={"restful_api_clients": ["127.0.0.0/8"], "restrict_api_access": True})
    listed.client().log_in()
    lifted = serve(api={"restful_api_clients": ["192.0.2.1"], "restrict_api_access": False})
    lifted.client().log_in()


def test_trusted_proxy_speaks_for_its_client(serve: Any) -> None:
    """The client's address comes from the header of a trusted proxy, and of no one else."""
    settings = {"restful_api_clients": ["192.0.2.7"], "trusted_proxies": ["127.0.0.1"]}
    proxied = serve(api=settings).client()
    header = {"X-Forwarded-For": "198.51.100.1, 192.0.2.7"}
    answer = proxied.call("GET", "/api/domain/x.test", headers=header)
    refused(answer, 401, "LOGIN_REQUIRED")
    header = {"X-Forwarded-For": "192.0.2.7, 198.51.100.1"}
    refused(proxied.call("GET", "/api/domain/x.test", headers=header), 403, "NOT_AUTHORIZED")
    direct = serve(api={"restful_api_clients": ["192.0.2.7"]}).client()
    header = {"X-Forwarded-For": "192.0.2.7"}
    refused(direct.call("GET", "/api/domain/x.test", headers=header), 403, "NOT_AUTHORIZED")
