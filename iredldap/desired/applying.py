"""Make accounts, domains and policies what the lines of a state say; only what differs is changed.

First everything is made to exist: renamed where its id says so, else created. Then parameters are
compared, a hundred things together, so that what names others finds them. A run that broke off is
finished by another one.

Source: `docs/decisions/0064-desired-state.md`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from iredldap.desired.calls import Calls, is_permitted, may_compare
from iredldap.desired.creations import Creations
from iredldap.desired.differences import Difference, differences, parts, subscriptions, with_names
from iredldap.desired.gate import Gate, Made, refused
from iredldap.desired.lines import StateLine, WantedState, form_values
from iredldap.desired.outcomes import StateReport
from iredldap.desired.policies_applied import PolicyChanges
from iredldap.desired.present import Present, ViewedEntry
from iredldap.desired.pruning import Pruning
from iredldap.desired.renames import Foreseen, Renames, new_names, with_policies_of
from iredldap.desired.state_kinds import (
    BESIDE,
    DOMAIN,
    ENTRY_KINDS,
    HASH,
    SUBSCRIBABLE,
    SUBSCRIBERS,
    EntryKind,
)
from iredldap.dit.entry import Entry
from iredldap.dit.views.params import View
from iredldap.errors import (
    ChangeLogUnavailable,
    InvalidMail,
    MlmmjadminUnavailable,
    NoSuchAccount,
    PreconditionFailed,
    Refusal,
    ServerDown,
)
from iredldap.operations.lists import subscribable_members

TOGETHER = 100
"""Lines that are compared together."""

_ATTEMPTS = 5
"""How often a thing is compared again that others have changed meanwhile."""


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
        self._done, self._total = 0, self._steps()
        self._foreseen = Foreseen()
        self._unread: dict[int, Refusal] = {}
        self._followed: Mapping[str, str] = {}

    def run(self) -> StateReport:
        """Apply it; return what became of the lines.

        Raises:
            ServerDown: If the directory or a database does not answer: what was done until then
                stays, and is in its report, and the same state can be applied again.
            ChangeLogUnavailable: If nothing can be recorded, and changes are refused then.
        """
        try:
            self._run()
        except (ServerDown, ChangeLogUnavailable) as ex:
            shown = self.report.as_json(dry_run=self._gate.dry_run, has_details=False)
            ex.report = {**shown, **(ex.report or {})}
            raise
        return self.report

    def _run(self) -> None:
        # Before anything is looked for: who may not read a thing learns nothing about it.
        for kind, found in self._by_kind.items():
            for line in found:
                self._permit(kind, line)
        self._have_all_exist()
        self._followed = new_names(self.report, self._state)
        if self._gate.dry_run:
            context = replace(self._gate.context, coming=self._coming())
            self._gate = replace(self._gate, context=context)
        else:
            numbers = {line.number for line in self._policies}
            self._state = with_policies_of(self._state, self._followed)
            self._policies = [one for one in self._state.lines if one.number in numbers]
        again: list[StateLine] = []
        for kind, found in self._by_kind.items():
            again += self._agree(kind, found, is_last=False)
        # What named others before these had all of their addresses.
        self._total += len(again)
        for kind in ENTRY_KINDS:
            self._agree(kind, [line for line in again if line.kind is kind])
        policies = PolicyChanges(self._gate, self.report)
        for batch in self._batches(self._policies):
            for line in batch:
                policies.apply(line)
        if self._prune:
            Pruning(self._gate, self._state, self.report, self._present).run()

    def _have_all_exist(self) -> None:
        """Rename and create what the lines name."""
        creations = Creations(
            self._gate,
            self.report,
            self._present,
            self._foreseen,
            self._unread,
            self._state.addresses,
        )
        for kind, found in self._by_kind.items():
            self._rename(kind)
            creations.run(kind, self._batches(found))
            if kind is DOMAIN:
                # Before accounts are: their names in alias domains, and limits.
                self._agree(kind, found, without=kind.references)

    def _coming(self) -> frozenset[str]:
        """Return the addresses that accounts of the lines would have."""
        ended = (
            line.name
            for found in self._by_kind.values()
            for line in found
            if self.report.has_ended(line)
        )
        return self._state.addresses.difference(ended)

    def _steps(self) -> int:
        """Count the lines of all rounds; those that are compared once more come on top."""
        entries = sum(map(len, self._by_kind.values()))
        moved = sum(len(self._movable(kind)) for kind in ENTRY_KINDS)
        return moved + 2 * entries + len(self._by_kind[DOMAIN]) + len(self._policies)

    def _permit(self, kind: EntryKind, line: StateLine) -> None:
        """Refuse a line that the caller may neither read nor create."""
        permit, names = self._calls.permit, {kind.key: line.name}
        try:
            permit(self._gate.asked(f"{kind.name}_get", names))
        except Refusal as refusal:
            if is_permitted(permit, self._gate.asked(f"{kind.name}_create", names, requires=False)):
                self._unread[line.number] = refusal
            else:
                self._refuse(line, refusal)

    def _batches(self, lines: Sequence[StateLine]) -> Iterator[list[StateLine]]:
        """Yield the lines that were not refused, some at a time, and tell how far it has come."""
        for start in range(0, len(lines), TOGETHER):
            self._gate.check()
            part = lines[start : start + TOGETHER]
            yield [line for line in part if not self.report.has_ended(line)]
            self._done += len(part)
            self._advance(self._done, self._total)

    def _refuse(self, line: StateLine, refusal: Refusal) -> None:
        self.report.refuse(line, refused(refusal))

    def _movable(self, kind: EntryKind) -> list[StateLine]:
        return [line for line in self._by_kind[kind] if line.id] if kind.renamed else []

    def _rename(self, kind: EntryKind) -> None:
        """Rename what has the id of a line, and another name."""
        if moved := self._movable(kind):
            renames = Renames(
                self._gate, self.report, self._present, self._foreseen, self._names[kind]
            )
            readable = (
                [line for line in batch if line.number not in self._unread]
                for batch in self._batches(moved)
            )
            renames.run(kind, readable)

    def _agree(
        self,
        kind: EntryKind,
        lines: Sequence[StateLine],
        without: frozenset[str] = frozenset(),
        *,
        is_last: bool = True,
    ) -> list[StateLine]:
        """Change what differs; return the lines of which values were left out, or all refused.

        Args:
            kind: What the lines are.
            lines: The lines.
            without: Parameters that are not set yet.
            is_last: Whether addresses that nobody has are a refusal; else they may come.
        """
        again: list[StateLine] = []
        for part in self._batches(lines):
            if self._gate.dry_run and not is_last:
                self._foresee(kind, part)
            # What a dry run would create or rename is not there.
            batch = [line for line in part if not self._gate.dry_run or self.report.is_there(line)]
            batch = [line for line in batch if self._is_readable(line)]
            found = self._present.entries(kind, (line.name for line in batch))
            entries = {n: one for n, one in found.items() if not isinstance(one, Refusal)}
            views = self._views(kind, entries, batch)
            again += [
                line
                for line in batch
                if line.name in views
                and self._changed(kind, line, views[line.name], without, is_last=is_last)
            ]
        return again

    def _foresee(self, kind: EntryKind, lines: Iterable[StateLine]) -> None:
        """Compare what a dry run would have renamed by now, under its former name."""
        moved = {one.id: one for one in lines if self.report.result_of(one) == "renamed"}
        entries = self._present.by_ids(kind, moved)
        table = (*self._calls.tables[f"{kind.name}_update"], *kind.further)
        for found in self._present.views(kind, [*entries.values()]):
            line = moved[found.entry.folded("entryUUID")]
            outcome = self.report.of(line)
            view = with_names(self._comparable(kind, line, found.view), self._followed)
            wanted = with_names(line.params, self._followed)
            outcome.differs.update(differences(table, wanted, view, self._present.hash_of))

    def _is_readable(self, line: StateLine) -> bool:
        """Return whether a thing may be compared; what another client has made meanwhile may not.

        Who may not read it may set what it was not created with, such as its forwarding.
        """
        if line.number not in self._unread or self.report.result_of(line) == "created":
            return True
        self._refuse(line, self._unread[line.number])
        return False

    def _views(
        self, kind: EntryKind, entries: Mapping[str, Entry], batch: Iterable[StateLine]
    ) -> dict[str, ViewedEntry]:
        try:
            made = self._present.views(kind, [*entries.values()])
        except MlmmjadminUnavailable as refusal:
            for line in batch:
                self._refuse(line, refusal)
            return {}
        found = dict(zip(entries, made, strict=True))
        for line in batch:
            if line.name not in found:
                # Deleted meanwhile, or hidden.
                self._refuse(line, NoSuchAccount(f"no {kind.name} {line.name}"))
        return found

    def _changed(
        self,
        kind: EntryKind,
        line: StateLine,
        found: ViewedEntry,
        without: frozenset[str],
        *,
        is_last: bool,
    ) -> bool:
        """Change what differs in one thing; return whether it is to be compared once more."""
        for _ in range(_ATTEMPTS):
            wanted = {
                name: value
                for name, value in line.params.items()
                if name not in without and name not in BESIDE
            }
            try:
                made = self._set(kind, line, with_names(wanted, self._followed), found)
            except PreconditionFailed as refusal:
                # Others have changed it since it was compared.
                last: Refusal = refusal
            except Refusal as refusal:
                if not is_last and _is_about_addresses(refusal):
                    return True
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
        found = {line.name: entry} if isinstance(entry, Entry) else {}
        return self._views(kind, found, [line]).get(line.name)

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
        # In a dry run mentions still have the former names.
        view = with_names(self._comparable(kind, line, found.view), self._followed)
        differing = differences(table, wanted, view, self._present.hash_of)
        if not differing:
            return None
        form = {name: form_values(value) for name, (_, value) in differing.items()}
        if_match = (found.entry.csn,) if found.entry.csn else ()
        request = self._gate.asked(endpoint, {kind.key: line.name}, form, kind.further, if_match)
        made = self._gate.make(request)
        # Who is still to come is no step of a dry run.
        given = {value for values in form.values() for value in values}
        if made.wrote or (self._gate.dry_run and not given.isdisjoint(self._gate.context.coming)):
            self._updated(line, made, differing)
        elif made.plan.ignored:
            self.report.of(line).ignored = made.plan.ignored
        return made

    def _comparable(self, kind: EntryKind, line: StateLine, view: View) -> View:
        """Return a view without a hash that the caller may not compare with a guess."""
        if HASH not in view or may_compare(
            self._calls.permit, kind.name, line.name, str(view[HASH])
        ):
            return view
        return {name: value for name, value in view.items() if name != HASH}

    def _updated(self, line: StateLine, made: Made, differing: Mapping[str, Difference]) -> None:
        outcome = self.report.of(line)
        outcome.note(made)
        if outcome.result == "unchanged":
            outcome.result = "updated"
        if outcome.result != "created":
            outcome.differs.update(differing)

    def _subscribe(self, line: StateLine, found: ViewedEntry) -> None:
        """Add and remove members of a subscribable list, by the kind of their membership."""
        wanted: Mapping[str, Sequence[str]] | None = line.params.get(SUBSCRIBERS)
        if wanted is None:
            return
        directory, mlmmj = self._gate.context.directory, self._gate.context.outside.mlmmjadmin
        held = subscribable_members.read(directory, mlmmj, found.entry, line.name)
        names = {"mail": line.name}
        for form in subscriptions(held, wanted):
            made = self._gate.make(self._gate.asked(f"{SUBSCRIBABLE.name}_update", names, form))
            self._updated(line, made, {SUBSCRIBERS: (held, wanted)})


def _is_about_addresses(refusal: Refusal) -> bool:
    """Return whether all that is wrong is that nobody has an address: it may be given yet."""
    return refusal.codes == (InvalidMail.code,)
