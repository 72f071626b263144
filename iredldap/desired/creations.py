"""Create what lines of a state name and nobody has; users together, as an import does."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from iredldap.desired.batches import Batches
from iredldap.desired.differences import parts, refuse_malformed
from iredldap.desired.gate import Gate, refused, strictly
from iredldap.desired.lines import StateLine, form_values
from iredldap.desired.outcomes import StateReport
from iredldap.desired.present import Present
from iredldap.desired.renames import Foreseen
from iredldap.desired.rows import CREATE, LISTS, Outcome, UserRow
from iredldap.desired.rows import USER as NEW_USER
from iredldap.desired.state_kinds import BESIDE, DOMAIN, HASH, USER, EntryKind
from iredldap.errors import AlreadyExists, Refusal

_TABLE = tuple(row for row in NEW_USER if row is not LISTS)

_PLAIN = ("isGlobalAdmin", "no")
"""What a new user is without being asked for; to ask costs a search for the domains of each."""


@dataclass(frozen=True)
class Creations:
    """Creates things, each with all of its parameters but those that name others.

    Args:
        gate: Makes the changes.
        report: Gets what became of the lines.
        present: Reads what there is.
        foreseen: What a dry run would have done.
        unread: Why the caller may not read what they may create, by the numbers of lines.
        coming: Addresses that lines will make: users may refer to them already.
    """

    gate: Gate
    report: StateReport
    present: Present
    foreseen: Foreseen
    unread: Mapping[int, Refusal]
    coming: frozenset[str]

    def run(self, kind: EntryKind, batches: Iterable[Sequence[StateLine]]) -> None:
        """Create what does not exist.

        Raises:
            ServerDown, ChangeLogUnavailable: As `Gate.make` and `Batches.run`.
        """
        for batch in batches:
            found = self.present.entries(kind, (line.name for line in batch))
            new: list[StateLine] = []
            for line in batch:
                is_freed = (kind, line.name) in self.foreseen.freed
                existing = None if is_freed else found.get(line.name)
                if existing is not None and line.number in self.unread:
                    self.report.refuse(line, self.unread[line.number])
                elif isinstance(existing, Refusal):
                    self.report.refuse(line, refused(existing))
                elif existing is None and self.report.is_there(line):
                    new.append(line)
            if not kind.renamed:
                new = self._without_renames(kind, new)
            if kind is USER and not self.gate.dry_run:
                _create_users(self.gate, new, self.report, self.coming)
            else:
                for line in new:
                    self._create(kind, line)

    def _without_renames(self, kind: EntryKind, new: Sequence[StateLine]) -> list[StateLine]:
        """Refuse lines whose id is that of a thing with another name, which no call renames."""
        known = self.present.by_ids(kind, (line.id for line in new if line.id))
        for line in new:
            if line.id in known:
                detail = f"{line.id} has another name, and no call renames a {kind.name}"
                self.report.refuse(line, AlreadyExists(detail))
        return [line for line in new if line.id not in known]

    def _create(self, kind: EntryKind, line: StateLine) -> None:
        outcome = self.report.of(line)
        endpoint = f"{kind.name}_create"
        table = self.gate.calls.tables[endpoint]
        known = {row.name for row in (*table, *kind.further)} - kind.references - BESIDE.keys()
        params = line.params
        form = {n: form_values(v) for n, v in params.items() if n in known and v not in ("", [])}
        if HASH in form:
            form.pop("password", None)
        try:
            if self.gate.dry_run:
                self._refuse_ignored(kind, line, known)
            wanted = self.gate.asked(
                endpoint, {kind.key: line.name}, form, kind.further, requires=HASH not in form
            )
            if self.foreseen.has_place(kind, line.name):
                self.gate.calls.permit(wanted)
            else:
                outcome.note(self.gate.make(wanted))
        except AlreadyExists as refusal:
            # Another client was quicker, or it is of another kind.
            if line.name not in self.present.entries(kind, [line.name]):
                self.report.refuse(line, refusal)
        except Refusal as refusal:
            self.report.refuse(line, refused(refusal))
        else:
            outcome.result = "created"
            if kind is DOMAIN and self.gate.dry_run:
                self.foreseen.domains.add(line.name)

    def _refuse_ignored(self, kind: EntryKind, line: StateLine, known: Collection[str]) -> None:
        """Refuse what a creation would ignore, and a run refuses: nothing is there to compare.

        Raises:
            Refusal: As the run.
        """
        if kind is USER:
            row = _row(line)
            self.gate.calls.permit(row.request(CREATE, row.parsed, self.gate.of))
            return
        ignored = {n: v for n, v in line.params.items() if n not in known and n not in BESIDE}
        table = self.gate.calls.tables[f"{kind.name}_update"]
        refuse_malformed((*table, *kind.further), ignored)


def _row(line: StateLine) -> UserRow:
    """Return the row of a new user.

    Raises:
        Malformed: One for each parameter that is malformed, or unknown.
    """
    form = {
        name: form_values(value)
        for name, value in parts(_TABLE, line.params)[0].items()
        if value not in ("", []) and (name, value) != _PLAIN
    }
    return UserRow(line.number, line.name, strictly(_TABLE, form))


def _create_users(
    gate: Gate, lines: Sequence[StateLine], report: StateReport, coming: frozenset[str]
) -> None:
    """Create users, each with all of its parameters.

    Args:
        gate: For whom; its changes are those of the users.
        lines: Users that do not exist.
        report: Gets what became of them.
        coming: Addresses that other lines will make: users may refer to them already.

    Raises:
        ServerDown, ChangeLogUnavailable: As `Batches.run`.
    """
    rows: list[UserRow] = []
    for line in lines:
        try:
            rows.append(_row(line))
        except Refusal as refusal:
            report.refuse(line, refusal)
    by_number = {line.number: line for line in lines}

    def note(outcomes: Iterable[Outcome]) -> None:
        for one in outcomes:
            line = by_number[one.row.line]
            if one.refusal:
                report.refuse(line, one.refusal)
            elif one.result == "created":
                outcome = report.of(line)
                outcome.result, outcome.ignored = "created", one.ignored

    batches = Batches(
        replace(gate.context, coming=gate.context.coming | coming),
        gate.log,
        gate.calls.permit,
        gate.of,
        job=gate.job,
        request_id=gate.request_id,
        patience=gate.patience,
        check=gate.check,
        broken=note,
        busy=gate.busy,
    )
    for outcomes in batches.run(rows):
        note(outcomes)
