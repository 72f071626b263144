"""Tables of Amavisd's database."""

from dataclasses import dataclass

import sqlalchemy as sql

from iredldap.dit.wblist import Colour, Direction
from iredldap.gateways.sql.revert import Dependent


class _Octets(sql.TypeDecorator[str]):
    """Text in a binary column, compared byte by byte."""

    impl = sql.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sql.Dialect) -> bytes | None:
        return None if value is None else value.encode()

    def process_result_value(self, value: bytes | None, dialect: sql.Dialect) -> str | None:
        return None if value is None else value.decode(errors="replace")


_METADATA = sql.MetaData()
USERS = sql.Table(
    "users",
    _METADATA,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("priority", sql.Integer),
    sql.Column("policy_id", sql.Integer),
    sql.Column("email", _Octets),
)
ADDRESSES = sql.Table(
    "mailaddr",
    _METADATA,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("priority", sql.Integer),
    sql.Column("email", _Octets),
)
_TEXTS = (
    "bypass_spam_checks", "spam_lover", "spam_quarantine_to", "spam_subject_tag2",
    "bypass_virus_checks", "virus_lover", "virus_quarantine_to",
    "bypass_banned_checks", "banned_files_lover", "banned_quarantine_to", "banned_rulenames",
    "bypass_header_checks", "bad_header_lover", "bad_header_quarantine_to",
)  # fmt: skip
_SCORES = ("spam_tag_level", "spam_tag2_level", "spam_kill_level")
POLICIES = sql.Table(
    "policy",
    _METADATA,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("policy_name", sql.String(255)),
    *(sql.Column(name, sql.String(64)) for name in _TEXTS),
    *(sql.Column(name, sql.Float) for name in _SCORES),
)
NO_POLICY = 0
"""Set explicitly: a new row of `users` would get the global policy, at its own priority."""


@dataclass(frozen=True)
class ListTable:
    """A table of list members: a row of `users`, one of `mailaddr`, and the colour."""

    table: sql.Table
    account: sql.Column[int]
    address: sql.Column[int]

    @classmethod
    def of(cls, name: str, account: str, address: str) -> "ListTable":
        numbers = (sql.Column(column, sql.Integer, primary_key=True) for column in ("rid", "sid"))
        table = sql.Table(name, _METADATA, *numbers, sql.Column("wb", sql.String(10)))
        return cls(table, table.c[account], table.c[address])

    def on(self, account: int, colour: Colour) -> sql.ColumnElement[bool]:
        """Return the condition for the rows of one list."""
        return sql.and_(self.account == account, self.table.c.wb == colour.letter)


LISTS = {
    Direction.INBOUND: ListTable.of("wblist", account="rid", address="sid"),
    Direction.OUTBOUND: ListTable.of("outbound_wblist", account="sid", address="rid"),
}
DEPENDENTS = {
    USERS.name: tuple(Dependent(pairs.table.name, pairs.account.name) for pairs in LISTS.values()),
    ADDRESSES.name: tuple(
        Dependent(pairs.table.name, pairs.address.name) for pairs in LISTS.values()
    ),
    POLICIES.name: (Dependent(USERS.name, "policy_id"),),
}
"""What refers to which row: a row stays as long as others need it."""
