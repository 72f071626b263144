"""Nodes that name a server otherwise than others: while its address is changed, or by mistake."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iredldap.cli import main
from iredldap.errors import ServerDown
from iredldap.gateways.cluster.agreement import NoWriter
from iredldap.gateways.cluster.view import Mode
from tests.support.agreed import Node, configured, creation, domain
from tests.support.databases import execute
from tests.support.pair import Pair
from tests.support.patience import wait_until

Making = Callable[..., Node]


def renamed(uri: str) -> str:
    """Return another address of the same server."""
    return uri.replace("127.0.0.1", "localhost")


def beside(pair: Pair, node: Node) -> str:
    (uri,) = {*pair.uris} - {node.row.uri}
    return uri


@pytest.fixture
def node_naming(pair: Pair, state_url: str) -> Iterator[Making]:
    """Make a worker of a node that names the servers so, as long as the test lasts."""
    with ExitStack() as stack:

        def make(*uris: str) -> Node:
            made = Node(pair, state_url, "renamed", uri=uris)
            stack.callback(made.close)
            return made

        yield make


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["directory", *arguments, "--config", str(config)])


def test_the_writer_gets_another_address_and_the_former_one_again(
    pair: Pair, node: Node, other: Node, state_url: str, tmp_path: Path, node_naming: Making
) -> None:
    """At every moment one of the addresses is written to, by whoever names it."""
    node.write(creation("before.test"))
    # Its server id is noted.
    wait_until(lambda: node.register.epochs()[node.row.epoch - 1].server_id is not None)
    old, standby = node.row.uri, beside(pair, node)
    new = renamed(old)
    one = node_naming(new, standby)
    config = configured([new, standby], state_url, tmp_path)

    # Which node is asked says what to do.
    with pytest.raises(NoWriter, match=f"`iredldap directory rename {old} NEW`"):
        one.directory.write(creation("unnamed.test"))
    assert one.directory.read(domain("before.test"), ("cn",))
    assert f"ldap.uri does not name the agreed writer {old}" in (one.servers.take_notice() or "")
    with pytest.raises(ServerDown, match="does not name the agreed writer"):
        one.servers.check()
    shown = run(config, "status")
    assert shown.exit_code == 1
    assert f"`iredldap directory rename {old} NEW`" in shown.output
    # Its address does not show that it is none but the other one.
    assert "if an address has changed" in run(config, "promote", new).output
    refused = run(config, "rename", old, renamed(standby))
    assert (refused.exit_code, "is not in ldap.uri" in refused.output) == (1, True)
    refused = run(config, "rename", old, standby)
    assert (refused.exit_code, "is another server: it has" in refused.output) == (1, True)
    refused = run(config, "rename", standby, standby)
    assert (refused.exit_code, f"the writer is {old}, which" in refused.output) == (1, True)

    done = run(config, "rename", old, new)

    assert done.exit_code == 0, done.output
    assert "writes are accepted" in done.output
    one.write(creation("after.test"))
    assert node.row.uri == new
    with pytest.raises(NoWriter, match=f"does not name the agreed writer {new}"):
        other.directory.write(creation("former.test"))
    one.await_mode(Mode.TOGETHER)
    back = tmp_path / "back"
    back.mkdir()
    config = configured(pair.uris, state_url, back)
    done = run(config, "rename", new, old, renamed(standby), standby)
    assert done.exit_code == 0, done.output
    node.write(creation("back.test"))


def test_the_other_server_gets_another_address_without_an_order(
    pair: Pair, node: Node, node_naming: Making
) -> None:
    """A node that names it otherwise is not confirmed by the server that the others rely on."""
    old = beside(pair, node)
    one = node_naming(node.row.uri, renamed(old))
    assert node.row.standby == old

    one.write(creation("renamed.test"))

    # Who has joined it since: nobody takes the one for the other.
    row = node.row
    assert row.mode is not Mode.TOGETHER
    one.close()
    node.await_mode(Mode.TOGETHER)
    assert node.row.standby == old


def test_a_server_that_does_not_exist_keeps_the_others_from_nothing(
    pair: Pair, node: Node, node_naming: Making
) -> None:
    """As long as no change comes by the node that names it."""
    before = node.row
    one = node_naming(before.uri, "ldap://127.0.0.1:1")
    assert one.servers.agreement.held()
    wait_until(lambda: one.servers.agreement.sight("ldap://127.0.0.1:1").failures > 3)

    assert node.row.is_same(before)


def test_an_address_of_another_server_is_found_out(
    pair: Pair, node: Node, state_url: str, node_naming: Making
) -> None:
    """By the server id of the first write: no further one is acknowledged."""
    node.write(creation("known.test"))
    epoch = node.row.epoch
    wait_until(lambda: node.register.epochs()[epoch - 1].server_id is not None)
    known = node.register.epochs()[epoch - 1].server_id
    note = f"UPDATE directory_epochs SET server_id = {{}} WHERE epoch = {epoch}"
    execute(state_url, note.format(9))
    one = node_naming(*pair.uris)

    one.directory.write(creation("unknown.test"))

    def is_refused() -> bool:
        try:
            one.servers.agreement.permitted()
        except NoWriter as ex:
            return "the agreed writer had the server id 009" in ex.detail
        return False

    wait_until(is_refused)
    execute(state_url, note.format(known))


@pytest.mark.parametrize("words", [("OLD",), ("OLD", "NEW", "OLD", "NEWER")])
def test_each_old_address_has_one_new_one(
    pair: Pair, state_url: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = run(configured(pair.uris, state_url, tmp_path), "rename", *words)

    assert done.exit_code == 2
    assert "OLD NEW" in done.output
