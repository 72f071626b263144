"""Logging in, staying in, and being put out."""

import statistics
import time
from typing import Any

import pytest

from tests.conftest import (
    ADMIN,
    ADMIN_PASSWORD,
    Client,
    Served,
    World,
    done,
    refused,
    salted,
    wait_until,
)

PASSWORD = "a good password"


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
        ({"username": "*@admins.test", "password": "x"}, "INVALID_USERNAME"),
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
    tries = {name: [attempt(name) for _ in range(15)] for name in names}
    assert len({answer for results in tries.values() for _, answer in results}) == 1
    medians = [statistics.median(t for t, _ in results) for results in tries.values()]
    assert max(medians) < 4 * min(medians)


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
        wait_until(lambda c=again: c.get("/api/domain/x.test").status_code == 401, 2)  # type: ignore[misc]


def test_logout_without_a_session(served: Served) -> None:
    """There is nothing to end."""
    refused(served.client().post("/api/logout"), 401, "LOGIN_REQUIRED")


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
        wait_until(lambda c=one: c.get("/api/domain/corp.test").status_code == 401, 2)  # type: ignore[misc]


def test_session_has_an_end(serve: Any) -> None:
    """A cookie is told apart from no cookie when its time is over."""
    short = serve(session={"max_age": 1})
    client = short.client().log_in()

    def is_over() -> bool:
        return bool(client.get("/api/domain/x.test").json()["_msg"] == "SESSION_EXPIRED")

    assert wait_until(is_over, 4) < 4


def test_keys_rotate(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie under an older key is good for as long as that key is configured."""
    from tests import conftest

    old = serve()
    client = old.client().log_in()
    monkeypatch.setattr(conftest, "SESSION_KEY", f"{conftest.SESSION_KEY} {'n' * 40}")
    rotated = Client(serve().url, client.session)
    refused(rotated.get("/api/domain/x.test"), 404, "NO_SUCH_ACCOUNT")
    monkeypatch.setattr(conftest, "SESSION_KEY", "n" * 40)
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
