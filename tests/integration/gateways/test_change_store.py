"""The stored change log, in each kind of database."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from iredldap.config.settings import Secret
from iredldap.dit.change_ids import first_id, new_id
from iredldap.dit.change_log import LoggedChange
from iredldap.gateways.change_store import ChangeFilter, ChangeStore, OpenChange
from iredldap.gateways.state import StateDatabase
from tests.support.databases import MariaDB, PostgreSQL

EVERYTHING = ChangeFilter()
OF_A_JOB = ChangeFilter(job="j")


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, unique: str) -> Secret:
    """A new state database."""
    if request.param == "sqlite":
        return Secret(f"sqlite:///{tmp_path}/state.sqlite3")
    server: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return Secret(server.create_empty(f"changes_{unique}"))


@pytest.fixture
def store(url: Secret) -> Iterator[ChangeStore]:
    """The log in it, beside the other tables."""
    with closing(StateDatabase(url)) as state, closing(ChangeStore(url)) as opened:
        state.ask()
        yield opened


def change(**more: Any) -> LoggedChange:
    given: dict[str, Any] = {
        "id": new_id(),
        "began": 1,
        "admin": "root@a.test",
        "endpoint": "user_update",
    }
    return LoggedChange(**given | more)


def test_a_text_that_is_too_long_for_its_column_is_cut(store: ChangeStore) -> None:
    """A proxy may pass on anything as the address of a client."""
    store.begin(change(client="x" * 1000, account="a" * 1000, endpoint="e" * 1000), b"", 1)

    (found,) = store.find(EVERYTHING, 1)
    assert (len(found.client), len(found.account), len(found.endpoint)) == (64, 320, 64)


def test_a_change_is_read_as_it_was_stored(store: ChangeStore) -> None:
    begun = change(
        account="größe@a.test",
        domain="a.test",
        parameters={"name": ("Zoë 🙂", "b")},
        steps=("modify dn",),
        token="t",
        client="2001:db8::1",
    )
    store.begin(begun, b"pending\xff", 5)
    assert store.change(begun.id) == begun

    ended = replace(
        begun,
        result="broken off",
        codes=("A", "B"),
        duration=7,
        entries=3,
        attributes=("cn", "mail"),
    )
    store.add_chunk(begun.id, 0, b"\x00first", {"b.test", "eve@b.test"}, b"")
    store.add_chunk(begun.id, 1, b"second", {"b.test"}, b"")
    store.finish(ended, b"last", {"b.test", "c.test"})

    assert store.change(begun.id) == ended
    assert [*store.touched(begun.id)] == [b"\x00first", b"second", b"last"]
    matching: list[dict[str, Any]] = [
        {"account": "größe@a.test"}, {"account": "eve@b.test"}, {"domain": "c.test"},
        {"domain": "a.test"}, {"token": "t"}, {"attribute": "mail"}, {"attribute": "cn"},
        {"domains": frozenset({"c.test", "z.test"})}, {"admin": "root@a.test"}, {},
    ]  # fmt: skip
    others: list[dict[str, Any]] = [
        {"account": "eve@a.test"}, {"attribute": "m_il"}, {"attribute": "mai"}, {"token": "u"},
        {"domains": frozenset()}, {"since": 2**41}, {"until": 5}, {"endpoint": "x"},
    ]  # fmt: skip
    assert all(store.find(ChangeFilter(**wanted), 5) == [ended] for wanted in matching)
    assert not any(store.find(ChangeFilter(**wanted), 5) for wanted in others)


def test_pages_go_both_ways(store: ChangeStore) -> None:
    every = [change() for _ in range(4)]
    for one in every:
        store.begin(one, b"", 0)
    ids = sorted(one.id for one in every)

    assert [one.id for one in store.find(EVERYTHING, 3)] == ids[:0:-1]
    assert [one.id for one in store.find(ChangeFilter(before=ids[2]), 5)] == ids[1::-1]
    assert [one.id for one in store.find(ChangeFilter(after=ids[1]), 5)] == ids[2:]
    assert [one.id for one in store.find(ChangeFilter(after=first_id(0)), 2)] == ids[:2]


def test_the_last_result_is_that_of_what_is_named(store: ChangeStore) -> None:
    """Not of what was touched beside it, nor of the accounts of a domain."""
    ann = {"account": "ann@a.test", "domain": "a.test"}
    store.begin(change(**ann, result="broken off"), b"", 0)
    assert store.last_result("user_update", "ann@a.test", "a.test") == "broken off"
    done = change(**ann, result="done")
    store.begin(done, b"", 0)
    store.finish(done, b"", {"bob@a.test", "b.test"})
    assert store.last_result("user_update", "ann@a.test", "a.test") == "done"
    for account, domain in (("bob@a.test", "a.test"), ("", "a.test"), ("", "b.test")):
        assert store.last_result("user_update", account, domain) is None
    assert store.last_result("user_delete", "ann@a.test", "a.test") is None


def test_an_abandoned_change_is_claimed_once(store: ChangeStore) -> None:
    one, other = change(), change()
    store.begin(one, b"old", 10)
    store.intend(one.id, b"new")
    store.begin(other, b"", 10)
    store.beat([other.id], 30)

    (found,) = store.abandoned(20)
    assert found == OpenChange(one.id, 10)
    assert store.claim(found, 40) == (one, b"", b"new")
    assert store.claim(found, 50) is None
    assert store.abandoned(20) == []


def test_what_the_worker_stores_itself_stands(store: ChangeStore) -> None:
    """It was slow, and not dead: who has claimed its change knows less."""
    alive, dead = change(), change()
    for one in (alive, dead):
        store.begin(one, b"", 1)
    ended = replace(alive, result="done", duration=7)
    store.finish(ended, b"all of it", ())

    for one, is_open in ((alive, False), (dead, True)):
        found = replace(one, result="unconfirmed")
        assert store.finish_abandoned(found, b"less", {"b.test"}) == is_open
        assert store.change(one.id) == (found if is_open else ended)
    assert [*store.touched(alive.id)] == [b"all of it"]
    assert [one.id for one in store.find(ChangeFilter(domain="b.test"), 9)] == [dead.id]


def test_a_completion_without_an_intent_is_stored(store: ChangeStore) -> None:
    ended = change(result="done", duration=1)
    store.finish(ended, b"{}", ())
    assert store.find(EVERYTHING, 5) == [ended]


def test_a_change_that_did_nothing_is_forgotten(store: ChangeStore) -> None:
    begun = change()
    store.begin(begun, b"", 0)
    store.forget(begun.id)
    assert store.change(begun.id) is None


def test_old_changes_are_pruned_with_all_they_have(
    store: ChangeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iredldap.gateways.change_store._BATCH", 2)
    old = [change(id=first_id(number)) for number in range(5)]
    for one in old:
        store.finish(one, b"x", {"b.test"})
        store.add_chunk(one.id, 0, b"y", (), b"")
    young = change(result="done")
    store.finish(young, b"z", {"b.test"})

    assert store.prune(1000) == 5
    assert store.find(ChangeFilter(domain="b.test"), 9) == [young]
    assert [*store.touched(old[0].id)] == []
    assert [*store.touched(young.id)] == [b"z"]
    assert store.prune(1000) == 0


def test_it_can_be_read_and_written(store: ChangeStore) -> None:
    store.check()


def test_beside_a_file_the_log_has_its_own(tmp_path: Path) -> None:
    """Older versions open the state database; other users read neither."""
    url = Secret(f"sqlite:///{tmp_path}/state.sqlite3")
    with closing(ChangeStore(url)) as store, closing(StateDatabase(url)) as state:
        state.ask()
        store.begin(change(), b"", 0)
        files = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert files["state.sqlite3.changes"] == files["state.sqlite3.changes-wal"] == 0o600
    assert b"changes" not in (tmp_path / "state.sqlite3").read_bytes()


def test_the_intent_is_not_flushed_and_the_completion_is(
    postgresql: PostgreSQL, unique: str
) -> None:
    """A flush for each would double what a change waits for; the completion's flushes both."""
    url = Secret(postgresql.create_empty(f"changes_{unique}"))
    set_off = {}
    with closing(ChangeStore(url)) as store:
        store.check()
        written = change()
        with executed() as statements:
            store.begin(written, b"pending", 1)
            set_off["intent"] = any("set_config" in text for text in statements)
            statements.clear()
            store.finish(replace(written, result="done"), b"touched", ())
            set_off["completion"] = any("set_config" in text for text in statements)
        assert store.change(written.id) == replace(written, result="done")
    assert set_off == {"intent": True, "completion": False}


@contextmanager
def executed() -> Iterator[list[str]]:
    """Collect the statements that SQLAlchemy executes."""
    statements: list[str] = []

    def note(*given: Any) -> None:
        statements.append(given[2])

    sql.event.listen(sql.Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sql.event.remove(sql.Engine, "before_cursor_execute", note)


def test_few_changes_are_found_by_small_indexes(tmp_path: Path) -> None:
    """Open ones, those of jobs and undos: a finished change of a request is in none of these."""
    asked = []

    def note(_: object, __: object, text: str, values: Any, *___: object) -> None:
        if text.startswith("SELECT"):
            asked.append((text, values))

    url = Secret(f"sqlite:///{tmp_path}/state.sqlite3")
    with closing(ChangeStore(url)) as store:
        finished = change()
        store.begin(finished, b"", 0)
        store.finish(replace(finished, result="done"), b"", ())
        store.begin(change(undoes=finished.id, job="j"), b"", 0)
        sql.event.listen(sql.Engine, "before_cursor_execute", note)
        try:
            found = store.abandoned(1), store.undone_by(finished.id), store.find(OF_A_JOB, 9)
        finally:
            sql.event.remove(sql.Engine, "before_cursor_execute", note)
    assert all(len(changes) == 1 for changes in found)
    with closing(sqlite3.connect(tmp_path / "state.sqlite3.changes")) as file:
        plans = [
            file.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall() for text, values in asked
        ]
        for plan, column in zip(plans, ("result", "undoes", "job"), strict=True):
            assert f"ix_changes_{column} " in str(plan)
        sizes = "SELECT name, sum(ncell) FROM dbstat WHERE name LIKE 'ix_changes_%' GROUP BY 1"
        assert dict(file.execute(sizes)) == {
            **dict.fromkeys(("ix_changes_account", "ix_changes_admin", "ix_changes_domain"), 2),
            **dict.fromkeys(("ix_changes_job", "ix_changes_result", "ix_changes_undoes"), 1),
        }


def test_a_file_that_root_creates_belongs_to_the_service(tmp_path: Path) -> None:
    """`iredldap changes` may be run before the first change is made."""
    folder = tmp_path / "state"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, 12345, 12346)
    with closing(ChangeStore(Secret(f"sqlite:///{folder}/state.sqlite3"))) as store:
        assert store.find(EVERYTHING, 1) == []
        store.begin(change(), b"", 0)
        owners = {(file.stat().st_uid, file.stat().st_gid) for file in folder.iterdir()}
    assert owners == {(folder.stat().st_uid, folder.stat().st_gid)}
