"""Take a view that is sent back: what the thing has already is no change.

Source: `docs/decisions/0061-views.md`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from iredldap.dit.fields import FieldChange, Parsed
from iredldap.dit.form_parser import contradiction, contradictions
from iredldap.dit.plan import Plan
from iredldap.dit.views.params import ParamsKind, shown_change
from iredldap.errors import Malformed, raise_all
from iredldap.operations.context import Context, Operation, PathVariables
from iredldap.operations.views.params import read_view

_LASTING = {"shadowaddress", "domainalias"}
"""Services that stay while there are values that need them."""

_ATTEMPTS = 3
"""How often a view is read again that others have changed meanwhile."""


def with_view(kind: ParamsKind, update: Operation) -> Operation:
    """Return an update that also takes a view: only what differs from the present one is changed.

    An update completes what other tools have left incomplete, such as values without their service.
    To send back what was read must not; and values whose service is off, or is switched off, which
    no other request could say, are no contradiction while they are as they were.

    A change of the thing that broke off is finished by sending it again: until it has been, nothing
    of a view is taken for unchanged.

    Args:
        kind: What is changed.
        update: Plans a change of it.
    """

    def operation(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
        if not parsed.is_view:
            return update(context, path, parsed)
        plan = None
        for _ in range(_ATTEMPTS):
            entry, view = read_view(context, kind, path)
            plan = update(context, path, _differing(context, kind, path, parsed, view))
            if plan.state == entry.csn:
                break
        assert plan is not None
        return plan

    return operation


def _differing(
    context: Context, kind: ParamsKind, path: PathVariables, parsed: Parsed, view: Mapping[str, Any]
) -> Parsed:
    """Return what a view changes.

    Raises:
        ParameterConflict: If new values stand beside services without theirs, or the service of
            what is there would stay all the same.
    """
    same = [change for change in parsed.changes if _is_same(kind, change, view)]
    # They say what others mean: the unit of a size.
    if any(kind.readers.get(change.field.name, "") is None for change in parsed.changes):
        same = []
    without = [*contradictions(parsed.changes)]
    raise_all(
        [
            contradiction(change, switch)
            for change, switch in without
            if change not in same or (switch not in same and change.field.service in _LASTING)
        ]
    )
    if same and context.changes.broke_off(f"{kind.name}_update", path):
        # Values whose service is off would switch it on.
        same = [change for change, _ in without]
    return replace(parsed, changes=tuple(one for one in parsed.changes if one not in same))


def _is_same(kind: ParamsKind, change: FieldChange, view: Mapping[str, Any]) -> bool:
    name = change.field.name
    if name not in view or change.field not in kind.rows:
        return False
    try:
        return bool(shown_change(change) == view[name])
    except Malformed:
        return False
