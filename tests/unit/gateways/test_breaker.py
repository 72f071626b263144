"""A breaker opens when a probe waits in vain, refuses at once, and closes by itself."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from iredldap.errors import ServerDown
from iredldap.gateways.breaker import Breaker, Hanging
from tests.support.patience import PATIENCE, at_once, wait_until

SLOW = 0.05
NEVER = float("-inf")
"""A beginning so long ago that whatever began then has taken long."""


class Server:
    """What a probe asks: it answers, fails at once, or hangs for a while and fails."""

    def __init__(self) -> None:
        self.hangs = False
        self.fails = False
        self.probes = 0
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def probe(self) -> None:
        with self._lock:
            self.probes += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.hangs:
                # A hang is a wait and nothing else.
                time.sleep(2 * SLOW)
            if self.hangs or self.fails:
                raise ServerDown("no answer")
        finally:
            with self._lock:
                self.at_once -= 1


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def breaker(server: Server) -> Iterator[Breaker]:
    with closing(Breaker("it", server.probe, SLOW, {"database": "it"})) as made:
        yield made


def test_a_hang_is_known_until_the_server_answers(server: Server, breaker: Breaker) -> None:
    """Nobody asks it meanwhile but the probe, one at a time; afterwards everybody may."""
    server.hangs = True
    breaker.suspect(NEVER)

    with pytest.raises(Hanging) as caught:
        breaker.refuse()
    with pytest.raises(Hanging), breaker.asking():
        pass
    assert caught.value.report == {"database": "it"}
    asked = server.probes
    wait_until(lambda: server.probes > asked + 1)
    assert breaker.is_open
    assert server.most_at_once == 1

    server.hangs = False
    wait_until(lambda: not breaker.is_open)
    breaker.refuse()
    breaker.check()


def test_one_slow_request_is_its_own_misfortune(server: Server, breaker: Breaker) -> None:
    """What waited in vain refuses nobody, as long as the server answers a probe."""
    breaker.suspect(NEVER)

    assert server.probes == 1
    breaker.refuse()


def test_what_fails_at_once_may_be_tried_again_at_once(server: Server, breaker: Breaker) -> None:
    """A server that is down costs nobody a wait."""
    server.fails = True
    breaker.suspect(time.monotonic())
    assert server.probes == 0

    with pytest.raises(ServerDown) as caught:
        breaker.check()
    assert not isinstance(caught.value, Hanging)
    breaker.suspect(NEVER)
    breaker.failed(time.monotonic())
    breaker.refuse()


def test_a_server_that_hung_and_is_down_now_is_no_longer_refused(
    server: Server, breaker: Breaker
) -> None:
    """A restart is met by whoever asks first."""
    server.hangs = True
    breaker.failed(NEVER)
    assert breaker.is_open

    server.hangs, server.fails = False, True
    wait_until(lambda: not breaker.is_open)


def test_many_that_wait_in_vain_cause_one_probe(server: Server, breaker: Breaker) -> None:
    """And all know its outcome when they go on."""

    def fail() -> bool:
        breaker.suspect(NEVER)
        return breaker.is_open

    server.hangs = True
    assert at_once(*[fail] * 8) == [True] * 8
    assert server.most_at_once == 1


def test_whoever_comes_while_others_wait_for_long_is_not_made_to_join_them(
    server: Server, breaker: Breaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe tells them apart: a server that hangs, and one that has much to do."""
    monkeypatch.setattr("iredldap.gateways.breaker._LONG", 0.0)
    monkeypatch.setattr("iredldap.gateways.breaker._GOOD_FOR", 0.0)
    with breaker.asking():
        time.sleep(2 * SLOW)  # Somebody has been waiting for this long.
        with breaker.asking():
            assert server.probes == 1
        server.hangs = True
        with pytest.raises(Hanging), breaker.asking():
            pass


def test_a_probe_that_breaks_refuses_nobody_for_good() -> None:
    """Whatever it raises."""
    hangs = threading.Event()
    hangs.set()

    def probe() -> None:
        if hangs.is_set():
            time.sleep(2 * SLOW)  # A hang is a wait and nothing else.
            raise ServerDown("no answer")
        raise ZeroDivisionError

    with closing(Breaker("it", probe, SLOW)) as breaker:
        breaker.suspect(NEVER)
        assert breaker.is_open
        hangs.clear()
        wait_until(lambda: not breaker.is_open, PATIENCE)


def test_the_end_leaves_nobody_probing(server: Server) -> None:
    """Nor is anybody refused afterwards."""
    breaker = Breaker("it", server.probe, SLOW)
    server.hangs = True
    breaker.suspect(NEVER)
    breaker.close()
    breaker.refuse()
    breaker.failed(NEVER)
    assert not breaker.is_open
    wait_until(lambda: all(thread.name != "probe it" for thread in threading.enumerate()))
