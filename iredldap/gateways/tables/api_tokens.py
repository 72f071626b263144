"""The table of API tokens in the program's own database."""

import sqlalchemy as sql

from iredldap.gateways.tables.state import LONG, METADATA

API_TOKENS = sql.Table(
    "api_tokens",
    METADATA,
    sql.Column("id", sql.String(32), primary_key=True),
    sql.Column("digest", sql.String(64), nullable=False),
    sql.Column("admin", sql.String(320), nullable=False, index=True),
    sql.Column("account", sql.String(64), nullable=False),
    sql.Column("is_global", sql.Boolean, nullable=False),
    sql.Column("name", sql.String(255), nullable=False),
    # Lists, separated by commas.
    sql.Column("scopes", LONG, nullable=False),
    sql.Column("domains", LONG, nullable=False),
    sql.Column("networks", LONG, nullable=False),
    sql.Column("parent", sql.String(32), nullable=False),
    sql.Column("created", sql.BigInteger, nullable=False),
    sql.Column("expires", sql.BigInteger, index=True),
)
