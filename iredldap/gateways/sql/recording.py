"""Record the rows that the statements of a transaction change, whole, before and after.

The rows of a statement's condition, or of the keys that it inserts, are read before it and after
it, in the same transaction. The gateways need not do anything for that.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sql

from iredldap.dit.change_log import Row
from iredldap.gateways import touched_rows

UNIQUE = "unique"
"""Execution option of an insertion: names of the columns of a unique key. It may find rows that
exist, and change these."""

TRANSIENT = "transient"
"""Key of `Table.info`: rows that other programs write at each message, and miss nothing without."""

KeyOf = Callable[[sql.Connection, str], tuple[str, ...]]
"""Returns the columns of the primary key of a table."""

_BATCH = 100

_Change = tuple[Row | None, Row | None]
"""A row before, and after; None: there was none."""


class RowRecorder:
    """Records what the statements of a transaction change.

    Args:
        system: Name of the database in the report.
        connection: In the transaction.
        key_of: Primary keys.
    """

    def __init__(self, system: str, connection: sql.Connection, key_of: KeyOf) -> None:
        self._system = system
        self._key_of = key_of
        self._held: list[Row] = []
        self._changes: list[tuple[str, list[_Change]]] = []
        sql.event.listen(connection, "before_execute", self._before)
        sql.event.listen(connection, "after_execute", self._after)

    def report(self) -> None:
        """Report all changes, once they are committed."""
        for table, changes in self._changes:
            for kind in _KINDS:
                pairs = [change for change in changes if kind(change)]
                touched_rows.report(
                    self._system,
                    table,
                    [before for before, _ in pairs if before is not None],
                    [after for _, after in pairs if after is not None],
                )

    def _before(
        self,
        connection: sql.Connection,
        statement: Any,
        many: Sequence[Mapping[str, Any]],
        one: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> None:
        # Read in the same transaction, by the same condition: no other client can change the rows
        # between the look and the write.
        if is_recorded(statement):
            self._held = [*self._found(connection, statement, many or [one])]

    def _after(
        self,
        connection: sql.Connection,
        statement: Any,
        many: Sequence[Mapping[str, Any]],
        one: Mapping[str, Any],
        options: Mapping[str, Any],
        result: object,
    ) -> None:
        if not is_recorded(statement):
            return
        held, table = self._held, statement.table
        key = self._key_of(connection, table.name)
        changes: list[_Change]
        match statement:
            case sql.Delete():
                # What was found before a deletion is what it deletes, as the rows are locked.
                changes = [(row, None) for row in held]
            case sql.Update():
                new = _assigned(statement)
                # An update may change the key itself, as a rename does.
                places = [{name: new.get(name, row[name]) for name in key} for row in held]
                left = _by_key(rows_of(connection, table.name, places), key)
                pairs = zip(held, places, strict=True)
                changes = [(row, left.get(_key(place, key))) for row, place in pairs]
            case _:
                old = _by_key(held, key)
                found = self._found(connection, statement, many or [one])
                changes = [(old.get(_key(row, key)), row) for row in found]
        # An upsert of what is there already has changed nothing.
        self._changes.append((table.name, [pair for pair in changes if pair[0] != pair[1]]))

    def _found(
        self, connection: sql.Connection, statement: Any, parameters: Sequence[Mapping[str, Any]]
    ) -> Iterator[Row]:
        """Yield the rows that a statement is about: of its condition, or with what it inserts."""
        wanted = sql.select(sql.text("*")).select_from(statement.table)
        if isinstance(statement, sql.Insert):
            unique = statement.get_execution_options().get(UNIQUE)
            for row in parameters if any(parameters) else [_assigned(statement)]:
                table = statement.table
                same = (table.c[name] == row[name] for name in unique or row)
                yield from _rows(connection, wanted.where(*same), {})
            return
        if statement.whereclause is not None:
            wanted = wanted.where(statement.whereclause)
        for values in parameters:
            yield from _rows(connection, wanted.with_for_update(), values)


_KINDS: tuple[Callable[[_Change], bool], ...] = (
    lambda change: change[1] is None,
    lambda change: None not in change,
    lambda change: change[0] is None,
)
"""Deleted, changed and new rows: each is reported by itself, so that those before and those after
have the same places."""


def is_recorded(statement: object) -> bool:
    """Return whether a statement changes rows that are recorded."""
    if not isinstance(statement, sql.Insert | sql.Update | sql.Delete):
        return False
    return not getattr(statement.table, "info", {}).get(TRANSIENT, False)


def rows_of(
    connection: sql.Connection, table: str, places: Sequence[Row], *, lock: bool = False
) -> list[Row]:
    """Read whole rows by their keys, with all columns that the table has.

    Args:
        connection: In a transaction.
        table: Where.
        places: Values by the columns of a key.
        lock: Whether to lock the rows until the transaction ends.
    """
    found: list[Row] = []
    for start in range(0, len(places), _BATCH):
        named = (
            sql.and_(*(sql.column(name) == value for name, value in place.items()))
            for place in places[start : start + _BATCH]
        )
        wanted = sql.select(sql.text("*")).select_from(sql.table(table)).where(sql.or_(*named))
        found += _rows(connection, wanted.with_for_update() if lock else wanted, {})
    return found


def _rows(
    connection: sql.Connection, wanted: sql.Select[Any], values: Mapping[str, Any]
) -> Iterator[Row]:
    for row in connection.execute(wanted, dict(values)).mappings():
        # psycopg gives binary columns as views of its own memory.
        yield {n: bytes(v) if isinstance(v, memoryview) else v for n, v in row.items()}


def _assigned(statement: Any) -> dict[str, Any]:
    """Return the values that a statement writes, by column: they are bound under its name."""
    bound = statement.compile().params
    return {column.name: bound[column.name] for column in statement.table.c if column.name in bound}


def _key(row: Row, key: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in key)


def _by_key(rows: Sequence[Row], key: Sequence[str]) -> dict[tuple[Any, ...], Row]:
    return {_key(row, key): row for row in rows}
