"""The database of iRedAdmin: deleted mailboxes, used quota, last logins and the admin log.

Dovecot writes quota and logins, a job of iRedMail's removes the mailboxes that are due.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from itertools import chain, islice
from typing import Any

import sqlalchemy as sql
import structlog
from sqlalchemy.dialects import sqlite

from iredldap.config.settings import Secret
from iredldap.dit import mailbox
from iredldap.errors import InvalidParameter, ServerDown
from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.statements import batches, move_rows
from iredldap.gateways.sql.tables import from_script
from iredldap.shipped import shipped

log = structlog.get_logger("iredldap.iredadmin")

_METADATA = sql.MetaData()
_WITHOUT_FRACTION = sqlite.DATETIME(truncate_microseconds=True)  # type: ignore[no-untyped-call]
_SECONDS = sql.DateTime().with_variant(_WITHOUT_FRACTION, "sqlite")


def _table(name: str, *texts: str, **others: Any) -> sql.Table:
    columns: list[sql.Column[Any]] = [sql.Column(text, sql.String) for text in texts]
    columns += [sql.Column(column, type_) for column, type_ in others.items()]
    return sql.Table(name, _METADATA, *columns)


_DELETED = _table(
    "deleted_mailboxes", "username", "domain", "maildir", "admin",
    id=sql.BigInteger(), bytes=sql.BigInteger(), messages=sql.BigInteger(), delete_date=sql.Date(),
    timestamp=_SECONDS,
)  # fmt: skip
_QUOTA = _table(
    "used_quota", "username", "domain", bytes=sql.BigInteger(), messages=sql.BigInteger()
)
_LOGINS = _table(
    "last_login", "username", "domain",
    imap=sql.BigInteger(), pop3=sql.BigInteger(), lda=sql.BigInteger(),
)  # fmt: skip
_SHARES = _table("share_folder", "from_user", "to_user")
_SHARES_WIDTH = 150
"""Characters of an account in it; Dovecot writes the row anew when a folder is shared again."""
_SHARES_WITH_ALL = _table("anyone_shares", "from_user")
_SETTINGS = _table("settings", "account", "k")
_OWNERSHIP = _table("domain_ownership", "admin", "domain", "alias_domain", verified=sql.Integer())
_CONFIRMS = _table("newsletter_subunsub_confirms", "mail")
_LOG = _table(
    "log", "admin", "ip", "domain", "username", "event", "loglevel", "msg", timestamp=_SECONDS
)


_FEW = 20
"""Directories that a statement names; of more, all rows are read and compared here."""


@dataclass(frozen=True, slots=True)
class DeletedMailbox:
    """A mailbox whose account goes: the address, and the directory it lies in."""

    username: str
    domain: str
    maildir: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What Dovecot knows of a mailbox: its size, and seconds since 1970; None: never."""

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
"""Characters that every column of text takes, in each release; an address may have more."""


def _plain(line: LogLine) -> LogLine:
    """Return a line that each table takes: in ASCII, with other characters as escapes, and short.

    The table of an older installation has a character set of its own (utf8mb3, latin1).
    """
    values = asdict(line)
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    plain = {
        name: value.encode("ascii", "backslashreplace").decode().replace("\0", "\\0")
        for name, value in texts.items()
    }
    return LogLine(**values | {name: value[:_LONGEST_TEXT] for name, value in plain.items()})


_NEW_LINE = sql.insert(_LOG)
_COLUMNS_OF_LINE = tuple(column.name for column in fields(LogLine))

# Made once: every answer that shows a user asks them.
_USAGES = tuple(
    (table, wanted, sql.select(table.c.username, *(table.c[name] for name in wanted)).where(named))
    for table, wanted in ((_QUOTA, ("bytes", "messages")), (_LOGINS, ("imap", "pop3", "lda")))
    for named in [table.c.username.in_(sql.bindparam("mails", expanding=True))]
)

_ROWS = sql.select(_DELETED.c.id, _DELETED.c.username, _DELETED.c.domain, _DELETED.c.maildir).where(
    _DELETED.c.maildir != ""
)
_YOUNG_ROWS = _ROWS.where(_DELETED.c.timestamp >= sql.bindparam("since"))


class Iredadmin:
    """Its tables.

    Args:
        url: SQLAlchemy URL; read on first use.
    """

    def __init__(self, url: Secret) -> None:
        self._database = Database(
            "iredadmin",
            url,
            from_script(shipped("schema/iredadmin.sqlite.sql")),
            # No line is deleted; who has locked the table is noticed.
            lambda: sql.delete(_LOG).where(sql.false()),
        )

    def ask(self) -> None:
        """See whether it answers.

        Raises:
            ServerDown: If it does not.
        """
        self._database.ask()

    def close(self) -> None:
        self._database.close()

    @property
    def remembers_mailboxes(self) -> bool:
        """Whether it has a table of deleted mailboxes; older ones on PostgreSQL do not.

        Raises:
            ServerDown: If it does not answer.
        """
        return bool(self._database.columns(_DELETED.name))

    def remember_mailboxes(
        self, mailboxes: Sequence[DeletedMailbox], due: date | None, admin: str
    ) -> None:
        """Write down mailboxes that nobody has any more; said again, the last word counts.

        Args:
            mailboxes: Which.
            due: When the files may be removed; None: never.
            admin: Who took the accounts away.

        Raises:
            ServerDown: If that fails; also if there is no table for it and a day was given.
        """
        columns = self._database.columns(_DELETED.name)
        if not columns and due is None:
            names = [one.username for one in mailboxes]
            log.warning("no table deleted_mailboxes", kept=names)
            return
        for batch in batches(mailboxes):
            self._database.write(lambda c: _remember(c, batch, due, admin, columns))  # noqa: B023

    def written_down(
        self, paths: Sequence[str], since: datetime | None = None
    ) -> dict[int, DeletedMailbox]:
        """Return deleted mailboxes that are equal to some directories, lie in them or hold them.

        Args:
            paths: Normalised directories.
            since: Local time; rows written earlier are left out, for which there is an index.

        Returns:
            The mailboxes, as they were written down, by the id of the row; some that touch none
            of the directories may be among them.

        Raises:
            ServerDown: If the database does not answer.
        """
        if not paths:
            return {}
        wanted, parameters = _ROWS, dict[str, object]()
        if since:
            # These are few: what touches is found among them faster than it is asked for.
            wanted, parameters = _YOUNG_ROWS, {"since": since}
        elif len(paths) <= _FEW:
            wanted = wanted.where(_touching(paths))
        try:
            rows = self._database.read(
                lambda connection: connection.execute(wanted, parameters).all()
            )
        except ServerDown as ex:
            if (ex.report or {}).get("missing_table") == _DELETED.name:
                return {}
            raise
        return {number: DeletedMailbox(*row) for number, *row in rows}

    def reclaim_mailboxes(self, maildirs: Iterable[str], *, inside: bool = True) -> None:
        """Forget that mailboxes may be removed which an account uses, lies in or holds.

        Args:
            maildirs: Directories of living accounts.
            inside: Whether to forget those that lie inside such a directory, too.

        Raises:
            ServerDown: If that fails.
        """
        paths = filter(None, map(mailbox.normalized, maildirs))
        first = [*islice(paths, _FEW + 1)]
        rows = self.written_down(first)
        at: dict[str, list[int]] = {}
        for number, row in rows.items():
            at.setdefault(mailbox.normalized(row.maildir), []).append(number)
        # Of rows there are fewer than of accounts, which are told one by one.
        path_set = mailbox.PathSet(at)
        overlapping = {
            path
            for used in chain(first, paths)
            for path in path_set.overlapping(used)
            if inside or used.startswith(path)
        }
        gone = [number for path in sorted(overlapping) for number in at[path]]
        for batch in batches(gone):
            removal = sql.delete(_DELETED).where(_DELETED.c.id.in_(batch))
            self._database.write(lambda connection: connection.execute(removal))  # noqa: B023

    def usages(self, mails: Sequence[str]) -> dict[str, Usage]:
        """Read what Dovecot wrote about mailboxes; one that was never used is absent.

        Args:
            mails: Their addresses, in lower case.

        Raises:
            ServerDown: If the database does not answer.
        """
        found: dict[str, dict[str, Any]] = {}
        asked = [one for one in _USAGES if self._database.columns(one[0].name)]
        for batch in batches(mails) if asked else ():
            with self._database.transaction() as connection:
                for _, wanted, select in asked:
                    for mail, *values in connection.execute(select, {"mails": batch}):
                        found.setdefault(mail.lower(), {}).update(zip(wanted, values, strict=True))
        return {mail: _usage(row) for mail, row in found.items()}

    def write_log(self, line: LogLine) -> None:
        """Write a line of the admin log; one that the table does not take as it is, in plain words.

        Raises:
            InvalidParameter: If it takes neither.
            ServerDown: If that fails.
        """
        try:
            self._insert(line)
        except InvalidParameter as refusal:
            log.warning("a line of the admin log was refused", detail=refusal.detail)
            self._insert(_plain(line))

    def _insert(self, line: LogLine) -> None:
        # Not by `asdict`, which copies every value deeply.
        row = {column: getattr(line, column) for column in _COLUMNS_OF_LINE}
        self._database.write(lambda connection: connection.execute(_NEW_LINE, row))

    def forget(self, mail: str) -> None:
        """Forget an account that is going: what a later one of this address must not inherit.

        Raises:
            ServerDown: If that fails.
        """
        self._delete(
            (_QUOTA, _QUOTA.c.username == mail),
            (_LOGINS, _LOGINS.c.username == mail),
            (_SHARES, sql.or_(_SHARES.c.from_user == mail, _SHARES.c.to_user == mail)),
            (_SHARES_WITH_ALL, _SHARES_WITH_ALL.c.from_user == mail),
            (_SETTINGS, _SETTINGS.c.account == mail),
            (_OWNERSHIP, _OWNERSHIP.c.admin == mail),
            (_CONFIRMS, _CONFIRMS.c.mail == mail),
        )

    def forget_domain(self, name: str) -> None:
        """Forget a domain that is going, and every account in it.

        A proof of ownership that was given outlives the domain.

        Raises:
            ServerDown: If that fails.
        """

        def within(column: sql.Column[Any]) -> sql.ColumnElement[bool]:
            return column.endswith(f"@{name}", autoescape=True)

        named = sql.or_(_OWNERSHIP.c.domain == name, _OWNERSHIP.c.alias_domain == name)
        self._delete(
            (_QUOTA, _QUOTA.c.domain == name),
            (_LOGINS, _LOGINS.c.domain == name),
            (_SHARES, sql.or_(within(_SHARES.c.from_user), within(_SHARES.c.to_user))),
            (_SHARES_WITH_ALL, within(_SHARES_WITH_ALL.c.from_user)),
            (_SETTINGS, sql.or_(_SETTINGS.c.account == name, within(_SETTINGS.c.account))),
            (_OWNERSHIP, sql.and_(named, _OWNERSHIP.c.verified != 1)),
            (_CONFIRMS, within(_CONFIRMS.c.mail)),
        )

    def move(self, old: str, new: str) -> None:
        """Let everything that is known of an address be known of another one.

        What a table has no room for under the new one is forgotten.

        Raises:
            ServerDown: If that fails.
        """
        domain = {"domain": new.rpartition("@")[2]}
        moves: tuple[tuple[sql.Table, str, tuple[str, ...], dict[str, str]], ...] = (
            (_QUOTA, "username", (), domain),
            (_LOGINS, "username", (), domain),
            (_SHARES, "from_user", ("to_user",), {}),
            (_SHARES, "to_user", ("from_user",), {}),
            (_SHARES_WITH_ALL, "from_user", (), {}),
            (_SETTINGS, "account", ("k",), {}),
            (_OWNERSHIP, "admin", ("domain", "alias_domain"), {}),
        )
        present = [move for move in moves if self._database.columns(move[0].name)]

        def work(connection: sql.Connection) -> None:
            for table, column, rest, others in present:
                if table is _SHARES and len(new) > _SHARES_WIDTH:
                    connection.execute(sql.delete(table).where(table.c[column] == old))
                else:
                    move_rows(connection, table.c[column], rest, old, {column: new, **others})

        self._database.write(work)

    def _delete(self, *conditions: tuple[sql.Table, sql.ColumnElement[bool]]) -> None:
        present = [row for row in conditions if self._database.columns(row[0].name)]

        def work(connection: sql.Connection) -> None:
            for table, condition in present:
                connection.execute(sql.delete(table).where(condition))

        self._database.write(work)


def _usage(row: Mapping[str, Any]) -> Usage:
    # Dovecot lets them fall below nothing for a moment.
    sizes = {name: max(row.get(name) or 0, 0) for name in ("bytes", "messages")}
    return Usage(**{**row, **sizes})


def _touching(paths: Sequence[str]) -> sql.ColumnElement[bool]:
    """Condition on rows for few directories; others wrote paths with capitals, or without a slash.

    One that is written with other oddities is not found, unless all rows are read.
    """
    column = sql.func.lower(_DELETED.c.maildir)
    around = {form for path in paths for form in (path, *mailbox.above(path))}
    forms = sorted(around | {form.rstrip("/") for form in around})
    inside = (column.startswith(path, autoescape=True, escape="|") for path in paths)
    return sql.or_(column.in_(forms), *inside)


def _remember(
    connection: sql.Connection,
    mailboxes: Sequence[DeletedMailbox],
    due: date | None,
    admin: str,
    columns: Iterable[str],
) -> None:
    named = _DELETED.c.username.in_([one.username for one in mailboxes])
    known = {
        (username, maildir): number
        for number, username, maildir in connection.execute(
            sql.select(_DELETED.c.id, _DELETED.c.username, _DELETED.c.maildir).where(named)
        )
    }
    again = [known[m.username, m.maildir] for m in mailboxes if (m.username, m.maildir) in known]
    values = {"delete_date": due, "admin": admin}
    if again:
        connection.execute(sql.update(_DELETED).where(_DELETED.c.id.in_(again)).values(values))
    new = [m for m in mailboxes if (m.username, m.maildir) not in known]
    if new:
        sizes = _sizes(connection, new) if "bytes" in columns else {}
        rows = [asdict(m) | values | sizes.get(m.username, {}) for m in new]
        connection.execute(sql.insert(_DELETED), rows)


def _sizes(
    connection: sql.Connection, mailboxes: Sequence[DeletedMailbox]
) -> dict[str, dict[str, int]]:
    """Size of each mailbox as Dovecot knew it, so that the row can tell when Dovecot cannot."""
    found = {one.username: {"bytes": 0, "messages": 0} for one in mailboxes}
    if not sql.inspect(connection).has_table(_QUOTA.name):
        return found
    wanted = sql.select(_QUOTA).where(_QUOTA.c.username.in_(found))
    for row in connection.execute(wanted):
        sizes = {"bytes": max(row.bytes or 0, 0), "messages": max(row.messages or 0, 0)}
        found[row.username.lower()] = sizes
    return found
