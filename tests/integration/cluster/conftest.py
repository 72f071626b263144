"""Two pairs of servers: of one, workers of two nodes agree on the writer; the other one is bare.

Each test leaves its pair whole and equal.
"""

from collections.abc import Iterator

import pytest

from iredldap.gateways.cluster.view import Mode
from tests.support.agreed import Node, nodes
from tests.support.databases import PostgreSQL
from tests.support.pair import Pair, started


@pytest.fixture(scope="package")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A pair that nobody agrees on, for tests of the servers themselves."""
    with started(tmp_path_factory.mktemp("bare")) as pair:
        yield pair


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with started(tmp_path_factory.mktemp("agreed")) as pair:
        yield pair


@pytest.fixture(scope="package")
def state_url(postgresql: PostgreSQL) -> str:
    """The state database of both nodes."""
    if not postgresql.running:
        postgresql.start()
    postgresql.drop("agreed")
    return postgresql.create_empty("agreed")


@pytest.fixture(scope="package")
def workers(running: Pair, state_url: str) -> Iterator[list[Node]]:
    """Workers of two nodes, which read from any server."""
    with nodes(running, state_url, "n1", "n2", reads="any") as made:
        yield made


@pytest.fixture
def pair(running: Pair, workers: list[Node]) -> Iterator[Pair]:
    """A pair that is whole and together before each test, and equal after it."""
    for worker in workers:
        worker.await_mode(Mode.TOGETHER)
    yield running
    running.heal()
    running.wait_until_equal()
    assert running.differences() == {}


@pytest.fixture
def node(workers: list[Node]) -> Node:
    return workers[0]


@pytest.fixture
def other(workers: list[Node]) -> Node:
    return workers[1]
