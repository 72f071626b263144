"""Reading the few entries of a small export, by the searches that the exporter makes as well."""

from iredldap.dit.entry import Entry
from iredldap.dit.plan import Query
from iredldap.errors import NoSuchAccount
from iredldap.gateways.directory import Directory
from ldif_export.selection import Kind, Selection, searches


def entries(directory: Directory, kind: Kind, name: str) -> list[Entry]:
    """Read the entries of one account, with all that they store.

    Raises:
        NoSuchAccount: If what was named is not there.
    """
    found: list[Entry] = []
    for search in searches(Selection(kind, name, subtree=False), directory.tree):
        here = directory.find(Query(search.base, search.scope, search.filter, ("*",)))
        if search.required and not here:
            raise NoSuchAccount(search.base)
        found += here
    return found
