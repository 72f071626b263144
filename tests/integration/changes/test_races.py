"""Opposing changes at the same time leave a healthy tree, whoever was quicker.

The same table and judgement as ``python -m benchmarks races``, with few rounds.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from iredldap.gateways import turns
from tests.races.contest import Contest
from tests.races.crash import BROKEN, site
from tests.races.pair import Pair
from tests.races.servers import contest, directory, on_server, on_sqlite
from tests.races.table import PAIRS
from tests.support.databases import MariaDB, PostgreSQL
from tests.support.world import World

ROUNDS = 2
SHORT = [pair for pair in PAIRS if pair.is_short]


def named(row: Pair) -> str:
    return row.name


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A directory of its own, so that servers can stay for all pairs."""
    with directory(tmp_path_factory.mktemp("slapd")) as world:
        yield world


@pytest.fixture(scope="module")
def workers(apart: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contest]:
    """Two workers of one gunicorn; the state is in SQLite."""
    folder = tmp_path_factory.mktemp("workers")
    with on_sqlite(folder) as state, contest(apart, folder, state, 1) as running:
        yield running


@pytest.fixture(scope="module")
def machines(
    apart: World, postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Contest]:
    """Two gunicorns, as on two machines; the state is in PostgreSQL."""
    folder = tmp_path_factory.mktemp("machines")
    with on_server(postgresql) as state, contest(apart, folder, state, 2) as running:
        yield running


@pytest.mark.parametrize("pair", PAIRS, ids=named)
def test_workers_take_turns(workers: Contest, pair: Pair) -> None:
    """Nothing is left behind that no order of the calls explains."""
    result = workers.run(pair, ROUNDS)
    assert not result.findings, "\n".join(map(str, result.findings))


@pytest.mark.parametrize("pair", SHORT, ids=named)
def test_machines_take_turns(machines: Contest, pair: Pair) -> None:
    """The same between servers that share a state database."""
    result = machines.run(pair, ROUNDS)
    assert not result.findings, "\n".join(map(str, result.findings))


@pytest.mark.parametrize("backend", ["sqlite", "postgresql", "mariadb"])
def test_a_dead_worker_holds_no_turn(
    apart: World, request: pytest.FixtureRequest, tmp_path: Path, backend: str
) -> None:
    """The next change goes on soon, and the broken one can be repeated."""
    with ExitStack() as stack:
        if backend == "sqlite":
            state = stack.enter_context(on_sqlite(tmp_path))
        else:
            server: PostgreSQL | MariaDB = request.getfixturevalue(backend)
            state = stack.enter_context(on_server(server))
        place = stack.enter_context(site(apart, tmp_path, state))
        recoveries = [place.recover(broken) for broken in BROKEN]
    assert [recovery.faults for recovery in recoveries] == [()] * len(BROKEN)
    # Who waits in vain is refused after that; `benchmarks races` measures how soon it is.
    assert max(recovery.seconds for recovery in recoveries) < turns.PATIENCE
