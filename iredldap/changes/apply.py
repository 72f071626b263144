"""Apply plans: the one place where a request writes to the directory."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from iredldap.changes import dry_run, steps
from iredldap.changes.dry_run import ConcurrentChanges
from iredldap.changes.progress import Progress
from iredldap.changes.recording import Recording
from iredldap.changes.steps import run_patiently, run_step, work_outside
from iredldap.directory_errors import DirectoryUnable, Unplaced
from iredldap.dit.left_alone import LeftAlone
from iredldap.dit.plan import (
    Operation,
    Outside,
    Plan,
    Recheck,
    Rename,
    Step,
    Sweep,
    conditional_on_state,
    describe,
)
from iredldap.errors import (
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    PreconditionFailed,
    Refusal,
    ServerDown,
    Unacceptable,
)
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.gateways.locks import Busy
from iredldap.gateways.turns import Turns

T = TypeVar("T")

Handle = Callable[[Plan, Progress], T]
"""Does something with a plan that has just been made: carries it out, or shows it."""

_FINAL = (Conflict, DirectoryUnable, Forbidden, Malformed, NotFound, Unacceptable)
"""Refusals that the same request would get again."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The names that a change locks before its plan is made.

    `names` are those known from the request; a plan may touch more (`Plan.touches`). A wait longer
    than `PATIENCE` is divided, with calls of `check` in between, which may end it.
    """

    turns: Turns
    names: frozenset[str]
    patience: float = field(default_factory=lambda: steps.PATIENCE)
    check: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """The result of a plan: the state of the named entry, and the plan's notes for the response."""

    state: str | None
    ignored: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = ()
    unplaced: Unplaced = ()
    kept: tuple[str, ...] = ()
    left: tuple[LeftAlone, ...] = ()


def execute(
    directory: Directory,
    make: Callable[[], Plan],
    if_match: tuple[str, ...] = (),
    patience: float | None = None,
    begin: Callable[[Plan], Progress] = lambda _: Progress(),
    turn: Turn | None = None,
    recording: Recording | None = None,
) -> ChangeResult:
    """Make a plan and apply it; repeat both while other clients change the same entries.

    All of it happens while the names that the plan touches are locked. Which these are is only
    known when the plan has been made: if it touches more than is locked, all are released, locked
    together in sorted order, and the plan is made again.

    Args:
        directory: Where.
        make: Reads what it needs and returns the plan. It may be called several times.
        if_match: States of which the named entry must have one; then nothing is repeated. ``*``: it
            must exist.
        patience: Seconds for which the plan is repeated; None: `PATIENCE`.
        begin: Called with each plan that is about to be applied; returns its progress.
        turn: The names to lock; None: none.
        recording: Records the change; its end is the caller's. None: it is not recorded.

    Raises:
        PreconditionFailed: If the named entry is in another state.
        ChangeLogUnavailable: If it cannot be recorded, and is refused then.
        ServerDown: If other clients changed the entries, or locked one of the names, for too long.
        Unanswered: If all was carried out, and not confirmed before the writer was gone.
        Unacceptable: If the schema, read again if need be, does not allow it.
    """
    written = recording.of(directory) if recording else directory
    applied: list[Plan] = []

    def handle(plan: Plan, progress: Progress) -> ChangeResult:
        if recording:
            recording.planned(plan)
        dry_run.judge(directory, plan, progress.fail)
        result = apply(written, plan, progress)
        with directory.change() as change:
            # Also where nothing was left to write: success says that the other server has it.
            change.cover(result.state, plan.named)
        applied.append(plan)
        return result

    try:
        return repeated(directory, make, handle, if_match, patience, begin, turn)
    except ServerDown as ex:
        if not applied:
            raise
        # Its steps are done, so the end of the change is what failed.
        raise _unconfirmed(applied[-1], ex) from ex


def _unconfirmed(plan: Plan, failure: ServerDown) -> Unanswered:
    """Return the refusal of a change whose writer was gone before another server had it."""
    steps = [describe(step) for step in plan.steps]
    report: dict[str, object] = {"done": [], "unknown": steps, "not_done": []}
    refusal = Unanswered(f"not confirmed: {failure.detail}", report=report)
    written = [step for step in plan.steps if not isinstance(step, Recheck)]
    if len(written) == 1 and isinstance(written[0], Operation):
        # The entry on the new writer shows whether it was kept.
        refusal.operation = written[0]
    return refusal


def repeated(
    directory: Directory,
    make: Callable[[], Plan],
    handle: Handle[T],
    if_match: tuple[str, ...] = (),
    patience: float | None = None,
    begin: Callable[[Plan], Progress] = lambda _: Progress(),
    turn: Turn | None = None,
) -> T:
    """Make a plan and call `handle` with it; repeat both, as `execute` does."""
    try:
        return _execute(directory, make, handle, if_match, patience, begin, turn)
    except Unacceptable as refusal:
        # The plan may have been made for the schema that the server had some minutes ago. Not
        # repeated if a step has been carried out: it would be repeated, too.
        if "done" in (refusal.report or {}) or not directory.has_new_schema():
            raise
        return _execute(directory, make, handle, if_match, patience, begin, turn)


def _execute(
    directory: Directory,
    make: Callable[[], Plan],
    handle: Handle[T],
    if_match: tuple[str, ...],
    patience: float | None,
    begin: Callable[[Plan], Progress],
    turn: Turn | None,
) -> T:
    # What the request mentions. A plan knows more names, such as the alias domains of an account
    # that is deleted: they are added below, when it has been made.
    names = turn.names if turn else frozenset()
    seconds = steps.PATIENCE if patience is None else patience
    until = time.monotonic() + (turn.patience if turn else 0)
    while True:
        left = max(0.0, until - time.monotonic())
        with ExitStack() as stack:
            if turn:
                try:
                    # Released and taken again together, in sorted order: who holds one name and
                    # waits for another could wait for a client that does the reverse.
                    stack.enter_context(turn.turns.take(names, min(left, steps.PATIENCE)))
                except Busy:
                    if left <= steps.PATIENCE:
                        raise
                    turn.check()
                    continue
            held = names if turn else None
            # From the first read to the last write with one writer, and then confirmed. In the
            # turn: the next change of the same names builds on it.
            with directory.change():
                done = _in_turn(directory, make, handle, if_match, seconds, begin, held)
        if not isinstance(done, _MoreNames):
            return done
        names |= done.names


@dataclass(frozen=True, slots=True)
class _MoreNames:
    """The names that a plan touches, some of which are not locked."""

    names: frozenset[str]


def _in_turn(
    directory: Directory,
    make: Callable[[], Plan],
    handle: Handle[T],
    if_match: tuple[str, ...],
    patience: float,
    begin: Callable[[Plan], Progress],
    held: frozenset[str] | None,
) -> T | _MoreNames:
    """Make a plan and carry it out while names are locked; or return what it touches beside."""
    deadline = time.monotonic() + patience
    others = ConcurrentChanges(directory)
    # With a state given, a repeat would find another one and be refused. `*` names none.
    is_bound = bool(if_match) and "*" not in if_match
    while True:
        # Made in the turn: what it reads cannot be changed by our own changes until it is carried
        # out. Other programs take no turns, which is what repeats and rechecks are for.
        plan = make()
        # Nothing has been written yet, so the locks can be given back.
        if held is not None and not plan.touches <= held:
            return _MoreNames(plan.touches)
        judge_state(plan, if_match)
        if is_bound:
            plan = conditional_on_state(plan)
        progress = begin(plan)
        try:
            return handle(plan, progress)
        except PreconditionFailed as ex:
            # Raises where no other client is the cause: the plan would be refused for ever, with
            # 503 at the end.
            others.examine(progress.refused, ex)
            if is_bound:
                raise
            if time.monotonic() > deadline:
                raise ServerDown(f"others kept changing {plan.named}", report=ex.report) from ex
        time.sleep(random.uniform(0.001, 0.05))  # noqa: S311 - spreads the attempts


def judge_state(plan: Plan, if_match: tuple[str, ...]) -> None:
    """Check that the named entry was read in one of the states of `If-Match`, if there are any.

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
        progress: Records what has been carried out.

    Raises:
        ExceededLdapServerSizelimit: If a sweep would not find all entries; nothing has been done.
        Refusal: That of the step that failed. If others had been carried out before, or whether
            this one was is not known, its report says which were and which were not.
    """
    progress = progress or Progress()
    state, named = plan.state, plan.named
    # Before the first step: a sweep that finds only some entries would leave the rest unchanged.
    if sweeps := [step.query for step in plan.steps if isinstance(step, Sweep)]:
        directory.refuse_partial(sweeps)
    for number, step in enumerate(plan.steps):
        try:
            left = run_patiently(directory, step, progress)
        except Refusal as refusal:
            if isinstance(step, Operation):
                _note_failed(progress, step, refusal, plan.steps[number + 1 :])
            # Not where the step may have been carried out: its entry may need the work outside.
            if not isinstance(refusal, Unanswered):
                _undo_outside(directory, progress)
            # Not after a race or an outage: those are repeated, by us or by the client, and go on
            # from here.
            if number and isinstance(refusal, _FINAL):
                _undo(directory, plan, plan.steps[:number], progress)
            if progress.done or progress.entries or isinstance(refusal, Unanswered):
                refusal.report = {
                    **(refusal.report or {}),
                    **_report(progress, plan.steps[number:], refusal),
                }
            raise
        # The last operation on the named entry leaves the state that becomes the ETag of the
        # answer.
        if isinstance(step, Operation) and step.dn == named:
            state = left
        if isinstance(step, Rename) and step.dn == named:
            # Later steps change it under its new name.
            named = step.new_dn
        progress.finished(step)
    return ChangeResult(
        state, plan.ignored, plan.shared_with, plan.unplaced, plan.kept, tuple(plan.left)
    )


def _note_failed(
    progress: Progress, operation: Operation, refusal: Refusal, rest: tuple[Step, ...]
) -> None:
    progress.fail(operation, refusal)
    if isinstance(refusal, Unanswered):
        refusal.operation, refusal.rest = operation, rest


def _undo(directory: Directory, plan: Plan, done: tuple[Step, ...], progress: Progress) -> None:
    """Undo the steps carried out before one that is refused finally.

    Entries that other clients have changed since are left alone. If the directory or another
    program fails meanwhile, the steps stay carried out, and the report says so.
    """
    if plan.back is None:
        return
    if any(isinstance(step, Rename) for step in done):
        # The entry has a new name already: the same request, repeated, finishes the change.
        return
    with suppress(Refusal):
        for step in plan.back():
            # Another client has changed the entry since: what it wrote is not ours to revert.
            with suppress(PreconditionFailed):
                run_step(directory, step, Progress())
        progress.keep([])
        progress.entries = 0


def _undo_outside(directory: Directory, progress: Progress) -> None:
    """Undo work outside the directory, if no change of an entry remains.

    Work that cannot be undone now stays among the steps carried out, and the report says so.
    """
    if progress.entries or not all(isinstance(step, Outside) for step in progress.standing):
        return
    # Last first: a later one may depend on an earlier one.
    for step in [*reversed(progress.standing)]:
        if isinstance(step, Outside) and step.undo:
            with suppress(Refusal):
                work_outside(directory, step.undo)
                progress.keep([other for other in progress.standing if other is not step])


def _report(progress: Progress, rest: tuple[Step, ...], refusal: Refusal) -> dict[str, object]:
    report: dict[str, object] = {"done": progress.done}
    if isinstance(refusal, Unanswered):
        # Neither done nor not done: the answer was lost, and reading the entry did not tell.
        report["unknown"] = [describe(rest[0])]
        rest = rest[1:]
    report["not_done"] = [describe(step) for step in rest]
    if progress.entries:
        report["entries_changed_by_the_unfinished_step"] = progress.entries
    return report
