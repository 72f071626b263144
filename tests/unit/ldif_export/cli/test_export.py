"""What the command line refuses before anything is asked."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from ldif_export.__main__ import main

ADDRESSED = ["--uri", "ldap://127.0.0.1:9", "--suffix", "dc=test"]


@pytest.mark.parametrize("words", [["export", "all"], ["restore", __file__]])
@pytest.mark.parametrize("name", ["none.pem", "empty.pem", ""])
def test_certificates_to_trust_are_certificates(
    tmp_path: Path, words: list[str], name: str
) -> None:
    """A file without one, or none at all, is named, whichever library would read it."""
    (tmp_path / "empty.pem").touch()
    environ = {"LDIF_EXPORT_PASSWORD": "secret"}
    trusting = ["--ca-file", str(tmp_path / name)]
    done = CliRunner().invoke(main, [*words, *ADDRESSED, *trusting], env=environ)
    assert done.exit_code == 2, done.output
    wrong = "no PEM certificate in it" if name == "empty.pem" else "no such file"
    assert f"--ca-file: {wrong}" in done.output
