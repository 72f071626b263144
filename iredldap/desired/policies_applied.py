"""Set policies that differ from their lines."""

from dataclasses import dataclass
from typing import Any

from iredldap.desired.differences import Difference, differences
from iredldap.desired.gate import Gate, refuse_unknown, refused
from iredldap.desired.lines import StateLine, form_values
from iredldap.desired.outcomes import StateReport
from iredldap.desired.policies_present import PoliciesPresent
from iredldap.desired.state_kinds import PolicyKind, variables_of
from iredldap.dit.fields import Form, known_names
from iredldap.errors import Refusal


@dataclass(frozen=True)
class PolicyChanges:
    """Sets policies.

    Args:
        gate: Makes the changes.
        report: Gets what became of the lines.
    """

    gate: Gate
    report: StateReport

    def apply(self, line: StateLine) -> None:
        """Set the policy of a line, if it differs.

        Raises:
            ServerDown: If a database does not answer.
        """
        assert isinstance(line.kind, PolicyKind)
        kind = line.kind
        present = PoliciesPresent(self.gate.context, self.gate.calls, self.gate.of)
        try:
            present.permit(kind, line.name)
            view = present.view(kind, line.name)
            table = self.gate.calls.tables[kind.call(line.name, kind.ends[0])]
            wanted = line.params
            # A member that the call does not know is refused, whether the others differ or not.
            refuse_unknown(wanted.keys() - known_names(table))
            differing = differences(table, wanted, view)
            if not differing:
                return
            outcome = self.report.of(line)
            for end, form in _calls(kind, wanted, view, differing):
                asked = self.gate.asked(kind.call(line.name, end), variables_of(line.name), form)
                made = self.gate.make(asked)
                outcome.ignored = (*outcome.ignored, *made.plan.ignored)
            outcome.result = "updated" if view else "created"
            outcome.differs.update(differing)
        except Refusal as refusal:
            self.report.refuse(line, refused(refusal))


def _calls(
    kind: PolicyKind,
    wanted: dict[str, Any],
    view: dict[str, Any],
    differing: dict[str, Difference],
) -> list[tuple[str, Form]]:
    """Return the calls that set a policy: the ends of their ids, and their parameters."""
    if not kind.adds:
        # All that is wanted: a throttle is replaced as a whole.
        return [(kind.ends[0], {name: form_values(value) for name, value in wanted.items()})]
    calls: list[tuple[str, Form]] = []
    for name, (_, value) in differing.items():
        held, listed = {*form_values(view.get(name, []))}, {*form_values(value)}
        for end, items in (("remove", held - listed - {""}), ("add", listed - held - {""})):
            if items:
                calls.append((end, {name: sorted(items)}))
    return calls
