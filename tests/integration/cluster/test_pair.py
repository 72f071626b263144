"""The test pair itself: mirror mode as `deploy/openldap` sets it up, and the faults of it."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import ldap
import pytest

from iredldap.embedded import relay as relay_module
from iredldap.embedded.relay import Relay
from tests.support.pair import Pair
from tests.support.patience import PATIENCE, wait_until
from tests.support.world import SUFFIX, WRITER_PASSWORD


@pytest.fixture
def pair(bare: Pair) -> Iterator[Pair]:
    """A pair that is whole before and after."""
    yield bare
    bare.heal()
    bare.wait_until_equal()
    assert bare.differences() == {}


def write(pair: Pair, server: str, name: str, value: str) -> None:
    """Create a domain through a relay, or change it."""
    connection = ldap.initialize(pair.uri(server))
    connection.timeout = PATIENCE
    connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", WRITER_PASSWORD)
    dn = f"domainName={name},o=domains,{SUFFIX}"
    try:
        connection.add_s(
            dn,
            [
                ("objectClass", [b"mailDomain"]),
                ("domainName", [name.encode()]),
                ("cn", [value.encode()]),
            ],
        )
    except ldap.ALREADY_EXISTS:
        connection.modify_s(dn, [(ldap.MOD_REPLACE, "cn", [value.encode()])])
    connection.unbind_s()


def has(pair: Pair, server: str, name: str, value: str) -> bool:
    entry = pair.members[server].world.entry(f"domainName={name},o=domains,{SUFFIX}")
    return entry is not None and entry.attributes["cn"] == [value.encode()]


def test_the_second_is_seeded_with_the_first(pair: Pair) -> None:
    """Entries, their ids and states, and the vector are equal before anything was replicated."""
    assert pair.differences() == {}
    assert pair.a.vector() == pair.b.vector() != {}
    assert f"cn=replicator,{SUFFIX}" in pair.a.entries()
    assert f"cn=vmail,{SUFFIX}" in pair.b.entries()


def test_each_takes_writes_and_the_other_has_them(pair: Pair) -> None:
    """Changes go both ways, with the server id in their states."""
    for server, other, number in (("A", "B", "001"), ("B", "A", "002")):
        write(pair, server, "ways.test", f"on {server}")
        wait_until(partial(has, pair, other, "ways.test", f"on {server}"))
        entry = pair.members[other].world.entry(f"domainName=ways.test,o=domains,{SUFFIX}")
        assert entry
        assert entry.attributes["entryCSN"][0].split(b"#")[2] == number.encode()


def test_a_killed_one_catches_up(pair: Pair) -> None:
    """What it missed is there after its start; it knows of nothing meanwhile."""
    pair.a.kill()
    write(pair, "B", "killed.test", "while A was away")
    pair.a.start()
    wait_until(lambda: has(pair, "A", "killed.test", "while A was away"))


def test_a_hung_one_catches_up(pair: Pair) -> None:
    """A stopped server answers nobody; it has the changes when it goes on."""
    pair.b.stop()
    write(pair, "A", "hung.test", "while B hung")
    connection = ldap.initialize(pair.uri("B"))
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, 0.3)
    connection.set_option(ldap.OPT_TIMEOUT, 0.3)
    with pytest.raises((ldap.TIMEOUT, ldap.SERVER_DOWN)):
        connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", WRITER_PASSWORD)
    pair.b.cont()
    wait_until(lambda: has(pair, "B", "hung.test", "while B hung"))


@pytest.mark.parametrize("fault", ["cut", "hang"])
def test_a_broken_link_leaves_both_serving(pair: Pair, fault: str) -> None:
    """Clients reach both, each without the other's changes until the link is healed."""
    for line in pair.link:
        getattr(line, fault)()
    write(pair, "A", f"{fault}-a.test", "on A")
    write(pair, "B", f"{fault}-b.test", "on B")
    assert not has(pair, "A", f"{fault}-b.test", "on B")
    assert not has(pair, "B", f"{fault}-a.test", "on A")
    for line in pair.link:
        line.heal()
    wait_until(lambda: has(pair, "A", f"{fault}-b.test", "on B"))
    wait_until(lambda: has(pair, "B", f"{fault}-a.test", "on A"))


def test_what_only_the_former_writer_has_undoes_nothing(pair: Pair) -> None:
    """It arrives when the server is back, and is older than what the other one has by then."""
    names = [f"former{count}.test" for count in range(4)]
    for name in names:
        write(pair, "A", name, "before")
    pair.wait_until_equal()
    for line in pair.link:
        line.hang()
    for name in names:
        pair.a.world.set(pair.a.world.tree.domain(name), cn="by the former writer")
    for count, name in enumerate(names):
        for number in range(count):
            pair.b.world.set(pair.b.world.tree.domain(name), cn=f"by the new writer {number}")
    for line in pair.link:
        line.heal()
    # A change that has to pass behind all of these, each way.
    for server, other in (("A", "B"), ("B", "A")):
        write(pair, server, f"behind-{server}.test".lower(), "behind")
        wait_until(partial(has, pair, other, f"behind-{server}.test".lower(), "behind"))

    assert pair.differences() == {}
    assert has(pair, "B", names[0], "by the former writer")
    for count, name in enumerate(names[1:]):
        assert has(pair, "B", name, f"by the new writer {count}")


def test_one_client_can_be_cut_off_alone(pair: Pair) -> None:
    """Both use the same URI; they are told apart by the environment of their processes."""
    bind = (
        "import ldap, sys\n"
        "try:\n"
        "    ldap.initialize(sys.argv[1]).simple_bind_s(*sys.argv[2:])\n"
        "except ldap.SERVER_DOWN:\n"
        "    sys.exit(3)"
    )
    pair.line("n2", "A").cut()

    statuses = [
        subprocess.run(
            [
                sys.executable,
                "-c",
                bind,
                pair.uri(server),
                f"cn=vmailadmin,{SUFFIX}",
                WRITER_PASSWORD,
            ],
            env=os.environ | pair.environment(client),
            check=False,
        ).returncode
        for client, server in (("n1", "A"), ("n2", "A"), ("n2", "B"))
    ]

    assert statuses == [0, 3, 0]


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets, and ends when the client does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection:
                while data := connection.recv(1000):
                    connection.sendall(data)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_relay_passes_hangs_is_cut_and_heals(echo: int) -> None:
    """What was sent while it hung arrives later; what was cut is gone, and its port refuses."""
    relay = Relay(echo)
    relay.start()
    try:
        with closing(connected(relay)) as client:
            client.sendall(b"one")
            assert client.recv(10) == b"one"
            relay.hang()
            client.sendall(b"two")
            client.settimeout(0.1)
            with pytest.raises(TimeoutError):
                client.recv(10)
            relay.heal()
            client.settimeout(PATIENCE)
            assert client.recv(10) == b"two"
            client.shutdown(socket.SHUT_WR)
            assert client.recv(10) == b""
        with closing(connected(relay)) as client:
            client.sendall(b"three")
            assert client.recv(10) == b"three"
            relay.cut()
            with pytest.raises(ConnectionRefusedError):
                connected(relay)
            assert ended(client)
        relay.heal()
        with closing(connected(relay)) as client:
            client.sendall(b"four")
            assert client.recv(10) == b"four"
    finally:
        relay.stop()
    with pytest.raises(ConnectionRefusedError):
        connected(relay)


def test_a_relay_forgets_what_the_kernel_would_not_send_again(
    echo: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TCP_USER_TIMEOUT after it was sent: a write must not arrive in another epoch."""
    monkeypatch.setattr(relay_module, "GIVEN_UP", 0.05)
    relay = Relay(echo)
    relay.start()
    try:
        with closing(connected(relay)) as client:
            client.sendall(b"one")
            assert client.recv(10) == b"one"
            relay.hang()
            client.sendall(b"late")
            time.sleep(0.3)
            relay.heal()
            assert ended(client)
    finally:
        relay.stop()


def test_a_relay_without_a_server_closes_connections(tmp_path: Path) -> None:
    """The relay goes on for the server's return."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    relay = Relay(port)
    relay.start()
    try:
        with closing(connected(relay)) as client:
            assert ended(client)
    finally:
        relay.stop()


def connected(relay: Relay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", relay.port), timeout=PATIENCE)


def ended(client: socket.socket) -> bool:
    """Return whether a connection was closed or reset."""
    try:
        return client.recv(10) == b""
    except ConnectionResetError:
        return True
