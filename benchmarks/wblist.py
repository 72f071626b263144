"""A thousand addresses put on a whitelist by one request, against one request for each.

Over HTTP, the API behind gunicorn as it is shipped. The servers of MariaDB and PostgreSQL do not
wait for the disk, which flatters the peer: it commits a thousand times as often.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

from benchmarks.figures import Row
from benchmarks.ground import directory, seconds
from benchmarks.served import Api, served, sqlite
from tests.support.databases import MariaDB, PostgreSQL, Urls

ADDRESSES, ROUNDS = 1000, 5
DOMAIN = "home.test"


def run() -> Iterator[Row]:
    """On each kind of database; both in turn."""
    with directory({DOMAIN: 1}) as slapd:
        for open_ in (sqlite, partial(_server, MariaDB), partial(_server, PostgreSQL)):
            with open_() as urls, served(slapd, urls) as api:
                yield from _rounds(api, urls.backend)


def _rounds(api: Api, backend: str) -> Iterator[Row]:
    for number in range(ROUNDS):
        many = [f"s{number}-{each:04d}@example.org" for each in range(ADDRESSES)]
        together = seconds(partial(_send, api, "POST", many))
        _send(api, "DELETE", [])
        apart = seconds(partial(_one_by_one, api, [f"one-{address}" for address in many]))
        _send(api, "DELETE", [])
        what = f"{ADDRESSES} addresses on a whitelist in one request, {backend}"
        yield Row(what, "a request for each", together, apart)


def _one_by_one(api: Api, addresses: list[str]) -> None:
    for address in addresses:
        _send(api, "POST", [address])


def _send(api: Api, method: str, addresses: list[str]) -> None:
    form = {"addresses": ",".join(addresses)}
    api.request(method, f"/wblist/inbound/whitelist/{DOMAIN}", data=form)


@contextmanager
def _server(kind: type[MariaDB | PostgreSQL]) -> Iterator[Urls]:
    with closing(kind()) as server:
        yield server.fresh()
