"""LDIF of everything over HTTP: out, and back in."""

import base64
import gzip
import re
from typing import Any

import pytest

from ldif_export.restore import execution
from tests.support.client import Client, done, refused
from tests.support.databases import Urls, execute, rows
from tests.support.patience import PATIENCE
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"
ANN = "ann@corp.test"


@pytest.fixture
def corp(api: Client) -> str:
    """A domain with a user and an alias."""
    done(api.post("/api/domain/corp.test"))
    done(api.post(f"/api/user/{ANN}", password=PASSWORD, name="Änn"))
    done(api.post("/api/alias/sales@corp.test", members=ANN))
    return "corp.test"


def everything(api: Client, **parameters: str) -> bytes:
    answer = api.get("/api/ldif", format="ldif", **parameters)
    assert answer.headers["Content-Type"].startswith("text/ldif")
    return answer.content


def test_everything_is_in_the_file(api: Client, corp: str) -> None:
    """Every domain and standalone admin, hashes among them; in the envelope the same text."""
    text = everything(api)

    for dn in (b"dn: domainName=corp.test,", b"dn: mail=ann@corp.test,", b"o=domainAdmins"):
        assert dn in text
    assert b"userPassword:: " in text
    assert api.get("/api/ldif").json()["_data"].encode() == text
    assert b"userPassword" not in everything(api, passwords="no")
    only = everything(api, only="alias")
    assert b"dn: mail=sales@corp.test," in only
    assert b"dn: mail=ann@corp.test," not in only


def test_what_went_out_comes_back(api: Client, world: World, corp: str) -> None:
    """After the domain was lost, and once more, when nothing is left to do."""
    before, text = world.snapshot(), everything(api)
    done(api.delete("/api/domain/corp.test"))

    first, second = (
        api.send_file("/api/ldif", text),
        api.send_file("/api/ldif", gzip.compress(text)),
    )

    assert first.json()["_success"], first.text
    counts = [(a.json()["_data"]["added"], a.json()["_data"]["missing"]) for a in (first, second)]
    assert counts == [(7, 0), (0, 0)]
    assert world.snapshot() == before
    assert (
        Client(api.url).post("/api/login", username=ANN, password=PASSWORD).status_code == 401
    )  # no admin, but no 503 either


def test_a_user_who_is_restored_keeps_the_mailbox(api: Client, corp: str, urls: Urls) -> None:
    """It was written down as one to be removed when the domain was deleted."""
    text = everything(api)
    done(api.delete("/api/domain/corp.test/keep_mailbox_days/1"))
    assert len(rows(urls.iredadmin, "SELECT username FROM deleted_mailboxes")) == 1

    api.send_file("/api/ldif", text, dry_run="yes")
    assert len(rows(urls.iredadmin, "SELECT username FROM deleted_mailboxes")) == 1
    api.send_file("/api/ldif", gzip.compress(text))

    assert rows(urls.iredadmin, "SELECT username FROM deleted_mailboxes") == []


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
def test_nothing_around_a_mailbox_that_comes_back_is_removed(
    api: Client, world: World, corp: str, urls: Urls, monkeypatch: Any, moment: str
) -> None:
    """In the older form of a path, too; and if a deletion wrote it down while it came back."""
    ann = world.tree.user(ANN)
    world.set(
        ann,
        homeDirectory=None,
        storageBaseDirectory="/var/vmail",
        mailMessageStore="vmail1/corp.test/Ann/",
    )
    text = everything(api)
    done(api.delete("/api/domain/corp.test"))

    def write_down() -> None:
        for name in ("ann", "ann/x", "other"):
            execute(
                urls.iredadmin,
                "INSERT INTO deleted_mailboxes (username, domain, maildir, admin, delete_date)"
                " VALUES ('old@corp.test', 'corp.test', :path, 'x', '2026-01-01')",
                path=f"/var/vmail/vmail1/corp.test/{name}",
            )

    if moment == "before":
        write_down()
    else:
        original = execution.execute

        def slowly(*what: Any, **more: Any) -> Any:
            write_down()
            return original(*what, **more)

        monkeypatch.setattr(execution, "execute", slowly)
    assert api.send_file("/api/ldif", text).status_code == 200

    left = rows(urls.iredadmin, "SELECT maildir FROM deleted_mailboxes")
    assert left == [("/var/vmail/vmail1/corp.test/other",)]


def test_a_dry_run_changes_nothing(api: Client, world: World, corp: str) -> None:
    """As a report, or as change records."""
    text = everything(api)
    done(api.delete("/api/domain/corp.test"))
    before = world.snapshot()

    report = api.send_file("/api/ldif", text, dry_run="yes")
    records = api.send_file("/api/ldif", text, dry_run="yes", format="ldif")

    assert (report.json()["_data"]["ok"], report.json()["_data"]["add"]) == (True, 7)
    assert records.headers["Content-Type"].startswith("text/ldif")
    assert records.content.count(b"changetype: add") == 7
    assert world.snapshot() == before


def test_what_differs_is_reported_and_let_be(api: Client, world: World, corp: str) -> None:
    """Unless the file shall win."""
    text = everything(api)
    done(api.put(f"/api/user/{ANN}", name="Somebody Else"))

    kept, won = api.send_file("/api/ldif", text), api.send_file("/api/ldif", text, overwrite="yes")

    assert [a.json()["_data"]["differ"] for a in (kept, won)] == [1, 0]
    assert kept.json()["_data"]["differences"][0]["dn"] == world.tree.user(ANN)
    assert won.json()["_data"]["changed"] == 1
    assert world.attributes(world.tree.user(ANN))["cn"] == {"Änn"}


def test_a_multipart_form_will_do(api: Client, world: World, corp: str) -> None:
    text = everything(api)
    done(api.delete("/api/domain/corp.test"))

    answer = api.session.post(
        f"{api.url}/api/ldif", files={"file": ("backup.ldif", text)}, timeout=PATIENCE
    )

    assert answer.json()["_data"]["added"] == 7


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[: len(text) // 2], "cut"),
        (lambda text: text.replace(b"accountStatus:", b"noSuchAttribute:", 1), "noSuchAttribute"),
        (lambda text: text.replace(b"userPassword:: ", b"userPassword:: !", 1), "base64"),
        (lambda text: text.replace(b"dc=example,dc=com", b"dc=other"), "dc=other"),
        (lambda _: b"\x1f\x8b no gzip", ""),
        (lambda _: b"a=1&b=2", ""),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_reason(
    api: Client, world: World, corp: str, change: Any, reason: str
) -> None:
    """And nothing of it is written."""
    text = change(everything(api))
    done(api.delete("/api/domain/corp.test"))
    before = world.snapshot()

    answer = api.send_file("/api/ldif", text)
    rehearsals = [
        api.send_file("/api/ldif", text, dry_run="yes", **form) for form in ({}, {"format": "ldif"})
    ]

    assert (answer.status_code, answer.json()["_msg"]) == (400, "INVALID_LDIF")
    assert not answer.json()["_success"]
    assert [(r.status_code, r.json()) for r in rehearsals] == [(400, answer.json())] * 2
    faults = answer.json()["_data"]["refused"]
    assert any(reason in fault["reason"] for fault in faults), faults
    assert all(fault["line"] >= 0 for fault in faults)
    assert world.snapshot() == before


def test_what_editors_and_other_tools_leave_is_taken(api: Client, world: World, corp: str) -> None:
    """A byte order mark, entries written as additions, and no line feed at the end."""
    before, text = world.snapshot(), everything(api)
    done(api.delete("/api/domain/corp.test"))
    additions = re.sub(rb"(?m)^(dn:[^\n]*(?:\n [^\n]*)*)", rb"\1\nchangetype: add", text)
    assert additions.count(b"changetype: add") > 7

    answer = api.send_file("/api/ldif", b"\xef\xbb\xbf" + additions.rstrip(b"\n"))

    assert (answer.status_code, answer.json()["_data"]["added"]) == (200, 7)
    assert world.snapshot() == before


def test_no_file_is_no_restore(api: Client) -> None:
    """Whether the body is empty, or a form without one."""
    refused(api.send_file("/api/ldif", b""), 400, "MISSING_PARAMETER")
    form = api.session.post(f"{api.url}/api/ldif", files={"x": (None, "y")}, timeout=PATIENCE)
    refused(form, 400, "MISSING_PARAMETER")


def test_clear_text_needs_a_word(api: Client, world: World, corp: str) -> None:
    """Whoever reads the directory would read the password."""
    text = everything(api)
    hashes = [line for line in text.splitlines() if line.startswith(b"userPassword:: ")]
    clear = base64.b64encode(b"in clear text")
    start = text.index(b"dn: mail=ann@corp.test")
    end = text.index(b"\n\n", start)
    record = text[start:end].replace(b"\n ", b"")
    for line in record.splitlines():
        if line.startswith(b"userPassword:: "):
            record = record.replace(line, b"userPassword:: " + clear)
    changed = text[:start] + record + text[end:]
    assert hashes
    done(api.delete("/api/domain/corp.test"))

    refused_ = api.send_file("/api/ldif", changed)
    taken = api.send_file("/api/ldif", changed, clear_text="yes")

    assert refused_.json()["_msg"] == "INVALID_LDIF"
    assert taken.json()["_success"]


def test_attributes_are_left_out(api: Client, corp: str) -> None:
    """Those of a release whose schema had more."""
    text = everything(api)
    last = b"\nlastLoginDate: 20200101000000Z\nlastLoginIP: 192.0.2.1\n"
    old = text.replace(b"\nmail: ann@corp.test\n", b"\nmail: ann@corp.test" + last)
    assert old != text
    done(api.delete("/api/domain/corp.test"))

    no = api.send_file("/api/ldif", old).json()
    wanted = {"leave_out": "lastLoginDate,lastLoginIP"}
    rehearsal = api.send_file("/api/ldif", old, dry_run="yes", **wanted).json()
    taken = api.send_file("/api/ldif", old, **wanted).json()

    assert no["_msg"] == "INVALID_LDIF"
    assert "leave_out=lastLoginDate" in str(no["_data"]["refused"])
    assert rehearsal["_data"]["omitted"] == {"lastLoginDate": 1, "lastLoginIP": 1}
    assert taken["_success"], taken
    assert everything(api) == text


def test_a_file_has_a_largest_size(serve: Any, world: World) -> None:
    """What is larger is not read at all."""
    served: Served = serve(api={"enable_restful_api": True, "max_upload": 2000})
    api = served.client().log_in()

    refused(api.send_file("/api/ldif", b"x" * 2001), 413, "BODY_TOO_LARGE")


def test_it_is_for_global_admins(api: Client, served: Served, corp: str) -> None:
    done(api.post("/api/user/boss@corp.test", password=PASSWORD))
    done(api.put("/api/domain/admins/corp.test", addAdmin="boss@corp.test"))
    boss = served.client().log_in("boss@corp.test", PASSWORD)

    refused(boss.get("/api/ldif"), 403, "PERMISSION_DENIED")
    refused(boss.send_file("/api/ldif", b"version: 1\n"), 403, "PERMISSION_DENIED")
    refused(served.client().send_file("/api/ldif", b"version: 1\n"), 401, "LOGIN_REQUIRED")
