"""Search for what has changed since the last search, with the content synchronization control.

The server answers with entries, with lists of those that still exist or are deleted, and with a
cookie that stands for the state of the directory. An entry that changes again while the search
runs is left out; the next search reports it.

Source: RFC 4533, refreshOnly; slapo-syncprov(5).
"""

from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

import ldap
from ldap.controls import RequestControl, ResponseControl
from ldap.ldapobject import SimpleLDAPObject

from iredldap.directory_errors import DirectoryFailed
from iredldap.dit.parts import MOST_ENTRIES
from iredldap.gateways.ldap.errors import translated
from iredldap.gateways.ldap.requests import MANAGE
from ldif_export.protocol.ber import (
    BOOLEAN,
    ENUMERATED,
    OCTETS,
    SEQUENCE,
    SET,
    MalformedReply,
    element,
    encoded,
    encoded_number,
    expect,
    number,
    octets,
)
from ldif_export.readers.base import referral_error
from ldif_export.selection import Search

_REQUEST = "1.3.6.1.4.1.4203.1.9.1.1"
_STATE = "1.3.6.1.4.1.4203.1.9.1.2"
_DONE = "1.3.6.1.4.1.4203.1.9.1.3"
_INFO = "1.3.6.1.4.1.4203.1.9.1.4"
_REFRESH_ONLY = 1
_STAYED, _ADDED, _MODIFIED, _DELETED = range(4)
_NEW_COOKIE, _REFRESH_DELETE, _REFRESH_PRESENT, _ID_SET = 0x80, 0xA1, 0xA2, 0xA3


@dataclass(frozen=True, slots=True)
class ChangedEntry:
    """An entry that is new or has changed."""

    uuid: bytes
    dn: str
    attributes: dict[str, list[bytes]]


@dataclass(frozen=True, slots=True)
class UnchangedEntries:
    """Entries that exist and are unchanged."""

    uuids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class DeletedEntries:
    """Entries that no longer exist, or no longer match the search."""

    uuids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class UnmentionedDeleted:
    """All entries that this search has not mentioned are deleted."""


@dataclass(frozen=True, slots=True)
class SyncDone:
    """The end; with an empty cookie the state is that of the request's cookie."""

    cookie: bytes


SyncMessage = ChangedEntry | UnchangedEntries | DeletedEntries | UnmentionedDeleted | SyncDone


class SyncUnsupported(Exception):
    """The server does not offer content synchronization, or not for this database."""


def refresh(
    connection: SimpleLDAPObject,
    search: Search,
    attributes: tuple[str, ...] = (),
    cookie: bytes = b"",
    timeout: float | None = None,
) -> Generator[SyncMessage, None, None]:
    """Search for what has changed; the last message is `SyncDone`.

    Closing the iterator abandons the search and leaves the connection usable.

    Args:
        connection: Bound, and not used elsewhere meanwhile.
        search: The search.
        attributes: Attributes to return; empty: all but operational ones.
        cookie: From the last such search; empty: there was none, and every entry is reported.
        timeout: Seconds to wait for each message; None: the connection's own.

    Raises:
        SyncUnsupported: If the server does not offer it.
        NoSuchAccount: If the base does not exist.
        ServerDown: If the server does not answer, or no longer.
        MalformedReply: If a message is malformed.
        Refusal: If the server refuses.
    """
    # Critical: a server without the control must refuse the search and not answer it as a plain
    # one.
    control = RequestControl(_REQUEST, criticality=True, encodedControlValue=_request(cookie))
    wanted = list(attributes) or None
    with translated():
        sent = connection.search_ext(
            search.base,
            int(search.scope),
            search.filter,
            wanted,
            serverctrls=[MANAGE, control],
            sizelimit=MOST_ENTRIES,
        )
    answering = True
    try:
        while answering:
            kind, data, controls = _answer(connection, sent, timeout)
            answering = kind != ldap.RES_SEARCH_RESULT
            if kind == ldap.RES_SEARCH_ENTRY:
                yield from map(read_entry, data)
            elif kind == ldap.RES_INTERMEDIATE:
                yield from chain.from_iterable(map(read_info, data))
            elif kind == ldap.RES_SEARCH_RESULT:
                yield from read_done(controls)
            else:
                raise referral_error(search)
    finally:
        if answering:
            with suppress(ldap.LDAPError):
                connection.abandon_ext(sent)


class RawControl(ResponseControl):  # type: ignore[misc]
    """A response control with its undecoded value."""

    value = b""

    def decodeControlValue(self, encodedControlValue: bytes) -> None:  # noqa: N802, N803
        self.value = encodedControlValue or b""


_CONTROLS = {_STATE: RawControl, _DONE: RawControl}


class _Sequence:
    """Read the elements of a sequence, one after another, some of them optional."""

    def __init__(self, data: bytes, tag: int = SEQUENCE) -> None:
        found = expect(tag, data, 0, len(data))
        self._data, self._at, self._end = data, found.start, found.end

    def number(self, tag: int) -> int:
        found, self._at = number(tag, self._data, self._at, self._end)
        return found

    def octets(self) -> bytes:
        found, self._at = octets(self._data, self._at, self._end)
        return found

    def optional_octets(self) -> bytes:
        return self.octets() if self._is_next(OCTETS) else b""

    def optional_flag(self) -> bool:
        return self._is_next(BOOLEAN) and bool(self.number(BOOLEAN))

    def set_of_octets(self) -> Iterator[bytes]:
        _, self._at, self._end = expect(SET, self._data, self._at, self._end)
        while self._at < self._end:
            yield self.octets()

    def _is_next(self, tag: int) -> bool:
        return self._at < self._end and self._data[self._at] == tag


def _request(cookie: bytes) -> bytes:
    mode = encoded_number(_REFRESH_ONLY, ENUMERATED)
    return encoded(SEQUENCE, mode, encoded(OCTETS, cookie) if cookie else b"")


def _answer(
    connection: SimpleLDAPObject, sent: int, timeout: float | None
) -> tuple[int, list[Any], list[RawControl]]:
    try:
        with translated():
            kind, data, _, controls, _, _ = connection.result4(
                sent, 0, timeout, add_ctrls=1, add_intermediates=1, resp_ctrl_classes=_CONTROLS
            )
    except DirectoryFailed as ex:
        # The answer of a server without the overlay, or of another database on the same server.
        if isinstance(ex.__cause__, ldap.UNAVAILABLE_CRITICAL_EXTENSION):
            raise SyncUnsupported(ex.detail) from ex
        raise
    return kind, data, controls


def read_entry(data: tuple[str, dict[str, list[bytes]], list[RawControl]]) -> SyncMessage:
    """Decode an entry and its state.

    Raises:
        SyncUnsupported: If it has no state.
        MalformedReply: If the state is malformed.
    """
    dn, attributes, controls = data
    sequence = _Sequence(_only(controls, _STATE).value)
    state, uuid = sequence.number(ENUMERATED), sequence.octets()
    # Both mean the entry as it is now.
    if state in {_ADDED, _MODIFIED}:
        return ChangedEntry(uuid, dn, attributes)
    if state not in {_STAYED, _DELETED}:
        raise MalformedReply(f"{dn} is in the state {state}")
    return UnchangedEntries((uuid,)) if state == _STAYED else DeletedEntries((uuid,))


def read_info(data: tuple[str, bytes, list[RawControl]]) -> Iterator[SyncMessage]:
    """Decode a message between entries. Only the cookie at the end is of a complete state.

    Raises:
        MalformedReply: If it is malformed.
    """
    name, value, _ = data
    if name != _INFO:
        return
    tag = element(value, 0, len(value)).tag
    if tag == _REFRESH_PRESENT:
        yield UnmentionedDeleted()
    elif tag == _ID_SET:
        sequence = _Sequence(value, _ID_SET)
        # A cookie in the middle of a refresh stands for no complete state, and is not kept.
        sequence.optional_octets()
        is_deleted = sequence.optional_flag()
        uuids = tuple(sequence.set_of_octets())
        yield DeletedEntries(uuids) if is_deleted else UnchangedEntries(uuids)
    elif tag not in {_NEW_COOKIE, _REFRESH_DELETE}:
        raise MalformedReply(f"a sync info message with the tag {tag:#x}")


def read_done(controls: list[RawControl]) -> Iterator[SyncMessage]:
    """Decode the controls of the last message.

    Raises:
        SyncUnsupported, MalformedReply: As `read_entry`.
    """
    sequence = _Sequence(_only(controls, _DONE).value)
    cookie, lists_deleted = sequence.optional_octets(), sequence.optional_flag()
    # RFC 4533, section 3.3: without refreshDeletes the server has sent or named all entries that
    # exist, and those that it has not are deleted.
    if not lists_deleted:
        yield UnmentionedDeleted()
    yield SyncDone(cookie)


def _only(controls: list[RawControl], kind: str) -> RawControl:
    for control in controls:
        if control.controlType == kind:
            return control
    raise SyncUnsupported(f"an answer lacks the control {kind}")
