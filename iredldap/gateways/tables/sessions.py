"""Tables of ended sessions, and the identity of the database that has them."""

import sqlalchemy as sql

from iredldap.gateways.tables.state import METADATA

# One row: the id of this database, and when it was created, in seconds since 1970; 0 if by a
# version without this table.
IDENTITY = sql.Table(
    "state_identity",
    METADATA,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("id", sql.String(32), nullable=False),
    sql.Column("born", sql.BigInteger, nullable=False),
)
REVOKED = sql.Table(
    "revoked_sessions",
    METADATA,
    sql.Column("id", sql.String(64), primary_key=True),
    sql.Column("expires", sql.BigInteger, nullable=False, index=True),
)
STANDING = sql.select(IDENTITY.c.id, IDENTITY.c.born, REVOKED.c.id).select_from(
    IDENTITY.outerjoin(REVOKED, REVOKED.c.id == sql.bindparam("session"))
)
"""Built once: each session is checked every second."""
