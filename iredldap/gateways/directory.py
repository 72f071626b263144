"""The directory, as operations read and write it.

Connections are kept in a pool of one process. A read that loses its connection is repeated once
on a new one; a write never is: it raises `Unanswered`, and the caller reads back.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import TypeVar

import ldap

from iredldap.config.ldap import LdapSettings
from iredldap.dit import names, parts, passwords
from iredldap.dit.entry import Entry
from iredldap.dit.matching import Equality
from iredldap.dit.plan import Delete, Operation, Query, Rename, Scope
from iredldap.dit.schema import Schema
from iredldap.errors import Refusal
from iredldap.gateways.ldap import no_op, requests
from iredldap.gateways.ldap.errors import (
    LOST,
    WRONG_PASSWORD,
    Unanswered,
    refusal_for,
    translated,
)
from iredldap.gateways.ldap.no_op import NotJudged
from iredldap.gateways.ldap.pool import ConnectionPool
from iredldap.gateways.ldap.read_entry import ReadWithWrite
from iredldap.gateways.ldap.requests import WINDOW, InFlight
from iredldap.gateways.ldap.schema_cache import SchemaCache
from iredldap.gateways.ldap.search import SizeLimit, query_of, sub_search_of
from iredldap.gateways.ldap.servers import (
    Change,
    DirectoryConnection,
    LdapServers,
    Purpose,
)
from iredldap.gateways.locks import check_held
from iredldap.gateways.recorder import Recorder

T = TypeVar("T")


class Directory:
    """Reads and writes of one directory.

    `recorder` is what `RecordedDirectory` reports to; of this class itself it records nothing.

    Args:
        settings: The servers and the service account.
        servers: Those with an agreed writer; None: the servers of the settings, without one.
    """

    recorder: Recorder = Recorder()

    def __init__(self, settings: LdapSettings, servers: LdapServers | None = None) -> None:
        self._settings = settings
        self._servers = servers or LdapServers(settings)
        self._pool = ConnectionPool(settings, self._servers)
        self._servers.attach(self._pool)
        self._schema = SchemaCache(self.find)
        self._size_limit = SizeLimit()
        self._can_judge: bool | None = None
        self._controls: list[frozenset[str]] = []
        self.tree = names.Tree(settings.suffix)

    @property
    def breaks(self) -> int:
        """How often a connection of this process was found broken: see `ConnectionPool`."""
        return self._pool.breaks

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._pool.close()

    def settings_for_reads(self) -> LdapSettings:
        """Return the settings with the servers that a read may use at present, in order.

        For a process of its own, which knows nothing of what is agreed.
        """
        return replace(self._settings, uri=self._servers.route(Purpose.READ).uris, writer="first")

    def ask(self) -> None:
        """Check that the directory responds.

        Raises:
            ServerDown: If it does not.
        """
        self.read(self.tree.base, ("1.1",))

    def check(self) -> None:
        """Check that a server responds on a new connection; one that hangs is noted as hanging.

        Takes no longer than twice the time-out of connections for each server.

        Raises:
            ServerDown: If none does.
        """
        self._servers.check()

    def change(self) -> AbstractContextManager[Change]:
        """Open a change of this thread: its reads and writes use the writer of one epoch.

        When the block ends without an error, what it has written is confirmed by the other server.
        A write outside of any is a change of its own. With one server this does nothing.

        Raises:
            ServerDown: If no server may be written to; at the end, if what was written is not
                confirmed, and may be lost.
        """
        return self._servers.change()

    def take_notice(self) -> str | None:
        """Return what the client of this thread's reads should be told, once; None: nothing.

        That is the case where the writer is gone and the other server may lack acknowledged
        changes.
        """
        return self._servers.take_notice()

    def read(self, dn: str, attributes: tuple[str, ...] = ("*", "entryCSN")) -> Entry | None:
        """Read one entry, or None if it does not exist."""
        found = self.find(Query(dn, Scope.BASE, "(objectClass=*)", attributes))
        return found[0] if found else None

    def find(self, query: Query, meanwhile: Callable[[], object] = lambda: None) -> list[Entry]:
        """Search, for results known to be few. A base that does not exist has none.

        Args:
            query: What to search for.
            meanwhile: Called while the directory searches; again if the search is repeated.
        """

        def search(connection: DirectoryConnection) -> list[Entry]:
            try:
                try:
                    return list(
                        requests.results(connection, query, at_once=True, meanwhile=meanwhile)
                    )
                except ldap.SIZELIMIT_EXCEEDED:
                    # What came so far is dropped: the same search is divided into parts, each below
                    # the limit.
                    return list(self._size_limit.whole(connection, query))
            except ldap.NO_SUCH_OBJECT:
                return []

        return self._repeatable(search)

    def stream(self, query: Query, *, must_exist: bool = False) -> Generator[Entry, None, None]:
        """Search, with one entry in memory at a time; holds a connection until it is closed.

        Raises:
            NoSuchAccount: If the base must exist and does not; else it has no entries.
            ExceededLdapServerSizelimit: If the directory does not return all, not even in parts.
        """
        with translated(), self._pool.connection() as connection:
            try:
                yield from self._size_limit.whole(connection, query)
            except ldap.NO_SUCH_OBJECT:
                if must_exist:
                    raise

    def schema(self) -> Schema:
        """Return the schema of the server, cached for some minutes.

        While one thread reads it again, the others use the cached one.

        Raises:
            ServerDown: If the server does not respond.
            InternalError: If it does not show its schema.
        """
        return self._schema.schema()

    def equality_of(self, attribute: str) -> Equality:
        """Return how the server compares the values of an attribute.

        Raises:
            ServerDown, InternalError: As `schema`.
        """
        return self.schema().equality_of(attribute)

    def has_new_schema(self) -> bool:
        """Read the schema again, after a refusal that a new one would explain.

        Returns:
            Whether it differs from the cached one.

        Raises:
            ServerDown, InternalError: As `schema`.
        """
        return self._schema.has_changed()

    def size_limit(self) -> int | None:
        """Return how many entries the directory returns at once; None: no limit has been seen.

        The first call looks for one, among ten thousand entries.

        Raises:
            ServerDown: If the directory does not respond.
        """
        if not self._size_limit.is_probed:
            self._repeatable(lambda connection: self._size_limit.probe(connection, self.tree.base))
        return self._size_limit.limit

    def refuse_partial(self, queries: Iterable[Query]) -> None:
        """Check that searches can return all entries, in parts if need be.

        Where no limit has been seen this sends nothing.

        Raises:
            ExceededLdapServerSizelimit: If one can't.
        """
        if self.size_limit() is None:
            return
        for query in queries:
            # All others are found by ranges of entryUUID, however many there are.
            narrowed = parts.without_uuid(sub_search_of(query))
            with closing(self.stream(query_of(narrowed, ("1.1",)))) as found:
                for _ in found:
                    pass

    def write(self, operation: Operation) -> str | None:
        """Carry out one operation; return the state that it leaves, where one is left.

        Raises:
            Refusal: As the directory judges; `ldap.errors.RESULTS` lists them all.
            Unanswered: If it was sent and no response came.
            ServerDown: If it was not sent, or must not be: another process may have the turn.
        """
        return self._written(operation, requests.send).state

    def _written(
        self, operation: Operation, send: Callable[[DirectoryConnection, Operation], int]
    ) -> ReadWithWrite:
        """Carry out one operation, sent by a function; return what was read with it."""
        with self._servers.change() as change:
            try:
                with self._pool.connection(Purpose.WRITE) as connection, requests.sent():
                    number = send(connection, _in_turn(operation))
                    done = requests.response(connection, number)
            except Unanswered:
                # The caller may find out that it was carried out; in which state is not known.
                change.note(None, None)
                raise
            _note(change, operation, done.state)
            return done

    def pipeline(
        self,
        operations: Iterable[Operation],
        window: int = WINDOW,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[Operation, Refusal | None]]:
        """Carry out independent operations, several in flight on one connection.

        Args:
            operations: Taken while earlier ones are in flight; one by one, unless they are
                recorded.
            window: Maximum in flight.
            is_stopped: Whether operations that were taken, but not sent, are dropped.

        Yields:
            Each operation with its refusal, or None where it succeeded, in order.

        Raises:
            Unanswered: If the connection is lost: those not yet yielded may have been carried out.
            Refusal: That of `operations` itself, when all that was sent has been yielded.
        """
        # No step depends on the states that a sweep leaves; a confirmation does.
        return_state = self._servers.confirms

        def send(connection: DirectoryConnection, operation: Operation) -> InFlight:
            number = requests.send(connection, operation, return_state=return_state)
            return InFlight(number, operation)

        yield from self._pipelined(operations, send, lambda _, done: done, window)

    def _pipelined(
        self,
        operations: Iterable[Operation],
        send: Callable[[DirectoryConnection, Operation], InFlight],
        judge: Callable[[InFlight, ReadWithWrite | Refusal], ReadWithWrite | Refusal],
        window: int,
    ) -> Iterator[tuple[Operation, Refusal | None]]:
        """Carry out independent operations; `judge` sees each with its result, and returns that."""
        with (
            self._servers.change() as change,
            self._pool.connection(Purpose.WRITE) as connection,
            requests.sent(),
        ):

            def receive(one: InFlight) -> Refusal | None:
                done = judge(one, requests.outcome(connection, one.number))
                if isinstance(done, Refusal):
                    return done
                _note(change, one.operation, done.state)
                return None

            fenced = requests.fenced(connection, map(_in_turn, operations))
            yield from requests.pipeline(fenced, lambda one: send(connection, one), receive, window)

    def judged(self, operations: Iterable[Operation]) -> Iterator[tuple[Operation, Refusal | None]]:
        """Have the directory judge operations without carrying them out, each on its own.

        What it accepts may still fail later: when other clients change the entry, or the database
        is full. `ldap/no_op.py` says what is not sent.

        Yields:
            Each operation with its refusal, or None where it would succeed; `NotJudged` where
            that is not known.

        Raises:
            ServerDown: If the connection is lost.
            Refusal: That of `operations` itself, when all that was sent has been yielded.
        """
        if not self.can_judge():
            for operation in operations:
                yield operation, NotJudged()
            return
        # Not `sent`: a dry run that got no response has changed nothing.
        with self._pool.connection(Purpose.WRITE) as connection, translated():
            yield from no_op.judged(connection, operations, WINDOW)

    def controls(self) -> frozenset[str]:
        """Return the OIDs of the controls that the directory publishes; read once.

        Raises:
            ServerDown: If it does not respond.
        """
        if not self._controls:
            root = self.read("", ("supportedControl",))
            self._controls.append(frozenset(root.texts("supportedControl") if root else ()))
        return self._controls[0]

    def can_judge(self) -> bool:
        """Return whether the directory judges writes without carrying them out; tested once.

        A server that is busy or read-only does not say, and is asked again next time.

        Raises:
            ServerDown: If it does not respond.
        """
        if self._can_judge is None:
            with self._pool.connection(Purpose.WRITE) as connection, translated():
                self._can_judge = no_op.is_supported(connection, self.tree.base)
        return bool(self._can_judge)

    def verifies(self, dn: str, password: str) -> bool:
        """Return whether a bind with this password succeeds; an impossible one is not tried.

        Raises:
            ServerDown: If no server responds.
        """
        if not passwords.may_be_one(password):
            return False
        with translated():
            try:
                self._servers.bind(dn, password)
            except WRONG_PASSWORD:
                return False
        return True

    def _repeatable(self, read: Callable[[DirectoryConnection], T]) -> T:
        """Read; where a pooled connection turns out to be lost, once more on a new one."""
        try:
            with self._pool.connection() as connection:
                return read(connection)
        except LOST:
            # A connection in use was lost; that none could be opened would be a ServerDown, which
            # a second attempt would only delay.
            with translated(), self._pool.connection(fresh=True) as connection:
                return read(connection)
        except ldap.LDAPError as ex:
            raise refusal_for(ex) from ex


def _in_turn(operation: Operation) -> Operation:
    """Return an operation that may be sent: all locks of this thread are held still.

    Raises:
        ServerDown: If another process may hold one of them by now.
    """
    check_held()
    return operation


def _note(change: Change, operation: Operation, state: str | None) -> None:
    """Note an operation that was carried out, by the name that the entry has now."""
    dn = operation.new_dn if isinstance(operation, Rename) else operation.dn
    change.note(dn, state, is_gone=isinstance(operation, Delete))
