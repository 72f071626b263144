"""Preview a change: make its plan, have it judged, and describe what it would do.

Nothing is written. Neither turns nor jobs nor the admin log are touched: other changes can be made
between a preview and the change itself.

Source: `docs/decisions/0055-dry-runs.md`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from iredldap.changes import apply, dry_run
from iredldap.changes.dry_run import JudgedBy
from iredldap.changes.forecast import Forecast
from iredldap.changes.progress import Progress
from iredldap.dit import mail_names, names
from iredldap.dit.change_log import REDACTED, Row, TouchedRows, as_json
from iredldap.dit.change_records import change_record
from iredldap.dit.names import Tree
from iredldap.dit.plan import (
    Operation,
    Outside,
    Plan,
    Recheck,
    Step,
    Sweep,
    describe,
)
from iredldap.gateways.directory import Directory
from iredldap.gateways.touched_rows import NotTried, tried
from iredldap.ldif import writer

MOST_PRINTED = 1000
"""Change records printed of each sweep; the others are counted."""


@dataclass(frozen=True, slots=True)
class OutsidePreview:
    """What a step outside the directory would do.

    `rows` are those that it would change, as the change log has them; None: a database could not
    take a trial back. `left_out` counts those not printed: beyond `MOST_PRINTED`, and rows of
    domains that the caller does not manage.
    """

    step: str
    rows: list[TouchedRows] | None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do.

    `steps` describes all steps, `outside` those outside the directory. `ldif` are change records
    (RFC 2849) that leave the directory as the change would; of each sweep the first `MOST_PRINTED`,
    and none of entries that the caller may not see. `records` counts all, `left_out` those not
    printed. `sweeps` has the number of entries that each sweep would change, with what it does.
    `judged_by` is None if no entry would be written.
    """

    plan: Plan
    judged_by: JudgedBy | None
    steps: tuple[str, ...]
    ldif: str
    records: int
    left_out: int
    sweeps: tuple[tuple[str, int], ...]
    outside: tuple[OutsidePreview, ...]

    def as_json(self) -> Mapping[str, Any]:
        """Return it as an answer has it."""
        plan = self.plan
        return {
            "judged_by": self.judged_by,
            "steps": [*self.steps],
            "ldif": self.ldif,
            "records": self.records,
            "records_left_out": self.left_out,
            "sweeps": [{"step": words, "entries": count} for words, count in self.sweeps],
            "outside": [
                {
                    "step": one.step,
                    "rows": None if one.rows is None else [*map(as_json, one.rows)],
                    "rows_left_out": one.left_out,
                }
                for one in self.outside
            ],
            "rechecks": [step.meaning for step in plan.steps if isinstance(step, Recheck)],
            "ignored_values": [*plan.ignored],
            "unplaced": [
                {"parameter": parameter, "attribute": attribute}
                for parameter, attribute in plan.unplaced
            ],
            "shared_with": [*plan.shared_with],
            "kept_members": [*plan.kept],
            "left_alone": [one.as_json() for one in plan.left],
        }


def preview(
    directory: Directory,
    make: Callable[[], Plan],
    if_match: tuple[str, ...] = (),
    *,
    sees: Callable[[str], bool] = lambda _: True,
    redacted: bool = True,
) -> Preview:
    """Make the plan of a change, and find out what it would do and whether it would be refused.

    Args:
        directory: Where.
        make: Reads what it needs and returns the plan. It may be called several times.
        if_match: States of which the named entry must have one, as for `apply.execute`.
        sees: Returns whether the caller may see the entry of a DN; they see the named one.
        redacted: Whether secrets are left out of the change records.

    Raises:
        Refusal: That of the change, as far as it can be known before the first write.
    """

    def foresee(plan: Plan, progress: Progress) -> Preview:
        # As the execution does before its first step: a preview of a part would look like the
        # whole.
        directory.refuse_partial(step.query for step in plan.steps if isinstance(step, Sweep))
        judged_by = dry_run.judge(directory, plan, progress.fail, thorough=True)

        def shows(dn: str) -> bool:
            # The right to the named entry has been judged; it may lie in no domain at all.
            return names.is_within(dn, plan.named) or sees(dn)

        return _described(directory, plan, judged_by, shows, redacted=redacted)

    return apply.repeated(directory, make, foresee, if_match)


def _described(
    directory: Directory,
    plan: Plan,
    judged_by: JudgedBy | None,
    shows: Callable[[str], bool],
    *,
    redacted: bool,
) -> Preview:
    """Describe what a plan would do to the directory as it is."""
    forecast = Forecast(directory)
    printed = [writer.VERSION]
    sweeps: list[tuple[str, int]] = []
    records = left_out = 0
    for step in plan.steps:
        changed: set[str] = set()
        for number, operation in enumerate(forecast.operations(step)):
            # All are counted, printed or not: the number says how large the change is.
            records += 1
            changed.add(operation.dn)
            is_cut = isinstance(step, Sweep) and number >= MOST_PRINTED
            if is_cut or not shows(operation.dn):
                left_out += 1
            else:
                printed.append(change_record(operation, redacted=redacted))
        if isinstance(step, Sweep):
            sweeps.append((step.meaning, len(changed)))
    text = b"".join(printed).decode("ascii")
    steps = tuple(_words(step, shows) for step in plan.steps)
    outside = tuple(
        _tried(step, lambda one: shows(_place(one, directory.tree)))
        for step in plan.steps
        if isinstance(step, Outside)
    )
    return Preview(plan, judged_by, steps, text, records, left_out, tuple(sweeps), outside)


def _tried(step: Outside, shows: Callable[[TouchedRows], bool]) -> OutsidePreview:
    """Return what a step would do, with the rows that the caller may see.

    Raises:
        Refusal: That of the step.
    """
    try:
        with tried() as rows:
            step.work()
    # Not a refusal of the change: it would be carried out, only what it does cannot be shown.
    except NotTried:
        return OutsidePreview(step.meaning, None)
    printed: list[TouchedRows] = []
    room, left_out = MOST_PRINTED, 0
    for one in rows:
        count = max(len(one.before), len(one.after))
        taken = min(room, count) if shows(one) else 0
        if taken:
            shown = replace(one, before=one.before[:taken], after=one.after[:taken])
            printed.append(_without_digests(shown))
        room -= taken
        left_out += count - taken
    return OutsidePreview(step.meaning, printed, left_out)


def _without_digests(rows: TouchedRows) -> TouchedRows:
    """Return rows without what tells a secret when it is guessed, as a token's SHA-256 does."""

    def redacted(row: Row) -> Row:
        return {**row, "digest": REDACTED} if "digest" in row else row

    before, after = (tuple(map(redacted, side)) for side in (rows.before, rows.after))
    return replace(rows, before=before, after=after)


def _place(rows: TouchedRows, tree: Tree) -> str:
    """Return the DN below which the account or domain is that rows are about."""
    domain = mail_names.domain_of(rows.about) if "@" in rows.about else rows.about
    return tree.domain(domain) if domain else tree.base


def _words(step: Step, shows: Callable[[str], bool]) -> str:
    """Describe a step; of an operation on an entry that the caller may not see not the entry."""
    if isinstance(step, Operation) and not shows(step.dn):
        return f"{type(step).__name__.lower()} an entry of another domain"
    return describe(step)
