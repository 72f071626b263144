"""Slow calls never keep all threads: neither those of a heavy kind, nor others that turn out so."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest

from iredldap.web.endpoints.endpoint import Load
from iredldap.web.server import threads
from iredldap.web.server.threads import Pool, ThreadLimits
from tests.support.patience import PATIENCE, wait_until

MANY = 60


@dataclass
class Sock:
    load: Load
    waiting: bool = False
    overdue: bool = False


@dataclass
class Call:
    """A call that ends when it is told to."""

    load: Load
    end: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    refused: bool = False

    def __post_init__(self) -> None:
        self.sock = Sock(self.load)

    def run(self, _: Any) -> str:
        self.refused = self.sock.overdue
        self.begun.set()
        if not self.refused:
            assert self.end.wait(PATIENCE)
        return self.load.value


class Calls:
    """Calls that were given to a pool."""

    def __init__(self, patience: float = 1000) -> None:
        self.pool = Pool(ThreadLimits(quick=4, heavy=2, patience=patience, threads=200))
        self._made: list[tuple[Call, Future[Any]]] = []

    def make(self, load: Load, count: int = 1) -> list[Call]:
        calls = [Call(load) for _ in range(count)]
        self._made += [(call, self.pool.submit(call.run, call)) for call in calls]
        return calls

    def finish(self) -> None:
        """End all calls; each has its result."""
        for call, future in self._made:
            call.end.set()
            assert future.cancelled() or future.result(PATIENCE) == call.load.value
        self.pool.shutdown()


def begun(calls: list[Call]) -> int:
    return sum(call.begun.is_set() for call in calls)


def comes(calls: list[Call], count: int, tick: Callable[[], object] = lambda: None) -> None:
    """Insist on so many that begin, and no more."""
    wait_until(lambda: (tick(), begun(calls) >= count)[1])
    assert begun(calls) == count


@pytest.fixture
def calls() -> Iterator[Calls]:
    made = Calls()
    yield made
    made.finish()


@pytest.fixture
def never_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "SLOW", 1000.0)


@pytest.fixture
def soon_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "SLOW", 0.01)


@pytest.mark.usefixtures("never_slow")
def test_quick_calls_share_few_threads(calls: Calls) -> None:
    """Many threads would only pass the interpreter's lock around."""
    light = calls.make(Load.LIGHT, MANY)
    comes(light, 4)
    calls.pool.tick()
    light[0].end.set()
    comes(light, 5)


@pytest.mark.usefixtures("soon_slow")
def test_heavy_calls_leave_threads_to_others(calls: Calls) -> None:
    """However many there are; another comes when one has ended."""
    heavy = calls.make(Load.HEAVY, MANY)
    comes(heavy, 2, calls.pool.tick)
    comes(calls.make(Load.LIGHT, 3), 3, calls.pool.tick)
    heavy[0].end.set()
    comes(heavy, 3, calls.pool.tick)


@pytest.mark.usefixtures("soon_slow")
@pytest.mark.parametrize("load", [Load.LIGHT, Load.DOWNLOAD, Load.UPLOAD])
def test_slow_calls_of_any_kind_leave_threads_to_others(calls: Calls, load: Load) -> None:
    slow = calls.make(load, threads._MOST_OF_A_KIND - 4)
    comes(slow, len(slow), calls.pool.tick)
    comes(calls.make(Load.LIGHT, 4), 4, calls.pool.tick)


@pytest.mark.usefixtures("soon_slow")
def test_there_are_not_more_threads_than_there_may_be(calls: Calls) -> None:
    """Of each kind."""
    slow = calls.make(Load.DOWNLOAD, MANY)
    comes(slow, threads._MOST_OF_A_KIND, calls.pool.tick)
    for _ in range(3):
        calls.pool.tick()
    assert begun(slow) == threads._MOST_OF_A_KIND


@pytest.mark.usefixtures("never_slow")
@pytest.mark.parametrize("load", [load for load in Load if load not in threads._ALWAYS])
def test_who_waits_for_their_client_takes_no_place(calls: Calls, load: Load) -> None:
    """Whatever number of clients is slow, and whatever they asked for."""
    slow = calls.make(load, MANY)
    for number in range(MANY):
        wait_until(lambda n=number: slow[n].begun.is_set())  # type: ignore[misc]
        slow[number].sock.waiting = True
        calls.pool.tick()
    comes(calls.make(Load.LIGHT), 1)


@pytest.mark.usefixtures("never_slow")
def test_probes_always_have_threads(calls: Calls) -> None:
    """While all kinds of others wait for one; and of probes those that only ask for life."""
    for load in (Load.LIGHT, Load.HEAVY, Load.DOWNLOAD, Load.UPLOAD):
        calls.make(load, MANY)
    comes(calls.make(Load.PROBE, MANY), threads._MOST_OF_A_KIND)
    comes(calls.make(Load.LIVE), 1)


@pytest.mark.usefixtures("soon_slow")
def test_who_waited_too_long_is_told_so() -> None:
    """By a thread that is not kept by it; those before go on."""
    calls = Calls(patience=0.2)
    heavy = calls.make(Load.HEAVY, 10)
    comes(heavy, 10, calls.pool.tick)
    assert [call.refused for call in heavy] == [False] * 2 + [True] * 8
    calls.finish()
    assert not calls.pool.has_waiting


def test_errors_reach_the_worker(calls: Calls) -> None:
    """As from any executor; the thread is free again."""

    def fail(_: object) -> None:
        raise ZeroDivisionError

    for _ in range(MANY):
        with pytest.raises(ZeroDivisionError):
            calls.pool.submit(fail, Call(Load.HEAVY)).result(PATIENCE)


@pytest.mark.usefixtures("never_slow")
def test_at_the_end_nobody_waits_any_more() -> None:
    calls = Calls()
    light = calls.make(Load.LIGHT, 10)
    comes(light, 4)
    calls.pool.shutdown(wait=False)
    assert not calls.pool.has_waiting
    calls.finish()
    assert begun(light) == 4
