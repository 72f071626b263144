"""How others fare while slow clients, and slow calls, take what they can get.

gunicorn runs as it is shipped, without a web server in front. One client asks for one user at a
time, over a new connection each time; first alone, then beside ten readers that take 2 kB/s of the
LDIF of a domain, beside eight senders that drip a byte a second of a request, and beside eight
clients that ask for one page of the domain after the other, each of which is a search through all
of it. Whoever is refused or cut off comes again at once. Clients, gunicorn and slapd share the
cores.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from statistics import mean
from urllib.parse import urlsplit

from benchmarks.figures import Reading, Result, Row
from benchmarks.ground import directory
from benchmarks.served import Api, served, sqlite

ROUNDS = 3
USERS = 20_000
"""About 19 MB of LDIF."""

DOMAIN = "slow.test"
READERS, SENDERS, CALLERS = 10, 8, 8
LONGEST = 2000
"""Milliseconds that nobody shall wait longer for the entry of one user."""

_ALONE, _BESIDE = 4.0, 20.0
"""Seconds."""

_PATIENCE = 30.0
"""Seconds after which a GET is given up, and counted as that long."""

_QUIET = 0.1
"""Seconds that no GET takes longer when nothing else goes on."""

_SHARES = {"readers": 0.5, "senders": 0.5, "calls": 0.1}
"""Of the usual rate. Pages of a large domain take the processors, of which there are two."""

_USER = f"/user/user000002@{DOMAIN}"


def run() -> Iterator[Result]:
    """Ask for one user beside each kind of slow client."""
    attacks = {
        f"{READERS} slow readers": ("readers", READERS, _read_slowly),
        f"{SENDERS} slow senders": ("senders", SENDERS, _send_slowly),
        f"{CALLERS} slow calls": ("calls", CALLERS, _call_slowly),
    }
    with directory({DOMAIN: USERS}) as slapd, sqlite() as urls, served(slapd, urls) as api:
        for _ in range(ROUNDS):
            for what, (kind, count, attack) in attacks.items():
                _settle(api)
                usual = _times(api, _ALONE)
                with _attacked(api, count, attack):
                    meanwhile = _times(api, _BESIDE)
                yield _beside(what, usual, meanwhile, _SHARES[kind])
                longest = max(meanwhile) * 1000
                note = f"otherwise {max(usual) * 1000:.0f} ms"
                yield Reading(f"longest wait beside {what}", longest, "ms", LONGEST, note)


def _beside(what: str, usual: list[float], meanwhile: list[float], share: float) -> Row:
    rates = [1 / mean(times) for times in (meanwhile, usual)]
    note = f"{rates[0]:.0f} and {rates[1]:.0f} GETs per second"
    ours, theirs = mean(meanwhile), mean(usual)
    return Row(f"GET of a user beside {what}", "without them", ours, theirs, note, wanted=share)


def _settle(api: Api) -> None:
    """Wait until nothing is left of what the clients before asked for."""
    until = time.monotonic() + _PATIENCE
    while max(_times(api, 1)) > _QUIET and time.monotonic() < until:
        pass


def _times(api: Api, seconds: float) -> list[float]:
    """How long each GET takes, one after the other."""
    times: list[float] = []
    until = time.monotonic() + seconds
    while not times or time.monotonic() < until:
        began = time.monotonic()
        _get(api)
        times.append(time.monotonic() - began)
    return times


def _get(api: Api) -> None:
    parts = urlsplit(api.url)
    connection = HTTPConnection(parts.netloc, timeout=_PATIENCE)
    try:
        connection.request("GET", parts.path + _USER, headers={"Cookie": api.cookie})
        answer = connection.getresponse()
        answer.read()
    except TimeoutError:
        return
    finally:
        connection.close()
    if answer.status != 200:
        raise HTTPException(f"{_USER}: {answer.status}")


Attack = Callable[[Api, socket.socket, threading.Event], None]


@contextmanager
def _attacked(api: Api, count: int, attack: Attack) -> Iterator[None]:
    """Have so many clients do the same over and over."""
    over = threading.Event()
    threads = [threading.Thread(target=_repeat, args=(api, attack, over)) for _ in range(count)]
    for thread in threads:
        thread.start()
    # They all shall be at it.
    over.wait(2)
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _repeat(api: Api, attack: Attack, over: threading.Event) -> None:
    parts = urlsplit(api.url)
    while not over.is_set():
        with suppress(OSError), socket.create_connection((parts.hostname, parts.port)) as client:
            client.settimeout(1)
            attack(api, client, over)
        over.wait(0.2)


def _head(api: Api, path: str) -> bytes:
    parts = urlsplit(api.url)
    lines = [f"GET {parts.path}{path} HTTP/1.1", f"Host: {parts.netloc}", f"Cookie: {api.cookie}"]
    return "\r\n".join([*lines, "", ""]).encode()


def _read_slowly(api: Api, client: socket.socket, over: threading.Event) -> None:
    client.sendall(_head(api, f"/ldif/domain/{DOMAIN}?format=ldif"))
    while not over.wait(0.1):
        with suppress(TimeoutError):
            if not client.recv(200):
                return


def _send_slowly(api: Api, client: socket.socket, over: threading.Event) -> None:
    for byte in _head(api, _USER):
        client.sendall(bytes([byte]))
        if over.wait(1):
            return


def _call_slowly(api: Api, client: socket.socket, over: threading.Event) -> None:
    client.sendall(_head(api, f"/users/{DOMAIN}?limit=1000"))
    room = bytearray(256 * 1024)
    # It says how long it is, and the connection stays; what matters here is when it has come.
    missing: int | None = None
    while not over.is_set() and missing != 0:
        with suppress(TimeoutError):
            size = client.recv_into(room)
            if not size:
                return
            missing = _missing(bytes(room[:size]), missing) - (0 if missing is None else size)


def _missing(data: bytes, before: int | None) -> int:
    """How many bytes of an answer are to come after these, which are its first if none were."""
    if before is not None:
        return before
    head, _, body = data.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return int(length) - len(body)
