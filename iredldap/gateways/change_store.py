"""The stored change log: an intent before the first write of a change, its completion afterwards.

It is in the state database; beside an SQLite file in one of its own, whose write-ahead log needs no
flush to the disk for a commit. What was committed survives the end of every process, and a power
failure up to the last moments.

Source: `docs/decisions/0051-change-log.md`.
"""

import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sql

from iredldap.config.settings import Secret
from iredldap.dit.change_ids import first_id
from iredldap.dit.change_log import LoggedChange
from iredldap.gateways.sql.creation import creating, make_missing
from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.prepared import Prepared
from iredldap.gateways.sql.sqlite_files import file_named, has_large_log, url_beside, write_ahead
from iredldap.gateways.sql.statements import batches, upsert
from iredldap.gateways.tables.changes import (
    CHANGES,
    CHUNKS,
    IS_AN_UNDO,
    IS_OF_A_JOB,
    IS_OPEN,
    NAME_LENGTH,
    TARGETS,
    change_of,
    completion_of,
    concerns,
    last_result_of,
    row_of,
)

_BATCH = 500
"""Changes that one transaction prunes."""

_SHOWN = sql.select(*(c for c in CHANGES.c if c.name not in {"heartbeat", "pending", "touched"}))
_ENDED = ("result", "codes", "duration", "entries", "attributes", "steps", "pending", "touched")
"""Columns that the completion of a change updates."""

# Built once: each change executes them.
_FINISHING = (
    sql.update(CHANGES)
    .where(CHANGES.c.id == sql.bindparam("of"))
    .values({name: sql.bindparam(f"new_{name}") for name in _ENDED})
)
_FINISH = Prepared(_FINISHING)
_BEGIN = Prepared(
    sql.insert(CHANGES),
    {column.name for column in CHANGES.c} - {"touched"},
    # The completion is flushed, before anything is acknowledged. If the server crashes before it,
    # the worker stores the whole change once it is back; only where that is killed as well is there
    # no line of a change that nobody was told had been made.
    flushed_later=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFilter:
    """Which changes are wanted; empty and None: any.

    `since` and `until` are milliseconds since 1970, the latter exclusive, `before` the id behind
    which a page begins, and `after` that behind which the newer ones do. `account` and `domain` are
    those that the request names or that were touched, `attribute` is in lower case. `domains` are
    all that the reader may see; None: everything.
    """

    since: int | None = None
    until: int | None = None
    before: str = ""
    after: str = ""
    admin: str = ""
    token: str = ""
    account: str = ""
    domain: str = ""
    attribute: str = ""
    endpoint: str = ""
    job: str = ""
    domains: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class OpenChange:
    """A change that is not finished, with the last sign of life of its worker."""

    id: str
    heartbeat: int


@dataclass(frozen=True, slots=True)
class BegunChange:
    """A change that begins, what it may be writing, and the time, as `ChangeStore.begin`."""

    change: LoggedChange
    pending: bytes
    heartbeat: int


@dataclass(frozen=True, slots=True)
class EndedChange:
    """A change that has ended, and what it touched, as `ChangeStore.finish`."""

    change: LoggedChange
    touched: bytes
    targets: Collection[str]
    pending: bytes = b""


class ChangeStore:
    """The change log of an installation.

    Args:
        url: SQLAlchemy URL of the state database.
    """

    def __init__(self, url: Secret) -> None:
        own = url_beside(url, "changes")
        self._file = file_named(own)
        self._database = Database("change log", own, _make, _probing_row, recorded=False)

    def begin(self, change: LoggedChange, pending: bytes, heartbeat: int) -> None:
        """Store the intent of a change.

        Args:
            change: The change.
            pending: What it may be writing, as the recorder wrote it.
            heartbeat: Milliseconds since 1970.

        Raises:
            ServerDown: If the database does not respond, as every method here.
        """
        self._database.execute(_BEGIN, row_of(change, pending, heartbeat))

    def begin_several(self, begun: Sequence[BegunChange]) -> None:
        """Store the intents of several changes in one transaction."""
        rows = [row_of(one.change, one.pending, one.heartbeat) for one in begun]
        self._database.write(lambda connection: connection.execute(sql.insert(CHANGES), rows))

    def finish_several(self, ended: Sequence[EndedChange], forgotten: Collection[str] = ()) -> None:
        """Store the completions of several changes in one transaction, as `finish` stores one.

        Args:
            ended: The changes.
            forgotten: Ids of changes that did nothing, which are deleted.
        """

        def work(connection: sql.Connection) -> None:
            for one in ended:
                _finish(connection, one)
            for batch in batches([*forgotten]):
                connection.execute(sql.delete(CHANGES).where(CHANGES.c.id.in_(batch)))

        self._database.write(work)

    def intend(self, number: str, pending: bytes) -> None:
        """Replace what an open change may be writing."""
        self._change(_pending_of(number, pending))

    def add_chunk(
        self, number: str, position: int, touched: bytes, targets: Collection[str], pending: bytes
    ) -> None:
        """Store a piece of what a change has touched, and what it may be writing since.

        Args:
            number: Id of the change.
            position: Of the piece, from 0.
            touched: The piece.
            targets: Domains and addresses of accounts in it.
            pending: As `begin`.
        """

        def work(connection: sql.Connection) -> None:
            row = {"change": number, "number": position, "touched": touched}
            connection.execute(sql.insert(CHUNKS), row)
            _add_targets(connection, number, targets)
            connection.execute(_pending_of(number, pending))

        self._database.write(work)

    def finish(
        self, change: LoggedChange, touched: bytes, targets: Collection[str], pending: bytes = b""
    ) -> None:
        """Store the completion of a change; also of one whose intent could not be stored.

        Args:
            change: The change as it ended; `open`, if that is not known.
            touched: What was touched behind the last piece.
            targets: Domains and addresses of accounts in it, but those that the change names.
            pending: What may have been written, of an open one.
        """
        ended = completion_of(change, touched, pending)
        if not targets and self._database.execute(_FINISH, ended):
            return

        self._database.write(
            lambda connection: _finish(connection, EndedChange(change, touched, targets, pending))
        )

    def finish_abandoned(
        self, change: LoggedChange, touched: bytes, targets: Collection[str]
    ) -> bool:
        """Store the completion of an abandoned change, as `finish`; return whether it was open.

        Its worker may be alive after all, and have stored what it knows.
        """
        still_open = _FINISHING.where(IS_OPEN)

        def work(connection: sql.Connection) -> bool:
            if connection.execute(still_open, completion_of(change, touched, b"")).rowcount == 0:
                return False
            _add_targets(connection, change.id, targets)
            return True

        return self._database.write(work)

    def forget(self, number: str) -> None:
        """Delete a change that did nothing."""
        self._change(sql.delete(CHANGES).where(CHANGES.c.id == number))

    def beat(self, numbers: Iterable[str], now: int) -> None:
        """Store a sign of life of the worker of open changes."""
        for batch in batches([*numbers]):
            statement = sql.update(CHANGES).where(CHANGES.c.id.in_(batch)).values(heartbeat=now)
            self._change(statement)

    def abandoned(self, before: int) -> list[OpenChange]:
        """Return the open changes without a sign of life since a time, the oldest first."""
        stale = sql.and_(IS_OPEN, CHANGES.c.heartbeat < before)
        wanted = sql.select(CHANGES.c.id, CHANGES.c.heartbeat).where(stale).order_by(CHANGES.c.id)
        with self._database.transaction() as connection:
            return [OpenChange(*row) for row in connection.execute(wanted)]

    def claim(self, found: OpenChange, now: int) -> tuple[LoggedChange, bytes, bytes] | None:
        """Claim an abandoned change, unless another worker did; return it, touched and pending."""
        unchanged = sql.and_(
            CHANGES.c.id == found.id,
            IS_OPEN,
            CHANGES.c.heartbeat == found.heartbeat,
        )
        taken = sql.update(CHANGES).where(unchanged).values(heartbeat=now)

        def work(connection: sql.Connection) -> tuple[LoggedChange, bytes, bytes] | None:
            if connection.execute(taken).rowcount != 1:
                return None
            row = connection.execute(sql.select(CHANGES).where(CHANGES.c.id == found.id)).one()
            return change_of(row._mapping), row.touched or b"", row.pending or b""  # noqa: SLF001

        return self._database.write(work)

    def prune(self, before: int) -> int:
        """Delete the changes that began before a time, in milliseconds; return how many."""
        old = sql.select(CHANGES.c.id).where(CHANGES.c.id < first_id(before))

        def work(connection: sql.Connection) -> int:
            ids = [*connection.execute(old.limit(_BATCH)).scalars()]
            for column in (CHUNKS.c.change, TARGETS.c.change, CHANGES.c.id):
                for batch in batches(ids):
                    connection.execute(sql.delete(column.table).where(column.in_(batch)))
            return len(ids)

        pruned = 0
        while True:
            found = self._database.write(work)
            pruned += found
            if found < _BATCH:
                return pruned

    def find(self, wanted: ChangeFilter, limit: int) -> list[LoggedChange]:
        """Return the newest changes that match; behind `after` the oldest, oldest first."""
        ascending = bool(wanted.after)
        order = CHANGES.c.id.asc() if ascending else CHANGES.c.id.desc()
        statement = _SHOWN.where(*_conditions(wanted)).order_by(order).limit(limit)
        with self._database.transaction() as connection:
            return [change_of(row) for row in connection.execute(statement).mappings()]

    def change(self, number: str) -> LoggedChange | None:
        """Read a change by its id."""
        with self._database.transaction() as connection:
            found = connection.execute(_SHOWN.where(CHANGES.c.id == number)).mappings().first()
        return change_of(found) if found else None

    def last_result(self, endpoint: str, account: str, domain: str) -> str | None:
        """Return the result of the last change by an endpoint that names exactly these."""
        with self._database.transaction() as connection:
            found: str | None = connection.execute(
                last_result_of(endpoint, account, domain)
            ).scalar()
        return found

    def undone_by(self, number: str) -> list[LoggedChange]:
        """Return the changes that undo another one."""
        wanted = _SHOWN.where(CHANGES.c.undoes == number, IS_AN_UNDO)
        with self._database.transaction() as connection:
            return [change_of(row) for row in connection.execute(wanted).mappings()]

    def touched(self, number: str) -> Iterator[bytes]:
        """Yield what a change has touched, piece by piece, as it was stored."""
        yield from self.pieces(number)
        last = sql.select(CHANGES.c.touched).where(CHANGES.c.id == number)
        with self._database.transaction() as connection:
            rest = connection.execute(last).scalar()
        if rest:
            yield rest

    def pieces(self, number: str) -> Iterator[bytes]:
        """Yield the pieces that were stored before a change was finished."""
        position = 0
        pieces = sql.select(CHUNKS.c.touched).where(CHUNKS.c.change == number)
        while True:
            with self._database.transaction() as connection:
                piece = connection.execute(pieces.where(CHUNKS.c.number == position)).scalar()
            if piece is None:
                return
            yield piece
            position += 1

    def checkpoint(self) -> None:
        """Move what SQLite's write-ahead log has into the file, if it is large; no one waits."""
        if self._file and has_large_log(self._file):
            self._database.set_pragma("wal_checkpoint(PASSIVE)")

    def check(self) -> None:
        """Check that it can be read and written; what is written is rolled back."""
        self._database.check()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _change(self, statement: sql.Executable) -> None:
        self._database.write(lambda connection: connection.execute(statement))


def _finish(connection: sql.Connection, ended: EndedChange) -> None:
    change, touched, pending = ended.change, ended.touched, ended.pending
    completion = completion_of(change, touched, pending)
    if connection.execute(_FINISHING, completion).rowcount == 0:
        row = row_of(change, pending, change.began) | {"touched": touched}
        connection.execute(sql.insert(CHANGES), row)
    _add_targets(connection, change.id, ended.targets)


def _make(engine: sql.Engine) -> None:
    if engine.dialect.name == "sqlite":
        write_ahead(engine, is_flushed=False)
    with creating(engine) as connection:
        make_missing(connection, (CHANGES, CHUNKS, TARGETS), *CHANGES.indexes)


def _probing_row() -> sql.Executable:
    return sql.insert(TARGETS).values(target=f"probe-{secrets.token_hex(16)}", change="")


def _pending_of(number: str, pending: bytes) -> sql.Update:
    return sql.update(CHANGES).where(CHANGES.c.id == number).values(pending=pending)


def _add_targets(connection: sql.Connection, number: str, targets: Collection[str]) -> None:
    if not targets:
        return
    rows = [{"target": target[:NAME_LENGTH], "change": number} for target in sorted(targets)]
    for batch in batches(rows):
        upsert(connection, TARGETS, batch, ("target", "change"))


def _conditions(wanted: ChangeFilter) -> Iterator[sql.ColumnElement[bool]]:
    yield from _limits(wanted)
    columns = CHANGES.c
    for name in ("admin", "token", "endpoint", "job"):
        if text := getattr(wanted, name):
            yield columns[name] == text
    if wanted.job:
        yield IS_OF_A_JOB
    if wanted.account:
        yield concerns(columns.account, [wanted.account])
    if wanted.domain:
        yield concerns(columns.domain, [wanted.domain])
    if wanted.domains is not None:
        yield concerns(columns.domain, sorted(wanted.domains))
    if wanted.attribute:
        words = " " + columns.attributes + " "
        yield words.contains(f" {wanted.attribute} ", autoescape=True)


def _limits(wanted: ChangeFilter) -> Iterator[sql.ColumnElement[bool]]:
    number = CHANGES.c.id
    if wanted.since is not None:
        yield number >= first_id(wanted.since)
    if wanted.until is not None:
        yield number < first_id(wanted.until)
    if wanted.before:
        yield number < wanted.before
    if wanted.after:
        yield number > wanted.after
