"""Exports of a real directory: whole, loadable, and an error whenever they are not."""

import base64
import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import ldap
import ldif
import pytest

import ldif_export
from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.directory_errors import DirectoryDenies
from iredldap.dit.names import Tree
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.errors import NoSuchAccount, ServerDown
from iredldap.gateways.ldap import servers
from iredldap.ldif.writer import record
from ldif_export import child_process, handover
from ldif_export.backup.full import text
from ldif_export.readers import libldap
from ldif_export.selection import Selection
from tests.support.patience import PATIENCE, started, wait_until
from tests.support.processes import holds_file_in

ROOT = Path(ldif_export.__file__).parent.parent
SUFFIX = "dc=example,dc=org"
TREE = Tree(SUFFIX)
PASSWORDS = {"vmail": "reads only", "vmailadmin": "reads and writes"}
USERS = 120
"""Each with 100 kB of description: far more than all buffers between slapd and a reader hold."""

ODD = {
    "title": [b" leading", b"trailing ", b":colon", b"<less", b"\ttab", b"line\nfeed", b"a\rb"],
    "street": ["Größe 東京".encode(), b"x" * 73, b"y" * 200, b"#hash"],
    "description": [b"d" * 100_000],
}

Entry = tuple[str, dict[str, list[bytes]]]


def hashed(password: str) -> bytes:
    salt = b"pepper"
    digest = hashlib.sha1(password.encode() + salt).digest()
    return b"{SSHA}" + base64.b64encode(digest + salt)


def service(name: str) -> Entry:
    return f"cn={name},{SUFFIX}", {
        "objectClass": [b"person", b"shadowAccount", b"top"],
        **{attribute: [name.encode()] for attribute in ("cn", "sn", "uid")},
        "userPassword": [hashed(PASSWORDS[name])],
    }


def base() -> list[Entry]:
    root = {"objectClass": [b"dcObject", b"organization"], "dc": [b"example"], "o": [b"example"]}
    return [
        (SUFFIX, root),
        service("vmail"),
        service("vmailadmin"),
        (TREE.base, {"objectClass": [b"organization"], "o": [b"domains"]}),
        (TREE.admin_base, {"objectClass": [b"organization"], "o": [b"domainAdmins"]}),
    ]


def domain(name: str) -> list[Entry]:
    entry = {"objectClass": [b"mailDomain"], "domainName": [name.encode()], "cn": ["Zoë".encode()]}
    units = [
        (
            TREE.container(name, unit),
            {"objectClass": [b"organizationalUnit"], "ou": [unit.encode()]},
        )
        for unit in ("Users", "Groups", "Aliases", "Externals")
    ]
    return [(TREE.domain(name), entry), *units]


def user(mail: str, **more: list[bytes]) -> Entry:
    local = mail.partition("@")[0].encode() or b"catch-all"
    return TREE.user(mail), {
        "objectClass": [b"inetOrgPerson", b"mailUser", b"shadowAccount", b"amavisAccount"],
        "mail": [mail.encode()],
        **{attribute: [local] for attribute in ("cn", "sn", "uid")},
        "userPassword": [hashed(mail)],
        "enabledService": [b"mail", b"deliver", b"smtp", b"imap"],
        "accountStatus": [b"active"],
        **more,
    }


def account(dn: str, object_class: str, name: str, value: str, **more: list[bytes]) -> Entry:
    return dn, {"objectClass": [object_class.encode()], name: [value.encode()], **more}


def accounts() -> list[Entry]:
    several = [user(f"u{n}@big.test", description=[b"d" * 100_000]) for n in range(USERS)]
    return [
        *domain("a.test"),
        user("odd@a.test", **ODD),
        user("-x@a.test"),
        user("plus+tag@a.test"),
        user("@a.test"),
        account(
            *(TREE.maillist("list@a.test"), "mailList", "mail", "list@a.test"),
            shadowAddress=[b"List-2@a.test ", b"list-3@a.test"],
        ),
        account(TREE.maillist("bare@a.test"), "mailList", "mail", "bare@a.test"),
        account(TREE.externals("list@a.test"), "mailExternalUser", "memberOfGroup", "list@a.test"),
        account(ELSEWHERE, "mailExternalUser", "memberOfGroup", "list-2@a.test"),
        account(TREE.alias("alias@a.test"), "mailAlias", "mail", "alias@a.test"),
        account(TREE.admin("root@else.test"), "mailAdmin", "mail", "root@else.test"),
        user("mover@a.test"),
        *domain("young.test"),
        *domain("big.test"),
        *several,
        *domain("split.test"),
        user("here@split.test"),
    ]


ELSEWHERE = f"mail=x@far.test,{TREE.container('a.test', 'Externals')}"
"""External members of another tool, who name a further address of a list."""


def settings(server: Slapd, name: str = "vmail") -> LdapSettings:
    return LdapSettings(
        uri=(server.ldapi,),
        suffix=SUFFIX,
        bind_dn=f"cn={name},{SUFFIX}",
        bind_password=Secret(PASSWORDS[name]),
        network_timeout=PATIENCE,
        operation_timeout=PATIENCE,
    )


@contextmanager
def connected(server: Slapd, name: str = "vmail") -> Iterator[Any]:
    connection = servers.connect(settings(server, name))
    try:
        yield connection
    finally:
        connection.unbind_ext()


@contextmanager
def running(home: Path, tree: list[Entry]) -> Iterator[Slapd]:
    server = Slapd(home=home, suffix=SUFFIX, schema_dir=ROOT / "schema", port=free_port())
    server.prepare(b"".join(record(dn, attributes) for dn, attributes in tree))
    started(server)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory of three domains; a user of the oldest has moved to the youngest."""
    with running(tmp_path_factory.mktemp("full"), base() + accounts()) as server:
        with connected(server, "vmailadmin") as connection:
            parent = TREE.container("young.test", "Users")
            connection.rename_s(TREE.user("mover@a.test"), "mail=mover@young.test", parent)
            foreign = {"objectClass": [b"referral", b"extensibleObject"], "ou": [b"Else"]}
            dn = f"ou=Else,{TREE.domain('split.test')}"
            connection.add_s(dn, [*foreign.items(), ("ref", [b"ldap://127.0.0.1:1/o=x"])])
        yield server


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Slapd]:
    """A directory without a domain, of its own for each test."""
    with running(tmp_path / "empty", base()) as server:
        yield server


def library(server: Slapd, selection: Selection) -> bytes:
    with connected(server) as connection:
        found = libldap.entries(connection, TREE, selection)
        return b"".join(text(found, passwords=selection.has_passwords))


def in_child(server: Slapd, selection: Selection) -> bytes:
    with closing(child_process.start(settings(server), selection)) as export:
        return b"".join(export)


def command(uri: str, *words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "ldif_export", "--uri", uri, "--suffix", SUFFIX, *words],
        env=os.environ | {"LDIF_EXPORT_PASSWORD": PASSWORDS["vmail"]},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )


def parsed(text: bytes) -> list[Entry]:
    reader = ldif.LDIFRecordList(io.BytesIO(text))
    reader.parse()
    return list(reader.all_records)


def state(pid: int) -> str:
    """State of a process as proc(5) has it; one that is not there is as good as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def is_gone(pid: int) -> bool:
    return state(pid) == "Z"


def stop(pid: int) -> None:
    """Keep a process from doing anything, dying in order included."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state(pid) == "T")


SELECTIONS = [
    Selection("domain", "a.test"),
    Selection("domain", "a.test", subtree=False),
    Selection("domain", "a.test", omit=frozenset({"description"}), passwords=False),
    Selection("user", "-x@a.test"),
    Selection("user", "plus+tag@a.test"),
    Selection("domain", "a.test", global_admins=False),
    Selection("catchall", "a.test"),
    Selection("admin", "root@else.test"),
    Selection("maillist", "list@a.test"),
    Selection("maillist", "bare@a.test"),
    Selection("alias", "alias@a.test"),
]


@pytest.mark.parametrize("selection", SELECTIONS, ids=lambda s: f"{s.kind}-{s.name}")
def test_every_way_gives_the_same_bytes(full: Slapd, selection: Selection) -> None:
    """Library, command and child process differ in nothing, nor do two runs."""
    expected = library(full, selection)
    ran = command(
        full.ldapi,
        "--subtree" if selection.subtree else "--no-subtree",
        "--passwords" if selection.passwords else "--no-passwords",
        "--global-admins" if selection.global_admins else "--no-global-admins",
        *(f"--omit={name}" for name in selection.omit),
        *("--", selection.kind, selection.name),
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout == expected == in_child(full, selection) == library(full, selection)


def test_odd_values_survive(full: Slapd) -> None:
    """Whatever the directory holds stands in the text, byte for byte."""
    ((dn, attributes),) = parsed(library(full, Selection("user", "odd@a.test")))
    assert dn == TREE.user("odd@a.test")
    assert {name: sorted(attributes[name]) for name in ODD} == {
        name: sorted(values) for name, values in ODD.items()
    }


def test_a_list_comes_with_its_external_members(full: Slapd) -> None:
    """All entries that name any of its addresses, and none where there is none."""
    text = library(full, Selection("maillist", "list@a.test"))
    assert [dn for dn, _ in parsed(text)] == [
        TREE.maillist("list@a.test"),
        TREE.externals("list@a.test"),
        ELSEWHERE,
    ]
    # Also if the attribute with the further addresses is left out of the text.
    thinned = Selection("maillist", "list@a.test", omit=frozenset({"shadowaddress"}))
    assert library(full, thinned).endswith(b"\nmail: x@far.test\n\n# entries: 3\n")
    ran = command(full.ldapi, "maillist", "list@a.test", "--omit", "shadowAddress")
    assert ran.stdout == library(full, thinned)
    assert len(parsed(library(full, Selection("maillist", "bare@a.test")))) == 1


def test_an_export_without_passwords_has_none(full: Slapd) -> None:
    """Not a hash is left, and the head says so."""
    text = library(full, Selection("domain", "a.test", passwords=False))
    assert b"userpassword" not in text.lower()
    assert text.startswith(b"version: 1\n# Password hashes: left out\n")
    assert all(hashed(mail) not in text for mail in ("odd@a.test", "-x@a.test"))


@pytest.mark.parametrize("name", ["a.test", "young.test"])
def test_an_export_restores_the_domain(full: Slapd, empty: Slapd, name: str) -> None:
    """Added in the order of the file to an empty tree, it is exported again byte for byte.

    One domain holds odd values, the other an account that is older than the domain itself.
    """
    text = library(full, Selection("domain", name))
    assert text.endswith(f"\n# entries: {text.count(b'dn: ')}\n".encode())
    with connected(empty, "vmailadmin") as connection:
        for dn, attributes in parsed(text):
            connection.add_s(dn, list(attributes.items()))
    assert library(empty, Selection("domain", name)) == text


def test_ldapadd_reads_an_export(full: Slapd, empty: Slapd) -> None:
    """OpenLDAP's own tool takes the file as it is, head and tail included."""
    text = library(full, Selection("domain", "a.test"))
    words = ["-x", "-H", empty.ldapi, "-D", f"cn=vmailadmin,{SUFFIX}"]
    words += ["-w", PASSWORDS["vmailadmin"]]
    ran = subprocess.run(["ldapadd", *words], input=text, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert library(empty, Selection("domain", "a.test")) == text


WRONG = [
    Selection("domain", "none.test"),
    Selection("user", "none@a.test"),
    Selection("user", "none@none.test"),
    Selection("catchall", "young.test"),
    Selection("maillist", "none@a.test"),
]


@pytest.mark.parametrize("selection", WRONG, ids=lambda s: f"{s.kind}-{s.name}")
def test_a_wrong_name_gives_no_byte(full: Slapd, selection: Selection) -> None:
    """What is not there is refused before the first byte, every way."""
    with connected(full) as connection:
        found = libldap.entries(connection, TREE, selection)
        with pytest.raises(NoSuchAccount):
            next(text(found, passwords=True))
    with pytest.raises(NoSuchAccount):
        child_process.start(settings(full), selection)
    ran = command(full.ldapi, selection.kind, selection.name)
    assert (ran.returncode, ran.stdout) == (handover.NO_SUCH_ACCOUNT, b"")
    assert ran.stderr.startswith(b"ldif-export: NO_SUCH_ACCOUNT: ")
    assert ran.stderr.count(b"\n") == 1


def test_a_directory_that_is_not_there_has_its_own_status(tmp_path: Path) -> None:
    """Nobody listens: the caller may try again later."""
    nobody = LdapSettings(
        uri=(f"ldapi://{str(tmp_path).replace('/', '%2F')}%2Fnone",),
        suffix=SUFFIX,
        bind_dn=f"cn=vmail,{SUFFIX}",
        bind_password=Secret("secret words"),
    )
    with pytest.raises(ServerDown) as told:
        child_process.start(nobody, Selection("domain", "a.test"))
    assert "secret words" not in str(told.value)
    assert command(nobody.uri[0], "domain", "a.test").returncode == handover.SERVER_DOWN


def test_a_wrong_password_is_an_error_that_does_not_show_it(full: Slapd) -> None:
    """The service account's own bind fails: no byte, and no password in the sentence."""
    wrong = replace(settings(full), bind_password=Secret("secret words"))
    with pytest.raises(DirectoryDenies) as told:
        child_process.start(wrong, Selection("domain", "a.test"))
    assert "Invalid credentials" in told.value.detail
    assert "secret words" not in told.value.detail


@pytest.mark.parametrize(
    "words",
    [
        ("domain", "no domain"),
        ("user", "a.test"),
        ("nonsense", "a.test"),
        ("--credentials-fd", "99", "domain", "a.test"),
        ("--password-file", os.devnull, "domain", "a.test"),
    ],
)
def test_a_wrong_command_line_has_its_own_status(full: Slapd, words: tuple[str, ...]) -> None:
    """Status 2, nothing on the standard output, no traceback."""
    ran = command(full.ldapi, *words)
    assert (ran.returncode, ran.stdout) == (2, b"")
    assert b"Traceback" not in ran.stderr


def test_a_limit_of_the_server_is_no_end(full: Slapd) -> None:
    """What the directory does not give at once is read in parts, and looks the same."""
    selection = Selection("domain", "a.test")
    with connected(full) as connection:
        whole = dict(libldap.entries(connection, TREE, selection))
        search = connection.search_ext

        def few(*args: Any, **options: Any) -> Any:
            return search(*args, **options | {"sizelimit": 7})

        connection.search_ext = few
        found = list(libldap.entries(connection, TREE, selection))
        assert len(found) == len(whole)
        assert dict(found) == whole


def test_a_referral_object_is_exported(full: Slapd) -> None:
    """As an entry of its domain: what it points to is not part of it."""
    with connected(full) as connection:
        found = dict(libldap.entries(connection, TREE, Selection("domain", "split.test")))
    assert found[f"ou=Else,{TREE.domain('split.test')}"]["ref"] == [b"ldap://127.0.0.1:1/o=x"]


def test_a_silent_server_is_waited_for_only_so_long(full: Slapd) -> None:
    """Each entry has its deadline."""
    assert full.pid is not None
    with connected(full) as connection:
        found = libldap.entries(connection, TREE, Selection("domain", "a.test"), timeout=0.2)
        stop(full.pid)
        try:
            with pytest.raises(ServerDown):
                next(found)
        finally:
            os.kill(full.pid, signal.SIGCONT)


def test_closing_the_entries_leaves_the_connection_usable(full: Slapd) -> None:
    """The search is abandoned, the next one gets its own answers."""
    with connected(full) as connection:
        found = libldap.entries(connection, TREE, Selection("domain", "big.test"))
        for _ in range(7):
            next(found)
        found.close()
        again = libldap.entries(connection, TREE, Selection("user", "-x@a.test"))
        assert [dn for dn, _ in again] == [TREE.user("-x@a.test")]


def test_a_crash_in_mid_stream_breaks_the_stream(tmp_path: Path) -> None:
    """A child whose directory dies ends with an error, again and again, never with an end."""
    with running(tmp_path / "crash", base() + accounts()) as server:
        with closing(
            child_process.start(settings(server), Selection("domain", "big.test"))
        ) as export:
            assert next(export).startswith(b"version: 1\n")
            server.kill()
            with pytest.raises(ServerDown):
                b"".join(export)
            with pytest.raises(ServerDown):
                next(export)
        server.start()
        with connected(server) as connection:
            found = libldap.entries(connection, TREE, Selection("domain", "big.test"))
            for _ in range(7):
                next(found)
            server.kill()
            with pytest.raises(ServerDown):
                list(found)


@contextmanager
def hanging_up(port: int, after: int) -> Iterator[int]:
    """Pass one connection on to a port, and hang up after so many bytes from there."""

    def pass_on(sender: socket.socket, receiver: socket.socket, most: float) -> None:
        passed = 0
        # Whoever is at an end may be gone already.
        with sender, receiver, suppress(OSError):
            while passed < most and (chunk := sender.recv(65536)):
                passed += len(chunk)
                receiver.sendall(chunk)
            for end in (sender, receiver):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        there = threading.Thread(
            target=pass_on, args=(client.dup(), server.dup(), float("inf")), daemon=True
        )
        there.start()
        pass_on(server, client, after)
        there.join(PATIENCE)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(PATIENCE)


def test_a_file_appears_only_when_it_is_whole(full: Slapd, tmp_path: Path) -> None:
    """A connection lost in mid-stream leaves neither the file nor a part of it."""
    output = tmp_path / "out" / "big.ldif"
    output.parent.mkdir()
    words = ("--output", str(output), "domain", "big.test")
    with hanging_up(full.port, after=1_000_000) as port:
        ran = command(f"ldap://127.0.0.1:{port}", *words)
    assert (ran.returncode, ran.stdout) == (handover.SERVER_DOWN, b"")
    assert list(output.parent.iterdir()) == []

    assert command(full.ldapi, *words).returncode == 0
    assert output.read_bytes() == library(full, Selection("domain", "big.test"))
    assert list(output.parent.iterdir()) == [output]
    assert output.stat().st_mode & 0o777 == 0o600


def test_a_failed_export_keeps_the_last_good_file(full: Slapd, tmp_path: Path) -> None:
    """Last night's backup is not lost to tonight's failure."""
    output = tmp_path / "a.ldif"
    output.write_bytes(b"yesterday")
    assert command(full.ldapi, "--output", str(output), "domain", "none.test").returncode == 3
    assert output.read_bytes() == b"yesterday"
    assert list(tmp_path.iterdir()) == [output]


def test_an_output_that_can_not_be_written_is_one_sentence(full: Slapd, tmp_path: Path) -> None:
    """A directory that is not there needs no traceback."""
    ran = command(full.ldapi, "--output", str(tmp_path / "none" / "x"), "domain", "a.test")
    assert ran.returncode == handover.FAILED
    folder = tmp_path / "none"
    sentence = f"ldif-export: {folder / 'x'}: the folder {folder} does not exist\n"
    assert ran.stderr.decode() == sentence


def test_a_reader_that_leaves_is_no_complaint(full: Slapd) -> None:
    """`ldif-export … | head` ends quietly, as any filter does."""
    words = ["--uri", full.ldapi, "--suffix", SUFFIX, "domain", "big.test"]
    with subprocess.Popen(
        [sys.executable, "-m", "ldif_export", *words],
        env=os.environ | {"LDIF_EXPORT_PASSWORD": PASSWORDS["vmail"]},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as ran:
        assert ran.stdout
        assert ran.stderr
        assert ran.stdout.read(10) == b"version: 1"
        ran.stdout.close()
        assert ran.stderr.read() == b""
        assert ran.wait(PATIENCE) == handover.READER_GONE


def connections(connection: Any) -> int:
    """How many connections the directory holds."""
    dn = "cn=Current,cn=Connections,cn=Monitor"
    ((_, counter),) = connection.search_s(dn, ldap.SCOPE_BASE, attrlist=["monitorCounter"])
    return int(counter["monitorCounter"][0])


def test_closing_a_half_read_export_ends_the_child(full: Slapd) -> None:
    """The child, its search and its connection go; nothing is left open here."""
    with connected(full, "vmailadmin") as watch:
        wait_until(lambda: connections(watch) == 1)
        open_before = set(Path("/proc/self/fd").iterdir())
        export = child_process.start(settings(full), Selection("domain", "big.test"))
        next(export)
        assert connections(watch) == 2
        export.close()
        assert is_gone(export.pid)
        assert list(export) == []
        export.close()
        wait_until(lambda: connections(watch) == 1)
        assert set(Path("/proc/self/fd").iterdir()) == open_before


def test_a_child_that_does_not_listen_is_ended(full: Slapd) -> None:
    """A stopped process takes no SIGTERM; it goes all the same."""
    export = child_process.start(settings(full), Selection("domain", "big.test"))
    stop(export.pid)
    export.close()
    assert is_gone(export.pid)


def test_closing_from_another_thread_ends_a_waiting_reader(full: Slapd) -> None:
    """A reader that waits for the next byte sees the end, and no error."""
    export = child_process.start(settings(full), Selection("domain", "big.test"))
    stop(export.pid)
    outcome: list[object] = []

    def read() -> None:
        try:
            outcome.append(sum(map(len, export)))
        except Exception as ex:  # noqa: BLE001
            outcome.append(ex)

    reader = threading.Thread(target=read)
    reader.start()
    export.close()
    reader.join(PATIENCE)
    assert [type(result) for result in outcome] == [int]


def test_an_export_outlives_the_thread_that_started_it(full: Slapd) -> None:
    """A server may start it in one thread and read it in another."""
    started: list[child_process.ExportProcess] = []
    selection = Selection("domain", "big.test")
    thread = threading.Thread(
        target=lambda: started.append(child_process.start(settings(full), selection))
    )
    thread.start()
    thread.join(PATIENCE)
    with closing(started[0]) as export:
        assert b"".join(export) == library(full, selection)


def test_no_secret_is_where_others_can_read_it(
    full: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password is neither in the child's command line nor in its environment."""
    secret = PASSWORDS["vmail"]
    monkeypatch.setenv("IREDLDAP_LDAP_BIND_PASSWORD", secret)
    monkeypatch.setenv("LDIF_EXPORT_PASSWORD", secret)
    with closing(child_process.start(settings(full), Selection("domain", "big.test"))) as export:
        for name in ("cmdline", "environ"):
            shown = Path(f"/proc/{export.pid}/{name}").read_bytes()
            assert shown
            assert secret.encode() not in shown


def test_a_child_ends_when_its_parent_is_killed(full: Slapd) -> None:
    """Nobody reads any more: the child and its connection go by themselves."""
    program = (
        "import sys, time; from ldif_export import child_process, handover;"
        "from ldif_export.selection import Selection;"
        "settings = handover.load(sys.stdin.buffer.readline());"
        "export = child_process.start(settings, Selection('domain', 'big.test'));"
        "print(export.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdin
        assert parent.stdout
        parent.stdin.write(handover.dump(settings(full)) + b"\n")
        parent.stdin.flush()
        child = int(parent.stdout.readline())
        assert not is_gone(child)
        parent.kill()
    wait_until(lambda: is_gone(child))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_an_ended_command_leaves_no_part_of_a_file(
    full: Slapd, tmp_path: Path, end: signal.Signals
) -> None:
    """While it waits for the directory; a process that is killed takes away nothing itself."""
    assert full.pid is not None
    output = tmp_path / "a.ldif"
    words = ["--credentials-fd", "0", "--output", str(output), "domain", "a.test"]
    stop(full.pid)
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "ldif_export", *words], stdin=subprocess.PIPE, cwd=ROOT
        ) as ran:
            assert ran.stdin
            # Its own time-out is five seconds, in which a busy machine may not look at it.
            ran.stdin.write(handover.dump(settings(full)))
            ran.stdin.close()
            wait_until(lambda: holds_file_in(ran.pid, tmp_path))
            ran.send_signal(end)
            ran.wait(PATIENCE)
    finally:
        os.kill(full.pid, signal.SIGCONT)
    assert ran.returncode == (handover.TERMINATED if end == signal.SIGTERM else -end)
    assert list(tmp_path.iterdir()) == []
