"""The table of the keys that nodes have, in the program's own database."""

import sqlalchemy as sql

from iredldap.gateways.tables.state import METADATA

NODE_KEYS = sql.Table(
    "node_keys",
    METADATA,
    sql.Column("node", sql.String(64), primary_key=True),
    # Of the setting, such as `session.keys`.
    sql.Column("name", sql.String(64), primary_key=True),
    # From which no key can be computed; empty: the node has none.
    sql.Column("digest", sql.String(64), nullable=False),
    # Milliseconds since 1970.
    sql.Column("seen", sql.BigInteger, nullable=False, index=True),
)
