"""One slapd for the whole run, a clean tree for each test, the app under a real HTTP server."""

import os
import secrets
import signal
import threading
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import ldap
import pytest
import requests
from ldap.ldapobject import SimpleLDAPObject

from iredldap.app import Gateways, create_app
from iredldap.config.reader import read
from iredldap.config.sections import Config
from iredldap.dit import base, passwords
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree
from iredldap.dit.schema import Schema
from iredldap.embedded.slapd import Slapd, free_port
from iredldap.operations.context import Context
from iredldap.operations.login import Caller
from iredldap.shipped import shipped
from tests.contract.table import told
from tests.support.databases import MariaDB, PostgreSQL, Urls, sqlite_databases, sqlite_urls
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.patience import PATIENCE, TRIES, started
from tests.support.patience import at_once as at_once  # noqa: PLC0414 - many tests take it from here
from tests.support.patience import wait_until as wait_until  # noqa: PLC0414

# A shell that starts the tests in the background has them ignore it, and all that they start, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SUFFIX = "dc=example,dc=com"
ADMIN = "root@admins.test"
ADMIN_PASSWORD = "correct horse battery"
READER_PASSWORD = "reader's secret"
WRITER_PASSWORD = "writer's secret"
SESSION_KEY = "0123456789abcdef0123456789abcdef"

UNFLUSHED = "dbnosync"
"""A line for slapd.conf: writes need not survive the machine, only the server."""


def salted(password: str) -> str:
    return passwords.hashed(password, "SSHA", os.urandom(16))


@dataclass
class World:
    """The directory under test, as somebody beside the API sees it."""

    slapd: Slapd
    tree: Tree
    made: list[str] = field(default_factory=list)

    @property
    def reader(self) -> tuple[str, str]:
        """Bind DN and password of Postfix and Dovecot."""
        return f"cn=vmail,{SUFFIX}", READER_PASSWORD

    def connect(self, dn: str | None = None, password: str = WRITER_PASSWORD) -> SimpleLDAPObject:
        """Bind, as cn=vmailadmin unless said otherwise."""
        connection = ldap.initialize(self.slapd.uri)
        connection.timeout = PATIENCE
        connection.simple_bind_s(dn or f"cn=vmailadmin,{SUFFIX}", password)
        return connection

    def entry(self, dn: str) -> Entry | None:
        """Read an entry with its operational attributes."""
        connection = self.connect()
        try:
            found = connection.search_s(dn, ldap.SCOPE_BASE, "(objectClass=*)", ["*", "+"])
        except ldap.NO_SUCH_OBJECT:
            return None
        finally:
            connection.unbind_s()
        return Entry(*found[0])

    def attributes(self, dn: str) -> dict[str, set[str]]:
        """Read an entry as sets of texts, without operational attributes."""
        connection = self.connect()
        try:
            (_, found), *_ = connection.search_s(dn, ldap.SCOPE_BASE)
        finally:
            connection.unbind_s()
        return {name: {value.decode() for value in values} for name, values in found.items()}

    def find(self, filter_: str = "(objectClass=*)", base_dn: str | None = None) -> list[Entry]:
        """Search below the domains."""
        connection = self.connect()
        try:
            found = connection.search_s(base_dn or self.tree.base, ldap.SCOPE_SUBTREE, filter_)
        except ldap.NO_SUCH_OBJECT:
            return []
        finally:
            connection.unbind_s()
        return [Entry(dn, attributes) for dn, attributes in found]

    def modify(self, dn: str, *changes: tuple[int, str, list[bytes] | None]) -> None:
        connection = self.connect()
        connection.modify_s(dn, list(changes))
        connection.unbind_s()

    def set(self, dn: str, **attributes: str | list[str] | None) -> None:
        """Replace attributes; None removes one."""
        self.modify(dn, *(
            (ldap.MOD_REPLACE, name, [v.encode() for v in _listed(value)] or None)
            for name, value in attributes.items()
        ))  # fmt: skip

    def add(self, dn: str, **attributes: str | list[str]) -> None:
        connection = self.connect()
        connection.add_s(
            dn, [(name, [v.encode() for v in _listed(value)]) for name, value in attributes.items()]
        )
        connection.unbind_s()

    def snapshot(self) -> dict[str, dict[str, list[bytes]]]:
        """Everything below the suffix that a client can change, to compare."""
        connection = self.connect()
        try:
            return {
                dn: {name: sorted(values) for name, values in attributes.items()}
                for parent in (self.tree.base, self.tree.admin_base)
                for dn, attributes in connection.search_s(parent, ldap.SCOPE_SUBTREE)
            }
        finally:
            connection.unbind_s()

    def wipe(self) -> None:
        """Take away every domain and admin but the first one, who is made active again."""
        first = (self.tree.base, self.tree.admin_base, self.tree.admin(ADMIN))
        kept = {dn.lower() for dn in first}
        connection = self.connect()
        for parent in (self.tree.base, self.tree.admin_base):
            found = connection.search_s(parent, ldap.SCOPE_SUBTREE, attrlist=["1.1"])
            for dn in sorted((dn for dn, _ in found), key=lambda dn: -len(ldap.dn.str2dn(dn))):
                if dn.lower() not in kept:
                    connection.delete_s(dn)
        connection.unbind_s()
        self.set(self.tree.admin(ADMIN), accountStatus="active")


def _listed(value: str | list[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def direct_session() -> requests.Session:
    """Make a session that goes by no proxy, and does not look for one before each request."""
    session = requests.Session()
    session.trust_env = False
    return session


@dataclass
class Client:
    """A client of the API with a session of its own."""

    url: str
    session: requests.Session = field(default_factory=direct_session)

    def call(
        self, method: str, path: str, *, headers: Any = None, **parameters: Any
    ) -> requests.Response:
        """Send parameters as a form, or in the query string of a GET or DELETE."""
        in_query = method in {"GET", "DELETE"}
        return self.session.request(
            method,
            self.url + path,
            params=parameters if in_query else None,
            data=None if in_query else parameters,
            headers=headers,
            timeout=PATIENCE,
        )

    def send_file(self, path: str, file: bytes, **parameters: Any) -> requests.Response:
        """Send a file, and parameters in the query string."""
        return self.session.post(self.url + path, params=parameters, data=file, timeout=PATIENCE)

    def get(self, path: str, **parameters: Any) -> requests.Response:
        return self.call("GET", path, **parameters)

    def post(self, path: str, **parameters: Any) -> requests.Response:
        return self.call("POST", path, **parameters)

    def put(self, path: str, **parameters: Any) -> requests.Response:
        return self.call("PUT", path, **parameters)

    def delete(self, path: str, **parameters: Any) -> requests.Response:
        return self.call("DELETE", path, **parameters)

    def log_in(self, username: str = ADMIN, password: str = ADMIN_PASSWORD) -> "Client":
        answer = self.post("/api/login", username=username, password=password)
        assert answer.json()["_success"], answer.text
        return self


def done(answer: requests.Response) -> requests.Response:
    """Insist on the exact success envelope of a write."""
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"_success": True}
    return answer


def refused(answer: requests.Response, status: int, code: str) -> requests.Response:
    """Insist on a refusal, and on the exact envelope of one."""
    assert (answer.status_code, answer.json()) == (status, {"_success": False, "_msg": code})
    return answer


@dataclass
class Served:
    """The app behind a threaded HTTP server of the standard library."""

    url: str
    config: Config
    gateways: Gateways

    def client(self) -> Client:
        return Client(self.url)

    def context(self, caller: Caller | None = None) -> Context:
        """What operations are given for a caller; None: the first global admin."""
        directory = self.gateways.directory
        caller = caller or Caller(ADMIN, directory.tree.admin(ADMIN), is_global=True, stored=())
        return Context(directory, self.config, caller, self.gateways.records)


class _Quiet(WSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        """As gunicorn does: a body without a type has none, and the path is told as it was sent."""
        environ: dict[str, Any] = super().get_environ()
        if "Content-Type" not in self.headers:
            environ["CONTENT_TYPE"] = ""
        environ["RAW_URI"] = self.path
        return environ

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Threaded(WSGIServer):
    """A thread for each request, as gunicorn's workers have."""

    def process_request(self, request: Any, client_address: Any) -> None:
        threading.Thread(target=self._serve, args=(request, client_address), daemon=True).start()

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        finally:
            self.shutdown_request(request)


def environment(folder: Path, urls: Urls) -> dict[str, str]:
    """Secrets of the app under test."""
    return {
        "IREDLDAP_LDAP_BIND_PASSWORD": WRITER_PASSWORD,
        "IREDLDAP_SESSION_KEYS": SESSION_KEY,
        "IREDLDAP_STATE_URL": f"sqlite:///{folder}/state.sqlite3",
        "IREDLDAP_IREDAPD_URL": urls.iredapd,
        "IREDLDAP_AMAVISD_URL": urls.amavisd,
        "IREDLDAP_IREDADMIN_URL": urls.iredadmin,
    }


def configuration(world: World, folder: Path, urls: Urls, **changes: dict[str, Any]) -> Config:
    """Settings for the directory under test; `changes` go over whole sections."""
    sections: dict[str, dict[str, Any]] = {
        "api": {"enable_restful_api": True},
        "ldap": {
            "uri": [world.slapd.uri],
            "suffix": SUFFIX,
            "bind_dn": f"cn=vmailadmin,{SUFFIX}",
            # Tests of a directory that is silent set shorter ones.
            "network_timeout": PATIENCE,
            "operation_timeout": PATIENCE,
        },
        "session": {"recheck": 0.2},
        "server": {"workers": 1},
    }
    for name, change in changes.items():
        sections.setdefault(name, {}).update(change)
    return read(sections, environment(folder, urls))


@contextmanager
def serving(config: Config) -> Iterator[Served]:
    """Serve the app on a port of its own."""
    gateways = Gateways.open(config)
    server = make_server(
        "127.0.0.1", 0, create_app(config, gateways), _Threaded, handler_class=_Quiet
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}", config, gateways)
    finally:
        server.shutdown()
        server.server_close()
        gateways.close()


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A slapd with the base tree and the first admin."""
    server = Slapd(
        home=tmp_path_factory.mktemp("slapd"),
        suffix=SUFFIX,
        schema_dir=shipped("schema"),
        port=free_port(),
        extra=UNFLUSHED,
    )
    tree = Tree(SUFFIX)
    admin = base.global_admin_entry(tree, ADMIN, salted(ADMIN_PASSWORD), "20000")
    made = [*base.entries(tree, salted(READER_PASSWORD), salted(WRITER_PASSWORD)), admin]
    server.prepare(base.ldif(iter(made)))
    yield started(server)
    server.stop()


@pytest.fixture(scope="session")
def parsed_once() -> Iterator[None]:
    """Parse what a server tells of its schema once; each app would, for 25 ms and more."""
    kept: dict[str, Schema] = {}

    def parsed(found: Mapping[str, Sequence[bytes]]) -> Schema:
        told = repr(sorted(found.items()))
        if told not in kept:
            kept[told] = Schema(found)
        return kept[told]

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
def mariadb() -> Iterator[MariaDB]:
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
    monkeypatch.setattr("iredldap.gateways.sql.database._PATIENCE", PATIENCE)


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


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a value that is no text after its parameter: compressed bytes hold the time.

    Every process has to find the same tests, or none are run.
    """
    return argname if isinstance(val, bytes) and not val.isascii() else None


_failures: Counter[str] = Counter()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: Any
) -> Generator[None, object, object]:
    """Set a fixture that failed up anew for the next test, which would get the old error otherwise.

    One start of a server that fails so fails one test, not all that share the server. A few times
    only: where the server cannot run, each failure may cost its whole deadline.
    """
    try:
        return (yield)
    except (Exception, pytest.fail.Exception):
        name = f"{fixturedef.baseid}::{fixturedef.argname}"
        _failures[name] += 1
        if _failures[name] < TRIES:
            fixturedef.finish(request)
        raise


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how far the contract is served, or that there was nothing to compare with."""
    terminalreporter.write_sep("-", told())
