"""What one LDAP write touches, for the change log: its values removed and added."""

from collections.abc import Iterable

from iredldap.dit import mail_names, names
from iredldap.dit.change_log import (
    EntryEvent,
    Touched,
    TouchedEntry,
    TouchedRows,
    Value,
    ValueChanges,
)
from iredldap.dit.entry import Attributes
from iredldap.dit.plan import Add, Delete, Mod, Modify, Op, Operation, Rename

_IDENTITY = ("entryUUID", "entryCSN")
_UUID, _CSN = _IDENTITY
_DOMAINS = (("o", "domains"),)
"""The component of a DN below which the domains are."""


def read_before(operation: Operation) -> tuple[str, ...]:
    """Return the attributes of an entry that must be read with a write; none: it is added.

    A modification that adds or deletes values names them itself: that the directory has accepted it
    says that they were absent or there. What it replaces or removes as a whole must be read.
    """
    match operation:
        case Add():
            return ()
        case Delete():
            return ("*", *_IDENTITY)
        case Rename():
            return _IDENTITY
        case Modify(mods=mods):
            return (*_IDENTITY, *dict.fromkeys(mod.attribute for mod in mods if _is_blind(mod)))


def read_after(operation: Operation) -> tuple[str, ...]:
    """Return the attributes that must be read after a write: those of its new state."""
    match operation:
        case Add():
            return _IDENTITY
        case Delete():
            return ()
        case _:
            return (_CSN,)


def _is_blind(mod: Mod) -> bool:
    """Return whether a modification does not say which values it removes."""
    return mod.op is Op.REPLACE or (mod.op is Op.DELETE and not mod.values)


def touched_by(
    operation: Operation, before: Attributes | None, after: Attributes | None = None
) -> TouchedEntry:
    """Return what a write has touched, or would touch.

    Args:
        operation: The write.
        before: What `read_before` lists, as it was; None: not read.
        after: What `read_after` lists; None: not read.
    """
    known, left = before or {}, after or {}
    event: EntryEvent
    new_dn, changed = "", dict[str, ValueChanges]()
    match operation:
        case Add(attributes=attributes):
            event = "add"
            changed = {n: ValueChanges((), tuple(v)) for n, v in attributes.items() if v}
        case Delete():
            event = "delete"
            # Whole, so that an undo can add the entry again. Servers give entryUUID and entryCSN
            # anew.
            changed = {n: ValueChanges(tuple(v)) for n, v in known.items() if n not in _IDENTITY}
        case Rename():
            event, new_dn = "rename", operation.new_dn
        case Modify(mods=mods):
            event, changed = "modify", _values_changed(mods, before)
    uuid = _first(known, _UUID) or _first(left, _UUID)
    states = _first(known, _CSN), _first(left, _CSN)
    return TouchedEntry(event, operation.dn, new_dn, uuid, *states, changed)


def _values_changed(mods: Iterable[Mod], before: Attributes | None) -> dict[str, ValueChanges]:
    """Return the effect of modifications in a row on each attribute; those without are left out."""
    stored = {name.lower(): tuple(v) for name, v in before.items()} if before is not None else None
    changed: dict[str, ValueChanges] = {}
    for mod in mods:
        then = changed.get(mod.attribute, ValueChanges())
        changed[mod.attribute] = _and_then(then, mod, stored)
    return {name: values for name, values in changed.items() if values != ValueChanges()}


def _and_then(
    then: ValueChanges, mod: Mod, stored: dict[str, tuple[bytes, ...]] | None
) -> ValueChanges:
    """Return the effect of earlier modifications of an attribute and of one more."""
    if _is_blind(mod):
        there = None if stored is None else stored.get(mod.attribute.lower(), ())
        # By bytes: a value that comes back in another spelling is a change that an undo reverts.
        stay = {*mod.values} & {*(there or ())}
        removed: tuple[Value, ...] | None = (
            None if there is None else tuple(value for value in there if value not in stay)
        )
        return ValueChanges(removed, tuple(value for value in mod.values if value not in stay))
    removed, added = then.removed, then.added
    if mod.op is Op.ADD:
        # Removed and added again by the same request: nothing has happened.
        back = {*(removed or ())} & {*mod.values}
        kept = None if removed is None else tuple(v for v in removed if v not in back)
        return ValueChanges(kept, (*added, *(v for v in mod.values if v not in back)))
    gone = tuple(value for value in mod.values if value not in added)
    left = tuple(value for value in added if value not in mod.values)
    return ValueChanges(None if removed is None else (*removed, *gone), left)


def _first(attributes: Attributes, name: str) -> str:
    return next((value.decode() for value in attributes.get(name, ())), "")


def targets(touched: Touched) -> frozenset[str]:
    """Return the domains and the addresses of the accounts that were touched, in lower case.

    A renamed account has both addresses. An entry below an account counts as the account's; of a
    standalone admin there is the address alone.
    """
    if isinstance(touched, TouchedRows):
        about = touched.about.lower()
        domain = mail_names.domain_of(about) if "@" in about else about
        return frozenset(filter(None, (about, domain)))
    dns = filter(None, (touched.dn, touched.new_dn))
    return frozenset(target for dn in dns for target in _targets_in(dn))


def _targets_in(dn: str) -> Iterable[str]:
    # Parsed once: of a single change this is a good part of what its recording takes.
    parts = names.components(dn)
    if _DOMAINS in parts[1:]:
        above = dict(parts[parts.index(_DOMAINS, 1) - 1])
        if domain := above.get("domainname"):
            yield domain
    for part in parts:
        for attribute, value in part:
            if attribute == "mail":
                yield value
                return
