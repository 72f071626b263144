"""Whether a write that got no response was carried out, found out by reading the entry."""

import time

from iredldap.dit.entry import Entry
from iredldap.dit.plan import Add, Delete, Mod, Modify, Op, Operation, Rename, describe
from iredldap.errors import ServerDown
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import Unanswered

_SETTLING = 1.0
"""Seconds for which an unanswered write may still turn out to be done."""


def happened(directory: Directory, operation: Operation) -> bool:
    """Read back whether a write that got no answer took place.

    The directory may still be about to carry it out, or be on its way back from a restart:
    that is what the wait is for.

    Raises:
        Unanswered: If the directory does not answer that either.
    """
    deadline = time.monotonic() + _SETTLING
    while True:
        failure: ServerDown | None = None
        try:
            if _is_visible(operation, directory.read(operation.dn)):
                return True
        except ServerDown as ex:
            failure = ex
        if time.monotonic() > deadline:
            break
        time.sleep(_SETTLING / 20)
    if failure:
        words = f"{describe(operation)}: sent, and nobody knows whether done"
        raise Unanswered(words) from failure
    return False


def _is_visible(operation: Operation, entry: Entry | None) -> bool:
    """Whether an entry, None for none, is as the operation leaves it."""
    match operation:
        case Delete() | Rename():
            return entry is None
        case Add(attributes=attributes):
            return entry is not None and all(
                set(values) <= set(entry.values(name)) for name, values in attributes.items()
            )
        case Modify(mods=()):
            # A guard leaves nothing but a state, and that may be somebody else's.
            return False
        case Modify(mods=mods):
            return entry is not None and all(
                set(entry.values(name)) == _changed(entry, name, mods)
                for name in {mod.attribute for mod in mods}
            )


def _changed(entry: Entry, attribute: str, mods: tuple[Mod, ...]) -> set[bytes]:
    """Values of an attribute if the modifications were made now (again)."""
    values = set(entry.values(attribute))
    for mod in mods:
        if mod.attribute == attribute:
            match mod.op:
                case Op.REPLACE:
                    values = set(mod.values)
                case Op.ADD:
                    values |= set(mod.values)
                case Op.DELETE:
                    # Most attributes are compared without regard to case.
                    gone = {value.lower() for value in mod.values}
                    values = {v for v in values if v.lower() not in gone} if gone else set()
    return values
