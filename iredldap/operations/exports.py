"""Reading the few entries of a small export, by the searches that the exporter makes as well."""

from iredldap.dit import names
from iredldap.dit.entry import Entry
from iredldap.dit.plan import Query
from iredldap.errors import NoSuchAccount
from iredldap.gateways.directory import Directory
from iredldap.operations import lookup
from ldif_export.selection import Kind, Selection, searches


def entries(directory: Directory, kind: Kind, name: str) -> list[Entry]:
    """Read the entries of one account, with all that they store.

    Raises:
        NoSuchAccount: If what was named is not there; in another domain than that of its address
            it is another's.
        AmbiguousAccount: If two have the address.
    """
    found: list[Entry] = []
    for search in searches(Selection(kind, name, subtree=False), directory.tree):
        # Wherever the domain is: another tool may have given it a name of two attributes.
        base = search.base if kind == "admin" else directory.tree.base
        here = directory.find(Query(base, search.scope, search.filter, ("*",)))
        if search.required:
            if kind != "admin":
                here = [e for e in here if names.domain_in(e.dn) == names.domain_of(name)]
            if lookup.only(here, name) is None:
                raise NoSuchAccount(f"no {kind} {name}")
        found += here
    return found
