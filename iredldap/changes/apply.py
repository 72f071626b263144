"""Apply plans: the one place where a request writes to the directory."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from iredldap.changes import dry_run, steps
from iredldap.changes.dry_run import ConcurrentChanges
from iredldap.changes.progress import Progress
from iredldap.changes.steps import run_step
from iredldap.dit.plan import (
    Operation,
    Outside,
    Plan,
    Rename,
    Step,
    Sweep,
    conditional_on_state,
    describe,
)
from iredldap.errors import (
    Conflict,
    DirectoryUnable,
    Forbidden,
    Malformed,
    NotFound,
    PreconditionFailed,
    Refusal,
    ServerDown,
    Unacceptable,
    Unplaced,
)
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.gateways.locks import Busy
from iredldap.gateways.turns import Turns

_FINAL = (Conflict, DirectoryUnable, Forbidden, Malformed, NotFound, Unacceptable)
"""Refusals that a repeat of the same request would meet again."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a change takes before its plan is made.

    `names` is what the request itself tells; a plan may touch more (`Plan.touches`). Who waits for
    longer than `PATIENCE` waits in pieces, and calls `check` in between, which may end the wait.
    """

    turns: Turns
    names: frozenset[str]
    patience: float = field(default_factory=lambda: steps.PATIENCE)
    check: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """A plan carried out: the state it left the named entry in, and what its plan tells."""

    state: str | None
    ignored: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = ()
    unplaced: Unplaced = ()
    kept: tuple[str, ...] = ()


def execute(
    directory: Directory,
    make: Callable[[], Plan],
    if_match: tuple[str, ...] = (),
    patience: float | None = None,
    begin: Callable[[Plan], Progress] = lambda _: Progress(),
    turn: Turn | None = None,
) -> ChangeResult:
    """Make a plan and apply it; make it anew while other clients are quicker.

    All of it happens while the names that the plan touches are held. Whether they are all is known
    when the plan has been made: where it touches more, everything is released, taken together in
    sorted order, and the plan is made anew.

    Args:
        directory: Where.
        make: Reads what it needs and gives the plan. It may be called several times.
        if_match: States of which the named entry must have one; then nothing is made anew.
            ``*``: it must exist.
        patience: Seconds for which the plan is made anew; None: `PATIENCE`.
        begin: Is told of each plan that is about to be applied; gives what follows it.
        turn: What to hold meanwhile; None: nothing.

    Raises:
        PreconditionFailed: If the named entry is in another state.
        ServerDown: If others were quicker, or held one of the names, for too long.
        Unacceptable: If the schema does not allow it, read again if need be.
    """
    try:
        return _execute(directory, make, if_match, patience, begin, turn)
    except Unacceptable as refusal:
        # The plan may have been made for the schema that the server had some minutes ago.
        if "done" in (refusal.report or {}) or not directory.has_new_schema():
            raise
        return _execute(directory, make, if_match, patience, begin, turn)


def _execute(
    directory: Directory,
    make: Callable[[], Plan],
    if_match: tuple[str, ...],
    patience: float | None,
    begin: Callable[[Plan], Progress],
    turn: Turn | None,
) -> ChangeResult:
    names = turn.names if turn else frozenset()
    seconds = steps.PATIENCE if patience is None else patience
    until = time.monotonic() + (turn.patience if turn else 0)
    while True:
        left = max(0.0, until - time.monotonic())
        with ExitStack() as stack:
            if turn:
                try:
                    stack.enter_context(turn.turns.take(names, min(left, steps.PATIENCE)))
                except Busy:
                    if left <= steps.PATIENCE:
                        raise
                    turn.check()
                    continue
            done = _in_turn(directory, make, if_match, seconds, begin, names if turn else None)
        if isinstance(done, ChangeResult):
            return done
        names |= done


def _in_turn(
    directory: Directory,
    make: Callable[[], Plan],
    if_match: tuple[str, ...],
    patience: float,
    begin: Callable[[Plan], Progress],
    held: frozenset[str] | None,
) -> ChangeResult | frozenset[str]:
    """Make a plan and apply it while names are held; return what it touches if that is more."""
    deadline = time.monotonic() + patience
    others = ConcurrentChanges(directory)
    is_bound = bool(if_match) and "*" not in if_match
    while True:
        plan = make()
        if held is not None and not plan.touches <= held:
            return plan.touches
        judge_state(plan, if_match)
        if is_bound:
            plan = conditional_on_state(plan)
        progress = begin(plan)
        try:
            dry_run.judge(directory, plan, progress.fail)
            return apply(directory, plan, progress)
        except PreconditionFailed as ex:
            others.look(progress.refused, ex)
            if is_bound:
                raise
            if time.monotonic() > deadline:
                raise ServerDown(f"others kept changing {plan.named}", report=ex.report) from ex
        time.sleep(random.uniform(0.001, 0.05))  # noqa: S311 - spreads the attempts


def judge_state(plan: Plan, if_match: tuple[str, ...]) -> None:
    """See whether the named entry was read in one of the states that were asked for, if any were.

    Raises:
        PreconditionFailed: If not.
    """
    if if_match and (plan.state is None or not {plan.state, "*"} & set(if_match)):
        raise PreconditionFailed(f"{plan.named} is in another state")


def apply(directory: Directory, plan: Plan, progress: Progress | None = None) -> ChangeResult:
    """Apply a plan, step by step, in order.

    Args:
        directory: Where.
        plan: The steps.
        progress: Is told how far it has come.

    Raises:
        ExceededLdapServerSizelimit: If a sweep would not find all; nothing has been done then.
        Refusal: Of the step that failed. If others had been done before, or nobody knows about
            this one, its report says which were done and which were not.
    """
    progress = progress or Progress()
    state, named = plan.state, plan.named
    if sweeps := [step.query for step in plan.steps if isinstance(step, Sweep)]:
        directory.refuse_partial(sweeps)
    for number, step in enumerate(plan.steps):
        try:
            left = run_step(directory, step, progress)
        except Refusal as refusal:
            if isinstance(step, Operation):
                progress.fail(step, refusal)
            if not isinstance(refusal, Unanswered):
                _take_back(progress)
            if number and isinstance(refusal, _FINAL):
                _undo(directory, plan, plan.steps[:number], progress)
            if progress.done or progress.entries or isinstance(refusal, Unanswered):
                refusal.report = {
                    **(refusal.report or {}),
                    **_report(progress, plan.steps[number:], refusal),
                }
            raise
        if isinstance(step, Operation) and step.dn == named:
            state = left
        if isinstance(step, Rename) and step.dn == named:
            named = step.new_dn
        progress.finished(step)
    return ChangeResult(state, plan.ignored, plan.shared_with, plan.unplaced, plan.kept)


def _undo(directory: Directory, plan: Plan, done: tuple[Step, ...], progress: Progress) -> None:
    """Take back what was done of a plan that a later step has been refused of for good.

    What others have changed since is theirs, and is left alone. If the directory or another program
    fails meanwhile, what was done stands, and the report tells of it.
    """
    if plan.back is None:
        return
    if any(isinstance(step, Rename) for step in done):
        # The entry has another name by now: asking again finishes the change.
        return
    with suppress(Refusal):
        for step in plan.back():
            with suppress(PreconditionFailed):
                run_step(directory, step, Progress())
        progress.keep([])
        progress.entries = 0


def _take_back(progress: Progress) -> None:
    """Take back what was done outside for an entry, if no change of an entry stands.

    What cannot be taken back now stays among what was done, and the report tells of it.
    """
    if progress.entries or not all(isinstance(step, Outside) for step in progress.standing):
        return
    for step in [*reversed(progress.standing)]:
        if isinstance(step, Outside) and step.undo:
            with suppress(Refusal):
                step.undo()
                progress.keep([other for other in progress.standing if other is not step])


def _report(progress: Progress, rest: tuple[Step, ...], refusal: Refusal) -> dict[str, object]:
    report: dict[str, object] = {"done": progress.done}
    if isinstance(refusal, Unanswered):
        report["unknown"] = [describe(rest[0])]
        rest = rest[1:]
    report["not_done"] = [describe(step) for step in rest]
    if progress.entries:
        report["entries_changed_by_the_unfinished_step"] = progress.entries
    return report
