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
# How often all sessions of an admin were ended, and those of everybody; a number never shrinks, so
# no row is deleted: sessions have it in their ids.
GENERATIONS = sql.Table(
    "session_generations",
    METADATA,
    sql.Column("admin", sql.String(320), primary_key=True),
    sql.Column("number", sql.BigInteger, nullable=False),
)
EVERYBODY = ""
"""Stands for all admins in that table."""

_SUM = sql.func.coalesce(sql.func.sum(GENERATIONS.c.number), 0)
_OF_ADMIN = GENERATIONS.c.admin.in_((EVERYBODY, sql.bindparam("admin")))
GENERATION = sql.select(_SUM).where(_OF_ADMIN)
NEW = sql.select(IDENTITY.c.id, GENERATION.scalar_subquery())
STANDING = sql.select(
    IDENTITY.c.id, IDENTITY.c.born, REVOKED.c.id, GENERATION.scalar_subquery()
).select_from(IDENTITY.outerjoin(REVOKED, REVOKED.c.id == sql.bindparam("session")))
"""Built once: each session is checked every second."""
