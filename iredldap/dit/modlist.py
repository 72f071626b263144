"""Compute the modifications that changes of parameters mean for an entry."""

from collections.abc import Iterable, Mapping, Sequence

from iredldap.dit import clashes, settings
from iredldap.dit.entry import Entry, encoded, folded
from iredldap.dit.fields import FieldChange, Setting, StoredAttribute, Verb
from iredldap.dit.kinds import Kind
from iredldap.dit.plan import Mod, Op
from iredldap.errors import Malformed


def modlist(changes: Iterable[FieldChange], entry: Entry) -> tuple[Mod, ...]:
    """Return the modifications of an entry: only differences, lists value by value.

    What was sent as an answer has it changes nothing. Of one list what is set counts first, then
    what is removed, then what is added; the services that other values need are last.
    """
    singles: list[Mod] = []
    lists: dict[str, list[str]] = {}
    new = (change for change in changes if not change.is_unchanged_in(entry))
    # Whatever the order in the form: a value that is both removed and added stays.
    ordered = sorted(new, key=lambda change: _ORDER.index(change.verb))
    # Lists are collected over all parameters and compared with the entry once, at the end: slapd
    # refuses a modification that adds a value twice, or deletes one that the same request adds.
    for change in ordered:
        match change.field.stored_as:
            case Setting() as setting:
                # Several parameters are packed into this attribute; each starts from what the one
                # before has left.
                held = lists.get(settings.ATTRIBUTE, entry.texts(settings.ATTRIBUTE))
                lists[settings.ATTRIBUTE] = _with_setting(held, setting, change)
            case StoredAttribute(many=True, name=name):
                held = lists.get(name, entry.texts(name))
                lists[name] = _folded(name, held, change.verb, change.values)
            case StoredAttribute() as attribute:
                singles += _replaced(attribute, change, entry)
    for change in ordered:
        # After all lists: a request may set the services themselves, and those that other values
        # need must be among them.
        for name, verb, word in _services(change, entry):
            held = lists.get(name, entry.texts(name))
            lists[name] = _folded(name, held, verb, (word,))
    return (
        *singles,
        *(mod for name, new in lists.items() for mod in _difference(name, new, entry)),
    )


_ORDER = (Verb.SET, Verb.REMOVE, Verb.ADD)


def _replaced(attribute: StoredAttribute, change: FieldChange, entry: Entry) -> list[Mod]:
    held = entry.texts(attribute.name)
    if attribute.zero_is_absent:
        # 0 is no limit, as is an absent attribute, and iRedMail's own tools omit it then; others
        # store -1 for the same.
        new, held = ([v for v in values if v not in _NO_LIMIT] for values in (change.values, held))
    else:
        new = [*change.values]
    # No modification: the entry would get a new state, and clients another ETag.
    same = new == held or (len(held) == 1 and _read(change.field.kind, held[0]) == new)
    return [] if same else [Mod(Op.REPLACE, attribute.name, encoded(new))]


_NO_LIMIT = {"0", "-1"}


def _read(kind: Kind, stored: str) -> list[str] | None:
    """Return what a stored value would be as a parameter: other tools spell it in other ways."""
    try:
        return [*kind.read(kind.from_stored(stored)).values]
    except Malformed:
        return None


def _services(change: FieldChange, entry: Entry) -> Iterable[tuple[str, Verb, str]]:
    storage = change.field.stored_as
    if isinstance(storage, StoredAttribute) and storage.service and change.verb is not Verb.REMOVE:
        if change.values:
            yield "enabledService", Verb.ADD, storage.service
        # Some services mean more than the attribute: to clear one must not switch the other off.
        # Where there is nothing to clear, the service was switched on without it.
        elif not storage.service_stays and entry.values(storage.name):
            yield "enabledService", Verb.REMOVE, storage.service


def _folded(name: str, held: Sequence[str], verb: Verb, values: Iterable[str]) -> list[str]:
    """Apply one change to a list whose values are compared by the rule of their attribute."""
    if verb is Verb.SET and {*(values := [*values])} == {*held}:
        # Sent back as they are; normal forms of thirty services cost as much as the rest of a view.
        return [*held]
    # Reversed twice: of two spellings of one value the first one is kept, in the order of sending.
    sent = {clashes.normalized_value(name, value): value for value in reversed([*values])}
    match verb:
        case Verb.ADD:
            # By the rule of the attribute: slapd refuses to add a value that is there in another
            # spelling (attributeOrValueExists).
            present = {clashes.normalized_value(name, value) for value in held}
            missing = {k: v for k, v in reversed(sent.items()) if k not in present}
            return [*held, *missing.values()]
        case Verb.REMOVE:
            return [value for value in held if clashes.normalized_value(name, value) not in sent]
        case Verb.SET:
            # A value sent in another letter case leaves the stored one; other spellings replace it.
            spelled = {folded(value) for value in sent.values()}
            # Those that stay keep their place and spelling, and only differences are written.
            kept = [value for value in held if folded(value) in spelled]
            return _folded(name, kept, Verb.ADD, values)


def _with_setting(held: Sequence[str], setting: Setting, change: FieldChange) -> list[str]:
    """Apply one change to the packed settings; keys are compared with regard to case."""
    # 0 and nothing are not stored: iRedMail's programs take an absent setting for both.
    sent = [p for value in change.values if (p := settings.packed(setting.key, value))]
    own = settings.of_key(held, setting.key)
    if setting.many:
        sent = _folded(settings.ATTRIBUTE, own, change.verb, sent)
    elif settings.effect(own, setting.key) == settings.effect(sent, setting.key):
        # In another unit or spelling, or as a 0 that we would not store: it stays.
        return [*held]
    # The directory takes no two values that its rule makes equal, also if another tool wrote one.
    folded = {clashes.normalized_value(settings.ATTRIBUTE, value) for value in sent}
    others = [
        value
        for value in held
        if value not in own and clashes.normalized_value(settings.ATTRIBUTE, value) not in folded
    ]
    return [*others, *sent]


def _difference(attribute: str, new: Sequence[str], entry: Entry) -> tuple[Mod, ...]:
    old = entry.texts(attribute)
    wanted, held = set(new), set(old)
    # Value by value, not REPLACE: values that another client adds meanwhile are kept.
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


def new_attributes(changes: Iterable[FieldChange]) -> dict[str, tuple[str, ...]]:
    """Return the attributes that changes mean for an entry yet to be made."""
    attributes: dict[str, tuple[str, ...]] = {}
    for mod in modlist(changes, Entry("", {})):
        if mod.values:
            texts = tuple(value.decode() for value in mod.values)
            attributes[mod.attribute] = attributes.get(mod.attribute, ()) + texts
    return attributes
