"""Bring the entries of an LDIF file into a directory: plan first, then add, then look again.

Entries are added in order, one at a time: children must not overtake their parents, and the
directory has one writer anyway. A repeat finishes what a break left.
"""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, fields
from enum import IntEnum
from functools import partial
from itertools import islice
from pathlib import Path

from iredldap.changes import apply
from iredldap.dit import plan as changes
from iredldap.dit.plan import Add, Modify
from iredldap.errors import NoSuchAccount, PreconditionFailed, Refusal
from iredldap.gateways.directory import Directory
from iredldap.ldif import writer
from ldif_export.ldif.decompression import Tally, unpacked
from ldif_export.ldif.files import Openable
from ldif_export.ldif.parser import Fault, Record
from ldif_export.restore import conflicts
from ldif_export.restore.checkpoint import Checkpoint
from ldif_export.restore.file_index import Ledger
from ldif_export.restore.judgement import Notes
from ldif_export.restore.normalize import Shape, accounts, agrees
from ldif_export.restore.validation import Options, Survey

MOST_DIFFERENCES = 100
"""Entries of which a plan tells what differs; of the others it tells the number."""

_READ = 1024 * 1024


class Action(IntEnum):
    """What is to be done with an entry of a file."""

    ADD = 0
    NOTHING = 1
    """It is in the directory, and equal."""
    REPORT = 2
    """It is in the directory, and differs."""
    CHANGE = 3
    """The same, and is to be made as the file has it."""
    PASS = 4
    """It was done before a break, whatever happened to it since."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An entry that is not in the directory as it is in the file, and the attributes."""

    line: int
    dn: str
    attributes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a restore would do; nothing as long as anything is refused.

    Args:
        sha256: Digest of the file's text.
        suffix: Of the directory.
        entries: Accounts, domains and containers in the file.
        add: How many of them are not in the directory.
        equal: How many are there as in the file.
        differ: How many are there and differ.
        change: How many of these are to be made as in the file.
        passed: How many were done before a break.
        installation: Further entries of the file that every installation has; they are let be.
        refused: Why the file can not be restored, by line.
        refused_count: Their number, those not told included.
        warnings: What is odd.
        warning_count: Their number.
        differences: What differs, in the first entries that do.
        left_out: Operational attributes in the file, which the directory makes itself.
        omitted: Of how many entries each attribute is left out that was asked to be.
    """

    sha256: str
    suffix: str
    entries: int
    add: int
    equal: int
    differ: int
    change: int
    passed: int
    installation: int
    refused: tuple[Fault, ...]
    refused_count: int
    warnings: tuple[Fault, ...]
    warning_count: int
    differences: tuple[Difference, ...]
    left_out: tuple[str, ...]
    omitted: Mapping[str, int]
    file: Openable = field(repr=False)
    options: Options = field(repr=False)
    by_depth: bool = field(repr=False)
    actions: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        return not self.refused_count

    def as_json(self) -> dict[str, object]:
        """What people want to see of it, for `json.dumps`."""
        shown = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.repr}
        return {"ok": self.ok, **shown}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a restore did, and what the directory held when it was read again afterwards.

    Args:
        added: Entries.
        changed: Entries made as in the file.
        equal: Entries that are now as in the file.
        missing: Entries that are not there all the same.
        differ: Entries that are there and differ.
        differences: What differs, in the first of them.
        shared: Addresses and domains of entries that were added, which others took meanwhile.
    """

    added: int
    changed: int
    equal: int
    missing: int
    differ: int
    differences: tuple[Difference, ...]
    shared: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        """Whether all is there; entries that differ may have been let be on purpose."""
        return not self.missing and not self.shared

    def as_json(self) -> dict[str, object]:
        """It as a dictionary for `json.dumps`."""
        return {"ok": self.ok, **asdict(self)}


def plan(
    file: Openable,
    directory: Directory,
    options: Options | None = None,
    *,
    checkpoint: Path | None = None,
) -> Plan:
    """See what a restore would do; nothing is written.

    Args:
        file: LDIF, compressed or not; read more than once.
        directory: Where the entries are to be.
        options: How.
        checkpoint: Where a restore that was broken off kept how far it came.

    Raises:
        ServerDown: If the directory does not answer.
        PreconditionFailed: If the checkpoint is of another file or directory.
    """
    with Ledger() as ledger:
        survey = _survey(file, directory, ledger, options or Options())
        done = Checkpoint(checkpoint, survey.sha256, directory.tree.suffix).done
        actions, unlike = _actions(ledger, survey, done)
        for fault in _conflicts(survey, directory, actions, {Action.ADD, Action.CHANGE}):
            survey.refused.add(fault.line, fault.reason)
    differences = tuple(_differences(file, directory, survey, unlike))
    return _plan(file, survey, actions, differences)


def change_records(plan: Plan, directory: Directory) -> Iterator[bytes]:
    """Print what a plan would write as LDIF change records, one at a time.

    Raises:
        PreconditionFailed: As `execute`.
    """
    _insist(plan)
    yield writer.VERSION
    for _, _, make in _changes(plan, directory):
        # The first one is the version, once more.
        yield from islice(changes.change_records(make(), directory.find), 1, None)


def execute(
    plan: Plan,
    directory: Directory,
    *,
    checkpoint: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Do what a plan says, and read back what the directory holds then.

    Args:
        plan: Made with the same checkpoint.
        directory: Where.
        checkpoint: Where to keep how far it has come; removed when all is done.
        progress: Is told of the writes done and those to be done in all.

    Raises:
        PreconditionFailed: If the plan refuses anything, or the file is another one by now.
        Refusal: Of the directory. Its report tells the line, and how many writes were done; a
            plan made anew finishes them.
    """
    _insist(plan)
    mark = Checkpoint(checkpoint, plan.sha256, plan.suffix)
    try:
        _write(plan, directory, mark, progress)
    finally:
        mark.keep()
    mark.remove()
    return _outcome(plan, directory)


def _insist(plan: Plan) -> None:
    """See that a plan may be carried out, and is still about the file that it was made of."""
    if not plan.ok:
        raise PreconditionFailed(f"the plan refuses {plan.refused_count} times")
    if _digest(plan.file) != plan.sha256:
        raise PreconditionFailed(f"{plan.file} has changed since it was planned")


def _write(
    plan: Plan, directory: Directory, mark: Checkpoint, progress: Callable[[int, int], None]
) -> None:
    total = plan.add + plan.change
    for done, (position, record, make) in enumerate(_changes(plan, directory), 1):
        try:
            apply.execute(directory, make)
        except Refusal as refusal:
            refusal.report = {**(refusal.report or {}), "line": record.line, "writes": done - 1}
            raise
        mark.reach(position + 1)
        progress(done, total)


def _outcome(done: Plan, directory: Directory) -> Outcome:
    shared = Notes()
    with Ledger() as ledger:
        survey = _survey(done.file, directory, ledger, done.options)
        actions, unlike = _actions(ledger, survey, 0)
        for fault in _conflicts(survey, directory, done.actions, {Action.ADD}, afterwards=True):
            shared.add(fault.line, fault.reason)
    return Outcome(
        added=done.add,
        changed=done.change,
        equal=actions.count(Action.NOTHING),
        missing=actions.count(Action.ADD),
        differ=actions.count(Action.REPORT) + actions.count(Action.CHANGE),
        differences=tuple(_differences(done.file, directory, survey, unlike)),
        shared=shared.told(),
    )


def _changes(
    plan: Plan, directory: Directory
) -> Iterator[tuple[int, Record, Callable[[], changes.Plan]]]:
    """Give the place in the order, the entry, and what makes the change of each."""
    shape = _shape(directory, plan.options)
    largest = plan.options.largest
    found = accounts(plan.file, shape, largest=largest, by_depth=plan.by_depth)
    for position, (action, record) in enumerate(zip(plan.actions, found, strict=True)):
        if action == Action.ADD:
            yield position, record, partial(_addition, record)
        elif action == Action.CHANGE:
            yield position, record, partial(_correction, record, directory, shape)


def _addition(record: Record) -> changes.Plan:
    attributes = {name: tuple(values) for name, values in record.attributes.items()}
    # Present: an add whose answer was lost. Reading back tells whether it is that.
    return changes.Plan(record.dn, (Add(record.dn, attributes, present_ok=True),))


def _correction(record: Record, directory: Directory, shape: Shape) -> changes.Plan:
    entry = directory.read(record.dn)
    if entry is None:
        raise NoSuchAccount(f"{record.dn} has gone since it was planned")
    mods = shape.mods(record, entry)
    expect = (entry.csn,) if entry.csn else ()
    steps = (Modify(record.dn, mods, expect),) if mods else ()
    return changes.Plan(record.dn, steps, entry.csn)


def _survey(file: Openable, directory: Directory, ledger: Ledger, options: Options) -> Survey:
    survey = Survey(ledger, _shape(directory, options), options)
    survey.read(file)
    survey.look_up(directory)
    return survey


def _conflicts(
    survey: Survey,
    directory: Directory,
    actions: bytes,
    concerned: AbstractSet[Action],
    *,
    afterwards: bool = False,
) -> Iterator[Fault]:
    """Find what entries with which these things are done share with others of the directory."""
    return conflicts.conflicts(
        survey.ledger,
        directory,
        lambda position: actions[position] in concerned,
        survey.shape.parts,
        by_depth=survey.by_depth,
        overwrite=survey.options.overwrite,
        afterwards=afterwards,
    )


def _actions(ledger: Ledger, survey: Survey, done: int) -> tuple[bytes, set[int]]:
    """Decide about each entry, in order; and give the lines of the first that differ."""
    actions = bytearray()
    unlike: set[int] = set()
    compared = ledger.compared(by_depth=survey.by_depth)
    for position, (wanted, there, line, _) in enumerate(compared):
        action = _action(wanted, there, overwrite=survey.options.overwrite)
        if action in {Action.REPORT, Action.CHANGE} and len(unlike) < MOST_DIFFERENCES:
            unlike.add(line)
        passed = position < done and action != Action.NOTHING
        actions.append(Action.PASS if passed else action)
    return bytes(actions), unlike


def _action(wanted: bytes, there: bytes | None, *, overwrite: bool) -> Action:
    if there is None:
        return Action.ADD
    if agrees(wanted, there):
        return Action.NOTHING
    return Action.CHANGE if overwrite else Action.REPORT


def _differences(
    file: Openable, directory: Directory, survey: Survey, unlike: set[int]
) -> Iterator[Difference]:
    found = accounts(file, survey.shape, largest=survey.options.largest) if unlike else ()
    for record in found:
        if record.line in unlike:
            unlike.discard(record.line)
            entry = directory.read(record.dn)
            mods = survey.shape.mods(record, entry) if entry else ()
            yield Difference(record.line, record.dn, tuple(mod.attribute for mod in mods))
        if not unlike:
            return


def _plan(
    file: Openable, survey: Survey, actions: bytes, differences: tuple[Difference, ...]
) -> Plan:
    change = actions.count(Action.CHANGE)
    return Plan(
        sha256=survey.sha256,
        suffix=survey.shape.tree.suffix,
        entries=survey.entries,
        add=actions.count(Action.ADD),
        equal=actions.count(Action.NOTHING),
        differ=actions.count(Action.REPORT) + change,
        change=change,
        passed=actions.count(Action.PASS),
        installation=survey.installation,
        refused=survey.refused.told(),
        refused_count=survey.refused.count,
        warnings=survey.warnings.told(),
        warning_count=survey.warnings.count,
        differences=differences,
        left_out=tuple(sorted(survey.left_out)),
        omitted=dict(survey.omitted),
        file=file,
        options=survey.options,
        by_depth=survey.by_depth,
        actions=actions,
    )


def _shape(directory: Directory, options: Options) -> Shape:
    return Shape(directory.tree, directory.schema(), options.old_suffix, options.leave_out)


def _digest(file: Openable) -> str:
    with file.open("rb") as text:
        tally = Tally(unpacked(text))
        while tally.read(_READ):
            pass
    return tally.sha256


def _plain(value: object) -> object:
    if not isinstance(value, tuple):
        return value
    return [asdict(item) if isinstance(item, Fault | Difference) else item for item in value]
