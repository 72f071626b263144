"""Every bad request has its code, and changes nothing."""

import json
from typing import Any

import pytest
import requests

from iredldap.dit import admin, alias, domain, kinds, maillist, user
from tests.support.client import Client, done, refused
from tests.support.patience import PATIENCE
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"


@pytest.fixture
def corp(api: Client) -> None:
    """A domain with one user."""
    done(api.post("/api/domain/corp.test", defaultQuota=10))
    done(api.post("/api/user/ann@corp.test", password=PASSWORD))


@pytest.mark.parametrize(
    ("method", "path", "parameters", "status", "code"),
    [
        ("POST", "/api/domain/corp", {}, 400, "INVALID_DOMAIN_NAME"),
        ("POST", "/api/domain/-corp.test", {}, 400, "INVALID_DOMAIN_NAME"),
        ("POST", "/api/domain/cor p.test", {}, 400, "INVALID_DOMAIN_NAME"),
        ("POST", "/api/domain/192.0.2.1", {}, 400, "INVALID_DOMAIN_NAME"),
        ("POST", "/api/domain/a..test", {}, 400, "INVALID_DOMAIN_NAME"),
        ("POST", "/api/domain/a_b.test", {}, 400, "INVALID_DOMAIN_NAME"),
        ("POST", "/api/domain/x,o=domains.test", {}, 400, "INVALID_DOMAIN_NAME"),
        ("POST", f"/api/domain/{'a' * 64}.test", {}, 400, "INVALID_DOMAIN_NAME"),
        ("POST", f"/api/domain/{'a.' * 130}test", {}, 400, "INVALID_DOMAIN_NAME"),
        ("POST", "/api/domain/corp.test", {}, 409, "ALREADY_EXISTS"),
        ("POST", "/api/domain/CORP.test", {}, 409, "ALREADY_EXISTS"),
        ("POST", "/api/domain/new.test", {"quota": "many"}, 400, "INVALID_PARAMETER"),
        ("POST", "/api/domain/new.test", {"quota": "-1"}, 400, "INVALID_PARAMETER"),
        ("POST", "/api/domain/new.test", {"quota": "1.5"}, 400, "INVALID_PARAMETER"),
        ("POST", "/api/domain/new.test", {"quota": "9" * 5000}, 400, "INVALID_PARAMETER"),
        ("POST", "/api/domain/new.test", {"quota": "١٢"}, 400, "INVALID_PARAMETER"),
        ("POST", "/api/domain/new.test", {"numberOfUsers": "-2"}, 400, "INVALID_PARAMETER"),
        ("POST", "/api/domain/new.test", {"senderBcc": "nobody"}, 400, "INVALID_MAIL"),
        ("POST", "/api/domain/new.test", {"senderBcc": "a@b.c,d@e.test"}, 400, "INVALID_MAIL"),
        ("POST", "/api/domain/new.test", {"transport": "a b"}, 400, "INVALID_PARAMETER"),
        *(
            (method, path, {"transport": f"relay:[mx.test]:{port}"}, 400, "INVALID_PARAMETER")
            for method, path in (
                ("POST", "/api/domain/new.test"),
                ("PUT", "/api/domain/corp.test"),
                ("PUT", "/api/user/ann@corp.test"),
                ("PUT", "/api/users/corp.test"),
            )
            for port in (0, 99999)
        ),
        ("POST", "/api/domain/new.test", {"name": "a\x00b"}, 400, "INVALID_PARAMETER"),
        ("POST", "/api/domain/new.test", {"name": "a\nb"}, 400, "INVALID_PARAMETER"),
        ("PUT", "/api/domain/corp.test", {"accountStatus": "maybe"}, 400, "INVALID_PARAMETER"),
        ("PUT", "/api/domain/corp.test", {"is_backupmx": "yes"}, 400, "MISSING_PARAMETER"),
        ("PUT", "/api/domain/corp.test", {"primarymx": "mx.test"}, 400, "MISSING_PARAMETER"),
        (
            "PUT",
            "/api/domain/corp.test",
            {"is_backupmx": "yes", "primarymx": "mx.test", "transport": "dovecot"},
            400,
            "PARAMETER_CONFLICT",
        ),
        (
            "PUT",
            "/api/domain/corp.test",
            {"is_backupmx": "no", "primarymx": "mx.test"},
            400,
            "PARAMETER_CONFLICT",
        ),
        (
            "PUT",
            "/api/domain/corp.test",
            {"is_backupmx": "yes", "primarymx": "2001:db8::1"},
            400,
            "INVALID_PARAMETER",
        ),
        (
            "PUT",
            "/api/domain/corp.test",
            {"name": "good", "defaultQuota": "bad"},
            400,
            "INVALID_PARAMETER",
        ),
        ("POST", "/api/user/bob", {"password": PASSWORD}, 400, "INVALID_MAIL"),
        ("POST", "/api/user/b b@corp.test", {"password": PASSWORD}, 400, "INVALID_MAIL"),
        ("POST", "/api/user/b+x@corp.test", {"password": PASSWORD}, 400, "INVALID_MAIL"),
        ("POST", "/api/user/b..x@corp.test", {"password": PASSWORD}, 400, "INVALID_MAIL"),
        ("POST", "/api/user/b.@corp.test", {"password": PASSWORD}, 400, "INVALID_MAIL"),
        ("POST", "/api/user/.b@corp.test", {"password": PASSWORD}, 400, "INVALID_MAIL"),
        ("POST", "/api/user/@corp.test", {"password": PASSWORD}, 400, "INVALID_MAIL"),
        ("POST", "/api/user/*@corp.test", {"password": PASSWORD}, 400, "INVALID_MAIL"),
        ("POST", "/api/user/bü@corp.test", {"password": PASSWORD}, 400, "INVALID_MAIL"),
        ("POST", f"/api/user/{'b' * 65}@corp.test", {"password": PASSWORD}, 400, "INVALID_MAIL"),
        ("POST", "/api/user/bob@none.test", {"password": PASSWORD}, 404, "NO_SUCH_ACCOUNT"),
        ("POST", "/api/user/ann@corp.test", {"password": PASSWORD}, 409, "ALREADY_EXISTS"),
        ("POST", "/api/user/bob@corp.test", {}, 422, "PW_EMPTY"),
        (
            "POST",
            "/api/user/bob@corp.test",
            {"password": "1234567"},
            422,
            "PW_SHORTER_THAN_MIN_LENGTH",
        ),
        (
            "POST",
            "/api/user/bob@corp.test",
            {"password": PASSWORD, "password_hash": "{SSHA}x"},
            400,
            "PARAMETER_CONFLICT",
        ),
        (
            "POST",
            "/api/user/bob@corp.test",
            {"password": PASSWORD, "quota": "lots"},
            400,
            "INVALID_PARAMETER",
        ),
        (
            "POST",
            "/api/user/bob@corp.test",
            {"password": PASSWORD, "quota": "8796093022208"},
            400,
            "INVALID_PARAMETER",
        ),
        (
            "POST",
            "/api/user/bob@corp.test",
            {"password": PASSWORD, "maildir": "/a/../../etc"},
            400,
            "INVALID_PARAMETER",
        ),
        (
            "POST",
            "/api/user/bob@corp.test",
            {"password": PASSWORD, "mailboxFolder": "a/b"},
            400,
            "INVALID_PARAMETER",
        ),
        (
            "POST",
            "/api/user/bob@corp.test",
            {"password": PASSWORD, "mailboxFormat": "mbox"},
            400,
            "INVALID_PARAMETER",
        ),
        ("DELETE", "/api/user/bob@corp.test", {}, 404, "NO_SUCH_ACCOUNT"),
        ("GET", "/api/user/bob@corp.test", {}, 404, "NO_SUCH_ACCOUNT"),
        ("GET", "/api/ldif/user/bob@corp.test", {}, 404, "NO_SUCH_ACCOUNT"),
        ("GET", "/api/ldif/domain/corp.test", {"passwords": "perhaps"}, 400, "INVALID_PARAMETER"),
        ("GET", "/api/elsewhere", {}, 404, "NO_SUCH_ROUTE"),
        ("PATCH", "/api/domain/corp.test", {}, 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_refusal(
    api: Client,
    world: World,
    corp: None,
    method: str,
    path: str,
    parameters: dict[str, str],
    status: int,
    code: str,
) -> None:
    """One row, one rule."""
    before = world.snapshot()
    refused(api.call(method, path, **parameters), status, code)
    assert world.snapshot() == before


def test_several_faults_are_told_together(api: Client, world: World, corp: None) -> None:
    """Each code once, each parameter by its name."""
    answer = api.put(
        "/api/domain/corp.test", defaultQuota="x", maxUserQuota="y", senderBcc="ü", name="good"
    )
    refused(answer, 400, "INVALID_PARAMETER,INVALID_MAIL")
    assert answer.headers["X-Invalid-Parameters"] == "defaultQuota, maxUserQuota, senderBcc"


def test_unknown_parameters_are_named(api: Client, world: World, corp: None) -> None:
    """Ignored by default, refused on request; a name cannot break the header."""
    strays = {"Name": "x", "evil\r\nSet-Cookie: a=b": "x", "größe": "x"}
    answer = done(api.put("/api/domain/corp.test", name="new", **strays))
    assert answer.headers["X-Ignored-Parameters"] == (
        "Name, evil%0D%0ASet-Cookie:%20a=b, gr%C3%B6%C3%9Fe"
    )
    assert "Set-Cookie" not in answer.headers
    before = world.snapshot()
    strict = {"Prefer": "handling=strict"}
    answer = api.call("PUT", "/api/domain/corp.test", headers=strict, name="newer", Name="x")
    refused(answer, 400, "INVALID_PARAMETER")
    assert answer.headers["X-Invalid-Parameters"] == "Name"
    many = {f"stray{number}": "x" for number in range(900)}
    assert len(api.put("/api/domain/corp.test", **many).headers["X-Ignored-Parameters"]) <= 1024
    assert world.snapshot() == before


def test_unknown_language_is_dropped(api: Client, world: World, corp: None) -> None:
    """Ignored by default as documented, refused under strict handling."""
    done(api.put("/api/domain/corp.test", language="tlh_QO"))
    settings = world.attributes(world.tree.domain("corp.test"))["accountSetting"]
    assert settings == {"defaultQuota:10"}
    strict = {"Prefer": "handling=strict"}
    answer = api.call("PUT", "/api/domain/corp.test", headers=strict, language="tlh_QO")
    refused(answer, 400, "INVALID_PARAMETER")


def send(api: Client, body: bytes, content_type: str | None, query: str = "") -> requests.Response:
    headers = {"Content-Type": content_type} if content_type else {}
    request = requests.Request(
        "PUT", f"{api.url}/api/domain/corp.test{query}", data=body, headers=headers
    )
    prepared = api.session.prepare_request(request)
    if content_type is None:
        prepared.headers.pop("Content-Type", None)
    return api.session.send(prepared, timeout=PATIENCE)


FORM = "application/x-www-form-urlencoded"
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nGr\xc3\xb6\xc3\x9fe 1\r\n--b--'
)


@pytest.mark.parametrize(
    ("body", "content_type", "query"),
    [
        ("name=Größe 1".encode(), FORM, ""),
        ("name=Größe 1".encode(), None, ""),
        (b"name=Gr%C3%B6%C3%9Fe+1", f"{FORM}; charset=UTF-8", ""),
        (b"", None, "?name=Gr%C3%B6%C3%9Fe%201"),
        (b"name=Gr%C3%B6%C3%9Fe%201", FORM, "?name=other"),
        (b"name=first&name=Gr%C3%B6%C3%9Fe%201", FORM, ""),
        (json.dumps({"name": "Größe 1"}).encode(), "application/json", ""),
        (
            MULTIPART,
            "multipart/form-data; boundary=b",
            "",
        ),
    ],
)
def test_every_way_to_send_parameters(
    api: Client, world: World, corp: None, body: bytes, content_type: str | None, query: str
) -> None:
    """Form, query string, JSON and multipart, raw UTF-8 or not; the body wins."""
    done(send(api, body, content_type, query))
    assert world.attributes(world.tree.domain("corp.test"))["cn"] == {"Größe 1"}


def test_json_types(api: Client, world: World, corp: None) -> None:
    """Numbers and booleans are what they mean."""
    body = json.dumps({"defaultQuota": 77, "is_backupmx": False, "numberOfUsers": -1})
    done(send(api, body.encode(), "application/json"))
    settings = world.attributes(world.tree.domain("corp.test"))["accountSetting"]
    assert settings == {"defaultQuota:77", "numberOfUsers:-1"}


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "INVALID_PARAMETER"),
        (b"[1]", "application/json", 400, "INVALID_PARAMETER"),
        (b'{"name": {"a": 1}}', "application/json", 400, "INVALID_PARAMETER"),
        (b'{"name": "\\ud800"}', "application/json", 400, "INVALID_PARAMETER"),
        (b'{"defaultQuota": NaN}', "application/json", 400, "INVALID_PARAMETER"),
        (b"[" * 100_000, "application/json", 400, "INVALID_PARAMETER"),
        (b"name=\xff\xfe", FORM, 400, "INVALID_PARAMETER"),
        (b"name=%ff%fe", FORM, 400, "INVALID_PARAMETER"),
        (b"&".join(b"a%d=1" % n for n in range(2000)), FORM, 400, "INVALID_PARAMETER"),
        (b"no boundary", "multipart/form-data", 400, "INVALID_PARAMETER"),
        (b"<name/>", "text/xml", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"name=x", f"{FORM}; charset=utf-16", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"name=" + b"x" * 1024 * 1024, FORM, 413, "BODY_TOO_LARGE"),
    ],
)
def test_bodies_that_cannot_be_read(
    api: Client, world: World, corp: None, body: bytes, content_type: str, status: int, code: str
) -> None:
    """An envelope with a code, whatever is sent."""
    before = world.snapshot()
    answer = send(api, body, content_type)
    assert (answer.status_code, answer.json()["_msg"]) == (status, code)
    assert world.snapshot() == before


def test_directory_that_stops_and_returns(api: Client, world: World, corp: None) -> None:
    """503 with Retry-After while it is away, and no restart of ours when it is back."""
    world.slapd.stop()
    for method, path in (
        ("GET", "/api/domain/corp.test"),
        ("PUT", "/api/domain/corp.test"),
        ("POST", "/api/user/bob@corp.test"),
        ("GET", "/api/ldif/domain/corp.test"),
        ("POST", "/api/login"),
    ):
        parameters = {"username": "x@y.test", "password": PASSWORD, "name": "x"}
        answer = api.call(method, path, **(parameters if method != "GET" else {}))
        assert (answer.status_code, answer.json()["_msg"]) == (503, "SERVER_DOWN"), path
        assert answer.headers["Retry-After"]
    assert api.get("/readyz").status_code == 503
    assert api.get("/livez").status_code == 200

    world.slapd.start()
    done(api.put("/api/domain/corp.test", name="back"))
    assert api.get("/readyz").status_code == 200


def test_idle_connections_do_not_outlive_a_restart(api: Client, world: World, corp: None) -> None:
    """A directory that was restarted while nobody asked is noticed before the first write."""
    world.slapd.stop()
    world.slapd.start()
    done(api.put("/api/domain/corp.test", name="after"))
    assert world.attributes(world.tree.domain("corp.test"))["cn"] == {"after"}


def test_status_and_keys_for_older_clients(serve: Any, world: World) -> None:
    """Two switches: 200 to everything, and the older keys in every answer."""
    older: Served = serve(api={"always_ok_status": True, "legacy_keys": True})
    client = older.client().log_in()
    answer = client.get("/api/domain/none.test")
    assert answer.status_code == 200
    assert answer.json() == {
        "_success": False,
        "_msg": "NO_SUCH_ACCOUNT",
        "success": False,
        "msg": "NO_SUCH_ACCOUNT",
    }


def test_request_id(api: Client) -> None:
    """A sensible one of the client's is kept, anything else replaced."""
    given = api.call("GET", "/livez", headers={"X-Request-Id": "call-42"})
    assert given.headers["X-Request-Id"] == "call-42"
    odd = api.call("GET", "/livez", headers={"X-Request-Id": "a b"})
    assert odd.headers["X-Request-Id"] != "a b"


def test_log_has_no_secret(api: Client, corp: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a password in a query string nor one in a body, nor a cookie."""
    path = f"/api/user/bob@corp.test?password={PASSWORD}"
    done(api.session.post(api.url + path))
    api.post("/api/login", username="ann@corp.test", password=PASSWORD)
    out, err = capsys.readouterr()
    assert "/api/user/bob@corp.test" in out
    cookie = next(iter(api.session.cookies)).value or "?"
    assert not [secret for secret in (PASSWORD, "good%20password", cookie) if secret in out + err]


@pytest.mark.parametrize("number", ["9" * 309, "9" * 4000, "9" * 5000, "1e400", "[" * 10_000])
@pytest.mark.parametrize("path", ["/api/login", "/api/domain/new.test"])
def test_no_number_is_too_much_for_us(
    api: Client, served: Served, world: World, path: str, number: str
) -> None:
    """In JSON, also of somebody who has not logged in."""
    before = world.snapshot()
    client = served.client() if path == "/api/login" else api
    answer = client.session.post(
        client.url + path,
        data=f'{{"username": {number}, "password": "x", "quota": {number}}}',
        headers={"Content-Type": "application/json"},
        timeout=PATIENCE,
    )
    assert (answer.status_code, answer.json()["_msg"]) == (400, "INVALID_PARAMETER")
    assert world.snapshot() == before


@pytest.mark.parametrize("digits", [20, 309, 5000])
def test_no_number_in_an_address_is_too_much_for_us(api: Client, corp: None, digits: int) -> None:
    """As a variable of the path, and in the query string."""
    number = "9" * digits
    for path in ("user/ann@corp.test", "domain/corp.test"):
        answer = api.delete(f"/api/{path}/keep_mailbox_days/{number}")
        refused(answer, 400, "INVALID_PARAMETER")
    refused(api.get("/api/users/corp.test", limit=number), 400, "INVALID_PARAMETER")
    refused(api.get("/api/domains", limit=f"-{number}"), 400, "INVALID_PARAMETER")


OLDER = [
    (path, older)
    for path, table in (
        ("domain/corp.test", domain.UPDATE),
        ("domain/services/corp.test", domain.SERVICES),
        ("user/ann@corp.test", user.UPDATE),
        ("alias/team@corp.test", alias.UPDATE),
        ("maillist/crew@corp.test", maillist.UPDATE),
        ("admin/root@admins.test", admin.UPDATE),
    )
    for field in table
    if field.kind is not kinds.LANGUAGE
    for older in field.aliases
]


@pytest.mark.parametrize(("path", "older"), OLDER)
def test_a_refusal_names_the_parameter_as_it_was_sent(
    api: Client, corp: None, path: str, older: str
) -> None:
    """By its older name, if that was sent."""
    answer = refused(api.put(f"/api/{path}", **{older: "\a"}), 400, "INVALID_PARAMETER")
    assert answer.headers["X-Invalid-Parameters"] == older


def test_an_operation_names_the_parameter_as_it_was_sent(api: Client, corp: None) -> None:
    """What the directory decides is no other matter."""
    done(api.put("/api/domain/corp.test", quota=20))
    for name in ("mailQuota", "quota"):
        answer = api.put("/api/user/ann@corp.test", **{name: 30})
        refused(answer, 409, "EXCEEDED_DOMAIN_QUOTA_SIZE")
        assert answer.headers["X-Invalid-Parameters"] == name
    answer = api.put("/api/user/ann@corp.test", cn="", headers={"Prefer": "handling=strict"})
    refused(answer, 400, "INVALID_PARAMETER")
    assert answer.headers["X-Invalid-Parameters"] == "cn"
