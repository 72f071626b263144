"""What the change log costs: single changes and a sweep, against the release before, without it.

Two gunicorns as they are shipped, with two workers each, serve one slapd: this tree, which records
each change with the values before and after and seals passwords, and the commit before the log.
One client sends both the same requests, in slices that alternate, over a connection that it keeps.
Times are those of one request: of a slice, divided by its requests. The sweep changes the language
of every user of a domain of 10 000, in one request. The log is in SQLite, and at the end its size
is measured. CHANGES_ROUNDS=3 holds fewer rounds.
"""

import os
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

from benchmarks.before import release_before
from benchmarks.clients import Call, Clients
from benchmarks.figures import Reading, Result, Row
from benchmarks.ground import SUFFIX, accounts, global_admin, planted, running
from benchmarks.served import Api, served, sqlite, state_file
from iredldap.dit.base import Made
from iredldap.dit.names import Tree

COMMIT = "024f451f5b63d7e7c1dbe3a55df7a4e5983377fc"
"""The last commit that recorded no changes (docs/decisions/0051-change-log.md)."""

ROUNDS = int(os.environ.get("CHANGES_ROUNDS", "9"))
SLICES, REQUESTS = 8, 20
SWEEPS = max(1, ROUNDS // 3)
WANTED = 0.9
"""Of the rate before: at most a tenth of a single change."""

SMALL, LARGE = "small.test", "large.test"
USERS, USERS_OF_LARGE = 1000, 10_000
LANGUAGES = ("de_DE", "fr_FR")


def run() -> Iterator[Result]:
    """Measure single changes and the sweep, in turn with the release before."""
    with (
        release_before(COMMIT) as tree,
        planted(_entries()) as home,
        running(home) as slapd,
        sqlite() as urls,
        sqlite() as former,
        state_file() as state,
        served(slapd, urls, state=f"sqlite:///{state}") as now,
        served(slapd, former, tree) as before,
    ):
        numbers = {what: count() for what in _KINDS}
        for number in range(ROUNDS):
            for what, make in _KINDS.items():
                yield _round(what, make, numbers[what], number, now, before)
        before_sweeps = _megabytes(state)
        for number in range(SWEEPS):
            yield _sweep(number, now, before)
        grown = (_megabytes(state) - before_sweeps) / SWEEPS
        yield Reading(f"the log of a sweep of {USERS_OF_LARGE} users", grown, "MB")


def _round(
    what: str,
    make: Callable[[int], Call],
    numbers: Iterator[int],
    number: int,
    now: Api,
    before: Api,
) -> Row:
    with Clients(now, 1) as ours, Clients(before, 1) as theirs:
        spent = {ours: 0.0, theirs: 0.0}
        for piece in range(SLICES):
            for clients in (ours, theirs) if (number + piece) % 2 else (theirs, ours):
                calls = [make(one) for one in islice(numbers, REQUESTS)]
                spent[clients] += clients.seconds(calls)
    requests = SLICES * REQUESTS
    times = spent[ours] / requests, spent[theirs] / requests
    return Row(what, "the release before", *times, wanted=WANTED)


def _sweep(number: int, now: Api, before: Api) -> Row:
    spent = {}
    for position, api in enumerate((now, before) if number % 2 else (before, now)):
        with Clients(api, 1) as clients:
            form = {"language": LANGUAGES[position]}
            spent[api.pid] = clients.seconds([Call("PUT", f"/users/{LARGE}", form)])
    what = f"PUT of the language of {USERS_OF_LARGE} users, one request"
    return Row(what, "the release before", spent[now.pid], spent[before.pid])


def _changing(number: int) -> Call:
    name = {"name": f"Somebody {number}"}
    return Call("PUT", f"/user/user{number % USERS:06d}@{SMALL}", name)


def _creating(number: int) -> Call:
    form = {"password": "a good password", "name": "Somebody New"}
    return Call("POST", f"/user/new{number}@{SMALL}", form)


_KINDS: dict[str, Callable[[int], Call]] = {
    "PUT of a user's name": _changing,
    "POST of a user": _creating,
}


def _entries() -> Iterator[Made]:
    yield global_admin()
    yield from accounts(Tree(SUFFIX), SMALL, USERS)
    yield from accounts(Tree(SUFFIX), LARGE, USERS_OF_LARGE)


def _megabytes(state: Path) -> float:
    files = state.parent.glob(f"{state.name}.changes*")
    return sum(file.stat().st_size for file in files) / 1024 / 1024
