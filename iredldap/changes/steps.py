"""Execution of the steps of a plan, one by one: operations, sweeps, rechecks, outside work."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from iredldap.changes import free_space
from iredldap.changes.dry_run import ConcurrentChanges, is_tolerated
from iredldap.changes.progress import Progress
from iredldap.changes.read_back import happened, settled
from iredldap.directory_errors import DirectoryFull, HasChildren
from iredldap.dit.clashes import without_duplicates
from iredldap.dit.plan import (
    Add,
    Delete,
    Operation,
    Outside,
    Recheck,
    Rename,
    Scope,
    Step,
    Sweep,
    describe,
    everything_below,
)
from iredldap.dit.touched import touched_by
from iredldap.errors import NoSuchAccount, PreconditionFailed, Refusal, ServerDown
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.gateways.touched_rows import collected

PATIENCE = 5.0
"""Seconds for which a change is repeated while other clients change the same entries."""


def run_step(directory: Directory, step: Step, progress: Progress) -> str | None:
    """Carry out one step; return the state that an operation leaves.

    Raises:
        Refusal: If it fails; `progress` has the operations of a sweep that were refused.
    """
    left = None
    match step:
        case Sweep():
            _sweep(directory, step, progress)
        case Recheck():
            _recheck(directory, step, progress)
        case Outside():
            directory.recorder.announce_outside(step.meaning)
            work_outside(directory, step.work)
        case _:
            left = _operate(directory, step)
    return left


def run_patiently(directory: Directory, step: Step, progress: Progress) -> str | None:
    """Carry out one step as `run_step`; again, while nobody responds and `progress` waits for that.

    A write that got no response is sent again only when the entry shows that it was not carried
    out. Of those of a sweep it is found out for the change log; the sweep itself finds what is left
    to do.

    Raises:
        Unanswered: If that is not known at the end.
        Refusal: As `run_step`.
    """
    unknown: Unanswered | None = None
    while True:
        try:
            if unknown and isinstance(step, Operation) and _has_happened(directory, step):
                return None
            if unknown and isinstance(step, Sweep):
                until = settled()
                for sent in directory.recorder.unanswered():
                    _has_happened(directory, sent, until)
            return run_step(directory, step, progress)
        except ServerDown as ex:
            unknown = ex if isinstance(ex, Unanswered) else unknown
            if progress.waits(ex, unknown=unknown is not None):
                progress.goes_on()
                continue
            if unknown and unknown is not ex:
                raise unknown from ex
            raise


def _has_happened(directory: Directory, operation: Operation, until: float | None = None) -> bool:
    """Find out whether a write without a response was carried out, and record it then."""
    if not happened(directory, operation, until):
        directory.recorder.dismiss(operation)
        return False
    directory.recorder.record(operation, touched_by(operation, None))
    return True


def work_outside(directory: Directory, work: Callable[[], object]) -> None:
    """Do the work of an outside step, and record which rows it has changed, also if it fails."""
    with collected() as rows:
        try:
            work()
        finally:
            directory.recorder.record_outside(rows)


def _operate(directory: Directory, operation: Operation) -> str | None:
    operation = without_duplicates(operation, directory.equality_of)
    try:
        return directory.write(operation)
    except Unanswered as ex:
        # Never sent again: slapd may still carry out the first one, and the second would then be
        # refused, or revert what another client has written in between.
        if not _has_happened(directory, operation):
            raise ServerDown(f"{describe(operation)}: not done") from ex
        return None
    except Refusal as refusal:
        match operation, refusal:
            case Delete(with_children=True), HasChildren():
                return _delete_with_children(directory, operation)
            case Add(container=Add() as container) | Rename(container=Add() as container), (
                NoSuchAccount()
            ):
                # Containers are made when their first entry comes: domains that other tools have
                # made lack some, and looking for each beforehand would cost every creation a
                # search.
                _operate(directory, container)
                return _operate(directory, replace(operation, container=None))
            # A deletion needs free pages before it frees any.
            case Delete(), DirectoryFull():
                free_space.reclaim(directory, operation.dn)
                return directory.write(operation)
        if not is_tolerated(operation, refusal):
            raise
        return None


def _delete_with_children(directory: Directory, operation: Delete) -> str | None:
    """Delete the entries below an entry, then the entry.

    Called only after the directory has refused to delete the entry alone: hardly any has children,
    and a search before each deletion would cost time.

    Raises:
        HasChildren: If there are children that a search does not find.
        ServerDown: If other clients keep adding some.
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


def _sweep(directory: Directory, sweep: Sweep, progress: Progress) -> None:
    first = True
    deadline = time.monotonic() + PATIENCE
    while True:
        before = progress.entries
        try:
            sent, stuck = _round(directory, sweep, progress, first=first)
        except DirectoryFull:
            # Pages freed since the search of this round began cannot be reused while it goes on: a
            # new round may find room.
            if progress.entries == before:
                raise
            progress.goes_on()
            # Progress was made, so the time starts anew: it limits standstill, not the size of the
            # domain.
            first, deadline = False, time.monotonic() + PATIENCE
            continue
        first = False
        # With `until_empty` a round that sends nothing is the proof that nothing is left.
        if not sweep.until_empty or not sent:
            return
        if stuck < sent:
            deadline = time.monotonic() + PATIENCE
        elif time.monotonic() > deadline:
            # All remaining entries have children, round after round: other clients keep adding
            # some, or there are some that the search does not find.
            raise ServerDown(f"{sweep.meaning}: others keep adding entries")


def _round(
    directory: Directory, sweep: Sweep, progress: Progress, *, first: bool
) -> tuple[int, int]:
    """Process all entries once; count the operations sent, and those refused for children.

    Only the first round counts entries as visited.

    Raises:
        Refusal: The first that is not tolerated, after the responses to all that was sent.
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
                # slapd refuses a value that is sent twice, or is in the entry in another spelling.
                yield without_duplicates(operation, directory.equality_of)

    pipeline = directory.pipeline(operations(), is_stopped=lambda: failure is not None)
    for operation, refusal in pipeline:
        stuck += isinstance(refusal, HasChildren)
        try:
            _settle(directory, sweep, operation, refusal, progress)
        except Refusal as ex:
            progress.fail(operation, ex)
            # Not raised at the first refusal: responses to operations that are under way must be
            # read, and counted.
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
    """Handle the result of one operation: count it, repeat it, ignore it or raise its refusal."""
    match refusal:
        case PreconditionFailed():
            _repeat(directory, sweep, operation.dn)
            refusal = None
        case DirectoryFull():
            free_space.reclaim(directory, sweep.query.base)
            _operate(directory, operation)
            refusal = None
    if refusal is None:
        progress.entries += 1
    elif not is_tolerated(operation, refusal):
        raise refusal


def _repeat(directory: Directory, sweep: Sweep, dn: str) -> None:
    """Repeat the change of one entry that another client changed since the sweep read it."""
    # With the filter of the sweep: the entry may not need the change any more.
    query = replace(sweep.query, base=dn, scope=Scope.BASE)
    deadline = time.monotonic() + PATIENCE
    others = ConcurrentChanges(directory)
    while True:
        operation = None
        try:
            for entry in directory.find(query):
                for operation in sweep.change(entry):
                    _operate(directory, operation)
        except PreconditionFailed as ex:
            others.examine(operation, ex)
            if time.monotonic() > deadline:
                raise ServerDown(f"others kept changing {dn}") from ex
        else:
            return


def _recheck(directory: Directory, recheck: Recheck, progress: Progress) -> None:
    search = directory.find if recheck.few else directory.stream
    correction = recheck.judge(search(recheck.query))
    for operation in correction.operations:
        _operate(directory, operation)
    if correction.refusal:
        # The correction has undone what earlier steps had changed in entries.
        progress.keep([s for s in progress.standing if isinstance(s, Outside) and s.undo])
        raise correction.refusal
