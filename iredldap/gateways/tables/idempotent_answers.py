"""The table of answers to requests with an `Idempotency-Key`, in the program's own database."""

import sqlalchemy as sql
from sqlalchemy.dialects.mysql import MEDIUMBLOB

from iredldap.gateways.tables.state import METADATA

_BYTES = sql.LargeBinary().with_variant(MEDIUMBLOB(), "mysql", "mariadb")

IDEMPOTENT_ANSWERS = sql.Table(
    "idempotent_answers",
    METADATA,
    # Digest of the caller and the key.
    sql.Column("id", sql.String(64), primary_key=True),
    # Keyed digest of the request.
    sql.Column("request", sql.String(64), nullable=False),
    # Of the claim: one that was taken over has another.
    sql.Column("claim", sql.String(32), nullable=False),
    # Sealed status, headers and body; null: the request is being carried out.
    sql.Column("answer", _BYTES),
    # Milliseconds since 1970.
    sql.Column("began", sql.BigInteger, nullable=False, index=True),
)
