"""Pages of other sites cannot act with the cookie; clients that are no browsers notice nothing."""

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.client import Client, done, refused
from tests.support.gunicorn import gunicorn
from tests.support.patience import PATIENCE
from tests.support.serving import Served
from tests.support.world import ADMIN, ADMIN_PASSWORD, World

CODE = "CROSS_SITE_REQUEST"
FOREIGN = [
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Origin": "http://shop.example.test"},
    {"Origin": "null"},
]
CREDENTIALS = {"username": ADMIN, "password": ADMIN_PASSWORD}
LOGIN = urlencode(CREDENTIALS)


@pytest.fixture
def corp(api: Client) -> None:
    done(api.post("/api/domain/corp.test"))


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: "-".join(headers.values()))
@pytest.mark.usefixtures("corp")
def test_a_foreign_page_changes_nothing(api: Client, world: World, headers: dict[str, str]) -> None:
    """Whatever the method and the path, also one that does not exist."""
    before = world.snapshot()

    for method, path in (
        ("POST", "/api/domain/new.test"),
        ("POST", "/iredadmin/api//domain/new.test/"),
        ("PUT", "/api/domain/corp.test"),
        ("DELETE", "/api/domain/corp.test"),
        ("POST", "/api/admin/evil@elsewhere.test"),
        ("POST", "/api/verify_password/admin/evil@elsewhere.test"),
        ("POST", "/api/ldif"),
        ("POST", "/api/logout"),
        ("PATCH", "/api/domain/corp.test"),
        ("POST", "/api/nowhere"),
        ("POST", "/docs"),
    ):
        refused(api.call(method, path, headers=headers, name="x"), 403, CODE)

    assert world.snapshot() == before
    assert api.get("/api/domain/corp.test").status_code == 200


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: "-".join(headers.values()))
def test_a_foreign_page_logs_nobody_in(serve: Any, headers: dict[str, str]) -> None:
    """Nor does it use up the attempts of whose browser it is."""
    client = serve(login={"failures": 2}).client()
    for _ in range(5):
        answer = client.call(
            "POST", "/api/login", headers=headers, **CREDENTIALS | {"password": "?"}
        )
        twins = {"_success": False, "_msg": CODE, "success": False, "msg": CODE}
        assert (answer.status_code, answer.json()) == (403, twins)

    assert client.call("POST", "/api/login", headers=headers, **CREDENTIALS).status_code == 403
    assert not client.session.cookies
    client.log_in()


def test_what_is_refused_comes_before_all_else(serve: Any) -> None:
    """A foreign page does not learn whether the cookie is good, or who may call."""
    nobody = serve(api={"restrict_api_access": True}).client()
    nobody.session.cookies.set("iRedAdmin-LDAP", "forged")

    refused(nobody.call("POST", "/api/domain/x.test", headers=FOREIGN[0]), 403, CODE)

    nobody.session.cookies.clear()
    answer = nobody.call("POST", "/api/domain/x.test", headers=FOREIGN[0])
    refused(answer, 403, "NOT_AUTHORIZED")


def test_the_status_may_be_200(serve: Any) -> None:
    """For clients that want it so; the code is the same."""
    api = serve(api={"always_ok_status": True}).client().log_in()
    refused(api.call("POST", "/api/domain/x.test", headers=FOREIGN[0]), 200, CODE)


@pytest.mark.usefixtures("corp")
def test_a_foreign_page_may_load_what_it_cannot_read(api: Client) -> None:
    """Reading changes nothing, and without CORS headers no page of another origin sees it."""
    answer = api.call("GET", "/api/domain/corp.test", headers=FOREIGN[0])

    assert answer.status_code == 200


def test_without_a_cookie_there_is_nothing_to_act_with(served: Served) -> None:
    answer = served.client().call("POST", "/api/domain/x.test", headers=FOREIGN[0])
    refused(answer, 401, "LOGIN_REQUIRED")


def test_our_own_page_works(served: Served) -> None:
    """With the new header, or with the older one."""
    for headers in (
        {"Sec-Fetch-Site": "same-origin", "Origin": served.url},
        {"Sec-Fetch-Site": "none"},
        {"Origin": served.url},
    ):
        client = served.client()
        done_in = client.call("POST", "/api/login", headers=headers, **CREDENTIALS)
        assert done_in.json()["_success"], done_in.text
        done(client.call("POST", "/api/domain/own.test", headers=headers))
        done(client.call("DELETE", "/api/domain/own.test", headers=headers))


def test_a_proxy_tells_our_name_only_if_trusted(serve: Any) -> None:
    """Here it passes another Host on than it was asked for."""
    headers = {
        "Origin": "https://mail.example.test",
        "X-Forwarded-Host": "mail.example.test",
        "X-Forwarded-Proto": "https",
    }
    stranger = serve().client().log_in()
    refused(stranger.call("POST", "/api/domain/own.test", headers=headers), 403, CODE)

    trusted = serve(api={"trusted_proxies": ["127.0.0.1"]}).client().log_in()
    done(trusted.call("POST", "/api/domain/own.test", headers=headers))
    refused(
        trusted.call("POST", "/api/domain/own.test", headers={"Origin": headers["Origin"]}),
        403,
        CODE,
    )


def test_a_foreign_page_keeps_no_idle_session_alive(serve: Any) -> None:
    """Its requests are answered without a new cookie."""
    api = serve(session={"idle_age": 600}).client().log_in()

    ours = api.call("GET", "/api/domain/x.test")
    theirs = api.call("GET", "/api/domain/x.test", headers=FOREIGN[0])

    assert "Set-Cookie" in ours.headers
    assert "Set-Cookie" not in theirs.headers


@pytest.mark.usefixtures("corp")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/docs", 200),
        ("GET", "/docs/page.js", 200),
        ("GET", "/docs/none.js", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/api/domain/corp.test", 200),
        ("GET", "/api/domain/none.test", 404),
        ("GET", "/api/domains", 200),
        ("GET", "/api/ldif?format=ldif", 200),
        ("GET", "/api/ldif/domain/corp.test?format=ldif", 200),
        ("PATCH", "/api/domain/corp.test", 405),
        ("OPTIONS", "/api/domain/corp.test", 200),
        ("POST", "/api/domain/corp", 400),
        ("POST", "/api/domain/corp.test", 409),
        ("WEBSOCKET", "/api/domain/corp.test", 400),
    ],
)
def test_every_answer_keeps_browsers_at_bay(
    api: Client, method: str, path: str, status: int
) -> None:
    """They guess no type, and let no other origin read it."""
    answer = api.session.request(
        method, api.url + path, headers={"Origin": api.url}, timeout=PATIENCE
    )

    assert answer.status_code == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert [name for name in answer.headers if name.startswith("Access-Control-")] == []


def test_refusals_keep_browsers_at_bay_too(served: Served) -> None:
    """Also those that come before a path is looked at."""
    for answer in (
        served.client().get("/api/domain/x.test"),
        served.client().call("POST", "/api/login", headers=FOREIGN[0]),
    ):
        assert answer.status_code in {401, 403}
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


# --- clients that are no browsers -------------------------------------------------------------


def test_other_clients_go_on_as_before(world: World, tmp_path: Path) -> None:
    """Curl, and what PHP's streams and cURL send: HTTP/1.0 and 1.1, with a cookie and no Origin."""
    with gunicorn(world, tmp_path) as url:
        _, _, host = url.rpartition("/")
        for number, (version, fields) in enumerate(
            (("1.0", []), ("1.0", [f"Host: {host}"]), ("1.1", [f"Host: {host}"]))
        ):
            head, body = spoken(host, version, "/api/login", fields, LOGIN)
            assert '"_success": true' in body, head
            cookie = next(
                line.partition(": ")[2].partition(";")[0]
                for line in head.splitlines()
                if line.lower().startswith("set-cookie: ")
            )
            path = f"/iredadmin/api/domain/php{number}.test"
            head, body = spoken(host, version, path, [*fields, f"Cookie: {cookie}"], "name=x")
            assert (head.split(" ")[1], body) == ("200", '{"_success": true}')

        jar = ["-c", str(tmp_path / "jar"), "-b", str(tmp_path / "jar")]
        assert '"_success": true' in curl(url, *jar, "-d", LOGIN, "/api/login")
        made = curl(url, *jar, "-d", "name=x", "/api/domain/curl.test")
        deleted = curl(url, *jar, "-X", "DELETE", "/api/domain/php0.test")
        assert [made, deleted] == ['{"_success": true}'] * 2

    found = {
        name
        for entry in world.find("(objectClass=mailDomain)")
        for name in entry.texts("domainName")
    }
    assert found == {"php1.test", "php2.test", "curl.test"}


def spoken(host: str, version: str, path: str, fields: list[str], body: str) -> tuple[str, str]:
    """Send a form over a socket of our own; give head and body of the answer."""
    fields = [
        *fields,
        "Connection: close",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
    ]
    head = "\r\n".join([f"POST {path} HTTP/{version}", *fields, "", ""])
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), PATIENCE) as connection:
        connection.sendall((head + body).encode())
        with connection.makefile("rb") as answer:
            first, _, rest = answer.read().decode().partition("\r\n\r\n")
    return first, rest


def curl(url: str, *words: str) -> str:
    """Call as a shell script does; give the answer."""
    program = shutil.which("curl")
    assert program, "curl is missing"
    *options, path = words
    return subprocess.run(
        [program, "--silent", "--noproxy", "*", *options, f"{url}{path}"],
        capture_output=True,
        check=True,
        text=True,
        timeout=PATIENCE,
    ).stdout
