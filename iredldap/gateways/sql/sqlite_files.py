"""Files of SQLite: those beside the state database, and their write-ahead logs."""

from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError

from iredldap.config.settings import Secret
from iredldap.gateways.sql.engines import url_of

_LARGE_LOG = 4 * 1024 * 1024
"""Bytes of a write-ahead log from which on it is moved into the file."""

_MOST_PAGES = 4096
"""Pages of 4 kB in it after which the next transaction does so."""


def url_beside(url: Secret, name: str) -> Secret:
    """Return the URL of a file beside an SQLite database; of any other one its own."""
    file = file_named(url)
    if file is None:
        return url
    own = url_of(url).set(database=f"{file}.{name}")
    return Secret(own.render_as_string(hide_password=False))


def file_named(url: Secret) -> str | None:
    """Return the file of an SQLite database."""
    try:
        parsed = url_of(url)
    except ArgumentError:
        # A database that is down, as for all other uses of it.
        return None
    name = parsed.database
    if parsed.get_backend_name() != "sqlite" or not name or name.startswith((":", "file:")):
        return None
    return name


def has_large_log(file: str) -> bool:
    """Return whether so much is in the write-ahead log of a file that it is moved."""
    path = Path(f"{file}-wal")
    return path.exists() and path.stat().st_size > _LARGE_LOG


def write_ahead(engine: sql.Engine, *, is_flushed: bool) -> None:
    """Commit to a write-ahead log: a flush a commit in place of three, or none.

    A log that a killed process has left beside a file is applied to it when it is opened, also to
    another file that was put in its place meanwhile.

    Args:
        engine: Of SQLite.
        is_flushed: Whether commits survive a power failure; else the last ones may not, and are
            checkpointed by the caller.
    """

    @sql.event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        if not is_flushed:
            connection.execute("PRAGMA synchronous = NORMAL")
            # Not by the change that happens to fill 4 MB: it waits for two flushes, 16 ms measured,
            # in all 0.15 ms of each change. `checkpoint` does that in the background; this bounds
            # the file where nothing calls it.
            connection.execute(f"PRAGMA wal_autocheckpoint = {_MOST_PAGES}")

    # The connection that is open already is in another mode.
    engine.dispose()
