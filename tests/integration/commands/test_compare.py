"""`iredldap directory compare` finds what two servers have not in common, and changes nothing."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from iredldap.cli import main
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.shipped import shipped
from tests.support.exported import SECRET, SUFFIX, TREE, domain, running, user
from tests.support.patience import started
from tests.support.serving import SESSION_KEY

STATES = [f"20991231000000.000000Z#000000#00{sid}#000000" for sid in (0, 1)]
OLDER = "20260101000000.000000Z#000000#001#000000"
NEWER = "20260101000000.000001Z#000000#000#000000"
ANN, BOB = (TREE.user(f"{name}@a.test") for name in ("ann", "bob"))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A provider, and whatever replicates it is a copy of what it has."""
    tree = [
        *domain("a.test"),
        user("ann@a.test", entryCSN=[NEWER.encode()]),
        user("bob@a.test", entryCSN=[NEWER.encode()]),
    ]
    home = tmp_path_factory.mktemp("first")
    with running(home, tree, syncprov=True, states=STATES) as server:
        yield server


@contextmanager
def replica(
    home: Path, of: Slapd, change: Callable[[bytes], bytes] = lambda ldif: ldif
) -> Iterator[Slapd]:
    """Run a second server with what slapcat has of the first, changed."""
    schema = shipped("schema")
    server = Slapd(home=home, suffix=SUFFIX, schema_dir=schema, port=free_port(), syncprov=True)
    server.prepare(change(of.dump()))
    started(server)
    try:
        yield server
    finally:
        server.stop()


def changed(dn: str, old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Replace a line of one entry."""

    def change(ldif: bytes) -> bytes:
        records = ldif.replace(b"\n ", b"").split(b"\n\n")
        (place,) = (n for n, one in enumerate(records) if f"dn: {dn}\n".encode() in one)
        assert old in records[place]
        records[place] = records[place].replace(old, new)
        return b"\n\n".join(records)

    return change


def without(dn: str) -> Callable[[bytes], bytes]:
    def change(ldif: bytes) -> bytes:
        records = ldif.replace(b"\n ", b"").split(b"\n\n")
        return b"\n\n".join(one for one in records if f"dn: {dn}\n".encode() not in one)

    return change


@pytest.fixture
def compare(first: Slapd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command with a configuration that names the first server."""
    monkeypatch.setenv("IREDLDAP_LDAP_BIND_PASSWORD", SECRET)
    monkeypatch.setenv("IREDLDAP_SESSION_KEYS", SESSION_KEY)
    path = tmp_path / "iredldap.toml"
    account = f'suffix = "{SUFFIX}"\nbind_dn = "cn=vmailadmin,{SUFFIX}"\n'
    path.write_text(f'[ldap]\nuri = ["{first.uri}"]\n{account}')

    def run(*words: Any) -> Result:
        arguments = ["directory", "compare", "--config", path, *words]
        return CliRunner().invoke(main, [str(word) for word in arguments])

    return run


def test_equal_servers_are_equal(
    first: Slapd, tmp_path: Path, compare: Callable[..., Result]
) -> None:
    with replica(tmp_path / "second", first) as second:
        for options in ((), ("--attributes",)):
            done = compare("--with", second.uri, *options)
            assert (done.exit_code, done.output.splitlines()[-1]) == (0, "0 entries differ")


def test_an_older_state_is_found_though_contextcsn_is_equal(
    first: Slapd, tmp_path: Path, compare: Callable[..., Result]
) -> None:
    """The DN, which server is older, and whose change that is."""
    change = changed(ANN, NEWER.encode(), OLDER.encode())
    with replica(tmp_path / "second", first, change) as second:
        done = compare("--with", second.uri)

    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert lines[:3] == [
        ANN,
        f"    {first.uri}: changed 2026-01-01T00:00:00.000001Z by server 000",
        f"    {second.uri}: changed 2026-01-01T00:00:00.000000Z by server 001, older",
    ]
    assert (
        lines[-1] == "1 entry differs, though contextCSN is equal: replication will not mend that"
    )


def test_a_missing_entry_and_another_name_are_found(
    first: Slapd, tmp_path: Path, compare: Callable[..., Result]
) -> None:
    """As JSON: a line for each entry, and the summary last."""

    def change(ldif: bytes) -> bytes:
        return without(ANN)(ldif).replace(b"bob@a.test", b"bo@a.test")

    with replica(tmp_path / "second", first, change) as second:
        done = compare("--with", second.uri, "--json")

    assert done.exit_code == 1
    missing, renamed, last = map(json.loads, done.output.splitlines())
    assert (missing["dn"], missing["servers"][second.uri]) == (ANN, None)
    assert missing["servers"][first.uri] == {"dn": ANN, "entryCSN": NEWER}
    assert renamed["servers"][second.uri]["dn"] == BOB.replace("bob@", "bo@")
    assert last["summary"]["differences"] == 2
    counts = [server["entries"] for server in last["summary"]["servers"].values()]
    assert counts[0] == counts[1] + 1
    assert last["summary"]["servers"][first.uri]["contextCSN"] == STATES


def test_other_values_under_one_entrycsn_are_found_by_attributes(
    first: Slapd, tmp_path: Path, compare: Callable[..., Result]
) -> None:
    """Only that compares them; it names attributes, never values."""
    change = changed(ANN, b"accountStatus: active", b"accountStatus: disabled")
    with replica(tmp_path / "second", first, change) as second:
        assert compare("--with", second.uri).exit_code == 0

        done = compare("--with", second.uri, "--attributes")

    assert done.exit_code == 1
    assert "    differ in: accountStatus\n" in done.output
    assert "disabled" not in done.output


def test_nothing_is_compared_with_a_server_that_does_not_answer(
    compare: Callable[..., Result],
) -> None:
    done = compare("--with", f"ldap://127.0.0.1:{free_port()}")

    assert done.exit_code == 2
    assert "SERVER_DOWN" in done.output


def test_one_server_alone_is_not_compared(first: Slapd, compare: Callable[..., Result]) -> None:
    done = compare()

    assert done.exit_code == 2
    assert "--with" in done.output
