"""The command `iredldap import`."""

import csv
import getpass
import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iredldap.cli import main
from tests.integration.imports.test_imports import PASSWORD, table
from tests.support.client import Client, done
from tests.support.databases import Urls
from tests.support.serving import environment
from tests.support.world import SUFFIX, World

DOMAIN = "home.test"


@pytest.fixture
def config(
    api: Client, world: World, urls: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A configuration file, and a domain."""
    done(api.post(f"/api/domain/{DOMAIN}"))
    path = tmp_path / "config.toml"
    path.write_text(
        f'[ldap]\nuri = ["{world.slapd.uri}"]\nsuffix = "{SUFFIX}"\n'
        f'bind_dn = "cn=vmailadmin,{SUFFIX}"\n'
    )
    for name, value in environment(tmp_path, urls).items():
        monkeypatch.setenv(name, value)
    return path


def run(config: Path, data: bytes, *arguments: str) -> Result:
    command = ["import", "-", "--config", str(config), *arguments]
    return CliRunner().invoke(main, command, input=data)


def test_refused_rows_are_mended_and_imported(
    api: Client, world: World, config: Path, tmp_path: Path
) -> None:
    """The file of refused rows is private; the column with the reasons is ignored."""
    rows = [
        {"address": f"a@{DOMAIN}", "password": PASSWORD, "name": "Ä"},
        {"address": f"b@{DOMAIN}", "password": "short", "name": 'B; and "b"'},
    ]
    target = tmp_path / "mend.csv"
    told = run(config, table(*rows), "--rejected", str(target))
    assert told.exit_code == 1, told.output
    assert f"line 3  b@{DOMAIN}  refused: PW_SHORTER_THAN_MIN_LENGTH" in told.output
    assert "2 rows: 1 created, 0 updated, 0 unchanged, 0 differs, 1 refused" in told.output
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with target.open(newline="") as opened:
        (row,) = csv.DictReader(opened)
    assert row == rows[1] | {"reason": "PW_SHORTER_THAN_MIN_LENGTH: password"}
    mended = run(config, target.read_bytes().replace(b"short", PASSWORD.encode()))
    assert mended.exit_code == 0, mended.output
    assert {one.text("mail") for one in world.find("(objectClass=mailUser)")} == {
        f"a@{DOMAIN}",
        f"b@{DOMAIN}",
    }
    change = api.get("/api/changes", account=f"b@{DOMAIN}").json()["_data"][0]
    assert change["admin"] == f"unix:{getpass.getuser()}"


def test_refused_rows_of_a_file_without_a_header(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "mend.csv"
    data = f"{DOMAIN}, a, {PASSWORD}, A, 0, \r\n{DOMAIN}, b, short, B, 0, \r\n".encode()
    preset = ("--preset", "iredmail", "--rejected", str(target))
    assert run(config, data, *preset).exit_code == 1
    mended = run(config, target.read_bytes().replace(b"short", PASSWORD.encode()), *preset)
    assert mended.exit_code == 0, mended.output
    assert "1 rows: 1 created" in mended.output


def test_the_report_as_json(world: World, config: Path) -> None:
    before = world.snapshot()
    told = run(config, table({"address": f"a@{DOMAIN}"}), "--dry-run", "--json")
    assert told.exit_code == 1
    report = json.loads(told.stdout)
    assert (report["refused"], report["dry_run"]) == (1, True)
    assert report["refusals"][0]["code"] == "PW_EMPTY"
    assert world.snapshot() == before


def test_a_file_that_cannot_be_read(config: Path) -> None:
    told = run(config, b"address;nmae\nx;y\n")
    assert told.exit_code == 1
    assert "columns that are not known: 'nmae'" in told.output
    assert "Traceback" not in told.output
