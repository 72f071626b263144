"""The sdist and the wheel that are built from this checkout, and an installation of the wheel."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import click
import pytest

from iredldap import __version__, cli
from ldif_export import __main__ as exporter
from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ("deploy/", "docs/", "reference/", "schema/", "gunicorn.conf.py")
"""What an installation has besides its modules."""

ELSEWHERE = {
    "docs/man/": "share/man/man1/",
    "deploy/completion/bash/": "share/bash-completion/completions/",
    "deploy/completion/zsh/": "share/zsh/site-functions/",
    "deploy/completion/fish/": "share/fish/vendor_completions.d/",
}

SECTIONS = {
    "iredldap": ["NAME", "SYNOPSIS", "OPTIONS", "COMMANDS", "ENVIRONMENT", "SEE ALSO"],
    "ldif-export": [
        *("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "ENVIRONMENT", "SEE ALSO")
    ],
}

BUILD = "import sys; from setuptools import build_meta as b; b.build_sdist(sys.argv[1])"
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


@dataclass
class Built:
    """Both archives, and the commit that they are made from."""

    sdist: Path
    wheel: Path
    files: list[str]
    commit: str

    def in_sdist(self) -> set[str]:
        """Files, named as in the checkout."""
        with tarfile.open(self.sdist) as archive:
            return {
                str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in archive.getnames()
            }

    def in_wheel(self) -> set[str]:
        """Files, those of `share` named as where they are installed."""
        with zipfile.ZipFile(self.wheel) as archive:
            return {name.rpartition(".data/data/")[2] for name in archive.namelist()}


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command, which must succeed, and return what it prints."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the sdist from a commit of what is here, and the wheel from that sdist."""
    home = tmp_path_factory.mktemp("distribution")
    source, out = home / "source", home / "out"
    files = run("git", "ls-files", cwd=ROOT).splitlines()
    for name in filter(lambda name: (ROOT / name).exists(), files):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    git = ("git", "-c", "user.name=Ann", "-c", "user.email=ann@corp.test")
    run(*git, "init", "--quiet", cwd=source)
    run(*git, "add", "--all", cwd=source)
    run(*git, "commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message=Begin", cwd=source)
    commit = run("git", "rev-parse", "HEAD", cwd=source)[:12]
    run(sys.executable, "-c", BUILD, out, cwd=source)
    (sdist,) = out.iterdir()
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, sdist, cwd=home)
    (wheel,) = out.glob("*.whl")
    return Built(sdist, wheel, files, commit)


@pytest.fixture(scope="module")
def installation(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in a virtual environment of its own, with the packages of this one."""
    home = tmp_path_factory.mktemp("installation")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    python = home / "bin" / "python"
    run(*PIP, "--python", python, "install", "--no-deps", "--no-index", built.wheel, cwd=home)
    (packages,) = home.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "packages.pth").write_text("".join(f"{path}\n" for path in ours))
    return home


def test_an_sdist_is_a_whole_checkout(built: Built) -> None:
    """But for what git and CI read."""
    wanted = {name for name in built.files if not name.startswith(".")}

    assert wanted - built.in_sdist() == set()


def test_a_wheel_has_what_the_program_and_its_admin_read(built: Built) -> None:
    """Every module, and whatever is added to one of the directories."""
    modules = {name for name in built.files if name.startswith(("iredldap/", "ldif_export/"))}
    wanted = modules | {installed(name) for name in built.files if name.startswith(SHIPPED)}

    assert wanted - built.in_wheel() == set()
    assert {"share/iredldap/README.md", "share/iredldap/LICENSE"} <= built.in_wheel()


def installed(name: str) -> str:
    """Where a file of the sources is installed: where other programs look for it, or in ours."""
    folder = next(filter(name.startswith, ELSEWHERE), "")
    return name.replace(folder, ELSEWHERE[folder]) if folder else f"share/iredldap/{name}"


def test_an_installation_names_its_commit(built: Built, installation: Path) -> None:
    """The wheel was built from the sdist, which has no repository."""
    for command in ("iredldap", "ldif-export"):
        told = run(installation / "bin" / command, "--version", cwd=installation)

        assert told == f"{command}, version {__version__} (commit {built.commit})\n"


def test_an_installation_finds_what_came_along(installation: Path) -> None:
    names = [
        "deploy",
        "deploy/iredldap.service",
        "deploy/backup/nightly-export",
        "deploy/nginx/iredldap.conf",
        "docs/running.md",
    ]
    asking = f"from iredldap.shipped import shipped; print(*map(shipped, {names}), sep='\\n')"

    found = run(installation / "bin" / "python", "-c", asking, cwd=installation).splitlines()

    share = installation / "share" / "iredldap"
    assert [Path(path).resolve() for path in found] == [share.resolve() / name for name in names]
    assert all(Path(path).exists() for path in found)


PAGES = {"iredldap": cli.main, "ldif-export": exporter.main} | {
    f"iredldap-{name}": group
    for name, group in cli.main.made.items()
    if isinstance(group, click.Group)
}


@pytest.mark.parametrize("name", PAGES)
def test_a_manual_page_is_set_without_a_warning(installation: Path, name: str) -> None:
    """By the formatter that man calls; every option of every subcommand is in it."""
    command, context = PAGES[name], click.Context(PAGES[name])
    page = installation / "share" / "man" / "man1" / f"{name}.1"

    done = subprocess.run(
        ["groff", "-ww", "-k", "-man", "-T", "utf8", "-P", "-c", page],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""
    # Bold is a letter printed twice over itself.
    text = (
        re.sub(r".\x08", "", done.stdout).replace("\N{HYPHEN}", "-").replace("\N{MINUS SIGN}", "-")
    )
    words = command.list_commands(context)
    options = {
        option.opts[-1]
        for word in words
        if f"iredldap-{word}" not in PAGES and (found := command.get_command(context, word))
        for option in found.params
        if isinstance(option, click.Option) and not option.hidden
    }
    assert [word for word in (*words, *options) if word not in text] == []
    assert re.findall(r"^[A-Z][A-Z ]+$", text, re.MULTILINE) == SECTIONS.get(
        name, SECTIONS["iredldap"]
    )
