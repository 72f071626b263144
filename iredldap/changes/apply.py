"""Carry out plans: the one place where a request writes to the directory."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

from iredldap.changes import foresight, room
from iredldap.changes.foresight import is_tolerated
from iredldap.dit.clashes import without_duplicates
from iredldap.dit.entry import Entry
from iredldap.dit.plan import (
    Add,
    Delete,
    Mod,
    Modify,
    Op,
    Operation,
    Outside,
    Plan,
    Recheck,
    Rename,
    Scope,
    Step,
    Sweep,
    conditional_on_state,
    describe,
    everything_below,
)
from iredldap.errors import (
    Conflict,
    DirectoryFull,
    DirectoryUnable,
    Forbidden,
    HasChildren,
    Malformed,
    NoSuchAccount,
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

PATIENCE = 5.0
"""Seconds for which a change that others overtake is made again."""

_FINAL = (Conflict, DirectoryUnable, Forbidden, Malformed, NotFound, Unacceptable)
"""Refusals that a repeat of the same request would meet again."""

_SETTLING = 1.0
"""Seconds for which an unanswered write may still turn out to be done."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a change takes before its plan is made.

    `names` is what the request itself tells; a plan may touch more (`Plan.touches`). Who waits for
    longer than `PATIENCE` waits in pieces, and calls `check` in between, which may end the wait.
    """

    turns: Turns
    names: frozenset[str]
    patience: float = field(default_factory=lambda: PATIENCE)
    check: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plan carried out: the state it left the named entry in, and what its plan tells."""

    state: str | None
    ignored: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = ()
    unplaced: Unplaced = ()
    kept: tuple[str, ...] = ()


@dataclass
class Progress:
    """How far a plan has come.

    `done` are the steps carried out, `entries` the operations that the sweep under way has carried
    out, `visited` the entries that sweeps have come by and the single steps done, `failed` what
    the directory refused to change, by DN, `refused` the first operation of those, `standing` the
    steps done that stand. Whoever wants to follow overrides the first two methods; a refusal that
    they raise ends the work there.
    """

    done: list[str] = field(default_factory=list)
    entries: int = 0
    visited: int = 0
    failed: list[tuple[str, Refusal]] = field(default_factory=list)
    refused: Operation | None = None
    standing: list[Step] = field(default_factory=list)

    def visit(self) -> None:
        """A sweep has found another entry."""
        self.visited += 1

    def finished(self, step: Step) -> None:
        """A step has been carried out."""
        words = describe(step)
        self.done.append(f"{words} ({self.entries} entries)" if self.entries else words)
        self.standing.append(step)
        self.entries = 0
        if not isinstance(step, Sweep):
            self.visited += 1

    def fail(self, operation: Operation, refusal: Refusal) -> None:
        """An operation has been refused."""
        self.failed.append((operation.dn, refusal))
        self.refused = self.refused or operation

    def goes_on(self) -> None:
        """What was refused is tried again."""
        self.failed.clear()
        self.refused = None

    def keep(self, standing: list[Step]) -> None:
        """Of what has been done only some steps stand any more."""
        self.standing = standing
        self.done = [describe(step) for step in standing]


def execute(
    directory: Directory,
    make: Callable[[], Plan],
    if_match: tuple[str, ...] = (),
    patience: float | None = None,
    begin: Callable[[Plan], Progress] = lambda _: Progress(),
    turn: Turn | None = None,
) -> Outcome:
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
) -> Outcome:
    names = turn.names if turn else frozenset()
    seconds = PATIENCE if patience is None else patience
    until = time.monotonic() + (turn.patience if turn else 0)
    while True:
        left = max(0.0, until - time.monotonic())
        with ExitStack() as stack:
            if turn:
                try:
                    stack.enter_context(turn.turns.take(names, min(left, PATIENCE)))
                except Busy:
                    if left <= PATIENCE:
                        raise
                    turn.check()
                    continue
            done = _in_turn(directory, make, if_match, seconds, begin, names if turn else None)
        if isinstance(done, Outcome):
            return done
        names |= done


def _in_turn(
    directory: Directory,
    make: Callable[[], Plan],
    if_match: tuple[str, ...],
    patience: float,
    begin: Callable[[Plan], Progress],
    held: frozenset[str] | None,
) -> Outcome | frozenset[str]:
    """Make a plan and apply it while names are held; return what it touches if that is more."""
    deadline = time.monotonic() + patience
    rivals = foresight.Rivals(directory)
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
            foresight.judge(directory, plan, progress.fail)
            return apply(directory, plan, progress)
        except PreconditionFailed as ex:
            rivals.look(progress.refused, ex)
            if is_bound:
                raise
            if time.monotonic() > deadline:
                raise ServerDown(f"others kept changing {plan.named}", report=ex.report) from ex
        time.sleep(random.uniform(0.001, 0.05))  # noqa: S311 - spreads the rivals


def judge_state(plan: Plan, if_match: tuple[str, ...]) -> None:
    """See whether the named entry was read in one of the states that were asked for, if any were.

    Raises:
        PreconditionFailed: If not.
    """
    if if_match and (plan.state is None or not {plan.state, "*"} & set(if_match)):
        raise PreconditionFailed(f"{plan.named} is in another state")


def apply(directory: Directory, plan: Plan, progress: Progress | None = None) -> Outcome:
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
            left = _step(directory, step, progress)
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
    return Outcome(state, plan.ignored, plan.shared_with, plan.unplaced, plan.kept)


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
                _step(directory, step, Progress())
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


def _step(directory: Directory, step: Step, progress: Progress) -> str | None:
    left = None
    match step:
        case Sweep():
            _sweep(directory, step, progress)
        case Recheck():
            _recheck(directory, step, progress)
        case Outside():
            step.work()
        case _:
            left = _operate(directory, step)
    return left


def _operate(directory: Directory, operation: Operation) -> str | None:
    operation = without_duplicates(operation, directory.equality_of)
    try:
        return directory.write(operation)
    except Unanswered as ex:
        if not _happened(directory, operation):
            raise ServerDown(f"{describe(operation)}: not done") from ex
        return None
    except Refusal as refusal:
        match operation, refusal:
            case Delete(with_children=True), HasChildren():
                return _delete_with_children(directory, operation)
            case Add(container=Add() as container) | Rename(container=Add() as container), (
                NoSuchAccount()
            ):
                _operate(directory, container)
                return _operate(directory, replace(operation, container=None))
            case Delete(), DirectoryFull():
                room.make(directory, operation.dn)
                return directory.write(operation)
        if not is_tolerated(operation, refusal):
            raise
        return None


def _delete_with_children(directory: Directory, operation: Delete) -> str | None:
    """Remove what lies below an entry, then the entry.

    Only where the directory has refused to remove the entry alone: hardly any has children, and
    each deletion would cost a search for them.

    Raises:
        HasChildren: If there are children that no search finds.
        ServerDown: If others keep adding some.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        removed = Progress()
        _sweep(directory, everything_below(operation.dn), removed)
        try:
            return _operate(directory, replace(operation, with_children=False))
        except HasChildren as ex:
            if not removed.entries:
                raise
            if time.monotonic() > deadline:
                raise ServerDown(f"others keep adding entries below {operation.dn}") from ex


def _happened(directory: Directory, operation: Operation) -> bool:
    """Read back whether a write that got no answer took place.

    The directory may still be about to carry it out, or be on its way back from a restart:
    that is what the wait is for.

    Raises:
        Unanswered: If the directory does not answer that either.
    """
    deadline = time.monotonic() + _SETTLING
    while True:
        failure: ServerDown | None = None
        try:
            if _is_visible(operation, directory.read(operation.dn)):
                return True
        except ServerDown as ex:
            failure = ex
        if time.monotonic() > deadline:
            break
        time.sleep(_SETTLING / 20)
    if failure:
        words = f"{describe(operation)}: sent, and nobody knows whether done"
        raise Unanswered(words) from failure
    return False


def _is_visible(operation: Operation, entry: Entry | None) -> bool:
    """Whether an entry, None for none, is as the operation leaves it."""
    match operation:
        case Delete() | Rename():
            return entry is None
        case Add(attributes=attributes):
            return entry is not None and all(
                set(values) <= set(entry.values(name)) for name, values in attributes.items()
            )
        case Modify(mods=()):
            # A guard leaves nothing but a state, and that may be somebody else's.
            return False
        case Modify(mods=mods):
            return entry is not None and all(
                set(entry.values(name)) == _changed(entry, name, mods)
                for name in {mod.attribute for mod in mods}
            )


def _changed(entry: Entry, attribute: str, mods: tuple[Mod, ...]) -> set[bytes]:
    """Values of an attribute if the modifications were made now (again)."""
    values = set(entry.values(attribute))
    for mod in mods:
        if mod.attribute == attribute:
            match mod.op:
                case Op.REPLACE:
                    values = set(mod.values)
                case Op.ADD:
                    values |= set(mod.values)
                case Op.DELETE:
                    # Most attributes are compared without regard to case.
                    gone = {value.lower() for value in mod.values}
                    values = {v for v in values if v.lower() not in gone} if gone else set()
    return values


def _sweep(directory: Directory, sweep: Sweep, progress: Progress) -> None:
    first = True
    deadline = time.monotonic() + PATIENCE
    while True:
        before = progress.entries
        try:
            sent, stuck = _round(directory, sweep, progress, first=first)
        except DirectoryFull:
            # The search of a round keeps what was given back since: another one may find room.
            if progress.entries == before:
                raise
            progress.goes_on()
            first, deadline = False, time.monotonic() + PATIENCE
            continue
        first = False
        if not sweep.until_empty or not sent:
            return
        if stuck < sent:
            deadline = time.monotonic() + PATIENCE
        elif time.monotonic() > deadline:
            # Each entry that is left has children, round after round: others keep adding some, or
            # there are some that the search does not find.
            raise ServerDown(f"{sweep.meaning}: others keep adding entries")


def _round(
    directory: Directory, sweep: Sweep, progress: Progress, *, first: bool
) -> tuple[int, int]:
    """Go once over all entries; count the operations sent, and those that children prevented.

    What a later round comes back to has been visited before.

    Raises:
        Refusal: The first that is not tolerated, when all that was under way has been heard of.
    """
    sent = stuck = 0
    failure: Refusal | None = None

    def operations() -> Iterator[Operation]:
        nonlocal sent
        for entry in directory.stream(sweep.query):
            if first:
                progress.visit()
            for operation in sweep.change(entry):
                if failure:
                    return
                sent += 1
                yield without_duplicates(operation, directory.equality_of)

    for operation, refusal in directory.pipeline(operations()):
        stuck += isinstance(refusal, HasChildren)
        try:
            _settle(directory, sweep, operation, refusal, progress)
        except Refusal as ex:
            progress.fail(operation, ex)
            failure = failure or ex
    if failure:
        raise failure
    return sent, stuck


def _settle(
    directory: Directory,
    sweep: Sweep,
    operation: Operation,
    refusal: Refusal | None,
    progress: Progress,
) -> None:
    """Make of one operation's outcome a change, nothing, or the end of the sweep."""
    match refusal:
        case PreconditionFailed():
            _again(directory, sweep, operation.dn)
            refusal = None
        case DirectoryFull():
            room.make(directory, sweep.query.base)
            _operate(directory, operation)
            refusal = None
    if refusal is None:
        progress.entries += 1
    elif not is_tolerated(operation, refusal):
        raise refusal


def _again(directory: Directory, sweep: Sweep, dn: str) -> None:
    """Change one entry that somebody else changed while the sweep came by."""
    query = replace(sweep.query, base=dn, scope=Scope.BASE)
    deadline = time.monotonic() + PATIENCE
    rivals = foresight.Rivals(directory)
    while True:
        operation = None
        try:
            for entry in directory.find(query):
                for operation in sweep.change(entry):
                    _operate(directory, operation)
        except PreconditionFailed as ex:
            rivals.look(operation, ex)
            if time.monotonic() > deadline:
                raise ServerDown(f"others kept changing {dn}") from ex
        else:
            return


def _recheck(directory: Directory, recheck: Recheck, progress: Progress) -> None:
    correction = recheck.judge(directory.stream(recheck.query))
    for operation in correction.operations:
        _operate(directory, operation)
    if correction.refusal:
        # The operations have taken back what the steps before had done to entries.
        progress.keep([s for s in progress.standing if isinstance(s, Outside) and s.undo])
        raise correction.refusal
