"""Readiness is what was last seen, and nobody waits for what hangs."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from iredldap.errors import ServerDown
from iredldap.operations.diagnosis import health
from iredldap.operations.diagnosis.health import Fault, Health
from tests.support.patience import PATIENCE, wait_until


class Thing:
    """What a probe asks."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.fault: str | None = None
        self.asked = 0

    def probe(self) -> None:
        self.asked += 1
        self.answers.wait(PATIENCE)
        if self.fault:
            report = {"fault": self.fault} if self.fault != health.NO_ANSWER else None
            raise ServerDown("ldap://secret.example.com", report=report)


@pytest.fixture
def thing() -> Iterator[Thing]:
    made = Thing()
    yield made
    made.answers.set()


def timed(watched: Health) -> tuple[float, list[Fault]]:
    began = time.monotonic()
    faults = watched.faults()
    return time.monotonic() - began, faults


def test_the_first_answer_is_right(thing: Thing) -> None:
    """It waits for the first probe, and nothing else has to be started."""
    with closing(Health({"it": thing.probe}, 5)) as watched:
        wait_until(lambda: watched.faults() == [])
    thing.fault = health.NO_ANSWER
    with closing(Health({"it": thing.probe}, 5)) as watched:
        assert [(fault.what, fault.why) for fault in watched.faults()] == [("it", "no answer")]


def test_a_question_brings_a_new_probe(thing: Thing) -> None:
    """What has just gone wrong, or come back, is seen at once where the probe is quick."""
    with closing(Health({"it": thing.probe}, 5, interval=PATIENCE)) as watched:
        for _ in range(3):
            wait_until(lambda: watched.faults() == [])
            thing.fault = "cannot be written"
            assert [fault.why for fault in watched.faults()] == ["cannot be written"]
            thing.fault = None


def test_it_tells_since_when(thing: Thing) -> None:
    """The first time that it was seen; in words that show nothing of the installation."""
    before = datetime.now(UTC)
    thing.fault = health.NO_ANSWER
    with closing(Health({"it": thing.probe}, 5)) as watched:
        first = watched.faults()[0]
        thing.fault = "cannot be written"
        later = watched.faults()[0]
    assert before <= first.since == later.since <= datetime.now(UTC)
    assert later.why == "cannot be written"
    told = Fault("it", "no answer", datetime(2026, 1, 2, 3, 4, 5, 6, UTC)).as_json()
    assert told == {"what": "it", "why": "no answer", "since": "2026-01-02T03:04:05Z"}


def test_a_probe_that_hangs_from_the_start(thing: Thing) -> None:
    """Nothing is ready that nobody has seen; the answer comes within the moment all the same."""
    thing.answers.clear()
    with closing(Health({"it": thing.probe, "other": lambda: None}, 5)) as watched:
        seconds, faults = timed(watched)
        assert [(fault.what, fault.why) for fault in faults] == [("it", "no answer")]
        assert seconds < 1.9
        # Whoever asks next does not even wait for that.
        assert timed(watched)[0] < 0.5

        thing.answers.set()
        wait_until(lambda: watched.faults() == [])
        assert thing.asked >= 1


def test_a_probe_that_comes_to_hang(thing: Thing, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is believed by the age of what it last saw, and no answer waits for it."""
    monkeypatch.setattr(health, "_MOMENT", 0.3)
    with closing(Health({"it": thing.probe}, patience=0.5, interval=0.1)) as watched:
        wait_until(lambda: watched.faults() == [])
        seen = datetime.now(UTC)
        thing.answers.clear()

        wait_until(lambda: bool(watched.faults()))

        seconds, faults = timed(watched)
        assert seconds < 1
        assert (faults[0].what, faults[0].why) == ("it", "no answer")
        assert abs((faults[0].since - seen).total_seconds()) < PATIENCE
        assert thing.asked < 20


def test_what_a_probe_raises_beyond_refusals_is_a_fault() -> None:
    """The thread lives on."""
    broken = threading.Event()
    broken.set()

    def probe() -> None:
        if broken.is_set():
            raise ZeroDivisionError

    with closing(Health({"it": probe}, 5)) as watched:
        # On a busy machine the first probe may not have ended when the question gives up.
        wait_until(lambda: [fault.why for fault in watched.faults()] == ["ZeroDivisionError"])
        broken.clear()
        wait_until(lambda: watched.faults() == [])


def test_many_questions_at_once_share_a_probe(thing: Thing) -> None:
    """However many ask while one is under way."""
    with closing(Health({"it": thing.probe}, 5, interval=PATIENCE)) as watched:
        wait_until(lambda: watched.faults() == [])
        thing.answers.clear()
        asked = thing.asked
        threads = [threading.Thread(target=watched.faults) for _ in range(10)]
        for thread in threads:
            thread.start()
        wait_until(lambda: thing.asked > asked)
        thing.answers.set()
        for thread in threads:
            thread.join()
        assert thing.asked < asked + 10


def test_answers_from_memory_wait_for_no_probe(thing: Thing) -> None:
    """A balancer that asks each second would take a node out that answers late."""
    with closing(Health({"it": thing.probe}, PATIENCE, interval=0.01, waits=False)) as watched:
        # Before the first probe has ended nobody knows.
        assert [fault.why for fault in watched.faults()] in ([], [health.NO_ANSWER])
        wait_until(lambda: watched.faults() == [])
        thing.answers.clear()
        asked = thing.asked
        wait_until(lambda: thing.asked > asked)
        took = [timed(watched) for _ in range(100)]
        assert all(faults == [] for _, faults in took)
        # Each would wait for a second.
        assert sum(seconds for seconds, _ in took) < PATIENCE
