"""API tokens in the program's own database: digests of their secrets, and what they may do."""

from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any

import sqlalchemy as sql

from iredldap.dit.api_tokens import ApiToken, with_descendants
from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.statements import batches
from iredldap.gateways.tables.api_tokens import API_TOKENS

_PARENT = API_TOKENS.alias("parent")
_VALID = (
    sql.select(API_TOKENS)
    .outerjoin(_PARENT, _PARENT.c.id == API_TOKENS.c.parent)
    .where(sql.or_(API_TOKENS.c.parent == "", _PARENT.c.id.is_not(None)))
)
"""One that was being created while the token that creates it was deleted has no parent, and is
none."""

_BY_ID = _VALID.where(API_TOKENS.c.id == sql.bindparam("token"))
"""Built once: each token that is used is looked up every second."""

_LISTS = ("scopes", "domains", "networks")

KEPT = 30 * 24 * 3600
"""Seconds for which an expired token is still listed."""


class ApiTokens:
    """The tokens of all admins.

    Args:
        database: The state database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, id_: str) -> ApiToken | None:
        """Read a token by its id; it may have expired.

        Raises:
            ServerDown: If the database does not respond.
        """
        with self._database.transaction() as connection:
            row = connection.execute(_BY_ID, {"token": id_}).mappings().first()
        return _token(row) if row else None

    def those(self, ids: Collection[str]) -> list[ApiToken]:
        """Read some tokens by their ids; they may have expired.

        Raises:
            ServerDown: If the database does not respond.
        """
        found: list[ApiToken] = []
        with self._database.transaction() as connection:
            for batch in batches([*ids]):
                wanted = _VALID.where(API_TOKENS.c.id.in_(batch))
                found += map(_token, connection.execute(wanted).mappings())
        return found

    def add(self, token: ApiToken, most: int) -> bool:
        """Store a new token; expired ones that are not listed any more are deleted.

        Args:
            token: The token.
            most: Most tokens of one admin.

        Returns:
            Whether it was stored; False: the admin has as many already.

        Raises:
            ServerDown: If the database does not respond.
        """
        is_own = API_TOKENS.c.admin == token.admin
        held = sql.select(API_TOKENS.c.id).where(is_own).order_by(API_TOKENS.c.id)
        own = sql.select(sql.func.count()).where(is_own)
        row = asdict(token) | {name: ",".join(getattr(token, name)) for name in _LISTS}
        old = API_TOKENS.c.expires < token.created - KEPT

        def store(connection: sql.Connection) -> bool:
            connection.execute(sql.delete(API_TOKENS).where(old))
            # A second request of this admin waits here, and then counts the token of the first. Of
            # an admin without tokens there is no row to wait for: the first ones may be too many.
            connection.execute(held.with_for_update()).all()
            if connection.execute(own).scalar_one() >= most:
                return False
            connection.execute(sql.insert(API_TOKENS).values(row))
            return True

        return self._database.write(store)

    def tokens(self, admin: str | None = None) -> list[ApiToken]:
        """Return the tokens of an admin, or of all, the oldest first.

        Raises:
            ServerDown: If the database does not respond.
        """
        wanted = sql.select(API_TOKENS).order_by(API_TOKENS.c.created, API_TOKENS.c.id)
        if admin is not None:
            wanted = wanted.where(API_TOKENS.c.admin == admin)
        with self._database.transaction() as connection:
            return [_token(row) for row in connection.execute(wanted).mappings()]

    def delete(self, ids: Iterable[str]) -> set[str]:
        """Delete tokens, with those that they created, directly or not; return the ids of all.

        Raises:
            ServerDown: If the database does not respond.
        """

        def drop(connection: sql.Connection) -> set[str]:
            rows = connection.execute(sql.select(API_TOKENS.c.id, API_TOKENS.c.parent))
            parents = {row.id: row.parent for row in rows}
            gone = with_descendants(parents.keys() & {*ids}, parents)
            connection.execute(sql.delete(API_TOKENS).where(API_TOKENS.c.id.in_(gone)))
            return gone

        return self._database.write(drop)


def _token(row: Any) -> ApiToken:
    values = dict(row)
    return ApiToken(**values | {name: _words(values[name]) for name in _LISTS})


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))
