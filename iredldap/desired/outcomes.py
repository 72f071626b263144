"""What became of the lines of a state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from iredldap.desired.differences import Difference
from iredldap.desired.gate import Made
from iredldap.desired.lines import StateLine
from iredldap.desired.rows import reasons
from iredldap.desired.state_kinds import HASH
from iredldap.errors import Refusal
from iredldap.ldif import writer

StateResult = Literal["created", "renamed", "updated", "deleted", "unchanged", "refused"]
STATE_RESULTS: tuple[StateResult, ...] = (
    "created", "renamed", "updated", "deleted", "unchanged", "refused",
)  # fmt: skip

MOST_SHOWN = 10_000
"""Changes that a report lists; the others are counted."""


@dataclass
class StateOutcome:
    """What became of one line.

    Args:
        line: The line.
        result: What was done, or would be.
        refusal: Why nothing was, or not all: the result is that of what was done then.
        differs: What differs, or differed, by the names of parameters.
        ignored: Values that were left out, as `X-Ignored-Values` names them.
        former: The address before a rename.
        ldif: Change records of a dry run, without the line with the version.
    """

    line: StateLine
    result: StateResult = "unchanged"
    refusal: Refusal | None = None
    differs: dict[str, Difference] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    former: str = ""
    ldif: str = ""

    def note(self, made: Made) -> None:
        """Add what a change has left out, and the change records of a dry run."""
        self.ignored = made.plan.ignored
        if made.shown:
            self.ldif += made.shown.ldif.removeprefix(writer.VERSION.decode())

    def as_json(self, *, has_details: bool) -> dict[str, Any]:
        """Return it as a report has it."""
        line = self.line
        shown: dict[str, Any] = {
            "line": line.number,
            "kind": line.word,
            "name": line.name,
            "result": self.result,
        }
        if self.former:
            shown["former"] = self.former
        if self.refusal:
            shown |= reasons(self.refusal, has_details=has_details)
        if self.differs:
            shown["differs"] = {
                name: ["…", "…"] if name == HASH else [*pair] for name, pair in self.differs.items()
            }
        if self.ignored:
            shown["ignored"] = [*self.ignored]
        return shown | ({"ldif": self.ldif} if self.ldif else {})


@dataclass
class StateReport:
    """What became of all lines; those of which nothing is to be said are counted.

    Args:
        outcomes: By the numbers of lines.
        deleted: What no line named.
        lines: How many there are.
        prunes: Whether what no line named was deleted where that was asked for: not if a line was
            refused.
    """

    outcomes: dict[int, StateOutcome] = field(default_factory=dict)
    deleted: list[StateOutcome] = field(default_factory=list)
    lines: int = 0
    prunes: bool = True

    @property
    def has_refused(self) -> bool:
        return any(one.refusal for one in self.outcomes.values())

    def of(self, line: StateLine) -> StateOutcome:
        """Return the outcome of a line, to be changed."""
        return self.outcomes.setdefault(line.number, StateOutcome(line))

    def result_of(self, line: StateLine) -> StateResult:
        """Return the result of a line so far."""
        found = self.outcomes.get(line.number)
        return found.result if found else "unchanged"

    def is_there(self, line: StateLine) -> bool:
        """Return whether a dry run finds a thing under the name of its line."""
        return self.result_of(line) not in {"created", "renamed"}

    def has_ended(self, line: StateLine) -> bool:
        """Return whether a line was refused, or what is left of it."""
        found = self.outcomes.get(line.number)
        return found is not None and found.refusal is not None

    def refuse(self, line: StateLine, refusal: Refusal) -> None:
        """Note why a line was refused, or what is left of one that has changed something."""
        outcome = self.of(line)
        outcome.refusal = refusal
        if outcome.result == "unchanged":
            outcome.result = "refused"

    def counts(self) -> dict[StateResult, int]:
        """Count the lines by their results."""
        counts = dict.fromkeys(STATE_RESULTS, 0)
        for outcome in (*self.outcomes.values(), *self.deleted):
            counts[outcome.result] += 1
        counts["unchanged"] += self.lines - len(self.outcomes)
        return counts

    def as_json(self, *, dry_run: bool, has_details: bool = True) -> Mapping[str, Any]:
        """Return it for an answer, sorted by lines."""
        counts = self.counts()
        told = [
            one
            for one in (
                *(self.outcomes[number] for number in sorted(self.outcomes)),
                *self.deleted,
            )
            if one.result != "unchanged" or one.ignored
        ]
        refused = [one for one in told if one.refusal]
        others = [one for one in told if not one.refusal]
        return {
            "dry_run": dry_run,
            "lines": self.lines,
            "changes": sum(counts[one] for one in ("created", "renamed", "updated", "deleted")),
            **{str(one): count for one, count in counts.items()},
            "refusals": [one.as_json(has_details=has_details) for one in refused],
            "changed": [one.as_json(has_details=has_details) for one in others[:MOST_SHOWN]],
            "changed_left_out": max(0, len(others) - MOST_SHOWN),
            "pruning_left_out": not self.prunes,
        }
