"""`iredldap directory status` and `promote` on a pair."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from iredldap.cli import main
from iredldap.config.settings import Secret
from iredldap.dit import csn
from iredldap.gateways.cluster.register import WriterRegister
from iredldap.gateways.cluster.view import Mode
from iredldap.gateways.state import StateDatabase
from ldif_export.__main__ import main as ldif_export
from tests.support.agreed import Node, change, configured, creation, domain
from tests.support.databases import PostgreSQL
from tests.support.pair import Member, Pair
from tests.support.patience import wait_until
from tests.support.world import SUFFIX


@pytest.fixture
def config(running: Pair, state_url: str, tmp_path: Path) -> Path:
    """A configuration of the pair."""
    return configured(running.uris, state_url, tmp_path)


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["directory", *arguments, "--config", str(config)])


def told(config: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(config, "status", "--json").stdout)
    return found


def standby(pair: Pair, node: Node) -> Member:
    (name,) = [name for name in pair.members if pair.uri(name) != node.row.uri]
    return pair.members[name]


def test_a_whole_pair(pair: Pair, node: Node, config: Path) -> None:
    node.directory.write(creation("whole.test"))
    wait_until(lambda: node.register.epochs()[-1].server_id is not None)

    found = told(config)
    shown = run(config, "status")

    assert shown.exit_code == 0, shown.output
    assert found["ok"]
    assert (found["mode"], found["usable"]) == ("together", True)
    assert found["writer"] == node.row.uri
    first, second = sorted(found["servers"], key=lambda one: one["role"])
    assert (first["role"], second["role"]) == ("standby", "writer")
    assert (first["lag"], first["strays"], second["strays"]) == (0, 0, 0)
    assert first["context_csn"] == second["context_csn"] != []
    # Either may have been the writer before.
    assert second["server_id"] in {csn.server_id(one) for one in second["context_csn"]}
    assert f"epoch {node.row.epoch}: the writer is {node.row.uri} since 20" in shown.output
    assert "mode: together for" in shown.output


def test_a_standby_that_is_gone(pair: Pair, node: Node, config: Path) -> None:
    beside = standby(pair, node)
    beside.kill()
    node.directory.write(creation("gone.test"))

    shown = run(config, "status")

    assert shown.exit_code == 1
    assert "mode: alone" in shown.output
    assert "does not answer: " in shown.output
    refused = run(config, "promote")
    assert refused.exit_code == 1
    assert "does not answer" in refused.output
    beside.start()


def test_what_is_written_beside_the_agreement_is_a_stray(
    pair: Pair, node: Node, config: Path
) -> None:
    """By its server id, until the writer writes the entry again."""
    # Both have been a writer: so both server ids are known.
    for _ in range(2):
        assert run(config, "promote").exit_code == 0
        node.await_mode(Mode.TOGETHER)
        node.write(creation(f"epoch{node.row.epoch}.test"))
        epoch = node.row.epoch
        wait_until(lambda e=epoch: node.register.epochs()[e - 1].server_id is not None)  # type: ignore[misc]
    connection = standby(pair, node).world.connect()
    name = f"epoch{node.row.epoch}.test"
    connection.modify_s(domain(name), [(2, "cn", [b"beside"])])
    pair.wait_until_equal()

    shown = run(config, "status")

    assert shown.exit_code == 1
    assert shown.output.count("1 strays") == 2, shown.output
    node.write(change(name, "by the writer"))
    assert run(config, "status").output.count(" 0 strays") == 2


class TestPromotion:
    """An admin makes the other server the writer."""

    def test_of_a_pair_that_is_together(self, pair: Pair, node: Node, config: Path) -> None:
        node.directory.write(creation("planned.test"))
        before, beside = node.row, standby(pair, node)
        began = time.monotonic()

        done = run(config, "promote")

        assert done.exit_code == 0, done.output
        assert "writes are accepted" in done.output
        assert time.monotonic() - began >= before.lease
        assert node.row.uri == pair.uri(beside.name) != before.uri
        assert node.row.epoch == before.epoch + 1
        node.write(change("planned.test", "on the new one"))
        again = run(config, "promote", node.row.uri)
        assert again.exit_code == 1
        assert "is the writer already" in again.output

    def test_by_force_says_what_is_lost(self, pair: Pair, node: Node, config: Path) -> None:
        """Of a writer that died alone: nothing else takes its place."""
        (first,) = [m for m in pair.members.values() if pair.uri(m.name) == node.row.uri]
        beside = standby(pair, node)
        beside.kill()
        node.directory.write(creation("lost.test"))
        assert node.row.mode is Mode.ALONE
        first.kill()
        beside.start()
        refused = run(config, "promote")
        assert refused.exit_code == 1
        assert "not together" in refused.output

        done = run(config, "promote", "--force")

        assert done.exit_code == 0, done.output
        assert "in doubt" in done.output
        node.write(creation("after.test"))
        assert beside.world.entry(domain("after.test"))
        assert node.register.epochs()[-1].forced
        # What it alone had comes back with it.
        first.start()
        node.await_mode(Mode.TOGETHER)
        assert beside.world.entry(domain("lost.test"))


def test_the_first_writer_by_force(
    pair: Pair, postgresql: PostgreSQL, tmp_path: Path, config: Path
) -> None:
    """Where one server is missing, no worker chooses; an admin may."""
    postgresql.drop("founded")
    url = postgresql.create_empty("founded")
    folder = tmp_path / "founded"
    folder.mkdir()
    other = configured(pair.uris, url, folder)
    refused = run(other, "promote", pair.uri("B"))
    assert refused.exit_code == 1
    assert "no writer is agreed yet" in refused.output
    pair.a.kill()

    done = run(other, "promote", "--force", pair.uri("B"))

    assert done.exit_code == 0, done.output
    register = WriterRegister(StateDatabase(Secret(url)).database, "test")
    row = register.read()
    register.close()
    assert row
    assert (row.uri, row.usable, row.mode) == (pair.uri("B"), True, Mode.ALONE)
    pair.a.start()


@pytest.mark.parametrize("uri", ["ldap://elsewhere.test"])
def test_another_server_is_refused(pair: Pair, config: Path, uri: str) -> None:
    done = run(config, "promote", "--force", uri)

    assert done.exit_code == 1
    assert "is not in ldap.uri" in done.output


def test_without_an_agreement_there_is_no_status(config: Path, tmp_path: Path) -> None:
    text = config.read_text().replace('writer = "agreed"', "")
    (tmp_path / "one.toml").write_text(text.replace("uri = [", 'uri = ["ldap://a.test"] # '))

    found = run(tmp_path / "one.toml", "status")

    assert found.exit_code == 2
    assert "ldap.writer" in found.output


def restored(config: Path, file: Path, uri: str) -> Result:
    login = ["--uri", uri, "--suffix", SUFFIX, "--password-file", str(config.parent / "password")]
    return CliRunner().invoke(ldif_export, ["restore", *login, "--config", str(config), str(file)])


def test_a_restore_writes_to_the_agreed_writer(
    pair: Pair, node: Node, config: Path, tmp_path: Path
) -> None:
    """Whichever server it names; and not to one that may be the standby by another name."""
    domain_file = tmp_path / "restored.ldif"
    domain_file.write_text(
        f"dn: {domain('restored.test')}\nobjectClass: mailDomain\ndomainName: restored.test\n"
    )
    beside = standby(pair, node)
    uri = next(one for one in pair.uris if one != node.row.uri)
    node.directory.write(creation("marked.test"))
    wait_until(lambda: node.register.epochs()[-1].server_id is not None)

    assert restored(config, domain_file, uri).exit_code == 0

    entry = beside.world.entry(domain("restored.test"))
    assert entry is not None
    assert entry.csn is not None
    assert csn.server_id(entry.csn) == node.register.epochs()[-1].server_id
    refused = restored(config, domain_file, f"{uri}/")
    assert refused.exit_code == 2
    assert "has an agreed writer: name --uri" in refused.output


def test_an_export_reads_where_the_agreement_says(pair: Pair, node: Node) -> None:
    def uris() -> tuple[str, ...]:
        return node.directory.settings_for_reads().uri

    # Both have every acknowledged change; a server that was not seen for a moment is left out.
    wait_until(lambda: {*uris()} == {*pair.uris})
    assert node.directory.settings_for_reads().writer == "first"
