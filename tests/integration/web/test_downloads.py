"""Downloads through gunicorn: whoever stalls or leaves holds nothing, and no end is faked."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.client import Client, refused
from tests.support.gunicorn import gunicorn
from tests.support.patience import PATIENCE, wait_until
from tests.support.processes import command, descendants
from tests.support.slow import USERS, fill
from tests.support.world import World

STALLED = "2"
"""Seconds after which a download is given up."""

DOWNLOAD = "the-download"
"""Names the request in the log."""


@pytest.fixture
def large(
    request: pytest.FixtureRequest, world: World, tmp_path: Path
) -> Iterator[tuple[str, Client]]:
    """A domain of 20 MB, and one thread and one place to serve it: who holds them is missed."""
    settings = {"SERVER_WORKERS": "1", "SERVER_THREADS": "1", "API_DOWNLOADS": "1"}
    stalled = getattr(request, "param", STALLED)
    with gunicorn(world, tmp_path, API_STALLED_DOWNLOAD=stalled, **settings) as url:
        api = Client(url).log_in()
        fill(world, api)
        yield url, api


@contextmanager
def downloading(url: str, api: Client) -> Iterator[socket.socket]:
    """A client that has taken the first bytes of a download."""
    host, _, port = url.removeprefix("http://").partition(":")
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in api.session.cookies)
    with closing(socket.create_connection((host, int(port)), timeout=PATIENCE)) as client:
        request = f"GET /api/ldif?format=ldif HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n"
        client.sendall(f"{request}X-Request-Id: {DOWNLOAD}\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        yield client


def exporters() -> set[int]:
    """Processes that export for the servers of this test: nobody else's."""
    return {pid for pid in descendants(os.getpid()) if b"\0ldif_export\0" in command(pid)}


def test_who_stalls_is_cut_off(large: tuple[str, Client], tmp_path: Path) -> None:
    """After `stalled_download` seconds: thread, child and directory connection are free.

    The log says of which request.
    """
    url, api = large
    began = time.monotonic()
    with downloading(url, api) as client:
        assert len(exporters()) == 1

        wait_until(lambda: not exporters())

        assert time.monotonic() - began > float(STALLED)
        assert requests.get(f"{url}/livez", timeout=PATIENCE).ok
        assert b"# entries: " not in rest(client)
    wait_until(lambda: has_place(api))
    lines = (tmp_path / "gunicorn.log").read_text().splitlines()
    (cut,) = [json.loads(line) for line in lines if '"cut off"' in line]
    assert (cut["request"], cut["reason"]) == (DOWNLOAD, "stalled")


@pytest.mark.parametrize("large", ["3600"], indirect=True)
def test_who_leaves_frees_everything(large: tuple[str, Client]) -> None:
    """At once, not when the download would have stalled."""
    url, api = large
    with downloading(url, api):
        assert len(exporters()) == 1

    wait_until(lambda: not exporters())
    assert requests.get(f"{url}/livez", timeout=PATIENCE).ok
    wait_until(lambda: has_place(api))


def has_place(api: Client) -> bool:
    """Whether a download is not refused; it ends well, or before the first byte."""
    answer = api.get("/api/ldif", format="ldif")
    assert answer.status_code in {200, 429}
    return answer.ok


def test_a_place_is_free_whatever_ends_a_download(large: tuple[str, Client]) -> None:
    """Its end, HEAD, which wants none of it, and a domain that does not exist."""
    _, api = large
    for _ in range(3):
        wait_until(lambda: has_place(api))
        wait_until(lambda: api.session.head(f"{api.url}/api/ldif", timeout=PATIENCE).ok)
        refused(api.get("/api/ldif/domain/none.test"), 404, "NO_SUCH_ACCOUNT")


@pytest.mark.parametrize("large", ["3600"], indirect=True)
def test_who_finds_no_place_is_told_when_to_come_again(large: tuple[str, Client]) -> None:
    """Other calls need none."""
    url, api = large
    with downloading(url, api):
        answer = refused(api.get("/api/ldif/domain/corp.test"), 429, "TOO_MANY_REQUESTS")
        assert int(answer.headers["Retry-After"]) > 0
        assert api.get("/api/ldif/user/user1@corp.test").ok


def test_who_is_slow_gets_everything(large: tuple[str, Client]) -> None:
    """Any byte taken in time starts the time anew: longer than the limit altogether."""
    url, api = large
    whole = api.get("/api/ldif", format="ldif").content
    began = time.monotonic()
    with downloading(url, api) as client:
        text = b""
        while piece := client.recv(256 * 1024):
            text += piece
            if b"# entries: " in text[-200:]:
                break
            if time.monotonic() - began < float(STALLED) + 1:
                time.sleep(0.05)  # It is a slow client; nobody waits for anything here.

    assert time.monotonic() - began > float(STALLED)
    assert text.count(b"jpegPhoto:: ") == whole.count(b"jpegPhoto:: ") == USERS


def test_a_directory_that_dies_breaks_the_download(large: tuple[str, Client], world: World) -> None:
    """There is no clean end, so nobody takes the part for the whole."""
    url, api = large
    with downloading(url, api) as client:
        world.slapd.stop()

        text = rest(client)

    assert b"# entries: " not in text
    assert not text.endswith(b"0\r\n\r\n")
    world.slapd.start()
    wait_until(lambda: api.get("/api/ldif", format="ldif").ok)


def rest(client: socket.socket) -> bytes:
    """What a client still gets, until the connection is closed or broken."""
    text = b""
    try:
        while piece := client.recv(256 * 1024):
            text += piece
    except ConnectionResetError:
        pass
    return text
