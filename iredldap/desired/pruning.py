"""Delete what a file covers and does not name, in the reverse of the order in which it is made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from iredldap.desired.gate import Gate, refused
from iredldap.desired.lines import EVERYTHING, StateLine, WantedState
from iredldap.desired.outcomes import StateOutcome, StateReport
from iredldap.desired.policies_present import PoliciesPresent
from iredldap.desired.present import Present
from iredldap.desired.state_kinds import (
    ADMIN,
    DOMAIN,
    ENTRY_KINDS,
    GLOBAL,
    POLICIES,
    EntryKind,
    PolicyKind,
    variables_of,
)
from iredldap.dit import mail_names
from iredldap.errors import Forbidden, PermissionDenied, Refusal

ANYONE = "*"
"""No account has this name, so nobody's right to their own is asked for."""


@dataclass(frozen=True)
class Pruning:
    """Deletes what is not wanted.

    A snapshot says in its header which kinds of which domains it covers. Any other file covers the
    kinds of accounts that it has in a domain, and no domain, admin or policy as such.

    Args:
        gate: Makes the changes.
        state: What is wanted.
        report: Gets what was deleted.
        present: Reads what there is.
    """

    gate: Gate
    state: WantedState
    report: StateReport
    present: Present

    def run(self) -> None:
        """Delete it.

        Raises:
            ServerDown: If the directory or a database does not answer.
        """
        if self.report.has_refused:
            # What a refused line was to name, or to rename, would be taken for what nobody named.
            self.report.prunes = False
            return
        named = {*self._named()}
        homes = self.present.domains()
        if self._covers(POLICIES):
            for policy, target in self._policies(homes):
                if (policy.name, target) not in named:
                    self._drop(policy, target)
        gone = {
            name
            for name in homes
            if self._covers_all and self._covers(DOMAIN.name) and ("domain", name) not in named
        }
        for kind in reversed(ENTRY_KINDS):
            for name in self._there(kind, homes, gone):
                if (kind.name, name) not in named:
                    self._delete(kind, name)

    def _named(self) -> Iterator[tuple[str, str]]:
        """Yield kinds and names of what is wanted, under the names that a dry run finds, too."""
        for line in self.state.lines:
            yield line.word, line.name
        for kind in ENTRY_KINDS:
            ids = [line.id for line in self.state.lines if line.id and line.kind is kind]
            for entry in self.present.by_ids(kind, ids).values():
                yield kind.name, entry.folded(kind.params.attribute)

    @property
    def _covers_all(self) -> bool:
        return self.state.covers is not None and self.state.covers["domains"] == EVERYTHING

    def _covers(self, word: str) -> bool:
        return self.state.covers is not None and word in self.state.covers["kinds"]

    def _there(self, kind: EntryKind, homes: Mapping[str, str], gone: set[str]) -> Iterator[str]:
        """Yield what there is of a kind, as far as the file covers it."""
        if kind is DOMAIN:
            if gone and self._may_list(kind, min(gone)):
                yield from sorted(gone)
        elif kind is ADMIN:
            covers = self._covers_all and self._covers(ADMIN.name)
            if covers and self._may_list(kind, GLOBAL):
                yield from self.present.names(kind, "")
        else:
            for domain in sorted(self._domains(kind)):
                # A domain that goes takes its accounts along.
                if domain in homes and domain not in gone and self._may_list(kind, domain):
                    yield from self.present.names(kind, homes[domain])

    def _may_list(self, kind: EntryKind, where: str) -> bool:
        """Return whether the caller may know the accounts of a domain; if not, note that once."""
        anyone = f"{ANYONE}@{where}" if kind.key == "mail" else where
        try:
            self.gate.calls.permit(self.gate.asked(f"{kind.name}_get", {kind.key: anyone}))
        except Forbidden as refusal:
            name = "" if kind is DOMAIN else where
            outcome = StateOutcome(StateLine(0, kind, name), "refused", refusal)
            self.report.deleted.append(outcome)
            return False
        return True

    def _domains(self, kind: EntryKind) -> set[str]:
        covers = self.state.covers
        if covers is None:
            own = (line.name for line in self.state.lines if line.kind is kind)
            return {mail_names.domain_of(name) for name in own}
        if kind.name not in covers["kinds"]:
            return set()
        return {*(self.present.domains() if self._covers_all else covers["domains"])}

    def _policies(self, homes: Mapping[str, str]) -> Iterator[tuple[PolicyKind, str]]:
        reader = PoliciesPresent(self.gate.context, self.gate.calls, self.gate.of)
        assert self.state.covers is not None
        covered = {*homes} if self._covers_all else {*self.state.covers["domains"]}
        for kind, target in reader.targets():
            domain = mail_names.domain_of(target)
            is_covered = self._covers_all if target == GLOBAL else domain in covered
            if is_covered and reader.view(kind, target):
                yield kind, target

    def _drop(self, kind: PolicyKind, target: str) -> None:
        if kind.cleared:
            end, form = kind.ends[0], {name: [value] for name, value in kind.cleared.items()}
        else:
            end, form = kind.ends[1], {}
        self._made(kind, target, kind.call(target, end), variables_of(target), form)

    def _delete(self, kind: EntryKind, name: str) -> None:
        self._made(kind, name, f"{kind.name}_delete", {kind.key: name}, {})

    def _made(
        self,
        kind: EntryKind | PolicyKind,
        name: str,
        endpoint: str,
        names: dict[str, str],
        form: dict[str, list[str]],
    ) -> None:
        outcome = StateOutcome(StateLine(0, kind, name), "deleted")
        try:
            own = self.gate.context.caller.address
            if name in {own, mail_names.domain_of(own)}:
                raise PermissionDenied(
                    "who applies a state deletes neither their own account nor its domain"
                )
            made = self.gate.make(self.gate.asked(endpoint, names, form))
            outcome.note(made)
        except Refusal as refusal:
            outcome.result, outcome.refusal = "refused", refused(refusal)
        self.report.deleted.append(outcome)
