"""The reader from the socket, against servers that say anything at all."""

import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import ldap
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.directory_errors import DirectoryDenies, DirectoryFailed, ExceededLdapServerSizelimit
from iredldap.dit.plan import Scope
from iredldap.errors import InternalError, NoSuchAccount, Refusal, ServerDown
from iredldap.gateways.ldap.errors import refusal_for
from iredldap.ldif import writer
from ldif_export.protocol import connection, messages
from ldif_export.protocol.ber import OCTETS, MalformedReply, encoded
from ldif_export.protocol.connection import LdapConnection
from ldif_export.readers import choice, wire
from ldif_export.readers.base import Projection
from ldif_export.readers.wire import WireReader
from ldif_export.selection import Selection
from tests.support.patience import PATIENCE
from tests.unit.ldif_export.readers.server import (
    EVERYTHING,
    SEARCH,
    Entry,
    Scripted,
    cut,
    entry,
    farewell,
    message,
    reader,
    reference,
    result,
    serving,
    text,
)

ENTRIES: list[Entry] = [
    ("o=x", {"o": [b"x"]}),
    ("o=ü", {"o": ["ü".encode()], "o;lang-de": [b"x"], "jpegPhoto;binary": [b"\0" * 300]}),
    ("o=y,o=x", {}),
    *(
        (f"mail=u{n}@a.test,o=x", {"mail": [b"u%d@a.test" % n], "description": [b"d" * 300]})
        for n in range(4)
    ),
    ("o=large", {"description": [b"d" * 100_000, b""]}),
]
TEXT = b"".join(writer.record(*one) for one in ENTRIES)
STREAM = b"".join(entry(*one) for one in ENTRIES)
WHOLE = STREAM + result()
CONTROLS = encoded(0xA0, encoded(0x30, encoded(OCTETS, b"1.2.3")))


def settings_for(uri: str) -> LdapSettings:
    return LdapSettings(
        uri=(uri,),
        suffix="dc=example,dc=org",
        bind_dn="cn=vmail",
        bind_password=Secret("geheim"),
        network_timeout=PATIENCE,
        operation_timeout=PATIENCE,
    )


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 100, 4096])
def test_messages_may_be_cut_anywhere(size: int) -> None:
    """Single bytes included."""
    assert text(reader(*cut(WHOLE, size))) == TEXT


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8).map(sorted))
def test_messages_may_be_cut_at_any_places(places: list[int]) -> None:
    """Wherever a read ends."""
    pieces = [WHOLE[a:b] for a, b in pairwise([0, *places, len(WHOLE)]) if a < b]
    assert text(reader(*pieces)) == TEXT


def test_a_server_may_dribble() -> None:
    """The same over a real socket, byte by byte."""
    dribbled = b"".join(entry(*one) for one in ENTRIES[:4]) + result()

    def answer(client: socket.socket) -> None:
        client.recv(1000)
        for byte in cut(dribbled, 1):
            client.sendall(byte)

    with serving(answer) as ours:
        found = text(WireReader(LdapConnection(ours), EVERYTHING))
    assert found == b"".join(writer.record(*one) for one in ENTRIES[:4])


def test_records_are_the_same_text_entry_by_entry() -> None:
    """With the DN of each, and what is watched."""
    wanted = Projection(Selection("domain", "a.test"), frozenset({"mail"}))
    found = list(reader(*cut(WHOLE, 1000), wanted=wanted).records(SEARCH))
    assert [record.dn for record in found] == [dn for dn, _ in ENTRIES]
    assert [record.text for record in found] == [writer.record(*one) for one in ENTRIES]
    assert [list(record.watched) for record in found] == [[]] * 3 + [["mail"]] * 4 + [[]]


def test_what_does_not_concern_us_is_passed_over() -> None:
    """Intermediate answers, controls, answers to others, and what nobody asked for."""
    noise = [
        message(encoded(messages.INTERMEDIATE, encoded(0x80, b"1.2.3"))),
        entry("o=not ours", {"o": [b"x" * 300]}, number=9),
        result(4, number=9),
        message(encoded(messages.EXTENDED_RESPONSE, encoded(0x8A, b"1.2.3")), number=0),
    ]
    said = noise[0] + b"".join(
        entry(*one, controls=CONTROLS) + noise[n % 4] for n, one in enumerate(ENTRIES)
    )
    assert text(reader(said + result(controls=CONTROLS))) == TEXT


def test_nothing_found_is_nothing() -> None:
    """A result alone."""
    assert text(reader(result())) == b""


CODES = sorted({
    kind.errnum
    for kind in ldap.LDAPError.__subclasses__()
    if 0 < getattr(kind, "errnum", 0) not in {0x0E, 5, 6}
})  # fmt: skip


SIZE_LIMIT = 4
NOTHING_MORE = result(SIZE_LIMIT, number=2) + result(SIZE_LIMIT, number=3)
"""Answers to the searches in parts that follow the one that was broken off."""


@pytest.mark.parametrize("code", [*CODES, 99, 4711])
def test_every_other_result_is_the_refusal_of_python_ldap(code: int) -> None:
    """No code passes for success, and each means what it means there."""
    kinds = {getattr(kind, "errnum", None): kind for kind in ldap.LDAPError.__subclasses__()}
    expected = refusal_for(kinds.get(code, ldap.OTHER)({"desc": "?"}))
    said = STREAM + result(code, diagnostic="why", matched="o=y")
    with pytest.raises(Refusal) as told:
        text(reader(said + NOTHING_MORE))
    assert type(told.value) is type(expected)
    assert code == SIZE_LIMIT or told.value.detail.endswith(": why: o=y")


def test_a_limit_is_no_end() -> None:
    """Entries that came before it do not make it one, nor do parts that give none."""
    with pytest.raises(ExceededLdapServerSizelimit, match="no entryUUID"):
        text(reader(STREAM + result(SIZE_LIMIT) + NOTHING_MORE))


def test_a_base_may_be_missing_where_the_search_says_so() -> None:
    """An entry that need not be there; not a domain that went meanwhile."""
    optional = replace(SEARCH, scope=Scope.BASE)
    assert text(reader(result(32)), optional) == b""
    for search in (SEARCH, replace(optional, required=True)):
        with pytest.raises(NoSuchAccount):
            text(reader(result(32)), search)


def test_a_reference_is_no_end() -> None:
    """What lies on another server would be missing."""
    with pytest.raises(DirectoryFailed, match="another server"):
        text(reader(STREAM + reference("ldap://b.test/o=x") + result()))


def test_a_farewell_is_the_end_of_the_connection() -> None:
    """With the server's own words."""
    with pytest.raises(ServerDown, match="shutting down"):
        text(reader(STREAM + farewell()))


@pytest.mark.parametrize("size", range(0, len(WHOLE), 997))
def test_a_connection_that_breaks_is_no_end(size: int) -> None:
    """In the middle of a message or between two."""
    with pytest.raises(ServerDown):
        text(reader(WHOLE[:size]))


def test_a_connection_that_is_reset_is_no_end() -> None:
    """The error of the socket is told."""

    class Reset(Scripted):
        def recv(self, size: int) -> bytes:
            raise ConnectionResetError(104, "LdapConnection reset by peer")

    with pytest.raises(ServerDown, match="reset"):
        text(Reset(()).reader())


@pytest.mark.parametrize(("waiting", "working", "rests"), [(1.0, 0.1, True), (1.0, 1000.0, False)])
def test_only_a_slow_directory_is_left_alone(
    waiting: float, working: float, rests: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends little at a time; where it waits for us, a rest would be time lost."""
    now = 0.0
    rested: list[float] = []

    class Unhurried(Scripted):
        def recv(self, size: int) -> bytes:
            nonlocal now
            now += waiting
            return super().recv(size)

    clock = SimpleNamespace(perf_counter=lambda: now, sleep=rested.append)
    monkeypatch.setattr(wire, "time", clock)
    for _ in Unhurried(cut(WHOLE, 4096)).reader().batches(SEARCH):
        now += working
    assert bool(rested) == rests


def test_a_silent_server_is_waited_for_only_so_long() -> None:
    """Between any two bytes."""

    def answer(client: socket.socket) -> None:
        client.recv(1000)
        client.sendall(WHOLE[:100])
        client.recv(1000)

    with serving(answer) as ours:
        slow = LdapConnection(ours)
        slow.wait(0.1)
        begun = time.monotonic()
        with pytest.raises(ServerDown, match="does not answer in time"):
            text(WireReader(slow, EVERYTHING))
        assert time.monotonic() - begun < PATIENCE


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        bytes(100),
        b"\x30\x00",
        b"\x30\x80\x02\x01\x01",
        b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01",
        message(b"\x64\x00"),
        message(b"\x65\x00"),
        message(b"\x65\x03\x0a\x01\x00"),
        message(b"\x61\x07\x0a\x01\x00\x04\x00\x04\x00"),
        result(operation=messages.BIND_RESPONSE),
        STREAM.replace(b"\x04\x01o", b"\x04\x09o"),
    ],
)
def test_what_is_no_ldap_is_one_error(said: bytes) -> None:
    """Other protocols, broken lengths, answers to other questions."""
    with pytest.raises(MalformedReply):
        text(reader(said + WHOLE))


def test_an_announced_length_alone_costs_no_memory() -> None:
    """Nothing is set aside for what has not come."""
    with pytest.raises(ServerDown):
        text(reader(b"\x30\x84\x0f\xff\xff\xff", b"x" * 1000))


def test_a_large_value_passes() -> None:
    """Several megabytes, in small pieces, in a time that grows no faster than they do."""
    large: Entry = ("o=x", {"description": [bytes(range(256)) * 20_000]})
    begun = time.thread_time()
    assert text(reader(*cut(entry(*large) + result(), 4096))) == writer.record(*large)
    assert time.thread_time() - begun < 5


SMALL = b"".join(entry(*one) for one in ENTRIES[:5]) + result()


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_stream_is_read_or_refused(data: st.DataObject) -> None:
    """Changed, lost and added bytes: one kind of error, and always an end."""
    stream = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(stream)))
        match data.draw(st.sampled_from(["change", "lose", "add", "cut"])):
            case "change":
                stream[at : at + 1] = bytes((data.draw(st.integers(0, 255)),))
            case "lose":
                del stream[at : at + data.draw(st.integers(1, 40))]
            case "add":
                stream[at:at] = data.draw(st.binary(min_size=1, max_size=20))
            case _:
                del stream[at:]
    try:
        text(reader(*cut(bytes(stream), data.draw(st.sampled_from([0, 1, 50])))))
    except Refusal:
        return


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_any_bytes_are_refused(pieces: list[bytes]) -> None:
    """Nothing that is made up passes for the end of a search."""
    with pytest.raises(Refusal):
        text(reader(*filter(None, pieces)))


def test_who_goes_away_gives_the_search_up() -> None:
    """Abandoned, unbound, hung up; whether or not entries were told apart."""
    for marked in (False, True):
        scripted = Scripted(cut(WHOLE, 1000))
        reading = scripted.reader()
        found: Generator[object, None, None]
        found = reading.records(SEARCH) if marked else reading.batches(SEARCH)
        next(found)
        scripted.sent = b""
        found.close()
        assert scripted.sent == messages.abandon(2, 1) + messages.unbind(3)
        assert scripted.closed


def test_a_finished_search_leaves_the_connection_usable() -> None:
    """The next one gets its own answers, whatever its number is."""
    later = [entry(*ENTRIES[0], number=n) + result(number=n) for n in range(1, 128)]
    reading = reader(*later, later[0])
    for _ in range(128):
        assert text(reading) == writer.record(*ENTRIES[0])


@contextmanager
def listening(folder: Path, *said: bytes) -> Iterator[str]:
    """A Unix socket where a server gives these answers, one per request, and hangs up."""

    def serve() -> None:
        client, _ = listener.accept()
        with client, suppress(OSError):
            for answer in said:
                client.recv(1000)
                client.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        listener.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"ldapi://{quote(str(folder / 's'), safe='')}"
        thread.join(PATIENCE)
        assert not thread.is_alive()


BOUND = result(operation=messages.BIND_RESPONSE)


@pytest.mark.parametrize(
    ("said", "refusal", "words"),
    [
        (result(49, operation=0x61, diagnostic="no"), DirectoryDenies, "Invalid credentials: no"),
        (result(14, operation=0x61), DirectoryFailed, "SASL bind in progress"),
        (result(52, operation=0x61), ServerDown, "unavailable"),
        (result(0), MalformedReply, "0x65"),
        (farewell(), ServerDown, "shutting down"),
        (b"", ServerDown, "has closed the connection"),
        (b"SSH-2.0-OpenSSH\r\n", MalformedReply, "0x53"),
    ],
)
def test_a_bind_that_fails_is_told(
    tmp_path: Path, said: bytes, refusal: type[Refusal], words: str
) -> None:
    """What another server might do better is told apart; the password is never shown."""
    with listening(tmp_path, said) as uri, pytest.raises(Refusal, match=words) as told:
        connection.connect(settings_for(uri))
    assert type(told.value) is refusal
    assert "geheim" not in str(told.value)


def test_a_server_that_does_not_answer_is_passed_over(tmp_path: Path) -> None:
    """One that is not there, and one that is silent; not one that refuses."""
    silent = tmp_path / "silent"
    with socket.socket(socket.AF_UNIX) as listener, listening(tmp_path, BOUND) as uri:
        listener.bind(str(silent))
        listener.listen()
        first = (f"ldapi://{quote(str(tmp_path / 'none'), safe='')}",)
        second = (f"ldapi://{quote(str(silent), safe='')}",)
        wanted = replace(settings_for(uri), uri=(*first, *second, uri), network_timeout=0.5)
        connection.connect(wanted).close()
    with pytest.raises(ServerDown, match="none"):
        connection.connect(replace(settings_for(uri), uri=first))


def test_nobody_is_bound_as_nobody(tmp_path: Path) -> None:
    """An empty password would succeed; who we are is told by a Unix socket alone."""
    with listening(tmp_path) as uri, pytest.raises(InternalError, match="no password"):
        connection.connect(replace(settings_for(uri), bind_password=Secret("")))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"ldap://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(InternalError, match="needs a Unix socket"):
            connection.connect(replace(settings_for(uri), bind_dn=""))


@pytest.mark.parametrize(
    ("said", "refusal", "words"),
    [
        (result(2, operation=0x78), InternalError, "StartTLS: Protocol error"),
        (result(52, operation=0x78), ServerDown, "unavailable"),
        (result(operation=0x78) + BOUND, MalformedReply, "StartTLS"),
        (result(operation=0x78), ServerDown, "TLS"),
    ],
)
def test_without_tls_no_password_is_sent(said: bytes, refusal: type[Refusal], words: str) -> None:
    """Refused, unavailable, with more behind the answer, or no handshake: nothing is bound."""
    seen: list[bytes] = []

    def serve() -> None:
        client, _ = listener.accept()
        with client, suppress(OSError):
            seen.append(client.recv(1000))
            client.sendall(said)
            seen.append(client.recv(5))
            client.sendall(b"no handshake")
            while more := client.recv(1000):
                seen.append(more)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        uri = f"ldap://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Refusal, match=words) as told:
            connection.connect(replace(settings_for(uri), starttls=True, verify_certificate=False))
        thread.join(PATIENCE)
    assert type(told.value) is refusal
    assert b"geheim" not in b"".join(seen)


REACH = [
    ({"uri": ("ldap://127.0.0.1",)}, True),
    ({"uri": ("ldap://a.test",)}, False),
    ({"uri": ("ldap://a.test",), "starttls": False}, True),
    ({"uri": ("ldap://a.test",), "ca_file": "/etc/ca.pem"}, True),
    ({"uri": ("ldap://a.test",), "verify_certificate": False}, True),
    ({"uri": ("ldaps://a.test",)}, False),
    ({"uri": ("ldaps://a.test",), "ca_file": "/etc/ca.pem"}, True),
    ({"uri": ("ldap://127.0.0.1", "ldaps://a.test")}, False),
    ({"uri": ("ldapi://%2Fs",)}, True),
]


@pytest.mark.parametrize(("changes", "reached"), REACH)
def test_what_only_libldap_knows_is_left_to_it(changes: dict[str, Any], reached: bool) -> None:
    """Trust that its own configuration describes, say."""
    assert choice.wire_suffices(replace(settings_for("ldapi:///"), **changes)) == reached
