"""Make the view of an entry's parameters: the body of a request that would change nothing.

Each row has an inverse: of values in an attribute, a setting or a profile that of its kind
(`Kind.from_stored`), of values elsewhere a reader of the kind of entry. What comes out is read
again by the parser and compared with the entry, as an update would be. A parameter that would be
refused, or stored as something else, is left out and named: other tools store what no request can
say.

Source: `docs/decisions/0061-views.md`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from iredldap.dit import settings
from iredldap.dit.entry import Entry, folded
from iredldap.dit.fields import (
    Elsewhere,
    Field,
    FieldChange,
    Form,
    Parsed,
    Profile,
    Setting,
    StoredAttribute,
    Table,
    Verb,
)
from iredldap.dit.form_parser import parse, refuse_leftovers, settled
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import Mod
from iredldap.errors import InvalidParameter, Malformed, Refusal

ID = "id"
LEFT_OUT = "left_out"
"""Names of parameters that are stored in a form that no request could send."""

Values = Sequence[str] | None
"""Stored values of a parameter, as texts of a request; None: no request could send them."""


class _Ignored(tuple[str, ...]):
    __slots__ = ()


IGNORED: Values = _Ignored()
"""In place of values: the parameter would be ignored, or another one says the same."""

ABSENT = object()
"""In place of what JSON has: there is no value, and nothing clears one."""

View = dict[str, Any]

_MOST_READ = 2048
"""Texts of parameters, none of them secret, that are remembered as they were read."""


@dataclass(frozen=True)
class ParamsSource:
    """An entry, and what of its parameters is stored beside it.

    Args:
        entry: The entry.
        beside: Values that are stored elsewhere, by the names of parameters.
        kept: Values that a parameter keeps which sets all others, by its name: they belong to
            another one, as the names in alias domains do.
        profile: The settings of a subscribable list, as mlmmjadmin gives them.
    """

    entry: Entry
    beside: Mapping[str, Values] = field(default_factory=dict)
    kept: Mapping[str, frozenset[str]] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)


Reader = Callable[[ParamsSource], Values]
"""Reads the values of a parameter, as texts of a request."""

Effect = Callable[[ParamsSource, Parsed], Iterable[str]]
"""Returns what a request would write: names of attributes, and of settings elsewhere."""


def entry_effect(source: ParamsSource, parsed: Parsed) -> Iterable[str]:
    """Return the attributes of its entry that a request would change."""
    return _attributes(modlist(with_kept(source, parsed.changes), source.entry))


def _attributes(mods: Iterable[Mod]) -> list[str]:
    return [mod.attribute for mod in mods]


def with_kept(source: ParamsSource, changes: Iterable[FieldChange]) -> list[FieldChange]:
    """Return changes of whole lists with the values that these keep."""
    return [
        replace(change, values=(*change.values, *sorted(kept)))
        if change.verb is Verb.SET and (kept := source.kept.get(change.field.name))
        else change
        for change in changes
    ]


@dataclass(frozen=True)
class ParamsKind:
    """A kind of thing whose parameters can be read as they are sent.

    Args:
        name: As in ids of endpoints.
        area: Of token scopes.
        table: The rows of its update.
        key: The member of a view that identifies it in a request's path.
        attribute: The attribute that has that.
        profiles: The setting of a domain that withdraws parameters from normal admins.
        readers: Of parameters that no attribute or setting has as it is, by their names; of one
            that is never shown None.
        effect: What an update would write.
        further: Attributes that readers need, beside those of the rows.
        is_whole: Whether what a request with one parameter would do depends on the others.
    """

    name: str
    area: str
    table: Table
    key: str = "mail"
    attribute: str = "mail"
    profiles: str = ""
    readers: Mapping[str, Reader | None] = field(default_factory=dict)
    effect: Effect = entry_effect
    further: tuple[str, ...] = ()
    is_whole: bool = False

    @cached_property
    def rows(self) -> Table:
        """Return the rows that a view may show: those that set a whole value, and no secrets."""
        return tuple(row for row in self.table if self._is_shown(row))

    def _is_shown(self, row: Field) -> bool:
        if row.kind.secret or (row.name in self.readers and self.readers[row.name] is None):
            return False
        return row.name in self.readers or (
            row.verb is Verb.SET and not isinstance(row.stored_as, Elsewhere)
        )

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Return the attributes that a view is made of."""
        stored = (row.stored_as for row in self.table)
        own = {storage.name for storage in stored if isinstance(storage, StoredAttribute)}
        always = {"objectClass", "entryUUID", "entryCSN", "enabledService", settings.ATTRIBUTE}
        return tuple(sorted(own | always | {self.attribute, *self.further}))

    def only(self, names: Collection[str]) -> "ParamsKind":
        """Return the same kind with these parameters alone, where they can be read alone."""
        if self.is_whole:
            return self
        return replace(self, table=tuple(row for row in self.table if row.name in names))


Permission = Callable[[FieldChange], bool]
"""Whether the caller may send a parameter with its values."""


def params(kind: ParamsKind, source: ParamsSource, may: Permission = lambda _: True) -> View:
    """Return the parameters of an entry as a request would send them, all that can be set.

    Lists are sorted, numbers are numbers in the units of requests, and what is not set has the
    value that clears it, where there is one.

    Args:
        kind: What it is.
        source: The entry.
        may: Whether the caller may send a parameter; others are not shown.
    """
    shown, left_out = _candidates(kind, source)
    changes, bad = _verified(kind, source, shown)
    gone = left_out | bad
    named = sorted(row.name for row in kind.rows if row.name in gone and may(FieldChange(row, ())))
    return {
        kind.key: folded(source.entry.text(kind.attribute) or ""),
        ID: source.entry.text("entryUUID"),
        **{name: value for name, value in shown.items() if may(changes[name])},
        **({LEFT_OUT: named} if named else {}),
    }


def _candidates(kind: ParamsKind, source: ParamsSource) -> tuple[View, set[str]]:
    """Return what may be shown, and the names of what no request could send."""
    shown: View = {}
    left_out: set[str] = set()
    for row in kind.rows:
        try:
            value = _shown(kind, row, source)
        except (Malformed, UnicodeDecodeError):
            left_out.add(row.name)
        else:
            if value is not ABSENT:
                shown[row.name] = value
    return shown, left_out


def _shown(kind: ParamsKind, row: Field, source: ParamsSource) -> object:
    """Return the value of a parameter, or `ABSENT`.

    Raises:
        Malformed, UnicodeDecodeError: If no request could send what is stored.
    """
    reader = kind.readers.get(row.name)
    if reader:
        values = reader(source)
        if values is IGNORED:
            return ABSENT
        if values is None:
            raise InvalidParameter("not to be sent", parameter=row.name)
        texts = [*values]
    else:
        texts = [row.kind.from_stored(value) for value in _stored(row, source)]
    return shown_value(row, texts)


def shown_change(change: FieldChange) -> object:
    """Return the value of a parameter that was read from a request as a view has it, or `ABSENT`.

    Raises:
        Malformed: As `shown_value`.
    """
    return shown_value(change.field, [*map(change.field.kind.from_stored, change.values)])


def shown_value(row: Field, texts: list[str]) -> object:
    """Return texts of a request as JSON has them, or `ABSENT`; a number is cleared by null.

    Raises:
        Malformed: If a request with them would be refused, or mean something else.
    """
    if row.kind.many:
        return _listed(row, texts)
    if len(texts) > 1:
        raise InvalidParameter("several values", parameter=row.name)
    if not texts or not texts[0].strip():
        return _unset(row)
    return row.kind.as_json(_canonical(row, texts[0]))


# Words of services, states and languages are those of all entries of a listing.
@lru_cache(_MOST_READ)
def _canonical(row: Field, text: str) -> str:
    """Return a text in the spelling that is stored, where a request has the same."""
    reading = row.kind.read(text)
    if reading.dropped:
        raise InvalidParameter(f"{text[:80]!r} would be dropped")
    same = row.kind.from_stored is str and reading.values
    return reading.values[0] if same else text


def _listed(row: Field, texts: list[str]) -> object:
    if not texts:
        return [] if row.empty is not None and row.verb is Verb.SET else ABSENT
    # One by one: a value that has the separator in it would be read as two.
    return sorted({_item(row, text) for text in texts})


@lru_cache(_MOST_READ)
def _item(row: Field, text: str) -> str:
    reading = row.kind.read(text)
    items = (*reading.values, *reading.odd)
    if reading.dropped or len(items) != 1:
        raise InvalidParameter(f"{text[:80]!r} is no single item")
    return items[0]


def _unset(row: Field) -> object:
    storage = row.stored_as
    is_zero = isinstance(storage, Setting) or getattr(storage, "zero_is_absent", False)
    kind = row.kind.schema.get("type")
    if is_zero and kind == "integer":
        return 0
    if row.empty is None:
        return ABSENT
    return "" if kind == "string" else None


def _stored(row: Field, source: ParamsSource) -> list[str]:
    """Return the values of a row in its attribute, setting or profile.

    Raises:
        UnicodeDecodeError: If one is no text.
    """
    match row.stored_as:
        case StoredAttribute(name=name):
            return [value.decode("utf-8") for value in source.entry.values(name)]
        case Setting(key=key):
            return _setting(row, settings.read(source.entry.texts(settings.ATTRIBUTE)), key)
        case Profile(name=name):
            held = source.profile.get(name)
            if isinstance(held, list):
                return [str(item) for item in held]
            return [] if held is None else [str(held)]
        case _:
            return []


def _setting(row: Field, unpacked: settings.Settings, key: str) -> list[str]:
    if row.kind.schema.get("type") == "integer" and key in settings.NUMBERS:
        return [str(settings.number(unpacked, key))]
    return [str(unpacked[key])] if key in unpacked else []


def form_of(view: Mapping[str, Any]) -> Form:
    """Return a view as the form that a request with it would be."""
    return {name: _texts(value) for name, value in view.items()}


def _texts(value: object) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] or [""] if isinstance(value, list) else [str(value)]


def _verified(
    kind: ParamsKind, source: ParamsSource, shown: View
) -> tuple[dict[str, FieldChange], set[str]]:
    """Remove the parameters that would be refused or change something.

    Returns:
        The others as they would be read, by their names, and the names of those.
    """
    gone: set[str] = set()
    while True:
        bad: set[str]
        try:
            parsed = _read(kind, source, shown)
            bad = _changing(kind, source, parsed)
        except Refusal as refusal:
            alone = {name: _changes_alone(kind, source, name, shown[name]) for name in shown}
            # Of two that no request could say together the one that would change something.
            bad = {name for name, changes in alone.items() if changes}
            bad = bad or {*refusal.parameters} & shown.keys()
            # It names one that is missing, which another one needs.
            bad = bad or {name for name, changes in alone.items() if changes is None}
            if not bad:
                raise
        else:
            if not bad:
                return {change.field.name: change for change in parsed.changes}, gone
        for name in bad:
            del shown[name]
        gone |= bad


def _changes_alone(kind: ParamsKind, source: ParamsSource, name: str, value: object) -> bool | None:
    """Return whether one by itself would change something; None: it would be refused."""
    try:
        parsed = _read(kind, source, {name: value})
    except Refusal:
        return None
    return bool(_written(kind, source, parsed))


def _written(kind: ParamsKind, source: ParamsSource, parsed: Parsed) -> set[str]:
    """Return what a request would write, but for services: a view completes no missing ones."""
    return {*kind.effect(source, parsed)} - {"enabledService"}


def _read(kind: ParamsKind, source: ParamsSource, shown: View) -> Parsed:
    parsed = parse(kind.table, form_of(shown), is_view=True)
    refuse_leftovers(parsed)
    if not parsed.odd:
        return parsed
    # They came from the entry, or what belongs to it, where an update finds them.
    stored = {
        folded(value): value
        for change in parsed.odd
        if isinstance(storage := change.field.stored_as, StoredAttribute)
        for value in source.entry.texts(storage.name)
    }
    return settled(parsed, lambda _, value: stored.get(value, value))


def _changing(kind: ParamsKind, source: ParamsSource, parsed: Parsed) -> set[str]:
    """Return parameters that would change something: by themselves, or with others."""
    written = _written(kind, source, parsed)
    if not written:
        return set()
    alone = {
        change.field.name
        for change in parsed.changes
        if _written(kind, source, replace(parsed, changes=(change,)))
    }
    names = {
        change.field.name: {change.field.name, getattr(change.field.stored_as, "name", "")}
        for change in parsed.changes
    }
    together = {name for name, stored in names.items() if stored & written}
    return alone or together or {*names}
