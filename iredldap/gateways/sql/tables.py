"""Tables: their columns, what these hold, and how they are created in SQLite."""

import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from iredldap.gateways.sql.sqlite_files import write_ahead


def columns_of(connection: sql.Connection, table: str) -> frozenset[str]:
    """Return the names of a table's columns; none: the table does not exist."""
    inspector = sql.inspect(connection)
    if not inspector.has_table(table):
        return frozenset()
    return frozenset(column["name"] for column in inspector.get_columns(table))


def key_of(connection: sql.Connection, table: str) -> tuple[str, ...]:
    """Return the columns of a table's primary key; all of them where it has none."""
    inspector = sql.inspect(connection)
    key = inspector.get_pk_constraint(table)["constrained_columns"]
    return tuple(key) or tuple(column["name"] for column in inspector.get_columns(table))


def can_roll_back(connection: sql.Connection) -> bool:
    """Return whether all tables take part in transactions: those of MyISAM, say, do not."""
    if connection.dialect.name not in {"mysql", "mariadb"}:
        return True
    others = sql.text(
        "SELECT count(*) FROM information_schema.tables t"
        " LEFT JOIN information_schema.engines e ON e.engine = t.engine"
        " WHERE t.table_schema = DATABASE() AND t.table_type = 'BASE TABLE'"
        " AND coalesce(e.transactions, 'NO') <> 'YES'"
    )
    return connection.execute(others).scalar() == 0


_BITS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INTEGER": 32, "BIGINT": 64}


def most_of(connection: sql.Connection, table: str) -> dict[str, int]:
    """Return the largest number that each column of a table can hold; empty for SQLite.

    SQLite has one integer type for all columns.
    """
    if connection.dialect.name == "sqlite":
        return {}
    most = {}
    for column in sql.inspect(connection).get_columns(table):
        type_: Any = column["type"]
        bits = _BITS.get(type(type_).__name__.upper())
        if bits:
            most[column["name"]] = (
                2 ** (bits if getattr(type_, "unsigned", False) else bits - 1) - 1
            )
    return most


def from_script(script: Path) -> Callable[[sql.Engine], None]:
    """Return a function that creates tables by a script, in an SQLite database without any."""

    def make(engine: sql.Engine) -> None:
        if engine.dialect.name != "sqlite":
            return
        write_ahead(engine, is_flushed=True)
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            try:
                # A second process waits here, and then finds the tables.
                driver.execute("BEGIN IMMEDIATE")
                if not driver.execute("SELECT 1 FROM sqlite_master").fetchone():
                    for statement in _statements(script):
                        driver.execute(statement)
                driver.execute("COMMIT")
            finally:
                if driver.in_transaction:
                    driver.execute("ROLLBACK")

    return make


@cache
def _statements(script: Path) -> list[str]:
    """Split a script of SQLite into statements, which may contain semicolons."""
    statements, statement = [], ""
    for line in script.read_text(encoding="utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements
