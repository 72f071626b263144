"""The command `iredldap import`."""

import csv
import getpass
import json
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from iredldap.cli import main
from iredldap.commands.api.connect import TOKEN_VARIABLE, URL_VARIABLE
from iredldap.commands.exit_status import ExitStatus
from iredldap.commands.logs import errors_only_logged
from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.desired.batches import Batches
from iredldap.desired.rows import Outcome
from iredldap.errors import ServerDown
from tests.integration.imports.test_imports import PASSWORD, table
from tests.support.client import Client, done
from tests.support.command_line import configured
from tests.support.databases import Urls
from tests.support.serving import Served
from tests.support.world import ADMIN, World

DOMAIN = "home.test"


@pytest.fixture(params=["on the server", "from elsewhere"])
def admin(
    request: pytest.FixtureRequest,
    api: Client,
    served: Served,
    tmp_path: Path,
    urls: Urls,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """Both ways to the API, and a domain; gives whom the change log names."""
    done(api.post(f"/api/domain/{DOMAIN}"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    if request.param == "on the server":
        configured(served, tmp_path, urls, monkeypatch)
        yield f"unix:{getpass.getuser()}"
        return
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    made = api.post("/api/tokens", name="import", scopes="users:create,jobs:read").json()["_data"]
    monkeypatch.setenv(URL_VARIABLE, served.url)
    monkeypatch.setenv(TOKEN_VARIABLE, made["secret"])
    # The server is in this process, too.
    with errors_only_logged("refused"):
        yield ADMIN


def run(data: bytes, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["import", "-", *arguments], input=data)


def test_refused_rows_are_mended_and_imported(
    api: Client, world: World, admin: str, tmp_path: Path
) -> None:
    """The file of refused rows is private; the column with the reasons is ignored."""
    rows = [
        {"address": f"a@{DOMAIN}", "password": PASSWORD, "name": "Ä"},
        {"address": f"b@{DOMAIN}", "password": "short", "name": 'B; and "b"'},
    ]
    target = tmp_path / "mend.csv"
    target.write_text("older")
    target.chmod(0o644)
    with target.open() as before:
        told = run(table(*rows), "--rejected", str(target))
        # Who has opened the older file reads no passwords.
        assert before.read() == "older"
    assert told.exit_code == 1, told.output
    assert f"line 3  b@{DOMAIN}  refused: PW_SHORTER_THAN_MIN_LENGTH" in told.output
    assert "2 rows: 1 created, 0 updated, 0 unchanged, 0 differs, 1 refused" in told.output
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with target.open(newline="") as opened:
        (row,) = csv.DictReader(opened)
    assert row == rows[1] | {"reason": "PW_SHORTER_THAN_MIN_LENGTH: password"}
    mended = run(target.read_bytes().replace(b"short", PASSWORD.encode()))
    assert mended.exit_code == 0, mended.output
    assert {one.text("mail") for one in world.find("(objectClass=mailUser)")} == {
        f"a@{DOMAIN}",
        f"b@{DOMAIN}",
    }
    change = api.get("/api/changes", account=f"b@{DOMAIN}").json()["_data"][0]
    assert change["admin"] == admin


def test_refused_rows_of_a_file_without_a_header(admin: str, tmp_path: Path) -> None:
    target = tmp_path / "mend.csv"
    data = f"{DOMAIN}, a, {PASSWORD}, A, 0, \r\n{DOMAIN}, b, short, B, 0, \r\n".encode()
    preset = ("--preset", "iredmail", "--rejected", str(target))
    assert run(data, *preset).exit_code == 1
    mended = run(target.read_bytes().replace(b"short", PASSWORD.encode()), *preset)
    assert mended.exit_code == 0, mended.output
    assert "1 rows: 1 created" in mended.output


def test_the_report_as_json(world: World, admin: str) -> None:
    before = world.snapshot()
    told = run(table({"address": f"a@{DOMAIN}"}), "--dry-run", "--json")
    assert told.exit_code == 1
    report = json.loads(told.stdout)
    assert (report["refused"], report["dry_run"]) == (1, True)
    assert report["refusals"][0]["code"] == "PW_EMPTY"
    assert world.snapshot() == before


def test_a_file_that_cannot_be_read(admin: str) -> None:
    told = run(b"address;nmae\nx;y\n")
    assert told.exit_code == 1
    assert "columns that are not known: 'nmae'" in told.output
    assert "Traceback" not in told.output


def test_a_file_of_refused_rows_that_cannot_be_written(
    admin: str, world: World, tmp_path: Path
) -> None:
    """It is told before anything is made; without refused rows there is none."""
    before = world.snapshot()
    rows = table({"address": f"a@{DOMAIN}", "password": PASSWORD})
    told = run(rows, "--rejected", str(tmp_path / "missing" / "mend.csv"))
    assert (told.exit_code, told.stdout) == (2, "")
    assert "mend.csv: No such file or directory" in told.stderr
    assert world.snapshot() == before
    assert run(rows, "--rejected", str(tmp_path / "mend.csv")).exit_code == 0
    assert not (tmp_path / "mend.csv").exists()


def test_what_was_refused_before_an_import_broke_off_is_written(
    admin: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if admin == ADMIN:
        # A job goes on when the directory is back, and its report has everything.
        return
    rows = [{"address": f"u{n:03}@{DOMAIN}", "password": PASSWORD} for n in range(150)]
    rows[7]["password"] = "short"
    runs = Batches.run

    def once(batches: Batches, *given: Any) -> Iterator[list[Outcome]]:
        yield from islice(runs(batches, *given), 1)
        raise ServerDown("gone", report={"down": "directory"})

    monkeypatch.setattr(Batches, "run", once)
    target = tmp_path / "mend.csv"
    told = run(table(*rows), "--rejected", str(target))
    assert told.exit_code == ExitStatus.UNAVAILABLE
    with target.open(newline="") as opened:
        assert [row["address"] for row in csv.DictReader(opened)] == [f"u007@{DOMAIN}"]


def test_the_file_of_refused_rows_is_not_the_input(admin: str, tmp_path: Path) -> None:
    path, link = tmp_path / "users.csv", tmp_path / "link.csv"
    data = table({"address": f"a@{DOMAIN}", "password": "short"})
    path.write_bytes(data)
    link.symlink_to(path)
    for target in (path, link):
        told = CliRunner().invoke(main, ["import", str(path), "--rejected", str(target)])
        assert told.exit_code == ExitStatus.USAGE, told.output
    assert path.read_bytes() == data
