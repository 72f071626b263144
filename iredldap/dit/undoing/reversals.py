"""The modifications that revert the change of an entry, value by value.

A value that others have changed since stays as it is, and is named.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from iredldap.dit import admin, alias, clashes, domain, maillist, settings, subscribable, user
from iredldap.dit.change_log import REDACTED, is_secret
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Setting, StoredAttribute
from iredldap.dit.left_alone import LeftAlone
from iredldap.dit.plan import Mod, Op
from iredldap.dit.schema import Schema
from iredldap.dit.undoing.net_changes import AttributeChange, EntryChange, Values

CHANGED = "it has been changed since"
UNKNOWN = "the log does not say what it was before"
SEALED = "it is a secret that was not kept, or whose key is gone"

WhyNot = Callable[[str, bytes], str]
"""Returns why a value must not come back to an attribute, in lower case; empty: it may."""

_ROWS = (
    *user.CREATE, *user.UPDATE, *domain.CREATE, *domain.UPDATE, *maillist.UPDATE, *alias.UPDATE,
    *admin.UPDATE, *subscribable.UPDATE,
)  # fmt: skip
_SINGLE = frozenset(
    row.stored_as.name.lower()
    for row in _ROWS
    if isinstance(row.stored_as, StoredAttribute) and not row.stored_as.many
)
_LISTS_OF_SETTINGS = settings.LISTS | {
    row.stored_as.key for row in _ROWS if isinstance(row.stored_as, Setting) and row.stored_as.many
}


@dataclass(frozen=True, slots=True)
class _Unit:
    """Values that are changed together: those of an attribute, or of one of the packed settings."""

    removed: Values
    added: Values
    held: Values
    is_single: bool


def reverse(
    change: EntryChange, entry: Entry, schema: Schema, why_not: WhyNot
) -> tuple[tuple[Mod, ...], tuple[LeftAlone, ...]]:
    """Return the modifications of an entry that revert a change, and what they leave alone.

    Args:
        change: What was done.
        entry: The entry as it is.
        schema: How the directory compares values.
        why_not: Judges each value that would come back.
    """
    held = {name.lower(): values for name, values in entry.attributes.items()}
    mods: list[Mod] = []
    left: list[LeftAlone] = []
    for name, attribute in change.attributes.items():
        if attribute.is_none:
            continue
        # Left alone as a whole: to put back a part of the values would be a state that never was.
        if attribute.is_unknown or attribute.is_sealed:
            why = SEALED if attribute.is_sealed else UNKNOWN
            left.append(LeftAlone(entry.dn, attribute.name, why))
            continue
        present = {
            clashes.normalized_value(attribute.name, value, schema.equality_of): value
            for value in held.get(name, ())
        }
        gone, back = Values(), Values()
        for unit in _units(attribute, present, schema):
            if _is_taken_over(unit):
                values = unit.removed or unit.added
                left.append(_left(entry, attribute, CHANGED, values))
                continue
            gone |= {common: present[common] for common in unit.added if common in present}
            back |= {
                common: value
                for common, value in unit.removed.items()
                if common not in present or common in gone
            }
        # Judged last, as a value that stays anyway needs no judgement.
        for common, value in [*back.items()]:
            if why := why_not(name, value):
                left.append(_left(entry, attribute, why, {common: value}))
                del back[common]
        mods += _mods(attribute.name, present, gone, back)
    return tuple(mods), tuple(left)


def _units(attribute: AttributeChange, held: Values, schema: Schema) -> Iterator[_Unit]:
    if attribute.name.lower() != settings.ATTRIBUTE.lower():
        yield _Unit(attribute.removed, attribute.added, held, is_single(attribute.name, schema))
        return
    parts = [_by_setting(values) for values in (attribute.removed, attribute.added, held)]
    removed, added, present = parts
    for key in dict.fromkeys((*removed, *added)):
        # Most settings have one value, which a change replaces; the words of a list come and go one
        # by one.
        single = key not in _LISTS_OF_SETTINGS
        yield _Unit(removed.get(key, {}), added.get(key, {}), present.get(key, {}), single)


def _by_setting(values: Mapping[bytes, bytes]) -> dict[str, Values]:
    found: dict[str, Values] = {}
    for common, value in values.items():
        key = value.decode("utf-8", "replace").partition(":")[0]
        found.setdefault(key, {})[common] = value
    return found


def is_single(attribute: str, schema: Schema) -> bool:
    """Return whether an attribute has one value at most, by the schema or as the API uses it."""
    known = schema.attribute(attribute)
    return attribute.lower() in _SINGLE or bool(known and known.is_single)


def _is_taken_over(unit: _Unit) -> bool:
    """Return whether others have replaced what was put in the place of the old values."""
    if not unit.removed or unit.removed.keys() <= unit.held.keys():
        return False
    # Some of the new values are still there: others have added to them, which stays.
    if unit.added:
        return not unit.added.keys() & unit.held.keys()
    return unit.is_single and bool(unit.held)


def _mods(name: str, held: Values, gone: Values, back: Values) -> Iterator[Mod]:
    same = {common for common in gone if back.get(common) == gone[common]}
    gone = {common: value for common, value in gone.items() if common not in same}
    back = {common: value for common, value in back.items() if common not in same}
    if gone and back and len(gone) == len(held):
        # Also where the attribute has no rule by which single values are found.
        yield Mod(Op.REPLACE, name, tuple(back.values()))
        return
    if gone:
        yield Mod(Op.DELETE, name, tuple(gone.values()))
    if back:
        yield Mod(Op.ADD, name, tuple(back.values()))


def _left(entry: Entry, attribute: AttributeChange, why: str, values: Values) -> LeftAlone:
    """Return values that are left alone; secrets are not shown."""
    is_hidden = is_secret(attribute.name)
    shown = (REDACTED if is_hidden else v.decode("utf-8", "replace") for v in values.values())
    return LeftAlone(entry.dn, attribute.name, why, tuple(shown))


def is_unchanged(change: EntryChange, entry: Entry, schema: Schema) -> bool:
    """Return whether an entry that was added is still as it was added.

    Its state says so, or else its values; a secret that was not kept is not compared.
    """
    # Quick and certain. Where the write got no response the state is not known, and the values
    # decide.
    if change.state and entry.csn == change.state:
        return True
    held = {name.lower(): values for name, values in entry.attributes.items()}
    held.pop("entrycsn", None)
    secret = {name for name, attribute in change.attributes.items() if attribute.is_sealed}
    wanted = {
        name: {*attribute.added}
        for name, attribute in change.attributes.items()
        if name not in secret and attribute.added
    }
    return wanted == {
        name: {clashes.normalized_value(name, value, schema.equality_of) for value in values}
        for name, values in held.items()
        if name not in secret and name != "entryuuid"
    }
