"""How far a job has come, as the worker that finishes it must know."""

import json
from dataclasses import asdict, dataclass

from iredldap.dit.plan import Add, Delete, Plan, Recheck, Rename, Step, describe


@dataclass(frozen=True, slots=True)
class JobState:
    """How far a job has come, as whoever finishes it must know.

    `named` is the entry that the request names, and `fate` what becomes of it: `added`, `deleted`,
    `renamed`, or nothing of these. `done` and `left` are steps in words; `writes_left` counts
    those of the latter that do more than look again.
    """

    named: str = ""
    fate: str = ""
    done: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    writes_left: int = 0

    @property
    def has_begun(self) -> bool:
        return bool(self.done)

    def planned(self, plan: Plan) -> "JobState":
        """The course with a plan about to be applied; the first one decides what is named."""
        return JobState(
            self.named or plan.named,
            self.fate or fate(plan),
            self.done,
            tuple(describe(step) for step in plan.steps),
            sum(writes(step) for step in plan.steps),
        )

    def dumped(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loaded(cls, text: str) -> "JobState":
        if not text:
            return cls()
        written = json.loads(text)
        return cls(**{**written, "done": tuple(written["done"]), "left": tuple(written["left"])})


def fate(plan: Plan) -> str:
    """What becomes of the entry that a plan names; empty: nothing that a repeat would miss."""
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
