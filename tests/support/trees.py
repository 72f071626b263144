"""Whole trees: read one, and put it back."""

import ldap

from tests.support.world import SUFFIX, World

Tree = dict[str, dict[str, list[bytes]]]
"""Attributes by DN, with the state of each entry."""


def everything(world: World) -> Tree:
    """Every entry below the suffix, with its state."""
    connection = world.connect()
    found = connection.search_s(SUFFIX, ldap.SCOPE_SUBTREE, attrlist=["*", "entryCSN"])
    connection.unbind_s()
    return {dn: {name: sorted(values) for name, values in held.items()} for dn, held in found}


def put_back(world: World, before: Tree) -> None:
    """Make the tree what it was."""
    connection, now = world.connect(), everything(world)
    for dn in sorted(now.keys() - before.keys(), key=lambda dn: -dn.count(",")):
        connection.delete_s(dn)
    for dn in sorted(before.keys() - now.keys(), key=lambda dn: dn.count(",")):
        connection.add_s(dn, [(k, v) for k, v in before[dn].items() if k != "entryCSN"])
    for dn in before.keys() & now.keys():
        if before[dn]["entryCSN"] == now[dn]["entryCSN"]:
            continue
        names = (before[dn].keys() | now[dn].keys()) - {"entryCSN"}
        mods = [
            (ldap.MOD_REPLACE, name, before[dn].get(name))
            for name in names
            if before[dn].get(name) != now[dn].get(name)
        ]
        if mods:
            connection.modify_s(dn, mods)
    connection.unbind_s()
