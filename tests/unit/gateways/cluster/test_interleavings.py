"""Whatever two workers see, and however they are delayed: one writer at a time, nothing lost.

Also if one of them names another server beside the first one. A model of the state database, the
servers and two workers runs the real decisions. Time passes in steps of a quarter of a second; a
worker may be paused, may learn late what it has read, and may change the row late. Servers crash,
hang for one worker, and replicate late.
"""

from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from iredldap.dit.csn import CsnVector
from iredldap.gateways.cluster.decision import Action, Compare, Enter, Promote, after, decide
from iredldap.gateways.cluster.view import (
    Held,
    Mode,
    Sample,
    Sight,
    Times,
    View,
    WriterRow,
    held_after,
)
from tests.support.examples import examples

STEP = 0.25
SERVERS = ("A", "B", "C")
TIMES = (Times(2.0, 2.0, 1.0), Times(1.0, 3.0, 1.0))
"""Those of the two workers: settings that differ between nodes are no danger."""

worker_numbers = st.sampled_from((0, 1))
servers = st.sampled_from(SERVERS)


@dataclass
class Server:
    """A server: the number of changes of each origin that it has, and whether it runs.

    `missed` are changes that it lacks for all that, of which its vector does not tell.
    """

    name: str
    has: dict[str, int] = field(default_factory=dict)
    up: bool = True
    missed: set[tuple[str, int]] = field(default_factory=set)
    linked: bool = True

    def holds(self, origin: str, number: int) -> bool:
        return self.has.get(origin, 0) >= number and (origin, number) not in self.missed

    def vector(self) -> CsnVector:
        return CsnVector.of(csn(origin, number) for origin, number in self.has.items())


@dataclass
class Write:
    """A write: sent by a worker in an epoch, then `number` of its origin at the server."""

    worker: int
    epoch: int
    uri: str
    sent: float
    number: int = 0
    acknowledged: bool = False


@dataclass
class Worker:
    times: Times
    clock: float
    held: Held | None = None
    sights: dict[str, Sight] = field(default_factory=lambda: dict.fromkeys(SERVERS, Sight()))
    sees: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(SERVERS, True))
    reads: list[tuple[float, WriterRow]] = field(default_factory=list)
    action: Action | None = None
    equal: WriterRow | None = None
    paused: bool = False
    late: bool = False
    uris: tuple[str, str] = ("A", "B")

    def beside(self, uri: str) -> str | None:
        """Return the server beside a writer; None: this worker does not name the writer."""
        return next(one for one in self.uris if one != uri) if uri in self.uris else None


def csn(origin: str, number: int) -> str:
    return f"{number:014d}.000000Z#000000#{SERVERS.index(origin) + 1:03d}#000000"


class Interleavings(RuleBasedStateMachine):
    """The model; its rules are what may happen."""

    servers_of_the_second = ("A", "B")

    @initialize(ahead=st.integers(0, 1000))
    def begin(self, ahead: int) -> None:
        self.now = 100.0
        self.row: WriterRow | None = None
        self.seen_at = self.mode_at = 0.0
        self.servers = {name: Server(name, {"A": 1}) for name in SERVERS}
        self.linked = True
        self.misses = False
        # Monotonic clocks of two machines have nothing to do with each other.
        self.workers = [
            Worker(TIMES[0], 0.0),
            Worker(TIMES[1], float(ahead), uris=self.servers_of_the_second),
        ]
        self.writes: list[Write] = []
        self.written_in = 0
        for _ in range(40):
            self.pass_time(1)

    @rule(steps=st.integers(1, 16))
    def pass_time(self, steps: int) -> None:
        """Let time pass: everybody who is not paused does what it does all the time."""
        for _ in range(steps):
            self.now += STEP
            self.lose_what_is_late()
            self.replicate()
            for worker in self.workers:
                if not worker.paused:
                    self.turn(worker)
            self.acknowledge()
            self.one_writer()

    @rule(number=worker_numbers, paused=st.booleans(), late=st.booleans())
    def delay(self, number: int, paused: bool, late: bool) -> None:
        self.workers[number].paused, self.workers[number].late = paused, late

    @rule(number=worker_numbers, name=servers, sees=st.booleans())
    def cut(self, number: int, name: str, sees: bool) -> None:
        self.workers[number].sees[name] = sees

    @rule(name=servers, up=st.booleans())
    def crash(self, name: str, up: bool) -> None:
        self.servers[name].up = up

    @rule(number=worker_numbers, late=st.booleans(), steps=st.integers(4, 16))
    def fail_over(self, number: int, late: bool, steps: int) -> None:
        """Crash the writer, while a worker that may write is paused, and starts again later."""
        if self.row:
            self.send(number)
            self.delay(number, paused=True, late=late)
            self.crash(self.row.uri, up=False)
            self.pass_time(steps)
            self.delay(number, paused=False, late=late)

    @rule(linked=st.booleans())
    def link(self, linked: bool) -> None:
        self.linked = linked

    @rule(misses=st.booleans())
    def miss(self, misses: bool) -> None:
        """Have servers miss what they take over, though their vectors move on."""
        self.misses = misses

    @rule(number=worker_numbers)
    def send(self, number: int) -> None:
        worker = self.workers[number]
        held = worker.held
        if held and held.may_write(self.now + worker.clock) and held.row.uri in worker.uris:
            self.writes.append(Write(number, held.row.epoch, held.row.uri, self.now))

    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        """Let a write arrive that was sent: it is carried out."""
        waiting = [one for one in self.writes if not one.number]
        if not waiting:
            return
        self.execute(data.draw(st.sampled_from(waiting)))

    @rule(number=worker_numbers, steps=st.integers(8, 40))
    def return_and_miss(self, number: int, steps: int) -> None:
        """Crash the standby, write without it, and let it miss that when it is back."""
        if self.row:
            standby = self.workers[number].beside(self.row.uri)
            if standby is None:
                return
            self.crash(standby, up=False)
            self.send(number)
            for one in self.writes:
                if not one.number:
                    self.execute(one)
            self.pass_time(16)
            self.crash(standby, up=True)
            self.miss(misses=True)
            self.pass_time(steps)
            self.miss(misses=False)

    def execute(self, one: Write) -> None:
        server = self.servers[one.uri]
        if not server.up or not self.workers[one.worker].sees[one.uri]:
            return
        assert one.epoch >= self.written_in, "a write of an earlier epoch after one of a later"
        self.written_in = one.epoch
        one.number = server.has[one.uri] = server.has.get(one.uri, 0) + 1

    def lose_what_is_late(self) -> None:
        # The kernel gives up what is not acknowledged within the margin.
        margin = min(times.margin for times in TIMES)
        self.writes = [
            one for one in self.writes if one.number or self.now - one.sent <= margin - STEP
        ]

    def replicate(self) -> None:
        running = [server for server in self.servers.values() if server.up and server.linked]
        if self.linked and len(running) > 1:
            for origin in SERVERS:
                newest = max(server.has.get(origin, 0) for server in running)
                for server in running:
                    if self.misses:
                        lacking = range(server.has.get(origin, 0) + 1, newest + 1)
                        server.missed |= {(origin, number) for number in lacking}
                    if newest:
                        server.has[origin] = newest

    def turn(self, worker: Worker) -> None:
        local = self.now + worker.clock
        for name, server in self.servers.items():
            sight = worker.sights[name]
            if server.up and worker.sees[name]:
                sample = Sample(local, local, server.vector())
                worker.sights[name] = sight.after_success(sample, is_provider=True)
            else:
                worker.sights[name] = sight.after_failure(local)
        if worker.late:
            # What was decided and read in the turn before takes effect only now.
            self.change(worker.action, worker.times)
            self.learn(worker)
            self.read(worker, local)
        else:
            self.read(worker, local)
            self.learn(worker)
        held = worker.held
        sights = {name: worker.sights[name] for name in worker.uris}
        if held and held.row.usable and sights.get(held.row.uri, Sight()).is_healthy:
            self.seen_at = self.now
        view = View(local, held, worker.times, sights, worker.uris, worker.equal)
        action = decide(view) if held or self.row is None else None
        if isinstance(action, Compare):
            self.compare(worker, action.row)
        worker.action = None if isinstance(action, Compare) else action
        if not worker.late:
            self.change(worker.action, worker.times)
            worker.action = None

    def compare(self, worker: Worker, row: WriterRow) -> None:
        """Have replication carry what the standby has missed, as far as the writer has it."""
        writer, other = self.servers[row.uri], self.servers[worker.beside(row.uri) or ""]
        if writer.up and other.up and worker.sees[writer.name] and worker.sees[other.name]:
            if self.linked and writer.linked and other.linked:
                other.missed &= writer.missed
            if other.missed <= writer.missed:
                worker.equal = row

    def read(self, worker: Worker, local: float) -> None:
        if self.row is None:
            return
        row = self.row
        unseen, age = self.now - self.seen_at, self.now - self.mode_at
        worker.reads.append((local, replace(row, unseen=unseen, mode_age=age)))

    def learn(self, worker: Worker) -> None:
        for asked, row in worker.reads:
            got = self.now + worker.clock
            held = held_after(worker.held, row, asked, got, worker.times.lease)
            worker.held = held or worker.held
        worker.reads = []

    def change(self, action: Action | None, times: Times = TIMES[0]) -> None:
        if action is None:
            return
        row = after(self.row, action, times)
        if row is not self.row:
            if isinstance(action, Promote):
                assert self.row
                assert self.row.mode is Mode.TOGETHER
                assert self.row.usable
                self.seen_at = self.now
            self.row, self.mode_at = row, self.now

    def acknowledge(self) -> None:
        for one in self.writes:
            worker = self.workers[one.worker]
            held = worker.held
            if one.acknowledged or not one.number or worker.paused or held is None:
                continue
            if held.row.epoch != one.epoch or not held.may_write(self.now + worker.clock):
                continue
            standby = worker.beside(one.uri) or ""
            server, is_its = self.servers[standby], held.row.speaks_of(standby)
            there = server.up and worker.sees[standby] and server.holds(one.uri, one.number)
            if held.row.mode is Mode.ALONE or (there and is_its):
                one.acknowledged = True
            elif not is_its or self.now - one.sent > worker.times.failover_after:
                self.change(Enter(held.row, Mode.ALONE))

    @invariant()
    def one_writer(self) -> None:
        """Two workers never may write in different epochs at one moment."""
        epochs = {
            worker.held.row.epoch
            for worker in self.workers
            if worker.held and worker.held.may_write(self.now + worker.clock)
        }
        assert len(epochs) <= 1
        # Nor does one that may not write any more have something under way.
        waiting = {one.epoch for one in self.writes if not one.number}
        assert not epochs or not waiting or min(waiting) >= max(epochs)

    @invariant()
    def nothing_is_lost(self) -> None:
        """The agreed writer has every acknowledged write."""
        if self.row:
            writer = self.servers[self.row.uri]
            for one in self.writes:
                assert not one.acknowledged or writer.holds(one.uri, one.number)


Interleavings.TestCase.settings = settings(examples(120), stateful_step_count=40, deadline=None)
TestInterleavings = Interleavings.TestCase


class OtherServers(Interleavings):
    """The second worker names another server beside the first one."""

    servers_of_the_second = ("A", "C")

    @rule(steps=st.integers(1, 16))
    def write_past_the_other_one(self, steps: int) -> None:
        """Have the second worker's server alone get what it writes, and crash the writer."""
        self.servers["B"].linked = False
        self.send(1)
        for one in self.writes:
            if not one.number:
                self.execute(one)
        self.pass_time(1)
        self.crash("A", up=False)
        # The first one finds that out.
        self.delay(1, paused=True, late=False)
        self.pass_time(12)
        self.nothing_is_lost()
        self.delay(1, paused=False, late=False)
        self.crash("A", up=True)
        self.servers["B"].linked = True
        self.pass_time(steps)


OtherServers.TestCase.settings = settings(examples(60), stateful_step_count=40, deadline=None)
TestOtherServers = OtherServers.TestCase
