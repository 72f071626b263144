"""Read the few entries of a small export with the searches of the exporter."""

from dataclasses import replace

from iredldap import finders
from iredldap.dit import filters, mail_names, names
from iredldap.dit.entry import Entry
from iredldap.dit.plan import Query
from iredldap.gateways.directory import Directory
from ldif_export.selection import Search, Selection, SelectionKind, domain_search, searches


def entries(
    directory: Directory, kind: SelectionKind, name: str, *, anywhere: bool = False
) -> list[Entry]:
    """Read the entries of one account, with all attributes.

    Args:
        directory: Where.
        kind: Kind of account.
        name: Its name.
        anywhere: Whether one in another domain than that of its address is meant where there is
            none in that, as for `finders.choose_account`.

    Raises:
        NoSuchAccount: If the account does not exist.
        AmbiguousAccount: If two entries have the address, or the name of its domain.
    """
    tree = directory.tree
    selection = Selection(kind, name, subtree=False)
    mail = f"@{name}" if kind == "catchall" else name
    # Below all domains: the account's own DN says which one it is in, without a search for that.
    first, *_ = searches(selection, tree, tree.base)
    home = domain_search(selection, tree) if first.is_one_account else None
    found = _find(directory, first if home is None else _both(first, home))
    if home is not None:
        domains = [entry for entry in found if entry.has("objectClass", "mailDomain")]
        found = [entry for entry in found if entry not in domains]
        # Only what lies directly below is a domain.
        domains = [one for one in domains if names.same_dn(names.parent(one.dn), home.base)]
        finders.single(domains, mail_names.domain_of(name))
    if kind != "admin":
        own = [e for e in found if finders.is_in_own_domain(directory, e.dn, mail)]
        found = own or (found if anywhere else own)
    account = finders.require(finders.single(found, name), kind, mail)
    _, *others = searches(selection, tree, tree.base, account.lowered("shadowAddress"))
    return [account, *(entry for search in others for entry in _find(directory, search))]


def _find(directory: Directory, search: Search) -> list[Entry]:
    return directory.find(Query(search.base, search.scope, search.filter, ("*",)))


def _both(account: Search, home: Search) -> Search:
    """Return one search for an account and its domain: a second search would cost as much again."""
    return replace(account, filter=filters.either(account.filter, home.filter))
