"""Dry runs: slapd judges writes under the No-Op control, and carries none of them out.

slapd must not be sent everything. An attribute that its database has never stored stays in its
memory after a dry run, and entries that are stored with it later can never be read again (back-mdb
2.5.13, measured; older releases after a change, too). So no addition is sent, and of a change that
stores an attribute which no entry was seen with, only an empty change of the entry.

Source: the No-Op control as OpenLDAP implements it; `docs/decisions/0032-judged-first.md`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import ldap
from ldap.controls import RequestControl

from iredldap.dit.plan import Add, Modify, Op, Operation
from iredldap.errors import Refusal
from iredldap.gateways.ldap import requests
from iredldap.gateways.ldap.errors import LOST, NO_OPERATION, refusal_for, result_code
from iredldap.gateways.ldap.requests import InFlight
from iredldap.gateways.ldap.servers import DirectoryConnection


class NotJudged(Refusal):
    """The verdict on an operation that slapd was not sent as it is; never a client's response."""


class _NoOp(RequestControl):  # type: ignore[misc]
    """Judge a write without carrying it out; critical: a server without it must refuse."""

    def __init__(self) -> None:
        super().__init__("1.3.6.1.4.1.4203.666.5.2", True)


def is_supported(connection: DirectoryConnection, dn: str) -> bool | None:
    """Test whether the server supports the control, by an empty change of an entry.

    If a server should carry it out all the same, only a new state of the entry is left.

    Returns:
        None: it was refused by a server that may support the control (busy, read-only).

    Raises:
        ldap.LDAPError: If the connection is lost.
    """
    number = requests.send(connection, Modify(dn, ()), _NoOp(), return_state=False)
    try:
        requests.response(connection, number)
    except LOST:
        raise
    except ldap.UNAVAILABLE_CRITICAL_EXTENSION:
        return False
    except ldap.LDAPError as ex:
        return True if result_code(ex) == NO_OPERATION else None
    return False


def judged(
    connection: DirectoryConnection, operations: Iterable[Operation], window: int
) -> Iterator[tuple[Operation, Refusal | None]]:
    """Have slapd judge operations, each on its own; see `Directory.judged`."""

    def send(operation: Operation) -> InFlight | Refusal:
        if isinstance(operation, Add):
            return NotJudged()
        harmless = _harmless(operation, connection.stored)
        number = requests.send(connection, harmless, _NoOp(), return_state=False)
        return InFlight(number, operation, NotJudged() if harmless != operation else None)

    def receive(one: InFlight) -> Refusal | None:
        try:
            requests.response(connection, one.number)
        except LOST:
            raise
        except ldap.LDAPError as ex:
            return one.verdict if result_code(ex) == NO_OPERATION else refusal_for(ex)
        return None

    return requests.pipeline(operations, send, receive, window)


def _harmless(operation: Operation, stored: set[str]) -> Operation:
    """Return the part of an operation that slapd can be sent, see above."""
    if isinstance(operation, Modify):
        brought = {m.attribute for m in operation.mods if m.values and m.op is not Op.DELETE}
        return operation if brought <= stored else replace(operation, mods=())
    return operation
