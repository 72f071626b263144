"""Read the few entries of a small export with the searches of the exporter."""

from iredldap import finders
from iredldap.dit.entry import Entry
from iredldap.dit.plan import Query
from iredldap.gateways.directory import Directory
from ldif_export.selection import Selection, SelectionKind, searches


def entries(directory: Directory, kind: SelectionKind, name: str) -> list[Entry]:
    """Read the entries of one account, with all attributes.

    Raises:
        NoSuchAccount: If the account does not exist; one in another domain than that of its address
            is another's.
        AmbiguousAccount: If two entries have the address.
    """
    tree = directory.tree
    found: list[Entry] = []
    mail = f"@{name}" if kind == "catchall" else name
    # Below all domains: the account's own DN says which one it is in, without a search for that.
    for search in searches(Selection(kind, name, subtree=False), tree, tree.base):
        here = directory.find(Query(search.base, search.scope, search.filter, ("*",)))
        if search.required:
            if kind != "admin":
                here = [e for e in here if finders.is_in_own_domain(directory, e.dn, mail)]
            finders.require(finders.single(here, name), kind, mail)
        found += here
    return found
