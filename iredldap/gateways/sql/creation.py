"""Creation of the program's own tables, by one worker at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sql

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
