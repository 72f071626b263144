"""What iRedAPD's database knows of accounts that go, or get another address."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from iredldap.config.settings import Secret
from iredldap.gateways.iredapd import Iredapd
from iredldap.gateways.sql.statements import Edit
from tests.support.databases import Urls, execute, rows
from tests.support.iredapd import Reader

ANN, ANNE, BOB, EVE = "ann@corp.test", "anne@corp.test", "bob@corp.test", "eve@far.example.org"
SETTINGS = (
    ("throttle", "account"),
    ("throttle_tracking", "account"),
    ("greylisting", "account"),
    ("greylisting_whitelists", "account"),
    ("greylisting_tracking", "recipient"),
)
"""Tables, and the column of each that names an account."""


@pytest.fixture
def iredapd(urls: Urls) -> Iterator[Iredapd]:
    with closing(Iredapd(Secret(urls.iredapd))) as gateway:
        yield gateway


@pytest.fixture
def reader(urls: Urls) -> Reader:
    return Reader(urls.iredapd)


def put(urls: Urls, table: str, **row: Any) -> None:
    places = ", ".join(f":{name}" for name in row)
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"
    execute(urls.iredapd, statement, **row)


def settle(iredapd: Iredapd, urls: Urls, account: str) -> None:
    """Give an account everything that it can have, with what iRedAPD writes meanwhile."""
    for kind in ("inbound", "outbound"):
        iredapd.set_throttle(account, kind, {"period": 60, "max_msgs": 5})
    put(urls, "throttle", account=account, kind="external", period=60, max_msgs=5)
    iredapd.set_greylisting(account, 0)
    put(urls, "greylisting", account=account, sender=EVE, priority=100, sender_priority=100)
    iredapd.change_exempt(account, Edit(added=["@example.org"]))
    defer(urls, account)
    if not account.startswith("@"):
        count(urls, account)


def count(urls: Urls, mail: str, of: str | None = None) -> None:
    """Let a user send a message, which is counted for a throttle."""
    (number,), *_ = rows(
        urls.iredapd,
        "SELECT id FROM throttle WHERE account = :of AND kind = 'outbound'",
        of=of or mail,
    )
    put(urls, "throttle_tracking", tid=number, account=mail, cur_msgs=1)


def defer(urls: Urls, recipient: str, sender: str = EVE, passed: int = 1) -> None:
    put(
        urls,
        "greylisting_tracking",
        sender=sender,
        recipient=recipient,
        client_address="192.0.2.1",
        rcpt_domain=recipient.partition("@")[2],
        passed=passed,
    )


def known(urls: Urls) -> dict[str, set[str]]:
    """Who is named in each table."""
    return {
        table: {row[0] for row in rows(urls.iredapd, f"SELECT {column} FROM {table}")} - {"@."}
        for table, column in SETTINGS
    }


def everywhere(*accounts: str) -> dict[str, set[str]]:
    return {table: set(accounts) for table, _ in SETTINGS}


def numbers(urls: Urls, account: str) -> list[tuple[Any, ...]]:
    statement = "SELECT id, kind FROM throttle WHERE account = :account ORDER BY kind"
    return rows(urls.iredapd, statement, account=account)


# --- forgotten --------------------------------------------------------------------------------


def test_an_account_is_forgotten(iredapd: Iredapd, urls: Urls) -> None:
    """With everything that was counted for it or of it; again is no error; others stay."""
    for account in ("@corp.test", ANN, BOB):
        settle(iredapd, urls, account)
    count(urls, ANN, of="@corp.test")
    count(urls, "xann@corp.test", of=ANN)
    count(urls, BOB, of="@corp.test")

    for _ in range(2):
        iredapd.forget(ANN)

        everyone = everywhere("@corp.test", BOB)
        assert known(urls) == everyone | {"throttle_tracking": {BOB}}
        assert len(rows(urls.iredapd, "SELECT id FROM throttle_tracking")) == 2


def test_a_mere_sender_is_not_forgotten(iredapd: Iredapd, urls: Urls) -> None:
    """What others have stored about the user stays."""
    iredapd.change_exempt(BOB, Edit(added=[ANN]))
    put(urls, "greylisting", account=BOB, sender=ANN, active=0)
    defer(urls, BOB, sender=ANN)

    iredapd.forget(ANN)

    assert iredapd.exempt(BOB) == [ANN]
    assert known(urls)["greylisting"] == known(urls)["greylisting_tracking"] == {BOB}


def test_a_domain_is_forgotten_with_everybody_in_it(iredapd: Iredapd, urls: Urls) -> None:
    """Its sub-domains too, where a key stands for both; not what merely looks alike."""
    within = ("@corp.test", "@.corp.test", ANN)
    others = ("@.", "@notcorp.test", "ann@notcorp.test", "a@b.corp.test", "ann@corp.test.test")
    for account in (*within, *others):
        settle(iredapd, urls, account)
    count(urls, "guest@notcorp.test", of="@corp.test")
    count(urls, "guest@corp.test", of="@.")

    for _ in range(2):
        iredapd.forget_domain("corp.test")

        named = {account for account in others if account != "@."}
        mails = {account for account in named if not account.startswith("@")}
        assert known(urls) == everywhere(*named) | {"throttle_tracking": mails}


def test_nobody_is_no_error(iredapd: Iredapd, urls: Urls) -> None:
    settle(iredapd, urls, BOB)

    iredapd.forget(ANN)
    iredapd.forget_domain("other.test")
    iredapd.move(ANN, ANNE)

    assert known(urls) == everywhere(BOB)


@pytest.mark.parametrize("missing", [table for table, _ in SETTINGS if table != "throttle"])
def test_a_missing_table_has_nothing_to_forget(iredapd: Iredapd, urls: Urls, missing: str) -> None:
    """The others are cleared."""
    for account in (ANN, BOB, "@other.test"):
        settle(iredapd, urls, account)
    execute(urls.iredapd, f"DROP TABLE {missing}")

    iredapd.move(ANN, ANNE)
    iredapd.forget(ANNE)
    iredapd.forget_domain("other.test")

    for table, column in SETTINGS:
        if table != missing:
            found = rows(urls.iredapd, f"SELECT {column} FROM {table}")
            assert {row[0] for row in found} - {"@."} == {BOB}


def test_a_database_without_tables_has_nothing_to_forget(iredapd: Iredapd, urls: Urls) -> None:
    for table, _ in sorted(SETTINGS, reverse=True):
        execute(urls.iredapd, f"DROP TABLE {table}")

    iredapd.forget(ANN)
    iredapd.forget_domain("corp.test")
    iredapd.move(ANN, ANNE)


# --- moved ------------------------------------------------------------------------------------


def test_an_account_moves(iredapd: Iredapd, reader: Reader, urls: Urls) -> None:
    """Into another domain, with its limits and what was counted for them."""
    new = "anne@other.test"
    for account in (ANN, BOB):
        settle(iredapd, urls, account)
    before = numbers(urls, ANN)

    iredapd.move(ANN, new)

    assert known(urls) == everywhere(new, BOB)
    assert numbers(urls, new) == before
    assert reader.limits("outbound", new) == {"max_msgs": 5}
    assert reader.accepts("outbound", new, recipients=4)
    assert not reader.accepts("outbound", new)
    assert not reader.defers(new, "x@example.net")
    assert reader.defers(new, EVE)
    found = rows(urls.iredapd, "SELECT recipient, rcpt_domain FROM greylisting_tracking")
    assert sorted(found) == [(new, "other.test"), (BOB, "corp.test")]


def test_what_is_in_the_way_goes(iredapd: Iredapd, reader: Reader, urls: Urls) -> None:
    """It was left behind by an account that had the new address before."""
    for account in (ANN, ANNE):
        settle(iredapd, urls, account)
    iredapd.set_throttle(ANN, "outbound", {"period": 60, "max_msgs": 7})
    iredapd.set_greylisting(ANN, 1)
    count(urls, ANNE, of=ANN)
    before = numbers(urls, ANN)

    iredapd.move(ANN, ANNE)

    assert known(urls) == everywhere(ANNE)
    assert numbers(urls, ANNE) == before
    assert reader.limits("outbound", ANNE) == {"max_msgs": 7}
    assert reader.defers(ANNE, "x@example.net")
    assert len(rows(urls.iredapd, "SELECT id FROM throttle_tracking")) == 1
    assert len(rows(urls.iredapd, "SELECT id FROM greylisting_tracking")) == 1


def test_a_repeated_move_touches_nothing(iredapd: Iredapd, urls: Urls) -> None:
    """What stands at the new address by then belongs to the account that moved."""
    settle(iredapd, urls, ANN)
    iredapd.move(ANN, ANNE)
    iredapd.set_throttle(ANNE, "outbound", {"period": 60, "max_msgs": 9})
    # A message that was under way.
    defer(urls, ANN, sender="late@example.net")
    before = numbers(urls, ANNE)

    for _ in range(2):
        iredapd.move(ANN, ANNE)

        assert known(urls) == everywhere(ANNE)
        assert numbers(urls, ANNE) == before
        assert iredapd.throttle(ANNE, "outbound")["max_msgs"] == 9
        assert len(rows(urls.iredapd, "SELECT id FROM greylisting_tracking")) == 2


def test_what_does_not_fit_is_forgotten(iredapd: Iredapd, urls: Urls) -> None:
    """Greylisting has no room for long addresses; a move must not fail for ever by that."""
    long = f"anne@{'a' * 60}.{'b' * 40}.test"
    for account in (ANN, BOB):
        settle(iredapd, urls, account)

    iredapd.move(ANN, long)

    narrow = {"greylisting": {BOB}, "greylisting_whitelists": {BOB}}
    assert known(urls) == everywhere(long, BOB) | narrow
