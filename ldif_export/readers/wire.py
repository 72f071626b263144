"""Read entries from a socket without libldap: the fast way to export many.

Source: RFC 4511, section 4.5.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace

from iredldap.directory_errors import ExceededLdapServerSizelimit
from iredldap.dit import parts
from iredldap.dit.parts import FoundEntry, SubSearch
from iredldap.errors import NoSuchAccount
from ldif_export.protocol import filters, messages, result_codes
from ldif_export.protocol.ber import MalformedReply
from ldif_export.protocol.connection import LdapConnection
from ldif_export.protocol.messages import LdapMessage
from ldif_export.readers.attribute_cache import AttributeCache, EntryBuffer
from ldif_export.readers.base import Batch, LdifRecord, Projection, referral_error
from ldif_export.selection import Search

_BATCH_SIZE = 128 * 1024
"""Bytes to receive before entries are passed on, however few come with one read."""

_SMALL_READ = 32 * 1024
_PAUSE = 0.002
"""Seconds to sleep when a slow directory sends little at a time: waking up for each entry costs
both sides more than the entry does. What arrives meanwhile fits into the socket's buffer."""
_DECAY = 0.9
"""Weight of the past in the moving average: the last ten or so reads decide."""


class WireReader:
    """A `Reader` on a connection of its own. Closing a search early closes the connection too.

    Args:
        connection: Bound.
        wanted: Which attributes of each entry.
    """

    def __init__(self, connection: LdapConnection, wanted: Projection) -> None:
        self._connection = connection
        self._wanted = wanted
        self._attributes = wanted.attributes
        self._blocks = AttributeCache(wanted.keeps, wanted.watched_names)

    def batches(self, search: Search) -> Generator[Batch, None, None]:
        """Read the results of a search, as many at a time as one read returns."""
        seen = parts.hashes()
        try:
            with closing(self.stream(search, EntryBuffer)) as found:
                for entries in found:
                    # Hashes, not names: of a million entries they take eight bytes each, for the
                    # case that the server stops at its limit.
                    seen.extend(map(hash, entries.dns))
                    yield Batch(entries.parts, entries.dns)
        except ExceededLdapServerSizelimit:
            pass
        else:
            return
        for record in self._rest(search, seen):
            yield Batch((record.text,), (record.dn.encode(),))

    def records(self, search: Search) -> Generator[LdifRecord, None, None]:
        """Read the results of a search, entry by entry."""
        seen = parts.hashes()
        try:
            with closing(self.stream(search, lambda: EntryBuffer(seen=[]))) as found:
                for entries in found:
                    seen.extend(map(hash, entries.dns))
                    yield from _records(entries)
        except ExceededLdapServerSizelimit:
            pass
        else:
            return
        # Outside of the handler: an error of the second search is not one of the first.
        yield from self._rest(search, seen)

    def close(self) -> None:
        """Unbind and close the connection."""
        self._connection.close()

    def _rest(self, search: Search, seen: Iterable[int]) -> Generator[LdifRecord, None, None]:
        """Read in parts what the server does not return at once."""
        watched = self._wanted.watched | {parts.UUID_NAME}
        wanted = self._wanted._replace(watched=watched)
        # Another one with a cache of its own, because it also watches the entryUUID.
        reader = WireReader(self._connection, wanted)

        def within(part: SubSearch) -> Generator[FoundEntry[LdifRecord], None, None]:
            narrowed = replace(search, base=part.base, scope=part.scope, filter=part.filter)
            with closing(reader.stream(narrowed, lambda: EntryBuffer(seen=[]))) as found:
                for entries in found:
                    for dn, record in zip(entries.dns, _records(entries), strict=True):
                        uuid = record.watched.get(parts.UUID_NAME.lower())
                        yield FoundEntry(
                            record.dn, hash(dn), uuid[0].decode() if uuid else None, record
                        )

        yield from parts.rest(SubSearch(search.base, search.scope, search.filter), seen, within)

    def stream(
        self, search: Search, empty: Callable[[], EntryBuffer]
    ) -> Generator[EntryBuffer, None, None]:
        """Read what the server returns at once.

        Raises:
            ExceededLdapServerSizelimit: After the entries that came, if there are more.
        """
        wanted = filters.encode(search.filter)
        number = self._connection.send(
            lambda number: messages.search(
                number, search.base, int(search.scope), wanted, self._attributes
            )
        )
        ended: messages.LdapResult | None = None
        pace = _Pace()
        # The first entries are passed on as soon as they arrive: the client sees that it begins.
        entries, awaited = empty(), 0
        try:
            while ended is None:
                received = self._connection.fill()
                pace.arrived()
                awaited -= received
                ended = self._take(search, number, entries)
                if entries.dns and (ended or awaited <= 0):
                    yield entries
                    entries, awaited = empty(), _BATCH_SIZE
                pace.worked()
                # Sleeping pays only if the directory is what takes the time; a fast one fills the
                # buffer anyway.
                if received < _SMALL_READ and pace.is_slow and not ended:
                    time.sleep(_PAUSE)
        finally:
            if ended is None:
                # Its remaining messages are in the socket: no other search could use the
                # connection.
                self._connection.close(abandoned=number)
        # After the last entries were passed on: those before an error count as read.
        _check(search, ended)

    def _take(
        self, search: Search, number: int, entries: EntryBuffer
    ) -> messages.LdapResult | None:
        """Convert the entries that have arrived; return the result if they were the last ones."""
        connection = self._connection
        while True:
            data = connection.data
            connection.at = self._blocks.entries(data, connection.at, number, entries)
            found = connection.next()
            if found is None:
                return None
            # Responses to a search that was abandoned before are skipped.
            if found.number == number and found.operation == messages.SEARCH_DONE:
                return messages.result(data, found)
            if found.number == number:
                self._other(search, found, entries)

    def _other(self, search: Search, found: LdapMessage, entries: EntryBuffer) -> None:
        data = self._connection.data
        match found.operation:
            case messages.SEARCH_ENTRY:
                self._blocks.entry(data, messages.head(data, found), entries)
            case messages.SEARCH_REFERENCE:
                raise referral_error(search)
            case messages.INTERMEDIATE:
                # Progress of a synchronization, which no search of this reader asks for.
                pass
            case _:
                raise MalformedReply(f"a response with the tag {found.operation:#x}")


class _Pace:
    """Compare the time we wait for the directory with the time we work, of late."""

    def __init__(self) -> None:
        self._waiting = 0.0
        self._working = 0.0
        self._since = time.perf_counter()

    @property
    def is_slow(self) -> bool:
        """Whether most of the time is spent waiting for the directory."""
        return self._waiting > self._working

    def arrived(self) -> None:
        """Count the time since the last call as waiting."""
        self._waiting = _DECAY * self._waiting + self._lap()

    def worked(self) -> None:
        """Count the time since the last call as work: conversion, and what the consumer does."""
        self._working = _DECAY * self._working + self._lap()

    def _lap(self) -> float:
        before, self._since = self._since, time.perf_counter()
        return self._since - before


def _check(search: Search, result: messages.LdapResult) -> None:
    if result.code == result_codes.SUCCESS:
        return
    refusal = result_codes.refusal(result)
    # A domain without a container has nothing in it.
    if not (isinstance(refusal, NoSuchAccount) and search.may_be_missing):
        raise refusal


def _records(entries: EntryBuffer) -> Iterator[LdifRecord]:
    found = Batch(entries.parts, entries.dns).split()
    for record, watched in zip(found, entries.seen or (), strict=True):
        yield record._replace(watched=watched)
