"""The database of iRedAdmin: deleted mailboxes, used quota, last logins and the admin log.

Dovecot writes quota and logins; a job of iRedMail removes the mailboxes that are due.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from itertools import chain, islice
from typing import Any, NamedTuple

import sqlalchemy as sql
import structlog

from iredldap.config.settings import Secret
from iredldap.dit import mailbox
from iredldap.errors import InvalidParameter, ServerDown
from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.gateway import Gateway
from iredldap.gateways.sql.prepared import Prepared
from iredldap.gateways.sql.statements import batches, counts, move_rows
from iredldap.gateways.sql.tables import from_script
from iredldap.gateways.tables.deleted_mailboxes import (
    ROWS,
    YOUNG_ROWS,
    DeletedMailbox,
    remember,
    touching,
)
from iredldap.gateways.tables.iredadmin import (
    CONFIRMS,
    DELETED,
    LOG,
    LOGINS,
    OWNERSHIP,
    QUOTA,
    SETTINGS,
    SHARES,
    SHARES_WIDTH,
    SHARES_WITH_ALL,
)
from iredldap.shipped import shipped

log = structlog.get_logger("iredldap.iredadmin")

_FEW = 20
"""Directories that one statement compares; for more, all rows are read and compared here."""

Condition = tuple[sql.Table, sql.ColumnElement[bool]]
"""A table, and which of its rows."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Dovecot's records of a mailbox: size, and last logins in seconds since 1970 or None."""

    bytes: int = 0
    messages: int = 0
    imap: int | None = None
    pop3: int | None = None
    lda: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of the admin log; `timestamp` is UTC."""

    timestamp: datetime
    admin: str
    ip: str
    domain: str = ""
    username: str = ""
    event: str
    loglevel: str = "info"
    msg: str


_LONGEST_TEXT = 255
"""Characters that fit into every column of text, in each release; an address may be longer."""


def _plain(line: LogLine) -> LogLine:
    """Return a line that fits into any table: in ASCII, with other characters escaped, and cut off.

    The table of an older installation has a character set of its own (utf8mb3, latin1).
    """
    values = asdict(line)
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    plain = {
        name: value.encode("ascii", "backslashreplace").decode().replace("\0", "\\0")
        for name, value in texts.items()
    }
    return LogLine(**values | {name: value[:_LONGEST_TEXT] for name, value in plain.items()})


_NEW_LINE = Prepared(sql.insert(LOG), (column.name for column in fields(LogLine)))
_COLUMNS_OF_LINE = tuple(column.name for column in fields(LogLine))


class _UsageRows(NamedTuple):
    """A table with Dovecot's records of mailboxes: columns, and queries for one and for several."""

    table: str
    columns: tuple[str, ...]
    of_one: Prepared
    of_several: sql.Select[Any]


def _usages_of(table: sql.Table, *wanted: str) -> _UsageRows:
    """Return the queries for some columns of a table."""
    query = sql.select(table.c.username, *(table.c[name] for name in wanted))
    several = table.c.username.in_(sql.bindparam("mails", expanding=True))
    one = table.c.username == sql.bindparam("mail")
    return _UsageRows(table.name, wanted, Prepared(query.where(one)), query.where(several))


# Built once: every response that shows a user needs them.
_USAGES = (
    _usages_of(QUOTA, "bytes", "messages"),
    _usages_of(LOGINS, "imap", "pop3", "lda"),
)
_YOUNG_MAILBOXES = Prepared(YOUNG_ROWS)


class Iredadmin(Gateway):
    """Deleted mailboxes, used quota, last logins and the admin log.

    Args:
        url: SQLAlchemy URL; read on first use.
    """

    def __init__(self, url: Secret) -> None:
        make = from_script(shipped("schema/iredadmin.sqlite.sql"))
        # Deletes no row, but waits for a lock on the table.
        touch = sql.delete(LOG).where(sql.false())
        super().__init__(Database("iredadmin", url, make, lambda: touch))

    @property
    def remembers_mailboxes(self) -> bool:
        """Whether it has a table of deleted mailboxes; older ones on PostgreSQL do not.

        Raises:
            ServerDown: If it does not answer.
        """
        return bool(self._database.columns(DELETED.name))

    def remember_mailboxes(
        self, mailboxes: Sequence[DeletedMailbox], due: date | None, admin: str
    ) -> None:
        """Record mailboxes of deleted accounts; those recorded before are updated.

        Args:
            mailboxes: The mailboxes.
            due: When the files may be removed; None: never.
            admin: The admin who deleted the accounts.

        Raises:
            ServerDown: If that fails; also if there is no table for it and a day was given.
        """
        # Releases differ: PostgreSQL had no such table for long, and sizes came later.
        columns = self._database.columns(DELETED.name)
        if not columns and due is None:
            names = [one.username for one in mailboxes]
            log.warning("no table deleted_mailboxes", kept=names)
            return
        for batch in batches(mailboxes):
            self._database.write(lambda c: remember(c, batch, due, admin, columns))  # noqa: B023

    def written_down(
        self, paths: Sequence[str], since: datetime | None = None
    ) -> dict[int, DeletedMailbox]:
        """Return deleted mailboxes that are one of some directories, inside one or contain one.

        Args:
            paths: Normalised directories.
            since: Local time; rows written earlier are left out, for which there is an index.

        Returns:
            The mailboxes, as they were recorded, by the id of the row; may include some that
            overlap none of the directories.

        Raises:
            ServerDown: If the database does not respond.
        """
        if not paths:
            return {}
        rows: Sequence[Sequence[Any]]
        try:
            if since:
                # These are few: comparing them here is faster than a condition for each directory.
                (rows,) = self._database.rows([_YOUNG_MAILBOXES], {"since": since})
            else:
                wanted = ROWS.where(touching(paths)) if len(paths) <= _FEW else ROWS
                rows = self._database.read(lambda connection: connection.execute(wanted).all())
        except ServerDown as ex:
            # Without the table no mailbox is ever removed, so none is in the way either.
            if (ex.report or {}).get("missing_table") == DELETED.name:
                return {}
            raise
        return {number: DeletedMailbox(*row) for number, *row in rows}

    def reclaim_mailboxes(self, maildirs: Iterable[str], *, inside: bool = True) -> None:
        """Delete the records of deleted mailboxes that overlap those of existing accounts.

        Args:
            maildirs: Directories of existing accounts.
            inside: Whether to delete records of mailboxes inside such a directory, too.

        Raises:
            ServerDown: If that fails.
        """
        paths = filter(None, map(mailbox.normalized, maildirs))
        first = [*islice(paths, _FEW + 1)]
        rows = self.written_down(first)
        at: dict[str, list[int]] = {}
        for number, row in rows.items():
            at.setdefault(mailbox.normalized(row.maildir), []).append(number)
        # Indexed by row: there are fewer rows than accounts, which come one by one.
        path_set = mailbox.PathSet(at)
        overlapping = {
            path
            for used in chain(first, paths)
            for path in path_set.overlapping(used)
            if inside or used.startswith(path)
        }
        gone = [number for path in sorted(overlapping) for number in at[path]]
        for batch in batches(gone):
            removal = sql.delete(DELETED).where(DELETED.c.id.in_(batch))
            self._database.write(lambda connection: connection.execute(removal))  # noqa: B023

    def usages(self, mails: Sequence[str]) -> dict[str, Usage]:
        """Read Dovecot's records of mailboxes; one that was never used is absent.

        Args:
            mails: Their addresses, in lower case.

        Raises:
            ServerDown: If the database does not respond.
        """
        found: dict[str, dict[str, Any]] = {}
        asked = [one for one in _USAGES if self._database.columns(one.table)]
        for batch in batches(mails) if asked else ():
            for one, rows in zip(asked, self._usage_rows(asked, batch), strict=True):
                for mail, *values in rows:
                    # Two tables, two rows: either may be missing.
                    found.setdefault(mail.lower(), {}).update(zip(one.columns, values, strict=True))
        return {mail: _usage(row) for mail, row in found.items()}

    def _usage_rows(
        self, asked: Sequence[_UsageRows], mails: Sequence[str]
    ) -> list[list[Sequence[Any]]]:
        if len(mails) == 1:
            return self._database.rows([one.of_one for one in asked], {"mail": mails[0]})
        with self._database.transaction() as connection:
            return [[*connection.execute(one.of_several, {"mails": mails})] for one in asked]

    def write_log(self, line: LogLine) -> None:
        """Write a line of the admin log; if the table refuses it, in ASCII and cut off.

        Raises:
            InvalidParameter: If it refuses that, too.
            ServerDown: If that fails.
        """
        try:
            self._insert(line)
        except InvalidParameter as refusal:
            log.warning("a line of the admin log was refused", detail=refusal.detail)
            self._insert(_plain(line))

    def write_logs(self, lines: Sequence[LogLine]) -> None:
        """Write lines of the admin log in one transaction; one by one, if the table refuses one.

        Raises:
            InvalidParameter, ServerDown: As `write_log`.
        """
        rows = [{name: getattr(line, name) for name in _COLUMNS_OF_LINE} for line in lines]
        try:
            self._database.write(lambda connection: connection.execute(sql.insert(LOG), rows))
        except InvalidParameter:
            for line in lines:
                self.write_log(line)

    def _insert(self, line: LogLine) -> None:
        # Not `asdict`, which makes deep copies.
        row = {column: getattr(line, column) for column in _COLUMNS_OF_LINE}
        self._database.execute(_NEW_LINE, row)

    def forget(self, mail: str) -> None:
        """Delete all data of an account that is deleted, so that a later one does not inherit it.

        Raises:
            ServerDown: If that fails.
        """
        self._delete(*_of(mail))

    def count(self, mail: str) -> dict[str, int]:
        """Count what `forget` would delete of each table; tables without any are left out.

        Raises:
            ServerDown: If the database does not respond.
        """
        return self._count(*_of(mail))

    def count_domain(self, name: str) -> dict[str, int]:
        """Count what `forget_domain` would delete, as `count` does."""
        return self._count(*_of_domain(name))

    def forget_domain(self, name: str) -> None:
        """Delete all data of a domain that is deleted, and of every account in it.

        A verified ownership is kept.

        Raises:
            ServerDown: If that fails.
        """
        self._delete(*_of_domain(name))

    def move(self, old: str, new: str) -> None:
        """Rename an address: all its data belongs to the new one.

        Data of a table whose columns are too short for the new one is deleted.

        Raises:
            ServerDown: If that fails.
        """
        domain = {"domain": new.rpartition("@")[2]}
        moves: tuple[tuple[sql.Table, str, tuple[str, ...], dict[str, str]], ...] = (
            (QUOTA, "username", (), domain),
            (LOGINS, "username", (), domain),
            (SHARES, "from_user", ("to_user",), {}),
            (SHARES, "to_user", ("from_user",), {}),
            (SHARES_WITH_ALL, "from_user", (), {}),
            (SETTINGS, "account", ("k",), {}),
            (OWNERSHIP, "admin", ("domain", "alias_domain"), {}),
        )
        present = [move for move in moves if self._database.columns(move[0].name)]

        def work(connection: sql.Connection) -> None:
            for table, column, rest, others in present:
                # MariaDB would cut the name, or refuse it, by its mode.
                if table is SHARES and len(new) > SHARES_WIDTH:
                    connection.execute(sql.delete(table).where(table.c[column] == old))
                else:
                    move_rows(connection, table.c[column], rest, old, {column: new, **others})

        self._database.write(work)

    def _count(self, *conditions: Condition) -> dict[str, int]:
        return self._database.read(lambda opened: counts(opened, self._present(conditions)))

    def _present(self, conditions: Iterable[Condition]) -> list[Condition]:
        """Return those whose tables this release of iRedAdmin has."""
        return [row for row in conditions if self._database.columns(row[0].name)]

    def _delete(self, *conditions: Condition) -> None:
        present = self._present(conditions)

        def work(connection: sql.Connection) -> None:
            for table, condition in present:
                connection.execute(sql.delete(table).where(condition))

        self._database.write(work)


def _of(mail: str) -> tuple[Condition, ...]:
    """Return the rows about an account."""
    return (
        (QUOTA, QUOTA.c.username == mail),
        (LOGINS, LOGINS.c.username == mail),
        (SHARES, sql.or_(SHARES.c.from_user == mail, SHARES.c.to_user == mail)),
        (SHARES_WITH_ALL, SHARES_WITH_ALL.c.from_user == mail),
        (SETTINGS, SETTINGS.c.account == mail),
        (OWNERSHIP, OWNERSHIP.c.admin == mail),
        (CONFIRMS, CONFIRMS.c.mail == mail),
    )


def _of_domain(name: str) -> tuple[Condition, ...]:
    """Return the rows about a domain and every account in it."""

    def within(column: sql.Column[Any]) -> sql.ColumnElement[bool]:
        return column.endswith(f"@{name}", autoescape=True)

    named = sql.or_(OWNERSHIP.c.domain == name, OWNERSHIP.c.alias_domain == name)
    return (
        (QUOTA, QUOTA.c.domain == name),
        (LOGINS, LOGINS.c.domain == name),
        (SHARES, sql.or_(within(SHARES.c.from_user), within(SHARES.c.to_user))),
        (SHARES_WITH_ALL, within(SHARES_WITH_ALL.c.from_user)),
        (SETTINGS, sql.or_(SETTINGS.c.account == name, within(SETTINGS.c.account))),
        (OWNERSHIP, sql.and_(named, OWNERSHIP.c.verified != 1)),
        (CONFIRMS, within(CONFIRMS.c.mail)),
    )


def _usage(row: Mapping[str, Any]) -> Usage:
    # Dovecot writes negative sizes at times.
    sizes = {name: max(row.get(name) or 0, 0) for name in ("bytes", "messages")}
    return Usage(**{**row, **sizes})
