"""Parse a form by the rows of a table."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import starmap

from iredldap.dit.entry import folded
from iredldap.dit.fields import (
    Field,
    FieldChange,
    Form,
    Parsed,
    StoredAttribute,
    Table,
    Verb,
    known_names,
    rows_concerned,
)
from iredldap.dit.kinds import BLANKS
from iredldap.errors import (
    InvalidParameter,
    Malformed,
    MissingParameter,
    ParameterConflict,
    Refusal,
    raise_all,
)


def parse(table: Table, form: Form, *, is_view: bool = False) -> Parsed:
    """Read a form by a table.

    Args:
        table: The rows.
        form: What was sent.
        is_view: Whether it is a view, which may say what no other request could: values whose
            service is off. Who knows the entry refuses those that are new.

    Raises:
        Refusal: One for each parameter that is malformed, missing or in conflict; several are
            raised together.
    """
    refusals: list[Refusal] = []
    changes, odd = list[FieldChange](), list[FieldChange]()
    dropped, empty = list[str](), list[str]()
    # The others would only be passed over: some tables have sixty, and a form has a few.
    rows = rows_concerned(table, form)
    blank = _left_blank(rows, form)
    for field in rows:
        try:
            # Left blank beside a parameter that excludes it: it must not be reported as a conflict.
            name, sent = ("", None) if field.name in blank else _sent(field, form)
            if sent is None:
                # A required one is reported as missing, not as ignored.
                empty += [name] if name and not field.required else []
                continue
            # The older name may have another unit or spelling, as the public documents of its time
            # say.
            kind = field.older_kind if field.older_kind and name != field.name else field.kind
            reading = kind.read(sent) if sent or kind.present else None
            values = reading.values if reading else ()
            dropped += reading.dropped if reading else ()
            # What a read returned may be sent back as it was, values that are not valid today among
            # them.
            texts = tuple(form[name]) if _may_be_answered(field, name) else ()
            change = FieldChange(field, values, field.verb, name if texts else "", texts)
            if values or not reading:
                changes.append(change)
            if reading and reading.odd:
                odd.append(replace(change, values=reading.odd))
        except Malformed as refusal:
            # All parameters are read before anything is refused: a client corrects them in one go.
            refusal.parameter = refusal.parameter or field.name
            refusals.append(refusal)
    if not is_view:
        refusals += starmap(contradiction, contradictions([*changes, *odd]))
    refusals += _lacking(rows, [*changes, *odd], refusals)
    raise_all(refusals)
    known = known_names(table)
    # In the order in which they were sent, which is that of the header that names them.
    unknown = (*(n for n in form if n not in known), *empty)
    return Parsed(tuple(changes), unknown, tuple(dropped), tuple(odd), is_view)


def older_names(table: Table, form: Form) -> dict[str, str]:
    """Return the older names by which parameters were sent, by the names of their rows."""
    sent = ((field.name, _sent(field, form)[0]) for field in rows_concerned(table, form))
    return {row: name for row, name in sent if name and name != row}


def _may_be_answered(field: Field, name: str) -> bool:
    """Return whether an answer may have a parameter's value under this name, an attribute's."""
    stored_as = {getattr(field.stored_as, "name", ""), *field.aliases}
    return name in stored_as and not field.kind.secret


def settled(parsed: Parsed, held: Callable[[FieldChange, str], str | None]) -> Parsed:
    """Decide about odd values: those that the entry has already become part of the changes.

    Args:
        parsed: The request.
        held: Returns a value of a change as the entry has it, or None.

    Raises:
        InvalidMail, InvalidParameter: If nothing is left of a parameter.
    """
    changes = {change.field.name: change for change in parsed.changes}
    dropped = list(parsed.dropped)
    refusals: list[Refusal] = []
    for change in parsed.odd:
        name = change.field.name
        try:
            found = {value: held(change, value) for value in change.values}
        except Malformed as refusal:
            refusal.parameter = refusal.parameter or name
            refusals.append(refusal)
            continue
        kept = tuple(value for value in found.values() if value is not None)
        dropped += (value for value, stored in found.items() if stored is None)
        before = changes[name].values if name in changes else ()
        if before or kept:
            changes[name] = replace(change, values=(*before, *kept))
        else:
            words = f"nothing valid in {', '.join(change.values)[:80]!r}"
            refusals.append(change.field.kind.refusal(words, parameter=name))
    raise_all(refusals)
    return replace(parsed, changes=tuple(changes.values()), dropped=tuple(dropped), odd=())


def _sent(field: Field, form: Form) -> tuple[str, str | None]:
    """Return the name that a parameter was sent by, the new one before older ones, and its text.

    None: it counts as not sent. A list of nothing but separators is empty.
    """
    sent = ""
    for name in (field.name, *field.aliases):
        if name in form:
            values = form[name]
            separator = field.kind.separator
            # JSON's null: what acts by being there is not.
            if not values and field.kind.present:
                sent = sent or name
                continue
            # A name that was repeated: a list has all values, of others the last one counts.
            text = separator.join(values) if field.kind.many else "".join(values[-1:])
            filled = text.replace(separator, " ") if field.kind.many else text
            # Of a secret only what a form or an editor leaves at its ends: the rest may be meant.
            if filled.strip(BLANKS if field.kind.secret else None) or field.kind.present:
                return name, text
            if field.empty is not None:
                return name, ""
            # Empty under this name; an older name may have a value.
            sent = sent or name
    return sent, None


def _left_blank(rows: Table, form: Form) -> set[str]:
    """Return the parameters left blank beside one that excludes them, as in a form with all fields.

    A value that was sent wins over one left empty, unless the empty value has a meaning of its own.
    A parameter that acts by being there is never blank.
    """
    filled = {field.name for field in rows if _is_filled(field, form)}
    return {
        field.name
        for field in rows
        if field.empty is None and field.name not in filled
        if filled.intersection(field.conflicts_with)
    }


def _is_filled(field: Field, form: Form) -> bool:
    if field.kind.present and not field.kind.secret:
        return any(form.get(name) for name in (field.name, *field.aliases))
    _, text = _sent(field, form)
    return bool((text or "").strip(BLANKS if field.kind.secret else None))


def _lacking(
    rows: Table, changes: Sequence[FieldChange], refusals: Sequence[Refusal]
) -> Iterable[Refusal]:
    sent = {change.field.name for change in changes}
    refused = {name for refusal in refusals for name in refusal.parameters}
    for field in rows:
        # Reported for both of the pair, so that the client sees which ones exclude each other.
        excluded = sent.intersection(field.conflicts_with)
        if field.name in sent and excluded:
            yield ParameterConflict(
                f"{field.name} excludes {', '.join(sorted(excluded))}", parameter=field.name
            )
        if field.required and not excluded and field.name not in sent | refused:
            refusal = field.missing()
            refusal.parameter = field.name
            yield refusal
    for change in changes:
        for companion in change.field.required_with:
            # Not where the companion was refused for its value: one error is enough.
            if companion not in sent | refused and not set(change.values) & set(change.field.alone):
                yield MissingParameter(
                    f"{change.field.name} needs {companion}", parameter=companion
                )


def contradictions(
    changes: Sequence[FieldChange],
) -> Iterable[tuple[FieldChange, FieldChange]]:
    """Find values, and the changes of services that end the one that these need.

    A whole set of services ends those that are not in it.
    """
    switches = [change for change in changes if change.field.switches_services]
    additions = (change for change in switches if change.verb is Verb.ADD)
    added = {word for change in additions for word in _folded_words(change)}
    needing = [
        (change, change.field.service)
        for change in changes
        if change.field.service and change.verb is not Verb.REMOVE and change.values
    ]
    for switch in switches:
        words = _folded_words(switch)
        for change, service in needing:
            ends = {
                Verb.ADD: False,
                Verb.REMOVE: service in words,
                Verb.SET: service not in words | added,
            }
            if ends[switch.verb]:
                yield change, switch


def contradiction(change: FieldChange, switch: FieldChange) -> Refusal:
    """Return the refusal of values together with the end of their service."""
    words = f"{change.field.name} needs {change.field.service}"
    return ParameterConflict(words, parameter=switch.field.name)


def _folded_words(switch: FieldChange) -> set[str]:
    is_a_list = isinstance(switch.field.stored_as, StoredAttribute)
    return {folded(value) for value in switch.values} if is_a_list else set()


def refuse_leftovers(parsed: Parsed) -> None:
    """Refuse what would otherwise be ignored: unknown names and dropped values.

    Odd values are not yet decided about.

    Raises:
        InvalidParameter: For each of them.
    """
    strays = [InvalidParameter("unknown or empty", parameter=name) for name in parsed.unknown]
    strays += [InvalidParameter(f"{value[:80]!r} is not valid") for value in parsed.dropped]
    raise_all(strays)
