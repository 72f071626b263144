"""What an undo leaves alone, because others have changed it since."""

from dataclasses import dataclass, field


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

    def as_json(self) -> dict[str, object]:
        """Return it as answers have it."""
        return {"where": self.where, "what": self.what, "why": self.why, "values": [*self.values]}


@dataclass(slots=True)
class Reverted:
    """What came of a revert outside the directory.

    `left` is what is left alone, and `changed` whether anything was changed, or would be.
    """

    left: list[LeftAlone] = field(default_factory=list)
    changed: bool = False
