"""Tables of the agreed writer, in the program's own database."""

import sqlalchemy as sql

from iredldap.gateways.tables.state import LONG, METADATA

DIRECTORY_WRITER = sql.Table(
    "directory_writer",
    METADATA,
    # One row for each directory.
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("epoch", sql.BigInteger, nullable=False),
    sql.Column("serial", sql.BigInteger, nullable=False),
    sql.Column("uri", sql.String(255), nullable=False),
    sql.Column("usable", sql.Boolean, nullable=False),
    sql.Column("mode", sql.String(16), nullable=False),
    # Durations in milliseconds.
    sql.Column("lease", sql.BigInteger, nullable=False),
    sql.Column("wait", sql.BigInteger, nullable=False),
    # Milliseconds since 1970 by the clock of the database.
    sql.Column("mode_at", sql.BigInteger, nullable=False),
    sql.Column("seen_at", sql.BigInteger, nullable=False),
    # The node that changed it last.
    sql.Column("node", sql.String(255), nullable=False),
)

DIRECTORY_STANDBY = sql.Table(
    "directory_standby",
    METADATA,
    # One row for each directory: the server beside the writer of which the mode speaks.
    sql.Column("key", sql.String(64), primary_key=True),
    # Of the epoch with this number; of another one it says nothing.
    sql.Column("epoch", sql.BigInteger, nullable=False),
    sql.Column("uri", sql.String(255), nullable=False),
)

DIRECTORY_COMPARISONS = sql.Table(
    "directory_comparisons",
    METADATA,
    # One row for each directory: of the comparison that a standby is joined by.
    sql.Column("key", sql.String(64), primary_key=True),
    # The row of the writer that it is made for.
    sql.Column("epoch", sql.BigInteger, nullable=False),
    sql.Column("serial", sql.BigInteger, nullable=False),
    # The worker that makes it, and its last sign of life.
    sql.Column("worker", sql.String(64), nullable=False),
    sql.Column("alive_at", sql.BigInteger, nullable=False),
    # How many entries differ; null: that is not known yet. Some of them, as JSON.
    sql.Column("differing", sql.BigInteger),
    sql.Column("examples", LONG, nullable=False),
)

DIRECTORY_EPOCHS = sql.Table(
    "directory_epochs",
    METADATA,
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("epoch", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("uri", sql.String(255), nullable=False),
    # Milliseconds since 1970 by the clock of the database.
    sql.Column("began_at", sql.BigInteger, nullable=False),
    # The contextCSN that its writer had then, separated by blanks.
    sql.Column("vector", LONG, nullable=False),
    # The server id of its writer; null: it has not written yet.
    sql.Column("server_id", sql.Integer),
    sql.Column("forced", sql.Boolean, nullable=False),
    sql.Column("node", sql.String(255), nullable=False),
)
