"""The directory: the one module that opens LDAP connections and names python-ldap's exceptions.

Connections are kept in a pool of one process. A read that loses its connection is repeated once
on a fresh one; a write never is: it raises `Unanswered`, and whoever sent it reads back.

Source: RFC 4511; RFC 4527 (post-read), RFC 4528 (assertion).
"""

import os
import re
import select
import socket
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ldap
from ldap.controls import RequestControl, ResponseControl
from ldap.controls.libldap import AssertionControl
from ldap.ldapobject import SimpleLDAPObject

from iredldap.dit import names, passwords
from iredldap.dit.entry import Entry
from iredldap.dit.plan import Add, Delete, Modify, Operation, Query, Rename, Scope
from iredldap.errors import (
    AlreadyExists,
    ExceededLdapServerSizelimit,
    InternalError,
    InvalidParameter,
    NoSuchAccount,
    PreconditionFailed,
    Refusal,
    ServerDown,
)
from iredldap.ldap_settings import Ldap

T = TypeVar("T")

WINDOW = 10
"""Operations under way at once in a pipeline: enough to hide the way there and back, few enough
to leave the directory's threads to others."""

_MAX_IDLE = 240.0
_POST_READ_OID = "1.3.6.1.1.13.2"
_ENTRY_CSN = b"\x30\x0a\x04\x08entryCSN"
_CSN = re.compile(rb"\d{14}\.\d{6}Z#[0-9a-f]{6}#[0-9a-f]{3}#[0-9a-f]{6}")


class Unanswered(ServerDown):
    """A write was sent and its answer never came: it may or may not have happened."""


class ValueAbsent(PreconditionFailed):
    """A value to be deleted is not there (any more)."""


class ValuePresent(PreconditionFailed):
    """A value to be added is there already."""


class HasChildren(InternalError):
    """An entry to be deleted has children."""


_REFUSALS: tuple[tuple[type[Exception], type[Refusal]], ...] = (
    (ldap.ALREADY_EXISTS, AlreadyExists),
    (ldap.NO_SUCH_OBJECT, NoSuchAccount),
    (ldap.ASSERTION_FAILED, PreconditionFailed),
    (ldap.NO_SUCH_ATTRIBUTE, ValueAbsent),
    (ldap.TYPE_OR_VALUE_EXISTS, ValuePresent),
    (ldap.NOT_ALLOWED_ON_NONLEAF, HasChildren),
    (ldap.INVALID_SYNTAX, InvalidParameter),
    (ldap.CONSTRAINT_VIOLATION, InvalidParameter),
    (ldap.SIZELIMIT_EXCEEDED, ExceededLdapServerSizelimit),
    (ldap.SERVER_DOWN, ServerDown),
    (ldap.CONNECT_ERROR, ServerDown),
    (ldap.TIMEOUT, ServerDown),
    (ldap.UNAVAILABLE, ServerDown),
    (ldap.BUSY, ServerDown),
)
_LOST = (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.TIMEOUT, ldap.UNAVAILABLE)
_WRONG_PASSWORD = (ldap.INVALID_CREDENTIALS, ldap.INAPPROPRIATE_AUTH, ldap.NO_SUCH_OBJECT)


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


@contextmanager
def translated() -> Iterator[None]:
    """Turn python-ldap's exceptions into refusals; the original stays as the cause."""
    try:
        yield
    except ldap.LDAPError as ex:
        raise refusal_for(ex) from ex


def refusal_for(error: ldap.LDAPError) -> Refusal:
    """Give the refusal that an LDAP error means.

    Limits of the server are among them: a result that stops early must never look whole.
    """
    for foreign, ours in _REFUSALS:
        if isinstance(error, foreign):
            return ours(_sentence(error))
    return InternalError(_sentence(error))


def connect(settings: Ldap) -> SimpleLDAPObject:
    """Open a connection bound as the service account, on the first server that answers.

    Raises:
        ServerDown: If none answers, or refuses the certificate.
        InternalError: If TLS is not to be had, or the service account's own bind is refused.
    """
    password = settings.bind_password.reveal()
    try:
        connection = _bound(settings, settings.bind_dn, password)
    except ldap.LDAPError as ex:
        raise InternalError(f"bind as {settings.bind_dn}: {_sentence(ex)}") from ex
    connection.timeout = settings.operation_timeout
    return connection


def _bound(settings: Ldap, dn: str, password: str) -> SimpleLDAPObject:
    """Bind on the first server that answers; what it answers is the answer of all."""
    failure: ldap.LDAPError = ldap.SERVER_DOWN({"desc": "no server configured"})
    for uri in settings.uri:
        connection = ldap.initialize(uri)
        try:
            _prepare(connection, settings, uri)
            connection.simple_bind_s(dn, password)
        except _LOST as ex:
            _close(connection)
            failure = ex
        except ldap.LDAPError:
            # Not for an interrupt: it may have come while python-ldap held the connection's
            # lock, and closing would wait for that.
            _close(connection)
            raise
        else:
            return connection
    raise ServerDown(f"{', '.join(settings.uri)}: {_sentence(failure)}") from failure


def _prepare(connection: SimpleLDAPObject, settings: Ldap, uri: str) -> None:
    connection.set_option(ldap.OPT_PROTOCOL_VERSION, 3)
    connection.set_option(ldap.OPT_REFERRALS, 0)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, settings.network_timeout)
    # The first is libldap's, which StartTLS heeds; the second python-ldap's, for all the rest.
    connection.set_option(ldap.OPT_TIMEOUT, settings.network_timeout)
    connection.timeout = settings.network_timeout
    if settings.ca_file:
        connection.set_option(ldap.OPT_X_TLS_CACERTFILE, settings.ca_file)
    demand = ldap.OPT_X_TLS_DEMAND if settings.verify_certificate else ldap.OPT_X_TLS_NEVER
    connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, demand)
    # The TLS options above take effect only in a context that is made after them.
    try:
        connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    except ValueError as ex:
        # What libldap with OpenSSL makes of a file that is no longer what it was at the start.
        raise InternalError(f"{settings.ca_file}: {ex}") from ex
    if settings.turns_to_tls(uri):
        connection.start_tls_s()
    elif uri.lower().startswith("ldaps:"):
        _refuse_silence(uri, settings.network_timeout)


def _refuse_silence(uri: str, seconds: float) -> None:
    """See whether a server for ``ldaps://`` shakes hands at all; nothing else is judged here.

    libldap waits for that without end, and nobody can break it off.

    Raises:
        ldap.TIMEOUT: If it stays silent.
    """
    server = urlsplit(uri)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((server.hostname, server.port or 636), seconds) as plain,
            context.wrap_socket(plain, server_hostname=server.hostname),
        ):
            return
    except TimeoutError as ex:
        raise ldap.TIMEOUT({"desc": "no answer to a TLS handshake"}) from ex
    except OSError:
        # libldap has the better words.
        return


class Pool:
    """Bound connections of one process, the youngest first.

    It is made anew after a fork: a connection shared by two processes mixes their answers.

    A thread that holds a connection gets further ones beyond the limit: else threads that hold
    one each, and need a second to get on, would wait for one another.
    """

    def __init__(self, settings: Ldap) -> None:
        self._settings = settings
        self._idle: list[tuple[float, SimpleLDAPObject]] = []
        self._begin()
        ours = weakref.WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: (begin := ours()) and begin())

    def _begin(self) -> None:
        inherited, self._idle = self._idle, []
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(self._settings.connections)
        self._mine = threading.local()
        for _, connection in inherited:
            _drop(connection)

    @contextmanager
    def connection(self, *, fresh: bool = False) -> Iterator[SimpleLDAPObject]:
        """Lend a connection; it comes back unless it broke.

        Args:
            fresh: Open a new one rather than take one that waited.

        Raises:
            ServerDown: If no server answers, or every connection is busy for too long.
        """
        with self._place():
            connection = (None if fresh else self._waiting()) or connect(self._settings)
            try:
                yield connection
            except GeneratorExit:
                _close(connection)
                raise
            except Exception as ex:
                if _breaks(ex):
                    _close(connection)
                else:
                    self._keep(connection)
                raise
            else:
                self._keep(connection)

    @contextmanager
    def _place(self) -> Iterator[None]:
        held: set[object] = self._mine.__dict__.setdefault("held", set())
        free = None if held else self._free
        if free and not free.acquire(timeout=self._settings.operation_timeout):
            raise ServerDown("every connection to the directory is busy")
        place = object()
        held.add(place)
        try:
            yield
        finally:
            # Another thread may end what this one began; its own places are not meant then.
            held.discard(place)
            if free:
                free.release()

    def close(self) -> None:
        """Close what waits."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            _close(connection)

    def _waiting(self) -> SimpleLDAPObject | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                since, connection = self._idle.pop()
            if time.monotonic() - since < _MAX_IDLE and _is_alive(connection):
                return connection
            _close(connection)

    def _keep(self, connection: SimpleLDAPObject) -> None:
        with self._lock:
            self._idle.append((time.monotonic(), connection))


def _breaks(error: BaseException) -> bool:
    """Whether a connection is not to be used again after this error."""
    if isinstance(error, Refusal):
        return isinstance(error, ServerDown) or isinstance(error.__cause__, _LOST)
    return isinstance(error, _LOST) or not isinstance(error, ldap.LDAPError)


def _is_alive(connection: SimpleLDAPObject) -> bool:
    """Whether the server has not hung up while the connection waited; nothing is sent."""
    # Unlike select(), poll() knows descriptors beyond 1023.
    poll = select.poll()
    try:
        poll.register(connection.fileno(), select.POLLIN)
    except (OSError, ValueError, ldap.LDAPError):
        return False
    # Nobody owes us an answer, so anything to read is the end, or a notice of it.
    return not poll.poll(0)


def _close(connection: SimpleLDAPObject) -> None:
    with suppress(ldap.LDAPError):
        connection.unbind_ext()


def _drop(connection: SimpleLDAPObject) -> None:
    """Close a connection that another process goes on using: it must not see our unbind."""
    with suppress(OSError, ValueError, ldap.LDAPError):
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, connection.fileno())
        os.close(null)
    _close(connection)


class Directory:
    """Reads and writes of one directory.

    Args:
        settings: Where it is and who we are there.
    """

    def __init__(self, settings: Ldap) -> None:
        self._settings = settings
        self._pool = Pool(settings)
        self.tree = names.Tree(settings.suffix)

    def close(self) -> None:
        self._pool.close()

    def ask(self) -> None:
        """See whether it answers.

        Raises:
            ServerDown: If it does not.
        """
        self.read(self.tree.base, ("1.1",))

    def read(self, dn: str, attributes: tuple[str, ...] = ("*", "entryCSN")) -> Entry | None:
        """Read one entry, or None if there is none."""
        found = self.find(Query(dn, Scope.BASE, "(objectClass=*)", attributes))
        return found[0] if found else None

    def find(self, query: Query) -> list[Entry]:
        """Search, for results known to be few. A base that does not exist has none."""

        def search(connection: SimpleLDAPObject) -> list[Entry]:
            try:
                return list(_results(connection, query))
            except ldap.NO_SUCH_OBJECT:
                return []

        return self._repeatable(search)

    def stream(self, query: Query, *, must_exist: bool = False) -> Generator[Entry, None, None]:
        """Search, one entry alive at a time, on a connection of its own while it lasts.

        Raises:
            NoSuchAccount: If the base does not exist and must; else it has no entries.
        """
        with translated(), self._pool.connection() as connection:
            try:
                yield from _results(connection, query)
            except ldap.NO_SUCH_OBJECT:
                if must_exist:
                    raise

    def write(self, operation: Operation) -> str | None:
        """Carry out one operation; return the state that it leaves, where one is left.

        Raises:
            AlreadyExists, NoSuchAccount, PreconditionFailed, ValueAbsent, ValuePresent,
            HasChildren: As the directory judges.
            Unanswered: If it was sent and no answer came.
            ServerDown: If it was not sent.
        """
        with self._pool.connection() as connection, _sent():
            return _answer(connection, _send(connection, operation))

    def pipeline(
        self, operations: Iterable[Operation], window: int = WINDOW
    ) -> Iterator[tuple[Operation, Refusal | None]]:
        """Carry out independent operations, several under way at once on one connection.

        Yields:
            Each operation with its refusal, or None where it succeeded, in order.

        Raises:
            Unanswered: If the connection is lost: those not yet yielded may have happened.
            Refusal: That of `operations` itself, when all that was sent has been yielded.
        """
        waiting: deque[tuple[int, Operation]] = deque()
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
                number = _send(connection, operation, tell_state=False)
                waiting.append((number, operation))
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
                _close(_bound(self._settings, dn, password))
            except _WRONG_PASSWORD:
                return False
        return True

    def _repeatable(self, read: Callable[[SimpleLDAPObject], T]) -> T:
        try:
            with self._pool.connection() as connection:
                return read(connection)
        except _LOST:
            # Only the loss of a connection in use; that none was to be had is a ServerDown.
            with translated(), self._pool.connection(fresh=True) as connection:
                return read(connection)
        except ldap.LDAPError as ex:
            raise refusal_for(ex) from ex


def _results(connection: SimpleLDAPObject, query: Query) -> Iterator[Entry]:
    number = connection.search_ext(
        query.base, int(query.scope), query.filter, list(query.attributes)
    )
    done = False
    try:
        while True:
            kind, data, _, _ = connection.result3(number, all=0)
            if kind == ldap.RES_SEARCH_RESULT:
                done = True
                return
            for dn, attributes in data:
                if dn is None:
                    raise InternalError(f"part of {query.base} lies on another server")
                yield Entry(dn, attributes)
    except ldap.LDAPError:
        done = True
        raise
    finally:
        if not done:
            with suppress(ldap.LDAPError):
                connection.abandon_ext(number)


@contextmanager
def _sent() -> Iterator[None]:
    """Within it a lost connection means: a write may have happened."""
    with translated():
        try:
            yield
        except _LOST as ex:
            raise Unanswered(_sentence(ex)) from ex


def _send(connection: SimpleLDAPObject, operation: Operation, *, tell_state: bool = True) -> int:
    controls: list[RequestControl] = [_PostRead()] if tell_state else []
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
            return int(connection.delete_ext(dn))
        case Rename(dn=dn, new_rdn=rdn, new_parent=parent):
            return int(connection.rename(dn, rdn, parent, 1, controls))


def _any_state(states: tuple[str, ...]) -> str:
    return names.either(*(names.equals("entryCSN", state) for state in states))


def _answer(connection: SimpleLDAPObject, number: int) -> str | None:
    _, _, _, controls, _, _ = connection.result4(number, resp_ctrl_classes=_ANSWERS)
    return next((c.csn for c in controls if isinstance(c, _PostReadAnswer)), None)


def _outcome(
    connection: SimpleLDAPObject, number: int, operation: Operation
) -> tuple[Operation, Refusal | None]:
    try:
        _answer(connection, number)
    except _LOST:
        raise
    except ldap.LDAPError as ex:
        return operation, refusal_for(ex)
    return operation, None


def _sentence(error: Exception) -> str:
    facts: Any = error.args[0] if error.args else {}
    if not isinstance(facts, dict):
        return str(error)
    words = (facts.get("desc"), facts.get("info"), facts.get("matched"))
    return ": ".join(str(word) for word in words if word) or type(error).__name__
