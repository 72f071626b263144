"""Searches beyond the server's size limit: what it does not return at once is searched in parts."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace

import ldap
import structlog

from iredldap.dit import parts
from iredldap.dit.entry import Entry
from iredldap.dit.parts import FoundEntry, SubSearch
from iredldap.dit.plan import Query, Scope
from iredldap.gateways.ldap.errors import translated
from iredldap.gateways.ldap.requests import results
from iredldap.gateways.ldap.servers import DirectoryConnection

_MOST_PROBED = 10_000
"""Entries that the search for the limit reads at most: the largest limit that iRedMail has set. A
higher one is noticed when a search reaches it."""

log = structlog.get_logger("iredldap.directory")


class SizeLimit:
    """The size limit of a directory, as far as it is known, and searches in spite of it."""

    def __init__(self) -> None:
        self._is_probed = False
        self._limit: int | None = None

    @property
    def is_probed(self) -> bool:
        """Whether a limit has been looked for."""
        return self._is_probed

    @property
    def limit(self) -> int | None:
        """Entries that the directory returns at once; None: no limit has been seen."""
        return self._limit

    def probe(self, connection: DirectoryConnection, base: str) -> None:
        """Look for a limit by a search of the whole tree, up to ten thousand entries.

        Raises:
            ldap.LDAPError: If the search fails for another reason.
        """
        query = Query(base, Scope.SUBTREE, "(objectClass=*)", ("1.1",))
        number = 0
        try:
            with closing(results(connection, query)) as found:
                for _ in found:
                    number += 1
                    if number > _MOST_PROBED:
                        break
        except ldap.SIZELIMIT_EXCEEDED:
            self._limit = number
        except ldap.NO_SUCH_OBJECT:
            pass
        self._is_probed = True

    def whole(self, connection: DirectoryConnection, query: Query) -> Iterator[Entry]:
        """Search; where the limit is exceeded, search for the remaining entries in parts.

        Raises:
            ExceededLdapServerSizelimit: If a part cannot be divided further.
            ldap.LDAPError: If the first search fails.
        """
        seen = parts.hashes()
        try:
            for entry in results(connection, query):
                seen.append(hash(entry.dn))
                yield entry
        except ldap.SIZELIMIT_EXCEEDED:
            self._reached(len(seen))
        else:
            return

        def search(part: SubSearch) -> Generator[FoundEntry[Entry], None, None]:
            wanted = query_of(part, (*query.attributes, parts.UUID_NAME))
            with translated(), closing(results(connection, wanted)) as found:
                for entry in found:
                    uuid = entry.text(parts.UUID_NAME)
                    yield FoundEntry(
                        entry.dn, hash(entry.dn), uuid, _requested(entry, query.attributes)
                    )

        yield from parts.rest(sub_search_of(query), seen, search)

    def _reached(self, number: int) -> None:
        if number != self._limit:
            log.warning(
                "the directory gives few entries at once",
                sizelimit=number,
                lift="iredldap check-config --probe names the line",
            )
        self._limit = number
        self._is_probed = True


def sub_search_of(query: Query) -> SubSearch:
    """Return the part of the tree that a query searches."""
    return SubSearch(query.base, query.scope, query.filter)


def query_of(part: SubSearch, attributes: tuple[str, ...]) -> Query:
    """Return the query that searches a part of the tree."""
    return Query(part.base, part.scope, part.filter, attributes)


def _requested(entry: Entry, attributes: tuple[str, ...]) -> Entry:
    """Drop the `entryUUID`, which only the search in parts needs, unless it was requested."""
    if {parts.UUID_NAME, "+"} & set(attributes):
        return entry
    kept = {name: v for name, v in entry.attributes.items() if name != parts.UUID_NAME}
    return replace(entry, attributes=kept)
