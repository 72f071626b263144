"""Create the users of a state together, as an import does."""

from collections.abc import Sequence
from dataclasses import replace

from iredldap.desired.batches import Batches
from iredldap.desired.differences import parts
from iredldap.desired.gate import FATAL, Gate, strictly
from iredldap.desired.lines import StateLine, form_values
from iredldap.desired.outcomes import StateReport
from iredldap.desired.rows import LISTS, UserRow
from iredldap.desired.rows import USER as NEW_USER
from iredldap.errors import Refusal

_TABLE = tuple(row for row in NEW_USER if row is not LISTS)

_PLAIN = ("isGlobalAdmin", "no")
"""What a new user is without being asked for; to ask costs a search for the domains of each."""


def create_users(
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
        form = {
            name: form_values(value)
            for name, value in parts(_TABLE, line.params)[0].items()
            if value not in ("", []) and (name, value) != _PLAIN
        }
        try:
            rows.append(UserRow(line.number, line.name, strictly(_TABLE, form)))
        except Refusal as refusal:
            report.refuse(line, refusal)
    batches = Batches(
        replace(gate.context, coming=gate.context.coming | coming),
        gate.log,
        gate.calls.permit,
        gate.of,
        job=gate.job,
        request_id=gate.request_id,
        patience=gate.patience,
        check=gate.check,
    )
    by_number = {line.number: line for line in lines}
    for outcomes in batches.run(rows):
        for one in outcomes:
            line = by_number[one.row.line]
            if one.refusal:
                _refuse(report, line, one.refusal)
            elif one.result == "created":
                outcome = report.of(line)
                outcome.result, outcome.ignored = "created", one.ignored


def _refuse(report: StateReport, line: StateLine, refusal: Refusal) -> None:
    if isinstance(refusal, FATAL):
        raise refusal
    report.refuse(line, refusal)
