"""Opposing changes sent at the same time, and a worker killed in the middle of one.

Over HTTP, the API behind gunicorn as it is shipped: once one of two workers with its state in
SQLite, once two of them, of two workers each, that share a directory and a state in PostgreSQL.
Calls are sent together or up to 60 ms apart. Counted is what must not be: broken rules of
`iredldap doctor`; answers that are no honest refusal, 5xx but 503 with `Retry-After` among them;
results that no order of the successful calls explains, so that a refused one has changed something
or a successful one was lost; rounds in which no call got through; limits exceeded. Calls that were
refused with 503 and `Retry-After` were sent again when the others had ended. RACES_ROUNDS=5 holds
fewer rounds of each pair.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from benchmarks.figures import Reading
from tests.races.contest import Contest, Result
from tests.races.crash import ACCOUNTS, BROKEN, LIMIT, Recovery, site
from tests.races.servers import contest, directory, on_server, on_sqlite
from tests.races.table import PAIRS
from tests.support.databases import MariaDB, PostgreSQL

ROUNDS = 60
CRASHES = 5


def run() -> Iterator[Reading]:
    """Hold all rounds of each pair on both kinds of state, and kill workers on three."""
    rounds = int(os.environ.get("RACES_ROUNDS", ROUNDS))
    busy: Counter[str] = Counter()
    with ExitStack() as stack:
        contests = {
            "SQLite": stack.enter_context(_on_sqlite()),
            "PostgreSQL": stack.enter_context(_on_postgresql()),
        }
        # Both at once: much of a round is waiting.
        pool = stack.enter_context(ThreadPoolExecutor(len(contests)))
        for pair in PAIRS:
            held = {name: pool.submit(each.run, pair, rounds) for name, each in contests.items()}
            results = {name: result.result() for name, result in held.items()}
            busy.update({name: result.busy for name, result in results.items()})
            yield _reading(pair.name, results)
    for name, count in busy.items():
        yield Reading(f"calls that were sent again after 503, {name}", count, "calls")
    yield from _recoveries()


def _reading(name: str, results: dict[str, Result]) -> Reading:
    findings = [
        f"{kind}: {finding}" for kind, result in results.items() for finding in result.findings
    ]
    for finding in findings:
        print(f"    {finding}", flush=True)
    told = [f"{kind}: {result.told}" for kind, result in results.items()]
    rounds = sum(result.rounds for result in results.values())
    note = ". ".join(told).replace("|", "/")
    return Reading(name, len(findings), "faults", 0, note, rounds)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="iredldap-bench-") as folder:
        yield Path(folder)


@contextmanager
def _on_sqlite() -> Iterator[Contest]:
    with (
        _folder() as folder,
        directory(folder / "slapd") as world,
        on_sqlite(folder) as state,
        contest(world, folder, state, 1) as running,
    ):
        yield running


@contextmanager
def _on_postgresql() -> Iterator[Contest]:
    with (
        _folder() as folder,
        directory(folder / "slapd") as world,
        closing(PostgreSQL()) as server,
    ):
        server.start()
        with on_server(server) as state, contest(world, folder, state, 2) as running:
            yield running


def _recoveries() -> Iterator[Reading]:
    for kind in (None, PostgreSQL, MariaDB):
        with _folder() as folder, directory(folder / "slapd") as world, ExitStack() as stack:
            if kind is None:
                backend, state = "SQLite", stack.enter_context(on_sqlite(folder))
            else:
                server = stack.enter_context(closing(kind()))
                server.start()
                backend, state = server.backend, stack.enter_context(on_server(server))
            (folder / "site").mkdir()
            with site(world, folder / "site", state) as place:
                for broken in BROKEN * CRASHES:
                    yield _recovery(place.recover(broken), broken.name, backend)


def _recovery(found: Recovery, name: str, backend: str) -> Reading:
    if found.faults:
        raise AssertionError("; ".join(found.faults))
    what = f"the next change after kill -9 of a worker in the middle of {name}"
    note = f"{found.left} of {ACCOUNTS} accounts were left"
    return Reading(f"{what}, {backend}", found.seconds * 1000, "ms", LIMIT * 1000, note)
