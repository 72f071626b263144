"""Read entries from the directory, one alive at a time.

A plain streamed search: the directory sends as fast as the reader takes. Paging would be slower,
and would save no memory.

Source: RFC 4511; `ldap.result3` of python-ldap.
"""

from collections.abc import Generator, Iterable
from contextlib import closing, suppress

import ldap
from ldap.ldapobject import SimpleLDAPObject

from iredldap.dit import names
from iredldap.dit.plan import Scope
from iredldap.errors import InternalError, NoSuchAccount
from iredldap.gateways.directory import translated
from ldif_export.selection import Search, Selection, searches

Found = tuple[str, dict[str, list[bytes]]]


def entries(
    connection: SimpleLDAPObject,
    tree: names.Tree,
    selection: Selection,
    *,
    timeout: float | None = None,
) -> Generator[Found, None, None]:
    """Read what a selection asks for: DN and attributes, parents before their children.

    Closing the iterator abandons the search and leaves the connection usable.

    Args:
        connection: Bound, and used by nobody else meanwhile.
        tree: Where the accounts lie.
        selection: What to read.
        timeout: Seconds to wait for each entry; None: the connection's own.

    Raises:
        NoSuchAccount: If what was named is not there.
        ServerDown: If the directory does not answer, or no longer.
        InternalError: If the result is not whole: a limit was hit, or a part of it lies on
            another server. An export that silently misses a branch is worse than none.
    """
    for search in searches(selection, tree):
        none = True
        with closing(_streamed(connection, search, timeout)) as arriving:
            for dn, attributes in _parents_first(arriving) if search.ordered else arriving:
                none = False
                yield dn, selection.thinned(attributes)
        if none and search.required:
            raise NoSuchAccount(search.base)


def _parents_first(found: Iterable[Found]) -> list[Found]:
    return sorted(found, key=lambda entry: names.depth(entry[0]))


def _streamed(
    connection: SimpleLDAPObject, search: Search, timeout: float | None
) -> Generator[Found, None, None]:
    with translated():
        number = connection.search_ext(search.base, int(search.scope), search.filter)
    answering = True
    try:
        while True:
            try:
                with translated():
                    kind, data, _, _ = connection.result3(number, 0, timeout)
            except NoSuchAccount:
                answering = False
                # A domain that goes while it is read must not look like an empty one.
                if search.required or search.scope != Scope.BASE:
                    raise
                return
            if kind == ldap.RES_SEARCH_RESULT:
                answering = False
                return
            if kind == ldap.RES_SEARCH_REFERENCE:
                raise InternalError(f"a part of {search.base} lies on another server")
            yield from data
    finally:
        if answering:
            with suppress(ldap.LDAPError):
                connection.abandon_ext(number)
