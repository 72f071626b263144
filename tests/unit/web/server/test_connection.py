"""Connections wait for their clients only so long, in both directions."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from iredldap.web.endpoints.endpoint import Load
from iredldap.web.server.connection import Connection, Lag, Limits
from tests.support.patience import PATIENCE, wait_until

PATIENT = Limits(request=PATIENCE, rate=1000, stalled=PATIENCE, averaged=PATIENCE)
LARGE = 8 * 1024 * 1024


@contextmanager
def connected(limits: Limits) -> Iterator[tuple[Connection, socket.socket]]:
    """Our end of a connection on which a large body comes, and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    with Connection(accepted, limits) as ours, client:
        ours.begin(Load.UPLOAD, is_large=True)
        yield ours, client


def test_a_client_that_has_left_is_told_from_one_that_waits() -> None:
    """And from one whose next request is there already."""
    with connected(PATIENT) as (ours, client):
        assert not ours.is_left
        client.sendall(b"GET")
        wait_until(lambda: bool(select.select([ours], [], [], 0)[0]))
        assert not ours.is_left
        assert ours.take(9) == b"GET"
        client.close()
        wait_until(lambda: ours.is_left)


def test_a_client_is_behind_by_what_it_did_not_move() -> None:
    lag = Lag(10, rate=100)
    lag.waited(4)
    assert lag.left == 6
    lag.moved(200)
    assert lag.left == 8


def test_a_client_is_ahead_by_so_much_and_no_more() -> None:
    """Much at the beginning does not make up for nothing later."""
    lag = Lag(10, rate=100, ahead=5)
    lag.moved(1_000_000)
    assert lag.left == 15
    lag.waited(15)
    assert lag.left == 0


def test_without_a_rate_any_progress_counts() -> None:
    lag = Lag(10, rate=0)
    lag.waited(9.5)
    lag.moved(1)
    assert lag.left == 10


def test_everything_arrives_at_a_client_that_takes_it() -> None:
    text = bytes(range(256)) * (LARGE // 256)
    with connected(PATIENT) as (ours, client):
        sender = threading.Thread(target=ours.sendall, args=(text,))
        sender.start()
        came = b""
        while len(came) < len(text):
            came += client.recv(1024 * 1024)
        sender.join()
    assert came == text


def test_who_takes_nothing_is_cut_off() -> None:
    with connected(replace(PATIENT, stalled=0.2)) as (ours, _):
        with pytest.raises(BrokenPipeError):
            ours.sendall(b"x" * LARGE)
        assert ours.is_cut


@contextmanager
def taking(client: socket.socket, size: int, pause: float) -> Iterator[None]:
    """Take a little of what comes, over and over, until it ends."""
    over = threading.Event()

    def take() -> None:
        client.settimeout(0.05)
        while not over.wait(pause):
            try:
                if not client.recv(size):
                    return
            except TimeoutError:
                continue
            except ConnectionResetError:
                return

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def send_for_ever(ours: Connection) -> None:
    while True:
        ours.sendall(b"x" * LARGE)


def receive_all(ours: Connection) -> None:
    while ours.recv(100):
        pass


def test_who_takes_too_little_is_cut_off() -> None:
    """Though some of it is taken all the time; not before the time over which it is averaged."""
    limits = replace(PATIENT, rate=1e9, averaged=1.0)
    with connected(limits) as (ours, client), taking(client, 64 * 1024, 0.02):
        began = time.monotonic()
        with pytest.raises(BrokenPipeError):
            send_for_ever(ours)
        assert time.monotonic() - began >= 1


def test_who_is_slow_enough_gets_on() -> None:
    """For longer than the time over which the rate is averaged."""
    limits = replace(PATIENT, rate=1000, averaged=1.0)
    with connected(limits) as (ours, client), taking(client, 64 * 1024, 0.02):
        until = time.monotonic() + 2
        while time.monotonic() < until:
            ours.sendall(b"x" * 100_000)


def test_a_pause_of_ours_is_not_the_clients() -> None:
    """A directory that is slow is none of their business."""
    limits = replace(PATIENT, stalled=0.5, averaged=0.5)
    with connected(limits) as (ours, client), taking(client, LARGE, 0.0):
        for _ in range(4):
            ours.sendall(b"x" * 100_000)
            time.sleep(0.2)  # It is a slow directory; nobody waits for anything here.
    assert not ours.is_cut


def test_a_thread_says_that_it_waits_for_the_client() -> None:
    with connected(PATIENT) as (ours, client):
        sender = threading.Thread(target=ours.sendall, args=(b"x" * LARGE,))
        sender.start()
        wait_until(lambda: ours.waiting)
        with taking(client, LARGE, 0.0):
            sender.join()
        assert not ours.waiting


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    with connected(replace(PATIENT, request=0.2)) as (ours, client):
        client.sendall(b"begun")
        assert ours.recv(100) == b"begun"
        with pytest.raises(TimeoutError):
            ours.recv(100)


def test_a_body_that_drips_is_not_waited_for() -> None:
    """Each byte gives it a millisecond."""
    with connected(replace(PATIENT, request=0.5)) as (ours, client):
        over = threading.Event()

        def drip() -> None:
            while not over.wait(0.05):
                client.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(TimeoutError):
            receive_all(ours)
        over.set()
        thread.join()


def test_the_next_request_has_its_own_time() -> None:
    with connected(replace(PATIENT, request=0.2)) as (ours, client):
        with pytest.raises(TimeoutError):
            ours.recv(100)
        ours.begin(Load.UPLOAD, is_large=True)
        client.sendall(b"x")
        assert ours.recv(100) == b"x"


def test_what_was_waited_for_before_counts() -> None:
    with connected(PATIENT) as (ours, _):
        ours.begin(Load.UPLOAD, is_large=True, waited=PATIENCE)
        with pytest.raises(TimeoutError):
            ours.recv(100)


def test_a_time_out_of_gunicorns_is_heeded() -> None:
    with connected(PATIENT) as (ours, _):
        ours.settimeout(0.1)
        with pytest.raises(TimeoutError):
            ours.recv(100)


def test_a_probe_frees_its_thread_soon() -> None:
    """There are few of them."""
    with connected(PATIENT) as (ours, _):
        ours.begin(Load.PROBE)
        began = time.monotonic()
        with pytest.raises(BrokenPipeError):
            ours.sendall(b"x" * LARGE)
        assert time.monotonic() - began < PATIENCE / 2


def test_what_is_there_is_taken_without_waiting() -> None:
    with connected(PATIENT) as (ours, client):
        with pytest.raises(BlockingIOError):
            ours.take(100)
        client.sendall(b"x")
        assert ours.recv(100) == b"x"


def test_what_is_there_already_is_not_waited_for() -> None:
    """Should a parser want more of a request than came, it does not keep a thread."""
    with connected(PATIENT) as (ours, _):
        ours.begin(Load.LIGHT)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            ours.recv(100)
        assert time.monotonic() - began < PATIENCE / 2
