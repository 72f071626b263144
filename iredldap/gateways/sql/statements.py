"""Statements that gateways have in common: those that differ by database, batches, lists."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import sqlalchemy as sql
from sqlalchemy.dialects import mysql, postgresql, sqlite

from iredldap.gateways.sql.recording import UNIQUE

T = TypeVar("T")
Row = Mapping[str, Any]
"""A row by the names of its columns."""

_BATCH = 500
"""Values in one statement; SQLite may be built to accept no more than 999."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a list: values added and removed; if it `replaces`, all others go, too."""

    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    replaces: bool = False


def upsert(
    connection: sql.Connection,
    table: sql.Table,
    rows: Sequence[Row],
    key: Iterable[str],
    changed: Iterable[str] = (),
) -> None:
    """Insert rows, or update those that exist already.

    Args:
        connection: In a transaction.
        table: Where; the key must be unique in the database itself.
        rows: All with the same columns. In a fixed order, so that two writers cannot deadlock.
        key: Columns of the unique key.
        changed: Columns of an existing row that are updated; none: it is left as it is.
    """
    if not rows:
        return
    key = tuple(key)
    statement: Any
    match connection.dialect.name:
        case "mysql" | "mariadb":
            statement = mysql.insert(table)
            # MariaDB has no "do nothing": a column is set to itself. INSERT IGNORE would also hide
            # values that do not fit.
            kept = [*changed] or [key[0]]
            new = {name: statement.inserted[name] if changed else table.c[name] for name in kept}
            statement = statement.on_duplicate_key_update(new)
        case "postgresql" | "sqlite" as name:
            insert = postgresql.insert if name == "postgresql" else sqlite.insert
            statement = insert(table)
            new = {column: statement.excluded[column] for column in changed}
            columns = [table.c[column] for column in key]
            statement = (
                statement.on_conflict_do_update(index_elements=columns, set_=new)
                if new
                else statement.on_conflict_do_nothing(index_elements=columns)
            )
        case name:
            raise NotImplementedError(f"upsert into {name}")
    statement = statement.execution_options(**{UNIQUE: key})
    connection.execute(statement, [dict(row) for row in rows])


def batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Split values into batches for one statement each."""
    return (values[start : start + _BATCH] for start in range(0, len(values), _BATCH))


def move_rows(
    connection: sql.Connection,
    column: sql.Column[Any],
    rest: Sequence[str],
    old: str,
    values: Row,
) -> None:
    """Rename rows; rows of the new name are deleted where they have the same key.

    Args:
        connection: In a transaction.
        column: Contains the name.
        rest: The other columns of the key.
        old: The old name.
        values: The new name by the name of its column, and columns that depend on it.
    """
    table = column.table
    keys = [table.c[name] for name in rest]
    wanted = sql.select(sql.literal(1), *keys).where(column == old)
    moving = connection.execute(wanted).fetchall()
    # A repeat finds none of the old name, and must not delete rows of the new one.
    if not moving:
        return
    same = (key == sql.bindparam(f"at_{key.name}") for key in keys)
    # Only where a row of the old name needs the place.
    stale = sql.delete(table).where(column == values[column.name], *same)
    places = [{f"at_{n}": v for n, v in zip(rest, key, strict=True)} for _, *key in moving]
    connection.execute(stale, places)
    connection.execute(sql.update(table).where(column == old).values(**values))


def first_row(connection: sql.Connection, wanted: sql.Select[Any]) -> Row:
    """Return the first row that a statement selects; empty: there is none."""
    found = connection.execute(wanted).mappings().first()
    return dict(found) if found else {}


def reserve(connection: sql.Connection, *words: str) -> None:
    """Lock a name until the transaction ends, where there may be no row to lock.

    Only in PostgreSQL: MariaDB locks what it searches for, and SQLite has one writer.
    """
    if connection.dialect.name == "postgresql":
        numbers = (sql.func.hashtext(word) for word in words)
        connection.execute(sql.select(sql.func.pg_advisory_xact_lock(*numbers)))


def change_list(
    connection: sql.Connection,
    column: sql.Column[Any],
    owner: Mapping[str, str],
    edit: Edit,
    **others: str,
) -> list[str]:
    """Change a list; return the values that were removed.

    Args:
        connection: In a transaction.
        column: Contains the values.
        owner: The owner of the list, by the name of the column; empty: the table is one list.
        edit: The change.
        others: Further columns that are set in all rows of added values.
    """
    reserve(connection, column.table.name, owner.get("account", ""))
    # Sorted, as the added ones are: two clients lock the rows in one order.
    gone = sorted(set(edit.removed) - set(edit.added))
    rows = [{column.name: value, **owner, **others} for value in sorted(edit.added)]
    upsert(connection, column.table, rows, (*owner, column.name), (column.name, *others))
    if edit.replaces:
        # After the insertion, whose locks make two clients that replace the same list wait for each
        # other.
        own = [column.table.c[name] == value for name, value in owner.items()]
        held = connection.scalars(sql.select(column).where(*own).with_for_update())
        gone += sorted(set(held) - set(edit.added))
    delete_values(connection, column, gone, owner)
    return gone


def delete_values(
    connection: sql.Connection,
    column: sql.Column[Any],
    values: Sequence[Any],
    owner: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Delete rows by the values of a column, of one owner or of all."""
    table = column.table
    own = [table.c[name] == value for name, value in owner.items()]
    for batch in batches(values):
        connection.execute(sql.delete(table).where(column.in_(batch), *own))


def counts(
    connection: sql.Connection, wanted: Iterable[tuple[sql.Table, sql.ColumnElement[bool]]]
) -> dict[str, int]:
    """Count rows by table; tables without any are left out.

    Args:
        connection: In a transaction.
        wanted: Each table with a condition for its rows.
    """
    found = (
        (
            table.name,
            connection.scalar(sql.select(sql.func.count()).where(condition).select_from(table)),
        )
        for table, condition in wanted
    )
    return {name: number for name, number in found if number}
