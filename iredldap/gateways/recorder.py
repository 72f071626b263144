"""What a directory reports its writes to, and outside steps theirs; this one records nothing."""

from collections.abc import Iterable, Sequence

from iredldap.dit.change_log import TouchedEntry, TouchedRows
from iredldap.dit.plan import Operation


class Recorder:
    """Gets each write before it is sent, and what it has touched; subclasses record it."""

    def announce(self, operation: Operation) -> None:
        """Note that a write is about to be sent.

        Raises:
            Refusal: If it must not be, because it could not be recorded.
        """

    def announce_several(self, operations: Sequence[Operation]) -> None:
        """Note that several writes, of many, are about to be sent.

        Raises:
            Refusal: As `announce`; then none of them must be.
        """

    def record(self, operation: Operation, touched: TouchedEntry) -> None:
        """Record what an announced write has touched."""

    def dismiss(self, operation: Operation) -> None:
        """Note that an announced write was not carried out."""

    def unanswered(self) -> tuple[Operation, ...]:
        """Return the announced writes that were neither recorded nor dismissed."""
        return ()

    def announce_outside(self, meaning: str) -> None:
        """Note that a step outside the directory is about to be carried out.

        Raises:
            Refusal: As `announce`.
        """

    def record_outside(self, rows: Iterable[TouchedRows]) -> None:
        """Record the rows that an announced step has changed."""
