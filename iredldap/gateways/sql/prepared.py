"""Statements that each request executes, in transactions of their own.

On SQLite the driver executes them itself: building the parameters, the cursor and the transaction
in SQLAlchemy took two thirds of their time (a commit of one row: 110 us, and 55 us so), and seven
eighths of that of a query.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sql

Parameters = Mapping[str, Any]
_Parameter = Callable[[Parameters], Any]

_NOT_FLUSHED = sql.func.set_config("synchronous_commit", "off", sql.true())
"""Of PostgreSQL: has this transaction's commit return before it is on disk."""


class Prepared:
    """A statement of one table, compiled once for SQLite's driver.

    Args:
        statement: An insert, an update or a query. Its parameters have names, and each is one
            value. The driver returns the columns of a query as they are: texts and numbers, no
            times.
        names: Columns of an insert; empty: those that the statement itself names.
        flushed_later: Whether an insert may be lost when PostgreSQL crashes before the next commit
            that is flushed, which flushes what came before it, too.
    """

    def __init__(
        self,
        statement: sql.Insert | sql.Update | sql.Select[Any],
        names: Iterable[str] = (),
        *,
        flushed_later: bool = False,
    ) -> None:
        self._statement = statement
        self._flushed_later = flushed_later
        self._names = [*names]
        self._compiled: tuple[str, list[_Parameter]] | None = None

    def change(self, connection: sql.Connection, row: Parameters) -> int:
        """Execute it in a transaction.

        Returns:
            How many rows an update has found; of an insert not every driver says it.
        """
        statement: Any = self._statement
        if self._flushed_later and connection.dialect.name == "postgresql":
            # Within the insert: a statement of its own would be a round trip more.
            statement = statement.returning(_NOT_FLUSHED)
        return connection.execute(statement, dict(row)).rowcount

    def rows(self, connection: sql.Connection, row: Parameters) -> list[Sequence[Any]]:
        """Execute a query in a transaction."""
        return [*connection.execute(self._statement, dict(row))]

    def changed(self, driver: Any, dialect: sql.Dialect, row: Parameters) -> int:
        """Execute it with SQLite's driver, as `change`.

        It is a transaction of its own, which takes the write lock at its beginning.

        Args:
            driver: A connection outside of any transaction.
            dialect: SQLAlchemy's.
            row: The parameters.
        """
        number: int = self._executed(driver, dialect, row).rowcount
        return number

    def found(self, driver: Any, dialect: sql.Dialect, row: Parameters) -> list[Sequence[Any]]:
        """Execute a query with SQLite's driver; it sees one state of the file."""
        rows: list[Sequence[Any]] = self._executed(driver, dialect, row).fetchall()
        return rows

    def _executed(self, driver: Any, dialect: sql.Dialect, row: Parameters) -> Any:
        if self._compiled is None:
            compiled: Any = self._statement.compile(
                dialect=dialect, column_keys=self._names or None
            )
            takers = [_parameter(compiled.binds[name], dialect) for name in compiled.positiontup]
            self._compiled = str(compiled), takers
        text, takers = self._compiled
        return driver.execute(text, [take(row) for take in takers])


def _parameter(bound: Any, dialect: sql.Dialect) -> _Parameter:
    """Return what takes a parameter from a row, as SQLAlchemy passes it to the driver."""
    # A time is stored as text, for example.
    convert = bound.type.dialect_impl(dialect).bind_processor(dialect)
    if not bound.required:
        # A value that is written in the statement itself.
        constant = convert(bound.value) if convert else bound.value
        return lambda _: constant
    take = itemgetter(bound.key)
    return (lambda row: convert(take(row))) if convert else take
