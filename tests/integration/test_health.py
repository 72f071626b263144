"""The service tells how it is, and refuses at once what it cannot do, while slapd or SQL hangs."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.conftest import ADMIN, ADMIN_PASSWORD, Client, World
from tests.gunicorn import gunicorn
from tests.patience import PATIENCE

CLIENTS = 16


@contextmanager
def stopped(pid: int | None) -> Iterator[None]:
    """Let a process hang: it answers nothing, and does not end its connections."""
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def hammered(*calls: Callable[[], requests.Response]) -> Iterator[list[tuple[float, int]]]:
    """Repeat calls in a thread each; give the seconds and the status of every answer."""
    over = threading.Event()
    answers: list[tuple[float, int]] = []

    def repeat(call: Callable[[], requests.Response]) -> None:
        while not over.is_set():
            began = time.monotonic()
            status = call().status_code
            answers.append((time.monotonic() - began, status))

    threads = [threading.Thread(target=repeat, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join()


def slowest(url: str, seconds: float) -> tuple[float, set[int]]:
    """The longest of many calls on connections of their own, and the statuses that came."""
    longest, statuses = 0.0, set()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        statuses.add(requests.get(url, timeout=PATIENCE).status_code)
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.05)  # A probe of a monitoring system; nothing is waited for.
    return longest, statuses


def calls(url: str) -> list[Callable[[], requests.Response]]:
    """Reads and logins, on a connection each."""
    api = Client(url).log_in()
    clients = [Client(url) for _ in range(CLIENTS)]
    for client in clients:
        client.session.cookies.update(api.session.cookies)
    reads = [lambda c=client: c.get("/api/domains") for client in clients[::2]]
    logins = [
        lambda c=client: c.post("/api/login", username=ADMIN, password=ADMIN_PASSWORD)
        for client in clients[1::2]
    ]
    return [*reads, *logins]


def test_live_while_the_directory_hangs(world: World, tmp_path: Path) -> None:
    """Also while every thread waits for it, and more requests than threads wait for these.

    Within a second, or as quickly as before on a machine that needs a second anyway.
    """
    with gunicorn(world, tmp_path) as url, hammered(*calls(url)):
        usual, _ = slowest(f"{url}/livez", 1)
        with stopped(world.slapd.pid):
            longest, statuses = slowest(f"{url}/livez", 4)
    print(f"livez: {longest:.3f} s, usually {usual:.3f} s")
    assert statuses == {200}
    assert longest < max(1, 3 * usual)
