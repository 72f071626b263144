"""Revert recorded changes of rows; what others have changed since is left alone.

Column by column where a row was changed, whole where it was added or deleted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError

from iredldap.dit.change_log import Row, TouchedRows
from iredldap.dit.left_alone import LeftAlone, Reverted
from iredldap.gateways.sql.recording import UNIQUE, KeyOf, rows_of


@dataclass(frozen=True, slots=True)
class Dependent:
    """A column that refers to the id of a row in another table.

    `goes_along`: the row that refers is deleted with the one that it refers to; otherwise the
    latter stays as long as there is one.
    """

    table: str
    column: str
    goes_along: bool = False


Dependents = Mapping[str, Sequence[Dependent]]
"""What refers to the rows of a table, by its name."""


Key = tuple[Any, ...]


@dataclass(slots=True)
class NetChange:
    """What a change has done to one row in all: the row before, and after; None: there was none."""

    table: str
    before: Row | None
    after: Row | None = None


def net_changes(
    keys: Mapping[str, Sequence[str]], touched: Iterable[TouchedRows]
) -> list[NetChange]:
    """Return what was done to each row in all, ordered by when it was touched last.

    In reverse, that is an order in which all of it can be reverted.

    Args:
        keys: Columns of the primary key of each table.
        touched: Reports in the order in which they were made.
    """
    present: dict[tuple[str, Key], NetChange] = {}
    gone: dict[tuple[str, Key], NetChange] = {}
    ordered: dict[int, NetChange] = {}
    for rows in touched:
        table, key = rows.table, keys[rows.table]
        for before, after in _pairs(rows):
            # A row that was deleted and inserted again under its key is one row, in one of two
            # states.
            known = gone if before is None else present
            place = table, _key(before or after or {}, key)
            change = known.pop(place, None) or NetChange(table, before)
            change.after = after
            ordered.pop(id(change), None)
            ordered[id(change)] = change
            (gone if after is None else present)[table, _key(after or before or {}, key)] = change
    return [change for change in ordered.values() if change.before != change.after]


def revert(
    connection: sql.Connection, key_of: KeyOf, dependents: Dependents, touched: list[TouchedRows]
) -> Reverted:
    """Revert recorded changes of rows.

    A row that is already as it was before is no error.

    Args:
        connection: In a transaction that writes.
        key_of: Primary keys.
        dependents: What refers to which table.
        touched: Reports in the order in which they were made.
    """
    keys = {rows.table: key_of(connection, rows.table) for rows in touched}
    pending = [*reversed(net_changes(keys, touched))]
    reverted = Reverted()
    while True:
        left: list[tuple[NetChange, str]] = []
        for change in pending:
            outcome = _reverted(connection, keys[change.table], dependents, change)
            reverted.changed |= outcome.changed
            if outcome.why:
                left.append((change, outcome.why))
        # Again: what a row waits for, because others refer to it, may be done by now.
        if len(left) in {0, len(pending)}:
            break
        pending = [change for change, _ in left]
    for change, why in left:
        row = change.before or change.after or {}
        reverted.left.append(LeftAlone(change.table, _named(row, keys[change.table]), why))
    return reverted


class _Outcome(NamedTuple):
    """What came of one row: whether it was changed, and why it is left alone; empty: it is not."""

    changed: bool = False
    why: str = ""


_AS_BEFORE = _Outcome()


def _reverted(
    connection: sql.Connection, key: Sequence[str], dependents: Dependents, change: NetChange
) -> _Outcome:
    """Revert the change of one row."""
    table, before, after = change.table, change.before, change.after
    places = [{name: row[name] for name in key} for row in (before, after) if row]
    present = {_key(row, key): row for row in rows_of(connection, table, places, lock=True)}
    now = present.get(_key(after or before or {}, key))
    if after is None:
        assert before is not None
        return _put_back(connection, table, key, before, now)
    if before is None:
        return _take_out(connection, table, key, after, now, dependents.get(table, ()))
    moved = present.get(_key(before, key))
    # Back already, perhaps: another row may have come back to the other key since.
    is_back = moved == before or now is None
    return _change_back(connection, table, key, (before, after), moved if is_back else now)


def _pairs(touched: TouchedRows) -> list[tuple[Row | None, Row | None]]:
    before, after = touched.before, touched.after
    if before and after:
        return list(zip(before, after, strict=True))
    return [*((row, None) for row in before), *((None, row) for row in after)]


def _put_back(
    connection: sql.Connection, table: str, key: Sequence[str], before: Row, now: Row | None
) -> _Outcome:
    """Insert a row that was deleted."""
    if now is not None:
        return _AS_BEFORE if now == before else _Outcome(why="there is another row of this key")
    statement = _table(table, before).insert().values(dict(before))
    return _attempt(connection, statement.execution_options(**{UNIQUE: tuple(key)}))


def _take_out(
    connection: sql.Connection,
    table: str,
    key: Sequence[str],
    after: Row,
    now: Row | None,
    dependents: Sequence[Dependent],
) -> _Outcome:
    """Delete a row that was inserted."""
    if now is None:
        return _AS_BEFORE
    # Compared whole: a row that another client has written to is theirs as well by now.
    if now != after:
        return _Outcome(why="it has been changed since")
    for dependent in dependents:
        column: sql.ColumnClause[Any] = sql.column(dependent.column)
        refers = sql.table(dependent.table, column)
        if dependent.goes_along:
            connection.execute(refers.delete().where(column == now["id"]))
        elif connection.execute(sql.select(column).where(column == now["id"])).first():
            return _Outcome(why=f"{dependent.table} refers to it")
    found = _table(table, now)
    return _attempt(connection, found.delete().where(*_is(found, now, key)))


def _change_back(
    connection: sql.Connection,
    table: str,
    key: Sequence[str],
    pair: tuple[Row, Row],
    now: Row | None,
) -> _Outcome:
    """Give a row the values that it had in the columns that were changed."""
    before, after = pair
    if now is None:
        return _Outcome(why="it has been deleted since")
    changed = {name: value for name, value in before.items() if value != after[name]}
    # What is as it was before needs nothing, whoever has put it back.
    wanted = {name: value for name, value in changed.items() if now[name] != value}
    others = sorted(name for name in wanted if now[name] != after[name])
    ours = {name: value for name, value in wanted.items() if name not in others}
    outcome = _AS_BEFORE
    if ours:
        found = _table(table, now)
        outcome = _attempt(connection, found.update().where(*_is(found, now, key)).values(ours))
    if others and not outcome.why:
        return _Outcome(outcome.changed, f"changed since: {', '.join(others)}")
    return outcome


def _attempt(connection: sql.Connection, statement: Any) -> _Outcome:
    """Execute a statement, unless a key of the table does not allow it."""
    try:
        # A savepoint: PostgreSQL ends the whole transaction at the first error otherwise.
        with connection.begin_nested():
            connection.execute(statement)
    except IntegrityError:
        return _Outcome(why="another row has its key, or refers to it")
    return _Outcome(changed=True)


def _table(name: str, row: Row) -> sql.TableClause:
    return sql.table(name, *(sql.column(column) for column in row))


def _is(table: sql.TableClause, row: Row, key: Sequence[str]) -> list[sql.ColumnElement[bool]]:
    return [table.c[name] == row[name] for name in key]


def _key(row: Row, key: Sequence[str]) -> Key:
    return tuple(row.get(name) for name in key)


_NAMES = ("account", "username", "email", "policy_name", "from_user", "domain", "sender", "mail")


def _named(row: Row, key: Sequence[str]) -> str:
    """Return a text that says to an admin which row it is: account and key."""
    shown = dict.fromkeys((*(name for name in _NAMES if name in row), *key))
    return ", ".join(f"{name}={_text(row[name])}" for name in shown)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
