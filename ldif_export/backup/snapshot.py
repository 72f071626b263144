"""Export the state of one moment while others write.

Each search is repeated as a synchronization until a round of all of them reports no change: what is
held then is the state that the cookie stands for. Records wait on the disk; those that were
replaced or deleted meanwhile are dropped before the first byte is written.

The server needs the overlay syncprov, best with a session log. iRedMail leaves it off.

Source: RFC 4533; slapo-syncprov(5).
"""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

from ldap.ldapobject import SimpleLDAPObject

from iredldap.config.ldap import LdapSettings
from iredldap.directory_errors import ExceededLdapServerSizelimit
from iredldap.dit import csn, filters, names
from iredldap.dit.csn import CsnVector
from iredldap.dit.plan import Scope
from iredldap.errors import NoSuchAccount, PreconditionFailed
from ldif_export.backup import syncrepl
from ldif_export.readers import libldap
from ldif_export.readers.base import Batch, LdifRecord, Projection, WatchedOnly
from ldif_export.readers.libldap import LibldapReader, RecordEncoder
from ldif_export.readers.record_store import RecordStore
from ldif_export.selection import Search

MOST_ROUNDS = 1000
"""A tree with a few hundred writes a second comes to rest within far fewer."""

_STATE = frozenset({"entryCSN"})


class NotExact(PreconditionFailed):
    """The server offers no snapshot, or it never rests long enough for one."""


class SnapshotReader:
    """A `Reader` of what was found in the state of one moment; made by `read`.

    It holds no connection. It reads the searches that it was made with, and no others.

    Args:
        store: The records that were found.
        searches: What they are results of.
        state: The state that they are of.
    """

    def __init__(self, store: RecordStore, searches: Sequence[Search], state: CsnVector) -> None:
        self.state = state
        self._store = store
        self._numbers = {search: number for number, search in enumerate(searches)}

    def batches(self, search: Search) -> Generator[Batch, None, None]:
        """Yield the results of a search, one entry at a time."""
        with closing(self.records(search)) as records:
            for record in records:
                yield Batch((record.text,), (record.dn.encode(),))

    def records(self, search: Search) -> Generator[LdifRecord, None, None]:
        """Yield the results of a search, in the order in which a plain search returns them."""
        return self._store.records(self._numbers[search])

    def close(self) -> None:
        """Delete the stored records."""
        self._store.close()


def read(
    settings: LdapSettings,
    searches: Sequence[Search],
    wanted: Projection,
    *,
    most_rounds: int = MOST_ROUNDS,
) -> SnapshotReader:
    """Read the results of searches in the state of one moment, onto the disk.

    Args:
        settings: As for `choice.connect`.
        searches: All that will be read from the result.
        wanted: Which attributes of each entry.
        most_rounds: How often to ask for changes before giving up.

    Raises:
        NotExact: If the server does not offer it, or others write too much.
        NoSuchAccount: If the base of a search does not exist.
        ServerDown: If the directory does not answer, or no longer.
        InternalError: If it refuses, or the result is incomplete.
    """
    connection = libldap.connect(settings)
    states = WatchedOnly(wanted.selection, _STATE)
    plain = LibldapReader(connection, states, settings.operation_timeout)
    with closing(plain):
        settling = _SnapshotRounds(connection, plain, searches, wanted, settings.operation_timeout)
        with ExitStack() as undo:
            # The store is the result; only a failure removes it.
            undo.callback(settling.close)
            store = settling.settled(most_rounds)
            undo.pop_all()
    return SnapshotReader(store, searches, settling.state())


class _SnapshotRounds:
    """Repeat searches in rounds until one of them reports no change."""

    def __init__(
        self,
        connection: SimpleLDAPObject,
        plain: LibldapReader,
        searches: Sequence[Search],
        wanted: Projection,
        timeout: float,
    ) -> None:
        self._connection = connection
        self._plain = plain
        self._searches = tuple(enumerate(searches))
        self._wanted = wanted
        self._timeout = timeout
        self._encoder = RecordEncoder(wanted)
        self._store = RecordStore()
        self._cookies: dict[int, bytes] = {}

    def settled(self, most_rounds: int) -> RecordStore:
        """Read until everything that is held is the state of one moment.

        Raises:
            NotExact, NoSuchAccount, ServerDown, InternalError: As `read`.
        """
        for _ in range(most_rounds):
            if self._has_settled() and not self._is_overtaken():
                if self._has_all_parents():
                    self._arrange()
                    return self._store
                # A parent that is missing was renamed or deleted between the searches; nothing that
                # is held tells what its children are called now.
                self._start_over()
        raise NotExact(f"others write too much: {most_rounds} rounds, each with changes")

    def state(self) -> CsnVector:
        """Return the state that the searches have come to; of the smallest, if they differ.

        What is newer than it is of a later state.

        Raises:
            NotExact: If the cookie of a search is not that of a slapd.
        """
        try:
            return CsnVector.of_cookie(min(self._cookies.values()).decode("ascii"))
        except ValueError as ex:
            raise NotExact(f"the state of the directory is no list of CSNs: {ex}") from ex

    def close(self) -> None:
        """Delete what was read."""
        self._store.close()

    def _start_over(self) -> None:
        self._store.close()
        self._store = RecordStore()
        # Without them the next round reads everything again.
        self._cookies.clear()

    def _has_settled(self) -> bool:
        """Make a round, unless its first answer shows that what is held is of one state.

        The cookies stand for states of the whole directory: if all searches have the same, and one
        of them reports no change, none has any.
        """
        self._store.next_round()
        searches = dict(self._searches)
        if len(set(self._cookies.values())) == 1:
            asked = next(iter(self._cookies))
            if not self._read_changes(asked, searches.pop(asked)):
                return True
        # In their order: a search whose base is missing has no cookie. It is made between two that
        # have one; if these agree, the base was missing in their state.
        for number, search in searches.items():
            self._read_changes(number, search)
        return False

    def _read_changes(self, number: int, search: Search) -> bool:
        """Search for changes, store them, and return whether there were any."""
        before = self._cookies.get(number, b"")
        is_news = False
        try:
            with closing(self._sync_messages(search, self._wanted.attributes, before)) as messages:
                for message in messages:
                    is_news |= self._take(number, message)
        except NoSuchAccount:
            if not search.may_be_missing:
                raise
            self._cookies.pop(number, None)
            return self._store.drop_unseen(number)
        return is_news

    def _sync_messages(
        self, search: Search, attributes: tuple[str, ...], cookie: bytes = b""
    ) -> Generator[syncrepl.SyncMessage, None, None]:
        try:
            yield from syncrepl.refresh(self._connection, search, attributes, cookie, self._timeout)
        except syncrepl.SyncUnsupported as ex:
            raise NotExact(f"the server does not offer exact exports (syncprov): {ex}") from ex
        except ExceededLdapServerSizelimit as ex:
            # Reading in parts is no way out: each part would be of another moment.
            raise NotExact(
                "the server gives too few entries at once (sizelimit) for an exact export;"
                " `iredldap check-config --probe` names the line that lifts it"
            ) from ex

    def _take(self, number: int, message: syncrepl.SyncMessage) -> bool:
        """Store what a search reports, and return whether it is a change."""
        match message:
            case syncrepl.ChangedEntry(uuid=uuid, dn=dn, attributes=attributes):
                self._store.put(number, uuid, self._encoder.record(dn, attributes))
                return True
            case syncrepl.UnchangedEntries(uuids=uuids):
                self._store.see(number, uuids)
            case syncrepl.DeletedEntries(uuids=uuids):
                return self._store.drop(number, uuids)
            case syncrepl.UnmentionedDeleted():
                return self._store.drop_unseen(number)
            case syncrepl.SyncDone(cookie=cookie):
                return self._moves(number, cookie)
        return False

    def _moves(self, number: int, cookie: bytes) -> bool:
        before = self._cookies.get(number, b"")
        # A server may leave out a cookie that has not changed.
        self._cookies[number] = cookie or before
        if not self._cookies[number]:
            raise NotExact("the server does not return a cookie for the state of the directory")
        return self._cookies[number] != before

    def _is_overtaken(self) -> bool:
        """Return whether there are entries of a later state.

        slapd writes an entry first and the state of the directory a moment later: a round between
        the two leaves the entry out, and the next one does not report it. So it is while a provider
        sends what another server did in a partition: those entries are older than the newest of
        all, and later than the state has it of their own server.

        A server id that the state does not know is of entries from before replication, or of a
        server's first change, which is the newest of all.
        """
        state = self.state()
        if not state:
            return False
        newest = max(state)
        since = filters.at_least("entryCSN", min(state))
        return any(
            record.csn > (state.of_server(csn.server_id(record.csn)) or newest)
            for _, search in self._searches
            for record in self._plain.records(_narrowed(search, since))
            if record.csn
        )

    def _has_all_parents(self) -> bool:
        """Return whether the parent of each entry is held, or not searched for.

        The entries below one that is renamed get another DN and keep their entryCSN, so that no
        round reports them.
        """
        return all(map(self._is_held_or_outside, self._store.orphaned()))

    def _is_held_or_outside(self, dn: str) -> bool:
        if not any(names.is_within(dn, search.base) for _, search in self._searches):
            return True
        try:
            for _ in self._plain.records(Search(dn, Scope.BASE, "(objectClass=*)")):
                pass
        except NoSuchAccount:
            return False
        return True

    def _arrange(self) -> None:
        """Put entries that came in later rounds to where a plain search returns them."""
        for number, search in self._searches:
            if not self._store.is_in_place(number):
                with closing(self._sync_messages(search, ("1.1",))) as messages:
                    uuids = (one.uuid for one in messages if isinstance(one, syncrepl.ChangedEntry))
                    self._store.arrange(number, uuids)


def _narrowed(search: Search, term: str) -> Search:
    return replace(search, filter=filters.every(search.filter, term))
