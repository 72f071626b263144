"""The admin log, as iRedAdmin's pages read it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from iredldap.errors import ServerDown
from tests.support.client import Client, done, refused
from tests.support.databases import Urls, execute, rows
from tests.support.patience import wait_until
from tests.support.serving import Served
from tests.support.world import ADMIN

PASSWORD = "a good password"
ANN = "ann@corp.test"


@pytest.fixture
def corp(api: Client, urls: Urls) -> str:
    """A domain with a user, and an empty log."""
    done(api.post("/api/domain/corp.test"))
    done(api.post(f"/api/user/{ANN}", password=PASSWORD))
    execute(urls.iredadmin, "DELETE FROM log")
    return "corp.test"


def lines(urls: Urls) -> list[tuple[Any, ...]]:
    return rows(
        urls.iredadmin, "SELECT event, domain, username, loglevel, msg FROM log ORDER BY id"
    )


@pytest.mark.parametrize(
    ("method", "path", "parameters", "line"),
    [
        ("PUT", f"/api/user/{ANN}", {"name": "Änn", "addForwarding": "a@b.test"},
         ("update", "corp.test", ANN,
          "user update ann@corp.test: name=Änn, addForwarding=a@b.test")),
        ("PUT", f"/api/user/{ANN}", {"password": "another good one"},
         ("update", "corp.test", ANN, "user update ann@corp.test: password")),
        ("PUT", f"/api/user/{ANN}", {"accountStatus": "disabled"},
         ("disable", "corp.test", ANN, "user update ann@corp.test: accountStatus=disabled")),
        ("PUT", "/api/domain/corp.test", {"accountStatus": "active"},
         ("active", "corp.test", "", "domain update corp.test: accountStatus=active")),
        ("PUT", f"/api/user/{ANN}", {"isGlobalAdmin": "yes"},
         ("grant", "corp.test", ANN, "user update ann@corp.test: isGlobalAdmin=yes")),
        ("POST", "/api/user/bo@corp.test", {"password": PASSWORD, "quota": "5"},
         ("create", "corp.test", "bo@corp.test",
          "user create bo@corp.test: password, quota=5242880")),
        ("DELETE", f"/api/user/{ANN}/keep_mailbox_days/7", {},
         ("delete", "corp.test", ANN, "user delete keep ann@corp.test number 7")),
        ("POST", f"/api/user/{ANN}/change_email/anne@corp.test", {},
         ("update", "corp.test", ANN, "user change email ann@corp.test new_mail anne@corp.test")),
        ("POST", "/api/throttle/global/inbound", {"period": "60", "max_msgs": "-1"},
         ("update", "", "", "throttle global inbound set: period=60, max_msgs=-1")),
        ("POST", "/api/wblist/inbound/whitelist/corp.test", {"addresses": "A@b.test"},
         ("update_wblist", "corp.test", "",
          "wblist inbound whitelist domain add corp.test: addresses=a@b.test")),
        ("DELETE", f"/api/spampolicy/user/{ANN}", {},
         ("update", "corp.test", ANN, "spampolicy user delete ann@corp.test")),
        ("GET", "/api/ldif/domain/corp.test", {},
         ("backup", "corp.test", "", "ldif domain corp.test")),
    ],
)  # fmt: skip
def test_a_change_is_a_line(
    api: Client,
    corp: str,
    urls: Urls,
    method: str,
    path: str,
    parameters: dict[str, str],
    line: tuple[str, ...],
) -> None:
    """Event, domain, account, and what was sent; of a password that it was."""
    assert api.call(method, path, **parameters).status_code == 200

    event, domain, username, message = line
    assert lines(urls) == [(event, domain, username, "info", f"[API] {message}")]


def test_a_line_says_who_when_and_from_where(api: Client, corp: str, urls: Urls) -> None:
    """The time is UTC without fractions, as the pages expect it."""
    before = datetime.now(UTC).replace(tzinfo=None, microsecond=0)

    done(api.put(f"/api/user/{ANN}", name="Ann"))

    ((admin, ip, when),) = rows(urls.iredadmin, "SELECT admin, ip, timestamp FROM log")
    assert (admin, ip) == (ADMIN, "127.0.0.1")
    assert before <= datetime.fromisoformat(str(when)) <= datetime.now(UTC).replace(tzinfo=None)
    assert len(str(when)) == 19


def test_a_login_is_a_line(served: Served, urls: Urls) -> None:
    """A failed one is none."""
    wrong = served.client().post("/api/login", username=ADMIN, password="wrong")
    assert wrong.status_code == 401
    served.client().log_in()

    assert lines(urls) == [("login", "admins.test", ADMIN, "info", f"[API] login {ADMIN}")]


def test_what_was_refused_is_no_line(api: Client, corp: str, urls: Urls) -> None:
    refused(api.put(f"/api/user/{ANN}", quota="x"), 400, "INVALID_PARAMETER")
    refused(api.delete("/api/user/nobody@corp.test"), 404, "NO_SUCH_ACCOUNT")

    assert lines(urls) == []


def test_a_change_that_broke_off_is_an_error(
    api: Client, served: Served, corp: str, urls: Urls, monkeypatch: Any
) -> None:
    def fail(*_: object) -> None:
        raise ServerDown("it went away")

    monkeypatch.setattr(served.gateways.outside.amavisd, "forget", fail)
    assert api.delete(f"/api/user/{ANN}").status_code == 503

    assert lines(urls) == [
        ("delete", "corp.test", ANN, "error",
         "[API] user delete ann@corp.test (broken off: SERVER_DOWN)"),
    ]  # fmt: skip


def test_a_job_is_a_line_when_it_has_ended(api: Client, corp: str, urls: Urls) -> None:
    """From where it was asked for; a password in it stays out."""
    asked = api.call(
        "PUT",
        "/api/users/corp.test",
        headers={"Prefer": "respond-async"},
        language="de_DE",
        password="another good one",
    )
    job = asked.json()["_data"]["job"]
    wait_until(lambda: bool(lines(urls)))

    assert api.get(f"/api/jobs/{job}").json()["_data"]["status"] in {"running", "done"}
    ((event, domain, _, level, message),) = lines(urls)
    assert (event, domain, level) == ("update", "corp.test", "info")
    assert message.startswith("[API] users update corp.test: ")
    assert "language=de_DE" in message
    assert "SSHA" not in message
    assert rows(urls.iredadmin, "SELECT ip FROM log") == [("127.0.0.1",)]


def test_a_log_that_fails_fails_nothing(api: Client, served: Served, corp: str, urls: Urls) -> None:
    """A change is done without its line."""
    execute(urls.iredadmin, "DROP TABLE log")

    done(api.put(f"/api/user/{ANN}", name="Ann"))

    assert api.get(f"/api/user/{ANN}").json()["_data"]["cn"] == ["Ann"]


CAT = "\N{CAT FACE}"
NARROW = {
    # As older releases made it; the character set is that of an installation of those years.
    "mariadb": [
        "ALTER TABLE log CONVERT TO CHARACTER SET utf8mb3",
        "ALTER TABLE log MODIFY msg VARCHAR(255) CHARACTER SET utf8mb3",
    ],
    "postgresql": ["ALTER TABLE log ALTER COLUMN msg TYPE VARCHAR(255)"],
    "sqlite": [
        (
            "CREATE TRIGGER narrow BEFORE INSERT ON log WHEN length(NEW.msg) > 255"
            " BEGIN SELECT RAISE(ABORT, 'too long'); END"
        )
    ],
}


def test_a_line_that_the_table_refuses_is_written_in_plain_words(
    api: Client, corp: str, urls: Urls
) -> None:
    """The change is done and answered so, and the database is asked again for the next line."""
    for statement in NARROW[urls.backend]:
        execute(urls.iredadmin, statement)

    done(api.put(f"/api/user/{ANN}", name=CAT))
    done(api.put(f"/api/user/{ANN}", name="n" * 1024))
    done(api.put(f"/api/user/{ANN}", language="de_DE"))

    messages = [line[-1] for line in lines(urls)]
    assert messages[-1].endswith("language=de_DE")
    if urls.backend != "sqlite":
        long = messages[1]
        assert long == f"[API] user update {ANN}: name={'n' * 1024}"[:255]
    if urls.backend == "mariadb":
        assert messages[0] == f"[API] user update {ANN}: name=\\U0001f431"
    assert api.get(f"/api/user/{ANN}").json()["_data"]["cn"] == ["n" * 1024]


def test_a_log_that_takes_no_line_fails_nothing(
    api: Client, served: Served, corp: str, urls: Urls
) -> None:
    """Neither the change, nor what else asks that database."""
    execute(urls.iredadmin, "DROP TABLE log")
    execute(urls.iredadmin, "CREATE TABLE log (msg VARCHAR(3) NOT NULL CHECK (msg = 'no'))")

    for name in ("Ann", "Anne"):
        done(api.put(f"/api/user/{ANN}", name=name))
    done(api.delete(f"/api/user/{ANN}"))

    assert rows(urls.iredadmin, "SELECT msg FROM log") == []
