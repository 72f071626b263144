"""Values that are one to the directory, in what is about to be written.

slapd takes no two values of an attribute that its rule makes equal. What is sent twice is one
value; what cannot be told before is named when slapd has refused it.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from iredldap.dit.entry import Entry
from iredldap.dit.matching import normal, standard
from iredldap.dit.plan import Add, Mod, Modify, Op, Operation


def form(attribute: str, value: str | bytes) -> bytes:
    """Return what all spellings of a value have in common, by the rule of its attribute."""
    stored = value.encode() if isinstance(value, str) else value
    return normal(standard(attribute.partition(";")[0]).rule, stored)


def merged(operation: Operation) -> Operation:
    """Return the same operation with each value once; of several spellings the first stays."""
    match operation:
        case Add(attributes=attributes):
            single = {name: _once(name, values) for name, values in attributes.items()}
            return replace(operation, attributes=single) if single != attributes else operation
        case Modify(mods=mods):
            once = tuple(replace(mod, values=_once(mod.attribute, mod.values)) for mod in mods)
            return replace(operation, mods=once) if once != mods else operation
        case _:
            return operation


def _once(attribute: str, values: tuple[bytes, ...]) -> tuple[bytes, ...]:
    if len(values) < 2:
        return values
    kept: dict[bytes, bytes] = {}
    for value in values:
        kept.setdefault(form(attribute, value), value)
    return tuple(kept.values())


def changed(entry: Entry, mods: Iterable[Mod]) -> dict[str, list[bytes]]:
    """Return the attributes that modifications leave an entry with."""
    left = {name: [*values] for name, values in entry.attributes.items()}
    for mod in mods:
        held = left.setdefault(mod.attribute, [])
        gone = {form(mod.attribute, value) for value in mod.values}
        if mod.op is Op.REPLACE or not mod.values:
            held.clear()
        if mod.op is Op.DELETE:
            held[:] = [value for value in held if form(mod.attribute, value) not in gone]
        else:
            held += mod.values
    return {name: values for name, values in left.items() if values}


class Clash(NamedTuple):
    """Two values of an attribute that are one to the directory."""

    attribute: str
    value: bytes
    other: bytes


def clash(operation: Operation, entry: Entry, rule_of: Callable[[str], str]) -> Clash | None:
    """Find a value that an operation adds although one that is equal by rule is there.

    Args:
        operation: What was refused.
        entry: As it is.
        rule_of: Gives the equality rule of an attribute, as the server's schema has it.
    """
    there: dict[str, dict[bytes, bytes]] = {}
    for mod in operation.mods if isinstance(operation, Modify) else ():
        rule = rule_of(mod.attribute)
        if mod.attribute not in there:
            there[mod.attribute] = _by_form(rule, entry.values(mod.attribute))
        held = there[mod.attribute]
        if mod.op is Op.REPLACE or not mod.values:
            held.clear()
        for value in mod.values:
            common = normal(rule, value)
            if mod.op is Op.DELETE:
                held.pop(common, None)
            elif common in held:
                return Clash(mod.attribute, value, held[common])
            else:
                held[common] = value
    return None


def _by_form(rule: str, values: Iterable[bytes]) -> dict[bytes, bytes]:
    return {normal(rule, value): value for value in values}
