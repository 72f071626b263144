"""The row of the agreed writer in SQL: one of several workers changes it, and ages are its own."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import sqlalchemy as sql

from iredldap.config.settings import Secret
from iredldap.dit.csn import CsnVector
from iredldap.errors import ServerDown
from iredldap.gateways.cluster.decision import Action, Enter, Found, Open, Promote
from iredldap.gateways.cluster.register import WriterRegister
from iredldap.gateways.cluster.view import Mode, Times, WriterRow
from iredldap.gateways.state import StateDatabase
from tests.support.agreed import insistent
from tests.support.databases import connected, execute
from tests.support.patience import PATIENCE, at_once, wait_until

TIMES = Times(failover_after=2.0, lease=2.0, margin=1.0)
VECTOR = CsnVector.of(["20261128043445.000000Z#000000#001#000000"])


@pytest.fixture(params=["mariadb", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    server = request.getfixturevalue(request.param)
    server.drop("register")
    return str(server.create_empty("register"))


@pytest.fixture
def registers(url: str) -> Iterator[list[WriterRegister]]:
    """Of four workers."""
    with ExitStack() as stack:
        made = [
            WriterRegister(StateDatabase(Secret(url)).database, f"n{number}") for number in range(4)
        ]
        for register in made:
            stack.callback(register.close)
        yield made


def row_of(register: WriterRegister) -> WriterRow:
    row = insistent(register.read)
    assert row
    return row


def changed(register: WriterRegister, action: Action, vector: CsnVector | None = None) -> bool:
    """Change the row as a worker does, which tries again at its next turn."""
    return insistent(lambda: register.change_row(action, TIMES, vector))


def won(registers: list[WriterRegister], action: Action) -> int:
    """Have all workers do the same at once; return how many have done it."""
    return sum(at_once(*(lambda r=r: changed(r, action, VECTOR) for r in registers)))


def test_of_several_workers_one_changes_the_row(registers: list[WriterRegister]) -> None:
    """At its creation, too; whoever has seen an earlier row changes nothing."""
    register = registers[0]
    assert register.read() is None
    assert won(registers, Found("ldap://a")) == 1
    first = row_of(register)
    assert (first.epoch, first.uri, first.usable, first.mode) == (1, "ldap://a", False, "joining")
    assert (first.lease, first.wait) == (2.0, 3.0)

    assert won(registers, Open(first)) == 1
    assert won(registers, Enter(first, Mode.TOGETHER)) == 0
    assert won(registers, Enter(row_of(register), Mode.TOGETHER)) == 1
    seen = row_of(register)
    assert (seen.usable, seen.mode) == (True, Mode.TOGETHER)
    assert won(registers, Promote(seen, "ldap://b")) == 1
    # Whoever would have been alone a moment later is not.
    assert won(registers, Enter(seen, Mode.ALONE)) == 0
    last = row_of(register)
    assert (last.epoch, last.uri, last.usable, last.mode) == (2, "ldap://b", False, "alone")

    history = register.epochs()
    assert [(epoch.number, epoch.uri, epoch.vector) for epoch in history] == [
        (1, "ldap://a", VECTOR),
        (2, "ldap://b", VECTOR),
    ]
    assert history[0].began <= history[1].began


def test_ages_are_measured_by_the_database(registers: list[WriterRegister], url: str) -> None:
    register = registers[0]
    assert changed(register, Found("ldap://a"))
    wait_until(lambda: row_of(register).unseen >= 0.5)
    seen = row_of(register)
    assert 0.5 <= seen.mode_age <= 60

    insistent(lambda: registers[1].note_seen(seen))

    assert row_of(register).unseen < seen.unseen
    assert row_of(register).is_same(seen)
    # Nobody sees the writer of an epoch that is over.
    execute(url, "UPDATE directory_writer SET epoch = 9, seen_at = seen_at - 60000")
    insistent(lambda: register.note_seen(seen))
    assert row_of(register).unseen > 50


def test_a_server_id_is_noted_once(registers: list[WriterRegister]) -> None:
    assert changed(registers[0], Found("ldap://a"))
    for register, number in zip(registers, (1, 2), strict=False):
        assert insistent(lambda r=register, n=number: r.note_server_id(1, n)) == 1  # type: ignore[misc]

    assert [epoch.server_id for epoch in registers[0].epochs()] == [1]


def test_a_row_that_was_deleted_begins_with_a_new_epoch(
    registers: list[WriterRegister], url: str
) -> None:
    """Workers that know of a later one than the first would take it for an older row."""
    register = registers[0]
    assert changed(register, Found("ldap://a"))
    assert changed(register, Promote(row_of(register), "ldap://b"))
    with connected(url) as connection:
        connection.execute(sql.text("DELETE FROM directory_writer"))

    assert changed(register, Found("ldap://b"))

    assert row_of(register).epoch == 3


def test_who_is_cut_off_in_a_transaction_does_not_hold_the_row(
    registers: list[WriterRegister],
) -> None:
    """Its session ends after a second: else nobody would be promoted as long as it is away."""
    cut_off, other = registers[:2]
    assert changed(other, Found("ldap://a"), VECTOR)
    row = row_of(other)
    holds, ended = threading.Event(), threading.Event()

    def change(connection: sql.Connection) -> None:
        connection.execute(sql.text("UPDATE directory_writer SET seen_at = 0"))
        holds.set()
        ended.wait(PATIENCE)

    def hold() -> None:
        with suppress(ServerDown):
            cut_off._write(change)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(PATIENCE)

    def is_done() -> bool:
        with suppress(ServerDown):
            return other.change_row(Open(row), TIMES)
        return False

    try:
        assert wait_until(is_done) < 10
    finally:
        ended.set()
        thread.join()
