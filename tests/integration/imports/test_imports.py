"""Imports of files of users, judged by what stands in the directory."""

import csv
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from iredldap.desired import imports
from iredldap.desired.batches import Batches
from iredldap.errors import PermissionDenied, ServerDown
from iredldap.gateways.recorded_directory import RecordedDirectory
from iredldap.operations import dispatch
from tests.support.client import Client, done
from tests.support.patience import PATIENCE
from tests.support.serving import Served
from tests.support.world import ADMIN, World

DOMAIN = "home.test"
PASSWORD = "a good password"


@pytest.fixture
def home(api: Client) -> str:
    """A domain with a list and an alias."""
    done(api.post(f"/api/domain/{DOMAIN}", defaultQuota=10))
    done(api.post(f"/api/maillist/all@{DOMAIN}"))
    done(api.post(f"/api/alias/sales@{DOMAIN}", members="first@far.test"))
    return DOMAIN


def table(*rows: dict[str, str]) -> bytes:
    columns = [*dict.fromkeys(name for row in rows for name in row)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def sent(api: Client, data: bytes, *, waits: bool = True, **query: str) -> Any:
    answer = api.session.post(
        f"{api.url}/api/import",
        data=data,
        params=query,
        headers={"Content-Type": "text/csv"} | ({} if waits else {"Prefer": "respond-async"}),
        timeout=PATIENCE,
    )
    body = answer.json()
    assert answer.status_code in {200, 202}, body
    return body["_data"]


def counts(report: dict[str, Any]) -> dict[str, int]:
    names = ("created", "updated", "unchanged", "differs", "refused", "joined")
    return {name: report[name] for name in names if report[name]}


def ended(api: Client, job: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while True:
        state: dict[str, Any] = api.get(f"/api/jobs/{job}").json()["_data"]
        if state["finished"]:
            return state
        assert time.monotonic() < until, state
        time.sleep(0.05)


def test_a_row_may_have_every_parameter(api: Client, world: World, home: str) -> None:
    """One entry has what a creation and a change of the same parameters would give."""
    parameters = {
        "name": "Ännchen von Tharau",
        "quota": "512",
        "language": "de_DE",
        "accountStatus": "disabled",
        "forwarding": "ann@home.test;out@far.test",
        "aliases": "a@home.test,anna@home.test",
        "gn": "Ann",
        "sn": "Tharau",
        "employeeid": "7",
        "senderBcc": "log@far.test",
        "telephoneNumber": "+49 30 1;+49 30 2",
        "transport": "smtp:[relay.test]:25",
        "services": "mail;smtp;imap;deliver;forward;shadowaddress;senderbcc",
    }
    row = {"address": "ann@home.test", "password": PASSWORD, **parameters}
    report = sent(api, table({**row, "lists": "all@home.test;sales@home.test"}))
    assert report["refusals"] == []
    assert counts(report) == {"created": 1, "joined": 2}
    done(api.post("/api/user/bea@home.test", password=PASSWORD))
    form = {name: value.replace(";", ",") for name, value in parameters.items()}
    form |= {"forwarding": "bea@home.test,out@far.test", "aliases": "b@home.test,beate@home.test"}
    done(api.put("/api/user/bea@home.test", **form))
    ann, bea = (world.attributes(world.tree.user(f"{n}@home.test")) for n in ("ann", "bea"))
    assert ann.pop("memberOfGroup") == {"all@home.test"}
    different = {"mail", "uid", "homeDirectory", "userPassword", "shadowAddress"}
    for attribute in different:
        assert attribute in ann
        del ann[attribute], bea[attribute]
    assert ann["mailForwardingAddress"] == {"ann@home.test", "out@far.test"}
    del ann["mailForwardingAddress"], bea["mailForwardingAddress"]
    assert ann == bea
    (alias,) = world.find("(mail=sales@home.test)")
    assert alias.lowered("mailForwardingAddress") == {"first@far.test", "ann@home.test"}


def test_a_second_time_changes_nothing(api: Client, world: World, home: str) -> None:
    rows = [
        {
            "address": f"u{number}@home.test",
            "password": PASSWORD,
            "name": f"User {number}",
            "quota": "20",
            "aliases": f"also{number}@home.test",
            "lists": "all@home.test;sales@home.test",
            # The next one comes later in the file.
            "forwarding": f"u{(number + 1) % 5}@home.test",
        }
        for number in range(5)
    ]
    assert counts(sent(api, table(*rows))) == {"created": 5, "joined": 10}
    before = world.snapshot()
    assert counts(sent(api, table(*rows))) == {"unchanged": 5}
    assert counts(sent(api, table(*rows), update="yes")) == {"unchanged": 5}
    assert counts(sent(api, table(*rows), update="yes", passwords="yes")) == {"unchanged": 5}
    assert world.snapshot() == before
    (first,) = world.find("(mail=u0@home.test)")
    assert first.lowered("mailForwardingAddress") == {"u1@home.test"}


def test_accounts_that_differ_are_told_and_changed_on_request(
    api: Client, world: World, home: str
) -> None:
    done(api.post("/api/user/ann@home.test", password="her own password", name="Ann"))
    row = {"address": "ann@home.test", "password": PASSWORD, "name": "Ännchen", "quota": "30"}
    report = sent(api, table(row))
    assert counts(report) == {"differs": 1}
    assert report["differences"][0]["differs"] == ["name", "quota"]
    assert world.attributes(world.tree.user("ann@home.test"))["cn"] == {"Ann"}
    assert counts(sent(api, table(row), update="yes")) == {"updated": 1}
    dn = world.tree.user("ann@home.test")
    assert world.attributes(dn)["cn"] == {"Ännchen"}
    # The user's password may be newer than the file's.
    world.connect(dn, "her own password")
    assert counts(sent(api, table(row), update="yes", passwords="yes")) == {"updated": 1}
    world.connect(dn, PASSWORD)


def test_refused_rows_name_the_reason_and_can_be_sent_again(
    api: Client, world: World, home: str
) -> None:
    done(api.put(f"/api/domain/{home}", numberOfUsers=4))
    good = [{"address": f"u{n}@home.test", "password": PASSWORD} for n in range(3)]
    bad = [
        ({"address": "no address", "password": PASSWORD}, "INVALID_MAIL"),
        ({"address": "x@nowhere.test", "password": PASSWORD}, "NO_SUCH_ACCOUNT"),
        ({"address": "weak@home.test", "password": "short"}, "PW_SHORTER_THAN_MIN_LENGTH"),
        ({"address": "none@home.test", "password": ""}, "PW_EMPTY"),
        ({"address": "sales@home.test", "password": PASSWORD}, "ALREADY_EXISTS"),
        ({"address": "u0@home.test", "password": PASSWORD}, "INVALID_MAIL"),
        (
            {"address": "l@home.test", "password": PASSWORD, "lists": "no@home.test"},
            "NO_SUCH_ACCOUNT",
        ),
        ({"address": "q@home.test", "password": PASSWORD, "quota": "much"}, "INVALID_PARAMETER"),
    ]
    report = sent(api, table(*good, *(row for row, _ in bad)))
    assert counts(report) == {"created": 3, "refused": len(bad)}
    assert [one["code"] for one in report["refusals"]] == [code for _, code in bad]
    assert [one["line"] for one in report["refusals"]] == [*range(5, 5 + len(bad))]
    rows = [*csv.DictReader(io.StringIO(report["rejected"], newline=""))]
    assert [row["address"] for row in rows] == [row["address"] for row, _ in bad]
    assert all(code in row["reason"] for row, (_, code) in zip(rows, bad, strict=True))
    # Two mended, and a third one for which there is no room.
    rows[2]["password"] = rows[6]["password"] = rows[7]["password"] = PASSWORD
    rows[6]["lists"], rows[7]["quota"] = "all@home.test", "5"
    report = sent(api, table(rows[2], rows[6], rows[7]))
    assert counts(report) == {"created": 1, "refused": 2}, report
    assert {one["code"] for one in report["refusals"]} == {"EXCEEDED_DOMAIN_ACCOUNT_LIMIT"}
    assert len(world.find("(objectClass=mailUser)")) == 4


def test_a_dry_run_says_the_same_and_changes_nothing(api: Client, world: World, home: str) -> None:
    done(api.put(f"/api/domain/{home}", numberOfUsers=2))
    rows = [
        {"address": f"u{n}@home.test", "password": PASSWORD, "lists": "all@home.test"}
        for n in range(3)
    ]
    before = world.snapshot()
    tried = sent(api, table(*rows), dry_run="yes")
    assert tried["dry_run"]
    assert world.snapshot() == before
    made = sent(api, table(*rows))
    assert counts(tried) == counts(made) == {"created": 2, "refused": 1, "joined": 2}


def test_each_row_is_a_change_of_its_own(api: Client, world: World, home: str) -> None:
    """The change log has it with its values; it can be undone alone."""
    rows = [{"address": f"u{n}@home.test", "password": PASSWORD} for n in range(3)]
    sent(api, table(*rows))
    found = api.get("/api/changes", account="u1@home.test").json()["_data"]
    (change,) = found
    assert (change["endpoint"], change["result"]) == ("user_create", "done")
    assert change["parameters"]["password"] == ["{redacted}"]
    done_again = api.post(f"/api/changes/{change['id']}/undo")
    assert done_again.status_code == 200, done_again.text
    assert {one.text("mail") for one in world.find("(objectClass=mailUser)")} == {
        "u0@home.test",
        "u2@home.test",
    }


def test_a_job_has_the_report(api: Client, world: World, home: str, served: Served) -> None:
    rows = [
        {"address": f"u{n:03}@home.test", "password": PASSWORD if n % 50 else "weak"}
        for n in range(250)
    ]
    promised = sent(api, table(*rows), waits=False)
    state = ended(api, promised["job"])
    assert (state["status"], state["done"], state["total"]) == ("done", 250, 250)
    assert counts(state["report"]) == {"created": 245, "refused": 5}
    assert {one["code"] for one in state["report"]["refusals"]} == {"PW_SHORTER_THAN_MIN_LENGTH"}
    assert "weak" not in str(state)
    assert len(world.find("(objectClass=mailUser)")) == 245
    world.connect(world.tree.user("u001@home.test"), PASSWORD)


def test_a_normal_admin_imports_into_their_own_domains(
    api: Client, served: Served, world: World, home: str
) -> None:
    done(api.post("/api/domain/other.test"))
    done(api.post("/api/admin/boss@admins.test", password=PASSWORD, name="Boss"))
    done(api.put(f"/api/domain/admins/{home}", addAdmin="boss@admins.test"))
    boss = served.client()
    boss.log_in("boss@admins.test", PASSWORD)
    rows = [
        {"address": "a@home.test", "password": PASSWORD},
        {"address": "a@other.test", "password": PASSWORD},
        {"address": "b@home.test", "password": PASSWORD, "isGlobalAdmin": "yes"},
    ]
    report = sent(boss, table(*rows))
    assert counts(report) == {"created": 1, "refused": 2}, report
    assert {one["code"] for one in report["refusals"]} == {"PERMISSION_DENIED"}
    assert "detail" not in report["refusals"][0]


def test_a_token_needs_the_scopes_of_each_row(
    api: Client, served: Served, world: World, home: str
) -> None:
    answer = api.post("/api/tokens", scopes="users:create", name="importer")
    secret = answer.json()["_data"]["secret"]
    client = served.client()
    client.session.headers["Authorization"] = f"Bearer {secret}"
    rows = [
        {"address": "a@home.test", "password": PASSWORD, "name": "A"},
        {"address": "b@home.test", "password": PASSWORD, "isGlobalAdmin": "yes"},
        {"address": "c@home.test", "password": PASSWORD, "lists": "all@home.test"},
    ]
    report = sent(client, table(*rows))
    assert [one["code"] for one in report["refusals"]] == ["PERMISSION_DENIED"] * 2
    assert report["created"] == 1
    # Refused before the account was made.
    assert len(world.find("(objectClass=mailUser)")) == 1


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "MISSING_PARAMETER"),
        (b"name\nAnn\n", "INVALID_FILE"),
        (b"address;nmae\na@home.test;Ann\n", "INVALID_FILE"),
        (b"address\nb\xe4r@home.test\n", "INVALID_FILE"),
    ],
)
def test_a_file_that_cannot_be_read(api: Client, data: bytes, code: str) -> None:
    answer = api.session.post(f"{api.url}/api/import", data=data, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["_msg"]) == (400, code)


def test_the_admin_log_has_a_line_for_each_row(api: Client, served: Served, home: str) -> None:
    rows = [{"address": f"u{n}@home.test", "password": PASSWORD} for n in range(3)]
    sent(api, table(*rows))
    database = served.gateways.outside.iredadmin._database
    from sqlalchemy import text

    with database.transaction() as connection:
        found = connection.execute(
            text("SELECT admin, event, username FROM log WHERE event = 'create' ORDER BY username")
        ).all()
    users = [tuple(row) for row in found if row[2].startswith("u")]
    assert users == [(ADMIN, "create", f"u{n}@home.test") for n in range(3)]


def test_an_update_is_logged_as_one(api: Client, home: str) -> None:
    done(api.post("/api/user/ann@home.test", password=PASSWORD, name="Ann"))
    sent(api, table({"address": "ann@home.test", "name": "Anna"}), update="yes")
    newest, oldest = api.get("/api/changes", account="ann@home.test").json()["_data"]
    assert (newest["endpoint"], oldest["endpoint"]) == ("user_update", "user_create")
    assert (newest["result"], newest["entries"]) == ("done", 1)


def test_limits_hold_against_other_tools_in_the_middle_of_a_batch(
    api: Client, world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users who are too many after all are taken back, the last ones first."""
    done(api.put(f"/api/domain/{home}", numberOfUsers=5))
    done(api.post("/api/user/model@home.test", password=PASSWORD))
    (model,) = world.find("(mail=model@home.test)")
    pipelined = RecordedDirectory.pipeline

    def overtaken(*arguments: Any, **more: Any) -> Any:
        texts = {name: sorted(model.texts(name)) for name in model.attributes}
        for name in ("x", "y"):
            own = {"mail": f"{name}@home.test", "homeDirectory": f"/m/{name}/"}
            world.add(world.tree.user(f"{name}@home.test"), **(texts | own))
        return pipelined(*arguments, **more)

    monkeypatch.setattr(RecordedDirectory, "pipeline", overtaken)
    rows = [{"address": f"u{n}@home.test", "password": PASSWORD} for n in range(4)]
    report = sent(api, table(*rows))
    assert counts(report) == {"created": 2, "refused": 2}
    assert {one["code"] for one in report["refusals"]} == {"EXCEEDED_DOMAIN_ACCOUNT_LIMIT"}
    assert len(world.find("(objectClass=mailUser)")) == 5


def test_an_address_that_another_tool_takes_is_refused(
    api: Client, world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the search and the addition; the others of the batch stay."""
    pipelined = RecordedDirectory.pipeline

    def overtaken(*arguments: Any, **more: Any) -> Any:
        world.add(
            f"mail=u1@home.test,ou=Aliases,domainName={home},{world.tree.base}",
            objectClass="mailAlias",
            mail="u1@home.test",
            accountStatus="active",
        )
        return pipelined(*arguments, **more)

    monkeypatch.setattr(RecordedDirectory, "pipeline", overtaken)
    rows = [{"address": f"u{n}@home.test", "password": PASSWORD} for n in range(3)]
    report = sent(api, table(*rows))
    assert counts(report) == {"created": 2, "refused": 1}
    assert report["refusals"][0]["code"] == "ALREADY_EXISTS"
    found = {one.text("mail") for one in world.find("(objectClass=mailUser)")}
    assert found == {"u0@home.test", "u2@home.test"}


def test_passwords_are_compared_for_those_who_may_verify_them(
    api: Client, served: Served, world: World, home: str
) -> None:
    """To all others a right guess looks like a wrong one, and no bind is tried for them."""
    done(api.post("/api/user/ann@home.test", password=PASSWORD))
    done(api.post("/api/domain/other.test"))
    done(api.post("/api/user/x@other.test", password=PASSWORD))
    done(api.put(f"/api/domain/admins/{home}", addAdmin="ann@home.test"))
    md5 = "{MD5}X03MO1qnZdYdgyfeuILPmQ=="
    done(api.post("/api/user/old@home.test", password_hash=md5))
    boss = served.client().log_in("ann@home.test", PASSWORD)
    query: dict[str, Any] = {"dry_run": "yes", "update": "yes", "passwords": "yes"}
    verified: list[str] = []
    directory = served.gateways.directory
    verifies = type(directory).verifies

    def counted(self: Any, dn: str, password: str) -> bool:
        verified.append(dn)
        return verifies(self, dn, password)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(directory), "verifies", counted)
        for guess in (PASSWORD, "another password"):
            report = sent(boss, table({"address": "x@other.test", "password": guess}), **query)
            assert [one["code"] for one in report["refusals"]] == ["PERMISSION_DENIED"]
            report = sent(boss, table({"address": "ann@home.test", "password": guess}), **query)
            assert counts(report) == {"updated": 1}
        assert verified == []
        for value in (md5, "{MD5}AAAAAAAAAAAAAAAAAAAAAA=="):
            row = {"address": "old@home.test", "password_hash": value}
            assert counts(sent(boss, table(row), **query)) == {"updated": 1}
        row = {"address": "old@home.test", "password_hash": md5}
        assert counts(sent(api, table(row), **query)) == {"unchanged": 1}
        row = {"address": "ann@home.test", "password": PASSWORD}
        assert counts(sent(api, table(row), **query)) == {"unchanged": 1}
        assert len(verified) == 1


def test_a_membership_that_fails_leaves_the_account(
    api: Client, world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is created, and named once with the list and the reason; counts add up."""
    rows = [
        {"address": f"u{n}@home.test", "password": PASSWORD, "lists": "sales@home.test"}
        for n in range(3)
    ]
    planned = dispatch.plan

    def fails(context: Any, operation: Any, wanted: Any) -> Any:
        if wanted.endpoint == "alias_update":
            raise PermissionDenied("why")
        return planned(context, operation, wanted)

    monkeypatch.setattr(dispatch, "plan", fails)
    report = sent(api, table(*rows))
    assert counts(report) == {"created": 3}, report
    assert {one["detail"] for one in report["refusals"]} == {"sales@home.test: why"}
    assert [(one["line"], one["result"]) for one in report["refusals"]] == [
        (2, "created"), (3, "created"), (4, "created"),
    ]  # fmt: skip
    monkeypatch.undo()
    mended = sent(api, report["rejected"].encode())
    assert counts(mended) == {"updated": 3, "joined": 3}


def test_what_is_not_confirmed_is_looked_for(
    api: Client, served: Served, world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the end that it came to, and the answer says what was done until then."""
    directory = type(served.gateways.directory)
    opened = directory.change
    gone: list[str] = []

    @contextmanager
    def unconfirmed(self: Any) -> Iterator[Any]:
        with opened(self) as change:
            yield change
        if not gone and world.find("(mail=u0@home.test)"):
            gone.append("u1@home.test")
            world.connect().delete_s(world.tree.user("u1@home.test"))
            raise ServerDown("the writer has changed")

    monkeypatch.setattr(directory, "change", unconfirmed)
    rows = [{"address": f"u{n}@home.test", "password": PASSWORD} for n in range(3)]
    answer = api.session.post(f"{api.url}/api/import", data=table(*rows), timeout=PATIENCE)
    assert answer.status_code == 503, answer.text
    report = answer.json()["_data"]
    assert report["created"] == 2
    results = {
        one["account"]: one["result"]
        for n in range(3)
        for one in api.get("/api/changes", account=f"u{n}@home.test").json()["_data"]
    }
    assert results["u0@home.test"] == results["u2@home.test"] == "done"
    assert results.get("u1@home.test") != "done"


def test_a_domain_that_others_hold_refuses_its_rows_alone(
    api: Client, served: Served, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(api.post("/api/domain/other.test"))
    rows = [
        {"address": f"{name}@{place}", "password": PASSWORD}
        for name in ("a", "b")
        for place in ("home.test", "other.test")
    ]
    hurried = partial(Batches, patience=0.3)
    monkeypatch.setattr("iredldap.web.resources.imports.Batches", hurried)
    with served.gateways.outside.turns.take({"other.test"}, PATIENCE):
        report = sent(api, table(*rows))
    assert counts(report) == {"created": 2, "refused": 2}, report
    assert {one["address"] for one in report["refusals"]} == {"a@other.test", "b@other.test"}


def test_a_job_sets_no_password_that_is_right(api: Client, world: World, home: str) -> None:
    rows = [{"address": f"u{n}@home.test", "password": PASSWORD} for n in range(2)]
    assert counts(sent(api, table(*rows))) == {"created": 2}
    rows[1]["password"] = "another good one"
    before = world.attributes(world.tree.user("u0@home.test"))["userPassword"]
    query = {"update": "yes", "passwords": "yes"}
    job = sent(api, table(*rows), waits=False, **query)["job"]
    assert counts(ended(api, job)["report"]) == {"updated": 1, "unchanged": 1}
    assert world.attributes(world.tree.user("u0@home.test"))["userPassword"] == before
    world.connect(world.tree.user("u1@home.test"), "another good one")


def test_nobody_waits_for_an_address_that_was_refused(
    api: Client, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "ROWS", 1)
    rows = [
        {"address": "a@home.test", "password": "short", "forwarding": ""},
        {"address": "b@home.test", "password": PASSWORD, "forwarding": "a@home.test"},
        {"address": "c@home.test", "password": PASSWORD, "forwarding": "d@home.test"},
        {"address": "d@home.test", "password": PASSWORD, "forwarding": ""},
    ]
    report = sent(api, table(*rows))
    assert counts(report) == {"created": 2, "refused": 2}, report
    assert [(one["line"], one["code"]) for one in report["refusals"]] == [
        (2, "PW_SHORTER_THAN_MIN_LENGTH"), (3, "INVALID_MAIL"),
    ]  # fmt: skip


def test_a_list_server_that_does_not_answer_leaves_the_accounts(
    api: Client, world: World, home: str
) -> None:
    world.add(
        f"mail=news@home.test,ou=Groups,domainName={home},{world.tree.base}",
        objectClass="mailList",
        mail="news@home.test",
        accountStatus="active",
        enabledService=["mail", "deliver", "mlmmj"],
    )
    rows = [
        {"address": "a@home.test", "password": PASSWORD, "lists": "news@home.test;all@home.test"},
        {"address": "b@home.test", "password": PASSWORD, "lists": "sales@home.test"},
    ]
    report = sent(api, table(*rows))
    assert counts(report) == {"created": 2, "joined": 2}, report
    (told,) = report["refusals"]
    assert (told["address"], told["code"]) == ("a@home.test", "MLMMJADMIN_UNAVAILABLE")
