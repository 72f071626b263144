"""The program's own database: jobs, ended sessions, and the tables of other gateways.

SQLite by default, created on first use; MariaDB or PostgreSQL where several machines serve.
Transactions are short, because SQLite has one writer at a time.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import sqlalchemy as sql

from iredldap.config.settings import Secret
from iredldap.gateways.access.sessions import StoredSessions
from iredldap.gateways.sql.creation import creating, make_missing
from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.statements import upsert
from iredldap.gateways.tables.api_tokens import API_TOKENS
from iredldap.gateways.tables.directory_writer import (
    DIRECTORY_COMPARISONS,
    DIRECTORY_EPOCHS,
    DIRECTORY_STANDBY,
    DIRECTORY_WRITER,
)
from iredldap.gateways.tables.idempotent_answers import IDEMPOTENT_ANSWERS
from iredldap.gateways.tables.jobs import JOB_WITHOUT_WORK, JOBS, UNFINISHED, WHOLE_JOB
from iredldap.gateways.tables.node_keys import NODE_KEYS
from iredldap.gateways.tables.sessions import GENERATIONS, IDENTITY, REVOKED

_TABLES = (
    IDENTITY,
    REVOKED,
    GENERATIONS,
    JOBS,
    API_TOKENS,
    IDEMPOTENT_ANSWERS,
    NODE_KEYS,
    DIRECTORY_WRITER,
    DIRECTORY_STANDBY,
    DIRECTORY_EPOCHS,
    DIRECTORY_COMPARISONS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A background job. Times are milliseconds since 1970.

    Its `status` is `queued`, `running`, `done` or `failed`. `request` and `state` are texts of
    `changes.jobs`: the request, and how far it is. `worker` runs it and gave its last sign of life
    at `heartbeat`; both are empty for a queued one. `attempts` counts workers.
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

    @property
    def node(self) -> str | None:
        """The node whose worker runs it, or ran it last; None: none has claimed it."""
        return self.worker.split(":")[0] or None


@dataclass(frozen=True, slots=True)
class UnfinishedJob:
    """The columns that decide whether an unfinished job may be claimed."""

    id: str
    owner: str
    worker: str
    heartbeat: int


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are meant; None or empty: all.

    `owner` is the admin who asked, `token` the id of the token of the request, and `before` the id
    of a job: only those from before it.
    """

    owner: str | None = None
    token: str = ""
    status: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """Keys that a node had: the setting, a digest, and when, in milliseconds since 1970."""

    node: str
    name: str
    digest: str
    seen: int


class StateDatabase:
    """Jobs, and as `sessions` those that have ended.

    Args:
        url: SQLAlchemy URL; parsed on first use, so that an invalid one is a database that is down.
    """

    def __init__(self, url: Secret) -> None:
        self._database = Database("state", url, _make_tables, _probing_row)
        self.sessions = StoredSessions(self._database)

    @property
    def database(self) -> Database:
        """The database itself, for the gateways of its other tables."""
        return self._database

    def exchange_keys(
        self, node: str, digests: Mapping[str, str], now: int, oldest: int
    ) -> list[NodeKeys]:
        """Store digests of the keys of a node, and return those of all others.

        Args:
            node: Its name.
            digests: By the name of the setting.
            now: Milliseconds since 1970.
            oldest: What was stored before, in milliseconds since 1970, is deleted.

        Raises:
            ServerDown: If the database does not respond.
        """
        rows = [
            {"node": node, "name": name, "digest": digest, "seen": now}
            for name, digest in sorted(digests.items())
        ]

        def exchange(connection: sql.Connection) -> list[NodeKeys]:
            connection.execute(sql.delete(NODE_KEYS).where(NODE_KEYS.c.seen < oldest))
            upsert(connection, NODE_KEYS, rows, ("node", "name"), ("digest", "seen"))
            others = sql.select(NODE_KEYS).where(NODE_KEYS.c.node != node)
            found = connection.execute(others.order_by(NODE_KEYS.c.node, NODE_KEYS.c.name))
            return [NodeKeys(*row) for row in found]

        return self._database.write(exchange)

    def add_job(self, job: Job, forgotten: int) -> None:
        """Store a new job.

        Args:
            job: The job.
            forgotten: Milliseconds since 1970; jobs finished before are deleted.

        Raises:
            ServerDown: If the database does not respond.
        """
        with self._database.transaction(writes=True) as connection:
            connection.execute(sql.delete(JOBS).where(JOBS.c.finished < forgotten))
            connection.execute(sql.insert(JOBS).values(asdict(job)))

    def job(self, number: str, *, with_work: bool = True) -> Job | None:
        """Read a job by its id.

        Args:
            number: The id.
            with_work: Whether `request` and `state` are read; else they are empty.

        Raises:
            ServerDown: If the database does not respond.
        """
        with self._database.transaction() as connection:
            job = WHOLE_JOB if with_work else JOB_WITHOUT_WORK
            row = connection.execute(job.where(JOBS.c.id == number)).first()
            return Job(**row._mapping) if row else None  # noqa: SLF001 - the documented name

    def jobs(self, wanted: JobFilter, forgotten: int, limit: int) -> list[Job]:
        """Read jobs, the newest first, with empty `request` and `state`.

        Args:
            wanted: Which ones.
            forgotten: Milliseconds since 1970; jobs finished before are left out.
            limit: Most of them.

        Raises:
            ServerDown: If the database does not respond.
        """
        terms = [sql.or_(JOBS.c.finished.is_(None), JOBS.c.finished >= forgotten)]
        if wanted.owner is not None:
            terms.append(JOBS.c.owner == wanted.owner)
        if wanted.token:
            terms.append(JOBS.c.id.startswith(f"{wanted.token}.", autoescape=True))
        if wanted.status:
            terms.append(JOBS.c.status == wanted.status)
        if wanted.before:
            found = sql.select(JOBS.c.created).where(JOBS.c.id == wanted.before).scalar_subquery()
            same = sql.and_(JOBS.c.created == found, JOBS.c.id < wanted.before)
            terms.append(sql.or_(JOBS.c.created < found, same))
        newest_first = (JOBS.c.created.desc(), JOBS.c.id.desc())
        query = JOB_WITHOUT_WORK.where(*terms).order_by(*newest_first).limit(limit)
        with self._database.transaction() as connection:
            return [Job(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001

    def unfinished_jobs(self) -> list[UnfinishedJob]:
        """Return the unfinished jobs, the oldest first.

        Raises:
            ServerDown: If the database does not respond.
        """
        columns = (JOBS.c.id, JOBS.c.owner, JOBS.c.worker, JOBS.c.heartbeat)
        oldest_first = sql.select(*columns).where(UNFINISHED).order_by(JOBS.c.created, JOBS.c.id)
        with self._database.transaction() as connection:
            return [UnfinishedJob(*row) for row in connection.execute(oldest_first)]

    def claim_job(self, waiting: UnfinishedJob, worker: str, now: int) -> bool:
        """Claim an unfinished job for a worker, unless another one has claimed it meanwhile.

        Args:
            waiting: The job as it was read.
            worker: The worker.
            now: Milliseconds since 1970.

        Raises:
            ServerDown: If the database does not respond.
        """
        unchanged = sql.and_(
            UNFINISHED,
            JOBS.c.id == waiting.id,
            JOBS.c.worker == waiting.worker,
            JOBS.c.heartbeat == waiting.heartbeat,
        )
        taken = {
            "status": "running",
            "worker": worker,
            "heartbeat": now,
            "attempts": JOBS.c.attempts + 1,
        }
        with self._database.transaction(writes=True) as connection:
            result = connection.execute(sql.update(JOBS).where(unchanged).values(taken))
            return result.rowcount == 1

    def update_job(self, number: str, worker: str, values: Mapping[str, int | str | None]) -> bool:
        """Update a running job, unless another worker has claimed it.

        Args:
            number: Its id.
            worker: The worker that runs it.
            values: By the names of columns.

        Returns:
            Whether that worker still runs it.

        Raises:
            ServerDown: If the database does not respond.
        """
        held = sql.and_(JOBS.c.id == number, JOBS.c.worker == worker, JOBS.c.status == "running")
        with self._database.transaction(writes=True) as connection:
            result = connection.execute(sql.update(JOBS).where(held).values(dict(values)))
            return result.rowcount == 1

    def ask(self) -> None:
        """Check that the database responds.

        Raises:
            ServerDown: If it does not.
        """
        with self._database.transaction() as connection:
            connection.execute(sql.select(REVOKED.c.id).limit(1))

    def check(self) -> None:
        """Check that it can be read and written; what is written is rolled back.

        Raises:
            ServerDown: If not; `fault` in its report is "cannot be written" where only that fails.
        """
        self._database.check()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()


def _probing_row() -> sql.Executable:
    """Return the insertion of a row with a random id, so that probes do not wait for each other."""
    return sql.insert(REVOKED).values(id=f"probe-{secrets.token_hex(16)}", expires=0)


def _make_tables(engine: sql.Engine) -> None:
    with creating(engine) as connection:
        is_older = sql.inspect(connection).has_table(REVOKED.name)
        born = 0 if is_older else int(time.time())
        identity = {"number": 1, "id": secrets.token_hex(8), "born": born}
        # Before the list of revoked sessions: in MariaDB each table stays where a later step fails,
        # and a list without an identity would be taken for one of an earlier version.
        make_missing(connection, (IDENTITY,))
        upsert(connection, IDENTITY, [identity], ("number",))
        make_missing(connection, _TABLES)
