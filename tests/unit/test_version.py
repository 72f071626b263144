"""Which version and commit a command names."""

import os
import re
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from iredldap import __version__, cli, version
from ldif_export import __main__ as exporter

ROOT = Path(__file__).resolve().parents[2]


def _git(folder: Path, *words: str) -> str:
    author = [item for name in ("name", "email") for item in ("-c", f"user.{name}=ann@corp.test")]
    done = subprocess.run(
        ["git", "-C", folder, *author, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one commit, from which the package runs."""
    root = tmp_path / "checkout"
    package = root / "iredldap"
    package.mkdir(parents=True)
    (root / "setup.cfg").write_text("[metadata]\n")
    _git(root, "init", "--quiet")
    _git(root, "add", "setup.cfg")
    _git(root, "commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", "Begin")
    monkeypatch.setattr(version, "_PACKAGE", package)
    return root


def _commit(root: Path) -> str:
    return _git(root, "rev-parse", "HEAD")[:12]


def test_a_checkout_names_its_commit(checkout: Path) -> None:
    assert version.described() == f"{__version__} (commit {_commit(checkout)})"


def test_a_checkout_says_that_files_were_changed(checkout: Path) -> None:
    """Even of a release: then it is none."""
    _git(checkout, "tag", f"v{__version__}")
    (checkout / "setup.cfg").write_text("[metadata]\nname = other\n")

    assert version.described() == f"{__version__} (commit {_commit(checkout)}, with changes)"


def test_a_release_is_its_number(checkout: Path) -> None:
    """By the tag of this version, not by another one."""
    _git(checkout, "tag", "v0.0.1")
    other = version.described()
    _git(checkout, "tag", f"v{__version__}")

    assert (version.described(), "commit" in other) == (__version__, True)


def test_variables_of_another_repository_are_ignored(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a hook of git has them."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))

    told = version.described()
    monkeypatch.delenv("GIT_DIR")

    assert told == f"{__version__} (commit {_commit(checkout)})"


@pytest.mark.parametrize("tag", [None, f"v{__version__}"])
def test_a_build_says_what_its_checkout_said(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str | None
) -> None:
    """Built into a wheel or an sdist, and from that sdist once more; without git."""
    if tag:
        _git(checkout, "tag", tag)
    told = version.described()
    built = tmp_path / "built"
    (built / "iredldap").mkdir(parents=True)

    version.stamp(checkout, built)
    monkeypatch.setenv("PATH", os.devnull)
    version.stamp(built, built)
    monkeypatch.setattr(version, "_PACKAGE", built / "iredldap")

    assert version.described() == told


def test_nothing_is_named_of_a_repository_around(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual environment may lie in somebody's checkout."""
    inner = checkout / "lib" / "iredldap"
    inner.mkdir(parents=True)
    monkeypatch.setattr(version, "_PACKAGE", inner)

    assert version.described() == f"{__version__} (commit unknown)"


@pytest.mark.parametrize("broken", ["no git", "no repository"])
def test_without_git_the_commit_is_unknown(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    if broken == "no git":
        monkeypatch.setenv("PATH", os.devnull)
    else:
        (checkout / ".git" / "HEAD").unlink()

    assert version.described() == f"{__version__} (commit unknown)"


@pytest.mark.parametrize(
    ("command", "name"), [(cli.main, "iredldap"), (exporter.main, "ldif-export")]
)
def test_both_commands_show_it(checkout: Path, command: click.Command, name: str) -> None:
    shown = CliRunner().invoke(command, ["--version"], prog_name=name)

    assert (shown.exit_code, shown.output) == (0, f"{name}, version {version.described()}\n")


def test_the_change_log_has_a_dated_section_for_the_version() -> None:
    """The newest but for what is not released yet."""
    page = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)$", page, re.MULTILINE)

    assert sections[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(__version__)} - \d{{4}}-\d\d-\d\d", sections[1])
