"""Files of the command line that fail: a line that names them, and status 1."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ldif_export.__main__ import main

ADDRESSED = ["--uri", "ldap://127.0.0.1:9", "--suffix", "dc=test"]
PASSWORD = {"LDIF_EXPORT_PASSWORD": "secret"}


@pytest.mark.parametrize("option", ["--output", "--manifest"])
def test_a_missing_folder_is_named(tmp_path: Path, option: str) -> None:
    """Also that of what is written last, before anything is asked."""
    file = tmp_path / "none" / "x"
    done = CliRunner().invoke(main, ["all", *ADDRESSED, option, str(file)], env=PASSWORD)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"ldif-export: {file}: the folder {file.parent} does not exist\n"


@pytest.mark.parametrize("words", [["verify", __file__, "--manifest"], ["all", "--since"]])
def test_a_file_that_is_no_manifest_is_named(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "x.json"
    file.write_text("{")
    addressed = ADDRESSED if words[0] == "all" else []
    done = CliRunner().invoke(main, [*words, str(file), *addressed], env=PASSWORD)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"ldif-export: {file}: no manifest: ")


def test_a_password_in_another_encoding_is_told(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes("pässword".encode("latin-1"))
    done = CliRunner().invoke(main, ["all", *ADDRESSED, "--password-file", str(file)])
    assert (done.exit_code, f"{file} is no UTF-8" in done.stderr) == (2, True)


@pytest.mark.parametrize("words", ["--help", "verify /dev/null", "verify /dev/null --json"])
def test_a_report_that_cannot_be_written_is_told(words: str) -> None:
    """The disk below standard output is full."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ldif_export", *words.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.endswith(": No space left on device\n")


def test_the_short_help_is_whole() -> None:
    """No command's description is cut off."""
    said = CliRunner().invoke(main, ["--help"]).stdout
    assert "..." not in said.partition("Commands:")[2]
    assert "can it be restored?" in " ".join(said.split())
