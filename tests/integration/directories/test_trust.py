"""TLS to the directory: whom we trust, and what is said of a server that we do not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from iredldap import trust
from iredldap.cli import main
from iredldap.config.ldap import LdapSettings
from iredldap.config.reader import read_file
from iredldap.config.settings import Secret
from iredldap.dit import base
from iredldap.dit.names import Tree
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.errors import InternalError, Refusal
from iredldap.gateways.directory import Directory
from iredldap.shipped import shipped
from ldif_export.readers import choice
from ldif_export.readers.base import Projection
from ldif_export.selection import Selection
from tests.support import tls
from tests.support.patience import PATIENCE, started
from tests.support.world import READER_PASSWORD, SUFFIX, WRITER_PASSWORD, salted

TREE = Tree(SUFFIX)
WAYS = ["starttls", "ldaps"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tls.certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def slapd(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    server = Slapd(
        home=tmp_path_factory.mktemp("slapd"),
        suffix=SUFFIX,
        schema_dir=shipped("schema"),
        port=free_port(),
        tls=(certificates / "ca.pem", certificates / "here.pem", certificates / "here.key"),
    )
    server.prepare(base.ldif(base.entries(TREE, salted(READER_PASSWORD), salted(WRITER_PASSWORD))))
    yield started(server)
    server.stop()


@pytest.fixture
def ldaps(slapd: Slapd, certificates: Path) -> Iterator[str]:
    with tls.in_front_of(slapd.port, certificates) as uri:
        yield uri


@pytest.fixture
def uri(request: pytest.FixtureRequest, slapd: Slapd, ldaps: str) -> str:
    """Where the directory is, by either way."""
    return slapd.uri if request.param == "starttls" else ldaps


both = pytest.mark.parametrize("uri", WAYS, indirect=True)


@pytest.fixture
def known(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our CA is in the system's store, as OpenSSL's variable has it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))


def settings(uri: str, **changes: object) -> LdapSettings:
    made = LdapSettings(
        uri=(uri,),
        suffix=SUFFIX,
        bind_dn=f"cn=vmailadmin,{SUFFIX}",
        bind_password=Secret(WRITER_PASSWORD),
        starttls=True,
        network_timeout=PATIENCE,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def ask(where: LdapSettings) -> None:
    with closing(Directory(where)) as directory:
        directory.ask()


def read(where: LdapSettings) -> None:
    with closing(choice.connect(where, Projection(Selection("all")), "wire")):
        pass


@both
def test_the_system_s_certificates_are_trusted(known: None, uri: str) -> None:
    """By the API, and by both readers of the exporter; nothing else says whom to trust."""
    ask(settings(uri))
    read(settings(uri))
    exported = subprocess.run(
        [
            *(sys.executable, "-m", "ldif_export", "--uri", uri, "--suffix", SUFFIX, "--starttls"),
            *("--bind-dn", f"cn=vmailadmin,{SUFFIX}", "all"),
        ],
        env=os.environ | {"LDIF_EXPORT_PASSWORD": WRITER_PASSWORD},
        capture_output=True,
        check=False,
    )
    assert exported.returncode == 0, exported.stderr


@pytest.mark.parametrize("way", ["option", "system"])
@both
def test_init_alone_is_enough(
    uri: str, way: str, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was told, or found in its environment, stands in the file; no line is by hand."""
    ca = certificates / "ca.pem"
    options = ["--ca-file", str(ca)] if way == "option" else []
    if way == "system":
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    path, password = tmp_path / "iredldap.toml", tmp_path / "password"
    password.write_text(WRITER_PASSWORD)
    for name in ("iredapd", "amavisd", "iredadmin", "state"):
        options += [f"--{name}-url", f"sqlite:///{tmp_path / name}.sqlite3"]
    words = ["init", "--config", path, "--uri", uri, "--suffix", SUFFIX, "--starttls"]
    words += ["--bind-password-file", password, *options]
    made = CliRunner().invoke(main, [*map(str, words)])
    assert made.exit_code == 0, made.output
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)

    written = read_file(path, {}).ldap

    assert (written.ca_file, written.starttls) == (str(ca), True)
    ask(written)
    read(written)


def faults(where: LdapSettings) -> Iterator[str]:
    """What is said by the gateway of the API, and by the exporter's own."""
    for connect in (ask, read):
        with pytest.raises(Refusal) as told:
            connect(where)
        assert "unknown error" not in told.value.detail
        yield told.value.detail


@both
def test_a_stranger_s_certificate_is_named(
    uri: str, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the setting that says whom to trust, and the file that it means now."""
    for variable in trust.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    other = str(certificates / "other-ca.pem")
    for said in faults(settings(uri, ca_file=other)):
        assert "TLS: the server's certificate is not trusted" in said
        assert f"by {other} (ldap.ca_file)" in said
    for said in faults(settings(uri)):
        assert "(the system's; ldap.ca_file may name others)" in said


@pytest.mark.parametrize("variable", trust.VARIABLES)
@both
def test_the_variable_that_names_the_certificates_is_told(
    uri: str, certificates: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """By whoever finds them wrong: the setting is empty, and nothing is wrong with it."""
    other = str(certificates / "other-ca.pem")
    for name in trust.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, other)
    for said in faults(settings(uri)):
        assert f"by {other} ({variable}; ldap.ca_file may name others)" in said
    monkeypatch.setenv(variable, str(certificates / "none.pem"))
    with pytest.raises(InternalError, match=f"{variable}: .*none.pem"):
        read(settings(uri))


VARIABLES = ["IREDLDAP_LDAP_CA_FILE", *trust.VARIABLES]


@pytest.mark.parametrize("named", ["--ca-file", *VARIABLES])
@pytest.mark.parametrize(("file", "status"), [("ca.key", 1), ("none.pem", 2)])
def test_init_tells_what_named_the_certificates(
    certificates: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: str,
    file: str,
    status: int,
) -> None:
    """The option, or the variable; nothing is written."""
    path, ca = tmp_path / "iredldap.toml", str(certificates / file)
    words = ["init", "--config", str(path), "--uri", "ldaps://127.0.0.1", "--suffix", SUFFIX]
    if named in VARIABLES:
        monkeypatch.setenv(named, ca)
    else:
        words += [named, ca]
    made = CliRunner().invoke(main, words)
    assert made.exit_code == status
    assert (named in made.output, ca in made.output) == (True, True)
    assert not path.exists()


@both
def test_a_certificate_of_another_host_is_named(uri: str, certificates: Path) -> None:
    where = settings(uri.replace("127.0.0.1", "localhost"), ca_file=str(certificates / "ca.pem"))
    for said in faults(where):
        assert "the server's certificate is not for " in said


def test_an_expired_certificate_is_named(slapd: Slapd, certificates: Path) -> None:
    with tls.in_front_of(slapd.port, certificates, "expired") as uri:
        for said in faults(settings(uri, ca_file=str(certificates / "ca.pem"))):
            assert said.endswith("TLS: the server's certificate has expired")


def test_a_plain_connection_reads_no_certificates(slapd: Slapd, tmp_path: Path) -> None:
    """It trusts whoever answers; all of the system's would cost each connection its time."""
    ask(settings(slapd.uri, starttls=False, ca_file=str(tmp_path / "missing.pem")))


def test_a_plain_port_is_named(slapd: Slapd) -> None:
    """One that is addressed as if it spoke TLS."""
    for said in faults(settings(slapd.uri.replace("ldap:", "ldaps:"))):
        assert "TLS: " in said
        assert "speak" in said


def test_a_server_without_tls_is_named(tmp_path: Path) -> None:
    """One that refuses StartTLS."""
    server = Slapd(
        home=tmp_path / "slapd", suffix=SUFFIX, schema_dir=shipped("schema"), port=free_port()
    )
    server.prepare(base.ldif(base.entries(TREE, salted(READER_PASSWORD), salted(WRITER_PASSWORD))))
    started(server)
    try:
        for said in faults(settings(server.uri)):
            assert "StartTLS" in said
    finally:
        server.stop()
