"""Whether a write that got no response was carried out, found out by reading the entry."""

import time

from iredldap.dit.entry import Entry
from iredldap.dit.plan import Add, Delete, Mod, Modify, Op, Operation, Rename, describe
from iredldap.errors import ServerDown
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import BeginAgain, Unanswered

_SETTLING = 1.0
"""Seconds for which a write without a response may still be carried out."""


def settled() -> float:
    """Return the moment of `time.monotonic` by which slapd has carried out what it was sent."""
    return time.monotonic() + _SETTLING


def happened(directory: Directory, operation: Operation, until: float | None = None) -> bool:
    """Read the entry to find out whether a write that got no response was carried out.

    Repeated for a second: slapd may still be carrying it out, or be restarting. Of many writes that
    were sent together all are given the same second, by `until`.

    Raises:
        Unanswered: If the directory does not respond to that either.
    """
    deadline = settled() if until is None else until
    while True:
        failure: ServerDown | None = None
        try:
            if _is_visible(operation, directory.read(operation.dn)):
                return True
        except ServerDown as ex:
            failure = ex
        # Another server is the writer: nothing more is read in this change.
        if isinstance(failure, BeginAgain) or time.monotonic() > deadline:
            break
        # Often enough that a change which has arrived costs its client little more than the lost
        # answer.
        time.sleep(_SETTLING / 20)
    if failure:
        words = f"{describe(operation)}: sent, and not known whether carried out"
        raise Unanswered(words) from failure
    return False


def _is_visible(operation: Operation, entry: Entry | None) -> bool:
    """Return whether an entry, None for none, is as the operation leaves it."""
    match operation:
        case Delete() | Rename():
            return entry is None
        case Add(attributes=attributes):
            return entry is not None and all(
                set(values) <= set(entry.values(name)) for name, values in attributes.items()
            )
        case Modify(mods=()):
            # An empty change leaves only a new state, which another client may have caused.
            return False
        case Modify(mods=mods):
            return entry is not None and all(
                set(entry.values(name)) == _changed(entry, name, mods)
                for name in {mod.attribute for mod in mods}
            )


def _changed(entry: Entry, attribute: str, mods: tuple[Mod, ...]) -> set[bytes]:
    """Return the values of an attribute as the modifications, applied (again), would leave them."""
    values = set(entry.values(attribute))
    for mod in mods:
        if mod.attribute == attribute:
            match mod.op:
                case Op.REPLACE:
                    values = set(mod.values)
                case Op.ADD:
                    values |= set(mod.values)
                case Op.DELETE:
                    # Most attributes are compared case-insensitively.
                    gone = {value.lower() for value in mod.values}
                    values = {v for v in values if v.lower() not in gone} if gone else set()
    return values
