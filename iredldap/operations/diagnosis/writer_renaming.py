"""Give the writer its new address, by an admin's order: the same server by another name."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from iredldap.config.ldap import LdapSettings
from iredldap.dit.csn import CsnVector
from iredldap.errors import Refusal
from iredldap.gateways.cluster.agreement import times_of
from iredldap.gateways.cluster.comparison import vector
from iredldap.gateways.cluster.decision import Promote
from iredldap.gateways.cluster.register import WriterRegister
from iredldap.gateways.cluster.view import WriterRow
from iredldap.gateways.directory import Directory
from iredldap.operations.diagnosis.server_survey import server_id_of


class RenamingRefused(Exception):
    """The writer keeps its address; the text says why."""


@dataclass(frozen=True, slots=True)
class NewAddress:
    """The epoch that has begun, and the address of its writer."""

    epoch: int
    uri: str


def rename(
    settings: LdapSettings, register: WriterRegister, names: Mapping[str, str], *, force: bool
) -> NewAddress:
    """Begin an epoch in which the writer has its new address.

    Nodes that name it otherwise refuse changes from then on, and none may use the new address
    before their leases are over: so no two servers are written to, whatever the addresses lead to.
    The new epoch begins alone: both servers are compared before the other one may take over. The
    other server needs no such order: what confirms changes is compared first in any case.

    Args:
        settings: The servers by their new addresses.
        register: The row.
        names: New addresses by the old ones; those of other servers than the writer are left.
        force: Whether to do it where it cannot be seen that it is the same server.

    Raises:
        RenamingRefused: If it is not the same one, or nobody is the writer, or by another address.
        ServerDown: If the state database does not respond.
    """
    row = register.read()
    if row is None:
        raise RenamingRefused("no writer is agreed yet: there is none to rename")
    uri = names.get(row.uri)
    if uri is None:
        raise RenamingRefused(f"the writer is {row.uri}, which is to keep its address")
    if uri not in settings.uri:
        raise RenamingRefused(f"{uri} is not in ldap.uri: {', '.join(settings.uri)}")
    if uri == row.uri:
        raise RenamingRefused(f"{uri} is the address of the writer already")
    known = _known_id(register, row)
    found, has = _asked(settings, uri)
    if not force:
        _judge_identity(register, row, uri, known, found, has)
    if not register.change_row(Promote(row, uri), times_of(settings), has, forced=force):
        raise RenamingRefused("the row of the writer has changed meanwhile; try again")
    if found is not None:
        register.note_server_id(row.epoch + 1, found)
    return NewAddress(row.epoch + 1, uri)


def _known_id(register: WriterRegister, row: WriterRow) -> int | None:
    """Return the server id that the writer had when it wrote last; None: it has not written."""
    written = [
        one.server_id
        for one in register.epochs()
        if one.uri == row.uri and one.number <= row.epoch and one.server_id is not None
    ]
    return written[-1] if written else None


def _asked(settings: LdapSettings, uri: str) -> tuple[int | None, CsnVector]:
    """Return the server id that a server gives to what is written to it, and what it has."""
    try:
        with closing(Directory(settings.only(uri))) as directory:
            return server_id_of(directory), vector(directory)
    except Refusal as ex:
        raise RenamingRefused(f"{uri}: {ex.detail}") from ex


def _judge_identity(
    register: WriterRegister,
    row: WriterRow,
    uri: str,
    known: int | None,
    found: int | None,
    has: CsnVector,
) -> None:
    if known is None or found is None:
        raise RenamingRefused(
            f"the server id of {row.uri} is not known, as it has not written yet: --force if"
            f" {uri} is the same server"
        )
    if known != found:
        raise RenamingRefused(
            f"{uri} is another server: it has the server id {found:03x}, and {row.uri} had"
            f" {known:03x}. Another server is made the writer by `iredldap directory promote`"
        )
    began = register.epochs()[-1].vector
    if not has.covers(began):
        raise RenamingRefused(
            f"{uri} lacks changes that {row.uri} had when it became the writer: it is another"
            " server, or an old copy; --force loses them"
        )
