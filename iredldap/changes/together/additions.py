"""Apply plans that add one entry each, many at a time.

The entries are sent one behind the other without waiting, and what each plan checks again after its
write is searched for together. Wherever something is unusual, the plan is left to `apply.execute`:
an addition that is refused has changed nothing.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from iredldap.changes import aftermath
from iredldap.changes.progress import Progress
from iredldap.changes.recording import Recording
from iredldap.changes.steps import run_step
from iredldap.changes.together.log_buffer import LogBuffer
from iredldap.dit.change_log import TouchedEntry, TouchedRows
from iredldap.dit.clashes import without_duplicates
from iredldap.dit.entry import Entry, folded
from iredldap.dit.filters import alternatives, either
from iredldap.dit.plan import Add, Operation, Outside, Plan, Recheck, SharedWork
from iredldap.errors import NoSuchAccount, Refusal, ServerDown
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.gateways.recorded_directory import RecordedDirectory
from iredldap.gateways.recorder import Recorder
from iredldap.gateways.touched_rows import collected

_EQUALITY = re.compile(r"\(([A-Za-z][\w;-]*)=([^()*]*)\)")
_OTHER = re.compile(r"\((?:[^()]*(?:[<>~]=|\*)|entryDN=)[^()]*\)")
_ESCAPED = re.compile(r"\\([0-9a-f]{2})")


def is_addition(plan: Plan) -> bool:
    """Return whether a plan adds one entry, and does nothing else than to check it again.

    Before the addition it may do what can be done for several plans at once.
    """
    steps = [step for step in plan.steps if not isinstance(step, Recheck)]
    return (
        bool(steps)
        and isinstance(steps[-1], Add)
        and all(isinstance(step, Outside) and step.shared for step in steps[:-1])
    )


@dataclass
class Addition:
    """A plan that adds an entry, its recording, and what refused it.

    Args:
        plan: As `is_addition` says.
        recording: Its own; `add_all` does not end it.
        refusal: None: the entry was added.
        lost: Why it may not be there all the same: it was not confirmed, or not sent.
    """

    plan: Plan
    recording: Recording
    refusal: Refusal | None = None
    lost: BaseException | None = None

    @property
    def is_there(self) -> bool:
        return self.refusal is None and self.lost is None

    @property
    def operation(self) -> Add:
        return next(step for step in self.plan.steps if isinstance(step, Add))

    @property
    def rechecks(self) -> list[Recheck]:
        return [step for step in self.plan.steps if isinstance(step, Recheck)]


def add_all(directory: Directory, log: LogBuffer, additions: Sequence[Addition]) -> None:
    """Add the entries of plans, and check all of them again.

    Args:
        directory: Where.
        log: What the recordings of the additions are kept in.
        additions: Each gets its refusal.

    Raises:
        ChangeLogUnavailable: If they cannot be recorded, and are refused then.
        ServerDown: If the directory does not answer; the recordings know what was done.
    """
    sent: dict[int, Addition] = {}
    operations: list[Operation] = []
    for one in additions:
        one.recording.planned(one.plan)
        operation = without_duplicates(one.operation, directory.equality_of)
        sent[id(operation)] = one
        operations.append(operation)
    _work_outside(additions, log)
    recorder = _Recorder({number: one.recording for number, one in sent.items()}, log)
    for operation, refusal in RecordedDirectory(directory, recorder).pipeline(operations):
        one = sent[id(operation)]
        one.refusal = refusal
        if isinstance(refusal, NoSuchAccount):
            # The container is missing, which comes with its first entry.
            one.refusal = _alone(directory, one, operation)
    _check_again(directory, [one for one in additions if one.refusal is None])


def _work_outside(additions: Sequence[Addition], log: LogBuffer) -> None:
    """Do what comes before the additions, for all of them at once; each change has its own rows.

    Raises:
        ChangeLogUnavailable: If it cannot be recorded, and changes are refused then.
        ServerDown: If a database does not answer.
    """
    by_work = defaultdict[Callable[[Collection[str]], object], list[tuple[Addition, SharedWork]]](
        list
    )
    for one in additions:
        for step in one.plan.steps:
            if isinstance(step, Outside) and step.shared:
                one.recording.announce_outside(step.meaning)
                by_work[step.shared.work].append((one, step.shared))
    if not by_work:
        return
    log.flush_beginnings()
    for work, pairs in by_work.items():
        with collected() as rows:
            try:
                work([shared.value for _, shared in pairs])
            finally:
                for one, shared in pairs:
                    one.recording.record_outside(_own(rows, shared))


def _own(rows: Iterable[TouchedRows], shared: SharedWork) -> Iterator[TouchedRows]:
    for touched in rows:
        before = tuple(filter(shared.owns, touched.before))
        after = tuple(filter(shared.owns, touched.after))
        if before or after:
            yield replace(touched, before=before, after=after)


def end_all(
    directory: Directory, additions: Sequence[Addition], failure: BaseException | None
) -> None:
    """End the recordings of additions, after what they have written was confirmed, or was not.

    Args:
        directory: Where, outside the change itself.
        additions: Each gets why it may be lost.
        failure: What the change ended with; None: all is confirmed.
    """
    is_blind = not isinstance(failure, ServerDown)
    for one in additions:
        if failure and one.refusal is None:
            one.lost = failure if is_blind else _lost(directory, one, failure)
            # What does not answer for so long is not asked about each of the others.
            is_blind |= isinstance(one.lost, Unanswered)
        error = one.refusal or one.lost
        one.recording.__exit__(type(error) if error else None, error, None)


def _lost(directory: Directory, one: Addition, failure: BaseException) -> Refusal | None:
    """Look for an entry whose addition was not confirmed; return why it is not there."""
    unconfirmed = Unanswered(f"not confirmed: {failure}")
    unconfirmed.operation = without_duplicates(one.operation, directory.equality_of)
    try:
        aftermath.result_of(one.recording.of(directory), unconfirmed)
    except Refusal as refusal:
        return refusal
    return None


class _Recorder(Recorder):
    """Passes what happens to each operation to the recording of its change."""

    def __init__(self, recordings: Mapping[int, Recording], log: LogBuffer) -> None:
        self._recordings = recordings
        self._log = log

    def announce_several(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            self._recordings[id(operation)].announce(operation)
        try:
            self._log.flush_beginnings()
        except Refusal:
            for operation in operations:
                self.dismiss(operation)
            raise

    def record(self, operation: Operation, touched: TouchedEntry) -> None:
        self._recordings[id(operation)].record(operation, touched)

    def dismiss(self, operation: Operation) -> None:
        self._recordings[id(operation)].dismiss(operation)


def _alone(directory: Directory, one: Addition, operation: Operation) -> Refusal | None:
    try:
        run_step(one.recording.of(directory), operation, Progress())
    except Refusal as refusal:
        return refusal
    return None


def _check_again(directory: Directory, additions: Sequence[Addition]) -> None:
    """Search for what all rechecks look for, in as few searches as there are kinds of them."""
    kinds = defaultdict[str, list[tuple[Addition, Recheck]]](list)
    for one in additions:
        for recheck in one.rechecks:
            kinds[recheck.meaning].append((one, recheck))
    for alike in kinds.values():
        _check_alike(directory, [pair for pair in alike if pair[0].refusal is None])


def _check_alike(directory: Directory, pairs: Sequence[tuple[Addition, Recheck]]) -> None:
    by_query = defaultdict[object, list[tuple[Addition, Recheck]]](list)
    for pair in pairs:
        query = pair[1].query
        by_query[query if pair[1].is_shared else (query.base, query.scope)].append(pair)
    for alike in by_query.values():
        first = alike[0][1]
        if first.is_shared:
            # All of them ask the same: if it is well for one, it is for all. If not, the last ones
            # go until it is.
            if first.judge(directory.stream(first.query)).refusal is None:
                continue
            for one, recheck in reversed(alike):
                _correct(directory, one, recheck, directory.stream(recheck.query))
            continue
        # Each term once: directories above the mailboxes of a domain are the same for all of them,
        # and slapd compares each entry that it finds with one term after another.
        filters = dict.fromkeys(
            term for _, recheck in alike for term in alternatives(recheck.query.filter)
        )
        attributes = dict.fromkeys(
            name for _, recheck in alike for name in recheck.query.attributes
        )
        query = replace(first.query, filter=either(*filters), attributes=tuple(attributes))
        found = _Found(directory.stream(query))
        for one, recheck in alike:
            _correct(directory, one, recheck, found.matching(recheck.query.filter))


def _correct(
    directory: Directory, one: Addition, recheck: Recheck, entries: Iterable[Entry]
) -> None:
    correction = recheck.judge(entries)
    recorded = one.recording.of(directory)
    for operation in correction.operations:
        run_step(recorded, operation, Progress())
    one.refusal = correction.refusal


class _Found:
    """Entries that several searches would have found, by the values that filters compare with."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = [*entries]
        self._by_value = defaultdict[tuple[str, str], list[Entry]](list)
        for entry in self._entries:
            for name in entry.attributes:
                if name != "objectClass":
                    for value in entry.lowered(name):
                        self._by_value[name.lower(), value].append(entry)

    def matching(self, filter_: str) -> Iterator[Entry]:
        """Yield at least the entries that a filter finds; all, if it has other terms than values.

        A filter finds no entry that has none of its values: beside classes there are only those.
        """
        if _OTHER.search(filter_):
            yield from self._entries
            return
        seen: set[str] = set()
        for name, value in _EQUALITY.findall(filter_):
            plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)
            for entry in self._by_value.get((name.lower(), folded(plain)), ()):
                if entry.dn not in seen:
                    seen.add(entry.dn)
                    yield entry
