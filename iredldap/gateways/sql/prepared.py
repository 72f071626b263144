"""Statements that each change executes, in a transaction of their own.

On SQLite the driver executes them itself: building the parameters, the cursor and the transaction
in SQLAlchemy took two thirds of their time (a commit of one row: 110 us, and 55 us so).
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError

_Parameter = Callable[[Mapping[str, Any]], Any]


class Prepared:
    """One statement that writes, compiled once.

    Args:
        statement: An insert or update of one table.
        names: Columns of an insert; empty: those that the statement itself names.
    """

    def __init__(self, statement: sql.Insert | sql.Update, names: Iterable[str] = ()) -> None:
        self._statement = statement
        self._names = [*names]
        self._compiled: tuple[str, list[_Parameter]] | None = None

    def execute(self, engine: sql.Engine, row: Mapping[str, Any]) -> int:
        """Execute it, and commit.

        Args:
            engine: Of the database.
            row: The parameters.

        Returns:
            How many rows an update has found; of an insert not every driver says it.

        Raises:
            SQLAlchemyError: If the database refuses it; nothing has changed then.
        """
        if engine.dialect.name != "sqlite":
            with engine.begin() as connection:
                return connection.execute(self._statement, dict(row)).rowcount
        text, parameters = self._text(engine.dialect)
        pooled = engine.raw_connection()
        try:
            driver: Any = pooled.driver_connection
            # With the write lock from the start, as all transactions that write.
            driver.execute("BEGIN IMMEDIATE")
            changed: int = driver.execute(text, [take(row) for take in parameters]).rowcount
            driver.commit()
        except sqlite3.Error as ex:
            # As SQLAlchemy raises it; without the parameters, which nobody logs then.
            raise DBAPIError.instance(text, None, ex, sqlite3.Error) from ex
        finally:
            # Rolls back what has not been committed.
            pooled.close()
        return changed

    def _text(self, dialect: sql.Dialect) -> tuple[str, list[_Parameter]]:
        if self._compiled is None:
            names = self._names or None
            compiled: Any = self._statement.compile(dialect=dialect, column_keys=names)
            parameters = [
                _parameter(compiled.binds[name], dialect) for name in compiled.positiontup
            ]
            self._compiled = str(compiled), parameters
        return self._compiled


def _parameter(bound: Any, dialect: sql.Dialect) -> _Parameter:
    """Return what takes a parameter from a row, as SQLAlchemy passes it to the driver."""
    take = itemgetter(bound.key)
    # A time is stored as text, for example.
    if convert := bound.type.dialect_impl(dialect).bind_processor(dialect):
        return lambda row: convert(take(row))
    return take
