"""Tables of the change log."""

import sqlalchemy as sql
from sqlalchemy.dialects.mysql import MEDIUMBLOB, MEDIUMTEXT

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
    sql.Column("result", sql.String(16), nullable=False, index=True),
    sql.Column("codes", _LONG, nullable=False),
    sql.Column("duration", sql.BigInteger),
    sql.Column("entries", sql.BigInteger, nullable=False),
    sql.Column("attributes", _LONG, nullable=False),
    sql.Column("job", sql.String(64), nullable=False, index=True),
    sql.Column("undoes", _ID, nullable=False, index=True),
    sql.Column("heartbeat", sql.BigInteger, nullable=False),
    sql.Column("pending", _DATA),
    sql.Column("touched", _DATA),
)

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
