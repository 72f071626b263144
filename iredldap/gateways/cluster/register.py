"""The row of the agreed writer in the state database, and the history of its epochs.

Each change is conditional on the row being the one that was seen (compare and set), in one
statement of a transaction. Ages are computed by the database, from its own clock.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from iredldap.dit.csn import CsnVector
from iredldap.gateways.cluster.decision import Action, Enter, Found, Promote, after
from iredldap.gateways.cluster.view import Mode, Times, WriterRow
from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.statements import upsert
from iredldap.gateways.tables.directory_writer import DIRECTORY_COMPARISONS as _COMPARISONS
from iredldap.gateways.tables.directory_writer import DIRECTORY_EPOCHS as _EPOCHS
from iredldap.gateways.tables.directory_writer import DIRECTORY_STANDBY as _STANDBY
from iredldap.gateways.tables.directory_writer import DIRECTORY_WRITER as _WRITER

_SEEN_EVERY = 400
"""Milliseconds between two notes that the writer was seen, of all workers together."""

_FORSAKEN = 10_000
"""Milliseconds without a sign of life after which another worker compares the servers."""


# A machine that is cut off in the middle of a transaction holds the row until the server notices
# that, after a minute; its writer would be replaced no sooner.
_BOUNDS = {
    "postgresql": (
        sql.text(
            "SELECT set_config('idle_in_transaction_session_timeout', '1s', true),"
            " set_config('lock_timeout', '1s', true)"
        ),
    ),
    "mariadb": (
        sql.text("SET SESSION idle_transaction_timeout = 1, innodb_lock_wait_timeout = 1"),
    ),
    "mysql": (sql.text("SET SESSION innodb_lock_wait_timeout = 1"),),
}

T = TypeVar("T")


class _Now(FunctionElement[int]):
    """Milliseconds since 1970 by the clock of the database, which the transaction does not stop."""

    # A function: with another kind of element SQLAlchemy would compile the statement each time.
    type = sql.BigInteger()
    inherit_cache = True


@compiles(_Now, "postgresql")
def _postgresql(*_: object, **__: object) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"


@compiles(_Now, "mysql")
@compiles(_Now, "mariadb")
def _mariadb(*_: object, **__: object) -> str:
    return "CAST(unix_timestamp(now(6)) * 1000 AS signed)"


@compiles(_Now, "sqlite")
def _sqlite(*_: object, **__: object) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS integer)"


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch of the history.

    `began` is in milliseconds since 1970, by the clock of the database; `vector` is the contextCSN
    that the writer had then, and `server_id` is None until it has written.
    """

    number: int
    uri: str
    began: int
    vector: CsnVector
    server_id: int | None
    forced: bool
    node: str


@dataclass(frozen=True, slots=True)
class JoiningReport:
    """What the comparison has found by which a standby is joined.

    `differing` is the number of entries, None: not known yet; `examples` tells of some of them.
    """

    differing: int | None
    examples: tuple[str, ...]


class WriterRegister:
    """The row of one directory.

    Args:
        database: The state database, in MariaDB or PostgreSQL.
        node: The name of this machine, for the history.
        key: Which directory.
    """

    def __init__(self, database: Database, node: str, key: str = "directory") -> None:
        self._database = database
        self._node = node
        self._key = key
        beside = sql.and_(_STANDBY.c.key == key, _STANDBY.c.epoch == _WRITER.c.epoch)
        named = sql.outerjoin(_WRITER, _STANDBY, beside)
        self._row = sql.select(
            _WRITER.c.epoch,
            _WRITER.c.serial,
            _WRITER.c.uri,
            _WRITER.c.usable,
            _WRITER.c.mode,
            _WRITER.c.lease,
            _WRITER.c.wait,
            (_Now() - _WRITER.c.seen_at).label("unseen"),
            (_Now() - _WRITER.c.mode_at).label("mode_age"),
            sql.func.coalesce(_STANDBY.c.uri, "").label("standby"),
        )
        self._row = self._row.select_from(named).where(_WRITER.c.key == key)

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.close()

    def _write(self, change: Callable[[sql.Connection], T]) -> T:
        """Change rows, in a transaction that does not outlast its client for long."""

        def bounded(connection: sql.Connection) -> T:
            for statement in _bounds(connection.dialect):
                connection.execute(statement)
            return change(connection)

        return self._database.write(bounded)

    def read(self) -> WriterRow | None:
        """Read the row; None: there is none.

        Raises:
            ServerDown: If the database does not respond.
        """
        return self._database.read(self._read)

    def _read(self, connection: sql.Connection) -> WriterRow | None:
        row = connection.execute(self._row).first()
        if row is None:
            return None
        return WriterRow(
            epoch=row.epoch,
            serial=row.serial,
            uri=row.uri,
            usable=row.usable,
            mode=Mode(row.mode),
            lease=row.lease / 1000,
            wait=row.wait / 1000,
            unseen=float(row.unseen) / 1000,
            mode_age=float(row.mode_age) / 1000,
            standby=row.standby,
        )

    def change_row(
        self, action: Action, times: Times, vector: CsnVector | None = None, *, forced: bool = False
    ) -> bool:
        """Change the row, if it is the one that the action was decided on.

        Args:
            action: What to change.
            times: The settings of this worker.
            vector: The contextCSN of the writer of an epoch that begins.
            forced: Whether an admin has ordered it.

        Returns:
            Whether it was changed.

        Raises:
            ServerDown: If the database does not respond; it may have been changed.
        """
        seen = None if isinstance(action, Found) else action.row
        row = after(seen, action, times)
        assert row
        values = {
            "epoch": row.epoch,
            "serial": row.serial,
            "uri": row.uri,
            "usable": row.usable,
            "mode": str(row.mode),
            "lease": round(row.lease * 1000),
            "wait": round(row.wait * 1000),
            "node": self._node,
        }

        def change(connection: sql.Connection) -> bool:
            if isinstance(action, Found):
                # The row may have been deleted; the numbers of its epochs are not used again.
                values["epoch"] = self._next_epoch(connection)
            if not self._set(connection, action, seen, values):
                return False
            if isinstance(action, Found | Promote):
                epoch = {"epoch": values["epoch"], "uri": row.uri, "forced": forced}
                connection.execute(sql.insert(_EPOCHS).values(self._epoch(epoch, vector)))
            if row.standby != (seen.standby if seen else ""):
                beside = {"key": self._key, "epoch": values["epoch"], "uri": row.standby}
                upsert(connection, _STANDBY, [beside], ("key",), ("epoch", "uri"))
            return True

        return self._write(change)

    def _set(
        self,
        connection: sql.Connection,
        action: Action,
        seen: WriterRow | None,
        values: dict[str, object],
    ) -> bool:
        if isinstance(action, Found | Promote | Enter):
            values = {**values, "mode_at": _Now()}
        if isinstance(action, Found | Promote):
            values = {**values, "seen_at": _Now()}
        if seen is None:
            return _inserted(connection, _WRITER, {"key": self._key, **values})
        same = sql.and_(
            _WRITER.c.key == self._key,
            _WRITER.c.epoch == seen.epoch,
            _WRITER.c.serial == seen.serial,
        )
        return connection.execute(sql.update(_WRITER).where(same).values(values)).rowcount == 1

    def _next_epoch(self, connection: sql.Connection) -> int:
        last = sql.select(sql.func.max(_EPOCHS.c.epoch)).where(_EPOCHS.c.key == self._key)
        return (connection.scalar(last) or 0) + 1

    def _epoch(self, epoch: dict[str, object], vector: CsnVector | None) -> dict[str, object]:
        return {
            "key": self._key,
            "began_at": _Now(),
            "vector": " ".join(vector or ()),
            "node": self._node,
            **epoch,
        }

    def note_seen(self, row: WriterRow) -> None:
        """Note that the writer of an epoch answers; the notes of all workers are made in turn.

        Args:
            row: As it was read a moment ago; nothing happens where it has a note that is new.

        Raises:
            ServerDown: If the database does not respond.
        """
        if row.unseen * 1000 < _SEEN_EVERY:
            return
        overdue = sql.and_(
            _WRITER.c.key == self._key,
            _WRITER.c.epoch == row.epoch,
            _WRITER.c.seen_at < _Now() - _SEEN_EVERY,
        )
        change = sql.update(_WRITER).where(overdue).values(seen_at=_Now())
        self._write(lambda connection: connection.execute(change).rowcount)

    def note_server_id(self, epoch: int, server_id: int) -> int:
        """Note the server id of the writer of an epoch, which its first write has shown.

        Returns:
            That of the first write.

        Raises:
            ServerDown: If the database does not respond.
        """
        ours = sql.and_(_EPOCHS.c.key == self._key, _EPOCHS.c.epoch == epoch)
        unknown = sql.and_(ours, _EPOCHS.c.server_id.is_(None))

        def note(connection: sql.Connection) -> int | None:
            connection.execute(sql.update(_EPOCHS).where(unknown).values(server_id=server_id))
            return connection.scalar(sql.select(_EPOCHS.c.server_id).where(ours))

        found = self._write(note)
        return server_id if found is None else found

    def claim_comparison(self, row: WriterRow, worker: str) -> bool:
        """Claim the comparison for a row, or give a sign of life: one worker makes it.

        Raises:
            ServerDown: If the database does not respond.
        """
        mine = {"worker": worker, "alive_at": _Now()}
        fresh = {"epoch": row.epoch, "serial": row.serial, "differing": None, "examples": "[]"}
        same = sql.and_(_COMPARISONS.c.epoch == row.epoch, _COMPARISONS.c.serial == row.serial)
        forsaken = _COMPARISONS.c.alive_at < _Now() - _FORSAKEN

        def claim(connection: sql.Connection) -> bool:
            ours = sql.update(_COMPARISONS).where(_COMPARISONS.c.key == self._key)
            for condition, values in (
                (sql.and_(same, sql.or_(_COMPARISONS.c.worker == worker, forsaken)), mine),
                (sql.not_(same), {**mine, **fresh}),
            ):
                if connection.execute(ours.where(condition).values(values)).rowcount == 1:
                    return True
            return _inserted(connection, _COMPARISONS, {"key": self._key, **mine, **fresh})

        return self._write(claim)

    def note_comparison(self, row: WriterRow, differing: int, examples: Sequence[str]) -> None:
        """Note what the comparison for a row has found.

        Raises:
            ServerDown: If the database does not respond.
        """
        change = (
            sql.update(_COMPARISONS)
            .where(
                _COMPARISONS.c.key == self._key,
                _COMPARISONS.c.epoch == row.epoch,
                _COMPARISONS.c.serial == row.serial,
            )
            .values(differing=differing, examples=json.dumps(examples))
        )
        self._write(lambda connection: connection.execute(change).rowcount)

    def comparison(self, row: WriterRow) -> JoiningReport | None:
        """Return what the comparison for a row has found; None: there is none.

        Raises:
            ServerDown: If the database does not respond.
        """
        wanted = sql.select(_COMPARISONS.c.differing, _COMPARISONS.c.examples).where(
            _COMPARISONS.c.key == self._key,
            _COMPARISONS.c.epoch == row.epoch,
            _COMPARISONS.c.serial == row.serial,
        )
        found = self._database.read(lambda connection: connection.execute(wanted).first())
        if found is None:
            return None
        return JoiningReport(found.differing, tuple(json.loads(found.examples)))

    def epochs(self) -> list[Epoch]:
        """Return the history, the first epoch first.

        Raises:
            ServerDown: If the database does not respond.
        """
        wanted = sql.select(_EPOCHS).where(_EPOCHS.c.key == self._key).order_by(_EPOCHS.c.epoch)
        found: Callable[[sql.Connection], list[Epoch]] = lambda connection: [  # noqa: E731
            Epoch(
                row.epoch,
                row.uri,
                row.began_at,
                CsnVector.of(row.vector.split()),
                row.server_id,
                row.forced,
                row.node,
            )
            for row in connection.execute(wanted)
        ]
        return self._database.read(found)


def _bounds(dialect: sql.Dialect) -> tuple[sql.TextClause, ...]:
    is_mariadb = getattr(dialect, "is_mariadb", False)
    return _BOUNDS.get("mariadb" if is_mariadb else dialect.name, ())


def _inserted(connection: sql.Connection, table: sql.Table, values: dict[str, object]) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(sql.insert(table).values(values))
    except IntegrityError:
        # Another worker was quicker.
        return False
    return True
