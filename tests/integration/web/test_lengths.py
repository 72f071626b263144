"""Long values: what is too long never reaches the directory, and what is not fits."""

from typing import Any
from urllib.parse import quote

import pytest
import requests

from iredldap.dit import passwords
from iredldap.gateways.directory import Directory
from iredldap.web.endpoints.index import ENDPOINTS
from iredldap.web.server import arrivals
from tests.support.client import Client, done, refused
from tests.support.serving import Served
from tests.support.world import ADMIN, World

PASSWORD = "a good password"
LONGEST = "p" * passwords.LONGEST
E_ACUTE = "\N{LATIN SMALL LETTER E WITH ACUTE}"
ODD = {
    "one too many": LONGEST + "p",
    "more than slapd reads": "p" * 300_000,
    "bytes, not characters": E_ACUTE * 513,
    "with a NUL": PASSWORD + "\0tail",
}


def insist_on_wrong(answer: requests.Response, password: str) -> None:
    """Insist on the answer of a login to a wrong password; not every length is read at all."""
    read = len(password) < arrivals.MOST
    expected = (401, "INVALID_CREDENTIALS") if read else (413, "BODY_TOO_LARGE")
    assert (answer.status_code, answer.json()["_msg"]) == expected


@pytest.fixture
def corp(api: Client) -> None:
    """A domain with one user, and a standalone admin."""
    done(api.post("/api/domain/corp.test", defaultQuota=10))
    done(api.post("/api/user/ann@corp.test", password=PASSWORD))
    done(api.post("/api/admin/adm@elsewhere.test", password=PASSWORD))


@pytest.mark.parametrize("name", ODD)
def test_a_password_that_is_none_is_wrong(
    api: Client, served: Served, corp: None, name: str
) -> None:
    """To a login and to a check; the directory is not asked, and the failure counts."""
    for username in (ADMIN, "ann@corp.test", "nobody@corp.test"):
        answer = served.client().post("/api/login", username=username, password=ODD[name])
        insist_on_wrong(answer, ODD[name])
    for path in ("user/ann@corp.test", "admin/adm@elsewhere.test"):
        answer = api.post(f"/api/verify_password/{path}", password=ODD[name])
        refused(answer, 200, "INVALID_CREDENTIALS")


def test_an_overlong_password_counts_as_a_failure(serve: Any) -> None:
    """As any other wrong one, so it tells nothing of those that may still be tried."""
    client: Client = serve(login={"failures": 2}).client()
    sent = {"username": ADMIN, "password": LONGEST + "p"}
    codes = [client.post("/api/login", **sent).status_code for _ in range(3)]
    assert codes == [401, 401, 429]


def test_a_login_of_nobody_works_with_slow_hashes(serve: Any) -> None:
    """Which are reckoned for a name that does not exist, too, whatever the password is."""
    client: Client = serve(passwords={"password_scheme": "BCRYPT", "bcrypt_rounds": 4}).client()
    for password in (E_ACUTE * 72, "p" * 100, *ODD.values()):
        answer = client.post("/api/login", username="nobody@corp.test", password=password)
        insist_on_wrong(answer, password)


@pytest.mark.parametrize("name", ["one too many", "more than slapd reads"])
def test_an_overlong_new_password_is_refused(
    api: Client, world: World, corp: None, name: str
) -> None:
    """Whoever gets it, and nothing is changed."""
    before = world.snapshot()
    for answer in (
        api.post("/api/user/bob@corp.test", password=ODD[name]),
        api.put("/api/user/ann@corp.test", password=ODD[name]),
        api.put("/api/users/corp.test", password=ODD[name]),
        api.post("/api/admin/new@elsewhere.test", password=ODD[name]),
        api.put("/api/admin/adm@elsewhere.test", password=ODD[name]),
    ):
        refused(answer, 422, "PW_GREATER_THAN_MAX_LENGTH")
    assert world.snapshot() == before


def test_the_longest_password_works(api: Client, served: Served, corp: None) -> None:
    """Its owner can log in with it, and with no other."""
    done(api.put("/api/user/ann@corp.test", password=LONGEST))
    done(api.post("/api/verify_password/user/ann@corp.test", password=LONGEST))
    wrong = api.post("/api/verify_password/user/ann@corp.test", password=LONGEST[:-1])
    refused(wrong, 200, "INVALID_CREDENTIALS")
    done(api.put("/api/admin/adm@elsewhere.test", password=LONGEST))
    served.client().log_in("adm@elsewhere.test", LONGEST)


def test_a_password_that_is_none_is_not_tried(
    world: World, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection is opened for it."""
    directory: Directory = served.gateways.directory

    def opened(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(type(directory._servers), "bind", opened)
    with pytest.raises(AssertionError):
        directory.verifies(world.tree.admin(ADMIN), PASSWORD)
    for password in ("", *ODD.values()):
        assert not directory.verifies(world.tree.admin(ADMIN), password)


def test_the_longest_texts_fit_into_the_directory(api: Client, world: World, corp: None) -> None:
    """Of more than one byte for each character, and with substring indexes."""
    text = E_ACUTE * 1024
    done(api.put("/api/domain/corp.test", name=text, transport="smtp:x/" + "a" * 248))
    done(api.put("/api/user/ann@corp.test", name=text, gn=text, sn=text, employeeid=text))
    done(api.post("/api/alias/al@corp.test", name=text))
    done(api.post("/api/maillist/li@corp.test", name=text))
    done(api.put("/api/admin/adm@elsewhere.test", name=text))
    assert world.attributes(world.tree.user("ann@corp.test"))["cn"] == {text}
    for path in ("domain/corp.test", "user/ann@corp.test", "alias/al@corp.test"):
        answer = api.put(f"/api/{path}", name=text + "x")
        refused(answer, 400, "INVALID_PARAMETER")
        assert answer.headers["X-Invalid-Parameters"] == "name"


def domain_of(length: int) -> str:
    """A name of this length."""
    labels = ["a" * 60] * ((length - 6) // 61)
    rest = length - 61 * len(labels) - len(".test")
    return ".".join([*labels, "b" * rest, "test"])


def test_the_longest_names_fit_into_the_directory(api: Client, world: World) -> None:
    """Those of accounts and of domains; what is longer is refused, and by name."""
    name = domain_of(228 - len("u" * 60) - 1)
    done(api.post(f"/api/domain/{name}", defaultQuota=10))
    for kind in ("user", "alias", "maillist"):
        sent = {"password": PASSWORD} if kind == "user" else {"members": "x@elsewhere.test"}
        mail = f"{kind[0]}{'u' * 59}@{name}"
        done(api.post(f"/api/{kind}/{mail}", **sent))
        longer = api.post(f"/api/{kind}/{mail.replace('@', 'x@')}", **sent)
        refused(longer, 400, "INVALID_MAIL")
        done(api.delete(f"/api/{kind}/{mail}"))
    longest = domain_of(234)
    done(api.post(f"/api/domain/{longest}", defaultQuota=10))
    refused(api.post(f"/api/domain/{domain_of(235)}"), 400, "INVALID_DOMAIN_NAME")
    done(api.delete(f"/api/domain/{longest}"))


@pytest.mark.parametrize("local", ["u" * 64, "&#" * 32, "u" * 300])
def test_no_name_in_a_path_is_a_fault_of_ours(api: Client, corp: None, local: str) -> None:
    """Whatever the endpoint; an address may be longer than any entry's name.

    Where mail to an address goes is answered also for one that nobody has.
    """
    said = {"mail": f"{local}@{domain_of(255)}", "domain": domain_of(255), "number": "7"}
    said["new_mail"] = f"v{said['mail']}"
    named = [row for row in ENDPOINTS if "{domain}" in row.path or "{mail}" in row.path]
    for row in named:
        path = row.path.format_map({name: quote(value, safe="@") for name, value in said.items()})
        answer = api.call(row.method, path, password=PASSWORD, quota=5)
        expected = {200, 400} if row.id == "resolve" else {400, 404}
        assert answer.status_code in expected, (row.id, answer.text)
