"""Read entries from the directory with python-ldap, holding one at a time.

A plain streamed search: the directory sends as fast as the reader takes. Paging would be slower
and save no memory.

Source: RFC 4511; `ldap.result3` of python-ldap.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from itertools import groupby
from operator import attrgetter, itemgetter

import ldap
from ldap.ldapobject import SimpleLDAPObject

from iredldap.config.ldap import LdapSettings
from iredldap.directory_errors import ExceededLdapServerSizelimit
from iredldap.dit import names, parts
from iredldap.dit.depth import Scope
from iredldap.dit.parts import SubSearch
from iredldap.errors import InternalError, NoSuchAccount
from iredldap.gateways.ldap import servers
from iredldap.gateways.ldap.errors import translated
from iredldap.gateways.ldap.requests import MANAGE
from iredldap.ldif.writer import Formatter, base_name
from ldif_export.readers.base import USER_ATTRIBUTES, Batch, LdifRecord, Projection, referral_error
from ldif_export.readers.domain_lookup import resolve_searches
from ldif_export.readers.parents_first import WrittenEntries
from ldif_export.selection import Search, Selection

RawEntry = tuple[str, dict[str, list[bytes]]]


def entries(
    connection: SimpleLDAPObject,
    tree: names.Tree,
    selection: Selection,
    *,
    timeout: float | None = None,
) -> Generator[RawEntry, None, None]:
    """Read the entries of a selection: DN and attributes, parents before their children.

    Closing the iterator abandons the search and leaves the connection usable.

    Args:
        connection: Bound, and not used elsewhere meanwhile.
        tree: The tree that holds the accounts.
        selection: What to read.
        timeout: Seconds to wait for each entry; None: the connection's own.

    Raises:
        NoSuchAccount: If the selected account does not exist.
        AmbiguousAccount: If two entries have the name or the address.
        ServerDown: If the directory does not answer, or no longer.
        Refusal: If the result is incomplete, as for a `Reader`.
    """
    reader = LibldapReader(connection, Projection(selection), timeout)
    searches = resolve_searches(reader, (selection,), tree)
    for _, of_one_base in groupby(searches, attrgetter("base")):
        with closing(_arranged(connection, of_one_base, timeout)) as found:
            for dn, attributes in found:
                yield dn, selection.thinned(attributes)


class RecordEncoder:
    """Make LDIF records of entries as python-ldap returns them.

    Args:
        wanted: Which attributes of each entry.
    """

    def __init__(self, wanted: Projection) -> None:
        self._wanted = wanted
        self._watched = wanted.watched_names
        self._formatter = Formatter()

    def record(self, dn: str, attributes: dict[str, list[bytes]]) -> LdifRecord:
        """Make a record, with the values of watched attributes.

        Raises:
            InternalError: If an attribute has a name that LDIF cannot express.
        """
        watched: dict[str, list[bytes]] = {}
        for name, values in attributes.items():
            if (base := base_name(name)) in self._watched:
                watched.setdefault(base, []).extend(values)
        return LdifRecord(dn, self.text(dn, attributes), watched)

    def text(self, dn: str, attributes: dict[str, list[bytes]]) -> bytes:
        """Make the text of a record.

        Raises:
            InternalError: As `record`.
        """
        # What is watched and not exported has been requested all the same.
        kept = {name: values for name, values in attributes.items() if self._wanted.keeps(name)}
        try:
            return self._formatter.record(dn, kept)
        except ValueError as ex:
            raise InternalError(f"{dn}: {ex}") from ex


class LibldapReader:
    """A `Reader` on python-ldap: the reference for what the wire reader returns.

    Args:
        connection: Bound, and not used elsewhere meanwhile.
        wanted: Which attributes of each entry.
        timeout: Seconds to wait for each entry; None: the connection's own.
    """

    def __init__(
        self, connection: SimpleLDAPObject, wanted: Projection, timeout: float | None = None
    ) -> None:
        self._connection = connection
        self._wanted = wanted
        self._timeout = timeout
        self._encoder = RecordEncoder(wanted)

    def batches(self, search: Search) -> Generator[Batch, None, None]:
        """Read the results of a search, one entry at a time."""
        with closing(self._found(search)) as found:
            for dn, attributes in found:
                yield Batch((self._encoder.text(dn, attributes),), (dn.encode(),))

    def records(self, search: Search) -> Generator[LdifRecord, None, None]:
        """Read the results of a search, entry by entry."""
        with closing(self._found(search)) as found:
            for dn, attributes in found:
                yield self._encoder.record(dn, attributes)

    def close(self) -> None:
        """Unbind and close the connection."""
        with suppress(ldap.LDAPError):
            self._connection.unbind_ext()

    def _found(self, search: Search) -> Generator[RawEntry, None, None]:
        return _streamed(self._connection, search, self._timeout, self._wanted.attributes)


def connect(settings: LdapSettings) -> SimpleLDAPObject:
    """Open a connection as `servers.connect` does; without a bind DN by SASL EXTERNAL.

    Raises:
        ServerDown, InternalError: As `servers.connect`.
    """
    if settings.bind_dn:
        return servers.connect(settings)
    (uri, *_) = settings.uri
    with translated():
        connection = ldap.initialize(uri)
        connection.timeout = settings.operation_timeout
        connection.sasl_external_bind_s()
    return connection


def count(connection: SimpleLDAPObject, search: Search) -> int:
    """Count the results of a search.

    Raises:
        NoSuchAccount, ServerDown, InternalError: As for a `Reader`.
    """
    with closing(_streamed(connection, search, None, ("1.1",))) as found:
        return sum(1 for _ in found)


def _arranged(
    connection: SimpleLDAPObject, searches: Iterable[Search], timeout: float | None
) -> Generator[RawEntry, None, None]:
    # Entries whose parent has not been written yet wait until the others of the same base are.
    late, whole = [], True
    with closing(WrittenEntries()) as written:
        for search in searches:
            none, whole = True, search.whole
            with closing(_streamed(connection, search, timeout)) as arriving:
                for entry in _begun(arriving, search, written):
                    none = False
                    if written.accept(entry[0].encode(), container=search.ordered):
                        yield entry
                    else:
                        late.append(entry)
            if none and search.required:
                raise NoSuchAccount(search.base)
        for entry in _parents_first(late):
            if written.accept(entry[0].encode()):
                yield entry
            elif whole:
                written.add(entry[0].encode())
                yield entry


def _begun(
    arriving: Iterable[RawEntry], search: Search, written: WrittenEntries
) -> Iterator[RawEntry]:
    if search.ordered:
        arriving = _parents_first(arriving)
        written.add_roots([dn for dn, _ in arriving])
    elif search.names_one:
        arriving = search.the_one(arriving, itemgetter(0))
    for entry in arriving:
        if search.scope is not Scope.SUBTREE or search.is_one_account:
            written.add_roots(entry[:1])
        yield entry


def _parents_first(found: Iterable[RawEntry]) -> list[RawEntry]:
    return sorted(found, key=lambda entry: names.depth(entry[0]))


def _streamed(
    connection: SimpleLDAPObject,
    search: Search,
    timeout: float | None,
    attributes: tuple[str, ...] = USER_ATTRIBUTES,
) -> Generator[RawEntry, None, None]:
    """Read the results of a search; what the server does not return at once is read in parts."""
    # Hashes of the DNs are enough to skip, in the parts, what has been yielded already.
    seen = parts.hashes()
    try:
        with closing(_at_once(connection, search, timeout, attributes)) as found:
            for dn, values in found:
                seen.append(hash(dn))
                yield dn, values
    except ExceededLdapServerSizelimit:
        pass
    else:
        return
    # Parts are ranges of entryUUID, which is dropped again unless it was requested.
    wanted = (*attributes, parts.UUID_NAME)
    is_shown = "+" in wanted or parts.UUID_NAME in attributes

    def within(part: SubSearch) -> Generator[parts.FoundEntry[RawEntry], None, None]:
        narrowed = replace(search, base=part.base, scope=part.scope, filter=part.filter)
        with closing(_at_once(connection, narrowed, timeout, wanted)) as found:
            for dn, values in found:
                uuid = (
                    values.get(parts.UUID_NAME) if is_shown else values.pop(parts.UUID_NAME, None)
                )
                yield parts.FoundEntry(
                    dn, hash(dn), uuid[0].decode() if uuid else None, (dn, values)
                )

    yield from parts.rest(SubSearch(search.base, search.scope, search.filter), seen, within)


def _at_once(
    connection: SimpleLDAPObject,
    search: Search,
    timeout: float | None,
    attributes: tuple[str, ...],
) -> Generator[RawEntry, None, None]:
    with translated():
        number = connection.search_ext(
            search.base,
            int(search.scope),
            search.filter,
            list(attributes),
            sizelimit=parts.MOST_ENTRIES,
            serverctrls=[MANAGE],
        )
    answering = True
    try:
        while True:
            try:
                with translated():
                    kind, data, _, _ = connection.result3(number, 0, timeout)
            except ExceededLdapServerSizelimit:
                answering = False
                raise
            except NoSuchAccount:
                answering = False
                if search.may_be_missing:
                    return
                raise
            if kind == ldap.RES_SEARCH_RESULT:
                answering = False
                return
            if kind == ldap.RES_SEARCH_REFERENCE:
                raise referral_error(search)
            yield from data
    finally:
        # The caller has left early: the server must not send the rest.
        if answering:
            with suppress(ldap.LDAPError):
                connection.abandon_ext(number)
