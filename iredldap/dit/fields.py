"""The row of a parameter.

A parameter is declared once, as a `Field`: its name, where it is stored, its kind, its meaning.
`form_parser` turns a form into changes, `modlist` changes into modifications, `show` an entry into
an answer, `field_schemas` rows into a JSON schema. Nothing else interprets a parameter.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Any

from iredldap.dit import settings
from iredldap.dit.entry import Entry
from iredldap.dit.kinds import Kind
from iredldap.errors import MissingParameter, Refusal

Form = Mapping[str, Sequence[str]]
"""Parameters as sent: each name with its values, in order."""


class Verb(Enum):
    """How a change applies its values."""

    SET = "set"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class StoredAttribute:
    """Storage in an attribute of the entry. `many` attributes change value by value.

    `service` names a word of `enabledService` that is on while the attribute has a value, and
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
    """Storage that an operation looks after; `where` describes it in the docs."""

    where: str


Storage = StoredAttribute | Setting | Column | Profile | Elsewhere


def _missing() -> Refusal:
    return MissingParameter("not sent")


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """One parameter.

    Each row is equal to itself alone, so that tables are found in caches at once.

    `empty` is the effect of an empty value; without it, empty counts as not sent, and the name is
    among the ignored ones, unless a value was sent that excludes it. `older_kind` reads the older
    names where they mean something else. `needs` names a service without which the values have no
    effect. `who` and `profile` limit normal admins: to `global_admin` only, or to domains whose
    profile of that name is not taken from them. A required field may be left out when one that
    excludes it was sent. `alone` lists the values that need no companion from `required_with`.
    `verb` is how the values change those that are stored. `by_self`: an admin may send it for
    their own account, in any domain. `spared`: a directory whose schema has no place
    for it ignores it. `area` is the area of token scopes that it belongs to, where that is another
    one than its endpoint's.
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
    area: str | None = None

    @property
    def token_area(self) -> str | None:
        """Return the area of token scopes that it belongs to; None: that of its endpoint."""
        return self.area or ("passwords" if self.kind.secret else None)

    @property
    def service(self) -> str | None:
        """Return the service without which the values have no effect."""
        return getattr(self.stored_as, "service", None) or self.needs

    @property
    def switches_services(self) -> bool:
        """Return whether the values are words of `enabledService`, or take all of them away."""
        storage = self.stored_as
        return "enabledService" in (getattr(storage, "name", ""), getattr(storage, "where", ""))

    def but(self, **differences: Any) -> "Field":
        """Return the same parameter where another request treats it differently."""
        return replace(self, **differences)


Table = tuple[Field, ...]


def list_rows(field: Field, suffix: str, added: str, removed: str) -> Table:
    """Return a list's row with the two that add and remove single values, each excluding the first.

    Args:
        field: The row that sets the whole list.
        suffix: Of the two names: ``Alias`` for ``addAlias`` and ``removeAlias``.
        added: Meaning of the one.
        removed: Meaning of the other.
    """
    add, remove = f"add{suffix}", f"remove{suffix}"
    # To add or remove nothing is no request, where to set nothing empties the list.
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

    def is_unchanged_in(self, entry: Entry) -> bool:
        """Return whether the stored values were sent back unchanged, odd ones among them."""
        return bool(self.texts) and sorted(self.texts) == sorted(entry.texts(self.name))


@dataclass(frozen=True, slots=True)
class Parsed:
    """A form, read: changes, names that no row knows, values that were dropped.

    Names that were sent without a value, where none means nothing, are among the unknown ones.
    `odd` are further values of parameters that no new entry may have: they are no part of the
    changes before `settled` has found them in the entry. `is_view`: a view was sent back, so what
    the entry has already is no change, and contradicts nothing.
    """

    changes: tuple[FieldChange, ...] = ()
    unknown: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    odd: tuple[FieldChange, ...] = ()
    is_view: bool = False

    def value(self, name: str) -> str | None:
        """Return the single value of a parameter, or None where it was not sent."""
        for change in self.changes:
            if change.field.name == name and change.values:
                return change.values[0]
        return None


_MOST_TABLES = 512
"""Tables in memory; there are fewer."""


@lru_cache(_MOST_TABLES)
def known_names(table: Table) -> frozenset[str]:
    """Return all names of the parameters of a table, older ones among them."""
    return frozenset(name for field in table for name in (field.name, *field.aliases))


def rows_concerned(table: Table, form: Form) -> Table:
    """Return the rows whose names are in a form, and required ones, in the order of the table."""
    names, required = _positions(table)
    found = required.union(*(names[name] for name in form if name in names))
    return tuple(table[position] for position in sorted(found))


@lru_cache(_MOST_TABLES)
def _positions(table: Table) -> tuple[Mapping[str, Sequence[int]], frozenset[int]]:
    """Return the positions of rows by the names that they have, and those of required rows."""
    names: dict[str, list[int]] = {}
    for position, field in enumerate(table):
        for name in (field.name, *field.aliases):
            names.setdefault(name, []).append(position)
    required = frozenset(position for position, field in enumerate(table) if field.required)
    return names, required


_NEVER_SHOWN = frozenset({"entrycsn"})


def show(entry: Entry, hidden: Iterable[str] = ()) -> dict[str, Any]:
    """Return an entry as an answer: lists of text, settings unpacked, secrets withheld.

    An attribute with a value that is no text is left out; so are those in `hidden`, whatever
    options follow their name.
    """
    withheld = _NEVER_SHOWN | {name.lower() for name in hidden}
    shown: dict[str, Any] = {}
    for name, values in entry.attributes.items():
        # A hidden attribute is hidden with any option, such as a language tag.
        if name.partition(";")[0].lower() in withheld:
            continue
        try:
            # All values or none: a client that sends a list back must not lose the others by it.
            shown[name] = [value.decode("utf-8") for value in values]
        except UnicodeDecodeError:
            continue
    if settings.ATTRIBUTE in shown:
        shown[settings.ATTRIBUTE] = settings.read(shown[settings.ATTRIBUTE])
    return shown
