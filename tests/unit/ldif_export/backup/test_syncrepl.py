"""What a server tells between the entries of a synchronization, byte for byte."""

import pytest

from ldif_export.backup import syncrepl
from ldif_export.protocol.ber import (
    BOOLEAN,
    ENUMERATED,
    OCTETS,
    SEQUENCE,
    SET,
    MalformedReply,
    encoded,
    encoded_number,
)

INFO = "1.3.6.1.4.1.4203.1.9.1.4"
COOKIE = b"rid=000,csn=20260101000000.000000Z#000000#000#000000"
ONE, TWO = bytes(16), bytes(range(16))
TRUE, FALSE = encoded(BOOLEAN, b"\xff"), encoded(BOOLEAN, b"\x00")


def control(kind: str, value: bytes) -> syncrepl.RawControl:
    found = syncrepl.RawControl()
    found.controlType = kind
    found.decodeControlValue(value)
    return found


def noted(value: bytes) -> list[syncrepl.SyncMessage]:
    return [*syncrepl.read_info((INFO, value, []))]


def uuids(*found: bytes, before: bytes = b"") -> bytes:
    return encoded(0xA3, before, encoded(SET, *(encoded(OCTETS, uuid) for uuid in found)))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (encoded(0x80, COOKIE), []),
        (encoded(0xA1, encoded(OCTETS, COOKIE), FALSE), []),
        (encoded(0xA2, FALSE), [syncrepl.UnmentionedDeleted()]),
        (uuids(ONE, TWO), [syncrepl.UnchangedEntries((ONE, TWO))]),
        (uuids(ONE, before=encoded(OCTETS, COOKIE) + FALSE), [syncrepl.UnchangedEntries((ONE,))]),
        (uuids(ONE, before=encoded(OCTETS, COOKIE) + TRUE), [syncrepl.DeletedEntries((ONE,))]),
        (uuids(before=TRUE), [syncrepl.DeletedEntries(())]),
    ],
)
def test_notes(value: bytes, told: list[syncrepl.SyncMessage]) -> None:
    assert noted(value) == told


def test_other_notes_are_passed_over() -> None:
    """An intermediate answer of another kind is nobody's business here."""
    assert [*syncrepl.read_info(("1.2.3", b"anything", []))] == []


@pytest.mark.parametrize(
    "value", [b"", b"\xa3", encoded(0xA4), encoded(0xA3, TRUE), uuids(ONE)[:-1]]
)
def test_malformed_notes_are_errors(value: bytes) -> None:
    with pytest.raises(MalformedReply):
        noted(value)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (0, syncrepl.UnchangedEntries((ONE,))),
        (1, syncrepl.ChangedEntry(ONE, "cn=x", {"cn": [b"x"]})),
        (2, syncrepl.ChangedEntry(ONE, "cn=x", {"cn": [b"x"]})),
        (3, syncrepl.DeletedEntries((ONE,))),
    ],
)
def test_states_of_entries(state: int, told: syncrepl.SyncMessage) -> None:
    value = encoded(SEQUENCE, encoded_number(state, ENUMERATED), encoded(OCTETS, ONE))
    controls = [control("1.3.6.1.4.1.4203.1.9.1.2", value)]

    assert syncrepl.read_entry(("cn=x", {"cn": [b"x"]}, controls)) == told


def test_an_entry_without_a_state_is_refused() -> None:
    """The server does not synchronize."""
    with pytest.raises(syncrepl.SyncUnsupported):
        syncrepl.read_entry(("cn=x", {}, []))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"", [syncrepl.UnmentionedDeleted(), syncrepl.SyncDone(b"")]),
        (TRUE, [syncrepl.SyncDone(b"")]),
        (encoded(OCTETS, COOKIE) + TRUE, [syncrepl.SyncDone(COOKIE)]),
        (encoded(OCTETS, COOKIE), [syncrepl.UnmentionedDeleted(), syncrepl.SyncDone(COOKIE)]),
    ],
)
def test_ends(value: bytes, told: list[syncrepl.SyncMessage]) -> None:
    """Without word of deletions, all that was not told of is gone."""
    controls = [control("1.3.6.1.4.1.4203.1.9.1.3", encoded(SEQUENCE, value))]

    assert [*syncrepl.read_done(controls)] == told
