"""What a change of a database reports is enough to revert it, in each kind of database."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from iredldap.config.settings import Secret
from iredldap.dit import change_log
from iredldap.dit.change_log import TouchedRows
from iredldap.dit.wblist import Colour, Direction
from iredldap.gateways.amavisd import Amavisd
from iredldap.gateways.iredadmin import Iredadmin
from iredldap.gateways.iredapd import Iredapd
from iredldap.gateways.sql.statements import Edit
from iredldap.gateways.tables.deleted_mailboxes import DeletedMailbox
from iredldap.gateways.touched_rows import about, are_collected, collected
from tests.support.databases import NAMES, Script, Urls, connected, execute

ANN = "ann@corp.test"
BOB = "bob@corp.test"
MAILDIR = "/var/vmail/vmail1/corp.test/a/n/n/ann-2026.01.02.03.04.05/"
TRANSIENT = "greylisting_tracking"
TABLES = {name: {*Script(name, "sqlite").tables} - {TRANSIENT} for name in NAMES}

LIMITS = {"period": 60, "msg_size": -1, "max_msgs": 5, "max_quota": -1}


@dataclass(frozen=True)
class Beside:
    """The three databases."""

    urls: Urls
    iredapd: Iredapd
    amavisd: Amavisd
    iredadmin: Iredadmin

    def snapshot(self) -> dict[str, list[Any]]:
        """All rows of all tables."""
        found: dict[str, list[str]] = {}
        for name in NAMES:
            with connected(getattr(self.urls, name)) as connection:
                for table in TABLES[name]:
                    every = connection.exec_driver_sql(f"SELECT * FROM {table}")
                    found[table] = sorted(map(repr, every))
        return found

    def revert(self, touched: list[TouchedRows], *, tries: bool = False) -> list[tuple[str, str]]:
        """Revert what was reported, after it was stored as JSON; give what was left alone."""
        written = json.loads(json.dumps([change_log.as_json(one) for one in touched]))
        read = [one for one in map(change_log.from_json, written) if isinstance(one, TouchedRows)]
        left = []
        for name in ("iredadmin", "amavisd", "iredapd"):
            gateway: Iredapd | Amavisd | Iredadmin = getattr(self, name)
            ours = [one for one in read if one.system == name]
            left += [(row.where, row.why) for row in gateway.revert(ours, tries=tries).left]
        return left


@pytest.fixture
def beside(urls: Urls) -> Iterator[Beside]:
    """The databases, with something about Ann and Bob in every table."""
    with (
        closing(Iredapd(Secret(urls.iredapd))) as iredapd,
        closing(Amavisd(Secret(urls.amavisd))) as amavisd,
        closing(Iredadmin(Secret(urls.iredadmin))) as iredadmin,
    ):
        opened = Beside(urls, iredapd, amavisd, iredadmin)
        _fill(opened)
        yield opened


def _fill(beside: Beside) -> None:
    inbound, white = Direction.INBOUND, Colour.WHITELIST
    for mail in (ANN, BOB):
        beside.iredapd.set_throttle(mail, "inbound", LIMITS)
        beside.iredapd.set_greylisting(mail, 1)
        beside.iredapd.change_exempt(mail, Edit(added=("eve@there.test",)))
        beside.amavisd.enlist(mail, inbound, white, ["eve@there.test", f"x{mail}"])
        beside.amavisd.change_policy(mail, lambda held: {"spam_tag2_level": 6.31})
        for table in ("used_quota", "last_login"):
            execute(
                beside.urls.iredadmin, f"INSERT INTO {table} (username) VALUES (:mail)", mail=mail
            )
    execute(
        beside.urls.iredapd,
        "INSERT INTO throttle_tracking (tid, account) SELECT id, account FROM throttle",
    )
    execute(
        beside.urls.iredadmin,
        "INSERT INTO share_folder (from_user, to_user, dummy) VALUES (:ann, :bob, '1')",
        ann=ANN,
        bob=BOB,
    )
    beside.iredadmin.remember_mailboxes([DeletedMailbox(BOB, "corp.test", MAILDIR)], None, ANN)


def _forget(beside: Beside) -> None:
    for gateway in (beside.iredapd, beside.amavisd, beside.iredadmin):
        gateway.forget(ANN)


def _forget_domain(beside: Beside) -> None:
    for gateway in (beside.iredapd, beside.amavisd, beside.iredadmin):
        gateway.forget_domain("corp.test")


def _move(beside: Beside) -> None:
    for gateway in (beside.iredapd, beside.amavisd, beside.iredadmin):
        gateway.move(ANN, "anne@corp.test")


def _move_over(beside: Beside) -> None:
    for gateway in (beside.iredapd, beside.amavisd, beside.iredadmin):
        gateway.move(ANN, BOB)


INBOUND, WHITE, BLACK = Direction.INBOUND, Colour.WHITELIST, Colour.BLACKLIST

CHANGES: dict[str, Callable[[Beside], None]] = {
    "new throttle": lambda b: b.iredapd.set_throttle("new@corp.test", "inbound", LIMITS),
    "change a throttle": lambda b: b.iredapd.set_throttle(ANN, "inbound", {"max_msgs": 9}),
    "remove a throttle": lambda b: b.iredapd.remove_throttle(ANN, "inbound"),
    "new greylisting": lambda b: b.iredapd.set_greylisting("@corp.test", 0),
    "change greylisting": lambda b: b.iredapd.set_greylisting(ANN, 0),
    "drop greylisting": lambda b: b.iredapd.drop_greylisting(ANN),
    "exempt": lambda b: b.iredapd.change_exempt(ANN, Edit(("a@b.test",), ("eve@there.test",))),
    "spf domains": lambda b: b.iredapd.change_spf_domains(Edit(("a.test", "b.test"))),
    "enlist": lambda b: b.amavisd.enlist(ANN, INBOUND, BLACK, ["eve@there.test", "new@x.test"]),
    "enlist for a new account": lambda b: b.amavisd.enlist("@.", INBOUND, BLACK, ["new@x.test"]),
    "delist": lambda b: b.amavisd.delist(ANN, INBOUND, WHITE, ["eve@there.test"]),
    "clear": lambda b: b.amavisd.clear(ANN, INBOUND, WHITE),
    "new policy": lambda b: b.amavisd.change_policy("new@corp.test", lambda _: {"spam_lover": "Y"}),
    "change a policy": lambda b: b.amavisd.change_policy(ANN, lambda _: {"spam_tag2_level": 1.1}),
    "drop a policy": lambda b: b.amavisd.drop_policy(ANN),
    "remember a mailbox": lambda b: b.iredadmin.remember_mailboxes(
        [DeletedMailbox(ANN, "corp.test", f"{MAILDIR}x/")], date(2026, 12, 24), BOB
    ),
    "reclaim a mailbox": lambda b: b.iredadmin.reclaim_mailboxes([MAILDIR]),
    "move an account": _move,
    "move an account to a name with rows": _move_over,
    "forget an account": _forget,
    "forget a domain": _forget_domain,
}


def test_every_change_is_reverted_from_its_report(beside: Beside) -> None:
    """Also after it was stored; it says what it is about, and a trial changes nothing."""
    before = beside.snapshot()
    # One by one in files; servers are slower.
    is_file = beside.urls.backend == "sqlite"
    for names in [[name] for name in CHANGES] if is_file else [[*CHANGES]]:
        with collected() as touched, about(ANN):
            for name in names:
                CHANGES[name](beside)
        after = beside.snapshot()
        assert after != before, names
        assert {one.about for one in touched} == {ANN}, names
        assert beside.revert(touched, tries=True) == [], names
        assert beside.snapshot() == after, names
        with collected() as back:
            assert beside.revert(touched) == [], names
        assert beside.revert(touched) == [], f"{names}, twice"
        assert beside.snapshot() == before, names
        assert beside.revert(back) == [], f"{names}, reverted"
        assert beside.snapshot() == after, f"{names}, reverted"
        assert beside.revert(touched) == [], names


def test_nothing_is_read_for_a_report_that_nobody_collects(beside: Beside) -> None:
    assert not are_collected()
    with collected() as outer:
        beside.iredapd.set_greylisting(ANN, 0)
    beside.iredapd.set_greylisting(ANN, 1)
    assert [(one.table, len(one.after)) for one in outer] == [("greylisting", 1)]


def test_what_others_have_changed_since_is_left_alone_and_named(beside: Beside) -> None:
    """Column by column of a changed row; of a deleted one the key, of a new one all of it."""
    with collected() as touched:
        beside.iredapd.set_throttle(ANN, "inbound", {"period": 90, "max_msgs": 9})
        beside.iredapd.drop_greylisting(ANN)
        beside.iredapd.set_throttle("new@corp.test", "inbound", LIMITS)
        beside.amavisd.enlist("@.", INBOUND, BLACK, ["new@x.test"])
    beside.iredapd.set_throttle(ANN, "inbound", {"max_msgs": 10})
    beside.iredapd.set_greylisting(ANN, 0)
    beside.iredapd.set_throttle("new@corp.test", "inbound", {"max_msgs": 10})
    beside.amavisd.enlist(BOB, INBOUND, BLACK, ["new@x.test"])

    left = beside.revert(touched)

    assert sorted(left) == [
        ("amavisd.mailaddr", "wblist refers to it"),
        ("iredapd.greylisting", "another row has its key, or refers to it"),
        ("iredapd.throttle", "changed since: max_msgs"),
        ("iredapd.throttle", "it has been changed since"),
    ]
    kept = beside.iredapd.throttle(ANN, "inbound")
    assert (kept["period"], kept["max_msgs"]) == (60, 10)
    assert beside.iredapd.greylisting(ANN)["active"] == 0
    assert beside.iredapd.throttle("new@corp.test", "inbound")["max_msgs"] == 10
    assert beside.amavisd.listed("@.", INBOUND, BLACK) == []
    assert beside.amavisd.listed(BOB, INBOUND, BLACK) == ["new@x.test"]
