"""The row of a parameter, and the functions that read rows.

A parameter is declared once, as a `Field`: its name, where it is stored, its kind, its meaning.
`parse` turns a form into changes, `modlist` changes into modifications, `show` an entry into an
answer, `properties` rows into a JSON schema. Nothing else interprets a parameter.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from iredldap.dit import clashes, settings
from iredldap.dit.entry import Entry, encoded, folded
from iredldap.dit.kinds import BLANKS, Kind
from iredldap.dit.plan import Mod, Op
from iredldap.errors import (
    InvalidParameter,
    Malformed,
    MissingParameter,
    ParameterConflict,
    Refusal,
    raise_all,
)

Form = Mapping[str, Sequence[str]]
"""Parameters as sent: each name with its values, in order."""


class Verb(Enum):
    """What a change does with its values."""

    SET = "set"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class StoredAttribute:
    """Storage in an attribute of the entry. `many` attributes change value by value.

    `service` names a word of `enabledService` that stands while the attribute has a value, and
    longer if `service_stays`.
    """

    name: str
    many: bool = False
    zero_is_absent: bool = False
    service: str | None = None
    service_stays: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """Storage in one key of `accountSetting`; `many`: one value of the attribute for each word."""

    key: str
    many: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """Storage in a column of an SQL table, of which a gateway knows the rest."""

    table: str
    name: str


@dataclass(frozen=True, slots=True)
class Profile:
    """Storage in a parameter of a subscribable list's profile, which mlmmjadmin keeps."""

    name: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Storage that an operation looks after; `where` says it for the reader."""

    where: str


Storage = StoredAttribute | Setting | Column | Profile | Elsewhere


def _missing() -> Refusal:
    return MissingParameter("not sent")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One parameter.

    `empty` says what an empty value does; without it, empty counts as not sent, and the name is
    among the ignored ones, unless a value was sent that excludes it. `older_kind` reads the older
    names where they mean something else. `needs` names a service without which the values have no
    effect. `who` and `profile` limit normal admins: to `global_admin` only, or to domains whose
    profile of that name is not taken from them. A required field may be left out when one that
    excludes it was sent. `alone` lists the values that need no companion from `required_with`.
    `verb` says what the values do to those that are stored. `by_self`: an admin may send it for
    their own account, whoever manages the domain. `spared`: a directory whose schema has no place
    for it ignores it.
    """

    name: str
    stored_as: Storage
    kind: Kind
    meaning: str
    aliases: tuple[str, ...] = ()
    required: bool = False
    missing: Callable[[], Refusal] = _missing
    conflicts_with: tuple[str, ...] = ()
    required_with: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    empty: str | None = None
    default: str | None = None
    who: str | None = None
    profile: str | None = None
    era: str = "seed"
    verb: Verb = Verb.SET
    by_self: bool = False
    spared: bool = False
    older_kind: Kind | None = None
    needs: str | None = None

    @property
    def service(self) -> str | None:
        """Service without which the values have no effect."""
        return getattr(self.stored_as, "service", None) or self.needs

    @property
    def switches_services(self) -> bool:
        """Whether the values are words of `enabledService`, or take all of them away."""
        storage = self.stored_as
        return "enabledService" in (getattr(storage, "name", ""), getattr(storage, "where", ""))

    def but(self, **differences: Any) -> "Field":
        """The same parameter where another request treats it differently."""
        return replace(self, **differences)


Table = tuple[Field, ...]


def each(field: Field, suffix: str, added: str, removed: str) -> Table:
    """Give a list's row with the two that add and remove single values, each excluding the first.

    Args:
        field: The row that sets the whole list.
        suffix: Of the two names: ``Alias`` for ``addAlias`` and ``removeAlias``.
        added: Meaning of the one.
        removed: Meaning of the other.
    """
    add, remove = f"add{suffix}", f"remove{suffix}"
    single = field.but(empty=None, aliases=(), conflicts_with=(field.name,))
    return (
        field.but(conflicts_with=(*field.conflicts_with, add, remove)),
        single.but(name=add, meaning=added, verb=Verb.ADD),
        single.but(name=remove, meaning=removed, verb=Verb.REMOVE),
    )


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One parameter as sent. SET with no values clears.

    `texts` are the values before they were read, and `name` is the one that they were sent by,
    where an answer may have them under the same name.
    """

    field: Field
    values: tuple[str, ...]
    verb: Verb = Verb.SET
    name: str = ""
    texts: tuple[str, ...] = ()

    def stands_in(self, entry: Entry) -> bool:
        """Whether the very values of an attribute were sent back, however many and odd they are."""
        return bool(self.texts) and sorted(self.texts) == sorted(entry.texts(self.name))


@dataclass(frozen=True, slots=True)
class Parsed:
    """A form, read: changes, names that no row knows, values that were dropped.

    Names that were sent without a value, where none means nothing, are among the unknown ones.
    `odd` are further values of parameters that no new entry may have: they are no part of the
    changes before `settled` has found them in the entry.
    """

    changes: tuple[FieldChange, ...] = ()
    unknown: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    odd: tuple[FieldChange, ...] = ()

    def value(self, name: str) -> str | None:
        """The single value of a parameter, or None where it was not sent."""
        for change in self.changes:
            if change.field.name == name and change.values:
                return change.values[0]
        return None


def parse(table: Table, form: Form) -> Parsed:
    """Read a form by a table.

    Raises:
        Refusal: One for each parameter that is malformed, missing or in conflict; several are
            raised together.
    """
    refusals: list[Refusal] = []
    changes, odd = list[FieldChange](), list[FieldChange]()
    dropped, empty = list[str](), list[str]()
    blank = _left_blank(table, form)
    for field in table:
        try:
            name, sent = ("", None) if field.name in blank else _sent(field, form)
            if sent is None:
                empty += [name] if name and not field.required else []
                continue
            kind = field.older_kind if field.older_kind and name != field.name else field.kind
            reading = kind.read(sent) if sent or kind.present else None
            values = reading.values if reading else ()
            dropped += reading.dropped if reading else ()
            texts = tuple(form[name]) if _may_be_answered(field, name) else ()
            change = FieldChange(field, values, field.verb, name if texts else "", texts)
            if values or not reading:
                changes.append(change)
            if reading and reading.odd:
                odd.append(replace(change, values=reading.odd))
        except Malformed as refusal:
            refusal.parameter = refusal.parameter or field.name
            refusals.append(refusal)
    refusals += _lacking(table, [*changes, *odd], refusals)
    raise_all(refusals)
    known = known_names(table)
    unknown = (*(n for n in form if n not in known), *empty)
    return Parsed(tuple(changes), unknown, tuple(dropped), tuple(odd))


def known_names(table: Table) -> frozenset[str]:
    """Give all names of the parameters of a table, older ones among them."""
    return frozenset(name for field in table for name in (field.name, *field.aliases))


def older_names(table: Table, form: Form) -> dict[str, str]:
    """Give the older names by which parameters were sent, by the names of their rows."""
    sent = ((field.name, _sent(field, form)[0]) for field in table)
    return {row: name for row, name in sent if name and name != row}


def _may_be_answered(field: Field, name: str) -> bool:
    """Whether an answer may have what a parameter sets, under this name: that of an attribute."""
    stored_as = {getattr(field.stored_as, "name", ""), *field.aliases}
    return name in stored_as and not field.kind.secret


def settled(parsed: Parsed, stands: Callable[[FieldChange, str], str | None]) -> Parsed:
    """Decide about odd values: those that stand already become part of the changes.

    Args:
        parsed: The request.
        stands: Gives a value of a change as it stands, or None.

    Raises:
        InvalidMail, InvalidParameter: If nothing is left of a parameter.
    """
    changes = {change.field.name: change for change in parsed.changes}
    dropped = list(parsed.dropped)
    refusals: list[Refusal] = []
    for change in parsed.odd:
        name = change.field.name
        try:
            found = {value: stands(change, value) for value in change.values}
        except Malformed as refusal:
            refusal.parameter = refusal.parameter or name
            refusals.append(refusal)
            continue
        kept = tuple(value for value in found.values() if value is not None)
        dropped += (value for value, standing in found.items() if standing is None)
        before = changes[name].values if name in changes else ()
        if before or kept:
            changes[name] = replace(change, values=(*before, *kept))
        else:
            words = f"nothing valid in {', '.join(change.values)[:80]!r}"
            refusals.append(change.field.kind.refusal(words, parameter=name))
    raise_all(refusals)
    return Parsed(tuple(changes.values()), parsed.unknown, tuple(dropped))


def _sent(field: Field, form: Form) -> tuple[str, str | None]:
    """The name that a parameter was sent by, the new one before older ones, and its text.

    None: it counts as not sent. A list of nothing but separators is empty.
    """
    sent = ""
    for name in (field.name, *field.aliases):
        if name in form:
            values = form[name]
            separator = field.kind.separator
            text = separator.join(values) if field.kind.many else values[-1]
            filled = text.replace(separator, " ") if field.kind.many else text
            if filled.strip(BLANKS if field.kind.secret else None) or field.kind.present:
                return name, text
            if field.empty is not None:
                return name, ""
            sent = sent or name
    return sent, None


def _left_blank(table: Table, form: Form) -> set[str]:
    """Parameters that were left blank beside one that excludes them, as in a form with all fields.

    What is said wins over what is left empty, unless the empty value has a meaning of its own. A
    parameter that acts by being there is never blank.
    """
    filled = {field.name for field in table if _is_filled(field, form)}
    return {
        field.name
        for field in table
        if field.empty is None and field.name not in filled
        if filled.intersection(field.conflicts_with)
    }


def _is_filled(field: Field, form: Form) -> bool:
    if field.kind.present and not field.kind.secret:
        return any(name in form for name in (field.name, *field.aliases))
    _, text = _sent(field, form)
    return bool((text or "").strip(BLANKS if field.kind.secret else None))


def _lacking(
    table: Table, changes: Sequence[FieldChange], refusals: Sequence[Refusal]
) -> Iterable[Refusal]:
    sent = {change.field.name for change in changes}
    yield from _switched_off(changes)
    refused = {name for refusal in refusals for name in refusal.parameters}
    for field in table:
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
            if companion not in sent | refused and not set(change.values) & set(change.field.alone):
                yield MissingParameter(
                    f"{change.field.name} needs {companion}", parameter=companion
                )


def _switched_off(changes: Sequence[FieldChange]) -> Iterable[Refusal]:
    """Refuse values together with the end of the service that they need.

    A whole set of services ends those that are not in it.
    """
    switches = [change for change in changes if change.field.switches_services]
    additions = (change for change in switches if change.verb is Verb.ADD)
    added = {word for change in additions for word in _folded_words(change)}
    needing = [
        (change.field.name, change.field.service)
        for change in changes
        if change.field.service and change.verb is not Verb.REMOVE and change.values
    ]
    for switch in switches:
        words = _folded_words(switch)
        for name, service in needing:
            ends = {
                Verb.ADD: False,
                Verb.REMOVE: service in words,
                Verb.SET: service not in words | added,
            }
            if ends[switch.verb]:
                yield ParameterConflict(f"{name} needs {service}", parameter=switch.field.name)


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


def modlist(changes: Iterable[FieldChange], entry: Entry) -> tuple[Mod, ...]:
    """Say what must change in an entry: only differences, lists value by value.

    What was sent as an answer has it changes nothing. Of one list what is set counts first, then
    what is removed, then what is added; the services that other values need come last.
    """
    singles: list[Mod] = []
    lists: dict[str, list[str]] = {}
    new = (change for change in changes if not change.stands_in(entry))
    ordered = sorted(new, key=lambda change: _ORDER.index(change.verb))
    for change in ordered:
        match change.field.stored_as:
            case Setting() as setting:
                held = lists.get(settings.ATTRIBUTE, entry.texts(settings.ATTRIBUTE))
                lists[settings.ATTRIBUTE] = _with_setting(held, setting, change)
            case StoredAttribute(many=True, name=name):
                held = lists.get(name, entry.texts(name))
                lists[name] = _folded(name, held, change.verb, change.values)
            case StoredAttribute() as attribute:
                singles += _replaced(attribute, change, entry)
    for change in ordered:
        for name, verb, word in _services(change):
            held = lists.get(name, entry.texts(name))
            lists[name] = _folded(name, held, verb, (word,))
    return (
        *singles,
        *(mod for name, new in lists.items() for mod in _difference(name, new, entry)),
    )


_ORDER = (Verb.SET, Verb.REMOVE, Verb.ADD)


def _replaced(attribute: StoredAttribute, change: FieldChange, entry: Entry) -> list[Mod]:
    new = [v for v in change.values if not (attribute.zero_is_absent and v == "0")]
    same = new == entry.texts(attribute.name)
    return [] if same else [Mod(Op.REPLACE, attribute.name, encoded(new))]


def _services(change: FieldChange) -> Iterable[tuple[str, Verb, str]]:
    storage = change.field.stored_as
    if isinstance(storage, StoredAttribute) and storage.service and change.verb is not Verb.REMOVE:
        if change.values:
            yield "enabledService", Verb.ADD, storage.service
        elif not storage.service_stays:
            yield "enabledService", Verb.REMOVE, storage.service


def _folded(name: str, held: Sequence[str], verb: Verb, values: Iterable[str]) -> list[str]:
    """Apply one change to a list whose values are compared by the rule of their attribute."""
    sent = {clashes.form(name, value): value for value in reversed([*values])}
    match verb:
        case Verb.ADD:
            present = {clashes.form(name, value) for value in held}
            missing = {k: v for k, v in reversed(sent.items()) if k not in present}
            return [*held, *missing.values()]
        case Verb.REMOVE:
            return [value for value in held if clashes.form(name, value) not in sent]
        case Verb.SET:
            # Another letter case is none of the sender's business; another spelling is meant.
            spelled = {folded(value) for value in sent.values()}
            kept = [value for value in held if folded(value) in spelled]
            return _folded(name, kept, Verb.ADD, values)


def _with_setting(held: Sequence[str], setting: Setting, change: FieldChange) -> list[str]:
    """Apply one change to the packed settings; keys are compared with regard to case."""
    sent = [p for value in change.values if (p := settings.packed(setting.key, value))]
    own = settings.of_key(held, setting.key)
    if setting.many:
        sent = _folded(settings.ATTRIBUTE, own, change.verb, sent)
    # The directory takes no two values that its rule makes equal, whoever wrote the other.
    folded = {clashes.form(settings.ATTRIBUTE, value) for value in sent}
    others = [
        value
        for value in held
        if value not in own and clashes.form(settings.ATTRIBUTE, value) not in folded
    ]
    return [*others, *sent]


def _difference(attribute: str, new: Sequence[str], entry: Entry) -> tuple[Mod, ...]:
    old = entry.texts(attribute)
    wanted, held = set(new), set(old)
    gone = tuple(value for value in old if value not in wanted)
    added = tuple(value for value in new if value not in held)
    return (
        *((Mod(Op.DELETE, attribute, encoded(gone)),) if gone else ()),
        *((Mod(Op.ADD, attribute, encoded(added)),) if added else ()),
    )


def service_mods(wanted: Mapping[str, bool], entry: Entry) -> tuple[Mod, ...]:
    """Switch words of `enabledService` on and off, where they are not yet."""
    words = entry.texts("enabledService")
    for word, enabled in wanted.items():
        words = _folded("enabledService", words, Verb.ADD if enabled else Verb.REMOVE, (word,))
    return _difference("enabledService", words, entry)


def stored(changes: Iterable[FieldChange]) -> dict[str, tuple[str, ...]]:
    """Give the attributes that changes mean for an entry yet to be made."""
    attributes: dict[str, tuple[str, ...]] = {}
    for mod in modlist(changes, Entry("", {})):
        if mod.values:
            texts = tuple(value.decode() for value in mod.values)
            attributes[mod.attribute] = attributes.get(mod.attribute, ()) + texts
    return attributes


_NEVER_SHOWN = frozenset({"entrycsn"})


def show(entry: Entry, hidden: Iterable[str] = ()) -> dict[str, Any]:
    """Give an entry as an answer: lists of text, settings unpacked, secrets withheld.

    An attribute with a value that is no text is left out; so are those in `hidden`, whatever
    options follow their name.
    """
    withheld = _NEVER_SHOWN | {name.lower() for name in hidden}
    shown: dict[str, Any] = {}
    for name, values in entry.attributes.items():
        if name.partition(";")[0].lower() in withheld:
            continue
        try:
            shown[name] = [value.decode("utf-8") for value in values]
        except UnicodeDecodeError:
            continue
    if settings.ATTRIBUTE in shown:
        shown[settings.ATTRIBUTE] = settings.read(shown[settings.ATTRIBUTE])
    return shown


def properties(table: Table) -> dict[str, Any]:
    """Give the rows as the properties of a JSON schema; older names are marked deprecated."""
    described: dict[str, Any] = {}
    for field in table:
        schema = {**field.kind.schema, "description": " ".join(_sentences(field))}
        if field.default is not None:
            is_number = schema.get("type") == "integer"
            schema["default"] = int(field.default) if is_number else field.default
        if field.empty is not None and "enum" not in schema:
            schema = {"anyOf": [{"const": ""}, schema], "description": schema.pop("description")}
        described[field.name] = schema
        for alias in field.aliases:
            described[alias] = {
                **schema,
                "deprecated": True,
                "description": f"Older name of {field.name}.",
            }
    return described


def _sentences(field: Field) -> Iterable[str]:
    yield field.meaning
    if field.empty is not None:
        yield f"Empty: {field.empty}."
    if field.conflicts_with:
        yield f"Excludes {', '.join(field.conflicts_with)}."
    if field.required_with:
        yield f"Goes with {', '.join(field.required_with)}."
    if field.who == "global_admin":
        yield "Global admins only."
    if field.service and field.verb is not Verb.REMOVE:
        yield f"Needs the service {field.service}: nothing beside it may switch that off."
    if field.profile:
        yield f"Normal admins: unless the profile {field.profile} is disabled."
    if field.by_self:
        yield "Any admin: for their own account."
