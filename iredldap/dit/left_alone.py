"""What an undo leaves alone, because others have changed it since."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """One thing that an undo leaves as it is.

    `where` is the DN of an entry, or a database and its table; `what` an attribute, or the row;
    empty: all of it. `values` are those that stay away, or stay. `why` says it in words.
    """

    where: str
    what: str
    why: str
    values: tuple[str, ...] = ()
