"""Resolve selections to searches: what these depend on is looked up in the directory first."""

from collections.abc import Iterable
from contextlib import closing

from iredldap.directory_errors import AmbiguousAccount
from iredldap.dit import mail_names, names
from iredldap.errors import NoSuchAccount
from ldif_export.readers.base import Reader
from ldif_export.selection import Search, Selection, account_search, domain_search, searches


def resolve_searches(
    reader: Reader, selections: Iterable[Selection], tree: names.Tree
) -> tuple[Search, ...]:
    """Return the searches of some selections, as `selection.searches` gives them for each.

    A domain costs one search of an indexed attribute, for one entry; so do the further addresses of
    a mailing list.

    Args:
        reader: Where the domains are looked up.
        selections: What to export.
        tree: The tree that holds the accounts.

    Raises:
        NoSuchAccount: If a domain does not exist that is named, or that an account is in.
        AmbiguousAccount: If two entries have its name.
        ServerDown, DirectoryUnable: As `Reader`.
    """
    found: list[Search] = []
    for selection in selections:
        search = domain_search(selection, tree)
        home = _home(reader, search, mail_names.domain_of(selection.name)) if search else ""
        found += searches(selection, tree, home, _further(reader, selection, tree, home))
    return tuple(found)


def _further(reader: Reader, selection: Selection, tree: names.Tree, home: str) -> set[str]:
    """Return the values of the attributes that a selection needs of its account, in lower case."""
    if not selection.needs:
        return set()
    with closing(reader.records(account_search(selection, tree, home))) as records:
        return {
            value.decode("utf-8", "replace").strip().lower()
            for record in records
            for name in selection.needs
            for value in record.watched.get(name.lower(), ())
        }


def _home(reader: Reader, search: Search, name: str) -> str:
    with closing(reader.records(search)) as records:
        dns = [record.dn for record in records]
    if not dns:
        raise NoSuchAccount(f"no domain {name}")
    if len(dns) > 1:
        raise AmbiguousAccount.of(name, dns)
    return dns[0]
