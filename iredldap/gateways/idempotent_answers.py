"""Answers to requests with an `Idempotency-Key`, in the program's own database."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError

from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.statements import batches
from iredldap.gateways.tables.idempotent_answers import IDEMPOTENT_ANSWERS as _ANSWERS

_KEPT = sql.select(_ANSWERS.c.request, _ANSWERS.c.claim, _ANSWERS.c.answer, _ANSWERS.c.began)


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer, or a request that is being carried out.

    `request` is a keyed digest of the request, and `answer` is sealed; None: there is none yet.
    `began` is when the request came, or the last sign of life of its worker, in milliseconds since
    1970.
    """

    request: str
    claim: str
    answer: bytes | None
    began: int


class IdempotentAnswers:
    """The answers that are kept, by digests of callers and keys.

    Args:
        database: The state database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, id_: str, wanted: KeptAnswer, forgotten: int) -> KeptAnswer | None:
        """Claim a key for a request; return what is kept under it, or None: it is claimed.

        Args:
            id_: Digest of the caller and the key.
            wanted: The request, without an answer.
            forgotten: Milliseconds since 1970; what began before is deleted.

        Raises:
            ServerDown: If the database does not respond.
        """
        row = {"id": id_, "request": wanted.request, "claim": wanted.claim, "began": wanted.began}

        def insert(connection: sql.Connection) -> KeptAnswer | None:
            connection.execute(sql.delete(_ANSWERS).where(_ANSWERS.c.began < forgotten))
            try:
                with connection.begin_nested():
                    connection.execute(sql.insert(_ANSWERS).values(row))
            except IntegrityError:
                found = connection.execute(_KEPT.where(_ANSWERS.c.id == id_)).first()
                # None: it was deleted at this moment.
                return KeptAnswer(*found) if found else KeptAnswer(wanted.request, "", None, 0)
            return None

        return self._database.write(insert)

    def take_over(self, id_: str, former: KeptAnswer, wanted: KeptAnswer) -> bool:
        """Claim a key whose request was abandoned.

        Not if another client was quicker, or its worker has given a sign of life since it was read.

        Raises:
            ServerDown: If the database does not respond.
        """
        same = sql.and_(
            _ANSWERS.c.id == id_,
            _ANSWERS.c.claim == former.claim,
            _ANSWERS.c.began == former.began,
            _ANSWERS.c.answer.is_(None),
        )
        values = {"claim": wanted.claim, "began": wanted.began}
        change = sql.update(_ANSWERS).where(same).values(values)
        return self._database.write(lambda connection: connection.execute(change).rowcount == 1)

    def beat(self, claims: Collection[str], now: int) -> None:
        """Store a sign of life of the worker of requests that are being carried out.

        Args:
            claims: Their claims.
            now: Milliseconds since 1970.

        Raises:
            ServerDown: If the database does not respond.
        """

        def store(connection: sql.Connection) -> None:
            for batch in batches([*claims]):
                own = sql.and_(_ANSWERS.c.claim.in_(batch), _ANSWERS.c.answer.is_(None))
                connection.execute(sql.update(_ANSWERS).where(own).values(began=now))

        self._database.write(store)

    def keep(self, id_: str, claim: str, answer: bytes) -> None:
        """Keep the answer to a request, if its claim still holds.

        Raises:
            ServerDown: If the database does not respond.
        """
        own = sql.and_(_ANSWERS.c.id == id_, _ANSWERS.c.claim == claim)
        change = sql.update(_ANSWERS).where(own).values(answer=answer)
        self._database.write(lambda connection: connection.execute(change).rowcount)

    def leave(self, id_: str, claim: str, former: str, began: int) -> None:
        """Leave a key to the next request, which takes it over at once.

        Args:
            id_: Digest of the caller and the key.
            claim: The claim that holds.
            former: The claim that it is left with: of the change that is to be looked at.
            began: Milliseconds since 1970; so long ago that its worker counts as dead.

        Raises:
            ServerDown: If the database does not respond.
        """
        own = sql.and_(_ANSWERS.c.id == id_, _ANSWERS.c.claim == claim)
        change = sql.update(_ANSWERS).where(own).values(claim=former, began=began)
        self._database.write(lambda connection: connection.execute(change))

    def release(self, id_: str, claim: str) -> None:
        """Forget a request that changed nothing, so that the key can be used again.

        Raises:
            ServerDown: If the database does not respond.
        """
        own = sql.and_(_ANSWERS.c.id == id_, _ANSWERS.c.claim == claim)
        self._database.write(lambda connection: connection.execute(sql.delete(_ANSWERS).where(own)))
