"""Callers whom this worker knows: a short cache, and who may read while the state database is away.

A session or token counts as confirmed when the state database has said that it has not ended.
Those in use are confirmed again and again in the background: so when the database falls, this
worker knows of every logout and revocation, wherever it was made, but those of the last moments.

Source: `docs/decisions/0060-the-state-database-is-away.md`.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from iredldap.operations.login import Caller

INTERVAL = 2.0
"""Seconds between two confirmations in the background."""

_MOST = 1000
"""Callers that are remembered; the one that was used longest ago is forgotten first."""

_MOST_ENDED = 10_000

Proof = TypeVar("Proof")


@dataclass(slots=True)
class Known(Generic[Proof]):
    """A caller, and what they have shown. Times are of the monotonic clock.

    `looked` is when account and rights were read, `confirmed` when the state database said that
    session or token had not ended, `used` when a request came.
    """

    proof: Proof
    caller: Caller
    looked: float
    confirmed: float
    used: float


class KnownCallers(Generic[Proof]):
    """The callers whom this worker knows, by the ids of their sessions or tokens.

    Args:
        recheck: Seconds for which a caller is not looked up again.
        known_for: Seconds since the last confirmation for which they may read without another.
    """

    def __init__(self, recheck: float, known_for: float) -> None:
        self._recheck = recheck
        self._known_for = known_for
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Known[Proof]] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def find(self, id_: str, *, reads: bool) -> Known[Proof] | None:
        """Return a caller who need not be looked up again.

        Args:
            id_: Of the session or token.
            reads: Whether the request only reads. A change is nobody's who was not confirmed.
        """
        known = self._known.get(id_)
        if known is None:
            return None
        now = known.used = time.monotonic()
        since = known.looked if reads else min(known.looked, known.confirmed)
        return known if now - since < self._recheck else None

    def confirmed_lately(self, id_: str) -> Known[Proof] | None:
        """Return a caller who may read without the state database."""
        known = self._known.get(id_)
        if known is None or time.monotonic() - known.confirmed >= self._known_for:
            return None
        return known

    def has_ended(self, id_: str) -> bool:
        """Return whether a session or token is known to have ended; none begins again."""
        return id_ in self._ended

    def remember(
        self, id_: str, proof: Proof, caller: Caller, looked: float, confirmed: float
    ) -> None:
        """Remember a caller who has been looked up."""
        with self._lock:
            if id_ in self._ended:
                # By another thread, meanwhile.
                return
            self._known[id_] = Known(proof, caller, looked, confirmed, time.monotonic())
            self._known.move_to_end(id_)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)

    def forget(self, id_: str) -> None:
        """Forget a caller, who is looked up by the next request."""
        with self._lock:
            self._known.pop(id_, None)

    def end(self, ids: Iterable[str]) -> None:
        """Note that sessions or tokens have ended."""
        with self._lock:
            for id_ in ids:
                self._known.pop(id_, None)
                self._ended[id_] = None
                if len(self._ended) > _MOST_ENDED:
                    self._ended.popitem(last=False)

    def in_use(self) -> dict[str, Proof]:
        """Return what the used ones have shown; the others are forgotten."""
        oldest = time.monotonic() - self._known_for
        with self._lock:
            for id_ in [id_ for id_, known in self._known.items() if known.used < oldest]:
                del self._known[id_]
            return {id_: known.proof for id_, known in self._known.items()}

    def confirm(self, ids: Iterable[str], asked: float) -> None:
        """Note that these had not ended at a time.

        Args:
            ids: Of sessions or tokens.
            asked: When the database was asked.
        """
        with self._lock:
            for id_ in ids:
                if known := self._known.get(id_):
                    known.confirmed = max(known.confirmed, asked)
