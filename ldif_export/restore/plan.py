"""Plan a restore: what would be written for each entry of a file, and why it may be refused."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from iredldap.gateways.directory import Directory
from ldif_export.ldif.files import Openable
from ldif_export.ldif.parser import LineIssue
from ldif_export.restore.checkpoint import Checkpoint
from ldif_export.restore.comparison import Action, Comparison, Difference, compare
from ldif_export.restore.file_index import FileIndex
from ldif_export.restore.validation import RestoreOptions


@dataclass(frozen=True, kw_only=True)
class RestorePlan:
    """What a restore would do; nothing if anything is refused.

    Args:
        sha256: Digest of the file's text.
        suffix: Suffix of the directory.
        entries: Accounts, domains and containers in the file.
        add: Number of those that are not in the directory.
        equal: Number of those that exist and are equal.
        differ: Number of those that exist and differ.
        change: Number of the differing ones that will be changed to the file's.
        passed: Number of those that were written before an interruption.
        installation: Further entries of the file that every installation has; they are ignored.
        refused: Why the file cannot be restored, by line.
        refused_count: Their number, including those not listed.
        warnings: What is odd.
        warning_count: Their number.
        differences: What differs, in the first entries that do.
        left_out: Operational attributes in the file, which the directory maintains itself.
        omitted: From how many entries each attribute is left out that `leave_out` names.
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
    refused: tuple[LineIssue, ...]
    refused_count: int
    warnings: tuple[LineIssue, ...]
    warning_count: int
    differences: tuple[Difference, ...]
    left_out: tuple[str, ...]
    omitted: Mapping[str, int]
    file: Openable = field(repr=False)
    options: RestoreOptions = field(repr=False)
    by_depth: bool = field(repr=False)
    actions: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        return not self.refused_count

    def as_json(self) -> dict[str, object]:
        """Return what is shown of it, as a dictionary for `json.dumps`."""
        shown = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.repr}
        return {"ok": self.ok, **shown}


def plan_restore(
    file: Openable,
    directory: Directory,
    options: RestoreOptions | None = None,
    *,
    checkpoint: Path | None = None,
) -> RestorePlan:
    """Plan a restore without writing anything.

    Args:
        file: LDIF, compressed or not; read more than once.
        directory: Where the entries are to be written.
        options: How to restore.
        checkpoint: File in which an interrupted restore kept its progress.

    Raises:
        ServerDown: If the directory does not answer.
        PreconditionFailed: If the checkpoint is of another file or directory.
    """
    with FileIndex() as index:
        compared = compare(file, directory, index, options or RestoreOptions())
        validation = compared.validation
        done = Checkpoint(checkpoint, validation.sha256, directory.tree.suffix).done
        actions = _resumed(compared.actions, done)
        # Only of entries that will be written: those that exist and stay are no new conflict.
        for fault in compared.conflicts(actions, {Action.ADD, Action.CHANGE}):
            validation.refused.add(fault.line, fault.reason)
    return _plan(compared, actions)


def _resumed(actions: bytes, done: int) -> bytes:
    """Pass over the entries that an interrupted restore has written.

    What became of them since is the work of other clients, and is not undone.
    """
    return bytes(
        # An entry that was deleted since the interruption is not added again, and one that was
        # changed is not changed back.
        Action.PASS if position < done and action != Action.NOTHING else action
        for position, action in enumerate(actions)
    )


def _plan(compared: Comparison, actions: bytes) -> RestorePlan:
    validation = compared.validation
    change = actions.count(Action.CHANGE)
    return RestorePlan(
        sha256=validation.sha256,
        suffix=validation.normalizer.tree.suffix,
        entries=validation.entries,
        add=actions.count(Action.ADD),
        equal=actions.count(Action.NOTHING),
        differ=actions.count(Action.REPORT) + change,
        change=change,
        passed=actions.count(Action.PASS),
        installation=validation.installation,
        refused=validation.refused.listed(),
        refused_count=validation.refused.count,
        warnings=validation.warnings.listed(),
        warning_count=validation.warnings.count,
        differences=tuple(compared.differences()),
        left_out=tuple(sorted(validation.left_out)),
        omitted=dict(validation.omitted),
        file=compared.file,
        options=validation.options,
        by_depth=validation.by_depth,
        actions=actions,
    )


def _plain(value: object) -> object:
    if not isinstance(value, tuple):
        return value
    return [asdict(item) if isinstance(item, LineIssue | Difference) else item for item in value]
