"""Compare the entries of a file with those of a directory, and decide what to do with each.

Both the plan and the read-back after the last write use it.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum

from iredldap.gateways.directory import Directory
from ldif_export.ldif.files import Openable
from ldif_export.ldif.parser import LineIssue
from ldif_export.restore import conflicts
from ldif_export.restore.file_index import FileIndex
from ldif_export.restore.normalize import Normalizer, digests_agree, read_accounts
from ldif_export.restore.validation import FileValidation, RestoreOptions

MOST_DIFFERENCES = 100
"""Most entries whose differing attributes are listed; of the others the number is given."""


class Action(IntEnum):
    """What to do with an entry of a file."""

    ADD = 0
    NOTHING = 1
    """It exists in the directory, and is equal."""
    REPORT = 2
    """It exists in the directory, and differs."""
    CHANGE = 3
    """It differs, and is to be changed to the file's."""
    PASS = 4
    """It was written before an interruption, whatever happened to it since."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An entry that differs between directory and file, and the attributes that do."""

    line: int
    dn: str
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """The entries of a file beside those of a directory; made by `compare`.

    Args:
        file: LDIF, compressed or not.
        directory: The directory.
        validation: The validated file.
        actions: An `Action` for each entry, in the order in which entries are written.
        differing: Line numbers of the first entries that differ.
    """

    file: Openable
    directory: Directory
    validation: FileValidation
    actions: bytes
    differing: frozenset[int]

    def differences(self) -> Iterator[Difference]:
        """Yield what differs, in the first entries that do."""
        # Digests say that an entry differs, not in what: the few that are listed are read again.
        unlike = set(self.differing)
        normalizer, largest = self.validation.normalizer, self.validation.options.largest
        found = read_accounts(self.file, normalizer, largest=largest) if unlike else ()
        for record in found:
            if record.line in unlike:
                unlike.discard(record.line)
                entry = self.directory.read(record.dn)
                mods = normalizer.mods(record, entry) if entry else ()
                yield Difference(record.line, record.dn, tuple(mod.attribute for mod in mods))
            if not unlike:
                return

    def conflicts(
        self, actions: bytes, concerned: AbstractSet[Action], *, afterwards: bool = False
    ) -> Iterator[LineIssue]:
        """Yield addresses and domains that entries share with other entries of the directory.

        Args:
            actions: An `Action` for each entry, in the order of writing.
            concerned: Actions whose entries are looked at.
            afterwards: Whether these actions are carried out by now.

        Raises:
            ServerDown: If the directory does not answer.
        """
        return conflicts.find_conflicts(
            self.validation.index,
            self.directory,
            lambda position: actions[position] in concerned,
            self.validation.normalizer.parts,
            by_depth=self.validation.by_depth,
            overwrite=self.validation.options.overwrite,
            afterwards=afterwards,
        )


def compare(
    file: Openable, directory: Directory, index: FileIndex, options: RestoreOptions
) -> Comparison:
    """Validate a file, look its entries up in the directory, and decide about each.

    Args:
        file: LDIF, compressed or not.
        directory: Where its entries are looked up.
        index: An empty index of the file; it must stay open as long as the result is used.
        options: How to restore.

    Raises:
        ServerDown: If the directory does not answer.
    """
    validation = FileValidation(index, make_normalizer(directory, options), options)
    validation.read(file)
    validation.look_up(directory)
    # One byte for each entry, in the order of writing: of a million entries the decisions are a
    # megabyte.
    actions = bytearray()
    unlike: set[int] = set()
    for wanted, there, line, _ in index.compared(by_depth=validation.by_depth):
        action = _action(wanted, there, overwrite=options.overwrite)
        # Listing the differences reads each of these entries again.
        if action in {Action.REPORT, Action.CHANGE} and len(unlike) < MOST_DIFFERENCES:
            unlike.add(line)
        actions.append(action)
    return Comparison(file, directory, validation, bytes(actions), frozenset(unlike))


def make_normalizer(directory: Directory, options: RestoreOptions) -> Normalizer:
    """Make the normalizer for the entries of a file that go into a directory."""
    return Normalizer(directory.tree, directory.schema(), options.old_suffix, options.leave_out)


def _action(wanted: bytes, there: bytes | None, *, overwrite: bool) -> Action:
    if there is None:
        return Action.ADD
    if digests_agree(wanted, there):
        return Action.NOTHING
    return Action.CHANGE if overwrite else Action.REPORT
