"""What the databases know of an account goes, moves and stays with it."""

from datetime import date, timedelta
from typing import Any

import pytest

from iredldap.errors import ServerDown
from tests.support.client import Client, done, refused
from tests.support.databases import Urls, execute, rows
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"
ANN = "ann@corp.test"
MAILDIR = "/var/vmail/vmail1/corp.test/a/n/n/ann-2026.01.02.03.04.05/"


@pytest.fixture
def corp(api: Client) -> str:
    """A domain with a user."""
    done(api.post("/api/domain/corp.test"))
    done(api.post(f"/api/user/{ANN}", password=PASSWORD))
    return "corp.test"


def deleted(urls: Urls) -> list[tuple[Any, ...]]:
    """What the job that removes mailboxes finds, whoever it is about."""
    found = rows(
        urls.iredadmin,
        "SELECT username, domain, maildir, admin, delete_date FROM deleted_mailboxes ORDER BY 1",
    )
    return [(*row[:4], None if row[4] is None else str(row[4])) for row in found]


def home(world: World, mail: str) -> str:
    return world.attributes(world.tree.user(mail))["homeDirectory"].pop()


def in_days(number: int) -> str:
    return str(date.today() + timedelta(number))  # noqa: DTZ011 - as the job reckons


def use(urls: Urls, mail: str, size: int = 4096, messages: int = 3) -> None:
    """Do what Dovecot does when a mailbox is used."""
    domain = mail.partition("@")[2]
    execute(
        urls.iredadmin,
        "INSERT INTO used_quota (username, bytes, messages) VALUES (:mail, :size, :messages)",
        mail=mail,
        size=size,
        messages=messages,
    )
    execute(
        urls.iredadmin,
        "INSERT INTO last_login (username, domain, imap, lda) VALUES (:mail, :domain, 17, 42)",
        mail=mail,
        domain=domain,
    )


def test_a_deleted_mailbox_is_kept_for_good(
    api: Client, world: World, corp: str, urls: Urls
) -> None:
    """Nobody asked for its end: no job may remove it, and everybody can see where it lies."""
    path = home(world, ANN)

    done(api.delete(f"/api/user/{ANN}"))

    assert deleted(urls) == [(ANN, corp, path, "root@admins.test", None)]


def test_a_deleted_mailbox_may_go_after_some_days(
    api: Client, world: World, corp: str, urls: Urls
) -> None:
    """By the calendar of this server, with the size that Dovecot last knew."""
    use(urls, ANN, size=-5, messages=7)
    path = home(world, ANN)

    done(api.delete(f"/api/user/{ANN}/keep_mailbox_days/30"))

    assert deleted(urls) == [(ANN, corp, path, "root@admins.test", in_days(30))]
    assert rows(urls.iredadmin, "SELECT bytes, messages FROM deleted_mailboxes") == [(0, 7)]


def test_a_domain_leaves_a_row_for_each_mailbox(
    api: Client, world: World, corp: str, urls: Urls
) -> None:
    """Of users; the catch-all has none."""
    done(api.post("/api/user/bo@corp.test", password=PASSWORD))
    done(api.put("/api/domain/corp.test", catchall=ANN))
    paths = [home(world, ANN), home(world, "bo@corp.test")]

    done(api.delete("/api/domain/corp.test/keep_mailbox_days/7"))

    assert [(row[0], row[2], row[4]) for row in deleted(urls)] == [
        (ANN, paths[0], in_days(7)),
        ("bo@corp.test", paths[1], in_days(7)),
    ]


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "99999999", "%20"])
def test_days_are_a_whole_number(api: Client, corp: str, urls: Urls, number: str) -> None:
    for path in (f"/api/user/{ANN}", "/api/domain/corp.test"):
        refused(api.delete(f"{path}/keep_mailbox_days/{number}"), 400, "INVALID_PARAMETER")
    assert deleted(urls) == []
    assert api.get(f"/api/user/{ANN}").status_code == 200


def test_a_normal_admin_chooses_among_the_days_of_the_server(
    api: Client, served: Served, corp: str, urls: Urls
) -> None:
    """Fewer days than asked for would cost a user their mail; for good is always permitted."""
    for mail in ("boss@corp.test", "bo@corp.test"):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.put("/api/domain/admins/corp.test", addAdmin="boss@corp.test"))
    boss = served.client().log_in("boss@corp.test", PASSWORD)

    refused(boss.delete(f"/api/user/{ANN}/keep_mailbox_days/366"), 400, "INVALID_PARAMETER")
    assert deleted(urls) == []
    done(boss.delete(f"/api/user/{ANN}/keep_mailbox_days/365"))
    done(boss.delete("/api/user/bo@corp.test/keep_mailbox_days/0"))

    assert [(row[0], row[3], row[4]) for row in deleted(urls)] == [
        (ANN, "boss@corp.test", in_days(365)),
        ("bo@corp.test", "boss@corp.test", None),
    ]


def test_a_user_shows_what_their_mailbox_holds(api: Client, corp: str, urls: Urls) -> None:
    """From Dovecot's tables, once it has been used; the entity tag is of the entry alone."""
    before = api.get(f"/api/user/{ANN}")
    assert "stored_bytes" not in before.json()["_data"]
    use(urls, ANN)

    tag = {"If-None-Match": before.headers["ETag"]}
    after = api.call("GET", f"/api/user/{ANN}", headers=tag)

    shown = after.json()["_data"]
    assert (shown["stored_bytes"], shown["stored_messages"]) == (4096, 3)
    assert shown["last_login"] == {"imap": 17, "pop3": None, "lda": 42}
    assert after.headers["ETag"] == before.headers["ETag"]


def test_a_deleted_account_leaves_nothing_to_the_next(api: Client, corp: str, urls: Urls) -> None:
    """Who gets the address anew gets no limits, lists, shares or sizes with it."""
    use(urls, ANN)
    done(api.post(f"/api/throttle/{ANN}/outbound", period=60, max_msgs=1))
    done(api.post(f"/api/greylisting/{ANN}", status="disable"))
    done(api.post(f"/api/wblist/inbound/blacklist/{ANN}", addresses="@evil.test"))
    done(api.put(f"/api/spampolicy/user/{ANN}", bypass_spam_checks="yes"))
    share = "INSERT INTO share_folder (from_user, to_user) VALUES (:a, :b)"
    execute(urls.iredadmin, share, a="bo@corp.test", b=ANN)
    execute(urls.iredadmin, "INSERT INTO anyone_shares (from_user) VALUES (:a)", a=ANN)

    done(api.delete(f"/api/user/{ANN}"))
    done(api.post(f"/api/user/{ANN}", password=PASSWORD))

    assert api.get(f"/api/throttle/{ANN}/outbound").json()["_data"] == {}
    assert api.get(f"/api/greylisting/{ANN}").json()["_data"] == {}
    assert api.get(f"/api/wblist/inbound/blacklist/{ANN}").json()["_data"] == []
    assert api.get(f"/api/spampolicy/user/{ANN}").json()["_data"] == {}
    assert "stored_bytes" not in api.get(f"/api/user/{ANN}").json()["_data"]
    assert rows(urls.iredadmin, "SELECT * FROM share_folder") == []
    assert rows(urls.iredadmin, "SELECT * FROM anyone_shares") == []


def test_a_deleted_domain_leaves_nothing_to_the_next(api: Client, corp: str, urls: Urls) -> None:
    """Nor do its users; a domain whose name merely ends alike keeps everything."""
    near = "x@notcorp.test"
    done(api.post("/api/domain/notcorp.test"))
    done(api.post(f"/api/user/{near}", password=PASSWORD))
    for account in (ANN, corp, near, "notcorp.test"):
        done(api.post(f"/api/throttle/{account}/inbound", period=60, max_msgs=1))
        done(api.post(f"/api/wblist/outbound/whitelist/{account}", addresses="a@b.test"))
    use(urls, ANN)
    use(urls, near)

    done(api.delete("/api/domain/corp.test"))

    assert rows(urls.iredapd, "SELECT account FROM throttle ORDER BY 1") == [
        ("@notcorp.test",), (near,),
    ]  # fmt: skip
    assert rows(urls.iredadmin, "SELECT username FROM used_quota") == [(near,)]
    assert len(rows(urls.amavisd, "SELECT * FROM outbound_wblist")) == 2


def test_an_alias_and_a_list_leave_nothing_either(api: Client, corp: str, urls: Urls) -> None:
    done(api.post("/api/alias/sales@corp.test", members=ANN))
    done(api.post("/api/maillist/all@corp.test"))
    for mail in ("sales@corp.test", "all@corp.test"):
        done(api.post(f"/api/greylisting/{mail}", status="disable"))

    done(api.delete("/api/alias/sales@corp.test"))
    done(api.delete("/api/maillist/all@corp.test"))

    assert [account for (account,) in rows(urls.iredapd, "SELECT account FROM greylisting")] == [
        "@."
    ]


def test_an_alias_domain_that_leaves_is_forgotten(api: Client, corp: str, urls: Urls) -> None:
    """Only one that was an alias domain of this one: another's rows are none of its business."""
    done(api.post("/api/domain/other.test"))
    done(api.put("/api/domain/corp.test", addAliasDomain="alias.test"))
    for account in ("@alias.test", "@other.test", "@gmail.test"):
        execute(
            urls.iredapd,
            "INSERT INTO throttle (account, kind, priority, period) VALUES (:a, 'external', 60, 9)",
            a=account,
        )

    done(api.put("/api/domain/corp.test", removeAliasDomain="alias.test,other.test,gmail.test"))

    assert rows(urls.iredapd, "SELECT account FROM throttle ORDER BY 1") == [
        ("@gmail.test",), ("@other.test",),
    ]  # fmt: skip


def test_everything_follows_a_new_address(api: Client, corp: str, urls: Urls) -> None:
    """Also into another domain; what stood under the new address for nobody goes."""
    done(api.post("/api/domain/new.test"))
    new = "anne@new.test"
    use(urls, ANN)
    use(urls, new, size=1)
    done(api.post(f"/api/throttle/{ANN}/outbound", period=60, max_msgs=1))
    done(api.post(f"/api/wblist/inbound/blacklist/{ANN}", addresses="@evil.test"))
    done(api.put(f"/api/spampolicy/user/{ANN}", spam_score="4.5"))
    share = "INSERT INTO share_folder (from_user, to_user) VALUES (:a, :b)"
    execute(urls.iredadmin, share, a="bo@corp.test", b=ANN)
    execute(urls.iredadmin, share, a="bo@corp.test", b=new)

    done(api.post(f"/api/user/{ANN}/change_email/{new}"))

    assert api.get(f"/api/throttle/{new}/outbound").json()["_data"]["max_msgs"] == 1
    assert api.get(f"/api/wblist/inbound/blacklist/{new}").json()["_data"] == ["@evil.test"]
    assert api.get(f"/api/spampolicy/user/{new}").json()["_data"]["spam_score"] == 4.5
    assert rows(urls.iredadmin, "SELECT username, domain, bytes FROM used_quota") == [
        (new, "new.test", 4096)
    ]
    assert rows(urls.iredadmin, "SELECT from_user, to_user FROM share_folder") == [
        ("bo@corp.test", new)
    ]
    assert deleted(urls) == []


@pytest.mark.parametrize("database", ["iredapd", "amavisd", "iredadmin"])
def test_a_database_that_fails_before_changes_nothing(
    api: Client, served: Served, world: World, corp: str, database: str, monkeypatch: Any
) -> None:
    """The answer says which."""

    def fail(*_: object) -> None:
        raise ServerDown("it is down", report={"database": database})

    monkeypatch.setattr(getattr(served.gateways.outside, database), "ask", fail)
    before = world.snapshot()

    for answer in (
        api.delete(f"/api/user/{ANN}"),
        api.delete("/api/domain/corp.test"),
        api.post(f"/api/user/{ANN}/change_email/anne@corp.test"),
    ):
        assert answer.status_code == 503
        assert answer.json() == {
            "_success": False, "_msg": "SERVER_DOWN", "_data": {"database": database},
        }  # fmt: skip
    assert world.snapshot() == before


@pytest.mark.parametrize("database", ["iredapd", "amavisd", "iredadmin"])
def test_a_deletion_that_broke_off_is_finished_by_asking_again(
    api: Client,
    served: Served,
    world: World,
    corp: str,
    urls: Urls,
    database: str,
    monkeypatch: Any,
) -> None:
    """The answer says what was done; the account is off and there, its mailbox noted once."""
    gateway = getattr(served.gateways.outside, database)

    def fail(*_: object) -> None:
        raise ServerDown("it went away", report={"database": database})

    path = home(world, ANN)
    with monkeypatch.context() as broken:
        broken.setattr(gateway, "forget", fail)
        answer = api.delete(f"/api/user/{ANN}/keep_mailbox_days/7")
        assert (answer.status_code, answer.json()["_msg"]) == (503, "SERVER_DOWN")
        report = answer.json()["_data"]
        assert report["database"] == database
        assert report["not_done"][0].startswith("forget the policies and records of ann@corp.test")
        assert report["not_done"][-1].startswith("delete mail=ann@corp.test")
        assert world.attributes(world.tree.user(ANN))["accountStatus"] == {"disabled"}

    done(api.delete(f"/api/user/{ANN}/keep_mailbox_days/14"))

    assert [(row[2], row[4]) for row in deleted(urls)] == [(path, in_days(14))]
    assert world.entry(world.tree.user(ANN)) is None


def test_a_rename_that_broke_off_is_finished_by_asking_again(
    api: Client, served: Served, world: World, corp: str, urls: Urls, monkeypatch: Any
) -> None:
    """What had moved stays moved, the rest follows."""
    use(urls, ANN)
    done(api.post(f"/api/throttle/{ANN}/outbound", period=60, max_msgs=1))
    done(api.put(f"/api/spampolicy/user/{ANN}", spam_score="4.5"))

    def fail(*_: object) -> None:
        raise ServerDown("it went away", report={"database": "amavisd"})

    with monkeypatch.context() as broken:
        broken.setattr(served.gateways.outside.amavisd, "move", fail)
        answer = api.post(f"/api/user/{ANN}/change_email/anne@corp.test")
        assert (answer.status_code, answer.json()["_data"]["database"]) == (503, "amavisd")

    done(api.post(f"/api/user/{ANN}/change_email/anne@corp.test"))

    new = "anne@corp.test"
    assert api.get(f"/api/throttle/{new}/outbound").json()["_data"]["max_msgs"] == 1
    assert api.get(f"/api/spampolicy/user/{new}").json()["_data"]["spam_score"] == 4.5
    assert api.get(f"/api/user/{new}").json()["_data"]["stored_bytes"] == 4096
    assert "shadowAddress" not in world.attributes(world.tree.user(new))


def test_a_user_who_is_created_again_keeps_the_mailbox(
    api: Client, served: Served, world: World, corp: str, urls: Urls, monkeypatch: Any
) -> None:
    """A deletion that broke off had written it down as one to be removed."""

    def fail(*_: object) -> None:
        raise ServerDown("it went away")

    for path in (f"/api/user/{ANN}", "/api/users/corp.test"):
        with monkeypatch.context() as broken:
            broken.setattr(served.gateways.outside.amavisd, "forget", fail)
            assert api.delete(f"/api/user/{ANN}/keep_mailbox_days/1").status_code == 503
        assert [row[4] for row in deleted(urls)] == [in_days(1)]

        done(api.put(path, accountStatus="active"))

        assert deleted(urls) == []
    assert world.attributes(world.tree.user(ANN))["accountStatus"] == {"active"}


def test_a_domain_that_comes_back_keeps_its_mailboxes(
    api: Client, served: Served, corp: str, urls: Urls, monkeypatch: Any
) -> None:
    def fail(*_: object) -> None:
        raise ServerDown("it went away")

    with monkeypatch.context() as broken:
        broken.setattr(served.gateways.outside.amavisd, "forget_domain", fail)
        assert api.delete("/api/domain/corp.test/keep_mailbox_days/1").status_code == 503
    assert [row[4] for row in deleted(urls)] == [in_days(1)]

    done(api.put("/api/domain/corp.test", accountStatus="active"))

    assert deleted(urls) == []


@pytest.mark.parametrize("spelling", [MAILDIR, MAILDIR.rstrip("/")])
def test_a_path_that_is_used_again_is_not_removed(
    api: Client, corp: str, urls: Urls, spelling: str
) -> None:
    """The job would take the mail of the living."""
    execute(
        urls.iredadmin,
        "INSERT INTO deleted_mailboxes (username, domain, maildir, admin, delete_date)"
        " VALUES ('old@corp.test', 'corp.test', :path, 'x', '2026-01-01')",
        path=spelling,
    )

    done(api.post("/api/user/new@corp.test", password=PASSWORD, maildir=MAILDIR))

    assert deleted(urls) == []


def test_without_a_table_a_mailbox_is_kept_or_the_deletion_refused(
    api: Client, world: World, corp: str, urls: Urls
) -> None:
    """Databases of old releases have none."""
    execute(urls.iredadmin, "DROP TABLE deleted_mailboxes")
    before = world.snapshot()

    answer = api.delete(f"/api/user/{ANN}/keep_mailbox_days/7")

    assert (answer.status_code, answer.json()["_data"]) == (
        503,
        {"database": "iredadmin", "missing_table": "deleted_mailboxes"},
    )
    assert world.snapshot() == before
    done(api.delete(f"/api/user/{ANN}/keep_mailbox_days/0"))


def test_an_old_table_without_sizes_will_do(api: Client, corp: str, urls: Urls) -> None:
    for column in ("bytes", "messages"):
        execute(urls.iredadmin, f"ALTER TABLE deleted_mailboxes DROP COLUMN {column}")

    done(api.delete(f"/api/user/{ANN}"))

    assert [row[0] for row in deleted(urls)] == [ANN]
