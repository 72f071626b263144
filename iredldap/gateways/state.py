"""Our own database: sessions that were ended before their time.

SQLite by default, made on first use; MariaDB or PostgreSQL where several machines serve.
"""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from iredldap.config import Secret
from iredldap.errors import ServerDown

_METADATA = sql.MetaData()
_REVOKED = sql.Table(
    "revoked_sessions",
    _METADATA,
    sql.Column("id", sql.String(64), primary_key=True),
    sql.Column("expires", sql.BigInteger, nullable=False, index=True),
)

# Of the last two: a driver that is not installed, and a port that is no number.
_FAULTS = (SQLAlchemyError, OSError, ImportError, ValueError)


class State:
    """Sessions that were ended.

    Args:
        url: SQLAlchemy URL; read on first use, so that a wrong one is a database that is down.
    """

    def __init__(self, url: Secret) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._made: sql.Engine | None = None
        ours = weakref.WeakMethod(self._begin_again)
        os.register_at_fork(after_in_child=lambda: (begin := ours()) and begin())

    def _begin_again(self) -> None:
        """Leave the connections to the process that forked us."""
        self._lock = threading.Lock()
        if self._made:
            self._made.dispose(close=False)

    def revoke(self, session: str, until: int, now: int) -> None:
        """Remember a session as ended.

        Args:
            session: Its id.
            until: Seconds since 1970 when it would have ended by itself.
            now: Seconds since 1970; what ended by itself before is forgotten.

        Raises:
            ServerDown: If the database does not answer.
        """
        with self._transaction() as connection:
            connection.execute(sql.delete(_REVOKED).where(_REVOKED.c.expires < now))
            try:
                with connection.begin_nested():
                    connection.execute(sql.insert(_REVOKED).values(id=session, expires=until))
            except IntegrityError:
                # Ended twice is ended.
                return

    def is_revoked(self, session: str) -> bool:
        """Whether a session was ended.

        Raises:
            ServerDown: If the database does not answer.
        """
        with self._transaction() as connection:
            row = connection.execute(sql.select(_REVOKED.c.id).where(_REVOKED.c.id == session))
            return row.first() is not None

    def ask(self) -> None:
        """See whether it answers.

        Raises:
            ServerDown: If it does not.
        """
        with self._transaction() as connection:
            connection.execute(sql.select(_REVOKED.c.id).limit(1))

    def close(self) -> None:
        if self._made:
            self._made.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sql.Connection]:
        try:
            with self._engine().begin() as connection:
                yield connection
        except _FAULTS as ex:
            raise ServerDown(f"state database: {type(ex).__name__}") from ex

    def _engine(self) -> sql.Engine:
        with self._lock:
            if self._made is None:
                self._made = _engine(self._url)
            return self._made


def _engine(secret: Secret) -> sql.Engine:
    url = sql.make_url(secret.reveal())
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sql.create_engine(url, pool_pre_ping=True)
    try:
        engine.connect().close()
        _make_tables(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _make_tables(engine: sql.Engine) -> None:
    try:
        _METADATA.create_all(engine)
    except SQLAlchemyError:
        # Another worker was as quick; what it has made is found now.
        _METADATA.create_all(engine)
