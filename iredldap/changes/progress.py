"""How far a plan has been carried out."""

from dataclasses import dataclass, field

from iredldap.dit.plan import Operation, Step, Sweep, describe
from iredldap.errors import Refusal


@dataclass
class Progress:
    """How far a plan has been carried out.

    `done` are the steps carried out, `entries` the operations that the current sweep has carried
    out, `visited` the entries that sweeps have found and the single steps done, `failed` what the
    directory refused to change, by DN, `refused` the first operation of those, `standing` the steps
    done that were not undone. Subclasses override the first three methods; a refusal that they
    raise ends the work there.
    """

    done: list[str] = field(default_factory=list)
    entries: int = 0
    visited: int = 0
    failed: list[tuple[str, Refusal]] = field(default_factory=list)
    refused: Operation | None = None
    standing: list[Step] = field(default_factory=list)

    def visit(self) -> None:
        """Note that a sweep has found another entry."""
        self.visited += 1

    def finished(self, step: Step) -> None:
        """Note that a step has been carried out."""
        words = describe(step)
        # Texts, not steps: they are shown in reports, and stored with jobs.
        self.done.append(f"{words} ({self.entries} entries)" if self.entries else words)
        self.standing.append(step)
        self.entries = 0
        if not isinstance(step, Sweep):
            self.visited += 1

    def waits(self, refusal: Refusal, *, unknown: bool) -> bool:
        """Wait a moment for what did not respond; return whether to try the step again.

        Args:
            refusal: What says so.
            unknown: Whether a write of the step may have been carried out.
        """
        return False

    def fail(self, operation: Operation, refusal: Refusal) -> None:
        """Note that an operation has been refused."""
        self.failed.append((operation.dn, refusal))
        self.refused = self.refused or operation

    def goes_on(self) -> None:
        """Forget refused operations, which are tried again."""
        self.failed.clear()
        self.refused = None

    def keep(self, standing: list[Step]) -> None:
        """Note that all steps but these have been undone."""
        self.standing = standing
        self.done = [describe(step) for step in standing]
