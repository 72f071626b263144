"""The directory, as operations read and write it.

Connections are kept in a pool of one process. A read that loses its connection is repeated once
on a fresh one; a write never is: it raises `Unanswered`, and whoever sent it reads back.

Source: RFC 4511; RFC 3296 (referral objects), RFC 4527 (post-read), RFC 4528 (assertion); the
No-Op control as OpenLDAP has it.
"""

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar

import ldap
import structlog
from ldap.controls import RequestControl, ResponseControl
from ldap.controls.libldap import AssertionControl
from ldap.controls.simple import ManageDSAITControl

from iredldap.config.ldap import LdapSettings
from iredldap.dit import filters, names, parts, passwords
from iredldap.dit.entry import Attributes, Entry
from iredldap.dit.matching import Equality
from iredldap.dit.parts import FoundEntry, SubSearch
from iredldap.dit.plan import Add, Delete, Modify, Op, Operation, Query, Rename, Scope
from iredldap.dit.schema import SUBSCHEMA, Schema
from iredldap.errors import DirectoryFailed, InternalError, Refusal, ServerDown
from iredldap.gateways.ldap_errors import (
    LOST,
    NO_OPERATION,
    WRONG_PASSWORD,
    Unanswered,
    ValueAbsent,
    ValuePresent,
    refusal_for,
    result_code,
    sentence,
    translated,
)
from iredldap.gateways.pool import Pool
from iredldap.gateways.servers import Connection, Servers, connect

__all__ = [
    "MANAGE",
    "WINDOW",
    "Directory",
    "Pool",
    "Unanswered",
    "ValueAbsent",
    "ValuePresent",
    "connect",
    "refusal_for",
    "translated",
]

T = TypeVar("T")


class NotJudged(Refusal):
    """Of an operation that the directory was not asked about; nobody is ever told."""


WINDOW = 10
"""Operations under way at once in a pipeline: enough to hide the way there and back, few enough
to leave the directory's threads to others."""

_SLICE = 0.5
"""Seconds between two looks whether the directory hangs, while a read waits for its answer."""

_SCHEMA_KEPT = 300.0
"""Seconds for which the schema is not read again; a server learns of a new one at its restart."""

_POST_READ_OID = "1.3.6.1.1.13.2"
_ENTRY_CSN = b"\x30\x0a\x04\x08entryCSN"
_CSN = re.compile(rb"\d{14}\.\d{6}Z#[0-9a-f]{6}#[0-9a-f]{3}#[0-9a-f]{6}")


class _PostRead(RequestControl):  # type: ignore[misc]
    """Ask for the state that a write leaves behind."""

    def __init__(self) -> None:
        super().__init__(_POST_READ_OID, False, _ENTRY_CSN)


class _PostReadAnswer(ResponseControl):  # type: ignore[misc]
    controlType = _POST_READ_OID
    csn: str | None = None

    def decodeControlValue(self, encodedControlValue: bytes) -> None:  # noqa: N802, N803
        found = _CSN.search(encodedControlValue)
        self.csn = found.group().decode() if found else None


_ANSWERS = {_POST_READ_OID: _PostReadAnswer}

_SOUNDED = 10_000
"""Entries that a search for the limit reads at most: the largest limit that iRedMail has set. A
higher one is noticed when something hits it."""

log = structlog.get_logger("iredldap.directory")


class _NoOp(RequestControl):  # type: ignore[misc]
    """Judge a write and do not carry it out; a server that does not know how must refuse it."""

    def __init__(self) -> None:
        super().__init__("1.3.6.1.4.1.4203.666.5.2", True)


MANAGE = ManageDSAITControl()
"""Take a referral object for an entry like any other, as every request of ours does (RFC 3296)."""


class Directory:
    """Reads and writes of one directory.

    Args:
        settings: Where it is and who we are there.
    """

    def __init__(self, settings: LdapSettings) -> None:
        self._servers = Servers(settings)
        self._pool = Pool(settings, self._servers)
        self.tree = names.Tree(settings.suffix)
        self._schema: tuple[float, Attributes, Schema] | None = None
        self._schema_lock = threading.Lock()
        self._sounded = False
        self._size_limit: int | None = None
        self._judges: bool | None = None

    def close(self) -> None:
        self._pool.close()

    def ask(self) -> None:
        """See whether it answers.

        Raises:
            ServerDown: If it does not.
        """
        self.read(self.tree.base, ("1.1",))

    def check(self) -> None:
        """See whether it answers on a connection of its own; one that hangs is then known to hang.

        Takes no longer than twice the time-out of connections for each server.

        Raises:
            ServerDown: If it does not.
        """
        self._servers.check()

    def read(self, dn: str, attributes: tuple[str, ...] = ("*", "entryCSN")) -> Entry | None:
        """Read one entry, or None if there is none."""
        found = self.find(Query(dn, Scope.BASE, "(objectClass=*)", attributes))
        return found[0] if found else None

    def find(self, query: Query) -> list[Entry]:
        """Search, for results known to be few. A base that does not exist has none."""

        def search(connection: Connection) -> list[Entry]:
            try:
                try:
                    return list(_results(connection, query, at_once=True))
                except ldap.SIZELIMIT_EXCEEDED:
                    return list(self._whole(connection, query))
            except ldap.NO_SUCH_OBJECT:
                return []

        return self._repeatable(search)

    def schema(self) -> Schema:
        """Give the schema of the server, kept for some minutes.

        While one thread reads it again, the others go on with what is kept.

        Raises:
            ServerDown: If the server does not answer.
            InternalError: If it does not tell its schema.
        """
        kept = self._schema
        if kept and time.monotonic() < kept[0]:
            return kept[2]
        if not self._schema_lock.acquire(blocking=kept is None):
            assert kept
            return kept[2]
        try:
            if self._schema is kept:
                self._read_schema()
            assert self._schema
            return self._schema[2]
        finally:
            self._schema_lock.release()

    def equality_of(self, attribute: str) -> Equality:
        """Tell how the server compares the values of an attribute; its schema is read if need be.

        Raises:
            ServerDown, InternalError: As `schema`.
        """
        return self.schema().equality_of(attribute)

    def has_new_schema(self) -> bool:
        """Read the schema again, in case a refusal stems from another one; tell whether it does.

        Raises:
            ServerDown, InternalError: As `schema`.
        """
        with self._schema_lock:
            known = self._schema
            self._read_schema()
            assert self._schema
            return known is not None and known[2] is not self._schema[2]

    def _read_schema(self) -> None:
        found = self.find(SUBSCHEMA)
        if not found:
            raise InternalError(f"the directory does not show {SUBSCHEMA.base}")
        text = found[0].attributes
        # To make sense of it takes 25 to 50 ms, in which no other thread gets far.
        is_known = self._schema is not None and self._schema[1] == text
        schema = self._schema[2] if self._schema and is_known else Schema(text)
        self._schema = time.monotonic() + _SCHEMA_KEPT, text, schema

    def stream(self, query: Query, *, must_exist: bool = False) -> Generator[Entry, None, None]:
        """Search, one entry alive at a time, on a connection of its own while it lasts.

        Raises:
            NoSuchAccount: If the base does not exist and must; else it has no entries.
            ExceededLdapServerSizelimit: If the directory does not give all, not even in parts.
        """
        with translated(), self._pool.connection() as connection:
            try:
                yield from self._whole(connection, query)
            except ldap.NO_SUCH_OBJECT:
                if must_exist:
                    raise

    def size_limit(self) -> int | None:
        """Return how many entries the directory gives at once; None: no limit has been seen.

        The first call looks for one, among ten thousand entries.

        Raises:
            ServerDown: If the directory does not answer.
        """
        if not self._sounded:
            self._repeatable(self._sound)
            self._sounded = True
        return self._size_limit

    def refuse_partial(self, queries: Iterable[Query]) -> None:
        """See whether searches can be made as a whole, in parts if need be.

        Where no limit has been seen that costs nothing.

        Raises:
            ExceededLdapServerSizelimit: If one can't.
        """
        if self.size_limit() is None:
            return
        for query in queries:
            narrowed = parts.without_uuid(_part(query))
            with closing(self.stream(_query(narrowed, ("1.1",)))) as found:
                for _ in found:
                    pass

    def _sound(self, connection: Connection) -> None:
        query = Query(self.tree.base, Scope.SUBTREE, "(objectClass=*)", ("1.1",))
        number = 0
        try:
            with closing(_results(connection, query)) as found:
                for _ in found:
                    number += 1
                    if number > _SOUNDED:
                        return
        except ldap.SIZELIMIT_EXCEEDED:
            self._size_limit = number
        except ldap.NO_SUCH_OBJECT:
            return

    def _meet_limit(self, number: int) -> None:
        if number != self._size_limit:
            log.warning(
                "the directory gives few entries at once",
                sizelimit=number,
                lift="iredldap check-config --probe names the line",
            )
        self._size_limit = number
        self._sounded = True

    def _whole(self, connection: Connection, query: Query) -> Iterator[Entry]:
        """Search; what the directory does not give at once is searched for in parts."""
        seen = parts.hashes()
        try:
            for entry in _results(connection, query):
                seen.append(hash(entry.dn))
                yield entry
        except ldap.SIZELIMIT_EXCEEDED:
            self._meet_limit(len(seen))
        else:
            return

        def search(part: SubSearch) -> Generator[FoundEntry[Entry], None, None]:
            wanted = _query(part, (*query.attributes, parts.UUID_NAME))
            with translated(), closing(_results(connection, wanted)) as found:
                for entry in found:
                    uuid = entry.text(parts.UUID_NAME)
                    yield FoundEntry(
                        entry.dn, hash(entry.dn), uuid, _shown(entry, query.attributes)
                    )

        yield from parts.rest(_part(query), seen, search)

    def write(self, operation: Operation) -> str | None:
        """Carry out one operation; return the state that it leaves, where one is left.

        Raises:
            Refusal: As the directory judges; `ldap_errors.RESULTS` has them all.
            Unanswered: If it was sent and no answer came.
            ServerDown: If it was not sent.
        """
        with self._pool.connection() as connection, _sent():
            return _answer(connection, _send(connection, operation))

    def judged(self, operations: Iterable[Operation]) -> Iterator[tuple[Operation, Refusal | None]]:
        """Have the directory judge operations as if it carried them out, each on its own.

        Nothing is changed. Whatever it judges may still fail later: when others change the entry,
        or the database is full.

        slapd must not be shown everything: an attribute that its database has never held stays in
        its memory when it has only been judged, and the entries that are stored with it afterwards
        can never be read again (back-mdb 2.5.13, measured; older ones at a change, too). So no
        addition is shown, and of a change that stores an attribute which no entry has been seen
        with only the entry, as it is.

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
        try:
            yield from self.pipeline(operations, judge=True)
        except Unanswered as ex:
            raise ServerDown(ex.detail) from ex

    def can_judge(self) -> bool:
        """Whether the directory judges writes without carrying them out; found out once.

        A server that is busy or read-only does not say, and is asked again next time.

        An empty change of the parent of all domains is sent under the No-Op control: if a server
        should carry it out all the same, nothing but a new state is left.

        Raises:
            ServerDown: If it does not answer.
        """
        if self._judges is None:
            nothing = Modify(self.tree.base, ())
            with self._pool.connection() as connection, translated():
                number = _send(connection, nothing, tell_state=False, judge=True)
                self._judges = _would_succeed(connection, number)
        return bool(self._judges)

    def pipeline(
        self, operations: Iterable[Operation], window: int = WINDOW, *, judge: bool = False
    ) -> Iterator[tuple[Operation, Refusal | None]]:
        """Carry out independent operations, several under way at once on one connection.

        Args:
            operations: They are taken while earlier ones are under way.
            window: How many are under way at once.
            judge: Have them judged only; `judged` knows whether that can be asked for.

        Yields:
            Each operation with its refusal, or None where it succeeded, in order; one that can't
            be judged without regard to it.

        Raises:
            Unanswered: If the connection is lost: those not yet yielded may have happened.
            Refusal: That of `operations` itself, when all that was sent has been yielded.
        """
        waiting: deque[tuple[int, Operation, Refusal | None]] = deque()
        failure: Refusal | None = None
        coming = iter(operations)
        with self._pool.connection() as connection, _sent():
            while True:
                try:
                    operation = next(coming)
                except StopIteration:
                    break
                except Refusal as ex:
                    failure = ex
                    break
                if judge and isinstance(operation, Add):
                    yield operation, NotJudged()
                    continue
                shown = _showable(operation, connection.stored) if judge else operation
                number = _send(connection, shown, tell_state=False, judge=judge)
                waiting.append((number, operation, NotJudged() if shown != operation else None))
                if len(waiting) >= window:
                    yield _outcome(connection, *waiting.popleft())
            while waiting:
                yield _outcome(connection, *waiting.popleft())
        if failure:
            raise failure

    def verifies(self, dn: str, password: str) -> bool:
        """Whether a bind with this password succeeds; one that is none is not tried.

        Raises:
            ServerDown: If no server answers.
        """
        if not passwords.may_be_one(password):
            return False
        with translated():
            try:
                self._servers.bind(dn, password)
            except WRONG_PASSWORD:
                return False
        return True

    def _repeatable(self, read: Callable[[Connection], T]) -> T:
        try:
            with self._pool.connection() as connection:
                return read(connection)
        except LOST:
            # Only the loss of a connection in use; that none was to be had is a ServerDown.
            with translated(), self._pool.connection(fresh=True) as connection:
                return read(connection)
        except ldap.LDAPError as ex:
            raise refusal_for(ex) from ex


def _part(query: Query) -> SubSearch:
    return SubSearch(query.base, query.scope, query.filter)


def _query(part: SubSearch, attributes: tuple[str, ...]) -> Query:
    return Query(part.base, part.scope, part.filter, attributes)


def _shown(entry: Entry, attributes: tuple[str, ...]) -> Entry:
    """Leave out what was asked for besides."""
    if {parts.UUID_NAME, "+"} & set(attributes):
        return entry
    kept = {name: v for name, v in entry.attributes.items() if name != parts.UUID_NAME}
    return replace(entry, attributes=kept)


def _results(
    connection: Connection, query: Query, *, at_once: bool = False
) -> Generator[Entry, None, None]:
    """Search, and yield entries as they come, or all of them when the last one is there.

    Few entries cost less at once than one after the other.
    """
    number = connection.search_ext(
        query.base,
        int(query.scope),
        query.filter,
        list(query.attributes),
        sizelimit=parts.MOST_ENTRIES,
        serverctrls=[MANAGE],
    )
    done = False
    try:
        while True:
            kind, data, _, _ = _message(connection, number, at_once=at_once)
            done = kind == ldap.RES_SEARCH_RESULT
            for dn, attributes in data:
                if dn is None:
                    raise DirectoryFailed(f"part of {query.base} lies on another server")
                if not connection.stored.issuperset(attributes):
                    connection.stored.update(attributes)
                yield Entry(dn, attributes)
            if done:
                return
    except ldap.LDAPError:
        done = True
        raise
    finally:
        if not done:
            with suppress(ldap.LDAPError):
                connection.abandon_ext(number)


def _message(connection: Connection, number: int, *, at_once: bool) -> Any:
    """Wait for the next message of a search, or for all of them.

    Raises:
        ldap.TIMEOUT: If it does not come in time, or the server is known to hang meanwhile.
    """
    waited = 0.0
    while True:
        seconds = min(_SLICE, connection.timeout - waited)
        try:
            return connection.result3(number, all=int(at_once), timeout=seconds)
        except ldap.TIMEOUT:
            waited += seconds
            if waited >= connection.timeout or connection.breaker.is_open:
                raise


@contextmanager
def _sent() -> Iterator[None]:
    """Within it a lost connection means: a write may have happened."""
    with translated():
        try:
            yield
        except LOST as ex:
            raise Unanswered(sentence(ex)) from ex


def _send(
    connection: Connection, operation: Operation, *, tell_state: bool = True, judge: bool = False
) -> int:
    controls: list[RequestControl] = [MANAGE, *([_NoOp()] if judge else [])]
    if tell_state and not isinstance(operation, Delete):
        controls.append(_PostRead())
    match operation:
        case Add(dn=dn, attributes=attributes):
            return int(
                connection.add_ext(dn, [(n, list(v)) for n, v in attributes.items()], controls)
            )
        case Modify(dn=dn, mods=mods, expect=expect):
            if expect:
                controls.append(AssertionControl(True, _any_state(expect)))
            changes = [(int(m.op), m.attribute, list(m.values) or None) for m in mods]
            return int(connection.modify_ext(dn, changes, controls))
        case Delete(dn=dn):
            return int(connection.delete_ext(dn, controls))
        case Rename(dn=dn, new_rdn=rdn, new_parent=parent, keeps_values=keeps_values):
            return int(connection.rename(dn, rdn, parent, not keeps_values, controls))


def _any_state(states: tuple[str, ...]) -> str:
    return filters.either(*(filters.equals("entryCSN", state) for state in states))


def _answer(connection: Connection, number: int) -> str | None:
    _, _, _, controls, _, _ = connection.result4(number, resp_ctrl_classes=_ANSWERS)
    return next((c.csn for c in controls if isinstance(c, _PostReadAnswer)), None)


def _outcome(
    connection: Connection, number: int, operation: Operation, otherwise: Refusal | None
) -> tuple[Operation, Refusal | None]:
    try:
        _answer(connection, number)
    except LOST:
        raise
    except ldap.LDAPError as ex:
        would_succeed = result_code(ex) == NO_OPERATION
        return operation, otherwise if would_succeed else refusal_for(ex)
    return operation, None


def _showable(operation: Operation, stored: set[str]) -> Operation:
    """Return what of an operation slapd can be asked to judge, see `Directory.judged`."""
    if isinstance(operation, Modify):
        brought = {m.attribute for m in operation.mods if m.values and m.op is not Op.DELETE}
        return operation if brought <= stored else replace(operation, mods=())
    return operation


def _would_succeed(connection: Connection, number: int) -> bool | None:
    """Whether a request under the No-Op control ended as one that would have been carried out.

    None: it was refused by a server that may know the control.
    """
    try:
        _answer(connection, number)
    except LOST:
        raise
    except ldap.UNAVAILABLE_CRITICAL_EXTENSION:
        return False
    except ldap.LDAPError as ex:
        return True if result_code(ex) == NO_OPERATION else None
    return False
