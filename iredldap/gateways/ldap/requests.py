"""Requests on a connection: operations and searches encoded, responses decoded.

Source: RFC 4511; RFC 3296 (ManageDsaIT), RFC 4527 (post-read), RFC 4528 (assertion).
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import ldap
from ldap.controls import RequestControl
from ldap.controls.libldap import AssertionControl
from ldap.controls.simple import ManageDSAITControl

from iredldap.directory_errors import DirectoryFailed
from iredldap.dit import filters, parts
from iredldap.dit.entry import Entry
from iredldap.dit.plan import Add, Delete, Modify, Operation, Query, Rename
from iredldap.errors import Refusal
from iredldap.gateways.ldap.errors import LOST, Unanswered, refusal_for, sentence, translated
from iredldap.gateways.ldap.read_entry import (
    POST_READ,
    RESPONSES,
    ReadControl,
    ReadWithWrite,
    read_with,
)
from iredldap.gateways.ldap.servers import DirectoryConnection

MANAGE = ManageDSAITControl()
"""Treat a referral object like any other entry; sent with every request (RFC 3296)."""

WINDOW = 10
"""Requests of a pipeline in flight: enough to hide the round trip, few enough to leave the
directory's threads to other clients."""

_SLICE = 0.5
"""Seconds between two checks of the breaker, while a search waits for its response."""

_STATE = ReadControl(POST_READ, ("entryCSN",))
"""Request the state that a write leaves."""


def results(
    connection: DirectoryConnection,
    query: Query,
    *,
    at_once: bool = False,
    meanwhile: Callable[[], object] = lambda: None,
) -> Generator[Entry, None, None]:
    """Search, and yield the entries found.

    Args:
        connection: Where.
        query: What.
        at_once: Wait for the whole result before the first entry is yielded: for few entries that
            takes less time than one call of libldap for each.
        meanwhile: Called when the request has been sent, before the result is awaited.

    Raises:
        DirectoryFailed: If the result contains a reference to another server.
        ldap.LDAPError: If the search fails.
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
        meanwhile()
        while True:
            kind, data, _, _ = _message(connection, number, at_once=at_once)
            done = kind == ldap.RES_SEARCH_RESULT
            for dn, attributes in data:
                if dn is None:
                    raise DirectoryFailed(f"part of {query.base} lies on another server")
                # Noted before the entry is used: `no_op.py` must know what the database stores.
                if not connection.stored.issuperset(attributes):
                    connection.stored.update(attributes)
                yield Entry(dn, attributes)
            if done:
                return
    except ldap.LDAPError:
        # The server has ended the search itself, or the connection is lost.
        done = True
        raise
    finally:
        if not done:
            # The reader has stopped early: slapd would go on sending, and the connection goes back
            # to the pool.
            with suppress(ldap.LDAPError):
                connection.abandon_ext(number)


def _message(connection: DirectoryConnection, number: int, *, at_once: bool) -> Any:
    """Wait for the next message of a search, or for all of them.

    Raises:
        ldap.TIMEOUT: If it does not arrive in time, or the server is found to hang meanwhile.
    """
    waited = 0.0
    while True:
        seconds = min(_SLICE, connection.timeout - waited)
        try:
            return connection.result3(number, all=int(at_once), timeout=seconds)
        except ldap.TIMEOUT:
            # In slices: when the breaker opens, all that wait are released within one of them.
            waited += seconds
            if waited >= connection.timeout or connection.breaker.is_open:
                raise


@contextmanager
def sent() -> Iterator[None]:
    """Translate errors within the block; a lost connection there means `Unanswered`.

    Raises:
        Unanswered: If the connection is lost: a write may have been carried out.
        Refusal: As `translated`.
    """
    with translated():
        try:
            yield
        except LOST as ex:
            raise Unanswered(sentence(ex)) from ex


def send(
    connection: DirectoryConnection,
    operation: Operation,
    *others: RequestControl,
    return_state: bool = True,
) -> int:
    """Send one operation; return its message id.

    Args:
        connection: Where.
        operation: What.
        others: Further controls.
        return_state: Whether to request the state that it leaves.

    Raises:
        ServerDown: If the server must no longer be written to; nothing was sent.
    """
    connection.fence()
    controls: list[RequestControl] = [MANAGE, *others]
    if return_state and not isinstance(operation, Delete):
        controls.append(_STATE)
    match operation:
        case Add(dn=dn, attributes=attributes):
            return int(
                connection.add_ext(dn, [(n, list(v)) for n, v in attributes.items()], controls)
            )
        case Modify(dn=dn, mods=mods, expect=expect):
            if expect:
                # Critical: slapd itself compares the state, so no other write can come between.
                controls.append(AssertionControl(True, _any_state(expect)))
            changes = [(int(m.op), m.attribute, list(m.values) or None) for m in mods]
            return int(connection.modify_ext(dn, changes, controls))
        case Delete(dn=dn):
            return int(connection.delete_ext(dn, controls))
        case Rename(dn=dn, new_rdn=rdn, new_parent=parent, keeps_values=keeps_values):
            return int(connection.rename(dn, rdn, parent, not keeps_values, controls))


def _any_state(states: tuple[str, ...]) -> str:
    return filters.either(*(filters.equals("entryCSN", state) for state in states))


def response(connection: DirectoryConnection, number: int) -> ReadWithWrite:
    """Wait for the response to an operation; return what was read with it, if requested.

    Raises:
        ldap.LDAPError: If it is anything but success.
    """
    waited = 0.0
    while True:
        seconds = min(_SLICE, connection.timeout - waited)
        try:
            found = connection.result4(number, timeout=seconds, resp_ctrl_classes=RESPONSES)
        except ldap.TIMEOUT:
            waited += seconds
            gives_up = connection.gives_up and connection.breaker.is_open
            if waited >= connection.timeout or gives_up:
                raise
        else:
            return read_with(found[3])


def outcome(connection: DirectoryConnection, number: int) -> ReadWithWrite | Refusal:
    """Wait for the response to an operation; return what was read with it, or its refusal.

    Raises:
        ldap.LDAPError: If the connection is lost.
    """
    try:
        return response(connection, number)
    except LOST:
        raise
    except ldap.LDAPError as ex:
        return refusal_for(ex)


@dataclass(frozen=True, slots=True)
class InFlight:
    """An operation that was sent; `verdict` is a note of the sender for its own `receive`."""

    number: int
    operation: Operation
    verdict: Refusal | None = None


def fenced(connection: DirectoryConnection, operations: Iterable[Operation]) -> Iterator[Operation]:
    """Yield operations as long as the server may be written to.

    Raises:
        ServerDown: If it may no longer; where `pipeline` takes the next one, so that the responses
            to those in flight are still read.
    """
    for operation in operations:
        connection.fence()
        yield operation


Send = Callable[[Operation], InFlight | Refusal]
"""Sends an operation; a refusal: it is not sent, and yielded with that at once."""

Receive = Callable[[InFlight], Refusal | None]
"""Waits for the response of an operation; None: success."""


def pipeline(
    operations: Iterable[Operation], send_one: Send, receive: Receive, window: int
) -> Iterator[tuple[Operation, Refusal | None]]:
    """Send independent operations, several of them in flight.

    Args:
        operations: Taken one by one, while earlier ones are in flight.
        send_one: Sends an operation.
        receive: Waits for its response.
        window: Maximum in flight.

    Yields:
        Each operation with its refusal, or None where it succeeded: those sent in order.

    Raises:
        Refusal: That of `operations` itself, when the responses to all that was sent have been
            yielded.
    """
    waiting: deque[InFlight] = deque()
    failure: Refusal | None = None
    coming = iter(operations)
    while True:
        try:
            operation = next(coming)
        except StopIteration:
            break
        except Refusal as ex:
            # Not raised at once: what was sent is carried out, and the caller must hear of it.
            failure = ex
            break
        one = send_one(operation)
        if isinstance(one, Refusal):
            yield operation, one
            continue
        waiting.append(one)
        if len(waiting) >= window:
            first = waiting.popleft()
            yield first.operation, receive(first)
    while waiting:
        first = waiting.popleft()
        yield first.operation, receive(first)
    if failure:
        raise failure
