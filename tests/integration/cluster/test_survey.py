"""`check-config --probe` says of each server in `ldap.uri` what it is, and what is wrong there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iredldap.cli import main
from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.operations.diagnosis.server_survey import ServerSurvey, survey
from iredldap.shipped import shipped
from tests.support import exported
from tests.support.agreed import nodes
from tests.support.databases import PostgreSQL
from tests.support.exported import SECRET, connected, domain, running, user
from tests.support.pair import Pair
from tests.support.patience import PATIENCE, started, wait_until
from tests.support.serving import SESSION_KEY
from tests.support.world import SUFFIX, WRITER_PASSWORD

SHORT = 0.1
"""Seconds to wait for what does not come."""

VMAIL = f"cn=vmail,{exported.SUFFIX}"
VMAILADMIN = f"cn=vmailadmin,{exported.SUFFIX}"


@pytest.fixture
def pair(bare: Pair) -> Pair:
    return bare


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    tree = [*domain("a.test"), user("ann@a.test")]
    with running(tmp_path_factory.mktemp("provider"), tree, syncprov=True) as server:
        yield server


def settings(*uris: str, suffix: str = exported.SUFFIX, password: str = SECRET) -> LdapSettings:
    return LdapSettings(
        uri=uris,
        suffix=suffix,
        bind_dn=f"cn=vmailadmin,{suffix}",
        bind_password=Secret(password),
        network_timeout=PATIENCE,
        operation_timeout=PATIENCE,
        writer="agreed",
    )


@contextmanager
def server(home: Path, ldif: bytes, *, extra: str = "", syncprov: bool = False) -> Iterator[Slapd]:
    slapd = Slapd(
        home=home,
        suffix=exported.SUFFIX,
        schema_dir=shipped("schema"),
        port=free_port(),
        extra=extra,
        syncprov=syncprov,
    )
    slapd.prepare(ldif)
    started(slapd)
    try:
        yield slapd
    finally:
        slapd.stop()


def consumer_of(provider: Slapd, *more: str) -> str:
    """Lines for slapd.conf, as iRedMail's guide to provider and consumer has them."""
    lines = [
        f"syncrepl rid=002 provider={provider.uri} bindmethod=simple",
        f'    binddn="{VMAILADMIN}" credentials="{SECRET}"',
        f'    searchbase="{exported.SUFFIX}" type=refreshAndPersist retry="1 +"',
        *more,
    ]
    return "\n".join(lines)


def without(ldif: bytes, dn: str) -> bytes:
    records = ldif.replace(b"\n ", b"").split(b"\n\n")
    return b"\n\n".join(one for one in records if not one.startswith(f"dn: {dn}\n".encode()))


def words(found: ServerSurvey) -> list[str]:
    """The findings as they are printed."""
    return [
        f"{'fault: ' if one.is_fault else 'beware: ' if one.warns else ''}{one.words}"
        for one in found.findings
    ]


def probe_entries(slapd: Slapd) -> int:
    with connected(slapd) as connection:
        base = exported.TREE.admin_base
        return len(connection.search_s(base, 2, "(mail=probe-*)", ["1.1"]))


def test_two_servers_that_replicate_are_providers_with_ids_of_their_own(pair: Pair) -> None:
    """Each with the time that a change takes to the other; nothing stays of the probe."""
    found = survey(settings(*pair.uris, suffix=SUFFIX, password=WRITER_PASSWORD))

    assert found.provider == pair.uri("A")
    assert not any(one.warns for one in found.findings), words(found)
    for line, name, number in zip(words(found), ("A", "B"), ("001", "002"), strict=True):
        assert line.startswith(f"{pair.uri(name)}: provider, server id {number}; ldap://")
    pair.wait_until_equal()
    assert pair.differences() == {}
    assert not any("probe-" in dn for dn in pair.a.entries())


def test_what_does_not_arrive_is_a_fault(pair: Pair) -> None:
    for line in pair.link:
        line.cut()
    try:
        found = survey(settings(*pair.uris, suffix=SUFFIX, password=WRITER_PASSWORD), SHORT)
    finally:
        for line in pair.link:
            line.heal()

    faults = [one.words for one in found.findings if one.is_fault]
    a, b = pair.uris
    assert [fault.partition(" in time")[0] for fault in faults] == [
        f"what is written to {a} did not arrive on {b}",
        f"what is written to {b} did not arrive on {a}",
    ]
    pair.wait_until_equal()


def test_a_server_that_does_not_answer_is_a_fault(pair: Pair) -> None:
    silent = f"ldap://127.0.0.1:{free_port()}"
    found = survey(settings(silent, pair.uri("A"), suffix=SUFFIX, password=WRITER_PASSWORD))

    assert words(found)[0].startswith(f"fault: {silent}: SERVER_DOWN: ")
    assert found.provider == pair.uri("A")


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("has_updateref", [True, False])
def test_a_consumer_is_a_fault(
    provider: Slapd, tmp_path: Path, *, has_updateref: bool, is_first: bool
) -> None:
    """Wherever it stands, and whether or not it names its provider; nothing is written to it."""
    more = [f"updateref {provider.uri}"] if has_updateref else []
    with server(
        tmp_path / "consumer", provider.dump(), extra=consumer_of(provider, *more)
    ) as consumer:
        uris = [provider.uri, consumer.uri]
        found = survey(settings(*(reversed(uris) if is_first else uris)))

        wait_until(lambda: probe_entries(consumer) == probe_entries(provider) == 0)

    refers = f", which refers to {provider.uri}" if has_updateref else ""
    faults = [one.words for one in found.findings if one.is_fault]
    assert faults == [f"{consumer.uri} is a consumer{refers}: take it out of ldap.uri"]
    assert found.provider == provider.uri


def test_a_service_account_that_replication_hides_is_named(provider: Slapd, tmp_path: Path) -> None:
    """A server that replicates as cn=vmailadmin does not get cn=vmail. Here it has no id either."""
    with server(tmp_path / "second", without(provider.dump(), VMAIL), syncprov=True) as second:
        found = words(survey(settings(provider.uri, second.uri), SHORT))

    assert [line for line in found if "does not have" in line] == [
        line for line in found if line.startswith(f"fault: {second.uri} does not have cn=vmail, ")
    ]
    assert sum("does not have" in line for line in found) == 1
    same = f"fault: {provider.uri} and {second.uri} have the same server id 000: "
    assert sum(line.startswith(same) for line in found) == 1


def test_the_account_of_the_api_may_be_the_one_that_is_missing(
    provider: Slapd, tmp_path: Path
) -> None:
    """Where a server replicates as cn=vmail."""
    with server(tmp_path / "second", without(provider.dump(), VMAILADMIN)) as second:
        found = words(survey(settings(provider.uri, second.uri), SHORT))

    refused = f"fault: {second.uri}: DIRECTORY_DENIES: bind as {VMAILADMIN}: "
    (line,) = (line for line in found if line.startswith(refused))
    assert "replicates as cn=vmail" in line


def test_check_config_ends_with_faults_and_writes_nothing(
    provider: Slapd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IREDLDAP_LDAP_BIND_PASSWORD", SECRET)
    monkeypatch.setenv("IREDLDAP_SESSION_KEYS", SESSION_KEY)
    path = tmp_path / "iredldap.toml"
    with server(tmp_path / "consumer", provider.dump(), extra=consumer_of(provider)) as consumer:
        account = f'suffix = "{exported.SUFFIX}"\nbind_dn = "{VMAILADMIN}"\n'
        path.write_text(f'[ldap]\nuri = ["{consumer.uri}"]\n{account}')
        before = path.read_text()

        done = CliRunner().invoke(main, ["check-config", "--probe", "--config", str(path)])

    assert done.exit_code == 1
    assert f"fault: {consumer.uri} is a consumer: take it out of ldap.uri" in done.output
    assert path.read_text() == before


def test_check_config_names_the_agreed_writer(
    pair: Pair, postgresql: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both servers as providers, and in the end the writer on which the workers agree."""
    url = str(postgresql.fresh().iredadmin)
    monkeypatch.setenv("IREDLDAP_LDAP_BIND_PASSWORD", WRITER_PASSWORD)
    monkeypatch.setenv("IREDLDAP_SESSION_KEYS", SESSION_KEY)
    monkeypatch.setenv("IREDLDAP_STATE_URL", url)
    for name in ("iredapd", "amavisd", "iredadmin"):
        monkeypatch.setenv(f"IREDLDAP_{name.upper()}_URL", f"sqlite:///{tmp_path}/{name}.sqlite3")
    path = tmp_path / "iredldap.toml"
    uris = ", ".join(f'"{uri}"' for uri in pair.uris)
    account = f'suffix = "{SUFFIX}"\nbind_dn = "cn=vmailadmin,{SUFFIX}"\n'
    path.write_text(f'[ldap]\nuri = [{uris}]\n{account}writer = "agreed"\n')

    def probed() -> Result:
        return CliRunner().invoke(main, ["check-config", "--probe", "--config", str(path)])

    done = probed()
    assert (done.exit_code, "no writer is agreed yet" in done.output) == (0, True), done.output
    with nodes(pair, url, "n1"):
        done = probed()

    assert done.exit_code == 0, done.output
    assert f"{pair.uri('A')}: provider, server id 001; " in done.output
    assert f"{pair.uri('A')}: agreed writer of epoch 1, together" in done.output
    assert "beware" not in done.output
