"""Engines of SQLAlchemy: drivers, time-outs, and the transactions of SQLite."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from iredldap.config.checks import DRIVERS
from iredldap.config.settings import Secret

Arguments = Mapping[str, dict[str, Any]]
"""Arguments of a driver's connect function, by the kind of database."""

_NO_FILE = (":", "file:")
"""Prefixes of names that SQLite does not take for a file, or takes for a URI."""

# The time-out of statements is the server's: without keepalives the client would never notice that
# its machine is gone. Not sooner than the server notices the same of the client (below): the
# session that holds a turn would be lost here first.
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 5}

# A statement may not block a thread for longer than an LDAP operation may. A session that holds a
# turn sets how long it may be idle itself (`gateways/database_locks.py`); where the server cannot
# do that, it notices within a minute that the client's machine is gone.
ARGUMENTS: Arguments = {
    "sqlite": {"timeout": 10},
    "mysql": {
        "connect_timeout": 5,
        "read_timeout": 15,
        "write_timeout": 15,
        "init_command": "SET SESSION wait_timeout = 86400",
    },
    "postgresql": {
        "connect_timeout": 5,
        "options": "-c statement_timeout=15000 -c tcp_keepalives_idle=30"
        " -c tcp_keepalives_interval=5 -c tcp_keepalives_count=5",
        **_KEEPALIVE,
    },
}

# Shorter ones, for probes.
SHORT_ARGUMENTS: Arguments = {
    "sqlite": {"timeout": 1},
    "mysql": {"connect_timeout": 5, "read_timeout": 5, "write_timeout": 5},
    "postgresql": {"connect_timeout": 5, "options": "-c statement_timeout=5000", **_KEEPALIVE},
}

# For health checks, which run without a suspicion: they wait longer for other writers of SQLite.
PATIENT_ARGUMENTS = {**SHORT_ARGUMENTS, "sqlite": {"timeout": 3}}

# In SQLite, `SELECT 1` does not even open the file.
_QUESTIONS = {"sqlite": "SELECT count(*) FROM sqlite_master"}


def url_of(secret: Secret) -> sql.URL:
    """Parse the URL of a database; one without a driver gets the default one.

    Raises:
        ArgumentError: If it is invalid.
    """
    url = sql.make_url(secret.reveal())
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """A file of SQLite, and which one it was when it was opened: device and inode, if any."""

    name: str
    inode: tuple[int, int] | None

    def is_replaced(self) -> bool:
        """Return whether its name is that of another file by now, or of none."""
        return _inode_of(self.name) != self.inode


def _file_of(engine: sql.Engine) -> DatabaseFile | None:
    name = engine.url.database
    if engine.dialect.name != "sqlite" or not name or name.startswith(_NO_FILE):
        return None
    return DatabaseFile(name, _inode_of(name))


def _inode_of(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)  # noqa: PTH116 - asked for each transaction, and Path costs more
    except OSError:
        return None
    return found.st_dev, found.st_ino


def question(connection: sql.Connection) -> sql.Executable:
    """Return a small statement that tests whether the database responds."""
    return sql.text(_QUESTIONS.get(connection.dialect.name, "SELECT 1"))


def opened(
    secret: Secret,
    make: Callable[[sql.Engine], None],
    note: Callable[[Any, object], None],
    most: int | None,
    *,
    sessions: bool = False,
) -> tuple[sql.Engine, DatabaseFile | None]:
    """Create an engine and the tables; return it, and the file as it was before, if it is one.

    Args:
        secret: The URL.
        make: Creates the tables.
        note: Called with each new connection of PostgreSQL.
        most: Maximum of connections beyond the five that are kept; None: any number.
        sessions: Whether connections are used without transactions, by callers that handle lost
            connections themselves.
    """
    url = url_of(secret)
    is_file = url.get_backend_name() == "sqlite"
    settings: dict[str, Any] = {}
    if not is_file:
        # A server may have closed idle connections. Not for a file, which cannot: each test costs a
        # fifth of a small query.
        settings |= {"max_overflow": -1 if most is None else most, "pool_pre_ping": not sessions}
    if sessions:
        # Set for the engine: set for each connection, it costs as much as that test.
        settings["isolation_level"] = "AUTOCOMMIT"
    engine = new_engine(url, ARGUMENTS, **settings)
    if engine.dialect.name == "postgresql":
        sql.event.listen(engine, "connect", note)
    # Before it is opened: a file that is replaced meanwhile differs at the next transaction, which
    # then opens it again, at worst needlessly.
    file = _file_of(engine)
    try:
        engine.connect().close()
        make(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine, file


def new_engine(url: sql.URL, arguments: Arguments, **settings: Any) -> sql.Engine:
    """Create an engine that has not connected yet."""
    kind = "mysql" if url.get_backend_name() == "mariadb" else url.get_backend_name()
    # MariaDB's default level locks gaps between rows, for which writers of new rows wait.
    level = {"isolation_level": "READ COMMITTED"} if kind == "mysql" else {}
    engine = sql.create_engine(url, connect_args=arguments.get(kind, {}), **(level | settings))
    if kind == "sqlite":
        _keep_journal(engine)
        _begin_by_hand(engine)
        if url.database:
            _make_private(url.database)
    return engine


def _keep_journal(engine: sql.Engine) -> None:
    """Have the next transaction overwrite the rollback journal, instead of creating it again.

    Creating and deleting the file takes a sixth of a small transaction. Unlike a write-ahead log, a
    finished journal does no harm to another database that is put in the place of this one.
    """

    @sql.event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        # Not where the admin has chosen another mode: some are stored in the file.
        if connection.execute("PRAGMA journal_mode").fetchone() == ("delete",):
            connection.execute("PRAGMA journal_mode = PERSIST")


def _begin_by_hand(engine: sql.Engine) -> None:
    """Begin transactions explicitly, those that write with a lock from their start.

    Otherwise a transaction that reads first and then writes fails, instead of waiting, where
    another one writes.
    """

    @sql.event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None

    @sql.event.listens_for(engine, "begin")
    def begun(connection: sql.Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        # By the driver itself: through SQLAlchemy it would cost as much as a query.
        driver = connection.connection.driver_connection
        if driver is None:
            raise sql.exc.InvalidRequestError("no connection to begin a transaction on")
        driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make_private(file: str) -> None:
    """Create a database file readable by its owner only: a job may contain a password hash.

    One that root creates belongs to the owner of its folder: a command that root runs before the
    service must not leave a file that the service cannot write.
    """
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.startswith(_NO_FILE) or path.exists():
        return
    path.touch(mode=0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
