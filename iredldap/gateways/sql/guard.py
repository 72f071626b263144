"""Guard the use of a database: its errors become refusals, and it is known when it hangs."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from iredldap.errors import InvalidParameter
from iredldap.gateways.breaker import Breaker
from iredldap.gateways.sql.refusals import code_of, down

# The last three: a file that is not a database, before SQLAlchemy wraps the error; a driver that is
# not installed; a port that is not a number.
ERRORS = (SQLAlchemyError, OSError, sqlite3.Error, ImportError, ValueError)


@dataclass(frozen=True, slots=True)
class Guard:
    """The guard of one database.

    Two breakers: reads may succeed where writes hang.

    Args:
        name: Its name in refusals.
        reading: Knows whether reads hang.
        writing: Knows whether writes hang.
        forget: Called when a table is missing.
    """

    name: str
    reading: Breaker
    writing: Breaker
    forget: Callable[[], None]

    def asking(self, *, writes: bool) -> AbstractContextManager[None]:
        """Guard a block that uses the database.

        Raises:
            Hanging: If it hangs.
            InvalidParameter: If it cannot hold a value.
            ServerDown: For any other error in the block.
        """
        return _Asking(self, writes=writes)


class _Asking:
    """A block that uses a database; a class, not a generator: each change has several."""

    __slots__ = ("_asked", "_began", "_guard", "_writes")

    def __init__(self, guard: Guard, *, writes: bool) -> None:
        self._guard = guard
        self._writes = writes
        self._asked = (guard.writing if writes else guard.reading).asking()

    def __enter__(self) -> None:
        self._guard.reading.refuse()
        self._asked.__enter__()
        self._began = time.monotonic()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            if isinstance(error, ERRORS):
                self._refuse(error)
        finally:
            self._asked.__exit__(None, None, None)

    def _refuse(self, error: Exception) -> None:
        guard = self._guard
        if isinstance(error, sql.exc.DataError | UnicodeError):
            # A value that its column, or the character set of the connection, cannot hold: a second
            # attempt would fail too, and the database is not at fault.
            raise InvalidParameter(f"{guard.name} database: {code_of(error)}") from error
        if self._writes:
            guard.writing.suspect(self._began)
        if not self._writes or guard.writing.is_open:
            guard.reading.suspect(self._began)
        refusal = down(guard.name, error)
        if refusal.report and "missing_table" in refusal.report:
            # It may have been dropped: tables that the program creates are created again.
            guard.forget()
        raise refusal from error
