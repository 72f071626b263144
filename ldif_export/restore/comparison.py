"""Compare the entries of a file with those of a directory, and decide what to do with each.

Both the plan and the read-back after the last write ask here.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum

from iredldap.gateways.directory import Directory
from ldif_export.ldif.files import Openable
from ldif_export.ldif.parser import Fault
from ldif_export.restore import conflicts
from ldif_export.restore.file_index import Ledger
from ldif_export.restore.normalize import Shape, accounts, agrees
from ldif_export.restore.validation import Options, Survey

MOST_DIFFERENCES = 100
"""Most entries whose differing attributes a plan lists; of the others it gives the number."""


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


@dataclass(frozen=True)
class Comparison:
    """The entries of a file beside those of a directory; made by `compare`.

    Args:
        file: LDIF, compressed or not.
        directory: The directory.
        survey: The validated file.
        actions: An `Action` for each entry, in the order in which entries are written.
        differing: Line numbers of the first entries that differ.
    """

    file: Openable
    directory: Directory
    survey: Survey
    actions: bytes
    differing: frozenset[int]

    def differences(self) -> Iterator[Difference]:
        """Yield what differs, in the first entries that do."""
        unlike = set(self.differing)
        shape, largest = self.survey.shape, self.survey.options.largest
        found = accounts(self.file, shape, largest=largest) if unlike else ()
        for record in found:
            if record.line in unlike:
                unlike.discard(record.line)
                entry = self.directory.read(record.dn)
                mods = shape.mods(record, entry) if entry else ()
                yield Difference(record.line, record.dn, tuple(mod.attribute for mod in mods))
            if not unlike:
                return

    def conflicts(
        self, actions: bytes, concerned: AbstractSet[Action], *, afterwards: bool = False
    ) -> Iterator[Fault]:
        """Yield addresses and domains that entries share with other entries of the directory.

        Args:
            actions: An `Action` for each entry, in the order of writing.
            concerned: Actions whose entries are looked at.
            afterwards: Whether these actions are carried out by now.

        Raises:
            ServerDown: If the directory does not answer.
        """
        return conflicts.conflicts(
            self.survey.ledger,
            self.directory,
            lambda position: actions[position] in concerned,
            self.survey.shape.parts,
            by_depth=self.survey.by_depth,
            overwrite=self.survey.options.overwrite,
            afterwards=afterwards,
        )


def compare(file: Openable, directory: Directory, ledger: Ledger, options: Options) -> Comparison:
    """Validate a file, look its entries up in the directory, and decide about each.

    Args:
        file: LDIF, compressed or not.
        directory: Where its entries are looked up.
        ledger: An empty index of the file; it must stay open as long as the result is used.
        options: How to restore.

    Raises:
        ServerDown: If the directory does not answer.
    """
    survey = Survey(ledger, normalizer(directory, options), options)
    survey.read(file)
    survey.look_up(directory)
    actions = bytearray()
    unlike: set[int] = set()
    for wanted, there, line, _ in ledger.compared(by_depth=survey.by_depth):
        action = _action(wanted, there, overwrite=options.overwrite)
        if action in {Action.REPORT, Action.CHANGE} and len(unlike) < MOST_DIFFERENCES:
            unlike.add(line)
        actions.append(action)
    return Comparison(file, directory, survey, bytes(actions), frozenset(unlike))


def normalizer(directory: Directory, options: Options) -> Shape:
    """Make the normalizer for the entries of a file that go into a directory."""
    return Shape(directory.tree, directory.schema(), options.old_suffix, options.leave_out)


def _action(wanted: bytes, there: bytes | None, *, overwrite: bool) -> Action:
    if there is None:
        return Action.ADD
    if agrees(wanted, there):
        return Action.NOTHING
    return Action.CHANGE if overwrite else Action.REPORT
