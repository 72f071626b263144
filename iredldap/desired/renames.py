"""Rename what has the id of a line and another name; know what a dry run would have done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from iredldap.desired.gate import Gate, Made, refused
from iredldap.desired.lines import StateLine, WantedState
from iredldap.desired.outcomes import StateReport
from iredldap.desired.present import Present
from iredldap.desired.state_kinds import EntryKind, PolicyKind
from iredldap.dit import mail_names
from iredldap.dit.entry import Entry
from iredldap.errors import AlreadyExists, Refusal


@dataclass
class Foreseen:
    """What a dry run would have done by now; of a run nothing.

    Args:
        domains: Names of new domains.
        freed: Names that accounts would no longer have, by their kinds.
    """

    domains: set[str] = field(default_factory=set)
    freed: set[tuple[EntryKind, str]] = field(default_factory=set)

    def has_place(self, kind: EntryKind, name: str) -> bool:
        """Return whether there would be a place for a name, which no call finds yet."""
        return mail_names.domain_of(name) in self.domains or (kind, name) in self.freed


@dataclass(frozen=True)
class Renames:
    """Renames accounts of one kind.

    Args:
        gate: Makes the changes.
        report: Gets what became of the lines.
        present: Reads what there is.
        foreseen: What a dry run would have done.
        named: Lines of the kind by their names.
    """

    gate: Gate
    report: StateReport
    present: Present
    foreseen: Foreseen
    named: Mapping[str, StateLine]

    def run(self, kind: EntryKind, batches: Iterable[Sequence[StateLine]]) -> None:
        """Rename them, again and again while names become free.

        Raises:
            ServerDown, ChangeLogUnavailable: As `Gate.make`.
        """
        waiting: list[StateLine] = []
        for batch in batches:
            waiting += self._to_rename(kind, batch)
        while waiting:
            left = [line for line in waiting if not self._is_renamed(kind, line)]
            if len(left) == len(waiting):
                for line in left:
                    self.report.refuse(line, AlreadyExists(f"{line.name} is another account"))
                return
            waiting = left

    def _to_rename(self, kind: EntryKind, batch: Sequence[StateLine]) -> list[StateLine]:
        found = self.present.entries(kind, (line.name for line in batch))
        odd = [line for line in batch if not _has_id(found.get(line.name), line.id)]
        known = self.present.by_ids(kind, (line.id for line in odd))
        return [line for line in odd if self._is_moved(known.get(line.id), line)]

    def _is_moved(self, entry: Entry | None, line: StateLine) -> bool:
        """Return whether an entry is to get the name of a line, and its own is no other line's."""
        if entry is None:
            return False
        former = entry.folded("mail")
        other = self.named.get(former)
        return former != line.name and (other is None or other.id not in ("", line.id))

    def _is_renamed(self, kind: EntryKind, line: StateLine) -> bool:
        """Rename an account if the name is free; return whether nothing is left to do."""
        is_free = (kind, line.name) in self.foreseen.freed
        if not is_free and self.present.entries(kind, [line.name]):
            return False
        entry = self.present.by_ids(kind, [line.id]).get(line.id)
        if entry is None:
            return True
        former = entry.folded("mail")
        names = {"mail": former, "new_mail": line.name}
        asked = self.gate.asked(f"{kind.name}_change_email", names)
        try:
            if self.foreseen.has_place(kind, line.name):
                self.gate.calls.permit(asked)
                made: Made | None = None
            else:
                made = self.gate.make(asked)
        except Refusal as refusal:
            self.report.refuse(line, refused(refusal))
            return True
        outcome = self.report.of(line)
        outcome.result, outcome.former = "renamed", former
        if made:
            outcome.note(made)
        if self.gate.dry_run:
            self.foreseen.freed.add((kind, former))
            self.foreseen.freed.discard((kind, line.name))
        return True


def new_names(report: StateReport, state: WantedState) -> Mapping[str, str]:
    """Return the new names of renamed accounts by their former ones, which lines may name still.

    A rename changes every mention of an account, and who edits a file may change its own line
    alone. A former name that a line gives to something else means that.
    """
    renamed = (
        (report.of(line).former, line.name)
        for line in state.lines
        if report.result_of(line) == "renamed"
    )
    return {former: name for former, name in renamed if former not in state.addresses}


def with_policies_of(state: WantedState, names: Mapping[str, str]) -> WantedState:
    """Return a state whose policies are those of renamed accounts; they are renamed along."""
    lines = (
        replace(one, name=names.get(one.name, one.name))
        if isinstance(one.kind, PolicyKind)
        else one
        for one in state.lines
    )
    return replace(state, lines=tuple(lines)) if names else state


def _has_id(found: Entry | Refusal | None, number: str) -> bool:
    return isinstance(found, Entry) and found.folded("entryUUID") == number
