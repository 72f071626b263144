"""Slow clients, and slow calls, keep nobody else from being answered; others notice nothing.

Against gunicorn with two workers and what is shipped, without a web server in front; the last ones
behind nginx.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd
from tests.support.client import Client, done
from tests.support.gunicorn import gunicorn
from tests.support.patience import PATIENCE, wait_until
from tests.support.slow import PASSWORD, PROMPT, answer, connected, fill, head, longest
from tests.support.world import SUFFIX, World

MANY = 24
"""More than there are threads, of which there are four in each of two workers."""

ANN = "/api/user/ann@small.test"
EVERYBODY = "/api/ldif/domain/corp.test?format=ldif"


@pytest.fixture(scope="module")
def server(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One for all tests that need no settings of their own."""
    under_test = World(slapd, Tree(SUFFIX))
    with gunicorn(under_test, tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def api(server: str, world: World) -> Client:
    """A client, and an account to ask for."""
    return prepared(server)


def prepared(url: str) -> Client:
    client = Client(url).log_in()
    done(client.post("/api/domain/small.test"))
    done(client.post(ANN, password=PASSWORD))
    return client


def answers_promptly(api: Client) -> None:
    """Others are answered, over new connections and old ones, on every worker."""

    def ask_anew() -> None:
        cookies = api.session.cookies
        assert requests.get(api.url + ANN, cookies=cookies, timeout=PATIENCE).ok

    def ask() -> None:
        assert api.get(ANN).ok

    assert longest(ask_anew) < PROMPT
    assert longest(ask) < PROMPT


# --- slow readers -----------------------------------------------------------------------------


def test_slow_readers_of_downloads(api: Client, world: World) -> None:
    """One caller has three downloads at most, over both workers; the rest is refused at once."""
    fill(world, api)
    with connected(api.url, 10, head(api, EVERYBODY)) as clients:
        first = [status(client) for client in clients]
        assert sorted(first) == [200] * 3 + [429] * 7
        refused = clients[first.index(429)]
        assert int(answer(refused)[1]["retry-after"]) > 0
        answers_promptly(api)
    # Who has left holds nothing.
    with connected(api.url, 1) as [client]:
        wait_until(lambda: downloads(api, client))


def status(client: socket.socket) -> int:
    """The status of an answer, of which nothing is taken."""
    wait_until(lambda: len(client.recv(12, socket.MSG_PEEK)) == 12)
    return int(client.recv(12, socket.MSG_PEEK).split()[1])


def downloads(api: Client, client: socket.socket) -> bool:
    """Whether a download begins."""
    client.sendall(head(api, EVERYBODY))
    if status(client) == 200:
        return True
    assert answer(client)[0] == 429
    return False


def test_slow_readers_of_listings(api: Client, world: World) -> None:
    """A listing of more than 2 MB is a download."""
    fill(world, api)
    with connected(api.url, 10, head(api, "/api/users/corp.test")) as clients:
        assert sorted(status(client) for client in clients) == [200] * 3 + [429] * 7
        answers_promptly(api)
        assert api.get("/api/users/small.test").ok


def test_slow_readers_of_anything(api: Client) -> None:
    """Also of what everybody may read: they ask for more than the kernel takes."""
    asking = head(api, "/docs/swagger-ui-bundle.js") * 8
    with connected(api.url, MANY, asking) as clients:
        assert {status(client) for client in clients} == {200}
        answers_promptly(api)


# --- slow senders -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"\r\n\r\n",
        b"GET /api/user/ann@sm",
        b"POST /api/login HTTP/1.1\r\nHost: a.test\r\nContent-Length: 30\r\n\r\nusername=",
        b"POST /api/login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nuse",
        b"POST /api/login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 7000,
        b"POST /api/login HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nusername=",
    ],
    ids=["spare", "lines", "head", "body", "chunks", "many chunks", "large body"],
)
def test_slow_senders(api: Client, beginning: bytes) -> None:
    """Whoever has sent no whole request, or none at all."""
    with connected(api.url, MANY, beginning):
        answers_promptly(api)


def test_slow_senders_who_are_known(api: Client) -> None:
    """Whose large bodies are waited for, as many as they are."""
    start = head(api, ANN, "Content-Length: 1000000", method="PUT")
    with connected(api.url, MANY, start + b"x" * 40_000):
        answers_promptly(api)


@pytest.mark.parametrize("length", [10, 500_000])
def test_a_request_that_does_not_come_is_refused(world: World, tmp_path: Path, length: int) -> None:
    """After `request_timeout`, in the API's own words."""
    with gunicorn(world, tmp_path, SERVER_REQUEST_TIMEOUT="1") as url:
        api = Client(url).log_in()
        start = head(api, "/api/domain/a.test", f"Content-Length: {length}", method="PUT")
        with connected(url, 1, start) as [client]:
            code, headers, body = answer(client)
            assert client.recv(1) == b""
    assert (code, body) == (408, b'{"_success": false, "_msg": "REQUEST_TIMEOUT"}')
    assert headers["connection"] == "close"
    assert headers["x-content-type-options"] == "nosniff"


def test_an_endless_head_is_refused(api: Client) -> None:
    with connected(api.url, 1, b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000) as [client]:
        assert answer(client)[0] == 400


def test_unknown_callers_send_little(api: Client) -> None:
    """More than is gathered without a thread is refused before it is read."""
    start = b"POST /api/login HTTP/1.1\r\nHost: a.test\r\nContent-Length: 40000\r\n\r\n"
    with connected(api.url, 1, start) as [client]:
        code, _, body = answer(client)
        assert (code, b"BODY_TOO_LARGE" in body) == (413, True)


# --- slow calls -------------------------------------------------------------------------------


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"


def test_slow_calls_of_any_kind(world: World, tmp_path: Path) -> None:
    """What they wait for may be a program that hangs."""
    with (
        silent() as lists,
        gunicorn(world, tmp_path, MLMMJADMIN_URL=lists, MLMMJADMIN_TOKEN="x") as url,
    ):
        api = prepared(url)
        create = head(api, "/api/ml/l@small.test", "Content-Length: 0", method="POST")
        with connected(url, 16, create):
            answers_promptly(api)


def test_who_waits_too_long_for_a_place_is_told_so(world: World, tmp_path: Path) -> None:
    """429 with `Retry-After`; the calls before are answered."""
    slow = {"SERVER_WORKERS": "1", "SERVER_QUEUE_TIMEOUT": "0.2"}
    with gunicorn(world, tmp_path, **slow) as url:
        api = Client(url).log_in()
        fill(world, api)
        listing = head(api, "/api/users/corp.test?limit=1000")
        with connected(url, 100, listing) as clients:
            answers = [answer(client) for client in clients]
    assert {status for status, _, _ in answers} == {200, 429}
    for status_, headers, body in answers:
        if status_ == 429:
            assert body == b'{"_success": false, "_msg": "TOO_MANY_REQUESTS"}'
            assert int(headers["retry-after"]) > 0


# --- ordinary clients -------------------------------------------------------------------------


def padded(size: int) -> bytes:
    """A form of this many bytes; the second parameter is none."""
    return b"language=de_DE&none=".ljust(size, b"x")


def test_a_connection_is_kept(api: Client) -> None:
    get = head(api, ANN)
    with connected(api.url, 1) as [client]:
        for _ in range(3):
            client.sendall(get)
            assert answer(client)[0] == 200


def test_requests_may_follow_at_once(api: Client) -> None:
    """They are answered in order; also behind one with a body that nobody reads."""
    ignored = head(api, "/api/none", "Content-Length: 3", method="POST") + b"a=b"
    with connected(api.url, 1, head(api, ANN) + ignored + head(api, "/livez") * 2) as [client]:
        assert [answer(client)[0] for _ in range(4)] == [200, 404, 200, 200]


@pytest.mark.parametrize("path", ["/api/domain/a.test", "/api/ldif"])
@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nname=x\r\n0\r\n\r\n",
        b"-1\r\nname=x\r\n0\r\n\r\n",
        b"6\r\nname=xXX0\r\n\r\n",
        b"\r\n\r\n",
    ],
    ids=["no number", "negative", "too long", "empty"],
)
def test_bodies_whose_chunks_are_none(api: Client, path: str, body: bytes) -> None:
    """Are refused like all that cannot be read."""
    method = "POST" if path == "/api/ldif" else "PUT"
    start = head(api, path, "Transfer-Encoding: chunked", method=method)
    with connected(api.url, 1, start + body) as [client]:
        code, _, envelope = answer(client)
    assert (code, envelope) == (400, b'{"_success": false, "_msg": "INVALID_PARAMETER"}')


@pytest.mark.parametrize("size", [20, 20_000, 200_000])
def test_bodies_come_in_chunks(api: Client, size: int) -> None:
    """Of any size."""
    body = padded(size)
    pieces = [body[at : at + 1000] for at in range(0, size, 1000)]
    api.session.put(api.url + ANN, data=iter(pieces), timeout=PATIENCE).raise_for_status()
    assert api.get(ANN).json()["_data"]["preferredLanguage"] == ["de_DE"]


@pytest.mark.parametrize("size", [20, 100_000])
def test_who_waits_to_be_told_to_send_is_told_so(api: Client, size: int) -> None:
    body = padded(size)
    headers = ["Expect: 100-continue", f"Content-Length: {size}"]
    with connected(api.url, 1, head(api, ANN, *headers, method="PUT")) as [client]:
        assert answer(client)[0] == 100
        client.sendall(body)
        assert answer(client)[0] == 200


def test_an_honest_slow_client(api: Client) -> None:
    """20 kB a second in both directions, a second long."""
    body = padded(20_000)
    request = head(api, ANN, f"Content-Length: {len(body)}", method="PUT") + body
    with connected(api.url, 1) as [client]:
        for at in range(0, len(request), 1000):
            client.sendall(request[at : at + 1000])
            time.sleep(0.05)  # It is a slow client; nobody waits for anything here.
        assert answer(client)[0] == 200


def test_who_closes_half_is_answered(api: Client) -> None:
    with connected(api.url, 1, head(api, ANN)) as [client]:
        client.shutdown(socket.SHUT_WR)
        assert answer(client)[0] == 200


def test_many_at_once_are_all_answered(api: Client) -> None:
    """More than there are threads, over one connection each."""
    statuses: list[int] = []

    def ask() -> None:
        client = Client(api.url)
        client.session.cookies.update(api.session.cookies)
        statuses.extend(client.get(ANN).status_code for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(MANY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 10 * MANY


def test_a_restart_does_not_wait_for_spare_connections(world: World, tmp_path: Path) -> None:
    """Nor for half requests."""
    slow = {"SERVER_GRACEFUL_TIMEOUT": "60"}
    with gunicorn(world, tmp_path, **slow) as url, connected(url, 4), connected(url, 4, b"GET /"):
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE
