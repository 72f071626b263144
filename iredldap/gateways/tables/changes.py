"""Tables of the change log, and changes as rows of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects.mysql import MEDIUMBLOB, MEDIUMTEXT

from iredldap.dit.change_log import LoggedChange

METADATA = sql.MetaData()

_ID = sql.String(36)
NAME_LENGTH = 320
"""Characters of an address that are stored."""

_NAME = sql.String(NAME_LENGTH)
_LONG = sql.Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")
_DATA = sql.LargeBinary().with_variant(MEDIUMBLOB(), "mysql", "mariadb")

# `heartbeat` is the last sign of life of the worker of an open one, in milliseconds since 1970.
# `pending` is what it may be writing, and `touched` what it has touched behind the last chunk.
CHANGES = sql.Table(
    "changes",
    METADATA,
    sql.Column("id", _ID, primary_key=True),
    sql.Column("began", sql.BigInteger, nullable=False),
    sql.Column("admin", _NAME, nullable=False, index=True),
    sql.Column("token", sql.String(64)),
    sql.Column("client", sql.String(64), nullable=False),
    sql.Column("request", sql.String(64), nullable=False),
    sql.Column("endpoint", sql.String(64), nullable=False),
    sql.Column("account", _NAME, nullable=False, index=True),
    sql.Column("domain", _NAME, nullable=False, index=True),
    sql.Column("parameters", _LONG, nullable=False),
    sql.Column("steps", _LONG, nullable=False),
    sql.Column("result", sql.String(16), nullable=False),
    sql.Column("codes", _LONG, nullable=False),
    sql.Column("duration", sql.BigInteger),
    sql.Column("entries", sql.BigInteger, nullable=False),
    sql.Column("attributes", _LONG, nullable=False),
    sql.Column("job", sql.String(64), nullable=False),
    sql.Column("undoes", _ID, nullable=False),
    sql.Column("heartbeat", sql.BigInteger, nullable=False),
    sql.Column("pending", _DATA),
    sql.Column("touched", _DATA),
)


# Their values are part of the statement: by them the database knows which index will do.
IS_OPEN = CHANGES.c.result == sql.literal_column("'open'")
IS_OF_A_JOB = CHANGES.c.job != sql.literal_column("''")
IS_AN_UNDO = CHANGES.c.undoes != sql.literal_column("''")

# Only of the few changes that are so: each index of all of them takes an eighth of the time that
# SQLite needs to store a change. MariaDB has no others.
for _column, _few in (
    (CHANGES.c.result, IS_OPEN),
    (CHANGES.c.job, IS_OF_A_JOB),
    (CHANGES.c.undoes, IS_AN_UNDO),
):
    sql.Index(f"ix_changes_{_column.name}", _column, sqlite_where=_few, postgresql_where=_few)

# What was touched in a change that touches much, in pieces.
CHUNKS = sql.Table(
    "change_chunks",
    METADATA,
    sql.Column("change", _ID, primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("touched", _DATA, nullable=False),
)

# Domains and addresses of accounts that were touched, beside those that the request names.
TARGETS = sql.Table(
    "change_targets",
    METADATA,
    sql.Column("target", _NAME, primary_key=True),
    sql.Column("change", _ID, primary_key=True, index=True),
    sqlite_with_rowid=False,
)

_NOT_OF_A_CHANGE = {"heartbeat", "pending", "touched"}
_OF_A_CHANGE = tuple(c.name for c in CHANGES.c if c.name not in _NOT_OF_A_CHANGE)
_LENGTHS = {
    column.name: column.type.length
    for column in CHANGES.c
    if isinstance(column.type, sql.String) and column.type.length
}
"""Characters of a text that its column holds: MariaDB and PostgreSQL refuse a longer one."""


def concerns(named: sql.Column[Any], targets: Sequence[str]) -> sql.ColumnElement[bool]:
    """Return the condition that a change names one of some targets, or has touched one."""
    touched = sql.select(TARGETS.c.change).where(TARGETS.c.target.in_(targets))
    return sql.or_(named.in_(targets), CHANGES.c.id.in_(touched))


def last_result_of(endpoint: str, account: str, domain: str) -> sql.Select[Any]:
    """Return the query for the result of the last change that names exactly these."""
    columns = CHANGES.c
    # Found by the account, which is empty for few: of a domain there may be a million changes.
    return (
        sql.select(columns.result)
        .where(columns.account == account, columns.domain + "" == domain)
        .where(columns.endpoint == endpoint)
        .order_by(columns.id.desc())
        .limit(1)
    )


def row_of(change: LoggedChange, pending: bytes, heartbeat: int) -> dict[str, Any]:
    """Return the row of a change that begins.

    Args:
        change: The change.
        pending: What it may be writing.
        heartbeat: Milliseconds since 1970.
    """
    return _row(change) | {"pending": pending, "heartbeat": heartbeat}


def completion_of(change: LoggedChange, touched: bytes, pending: bytes) -> dict[str, Any]:
    """Return the parameters of an update that completes a change; `of` is its id."""
    return {
        "of": change.id,
        "new_result": change.result,
        "new_codes": " ".join(change.codes),
        "new_duration": change.duration,
        "new_entries": change.entries,
        "new_attributes": " ".join(change.attributes),
        "new_steps": json.dumps(change.steps),
        "new_pending": pending,
        "new_touched": touched,
    }


def _row(change: LoggedChange) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(change, name) for name in _OF_A_CHANGE}
    for name, length in _LENGTHS.items():
        row[name] = row[name] and row[name][:length]
    for name in ("parameters", "steps"):
        row[name] = json.dumps(row[name])
    return row | {name: " ".join(row[name]) for name in ("codes", "attributes")}


def change_of(row: Mapping[Any, Any]) -> LoggedChange:
    """Return the change that a row is of."""
    values = {name: value for name, value in row.items() if name not in _NOT_OF_A_CHANGE}
    parameters = json.loads(values["parameters"])
    return LoggedChange(
        **values
        | {
            "parameters": {name: tuple(sent) for name, sent in parameters.items()},
            "steps": tuple(json.loads(values["steps"])),
            "codes": tuple(values["codes"].split()),
            "attributes": tuple(values["attributes"].split()),
        }
    )
