"""A consumer in `ldap.uri` of an agreed pair: a fault of the configuration, yet no wrong answer.

`test_survey.py` has what `check-config --probe` says of it.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from iredldap.config.settings import Secret
from iredldap.dit.plan import Add
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.errors import NoSuchAccount, ServerDown
from iredldap.gateways.cluster.view import Mode
from iredldap.shipped import shipped
from iredldap.web.stale_reads import StaleReads
from tests.support.agreed import Node, insistent
from tests.support.databases import PostgreSQL
from tests.support.exported import SECRET, SUFFIX, TREE, domain, running
from tests.support.patience import PATIENCE, started, wait_until

VMAILADMIN = f"cn=vmailadmin,{SUFFIX}"


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Slapd]:
    with running(tmp_path / "provider", [*domain("a.test")], syncprov=True) as server:
        yield server


@pytest.fixture
def consumer(provider: Slapd, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Slapd]:
    lines = (
        f"syncrepl rid=002 provider={provider.uri} bindmethod=simple",
        f'    binddn="{VMAILADMIN}" credentials="{SECRET}" searchbase="{SUFFIX}"',
        f'    retry="1 +" {request.param}',
        f"updateref {provider.uri}",
    )
    slapd = Slapd(
        home=tmp_path / "consumer",
        suffix=SUFFIX,
        schema_dir=shipped("schema"),
        port=free_port(),
        extra="\n".join(lines),
    )
    slapd.prepare(provider.dump())
    started(slapd)
    yield slapd
    slapd.stop()


@pytest.fixture
def node(provider: Slapd, consumer: Slapd, postgresql: PostgreSQL) -> Iterator[Node]:
    url = str(postgresql.fresh().iredadmin)
    pair: Any = SimpleNamespace(uris=[consumer.uri, provider.uri])
    account = {"suffix": SUFFIX, "bind_dn": VMAILADMIN, "bind_password": Secret(SECRET)}
    with closing(Node(pair, url, "n1", reads="any", **account)) as made:
        made.await_mode(Mode.TOGETHER)
        yield made


def creation(name: str) -> Add:
    ((dn, attributes), *_) = domain(name)
    return Add(dn, {key: tuple(values) for key, values in attributes.items()})


def is_known(node: Node, name: str) -> bool:
    return node.directory.read(TREE.domain(name), ("1.1",)) is not None


def falls(node: Node, provider: Slapd) -> None:
    """Kill the provider, and see to it that the consumer does not take its place."""
    before = node.row
    provider.kill()
    until = time.monotonic() + 3 * node.settings.failover_after
    while time.monotonic() < until:
        with pytest.raises(ServerDown):
            node.directory.write(creation("refused.test"))
        time.sleep(0.1)
    assert (node.row.uri, node.row.epoch) == (before.uri, before.epoch) == (provider.uri, 1)


@pytest.mark.parametrize("consumer", ["type=refreshAndPersist"], indirect=True)
def test_one_that_follows_confirms_and_answers_reads(node: Node, provider: Slapd) -> None:
    node.write(creation("made.test"))
    assert all(is_known(node, "made.test") for _ in range(4))
    assert node.row.mode is Mode.TOGETHER

    falls(node, provider)

    assert all(is_known(node, "made.test") for _ in range(4))
    assert not is_known(node, "refused.test")
    started(provider)
    assert wait_until(lambda: writes(node), PATIENCE) < 10


@pytest.mark.parametrize(
    "consumer", ["type=refreshOnly interval=00:01:00:00"], indirect=True, ids=["polls"]
)
def test_of_one_that_polls_nothing_is_said_not_to_exist(node: Node, provider: Slapd) -> None:
    """As in iRedMail's guide: a panel that is told 404 makes the account anew."""
    insistent(lambda: node.directory.write(creation("made.test")))
    assert node.row.mode is Mode.ALONE
    assert all(is_known(node, "made.test") for _ in range(4))

    falls(node, provider)

    node.directory.take_notice()
    assert is_known(node, "a.test")
    assert node.directory.take_notice()
    assert not is_known(node, "made.test")
    told = StaleReads(node.directory).judged(NoSuchAccount("made.test"))
    assert isinstance(told, ServerDown)
    started(provider)
    assert wait_until(lambda: writes(node), PATIENCE) < 10
    wait_until(lambda: is_known(node, "made.test"))


def writes(node: Node) -> bool:
    try:
        node.directory.write(creation(f"again{time.monotonic_ns()}.test"))
    except ServerDown:
        return False
    return True
