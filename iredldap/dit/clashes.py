"""Find values that the directory compares as equal, in what is about to be written.

slapd takes no two values of an attribute that its rule makes equal. What is sent twice is one
value; what cannot be known before is named when slapd has refused it.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from iredldap.dit.entry import Entry
from iredldap.dit.matching import EqualityOf, normalized, standard_equality
from iredldap.dit.plan import Add, Mod, Modify, Op, Operation


def normalized_value(
    attribute: str, value: str | bytes, equality_of: EqualityOf = standard_equality
) -> bytes:
    """Return what all spellings of a value have in common, by the rule of its attribute.

    Args:
        attribute: Its name.
        value: The value.
        equality_of: Returns the rule: `Schema.equality_of`, where there is a server to ask.
    """
    stored = value.encode() if isinstance(value, str) else value
    return normalized(equality_of(attribute.partition(";")[0]).rule, stored, equality_of)


def without_duplicates(operation: Operation, equality_of: EqualityOf) -> Operation:
    """Return the same operation with each value once; of several spellings the first stays.

    Args:
        operation: What is about to be done.
        equality_of: Returns the server's rules: two values that it keeps apart are two.
    """
    match operation:
        case Add(attributes=attributes):
            single = {name: _once(name, values, equality_of) for name, values in attributes.items()}
            # The same object where nothing changed: most operations have no value twice.
            return replace(operation, attributes=single) if single != attributes else operation
        case Modify(mods=mods):
            once = tuple(_mod_once(mod, equality_of) for mod in mods)
            return replace(operation, mods=once) if once != mods else operation
        case _:
            return operation


def _mod_once(mod: Mod, equality_of: EqualityOf) -> Mod:
    values = _once(mod.attribute, mod.values, equality_of)
    return replace(mod, values=values) if len(values) < len(mod.values) else mod


def _once(attribute: str, values: tuple[bytes, ...], equality_of: EqualityOf) -> tuple[bytes, ...]:
    # Before the rule is looked up: sweeps send thousands of single values.
    if len(values) < 2:
        return values
    rule = equality_of(attribute.partition(";")[0]).rule
    kept: dict[bytes, bytes] = {}
    for value in values:
        # The first spelling stays, as in the directory.
        kept.setdefault(normalized(rule, value, equality_of), value)
    return tuple(kept.values())


def changed(entry: Entry, mods: Iterable[Mod], equality_of: EqualityOf) -> dict[str, list[bytes]]:
    """Return the attributes that modifications leave an entry with, as the server compares."""
    left = {name: [*values] for name, values in entry.attributes.items()}
    for mod in mods:
        held = left.setdefault(mod.attribute, [])
        gone = {normalized_value(mod.attribute, value, equality_of) for value in mod.values}
        if mod.op is Op.REPLACE or not mod.values:
            # DELETE without values removes the whole attribute, as REPLACE does before it adds.
            held.clear()
        if mod.op is Op.DELETE:
            held[:] = [
                v for v in held if normalized_value(mod.attribute, v, equality_of) not in gone
            ]
        else:
            held += mod.values
    return {name: values for name, values in left.items() if values}


# slapd names the attribute and not the values, and an admin who sees two different spellings cannot
# know which rule makes them one.
class Clash(NamedTuple):
    """Two values of an attribute that are one to the directory."""

    attribute: str
    value: bytes
    other: bytes


def clash(operation: Operation, entry: Entry, equality_of: EqualityOf) -> Clash | None:
    """Find a value that an operation adds although one that is equal by rule is there.

    Args:
        operation: What was refused.
        entry: As it is.
        equality_of: Returns the server's rules.
    """
    there: dict[str, dict[bytes, bytes]] = {}
    for mod in operation.mods if isinstance(operation, Modify) else ():
        if mod.attribute not in there:
            values = entry.values(mod.attribute)
            there[mod.attribute] = {
                normalized_value(mod.attribute, v, equality_of): v for v in values
            }
        held = there[mod.attribute]
        if mod.op is Op.REPLACE or not mod.values:
            held.clear()
        for value in mod.values:
            common = normalized_value(mod.attribute, value, equality_of)
            if mod.op is Op.DELETE:
                held.pop(common, None)
            elif common in held:
                return Clash(mod.attribute, value, held[common])
            else:
                held[common] = value
    return None
