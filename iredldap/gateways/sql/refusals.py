"""Translate errors of SQLAlchemy and its drivers into refusals; repeat what may succeed then."""

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from iredldap.errors import ServerDown
from iredldap.gateways.sql.causes import cause

T = TypeVar("T")

_PATIENCE = 5.0
"""Seconds for which a transaction that the database rolls back is repeated."""

# Deadlock and lock wait timeout of MariaDB; serialization failure and deadlock of PostgreSQL.
_OVERTAKEN = {"1213", "1205", "40001", "40P01"}
_NO_TABLE = {"1146", "42P01"}
_SQLITE_NO_TABLE = re.compile(r"no such table: (?:\w+\.)?(\w+)")
_QUOTED = re.compile(r"""["'`](?:\w+\.)?(\w+)["'`]""")


class Overtaken(ServerDown):
    """Another transaction was in conflict; the same one may succeed now."""


def down(name: str, error: Exception) -> ServerDown:
    """Return the refusal for an error of a driver; the report names a missing table."""
    detail = f"{name} database: {cause(error)}"
    report: dict[str, object] = {"database": name}
    if isinstance(error, DBAPIError):
        code = code_of(error)
        if code in _OVERTAKEN:
            return Overtaken(detail, report=report)
        missing = _SQLITE_NO_TABLE.search(str(error.orig))
        if code in _NO_TABLE:
            missing = _QUOTED.search(str(error.orig))
        if missing:
            detail = f"{name} database has no table {missing[1]}"
            report["missing_table"] = missing[1]
    return ServerDown(detail, report=report)


def code_of(error: Exception) -> str:
    """Return the error number of MariaDB or SQLSTATE of PostgreSQL, else the name of the class."""
    if not isinstance(error, DBAPIError):
        return type(error).__name__
    first = next(iter(getattr(error.orig, "args", ())), None)
    # Not the SQLSTATE of PyMySQL, which several errors share.
    return str(first if isinstance(first, int) else getattr(error.orig, "sqlstate", ""))


def repeated(work: Callable[[], T]) -> T:
    """Execute a transaction; again, while the database rolls it back for a conflict.

    Raises:
        ServerDown: That of the transaction.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return work()
        except Overtaken:
            if time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.001, 0.05))  # noqa: S311 - spreads the attempts
