"""Tables of iRedAdmin's database."""

from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import sqlite

_METADATA = sql.MetaData()
_WITHOUT_FRACTION = sqlite.DATETIME(truncate_microseconds=True)  # type: ignore[no-untyped-call]
_SECONDS = sql.DateTime().with_variant(_WITHOUT_FRACTION, "sqlite")


def _table(name: str, *texts: str, **others: Any) -> sql.Table:
    columns: list[sql.Column[Any]] = [sql.Column(text, sql.String) for text in texts]
    columns += [sql.Column(column, type_) for column, type_ in others.items()]
    return sql.Table(name, _METADATA, *columns)


DELETED = _table(
    "deleted_mailboxes", "username", "domain", "maildir", "admin",
    id=sql.BigInteger(), bytes=sql.BigInteger(), messages=sql.BigInteger(), delete_date=sql.Date(),
    timestamp=_SECONDS,
)  # fmt: skip
QUOTA = _table(
    "used_quota", "username", "domain", bytes=sql.BigInteger(), messages=sql.BigInteger()
)
LOGINS = _table(
    "last_login", "username", "domain",
    imap=sql.BigInteger(), pop3=sql.BigInteger(), lda=sql.BigInteger(),
)  # fmt: skip
SHARES = _table("share_folder", "from_user", "to_user")
SHARES_WIDTH = 150
"""Maximum length of an account there; Dovecot writes the row again at the next sharing."""
SHARES_WITH_ALL = _table("anyone_shares", "from_user")
SETTINGS = _table("settings", "account", "k")
OWNERSHIP = _table("domain_ownership", "admin", "domain", "alias_domain", verified=sql.Integer())
CONFIRMS = _table("newsletter_subunsub_confirms", "mail")
LOG = _table(
    "log", "admin", "ip", "domain", "username", "event", "loglevel", "msg", timestamp=_SECONDS
)
