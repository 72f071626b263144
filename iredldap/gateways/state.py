"""Our own database: jobs, and sessions that were ended before their time.

SQLite by default, made on first use; MariaDB or PostgreSQL where several machines serve.
Transactions are short, so that SQLite's one writer is soon free again.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import sqlalchemy as sql
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.exc import IntegrityError

from iredldap.config.settings import Secret
from iredldap.errors import ServerDown
from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.statements import upsert

_METADATA = sql.MetaData()
# One row: which database this is, and when it was made, in seconds since 1970; 0 if that was before
# there was this table.
_IDENTITY = sql.Table(
    "state_identity",
    _METADATA,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("id", sql.String(32), nullable=False),
    sql.Column("born", sql.BigInteger, nullable=False),
)
_REVOKED = sql.Table(
    "revoked_sessions",
    _METADATA,
    sql.Column("id", sql.String(64), primary_key=True),
    sql.Column("expires", sql.BigInteger, nullable=False, index=True),
)
_STANDING = sql.select(_IDENTITY.c.id, _IDENTITY.c.born, _REVOKED.c.id).select_from(
    _IDENTITY.outerjoin(_REVOKED, _REVOKED.c.id == sql.bindparam("session"))
)
"""Made once: every second of every session needs it."""

# Of a whole request body: TEXT of MySQL and MariaDB ends at 64 KB.
_LONG = sql.Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")
_JOBS = sql.Table(
    "jobs",
    _METADATA,
    sql.Column("id", sql.String(64), primary_key=True),
    sql.Column("owner", sql.String(320), nullable=False),
    sql.Column("request", _LONG, nullable=False),
    # Its name in databases of earlier versions, too.
    sql.Column("course", _LONG, nullable=False, key="state"),
    sql.Column("status", sql.String(16), nullable=False, index=True),
    sql.Column("done", sql.BigInteger, nullable=False),
    sql.Column("total", sql.BigInteger),
    sql.Column("failures", sql.BigInteger, nullable=False),
    sql.Column("code", _LONG),
    sql.Column("report", _LONG),
    sql.Column("worker", sql.String(320), nullable=False),
    sql.Column("heartbeat", sql.BigInteger, nullable=False),
    sql.Column("attempts", sql.Integer, nullable=False),
    sql.Column("created", sql.BigInteger, nullable=False),
    sql.Column("finished", sql.BigInteger, index=True),
)
# By the names of `Job`: rows have those of the columns otherwise.
_WHOLE_JOB = sql.select(*(column.label(column.key) for column in _JOBS.c))
_NAMED_LOCKS = {"mysql", "mariadb"}
_MAKING = 0x6972656C64617000
"""Number of the lock that a worker holds while it makes the tables."""
_PATIENCE = 10
"""Seconds for which another one waits."""
_UNFINISHED = _JOBS.c.status.in_(("queued", "running"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A change under way in the background. Times are milliseconds since 1970.

    Its `status` is `queued`, `running`, `done` or `failed`. `request` and `state` are texts of
    `changes.jobs`: what is to be done, and how far it is. `worker` holds it and gave its last sign
    of life at `heartbeat`; nobody holds a queued one. `attempts` counts workers.
    """

    id: str
    owner: str
    request: str
    state: str = ""
    status: str = "queued"
    done: int = 0
    total: int | None = None
    failures: int = 0
    code: str | None = None
    report: str | None = None
    worker: str = ""
    heartbeat: int = 0
    attempts: int = 0
    created: int
    finished: int | None = None


@dataclass(frozen=True, slots=True)
class UnfinishedJob:
    """What tells whether an unfinished job may be claimed."""

    id: str
    owner: str
    worker: str
    heartbeat: int


class StateDatabase:
    """Jobs, and sessions that were ended.

    Args:
        url: SQLAlchemy URL; read on first use, so that a wrong one is a database that is down.
    """

    def __init__(self, url: Secret) -> None:
        self._database = Database("state", url, _make_tables, _probing_row)

    def revoke(self, session: str, until: int, now: int) -> None:
        """Remember a session as ended.

        Args:
            session: Its id.
            until: Seconds since 1970 when it would have ended by itself.
            now: Seconds since 1970; what ended by itself before is forgotten.

        Raises:
            ServerDown: If the database does not answer.
        """
        with self._database.transaction(writes=True) as connection:
            connection.execute(sql.delete(_REVOKED).where(_REVOKED.c.expires < now))
            try:
                with connection.begin_nested():
                    connection.execute(sql.insert(_REVOKED).values(id=session, expires=until))
            except IntegrityError:
                # Ended twice is ended.
                return

    def new_session(self) -> str:
        """Return an id for a new session: that of this database, a dot, and 32 hex digits.

        Raises:
            ServerDown: If the database does not answer.
        """
        with self._database.transaction() as connection:
            identity = connection.execute(sql.select(_IDENTITY.c.id)).scalar()
        if identity is None:
            raise self._without_identity()
        return f"{identity}.{secrets.token_hex(16)}"

    def is_ended(self, session: str, since: int) -> bool:
        """Judge whether a session was ended, or was opened before this database was made.

        The list of ended sessions went with the database that was lost: all that it may have held
        have ended. No clock tells which these are, but the id of the database in theirs; only
        sessions of versions without it go by time.

        Args:
            session: Its id.
            since: Seconds since 1970 when it was opened.

        Raises:
            ServerDown: If the database does not answer.
        """
        with self._database.transaction() as connection:
            row = connection.execute(_STANDING, {"session": session}).first()
        if row is None:
            raise self._without_identity()
        identity, born, revoked = row
        home, dot, _ = session.partition(".")
        return revoked is not None or (home != identity if dot else since < born)

    def _without_identity(self) -> ServerDown:
        """Have the row made again; somebody has deleted it."""
        self._database.open_anew()
        return ServerDown("state database without an identity", report={"database": "state"})

    def add_job(self, job: Job, forgotten: int) -> None:
        """Write down a job.

        Args:
            job: The job.
            forgotten: Milliseconds since 1970; what was finished before goes.

        Raises:
            ServerDown: If the database does not answer.
        """
        with self._database.transaction(writes=True) as connection:
            connection.execute(sql.delete(_JOBS).where(_JOBS.c.finished < forgotten))
            connection.execute(sql.insert(_JOBS).values(asdict(job)))

    def job(self, number: str) -> Job | None:
        """Read a job by its id.

        Raises:
            ServerDown: If the database does not answer.
        """
        with self._database.transaction() as connection:
            row = connection.execute(_WHOLE_JOB.where(_JOBS.c.id == number)).first()
            return Job(**row._mapping) if row else None  # noqa: SLF001 - the documented name

    def unfinished_jobs(self) -> list[UnfinishedJob]:
        """Those that somebody has to finish, the oldest first.

        Raises:
            ServerDown: If the database does not answer.
        """
        columns = (_JOBS.c.id, _JOBS.c.owner, _JOBS.c.worker, _JOBS.c.heartbeat)
        oldest_first = sql.select(*columns).where(_UNFINISHED).order_by(_JOBS.c.created, _JOBS.c.id)
        with self._database.transaction() as connection:
            return [UnfinishedJob(*row) for row in connection.execute(oldest_first)]

    def claim_job(self, waiting: UnfinishedJob, worker: str, now: int) -> bool:
        """Take an unfinished job, unless somebody did since it was looked at.

        Args:
            waiting: The job as it was seen.
            worker: Who takes it.
            now: Milliseconds since 1970.

        Raises:
            ServerDown: If the database does not answer.
        """
        unchanged = sql.and_(
            _UNFINISHED,
            _JOBS.c.id == waiting.id,
            _JOBS.c.worker == waiting.worker,
            _JOBS.c.heartbeat == waiting.heartbeat,
        )
        taken = {
            "status": "running",
            "worker": worker,
            "heartbeat": now,
            "attempts": _JOBS.c.attempts + 1,
        }
        with self._database.transaction(writes=True) as connection:
            result = connection.execute(sql.update(_JOBS).where(unchanged).values(taken))
            return result.rowcount == 1

    def update_job(self, number: str, worker: str, values: Mapping[str, int | str | None]) -> bool:
        """Write how a running job stands, unless another worker has taken it.

        Args:
            number: Its id.
            worker: Who holds it.
            values: Columns.

        Returns:
            Whether that worker still holds it.

        Raises:
            ServerDown: If the database does not answer.
        """
        held = sql.and_(_JOBS.c.id == number, _JOBS.c.worker == worker, _JOBS.c.status == "running")
        with self._database.transaction(writes=True) as connection:
            result = connection.execute(sql.update(_JOBS).where(held).values(dict(values)))
            return result.rowcount == 1

    def ask(self) -> None:
        """See whether it answers.

        Raises:
            ServerDown: If it does not.
        """
        with self._database.transaction() as connection:
            connection.execute(sql.select(_REVOKED.c.id).limit(1))

    def check(self) -> None:
        """See whether it can be read and written; nothing stays written.

        Raises:
            ServerDown: If not; `fault` in its report is "cannot be written" where only that fails.
        """
        self._database.check()

    def close(self) -> None:
        self._database.close()


def _probing_row() -> sql.Executable:
    """Insert a row of a name of its own: two workers that probe need not wait for each other."""
    return sql.insert(_REVOKED).values(id=f"probe-{secrets.token_hex(16)}", expires=0)


def _make_tables(engine: sql.Engine) -> None:
    with (
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
        _alone(connection),
    ):
        is_older = sql.inspect(connection).has_table(_REVOKED.name)
        born = 0 if is_older else int(time.time())
        identity = {"number": 1, "id": secrets.token_hex(8), "born": born}
        # Before the list of ended sessions: MariaDB keeps what was made until it breaks off here,
        # and a list without an identity is taken for one of the version before.
        _IDENTITY.create(connection, checkfirst=True)
        upsert(connection, _IDENTITY, [identity], ("number",))
        _METADATA.create_all(connection)


@contextmanager
def _alone(connection: sql.Connection) -> Iterator[None]:
    """Have other workers that make the tables wait until the block has ended.

    MariaDB refuses to look at a table that another connection is making, and PostgreSQL to make it
    as well. In SQLite the transaction itself is alone.

    Raises:
        TimeoutError: If another worker takes too long.
    """
    kind = connection.dialect.name
    if kind == "postgresql":
        connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_MAKING)))
    if kind not in _NAMED_LOCKS:
        yield
        return
    # Of the server, not of the database; and of the connection, so that no commit ends it.
    name = sql.func.concat(
        "iredldap-", sql.func.sha1(sql.func.concat(sql.func.database(), _MAKING))
    )
    if connection.execute(sql.select(sql.func.get_lock(name, _PATIENCE))).scalar() != 1:
        raise TimeoutError("another worker makes the tables")
    try:
        yield
    finally:
        connection.execute(sql.select(sql.func.release_lock(name)))
