"""Sessions in the program's own database: which have ended, one by one, of an admin, or all.

What ends the sessions of an admin is a number that grows, one for each admin and one for everybody.
A session has their sum in its id, as it was before the password was checked.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError

from iredldap.errors import ServerDown
from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.statements import batches
from iredldap.gateways.tables.sessions import (
    EVERYBODY,
    GENERATION,
    GENERATIONS,
    IDENTITY,
    NEW,
    REVOKED,
    STANDING,
)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session as its cookie names it.

    `since` is when it was opened, in seconds since 1970.
    """

    id: str
    admin: str
    since: int


class StoredSessions:
    """The sessions of all admins.

    Args:
        database: The state database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def new(self, admin: str) -> str:
        """Return an id for a new session: that of this database, 32 hex digits, and the generation.

        It is asked for before the password of the admin is checked: a session whose login began
        before `end_all` ends by it.

        Args:
            admin: The address that logs in.

        Raises:
            ServerDown: If the database does not respond.
        """
        with self._database.transaction() as connection:
            row = connection.execute(NEW, {"admin": admin}).first()
        if row is None:
            raise self._without_identity()
        identity, generation = row
        return f"{identity}.{secrets.token_hex(16)}.{generation}"

    def revoke(self, session: str, until: int, now: int) -> None:
        """Revoke a session.

        Args:
            session: Its id.
            until: When it would expire, in seconds since 1970.
            now: Seconds since 1970; revoked sessions that have expired are deleted.

        Raises:
            ServerDown: If the database does not respond.
        """
        with self._database.transaction(writes=True) as connection:
            connection.execute(sql.delete(REVOKED).where(REVOKED.c.expires < now))
            try:
                with connection.begin_nested():
                    connection.execute(sql.insert(REVOKED).values(id=session, expires=until))
            except IntegrityError:
                # It is revoked already.
                return

    def end_all(self, admin: str = EVERYBODY) -> None:
        """End all sessions of an admin, or of everybody, which were opened until now.

        Raises:
            ServerDown: If the database does not respond.
        """
        its = GENERATIONS.c.admin == admin
        grown = sql.update(GENERATIONS).where(its).values(number=GENERATIONS.c.number + 1)

        def grow(connection: sql.Connection) -> None:
            if connection.execute(grown).rowcount:
                return
            try:
                with connection.begin_nested():
                    connection.execute(sql.insert(GENERATIONS).values(admin=admin, number=1))
            except IntegrityError:
                # Another one was quicker. Theirs may have been before a login that ours is to end.
                connection.execute(grown)

        self._database.write(grow)

    def is_ended(self, session: OpenedSession) -> bool:
        """Return whether a session has ended, or was opened before this database was created.

        The list of revoked sessions is lost with a database: all sessions of a former one count as
        revoked. They are recognised by the id of the database in theirs, which depends on no clock;
        only sessions of versions without it are judged by time.

        Raises:
            ServerDown: If the database does not respond.
        """
        sent = {"session": session.id, "admin": session.admin}
        with self._database.transaction() as connection:
            row = connection.execute(STANDING, sent).first()
        if row is None:
            raise self._without_identity()
        identity, born, revoked, generation = row
        return revoked is not None or _is_former(session, identity, born, int(generation))

    def ended_of(self, sessions: Mapping[str, OpenedSession]) -> set[str]:
        """Return the keys of those of some sessions that have ended, as `is_ended` judges.

        Raises:
            ServerDown: If the database does not respond.
        """
        ended: set[str] = set()
        numbers: dict[str, int] = {}
        admins = sorted({session.admin for session in sessions.values()} - {EVERYBODY})
        with self._database.transaction() as connection:
            identity = connection.execute(sql.select(IDENTITY.c.id, IDENTITY.c.born)).first()
            for batch in batches([*sessions]):
                revoked = sql.select(REVOKED.c.id).where(REVOKED.c.id.in_(batch))
                ended.update(connection.execute(revoked).scalars())
            common = connection.execute(GENERATION, {"admin": EVERYBODY}).scalar_one()
            for batch in batches(admins):
                own = sql.select(GENERATIONS).where(GENERATIONS.c.admin.in_(batch))
                numbers.update((row.admin, row.number) for row in connection.execute(own))
        if identity is None:
            raise self._without_identity()
        return ended | {
            key
            for key, session in sessions.items()
            if _is_former(session, *identity, int(common) + numbers.get(session.admin, 0))
        }

    def _without_identity(self) -> ServerDown:
        """Have the row of the identity created again, which was deleted; return the refusal."""
        self._database.open_anew()
        return ServerDown("state database without an identity", report={"database": "state"})


def _is_former(session: OpenedSession, identity: str, born: int, generation: int) -> bool:
    """Return whether a session is of a former database, or of a generation that was ended."""
    home, _, rest = session.id.partition(".")
    own = rest.partition(".")[2]
    # The versions before wrote no generation, and the first ones no identity.
    former = home != identity if rest else session.since < born
    # A greater one is of a database that was put back from a copy.
    return former or int(own or 0) != generation
