"""Make accounts, domains and policies what the lines of a state say; only what differs is changed.

First everything is made to exist: renamed where its id says so, else created. Then parameters are
compared, a hundred things together, so that what names others finds them. A run that broke off is
finished by another one.

Source: `docs/decisions/0064-desired-state.md`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from iredldap.desired.calls import Calls
from iredldap.desired.differences import Difference, differences, parts
from iredldap.desired.gate import FATAL, Gate, Made
from iredldap.desired.lines import StateLine, WantedState, form_values
from iredldap.desired.new_users import create_users
from iredldap.desired.outcomes import StateOutcome, StateReport
from iredldap.desired.policies_applied import PolicyChanges
from iredldap.desired.present import Present, ViewedEntry
from iredldap.desired.pruning import Pruning
from iredldap.desired.snapshots import SUBSCRIBERS
from iredldap.desired.state_kinds import (
    DOMAIN,
    ENTRY_KINDS,
    HASH,
    SUBSCRIBABLE,
    USER,
    EntryKind,
)
from iredldap.dit import mail_names
from iredldap.dit.entry import Entry
from iredldap.errors import AlreadyExists, NoSuchAccount, PreconditionFailed, Refusal
from iredldap.operations.lists import subscribable_members

TOGETHER = 100
"""Lines that are compared together."""

_ATTEMPTS = 5
"""How often a thing is compared again that others have changed meanwhile."""

_BESIDE = frozenset({SUBSCRIBERS})
"""Members of lines that are no parameters."""


class Applying:
    """Applies a state.

    Args:
        gate: Makes the changes.
        state: The lines.
        prune: Whether what the file covers and does not name is deleted.
        advance: Called with the number of steps that are done, and of all.
    """

    def __init__(
        self,
        gate: Gate,
        state: WantedState,
        *,
        prune: bool = False,
        advance: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        self._gate = gate
        self._calls: Calls = gate.calls
        self._state = state
        self._prune = prune
        self._advance = advance
        self.report = StateReport(lines=len(state.lines))
        self._present = Present(gate.context, hashes=state.has_hashes)
        self._by_kind: dict[EntryKind, list[StateLine]] = {kind: [] for kind in ENTRY_KINDS}
        self._policies: list[StateLine] = []
        for line in state.lines:
            if line.refusal:
                self.report.refuse(line, line.refusal)
            elif isinstance(line.kind, EntryKind):
                self._by_kind[line.kind].append(line)
            else:
                self._policies.append(line)
        self._names = {
            kind: {one.name: one for one in found} for kind, found in self._by_kind.items()
        }
        self._done = 0
        self._new_domains: set[str] = set()

    def run(self) -> StateReport:
        """Apply it; return what became of the lines.

        Raises:
            ServerDown: If the directory or a database does not answer: what was done until then
                stays, and the same state can be applied again.
            ChangeLogUnavailable: If nothing can be recorded, and changes are refused then.
        """
        for kind, found in self._by_kind.items():
            self._rename(kind, found)
            self._exist(kind, found)
            if kind is DOMAIN:
                # Before accounts are: their names in alias domains, and limits.
                self._agree(kind, found, without=kind.references)
        again: list[StateLine] = []
        for kind, found in self._by_kind.items():
            again += self._agree(kind, found)
        # What named others before these had all of their addresses.
        for kind in ENTRY_KINDS:
            self._agree(kind, [line for line in again if line.kind is kind])
        policies = PolicyChanges(self._gate, self.report)
        for batch in self._batches(self._policies):
            for line in batch:
                policies.apply(line)
        if self._prune:
            Pruning(self._gate, self._state, self.report, self._present).run()
        return self.report

    def _batches(self, lines: Sequence[StateLine]) -> Iterator[list[StateLine]]:
        """Yield the lines that were not refused, some at a time, and tell how far it has come."""
        # Accounts are looked at twice, domains three times; it is only a measure.
        total = 2 * len(self._state.lines)
        for start in range(0, len(lines), TOGETHER):
            self._gate.check()
            part = lines[start : start + TOGETHER]
            yield [line for line in part if not self.report.has_ended(line)]
            self._done += len(part)
            self._advance(min(self._done, total), total)

    def _refuse(self, line: StateLine, refusal: Refusal) -> None:
        if isinstance(refusal, FATAL):
            raise refusal
        self.report.refuse(line, refusal)

    def _rename(self, kind: EntryKind, lines: Sequence[StateLine]) -> None:
        """Rename what has the id of a line, and another name; repeat while names become free."""
        if not kind.renamed:
            return
        waiting: list[StateLine] = []
        for batch in self._batches([line for line in lines if line.id]):
            waiting += self._to_rename(kind, batch)
        while waiting:
            left = [line for line in waiting if not self._is_renamed(kind, line)]
            if len(left) == len(waiting):
                for line in left:
                    self.report.refuse(line, AlreadyExists(f"{line.name} is another account"))
                return
            waiting = left

    def _to_rename(self, kind: EntryKind, batch: Sequence[StateLine]) -> list[StateLine]:
        named = self._present.entries(kind, (line.name for line in batch))
        odd = [line for line in batch if not _has_id(named.get(line.name), line.id)]
        known = self._present.by_ids(kind, (line.id for line in odd))
        return [line for line in odd if self._is_moved(known.get(line.id), line)]

    def _is_moved(self, entry: Entry | None, line: StateLine) -> bool:
        """Return whether an entry is to get the name of a line, and its own is no other line's."""
        if entry is None:
            return False
        former = entry.folded("mail")
        other = self._names[line.kind].get(former) if isinstance(line.kind, EntryKind) else None
        return former != line.name and (other is None or other.id not in ("", line.id))

    def _is_renamed(self, kind: EntryKind, line: StateLine) -> bool:
        """Rename an account if the name is free; return whether nothing is left to do."""
        if self._present.entries(kind, [line.name]):
            return False
        entry = self._present.by_ids(kind, [line.id]).get(line.id)
        if entry is None:
            return True
        former = entry.folded("mail")
        names = {"mail": former, "new_mail": line.name}
        try:
            made = self._gate.make(self._gate.asked(f"{kind.name}_change_email", names))
        except Refusal as refusal:
            self._refuse(line, refusal)
        else:
            outcome = self._note(line, made)
            outcome.result, outcome.former = "renamed", former
        return True

    def _exist(self, kind: EntryKind, lines: Sequence[StateLine]) -> None:
        """Create what does not exist."""
        for batch in self._batches(lines):
            found = self._present.entries(kind, (line.name for line in batch))
            new: list[StateLine] = []
            for line in batch:
                existing = found.get(line.name)
                if isinstance(existing, Refusal):
                    self._refuse(line, existing)
                elif existing is None and self._is_there(line):
                    new.append(line)
            if kind is USER and not self._gate.dry_run:
                create_users(self._gate, new, self.report, self._state.addresses)
            else:
                for line in new:
                    self._create(kind, line)

    def _create(self, kind: EntryKind, line: StateLine) -> None:
        outcome = self.report.of(line)
        endpoint = f"{kind.name}_create"
        table = self._calls.tables[endpoint]
        known = {row.name for row in (*table, *kind.further)} - kind.references - _BESIDE
        params = line.params
        form = {n: form_values(v) for n, v in params.items() if n in known and v not in ("", [])}
        if HASH in form:
            form.pop("password", None)
        # A creation ignores some of them, so that the comparison sets them.
        try:
            wanted = self._gate.asked(
                endpoint, {kind.key: line.name}, form, kind.further, requires=HASH not in form
            )
            if self._gate.dry_run and self._is_in_new(line):
                outcome.result = "created"
                return
            outcome.result = "created"
            self._note(line, self._gate.make(wanted))
        except AlreadyExists as refusal:
            # Another client was quicker, or it is of another kind.
            outcome.result = "unchanged"
            if line.name not in self._present.entries(kind, [line.name]):
                self._refuse(line, refusal)
        except Refusal as refusal:
            self._refuse(line, refusal)
        finally:
            if kind is DOMAIN and self._gate.dry_run and outcome.result == "created":
                self._new_domains.add(line.name)

    def _is_in_new(self, line: StateLine) -> bool:
        """Return whether the domain of a line is itself to be created."""
        return mail_names.domain_of(line.name) in self._new_domains

    def _agree(
        self, kind: EntryKind, lines: Sequence[StateLine], without: frozenset[str] = frozenset()
    ) -> list[StateLine]:
        """Change what differs; return the lines of which values were left out."""
        again: list[StateLine] = []
        for part in self._batches(lines):
            # What a dry run would create or rename is not there.
            batch = [line for line in part if not self._gate.dry_run or self._is_there(line)]
            found = self._present.entries(kind, (line.name for line in batch))
            entries = {n: one for n, one in found.items() if not isinstance(one, Refusal)}
            views = self._views(kind, entries, batch)
            again += [
                line
                for line in batch
                if line.name in views and self._changed(kind, line, views[line.name], without)
            ]
        return again

    def _is_there(self, line: StateLine) -> bool:
        return self.report.result_of(line) not in {"created", "renamed"}

    def _views(
        self, kind: EntryKind, entries: Mapping[str, Entry], batch: Iterable[StateLine]
    ) -> dict[str, ViewedEntry]:
        made = self._present.views(kind, [*entries.values()])
        found = dict(zip(entries, made, strict=True))
        for line in batch:
            if line.name not in found:
                # Deleted meanwhile, or hidden.
                self._refuse(line, NoSuchAccount(f"no {kind.name} {line.name}"))
        return found

    def _changed(
        self, kind: EntryKind, line: StateLine, found: ViewedEntry, without: frozenset[str]
    ) -> bool:
        """Change what differs in one thing; return whether values were left out."""
        for _ in range(_ATTEMPTS):
            wanted = {
                name: value
                for name, value in line.params.items()
                if name not in without and name not in _BESIDE
            }
            try:
                made = self._set(kind, line, wanted, found)
            except PreconditionFailed as refusal:
                # Others have changed it since it was compared.
                last: Refusal = refusal
            except Refusal as refusal:
                self._refuse(line, refusal)
                return False
            else:
                return bool(made and made.plan.ignored)
            current = self._current(kind, line)
            if current is None:
                break
            found = current
        self._refuse(line, last)
        return False

    def _current(self, kind: EntryKind, line: StateLine) -> ViewedEntry | None:
        entry = self._present.entries(kind, [line.name]).get(line.name)
        return self._present.views(kind, [entry])[0] if isinstance(entry, Entry) else None

    def _set(
        self, kind: EntryKind, line: StateLine, wanted: Mapping[str, Any], found: ViewedEntry
    ) -> Made | None:
        table = (*self._calls.tables[f"{kind.name}_update"], *kind.further)
        if kind is SUBSCRIBABLE:
            self._subscribe(line, found)
        made: Made | None = None
        for part in parts(table, wanted):
            if made and made.wrote and not self._gate.dry_run:
                found = self._current(kind, line) or found
            made = self._set_part(kind, line, part, found) or made
        return made

    def _set_part(
        self, kind: EntryKind, line: StateLine, wanted: Mapping[str, Any], found: ViewedEntry
    ) -> Made | None:
        endpoint = f"{kind.name}_update"
        table = (*self._calls.tables[endpoint], *kind.further)
        differing = differences(table, wanted, found.view, self._present.hash_of)
        if not differing:
            return None
        form = {name: form_values(value) for name, (_, value) in differing.items()}
        if_match = (found.entry.csn,) if found.entry.csn else ()
        request = self._gate.asked(endpoint, {kind.key: line.name}, form, kind.further, if_match)
        made = self._gate.make(request)
        if made.wrote:
            self._updated(line, made, differing)
        elif made.plan.ignored:
            self.report.of(line).ignored = made.plan.ignored
        return made

    def _updated(self, line: StateLine, made: Made, differing: Mapping[str, Difference]) -> None:
        outcome = self._note(line, made)
        if outcome.result == "unchanged":
            outcome.result = "updated"
        if outcome.result != "created":
            outcome.differs.update(differing)

    def _note(self, line: StateLine, made: Made) -> StateOutcome:
        outcome = self.report.of(line)
        outcome.ignored = made.plan.ignored
        outcome.print(made.shown)
        return outcome

    def _subscribe(self, line: StateLine, found: ViewedEntry) -> None:
        """Add and remove members of a subscribable list, by the kind of their membership."""
        wanted: Mapping[str, Sequence[str]] | None = line.params.get(SUBSCRIBERS)
        if wanted is None:
            return
        directory, mlmmj = self._gate.context.directory, self._gate.context.outside.mlmmjadmin
        held = subscribable_members.read(directory, mlmmj, found.entry, line.name)
        names = {"mail": line.name}
        everybody = {mail for members in wanted.values() for mail in members}
        gone = sorted({m for members in held.values() for m in members} - everybody)
        forms: list[dict[str, list[str]]] = [{"remove_subscribers": gone}] if gone else []
        for kind, members in wanted.items():
            if new := sorted({*members} - {*held.get(kind, ())}):
                forms.append(
                    {"add_subscribers": new, "subscription": [kind], "require_confirm": ["no"]}
                )
        for form in forms:
            made = self._gate.make(self._gate.asked(f"{SUBSCRIBABLE.name}_update", names, form))
            self._updated(line, made, {SUBSCRIBERS: (held, wanted)})


def _has_id(found: Entry | Refusal | None, number: str) -> bool:
    return isinstance(found, Entry) and found.folded("entryUUID") == number
