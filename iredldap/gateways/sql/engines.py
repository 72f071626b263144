"""Engines of SQLAlchemy: drivers, time-outs, and how transactions of SQLite begin."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from iredldap.config.checks import DRIVERS
from iredldap.config.settings import Secret

Arguments = Mapping[str, dict[str, Any]]
"""What a driver is given when it connects, by the kind of database."""

_NO_FILE = (":", "file:")
"""How a name begins that SQLite does not take for that of a file, or takes for a URI."""

# The time-out of statements is one of the server: a machine that is gone would never tell it.
# Not sooner than the server notices it of us: the session that holds a turn would be lost here.
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 5}

# A statement may not hang a thread of ours for longer than the directory may. The session that
# holds a turn may be idle for as long as a change takes (`gateways/turns.py`): the server must not
# end it, but notice within a minute that our machine is gone.
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

# A probe may not take long.
SHORT_ARGUMENTS: Arguments = {
    "sqlite": {"timeout": 1},
    "mysql": {"connect_timeout": 5, "read_timeout": 5, "write_timeout": 5},
    "postgresql": {"connect_timeout": 5, "options": "-c statement_timeout=5000", **_KEEPALIVE},
}

# Unlike whoever has waited in vain already, a look without occasion lets others finish.
PATIENT_ARGUMENTS = {**SHORT_ARGUMENTS, "sqlite": {"timeout": 3}}

# Of SQLite, `SELECT 1` does not even open the file.
_QUESTIONS = {"sqlite": "SELECT count(*) FROM sqlite_master"}


def url_of(secret: Secret) -> sql.URL:
    """Parse the URL of a database; one without a driver gets ours.

    Raises:
        ArgumentError: If it is none.
    """
    url = sql.make_url(secret.reveal())
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


def file_of(engine: sql.Engine) -> tuple[int, int] | None:
    """Return device and inode of an SQLite file; None if there is none."""
    name = engine.url.database
    if engine.dialect.name != "sqlite" or not name or name.startswith(_NO_FILE):
        return None
    try:
        found = os.stat(name)  # noqa: PTH116 - asked for each transaction, and Path costs more
    except OSError:
        return None
    return found.st_dev, found.st_ino


def question(connection: sql.Connection) -> sql.Executable:
    return sql.text(_QUESTIONS.get(connection.dialect.name, "SELECT 1"))


def opened(
    secret: Secret,
    make: Callable[[sql.Engine], None],
    note: Callable[[Any, object], None],
    most: int | None,
    *,
    sessions: bool = False,
) -> tuple[sql.Engine, tuple[int, int] | None]:
    """Make an engine and the tables; return it, and the file as it was before.

    Args:
        secret: The URL.
        make: Makes the tables.
        note: Is given each new connection of PostgreSQL.
        most: Connections of a server at once, beyond the five that are kept; None: any number.
        sessions: Whether connections are used without transactions, by callers who find out for
            themselves that the server has hung up.
    """
    url = url_of(secret)
    is_file = url.get_backend_name() == "sqlite"
    settings: dict[str, Any] = {}
    if not is_file:
        # A server may have hung up meanwhile; a file has not, and each question costs a fifth of
        # a small query.
        settings |= {"max_overflow": -1 if most is None else most, "pool_pre_ping": not sessions}
    if sessions:
        # Of the engine: set for each connection, it costs as much as the question.
        settings["isolation_level"] = "AUTOCOMMIT"
    engine = new_engine(url, ARGUMENTS, **settings)
    if engine.dialect.name == "postgresql":
        sql.event.listen(engine, "connect", note)
    # Before it is opened: one that is replaced meanwhile differs next time, at worst in vain.
    file = file_of(engine)
    try:
        engine.connect().close()
        make(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine, file


def new_engine(url: sql.URL, arguments: Arguments, **settings: Any) -> sql.Engine:
    """Make an engine that has not connected yet."""
    kind = "mysql" if url.get_backend_name() == "mariadb" else url.get_backend_name()
    # MariaDB's own default locks gaps between rows, in which writers of new rows meet.
    level = {"isolation_level": "READ COMMITTED"} if kind == "mysql" else {}
    engine = sql.create_engine(url, connect_args=arguments.get(kind, {}), **(level | settings))
    if kind == "sqlite":
        _keep_journal(engine)
        _begin_by_hand(engine)
        if url.database:
            _make_private(url.database)
    return engine


def _keep_journal(engine: sql.Engine) -> None:
    """Let the journal of a transaction be overwritten by the next one, instead of made anew.

    To make and remove a file takes a sixth of a small transaction. Unlike that of a write-ahead
    log, a journal that is over says nothing about a file that is put in the place of the database.
    """

    @sql.event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        # Not where the admin has chosen another mode: some are properties of the file.
        if connection.execute("PRAGMA journal_mode").fetchone() == ("delete",):
            connection.execute("PRAGMA journal_mode = PERSIST")


def _begin_by_hand(engine: sql.Engine) -> None:
    """A transaction that reads first and then writes would lose to another one, and not wait."""

    @sql.event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None

    @sql.event.listens_for(engine, "begin")
    def begun(connection: sql.Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        # To the driver itself: SQLAlchemy makes a statement of it, which costs as much as a query.
        driver = connection.connection.driver_connection
        if driver is None:
            raise sql.exc.InvalidRequestError("no connection to begin a transaction on")
        driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make_private(file: str) -> None:
    """Make a database file that others cannot read: a job may hold the hash of a password."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    if not file.startswith(_NO_FILE):
        Path(file).touch(mode=0o600)
