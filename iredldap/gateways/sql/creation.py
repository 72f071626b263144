"""Creation of the program's own tables, by one worker at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

_NAMED_LOCKS = {"mysql", "mariadb"}
_MAKING = 0x6972656C64617000
"""Number of the lock that a worker holds while it creates the tables."""
_PATIENCE = 10
"""Seconds for which another one waits for it."""


@contextmanager
def creating(engine: sql.Engine) -> Iterator[sql.Connection]:
    """Open a transaction in which tables are created, while no other worker creates any.

    MariaDB refuses to read a table that another connection is creating, and PostgreSQL to create it
    at the same time. In SQLite the transaction itself is exclusive.

    Raises:
        TimeoutError: If another worker takes too long.
    """
    with (
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
        _alone(connection),
    ):
        yield connection


def make_missing(
    connection: sql.Connection, tables: tuple[sql.Table, ...], *indexes: sql.Index
) -> None:
    """Create tables that are not there, with their indexes; one that is there is left as it is.

    Args:
        connection: That of `creating`.
        tables: None refers to another.
        indexes: Those that a version before did not have: they are also created in a table that is
            there. In SQLite all indexes are.
    """
    if connection.dialect.name != "sqlite":
        for table in tables:
            table.create(connection, checkfirst=True)
        for index in indexes:
            index.create(connection, checkfirst=True)
        return
    # By the driver itself, and asked once for all: by SQLAlchemy, which asks for each table and
    # index and puts every statement together, a worker began 25 ms later.
    driver: Any = connection.connection.driver_connection
    there = {name for (name,) in driver.execute("SELECT name FROM sqlite_master")}
    for name, statement in _statements(tables):
        if name not in there:
            driver.execute(statement)


@cache
def _statements(tables: tuple[sql.Table, ...]) -> list[tuple[str, str]]:
    """Return the statements that create tables and indexes in SQLite, each with the name."""
    dialect = sqlite.dialect()
    found = []
    for table in tables:
        found.append((table.name, str(CreateTable(table).compile(dialect=dialect))))
        found += [
            (str(index.name), str(CreateIndex(index).compile(dialect=dialect)))
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
    return found


@contextmanager
def _alone(connection: sql.Connection) -> Iterator[None]:
    kind = connection.dialect.name
    if kind == "postgresql":
        connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_MAKING)))
    if kind not in _NAMED_LOCKS:
        yield
        return
    # Lock names are shared by all databases of a server. The lock belongs to the connection: no
    # commit releases it.
    name = sql.func.concat(
        "iredldap-", sql.func.sha1(sql.func.concat(sql.func.database(), _MAKING))
    )
    if connection.execute(sql.select(sql.func.get_lock(name, _PATIENCE))).scalar() != 1:
        raise TimeoutError("another worker is creating the tables")
    try:
        yield
    finally:
        connection.execute(sql.select(sql.func.release_lock(name)))
