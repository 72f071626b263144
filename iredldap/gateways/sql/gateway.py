"""What the gateways of the databases have in common."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sql

from iredldap.dit.change_log import TouchedRows
from iredldap.dit.left_alone import Reverted
from iredldap.gateways.sql.database import Database


class Gateway:
    """A gateway to one database.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self) -> None:
        """Check that the database responds.

        Raises:
            ServerDown: If it does not.
        """
        self._database.ask()

    def accounts(self, wanted: sql.Select[Any]) -> set[str]:
        """Return the accounts that a statement of `tables.policy_accounts` finds.

        Raises:
            ServerDown: If the database does not respond.
        """
        return self._database.read(lambda connection: {*connection.scalars(wanted.distinct())})

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def revert(self, touched: Sequence[TouchedRows], *, tries: bool = False) -> Reverted:
        """Revert recorded changes of rows, as `Database.revert` does."""
        return self._database.revert(touched, tries=tries)
