"""A consumer in the place of the provider: it answers reads, and refuses every write."""

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.cluster.watch import ServerWatch
from iredldap.shipped import shipped
from tests.support.client import Client, refused
from tests.support.patience import PATIENCE, started, wait_until
from tests.support.serving import Served
from tests.support.world import (
    ADMIN,
    SUFFIX,
    UNFLUSHED,
    WRITER_PASSWORD,
    first_tree,
)

CODE = "DIRECTORY_READ_ONLY"


@pytest.fixture(scope="module", params=["with updateref", "without updateref"])
def consumer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Slapd]:
    """One that was seeded, and whose provider is away."""
    provider = f"ldap://127.0.0.1:{free_port()}"
    lines = [
        UNFLUSHED,
        f'rootdn "cn=root,{SUFFIX}"',
        (
            f'syncrepl rid=001 provider={provider} type=refreshAndPersist retry="1 +"'
            f' searchbase="{SUFFIX}" bindmethod=simple binddn="cn=vmailadmin,{SUFFIX}"'
            f' credentials="{WRITER_PASSWORD}"'
        ),
        *([f"updateref {provider}"] if request.param == "with updateref" else []),
    ]
    server = Slapd(
        home=tmp_path_factory.mktemp("consumer"),
        suffix=SUFFIX,
        schema_dir=shipped("schema"),
        port=free_port(),
        extra="\n".join(lines),
    )
    server.prepare(first_tree())
    yield started(server)
    server.stop()


@pytest.fixture
def served(serve: Any, consumer: Slapd) -> Served:
    found: Served = serve(ldap={"uri": [consumer.uri]})
    return found


def test_reads_are_answered_and_writes_refused(served: Served) -> None:
    """Each kind of write, for as long as it is so: nothing is 500, and nothing that exists 404."""
    api = served.client().log_in()
    for _ in range(2):
        for method, path, fields in (
            ("POST", "/api/domain/new.test", {}),
            ("PUT", f"/api/admin/{ADMIN}", {"name": "x"}),
            ("POST", "/api/admin/eve@admins.test", {"password": "a good password"}),
        ):
            answer = refused(api.call(method, path, **fields), 503, CODE)
            assert int(answer.headers["Retry-After"]) > 0
    assert api.get(f"/api/admin/{ADMIN}").status_code == 200
    assert api.get("/api/domains").json()["_data"] == {}


def test_a_job_is_refused_for_good(served: Served) -> None:
    """It does not wait: no other server will come."""
    api = served.client().log_in()
    answer = api.call("POST", "/api/domain/new.test", headers={"Prefer": "respond-async"})
    job = answer.headers["Location"]
    wait_until(lambda: api.get(job).json()["_data"]["finished"] is not None)
    assert api.get(job).json()["_data"]["code"] == CODE


def test_the_log_says_so_at_the_start(served: Served, consumer: Slapd) -> None:
    with capture_logs() as lines:
        served.gateways.start()
        wait_until(lambda: any("consumer" in str(line.get("finding")) for line in lines))
    (found,) = [line for line in lines if "consumer" in str(line.get("finding"))]
    assert found["log_level"] == "warning"
    assert "ldap.uri" in found["finding"]


def test_a_consumer_is_never_taken_for_a_writer(consumer: Slapd, slapd: Slapd) -> None:
    """Found out without a write: so nothing is ever promoted that would refuse every change."""
    settings = LdapSettings(
        uri=(consumer.uri, slapd.uri),
        suffix=SUFFIX,
        bind_dn=f"cn=vmailadmin,{SUFFIX}",
        bind_password=Secret(WRITER_PASSWORD),
        writer="agreed",
        health_timeout=PATIENCE / 2,
    )
    for uri, is_provider in ((consumer.uri, False), (slapd.uri, True)):
        watch = ServerWatch(uri, settings, lambda: None)
        sight = watch.probe()
        watch.close()
        assert (sight.is_healthy, sight.is_provider) == (True, is_provider), watch.detail


def test_the_provider_is_none(serve: Any) -> None:
    """What a server that takes writes says of an entry that does not exist is no finding."""
    served: Served = serve()
    with capture_logs() as lines:
        served.gateways.start()
        wait_until(lambda: any("No-Op" in str(line.get("finding")) for line in lines))
    assert not [line for line in lines if "consumer" in str(line.get("finding"))]
    Client(served.url).log_in()
