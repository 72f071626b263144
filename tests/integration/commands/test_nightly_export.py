"""The nightly export that is shipped for a server: its script, and the units that start it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.commands.test_deployment import LARGEST_EXPOSURE, analyzed
from tests.support.patience import PATIENCE
from tests.support.world import READER_PASSWORD, SUFFIX, World

BACKUP = Path(__file__).parents[3] / "deploy" / "backup"
DAY = 24 * 60 * 60
OLD = ("2020-01-01T023000.ldif.gz", "2020-01-01T023000.json", "2020-01-01T023000.json.entries")


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """A directory with an old export, and a file that is none."""
    folder = tmp_path / "exports"
    folder.mkdir()
    for name in (*OLD, "2020-notes.json"):
        (folder / name).write_text("old")
        os.utime(folder / name, times=(time.time() - 40 * DAY,) * 2)
    return folder


def nightly(world: World, folder: Path, password: str) -> "subprocess.CompletedProcess[str]":
    """Run the script as the unit does, against the directory of the tests."""
    command = folder.parent / "ldif-export"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m ldif_export "$@"\n')
    command.chmod(0o700)
    secret = folder.parent / "password"
    secret.write_text(f"{password}\n")
    settings = {
        "BACKUP_DIR": str(folder),
        "LDAP_URI": world.slapd.uri,
        "LDAP_SUFFIX": SUFFIX,
        "PASSWORD_FILE": str(secret),
        "LDIF_EXPORT": str(command),
    }
    return subprocess.run(
        ["/bin/sh", str(BACKUP / "nightly-export")],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_an_export_is_written_and_verified_and_old_ones_go(world: World, exports: Path) -> None:
    """What has another name than an export stays, however old."""
    ran = nightly(world, exports, READER_PASSWORD)

    assert ran.returncode == 0, ran.stderr
    assert ": whole: " in ran.stdout
    names = {path.name for path in exports.iterdir()} - {"2020-notes.json"}
    (stem,) = {name.partition(".")[0] for name in names}
    assert names == {f"{stem}.ldif.gz", f"{stem}.json", f"{stem}.json.entries"}
    assert {(exports / name).stat().st_mode & 0o077 for name in names} == {0}


def test_old_exports_stay_where_there_is_no_new_one(world: World, exports: Path) -> None:
    before = {path.name for path in exports.iterdir()}

    ran = nightly(world, exports, "wrong")

    assert ran.returncode == 1
    assert "DIRECTORY_DENIES" in ran.stderr
    assert {path.name for path in exports.iterdir()} == before


def test_a_directory_that_is_missing_is_named(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "none"

    ran = nightly(world, folder, READER_PASSWORD)

    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1), ran.stderr
    assert ran.stderr.endswith(f": the folder {folder} does not exist\n")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with the script where it is here."""
    for unit in BACKUP.glob("nightly-export.*"):
        text = unit.read_text().replace("/opt/iredldap/share/iredldap/deploy/backup", str(BACKUP))
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def test_systemd_accepts_the_timer_and_its_unit(units: Path) -> None:
    """Without a warning."""
    found = analyzed("verify", "--man=no", str(units / "nightly-export.timer"))

    assert "nightly-export" not in found


def test_the_unit_of_the_export_may_do_little(units: Path) -> None:
    """As systemd itself judges."""
    threshold = f"--threshold={LARGEST_EXPOSURE}"
    analyzed("security", "--offline=yes", threshold, str(units / "nightly-export.service"))
