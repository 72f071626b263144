"""How far a job has come, as the worker that finishes it must know."""

import json
from dataclasses import asdict, dataclass

from iredldap.dit.plan import Add, Delete, Plan, Recheck, Rename, Step, describe


@dataclass(frozen=True, slots=True)
class JobState:
    """How far a job has been carried out.

    `named` is the entry that the request names, and `fate` what happens to it: `added`, `deleted`,
    `renamed`, or none of these. `done` and `left` are descriptions of steps; `writes_left` counts
    those of the latter that are not rechecks. `work` is what the work of a job that has no plan
    needs to go on.
    """

    named: str = ""
    fate: str = ""
    done: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    writes_left: int = 0
    work: str = ""

    @property
    def has_begun(self) -> bool:
        """Whether a step has been carried out."""
        return bool(self.done)

    def planned(self, plan: Plan) -> "JobState":
        """Return the state with a plan about to be applied; the first one decides what is named."""
        return JobState(
            self.named or plan.named,
            self.fate or fate(plan),
            self.done,
            tuple(describe(step) for step in plan.steps),
            sum(writes(step) for step in plan.steps),
            self.work,
        )

    def dumped(self) -> str:
        """Return it as JSON, for the state database."""
        return json.dumps(asdict(self))

    @classmethod
    def loaded(cls, text: str) -> "JobState":
        """Parse the JSON of the state database; empty for a job that no worker has run."""
        if not text:
            return cls()
        written = json.loads(text)
        return cls(**{**written, "done": tuple(written["done"]), "left": tuple(written["left"])})


def fate(plan: Plan) -> str:
    """Return what happens to the entry that a plan names; empty: nothing that matters."""
    for step in plan.steps:
        match step:
            case Add() if step.dn == plan.named:
                return "added"
            case Delete() if step.dn == plan.named:
                return "deleted"
            case Rename() if step.dn == plan.named:
                return "renamed"
    return ""


def writes(step: Step) -> bool:
    return not isinstance(step, Recheck)
