"""Find the parameters in which a thing that is there differs from its line."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from iredldap.desired.lines import form_values
from iredldap.desired.state_kinds import HASH
from iredldap.dit.fields import Field, FieldChange, Parsed, Table, Verb
from iredldap.dit.form_parser import contradictions, parse
from iredldap.dit.views.params import ABSENT, View, shown_change
from iredldap.errors import (
    InvalidParameter,
    InvalidPasswordScheme,
    Malformed,
    Refusal,
    raise_all,
)

ONCE = frozenset({"password"})
"""Parameters of a new account alone: the user may have changed them since."""

Difference = tuple[object, object]
"""A value as it is, and as it is wanted; None: it is not set."""


def differences(
    table: Table,
    wanted: Mapping[str, Any],
    view: Mapping[str, Any],
    hash_of: Callable[[str], str] = str,
) -> dict[str, Difference]:
    """Return the parameters that differ, each with its value as it is and as it is wanted.

    What a line does not name may be anything.

    Args:
        table: The rows of the change.
        wanted: The parameters of the line.
        view: Those that there are.
        hash_of: Brings the hash of a password into the form that is stored.
    """
    rows = {row.name: row for row in table if row.verb is Verb.SET}
    found: dict[str, Difference] = {}
    for name, value in wanted.items():
        if name in ONCE or _is_same(value, view.get(name)):
            continue
        meant = value
        if name in rows:
            # Of one that is malformed the change itself will say so.
            with suppress(Malformed):
                meant = _as_shown(table, name, value, hash_of)
        if not _is_same(meant, view.get(name)):
            found[name] = (view.get(name), meant)
    return found


def parts(table: Table, wanted: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Divide the parameters of a line into those of calls one after another.

    Values whose service is off cannot be set together with the services, nor in a new account: a
    call sets the values, and another one the services.

    Args:
        table: The rows of the change.
        wanted: The parameters of the line.
    """
    rows = {row.name: row for row in table if row.verb is Verb.SET}
    switches = {name for name in wanted if name in rows and rows[name].switches_services}
    needing = {name for name in wanted if name in rows and rows[name].service}
    if not (switches and needing):
        return (wanted,)
    concerned = {name: form_values(wanted[name]) for name in switches | needing}
    try:
        parsed = parse(tuple(rows[name] for name in concerned), concerned, is_view=True)
    except Refusal:
        # The change itself will say so.
        return (wanted,)
    if not any(contradictions((*parsed.changes, *parsed.odd))):
        return (wanted,)
    return (
        {name: value for name, value in wanted.items() if name not in switches},
        {name: wanted[name] for name in switches},
    )


def refuse_malformed(table: Table, wanted: Mapping[str, Any]) -> None:
    """Refuse parameters of a line that a change would not know, or whose values it would not take.

    Args:
        table: The rows of the change.
        wanted: The parameters; empty ones may be what is there already.

    Raises:
        Refusal: For each of them.
    """
    rows = {name: row for row in table for name in (row.name, *row.aliases)}
    refusals: list[Refusal] = []
    for name, value in sorted(wanted.items()):
        if name not in rows:
            refusals.append(InvalidParameter("not known", parameter=name))
        elif value not in ("", []):
            try:
                _parsed_alone(rows[name], name, value)
            except Refusal as refusal:
                refusals.append(refusal)
    raise_all(refusals)


def with_names(view: View, names: Mapping[str, str]) -> View:
    """Return a view after renames, which every mention of an address follows.

    Args:
        view: As it was.
        names: New addresses by the former ones.
    """

    def renamed(value: object) -> object:
        if isinstance(value, list):
            return sorted(map(renamed, value), key=str)
        return names.get(value.lower(), value) if isinstance(value, str) else value

    return {parameter: renamed(value) for parameter, value in view.items()} if names else view


def subscriptions(
    held: Mapping[str, Sequence[str]], wanted: Mapping[str, Sequence[str]]
) -> list[dict[str, list[str]]]:
    """Return the forms that remove and add members of a list, by the kind of their membership.

    Args:
        held: Members by kinds.
        wanted: Those that there shall be.
    """
    everybody = {mail for members in wanted.values() for mail in members}
    gone = sorted({mail for members in held.values() for mail in members} - everybody)
    forms: list[dict[str, list[str]]] = [{"remove_subscribers": gone}] if gone else []
    for kind, members in wanted.items():
        if new := sorted({*members} - {*held.get(kind, ())}):
            forms.append(
                {"add_subscribers": new, "subscription": [kind], "require_confirm": ["no"]}
            )
    return forms


def _as_shown(table: Table, name: str, value: object, hash_of: Callable[[str], str]) -> object:
    """Return a value that was written by hand as a view has it.

    Raises:
        Malformed: If a request with it would be refused.
    """
    if name == HASH:
        try:
            return hash_of(str(value))
        except InvalidPasswordScheme:
            return value
    row = next(row for row in table if row.name == name)
    parsed = _parsed_alone(row, name, value)
    values = (one for change in (*parsed.changes, *parsed.odd) for one in change.values)
    shown = shown_change(FieldChange(row, tuple(values)))
    return None if shown is ABSENT else shown


def _parsed_alone(row: Field, name: str, value: object) -> Parsed:
    """Parse a value by one of the names of its row, without what it may need beside it.

    Raises:
        Malformed: If a request with it would be refused.
    """
    alone = row.but(required=False, required_with=())
    return parse((alone,), {name: form_values(value)})


def _is_same(value: object, shown: object) -> bool:
    if isinstance(value, list) and isinstance(shown, list):
        return value == shown or sorted({*map(str, value)}) == shown
    return value == shown
