"""Values that name an entry, in what is about to be written.

The first component of a DN consists of values of the entry. While they name it, they cannot go
from it: slapd refuses that (RFC 4511, section 4.6), and names neither value nor cause.
"""

from collections.abc import Iterable, Iterator

from iredldap.dit import names
from iredldap.dit.matching import EqualityOf, normalized
from iredldap.dit.plan import Mod, Modify, Op


def lost(change: Modify, equality_of: EqualityOf) -> list[str]:
    """Name the attributes of which a modification takes the value that names the entry.

    Args:
        change: What is about to be done.
        equality_of: Returns how values are compared; see `Schema.equality_of`.
    """
    first, *_ = names.parsed_dn(change.dn) or ((),)
    found = (_lost(attribute, value, change.mods, equality_of) for attribute, value in first)
    return [name for name in found if name]


def _lost(attribute: str, value: str, mods: Iterable[Mod], equality_of: EqualityOf) -> str:
    """Return the name by which a modification takes a value of a DN away; empty: it does not."""
    equality = equality_of(attribute)
    # An attribute with options is another one, which does not name the entry.
    of_it = [
        mod
        for mod in mods
        if ";" not in mod.attribute and equality_of(mod.attribute).name == equality.name
    ]
    if not of_it:
        return ""

    def forms(mod: Mod) -> Iterator[bytes]:
        return (normalized(equality.rule, each, equality_of) for each in mod.values)

    named = normalized(equality.rule, value.encode("utf-8", "surrogateescape"), equality_of)
    taken_by = ""
    for mod in of_it:
        comes = mod.op is not Op.DELETE and named in forms(mod)
        goes = mod.op is Op.REPLACE or (
            mod.op is Op.DELETE and (not mod.values or named in forms(mod))
        )
        # In the order of the modifications: what is removed and added again in another spelling
        # stays, as slapd judges the entry at the end.
        if comes:
            taken_by = ""
        elif goes:
            taken_by = mod.attribute
    return taken_by
