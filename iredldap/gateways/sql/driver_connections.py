"""Connections of SQLite's driver, for statements that each request executes."""

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")


class DriverConnections:
    """Connections to one file beside SQLAlchemy's pool, which takes as long as a small statement.

    They are opened as those of the engine, and are last in, first out.

    Args:
        engine: Of the file.
    """

    def __init__(self, engine: sql.Engine) -> None:
        self.engine = engine
        self._idle: list[Any] = []

    def use(self, work: Callable[[Any], T]) -> T:
        """Call a function with a connection outside of a transaction, where it leaves it.

        Raises:
            SQLAlchemyError: If the database refuses something.
        """
        try:
            driver = self._idle.pop()
        except IndexError:
            driver = self._opened()
        try:
            done = work(driver)
        except BaseException as ex:
            # What it has begun ends with it.
            driver.close()
            if isinstance(ex, sqlite3.Error):
                # As SQLAlchemy raises it; without statement and parameters, which nobody logs.
                raise DBAPIError.instance(None, None, ex, sqlite3.Error) from ex
            raise
        self._idle.append(driver)
        return done

    def close(self) -> None:
        """Close those that are not in use."""
        while self._idle:
            self._idle.pop().close()

    def _opened(self) -> Any:
        pooled = self.engine.raw_connection()
        driver = pooled.driver_connection
        pooled.detach()
        return driver
