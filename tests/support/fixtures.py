"""One slapd for the whole run, a clean tree for each test, the app under a real HTTP server.

A plugin of pytest: each folder of tests that needs servers has it loaded, and all share them.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from pymysql.connections import Connection  # type: ignore[import-untyped]

from iredldap.dit.names import Tree
from iredldap.dit.schema import Schema
from iredldap.embedded.slapd import Slapd
from tests.support.client import Client
from tests.support.databases import MariaDB, PostgreSQL, Urls, sqlite_databases, sqlite_urls
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.patience import PATIENCE, started
from tests.support.serving import Served, configuration, serving
from tests.support.world import (
    SUFFIX,
    World,
    new_server,
)


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A slapd with the base tree and the first admin."""
    server = new_server(tmp_path_factory.mktemp("slapd"))
    yield started(server)
    server.stop()


@pytest.fixture(scope="session")
def parsed_once() -> Iterator[None]:
    """Parse what a server tells of its schema once; each app would, for 25 ms and more."""
    kept: list[tuple[Mapping[str, Sequence[bytes]], Schema]] = []

    def parsed(found: Mapping[str, Sequence[bytes]]) -> Schema:
        for told, schema in kept:
            if told == found:
                return schema
        kept.append(({**found}, Schema(found)))
        return kept[-1][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("iredldap.gateways.ldap.schema_cache.Schema", parsed)
        yield


@pytest.fixture
def world(slapd: Slapd) -> Iterator[World]:
    """The directory with nothing in it but the first admin."""
    if not slapd.running:
        slapd.start(PATIENCE)
    under_test = World(slapd, Tree(SUFFIX))
    yield under_test
    if not slapd.running:
        slapd.start(PATIENCE)
    under_test.wipe()


@pytest.fixture(scope="session")
def certificates_once() -> Iterator[None]:
    """Load the certificates of this machine once for MariaDB, and not for each connection.

    PyMySQL does so for 29 ms, though it verifies none where TLS is not asked for.
    """
    make = Connection._create_ssl_ctx
    kept: list[Any] = []

    def made(connection: Connection, wanted: Any) -> Any:
        if wanted:
            return make(connection, wanted)
        if not kept:
            kept.append(make(connection, wanted))
        return kept[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "_create_ssl_ctx", made)
        yield


@pytest.fixture(scope="session")
def mariadb(certificates_once: None) -> Iterator[MariaDB]:
    """A MariaDB server without databases of ours."""
    with closing(MariaDB()) as server:
        yield started(server)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server without databases of ours."""
    with closing(PostgreSQL()) as server:
        yield started(server)


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Urls:
    """The three databases, in each kind of server, as new ones are."""
    if request.param == "sqlite":
        return sqlite_databases(tmp_path)
    server: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return server.fresh()


@pytest.fixture
def urls(tmp_path: Path) -> Urls:
    """The databases that the app uses: by default files, which it makes itself."""
    return sqlite_urls(tmp_path)


@pytest.fixture
def mlmmjadmin(tmp_path: Path) -> Iterator[MlmmjadminServer]:
    """A stand-in for mlmmjadmin, without lists."""
    with closing(MlmmjadminServer(tmp_path)) as server:
        yield server


@pytest.fixture
def beside() -> dict[str, dict[str, Any]]:
    """Settings of what may run beside directory and databases: by default nothing does."""
    return {}


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let changes wait for each other as long as tests wait; a slow machine is no refusal."""
    monkeypatch.setattr("iredldap.changes.steps.PATIENCE", PATIENCE)
    monkeypatch.setattr("iredldap.gateways.turns._SHORT_PATIENCE", PATIENCE)
    monkeypatch.setattr("iredldap.gateways.sql.refusals._PATIENCE", PATIENCE)


@pytest.fixture
def serve(
    world: World,
    tmp_path: Path,
    urls: Urls,
    beside: dict[str, dict[str, Any]],
    patient: None,
    parsed_once: None,
) -> Iterator[Any]:
    """Serve the app, as often as asked, with changed settings: ``serve(api={...})``."""
    with ExitStack() as running:

        def start(**changes: dict[str, Any]) -> Served:
            config = configuration(world, tmp_path, urls, **beside | changes)
            return running.enter_context(serving(config))

        yield start


@pytest.fixture
def served(serve: Any) -> Served:
    """The app with the settings of a new installation."""
    started: Served = serve()
    return started


@pytest.fixture
def api(served: Served) -> Client:
    """A client logged in as the standalone global admin."""
    return served.client().log_in()


@pytest.fixture
def unique() -> str:
    """A word that nothing else is called."""
    return secrets.token_hex(4)
