"""Carry out the plan of a restore, and read back what the directory holds afterwards.

Entries are added in order, one at a time: children must not overtake their parents, and the
directory has one writer anyway. A repeat finishes what an interrupted restore left.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from iredldap.changes import apply
from iredldap.changes.recording import Recording
from iredldap.dit.change_records import change_records
from iredldap.dit.plan import Add, Modify, Plan
from iredldap.errors import NoSuchAccount, PreconditionFailed, Refusal
from iredldap.gateways.directory import Directory
from iredldap.ldif import writer
from ldif_export.ldif.decompression import DigestingReader, decompressed
from ldif_export.ldif.files import Openable
from ldif_export.ldif.parser import LineIssue, ParsedRecord
from ldif_export.restore.checkpoint import Checkpoint
from ldif_export.restore.checks import IssueList
from ldif_export.restore.comparison import Action, Difference, compare, make_normalizer
from ldif_export.restore.file_index import FileIndex
from ldif_export.restore.normalize import Normalizer, read_accounts
from ldif_export.restore.plan import RestorePlan

_READ = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class RestoreOutcome:
    """What a restore did, and what the directory held when it was read back.

    Args:
        added: Entries that were added.
        changed: Entries that were changed to the file's.
        equal: Entries that are now as in the file.
        missing: Entries that are missing nevertheless.
        differ: Entries that exist and differ.
        differences: What differs, in the first of them.
        shared: Addresses and domains of added entries that other clients gave to others meanwhile.
    """

    added: int
    changed: int
    equal: int
    missing: int
    differ: int
    differences: tuple[Difference, ...]
    shared: tuple[LineIssue, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is there; entries that differ may have been left alone on purpose."""
        return not self.missing and not self.shared

    def as_json(self) -> dict[str, object]:
        """Return it as a dictionary for `json.dumps`."""
        return {"ok": self.ok, **asdict(self)}


def planned_changes(plan: RestorePlan, directory: Directory) -> Iterator[bytes]:
    """Yield the LDIF change records that a plan would write, one at a time.

    Raises:
        PreconditionFailed: As `execute`.
    """
    _check_unchanged(plan)
    yield writer.VERSION
    for _, _, make in _changes(plan, directory):
        # Each plan prints its own version line, which is left out behind the first.
        yield from islice(change_records(make(), directory.find), 1, None)


def execute(
    plan: RestorePlan,
    directory: Directory,
    *,
    checkpoint: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    recording: Recording | None = None,
) -> RestoreOutcome:
    """Carry out a plan, and read back what the directory holds then.

    Args:
        plan: Made with the same checkpoint.
        directory: Where to write.
        checkpoint: Where to keep the progress; removed when all is done.
        progress: Called with the number of writes done and the number of all.
        recording: Records what is written; None: it is not recorded.

    Raises:
        PreconditionFailed: If the plan refuses anything, or the file has changed.
        OSError: If the progress cannot be kept; it names the checkpoint.
        Refusal: Of the directory. Its report has the line, and how many writes were done; a new
            plan finishes them.
    """
    _check_unchanged(plan)
    mark = Checkpoint(checkpoint, plan.sha256, plan.suffix)
    if plan.add or plan.change:
        mark.check()
    try:
        _write(plan, directory, mark, progress, recording)
    finally:
        mark.keep()
    mark.remove()
    return _outcome(plan, directory)


def _check_unchanged(plan: RestorePlan) -> None:
    """Check that a plan may be carried out, and that its file is still the one it was made of."""
    if not plan.ok:
        raise PreconditionFailed(f"the plan refuses {plan.refused_count} times")
    # The file is read again while it is written: another one of this name was never judged.
    if _digest(plan.file) != plan.sha256:
        raise PreconditionFailed(f"{plan.file} has changed since it was planned")


def _write(
    plan: RestorePlan,
    directory: Directory,
    mark: Checkpoint,
    progress: Callable[[int, int], None],
    recording: Recording | None,
) -> None:
    total = plan.add + plan.change
    # One after another, parents first: a child cannot be added before its parent.
    for done, (position, record, make) in enumerate(_changes(plan, directory), 1):
        try:
            # By the execution of the API: an add without an answer is read back, and slapd asserts
            # the state of what is changed.
            apply.execute(directory, make, recording=recording)
        except Refusal as refusal:
            refusal.report = {**(refusal.report or {}), "line": record.line, "writes": done - 1}
            raise
        # After the write: what is recorded as done is in the directory.
        mark.reach(position + 1)
        progress(done, total)


def _outcome(done: RestorePlan, directory: Directory) -> RestoreOutcome:
    shared = IssueList()
    with FileIndex() as index:
        # Not from what was counted: what the directory holds at the end is the result, whoever has
        # written meanwhile.
        compared = compare(done.file, directory, index, done.options)
        for fault in compared.conflicts(done.actions, {Action.ADD}, afterwards=True):
            shared.add(fault.line, fault.reason)
    actions = compared.actions
    return RestoreOutcome(
        added=done.add,
        changed=done.change,
        equal=actions.count(Action.NOTHING),
        missing=actions.count(Action.ADD),
        differ=actions.count(Action.REPORT) + actions.count(Action.CHANGE),
        differences=tuple(compared.differences()),
        shared=shared.listed(),
    )


def _changes(
    plan: RestorePlan, directory: Directory
) -> Iterator[tuple[int, ParsedRecord, Callable[[], Plan]]]:
    """Yield the position, the entry, and a function that makes the change of each."""
    normalizer = make_normalizer(directory, plan.options)
    largest = plan.options.largest
    found = read_accounts(plan.file, normalizer, largest=largest, by_depth=plan.by_depth)
    for position, (action, record) in enumerate(zip(plan.actions, found, strict=True)):
        if action == Action.ADD:
            yield position, record, partial(_addition, record)
        elif action == Action.CHANGE:
            yield position, record, partial(_correction, record, directory, normalizer)


def _addition(record: ParsedRecord) -> Plan:
    attributes = {name: tuple(values) for name, values in record.attributes.items()}
    # An entry that is there is one whose add succeeded and whose response was lost; or another
    # client's, which the read-back then finds to differ.
    return Plan(record.dn, (Add(record.dn, attributes, present_ok=True),))


def _correction(record: ParsedRecord, directory: Directory, normalizer: Normalizer) -> Plan:
    # Read again just before the write: the plan may be minutes old, and the modification asserts
    # the state that it was made for.
    entry = directory.read(record.dn)
    if entry is None:
        raise NoSuchAccount(f"{record.dn} has gone since it was planned")
    mods = normalizer.mods(record, entry)
    expect = (entry.csn,) if entry.csn else ()
    steps = (Modify(record.dn, mods, expect),) if mods else ()
    return Plan(record.dn, steps, entry.csn)


def _digest(file: Openable) -> str:
    with file.open("rb") as text:
        digesting = DigestingReader(decompressed(text))
        while digesting.read(_READ):
            pass
    return digesting.sha256
