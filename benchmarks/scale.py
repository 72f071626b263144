"""What a call costs in a directory of a million users, against the same in one of ten thousand.

Both are loaded by slapadd: domains of 900 users and one domain of 100 000 in the large one, and one
of 1 000 in the small one. Two gunicorns as they are shipped serve them; one client sends both the
same requests, in slices that alternate, to the same domain of 900 users, and times are those of one
request. Of listings and exports, which answer more in a larger directory, the times are those of
a thousand users. SCALE_USERS=100000 takes a smaller large one (with 10 000 in its large domain).
"""

import os
from collections.abc import Callable, Iterator
from itertools import chain, count, islice
from pathlib import Path

from benchmarks.clients import Call, Clients
from benchmarks.figures import Reading, Result, Row
from benchmarks.ground import (
    ADMIN,
    PASSWORD,
    SUFFIX,
    accounts,
    export_command,
    global_admin,
    planted,
    running,
)
from benchmarks.served import Api, served, sqlite
from benchmarks.stopwatch import lap
from iredldap.dit.base import Made
from iredldap.dit.names import Tree

LARGE = int(os.environ.get("SCALE_USERS", "1000000"))
SMALL = 10_000
USERS = 900
"""Of each domain but one."""

TENTH = 10
"""Part of all users that are in one domain."""

ROUNDS = 5
REQUESTS = 20
SLICES = 4
BIG, HOME = "big.test", "d00000.test"
WANTED = 1 / 1.2
"""Of the rate in the small directory: a call may take a fifth longer."""

_MEGABYTE = 1024 * 1024


def run() -> Iterator[Result]:
    """Measure single requests, and then what answers with many entries."""
    with (
        planted(_entries(SMALL)) as few,
        planted(_entries(LARGE)) as many,
        running(few) as small,
        running(many) as large,
        sqlite() as urls,
        served(small, urls) as less,
        served(large, urls) as more,
    ):
        yield _stored(many)
        numbers = {what: count() for what in _KINDS}
        for number in range(ROUNDS):
            for what, make in _KINDS.items():
                yield _round(what, make, numbers[what], number, more, less)
            for what, path, users in _LISTINGS:
                ours = lap("null", more.fetching(path)).seconds / (users(LARGE) / 1000)
                theirs = lap("null", less.fetching(path)).seconds / (users(SMALL) / 1000)
                yield _row(what, ours, theirs)
        ours = lap("null", export_command(large, "vmail")).seconds / (LARGE / 1000)
        theirs = lap("null", export_command(small, "vmail")).seconds / (SMALL / 1000)
        yield _row("export of everything, of a thousand users", ours, theirs)


def _row(what: str, ours: float, theirs: float) -> Row:
    return Row(f"{what}, among {LARGE} users", f"among {SMALL}", ours, theirs, wanted=WANTED)


def _stored(home: Path) -> Reading:
    """Read how much the database takes on the disk."""
    taken = (home / "database" / "data.mdb").stat().st_blocks * 512
    return Reading(f"database of {LARGE} users", taken / _MEGABYTE, "MB")


def _round(
    what: str, make: Callable[[int], Call], numbers: Iterator[int], turn: int, more: Api, less: Api
) -> Row:
    with Clients(more, 1) as ours, Clients(less, 1) as theirs:
        spent = {ours: 0.0, theirs: 0.0}
        for piece in range(SLICES):
            calls = [make(one) for one in islice(numbers, REQUESTS)]
            for clients in (ours, theirs) if (turn + piece) % 2 else (theirs, ours):
                spent[clients] += clients.seconds(calls)
    requests = SLICES * REQUESTS
    return _row(what, spent[ours] / requests, spent[theirs] / requests)


def _login(_: int) -> Call:
    return Call("POST", "/login", {"username": ADMIN, "password": PASSWORD})


def _reading(number: int) -> Call:
    return Call("GET", f"/user/user{number % USERS:06d}@{HOME}", {})


def _changing(number: int) -> Call:
    name = {"name": f"Somebody {number}"}
    return Call("PUT", f"/user/user{number % USERS:06d}@{HOME}", name)


def _creating(number: int) -> Call:
    return Call("POST", f"/user/new{number}@{HOME}", {"password": "a good password"})


_KINDS: dict[str, Callable[[int], Call]] = {
    "login": _login,
    "GET of a user": _reading,
    "PUT of a user's name": _changing,
    "POST of a user": _creating,
}

_LISTINGS: tuple[tuple[str, str, Callable[[int], int]], ...] = (
    ("listing of the largest domain, of a thousand users", f"/users/{BIG}", lambda n: n // TENTH),
    (
        "addresses of the largest domain, of a thousand users",
        f"/users/{BIG}?email_only=yes",
        lambda n: n // TENTH,
    ),
)


def _entries(users: int) -> Iterator[Made]:
    tree = Tree(SUFFIX)
    yield global_admin()
    yield from accounts(tree, BIG, users // TENTH)
    left = users - users // TENTH
    domains = (accounts(tree, f"d{n:05d}.test", USERS) for n in range(left // USERS))
    yield from chain.from_iterable(domains)
