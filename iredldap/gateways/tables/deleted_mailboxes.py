"""Statements on iRedAdmin's table of deleted mailboxes."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date

import sqlalchemy as sql

from iredldap.dit import mailbox
from iredldap.gateways.tables.iredadmin import DELETED, QUOTA


@dataclass(frozen=True, slots=True)
class DeletedMailbox:
    """The mailbox of a deleted account: the address, and its directory."""

    username: str
    domain: str
    maildir: str


ROWS = sql.select(
    DELETED.c.id,
    DELETED.c.username,
    DELETED.c.domain,
    DELETED.c.maildir,
).where(DELETED.c.maildir != "")
YOUNG_ROWS = ROWS.where(DELETED.c.timestamp >= sql.bindparam("since"))


def touching(paths: Sequence[str]) -> sql.ColumnElement[bool]:
    """Return a condition for rows that overlap a few directories.

    Other programs write paths with upper-case letters, or without a final slash; those are found.
    Other spellings are found only where all rows are read.
    """
    column = sql.func.lower(DELETED.c.maildir)
    around = {form for path in paths for form in (path, *mailbox.above(path))}
    forms = sorted(around | {form.rstrip("/") for form in around})
    inside = (column.startswith(path, autoescape=True, escape="|") for path in paths)
    return sql.or_(column.in_(forms), *inside)


def remember(
    connection: sql.Connection,
    mailboxes: Sequence[DeletedMailbox],
    due: date | None,
    admin: str,
    columns: Iterable[str],
) -> None:
    named = DELETED.c.username.in_([one.username for one in mailboxes])
    known = {
        (username, maildir): number
        for number, username, maildir in connection.execute(
            sql.select(DELETED.c.id, DELETED.c.username, DELETED.c.maildir).where(named)
        )
    }
    again = [known[m.username, m.maildir] for m in mailboxes if (m.username, m.maildir) in known]
    values = {"delete_date": due, "admin": admin}
    if again:
        connection.execute(sql.update(DELETED).where(DELETED.c.id.in_(again)).values(values))
    new = [m for m in mailboxes if (m.username, m.maildir) not in known]
    if new:
        sizes = _sizes(connection, new) if "bytes" in columns else {}
        rows = [asdict(m) | values | sizes.get(m.username, {}) for m in new]
        connection.execute(sql.insert(DELETED), rows)


def _sizes(
    connection: sql.Connection, mailboxes: Sequence[DeletedMailbox]
) -> dict[str, dict[str, int]]:
    """Return the size of each mailbox as Dovecot recorded it, whose own record is deleted."""
    found = {one.username: {"bytes": 0, "messages": 0} for one in mailboxes}
    if not sql.inspect(connection).has_table(QUOTA.name):
        return found
    wanted = sql.select(QUOTA).where(QUOTA.c.username.in_(found))
    for row in connection.execute(wanted):
        sizes = {"bytes": max(row.bytes or 0, 0), "messages": max(row.messages or 0, 0)}
        found[row.username.lower()] = sizes
    return found
