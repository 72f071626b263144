"""One agreed writer on a real pair: what is acknowledged is on both servers, and is never lost."""

import os
import socket
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from iredldap.changes.aftermath import result_of
from iredldap.changes.apply import ChangeResult
from iredldap.dit.plan import Delete
from iredldap.errors import ServerDown
from iredldap.gateways.cluster.agreement import NoWriter, WriterChanged
from iredldap.gateways.cluster.clock import now
from iredldap.gateways.cluster.decision import Promote
from iredldap.gateways.cluster.view import Mode
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.gateways.ldap.servers import Purpose
from tests.support.agreed import Node, change, creation, domain, insistent
from tests.support.databases import PostgreSQL
from tests.support.pair import Member, Pair
from tests.support.patience import wait_until


def writer(pair: Pair, node: Node) -> Member:
    (name,) = [name for name in pair.members if pair.uri(name) == node.row.uri]
    return pair.members[name]


def standby(pair: Pair, node: Node) -> Member:
    (name,) = [name for name in pair.members if pair.uri(name) != node.row.uri]
    return pair.members[name]


def value(member: Member, name: str) -> str | None:
    """Return what a server holds for a domain."""
    entry = member.world.entry(domain(name))
    return entry.text("cn") if entry else None


def state(member: Member, name: str) -> str | None:
    entry = member.world.entry(domain(name))
    return entry.csn if entry else None


def test_what_is_acknowledged_is_on_both(pair: Pair, node: Node, other: Node) -> None:
    """Creations, changes and deletions, at once; through whichever node, one server is written."""
    beside = standby(pair, node)
    for number, one in enumerate((node, other)):
        name = f"both{number}.test"
        one.directory.write(creation(name))
        assert value(beside, name) == "new"
        for text in ("first", "second"):
            left = one.directory.write(change(name, text))
            assert value(beside, name) == text
            assert left == state(pair.a, name) == state(pair.b, name)
        one.directory.write(Delete(domain(name)))
        assert value(beside, name) is None
    assert node.row.mode is Mode.TOGETHER


def test_a_sweep_is_on_both_when_it_ends(pair: Pair, node: Node) -> None:
    names = [f"sweep{number}.test" for number in range(600)]

    refused = [no for _, no in node.directory.pipeline(map(creation, names)) if no]

    assert refused == []
    there = standby(pair, node).entries()
    assert [name for name in names if domain(name) not in there] == []
    for _ in node.directory.pipeline(Delete(domain(name)) for name in names):
        pass
    there = standby(pair, node).entries()
    assert [name for name in names if domain(name) in there] == []


def test_what_was_there_already_is_confirmed_too(pair: Pair, node: Node) -> None:
    """A change that has nothing to write relies on a state, which the other server may lack."""
    node.directory.write(creation("already.test"))
    for line in pair.link:
        line.hang()
    killed = pytest.raises(ServerDown, match="before it answered")
    with killed, node.directory.change():
        node.directory.write(change("already.test", "unconfirmed"))
        raise ServerDown("the worker was killed before it answered")

    with node.directory.change() as again:
        again.cover(state(writer(pair, node), "already.test"))

    assert node.row.mode is Mode.ALONE


def test_what_the_writer_alone_shows_is_no_success(pair: Pair, node: Node) -> None:
    """A write that got no response is looked for on the writer, which may be cut off with it."""
    node.directory.write(creation("seen.test"))
    wanted = change("seen.test", "by the writer")
    for line in pair.link:
        line.hang()
    lost = Unanswered("no response")
    with suppress(Unanswered), node.directory.change():
        node.directory.write(wanted)
        raise lost
    lost.operation = wanted

    result_of(node.directory, lost)

    assert node.row.mode is Mode.ALONE


def test_a_conditional_change_is_not_told_by_its_value(pair: Pair, node: Node) -> None:
    """Two clients count up from one state: the other one's value is no success of this one."""
    node.directory.write(creation("count.test"))
    wanted = replace(change("count.test", "3"), expect=(state(pair.a, "count.test") or "",))
    lost = Unanswered("no response")
    lost.operation = wanted
    node.directory.write(change("count.test", "3"))

    with pytest.raises(Unanswered):
        result_of(node.directory, lost, wanted.expect)

    assert result_of(node.directory, lost) == ChangeResult(None)


class TestStandbyGone:
    """Without the standby everybody knows that the writer is alone, before a change is answered."""

    def test_it_is_killed(self, pair: Pair, node: Node, other: Node) -> None:
        beside, epoch = standby(pair, node), node.row.epoch
        beside.kill()

        node.directory.write(creation("alone.test"))

        assert node.row.mode is Mode.ALONE
        # Once: then nobody waits any more.
        other.await_mode(Mode.ALONE)
        other.directory.write(change("alone.test", "first"))
        began = time.monotonic()
        other.directory.write(change("alone.test", "quick"))
        assert time.monotonic() - began < 0.9
        beside.start()
        node.await_mode(Mode.TOGETHER)
        assert value(beside, "alone.test") == "quick"
        assert node.row.epoch == epoch

    def test_a_writer_that_dies_alone_is_waited_for(self, pair: Pair, node: Node) -> None:
        """The standby lacks what was acknowledged: it may not take its place."""
        first, beside, epoch = writer(pair, node), standby(pair, node), node.row.epoch
        beside.kill()
        node.directory.write(creation("waits.test"))
        first.kill()
        beside.start()
        # Longer than a failover takes.
        until = time.monotonic() + 5
        told: str | None = None
        while time.monotonic() < until:
            with pytest.raises(ServerDown):
                node.directory.write(change("waits.test", "on the stale one"))
            try:
                node.directory.ask()
                told = node.directory.take_notice() or told
            except ServerDown:
                pass
            time.sleep(0.1)
        assert node.row.epoch == epoch
        # It is read meanwhile, and the client is told.
        assert told
        assert "does not answer" in told
        assert node.directory.take_notice() is None

        first.start()
        node.write(change("waits.test", "on the one that has it"))

        assert value(first, "waits.test") == "on the one that has it"
        assert node.row.epoch == epoch


class TestWriterGone:
    """The standby takes the writer's place, with everything that was acknowledged."""

    @pytest.mark.parametrize("way", ["kill", "hang"])
    def test_the_standby_takes_over(self, pair: Pair, node: Node, other: Node, way: str) -> None:
        first, beside, epoch = writer(pair, node), standby(pair, node), node.row.epoch
        name = f"{way}.test"
        node.directory.write(creation(name))
        # On a slow machine the writer may be alone for a moment, and is not replaced then.
        node.await_mode(Mode.TOGETHER)
        if way == "kill":
            first.kill()
        else:
            first.stop()
        began = time.monotonic()
        failed = 0
        while node.row.epoch == epoch or not node.row.usable:
            try:
                # Reads go on from the other server.
                assert node.directory.read(domain(name))
            except ServerDown:
                failed += 1
            time.sleep(0.05)
            assert time.monotonic() - began < 30
        assert failed <= 2
        node.write(change(name, "on the new writer"))
        other.write(change(name, "by the other node"))
        assert value(beside, name) == "by the other node"
        assert node.row.epoch == epoch + 1
        # What hangs is killed, never continued: the guard beside it does that.
        first.kill()
        first.start()
        node.await_mode(Mode.TOGETHER)
        assert writer(pair, node) is beside
        assert value(first, name) == "by the other node"

    def test_what_was_begun_before_is_not_continued(self, pair: Pair, node: Node) -> None:
        """A change of several writes belongs to one writer: the others fail."""
        row = node.row
        node.directory.write(creation("begun.test"))
        limits, uri = node.servers.agreement.times, standby_uri(pair, node)

        def steps() -> None:
            with node.directory.change():
                node.directory.write(change("begun.test", "first step"))
                # With what it has: without that all of the former one's would be strays.
                seen = node.servers.agreement.sight(uri).last
                assert seen
                done = Promote(row, uri), limits, seen.vector
                assert insistent(lambda: node.register.change_row(*done))
                wait_until(lambda: self._knows(node, row.epoch + 1))
                node.directory.write(change("begun.test", "second step"))

        with pytest.raises(WriterChanged):
            steps()
        # No connection of the former epoch is lent either.
        node.await_mode(Mode.TOGETHER)
        with node.directory._pool.connection(Purpose.WRITE) as connection:
            assert connection.route.epoch == row.epoch + 1
        assert value(pair.a, "begun.test") == "first step"

    def test_a_connection_is_fenced(self, node: Node) -> None:
        """What is sent on a connection of an earlier epoch fails, however it was come by."""
        with node.directory._pool.connection(Purpose.WRITE) as connection:
            connection.fence()
            held = node.servers.agreement._held
            assert held
            lease = node.servers.agreement
            lease._held = type(held)(held.row, held.until - 3600, held.epoch_since, held.mode_since)
            with pytest.raises(NoWriter, match="not read in time"):
                connection.fence()
        wait_until(lambda: self._knows(node, held.row.epoch))

    def test_what_a_cut_line_delays_is_given_up(self, node: Node) -> None:
        """The kernel does: what was sent arrives within the margin of a lease, or never."""
        with (
            node.directory._pool.connection(Purpose.WRITE) as connection,
            socket.socket(fileno=os.dup(connection.fileno())) as same,
        ):
            given_up = same.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert given_up == node.servers.agreement.times.margin * 1000

    @staticmethod
    def _knows(node: Node, epoch: int) -> bool:
        held = node.servers.agreement.held()
        return bool(held and held.row.epoch == epoch and held.is_valid(now()))


def standby_uri(pair: Pair, node: Node) -> str:
    (uri,) = set(pair.uris) - {node.row.uri}
    return uri


def test_the_servers_have_lost_each_other(pair: Pair, node: Node, other: Node) -> None:
    """The writer goes on, alone: no change is lost, and the other is no second writer."""
    epoch = node.row.epoch
    node.directory.write(creation("split.test"))
    for line in pair.link:
        line.cut()
    for number in range(20):
        (node, other)[number % 2].write(change("split.test", str(number)))
        time.sleep(0.1)
    assert node.row.mode is Mode.ALONE
    for line in pair.link:
        line.heal()
    node.await_mode(Mode.TOGETHER)
    assert node.row.epoch == epoch
    assert value(standby(pair, node), "split.test") == "19"


def test_without_the_arbiter_nothing_is_written(
    pair: Pair, node: Node, postgresql: PostgreSQL
) -> None:
    """When the lease is over writes are refused; reads go on; it mends itself."""
    node.directory.write(creation("arbiter.test"))
    beside, uri = standby(pair, node), standby_uri(pair, node)
    postgresql.kill()
    try:
        refused = False
        until = time.monotonic() + 30
        while not refused:
            try:
                node.directory.write(change("arbiter.test", "within the lease"))
            except NoWriter:
                refused = True
            assert time.monotonic() < until
            assert node.directory.read(domain("arbiter.test"))
        # Other nodes may have another writer by then, for all that this one knows.
        wait_until(lambda: told(node))
        # Nor does it see the other server, as of a machine that is cut off.
        beside.kill()
        wait_until(lambda: not node.servers.agreement.sight(uri).is_healthy)
        assert told(node)
    finally:
        postgresql.start()
    beside.start()
    node.write(change("arbiter.test", "again"))
    assert not told(node)


def told(node: Node) -> bool:
    """Whether a client that reads is told that it may be too old."""
    node.directory.take_notice()
    node.directory.ask()
    return node.directory.take_notice() is not None


def test_one_row_of_one_history(pair: Pair, workers: list[Node]) -> None:
    """Each epoch has its writer, its server id, and what it had at its beginning."""
    node = workers[0]
    node.directory.write(creation("history.test"))
    wait_until(lambda: node.register.epochs()[-1].server_id is not None)
    history = node.register.epochs()

    assert [epoch.number for epoch in history] == [*range(1, node.row.epoch + 1)]
    assert history[-1].uri == node.row.uri
    assert history[-1].server_id == (1 if writer(pair, node) is pair.a else 2)
    # Of a command: no worker does that by itself.
    assert not any(epoch.forced for epoch in history if epoch.node in {"n1", "n2"})
