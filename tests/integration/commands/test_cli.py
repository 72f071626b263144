"""The command `iredldap` against a directory that is there already, and from a wheel."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iredldap.cli import main
from iredldap.config.reader import read_file
from iredldap.dit import base
from iredldap.dit.names import Tree
from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.patience import PATIENCE, started
from tests.support.world import READER_PASSWORD, SUFFIX, WRITER_PASSWORD, World, salted

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """The password of cn=vmailadmin in a file."""
    path = tmp_path / "password"
    path.write_text(WRITER_PASSWORD + "\n")
    return path


def init(world: World, config: Path, *options: str | Path, typed: str | None = None) -> Result:
    arguments = ["init", "--config", config, "--uri", world.slapd.uri, "--suffix", SUFFIX]
    for name in ("iredapd", "amavisd", "iredadmin", "state"):
        arguments += [f"--{name}-url", f"sqlite:///{config.parent / name}.sqlite3"]
    return CliRunner().invoke(main, [*map(str, [*arguments, *options])], input=typed)


def check(config: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check-config", "--config", str(config), *options])


def test_init_writes_a_configuration_that_works(
    world: World, tmp_path: Path, password_file: Path
) -> None:
    """The API switched on, secrets beside it and private, the schemes as the directory has them."""
    path = tmp_path / "iredldap.toml"
    before = world.snapshot()

    done = init(world, path, "--bind-password-file", password_file)

    assert done.exit_code == 0, done.output
    assert WRITER_PASSWORD not in path.read_text()
    config = read_file(path, {})
    assert config.api.enable_restful_api
    assert config.passwords.password_scheme == "SSHA512"
    assert {"SSHA512", "SSHA", "CRYPT"} <= set(config.passwords.verified_schemes)
    assert len(config.session.keys[0].reveal()) >= 32
    for secret in (tmp_path / "iredldap.d").iterdir():
        assert secret.stat().st_mode & 0o077 == 0
    assert world.snapshot() == before
    assert check(path, "--probe").exit_code == 0
    again = init(world, path, "--bind-password-file", password_file)
    assert (again.exit_code, "nothing was changed" in again.output) == (1, True)


def test_dry_run_of_init(world: World, tmp_path: Path, password_file: Path) -> None:
    """The configuration is printed, without a secret; no file is made."""
    path = tmp_path / "iredldap.toml"
    before = [*tmp_path.rglob("*")]

    done = init(world, path, "--bind-password-file", password_file, "--dry-run")

    assert done.exit_code == 0, done.output
    assert f'suffix = "{SUFFIX}"' in done.output
    assert str(tmp_path / "iredldap.d" / "bind-password") in done.output
    assert "[passwords]" not in done.output
    assert WRITER_PASSWORD not in done.output
    assert [*tmp_path.rglob("*")] == before


def test_init_asks_for_the_password_of_the_account_that_it_names(
    world: World, tmp_path: Path
) -> None:
    """What is typed is not shown."""
    path = tmp_path / "iredldap.toml"

    done = init(world, path, typed=f"{WRITER_PASSWORD}\n")

    assert done.exit_code == 0, done.output
    assert f"Password of cn=vmailadmin,{SUFFIX}: " in done.output
    assert WRITER_PASSWORD not in done.output
    assert read_file(path, {}).ldap.bind_password.reveal() == WRITER_PASSWORD


def test_a_second_configuration_has_secrets_of_its_own(
    world: World, tmp_path: Path, password_file: Path
) -> None:
    """Those of the first stay as they are; the folder is named after the configuration."""
    first, second = tmp_path / "iredldap.toml", tmp_path / "other.toml"
    with_password = ("--bind-password-file", password_file)
    assert init(world, first, *with_password).exit_code == 0
    before = {file: file.read_bytes() for file in (tmp_path / "iredldap.d").iterdir()}

    assert init(world, second, *with_password).exit_code == 0

    assert {file: file.read_bytes() for file in before} == before
    keys = [read_file(path, {}).session.keys for path in (first, second)]
    assert keys[0] != keys[1]
    assert {file.name for file in (tmp_path / "other.d").iterdir()} == {
        file.name for file in before
    }


@pytest.mark.parametrize("name", ["bind-password", "session-keys", "state-url"])
def test_init_overwrites_no_secret(
    world: World, tmp_path: Path, password_file: Path, name: str
) -> None:
    """Though the configuration that it belonged to is gone; nothing is written then."""
    kept = tmp_path / "iredldap.d" / name
    kept.parent.mkdir()
    kept.write_text("kept")
    refused = init(world, tmp_path / "iredldap.toml", "--bind-password-file", password_file)
    assert refused.exit_code == 1
    assert f"{kept} exists; nothing was changed" in refused.output
    assert [*kept.parent.iterdir()] == [kept]
    assert kept.read_text() == "kept"
    assert not (tmp_path / "iredldap.toml").exists()


@pytest.mark.parametrize("name", ["no/folder/of/this/name.toml", "iredldap.toml"])
def test_init_that_fails_leaves_nothing_behind(
    world: World, tmp_path: Path, password_file: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither secrets without their configuration nor folders; another attempt succeeds."""
    path = tmp_path / name
    before = {*tmp_path.rglob("*")}
    made = os.open

    def fail(file: Path, flags: int, mode: int = 0o777) -> int:
        if file == path:
            raise OSError(28, "No space left on device")
        return made(file, flags, mode)

    monkeypatch.setattr("iredldap.installation.os.open", fail)
    failed = init(world, path, "--bind-password-file", password_file)
    said = "No space left on device; nothing was changed"
    assert (failed.exit_code, failed.output.splitlines()[-1]) == (1, said)
    assert {*tmp_path.rglob("*")} == before
    monkeypatch.undo()
    assert init(world, path, "--bind-password-file", password_file).exit_code == 0


def test_init_judges_everything_before_it_writes(
    world: World, tmp_path: Path, password_file: Path
) -> None:
    """As the configuration will be judged."""
    path = tmp_path / "iredldap.toml"
    failed = init(world, path, "--bind-password-file", password_file, "--bind", "127.0.0.1:http")
    assert failed.exit_code == 1
    assert "server.bind: " in failed.output
    assert [file.name for file in tmp_path.iterdir()] == ["password"]


def test_init_with_a_wrong_password_writes_nothing(world: World, tmp_path: Path) -> None:
    """The directory is asked first."""
    path = tmp_path / "iredldap.toml"
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    failed = init(world, path, "--bind-password-file", wrong)
    assert failed.exit_code == 1
    assert "DIRECTORY_DENIES: bind as cn=vmailadmin," in failed.output
    assert "Invalid credentials (ldap.bind_dn, ldap.bind_password)" in failed.output
    assert [file.name for file in tmp_path.iterdir()] == ["wrong"]


def test_probe_finds_a_directory_without_sha2(
    world: World, tmp_path: Path, password_file: Path
) -> None:
    """Where pw-sha2 is not loaded new passwords are {SSHA}; the probe notes it in the file."""
    schema = tmp_path / "schema"
    schema.mkdir()
    for file in (ROOT / "schema").iterdir():
        text = file.read_text()
        (schema / file.name).write_text(text.replace("moduleload pw-sha2", "#"))
    plain = Slapd(home=tmp_path / "slapd", suffix=SUFFIX, schema_dir=schema, port=free_port())
    plain.prepare(_base_tree())
    started(plain)
    try:
        path = tmp_path / "iredldap.toml"
        init(world, path, "--bind-password-file", password_file)
        moved = path.read_text().replace(world.slapd.uri, plain.uri)
        path.write_text(moved + "# a note of the operator's\n")
        assert check(path, "--probe").exit_code == 0
    finally:
        plain.stop()
    written = tomllib.loads(path.read_text())["passwords"]
    assert written["password_scheme"] == "SSHA"
    assert "SSHA512" not in written["verified_schemes"]
    assert "# a note of the operator's" in path.read_text()


def _base_tree() -> bytes:
    hashes = (salted(READER_PASSWORD), salted(WRITER_PASSWORD))
    return base.ldif(base.entries(Tree(SUFFIX), *hashes))


def test_probe_asks_mlmmjadmin(
    world: World, tmp_path: Path, password_file: Path, mlmmjadmin: MlmmjadminServer
) -> None:
    """Where it is configured."""
    path = tmp_path / "iredldap.toml"
    init(world, path, "--bind-password-file", password_file)
    settings = "".join(f'{name} = "{value}"\n' for name, value in mlmmjadmin.settings.items())
    path.write_text(path.read_text() + f"\n[mlmmjadmin]\n{settings}")
    assert check(path, "--probe").exit_code == 0

    mlmmjadmin.trouble = lambda method, path: "INVALID_MLMMJADMIN_API_AUTH_TOKEN"

    failed = check(path, "--probe")
    assert failed.exit_code == 1
    assert "INVALID_MLMMJADMIN_API_AUTH_TOKEN" in failed.output


def test_check_config_tells_every_fault(tmp_path: Path) -> None:
    """At once, with section and name; a missing file is one."""
    path = tmp_path / "iredldap.toml"
    path.write_text("[ldap]\nuri = ['http://x']\nsufix = 'x'\n[api]\nmax_body = 1\n")
    failed = check(path)
    assert failed.exit_code == 1
    for fault in ("ldap.uri", "ldap.sufix", "ldap.bind_dn", "session.keys", "api.max_body"):
        assert fault in failed.output
    assert check(tmp_path / "none").exit_code == 1


def test_wheel_carries_all_that_it_needs(tmp_path: Path) -> None:
    """Installed elsewhere, away from the checkout, it starts a whole private installation."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    source = tmp_path / "source"
    subprocess.run(["git", "-C", ROOT, "checkout-index", "-a", f"--prefix={source}/"], check=True)
    subprocess.run([*build, str(source)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name.partition("/data/")[2] for name in archive.namelist() if "/data/" in name]
    assert {
        "share/iredldap/gunicorn.conf.py",
        "share/iredldap/schema/slapd.conf",
        "share/iredldap/schema/iredmail.schema",
        "share/iredldap/schema/amavisd.schema",
    } <= set(names)

    installed = tmp_path / "installed"
    # Otherwise pip takes the one away that is being tested, and `make run` would miss it.
    elsewhere = ["--no-deps", "--ignore-installed", "--prefix", str(installed)]
    subprocess.run([*pip, "install", *elsewhere, str(wheel)], check=True)
    assert (Path(sys.executable).parent / "iredldap").exists()
    (packages,) = installed.glob("lib/python*/site-packages")
    environment = os.environ | {
        "PYTHONPATH": str(packages),
        "PORT": str(free_port()),
        "LDAP_PORT": str(free_port()),
        "VAR": str(tmp_path / "var"),
    }
    process = subprocess.Popen(
        [sys.executable, str(installed / "bin" / "iredldap"), "dev"],
        cwd=tmp_path,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=ended_with_parent(),  # noqa: PLW1509
    )
    try:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if line == "ready\n":
                break
        assert lines[-1:] == ["ready"], lines
    finally:
        process.terminate()
        process.wait(PATIENCE)
        assert process.stdout
        process.stdout.close()
    conf = (tmp_path / "var" / "directory" / "slapd.conf").read_text()
    assert str(installed) in conf
