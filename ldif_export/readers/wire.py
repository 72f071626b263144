"""Read entries from a connection without libldap: the fast way to export many.

Source: RFC 4511, section 4.5.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace

from iredldap.dit import parts
from iredldap.dit.parts import FoundEntry, SubSearch
from iredldap.errors import ExceededLdapServerSizelimit, NoSuchAccount
from ldif_export.protocol import filters, messages, result_codes
from ldif_export.protocol.ber import MalformedReply
from ldif_export.protocol.connection import LdapConnection
from ldif_export.protocol.messages import LdapMessage
from ldif_export.readers.attribute_cache import AttributeCache, EntryBuffer
from ldif_export.readers.base import Batch, LdifRecord, Projection, referral_error
from ldif_export.selection import Search

_TOGETHER = 128 * 1024
"""Bytes from the directory after which entries go out, however few come with one read."""

_LITTLE = 32 * 1024
_PAUSE = 0.002
"""Seconds for which a slow directory that sends little at a time is left alone: being asked for
each entry costs it, and us, more than the entry does. What piles up meanwhile fits into the
socket."""
_LASTING = 0.9
"""How much of what was counts at the next read: the last ten or so decide."""


class WireReader:
    """A `Reader` on a connection of its own. One that breaks a search off also hangs up.

    Args:
        connection: Bound.
        wanted: What of each entry.
    """

    def __init__(self, connection: LdapConnection, wanted: Projection) -> None:
        self._connection = connection
        self._wanted = wanted
        self._attributes = wanted.attributes
        self._blocks = AttributeCache(wanted.keeps, wanted.watched_names)

    def batches(self, search: Search) -> Generator[Batch, None, None]:
        """Read what a search finds, as much at a time as one read brings."""
        seen = parts.hashes()
        try:
            with closing(self.found(search, EntryBuffer)) as found:
                for entries in found:
                    seen.extend(map(hash, entries.dns))
                    yield Batch(entries.parts, entries.dns)
        except ExceededLdapServerSizelimit:
            pass
        else:
            return
        for record in self._rest(search, seen):
            yield Batch((record.text,), (record.dn.encode(),))

    def records(self, search: Search) -> Generator[LdifRecord, None, None]:
        """Read what a search finds, entry by entry."""
        seen = parts.hashes()
        try:
            with closing(self.found(search, lambda: EntryBuffer(seen=[]))) as found:
                for entries in found:
                    seen.extend(map(hash, entries.dns))
                    yield from _records(entries)
        except ExceededLdapServerSizelimit:
            pass
        else:
            return
        yield from self._rest(search, seen)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _rest(self, search: Search, seen: Iterable[int]) -> Generator[LdifRecord, None, None]:
        """Read in parts what the server does not give at once."""
        watched = self._wanted.watched | {parts.UUID_NAME}
        wanted = self._wanted._replace(watched=watched)
        reader = WireReader(self._connection, wanted)

        def within(part: SubSearch) -> Generator[FoundEntry[LdifRecord], None, None]:
            narrowed = replace(search, base=part.base, scope=part.scope, filter=part.filter)
            with closing(reader.found(narrowed, lambda: EntryBuffer(seen=[]))) as found:
                for entries in found:
                    for dn, record in zip(entries.dns, _records(entries), strict=True):
                        uuid = record.watched.get(parts.UUID_NAME.lower())
                        yield FoundEntry(
                            record.dn, hash(dn), uuid[0].decode() if uuid else None, record
                        )

        yield from parts.rest(SubSearch(search.base, search.scope, search.filter), seen, within)

    def found(
        self, search: Search, empty: Callable[[], EntryBuffer]
    ) -> Generator[EntryBuffer, None, None]:
        """Read what the server gives at once.

        Raises:
            ExceededLdapServerSizelimit: Behind what came, if that is not all.
        """
        wanted = filters.encode(search.filter)
        number = self._connection.send(
            lambda number: messages.search(
                number, search.base, int(search.scope), wanted, self._attributes
            )
        )
        ended: messages.LdapResult | None = None
        pace = _Pace()
        # The first ones go out as soon as they are there.
        entries, awaited = empty(), 0
        try:
            while ended is None:
                received = self._connection.fill()
                pace.arrived()
                awaited -= received
                ended = self._take(search, number, entries)
                if entries.dns and (ended or awaited <= 0):
                    yield entries
                    entries, awaited = empty(), _TOGETHER
                pace.worked()
                if received < _LITTLE and pace.is_slow and not ended:
                    time.sleep(_PAUSE)
        finally:
            if ended is None:
                self._connection.close(abandoned=number)
        # What came before the end has gone out, whatever the end is.
        _judge(search, ended)

    def _take(
        self, search: Search, number: int, entries: EntryBuffer
    ) -> messages.LdapResult | None:
        """Write the entries that have arrived; return how it ended if they were the last ones."""
        connection = self._connection
        while True:
            data = connection.data
            connection.at = self._blocks.entries(data, connection.at, number, entries)
            found = connection.next()
            if found is None:
                return None
            # An answer to something that was given up before is not ours.
            if found.number == number and found.operation == messages.SEARCH_DONE:
                return messages.result(data, found)
            if found.number == number:
                self._see(search, found, entries)

    def _see(self, search: Search, found: LdapMessage, entries: EntryBuffer) -> None:
        data = self._connection.data
        match found.operation:
            case messages.SEARCH_ENTRY:
                self._blocks.entry(data, messages.head(data, found), entries)
            case messages.SEARCH_REFERENCE:
                raise referral_error(search)
            case messages.INTERMEDIATE:
                pass
            case _:
                raise MalformedReply(f"an answer of the kind {found.operation:#x}")


class _Pace:
    """How long we wait for the directory, and how long it waits for us, of late."""

    def __init__(self) -> None:
        self._waiting = 0.0
        self._working = 0.0
        self._since = time.perf_counter()

    @property
    def is_slow(self) -> bool:
        """Whether it is the directory that takes the time."""
        return self._waiting > self._working

    def arrived(self) -> None:
        """What was waited for is there."""
        self._waiting = _LASTING * self._waiting + self._lap()

    def worked(self) -> None:
        """It is written, and taken by whom it is for."""
        self._working = _LASTING * self._working + self._lap()

    def _lap(self) -> float:
        before, self._since = self._since, time.perf_counter()
        return self._since - before


def _judge(search: Search, result: messages.LdapResult) -> None:
    if result.code == result_codes.SUCCESS:
        return
    refusal = result_codes.refusal(result)
    if not (isinstance(refusal, NoSuchAccount) and search.may_be_missing):
        raise refusal


def _records(entries: EntryBuffer) -> Iterator[LdifRecord]:
    found = Batch(entries.parts, entries.dns).apart()
    for record, watched in zip(found, entries.seen or (), strict=True):
        yield record._replace(watched=watched)
