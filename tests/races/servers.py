"""What races are held on: a directory, and one or two gunicorns with two workers each."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from iredldap.dit.names import Tree
from tests.races.contest import Contest
from tests.races.hands import Hands
from tests.races.pair import ROOT
from tests.races.stage import Stage
from tests.support.databases import MariaDB, PostgreSQL, sqlite_databases
from tests.support.gunicorn import Running, started
from tests.support.mlmmjadmin import TOKEN, MlmmjadminServer
from tests.support.world import (
    SUFFIX,
    World,
    new_server,
)

STATE = "races"
"""Name of the state database on a server of SQL."""


@contextmanager
def directory(home: Path) -> Iterator[World]:
    """A slapd of its own with nothing in it but the first admin."""
    slapd = new_server(home)
    slapd.start()
    try:
        yield World(slapd, Tree(SUFFIX))
    finally:
        slapd.stop()


@contextmanager
def on_sqlite(folder: Path) -> Iterator[str]:
    """URL of a state database in a file."""
    yield f"sqlite:///{folder}/state.sqlite3"


@contextmanager
def on_server(server: PostgreSQL | MariaDB) -> Iterator[str]:
    """URL of a new state database on a running server, removed at the end."""
    server.drop(STATE)
    yield server.create_empty(STATE)
    server.drop(STATE)


def settings(folder: Path, state: str) -> dict[str, str]:
    """Make the databases of iRedMail; return the settings of servers that share all of them.

    Args:
        folder: For these databases.
        state: URL of the state database.
    """
    databases = sqlite_databases(folder)
    return {
        "STATE_URL": state,
        "IREDAPD_URL": databases.iredapd,
        "AMAVISD_URL": databases.amavisd,
        "IREDADMIN_URL": databases.iredadmin,
    }


@contextmanager
def gunicorns(
    world: World, lists: MlmmjadminServer, folder: Path, state: str, count: int
) -> Iterator[list[Running]]:
    """Serve one directory by several gunicorns with the same settings.

    Args:
        world: The directory.
        lists: The stand-in for mlmmjadmin.
        folder: For configurations, databases and logs.
        state: URL of the state database.
        count: How many.
    """
    shared = settings(folder, state)
    shared |= {"MLMMJADMIN_URL": lists.url, "MLMMJADMIN_TOKEN": TOKEN}
    with ExitStack() as stack:
        running = []
        for number in range(count):
            home = folder / f"gunicorn{number}"
            home.mkdir()
            running.append(stack.enter_context(started(world, home, **shared)))
        yield running


@contextmanager
def contest(world: World, folder: Path, state: str, count: int) -> Iterator[Contest]:
    """Everything that races are held on, and the global admin logged in.

    Args:
        world: The directory.
        folder: For everything else.
        state: URL of the state database.
        count: How many gunicorns there are.
    """
    with (
        closing(MlmmjadminServer(folder)) as lists,
        gunicorns(world, lists, folder, state, count) as servers,
        closing(Stage(world, lists, folder)) as stage,
        closing(Hands([server.url for server in servers], stage)) as hands,
    ):
        hands.log_in(ROOT)
        yield Contest(stage, hands)
