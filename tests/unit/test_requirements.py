"""The releases that an installation takes: those of `requirements/`, with digests."""

import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import lock

FOLDER = lock.ROOT / lock.FOLDER
FILES = ("build", "program", "extras")

_PINNED = re.compile(r"([a-z0-9-]+)==(\S+)( ; .+)?( --hash=sha256:[0-9a-f]{64})+")


def _lines(name: str) -> list[str]:
    """Requirements of a file, each on a line of its own."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _pinned(name: str) -> dict[str, set[str]]:
    """Releases by the name of the package; there may be one for each Python."""
    found: dict[str, set[str]] = {}
    for line in _lines(name):
        package, release = line.partition(" ")[0].split("==")
        found.setdefault(package, set()).add(release)
    return found


def _wanted(name: str) -> list[Requirement]:
    """What setup.cfg or pyproject.toml asks for, with what an extra of a package is for."""
    settings = configparser.ConfigParser()
    settings.read(lock.ROOT / "setup.cfg", encoding="utf-8")
    program = settings["options"]["install_requires"].split("\n")
    extras = [
        line
        for extra in lock.extras()
        for line in settings["options.extras_require"][extra].split("\n")
    ]
    lines = {
        "build": lock.build_requirements(),
        "program": program,
        "extras": [*program, *extras],
    }[name]
    return [Requirement(line) for line in lines if line]


@pytest.mark.parametrize("name", FILES)
def test_each_requirement_is_a_release_with_digests_and_nothing_else(name: str) -> None:
    """No host, no path, no option of pip."""
    lines = _lines(name)

    assert lines
    assert [line for line in lines if not _PINNED.fullmatch(line)] == []
    assert "://" not in (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_releases_are_those_that_the_project_takes(name: str) -> None:
    pinned = _pinned(name)
    bad = [
        str(wanted)
        for wanted in _wanted(name)
        if not (releases := pinned.get(canonicalize_name(wanted.name)))
        or not all(wanted.specifier.contains(release) for release in releases)
    ]

    assert bad == []


def test_extras_are_what_the_program_has_and_more() -> None:
    """In the same releases: one may follow the other."""
    program, extras = _pinned("program"), _pinned("extras")

    assert program.items() <= extras.items()
    assert {"bcrypt", "psycopg-binary", "pymemcache", "redis", "zstandard"} <= extras.keys()


def test_instructions_name_the_files_in_order() -> None:
    """What builds python-ldap comes first, as pip would fetch it without looking at digests."""
    for page in ("README.md", "docs/deployment.md", "docs/upgrade.md"):
        text = Path(lock.ROOT, page).read_text(encoding="utf-8")
        commands = re.findall(r"^/opt/iredldap/bin/pip (install .+)$", text, re.MULTILINE)
        assert commands[:3] == [
            "install --require-hashes -r requirements/build.txt",
            "install --require-hashes --no-build-isolation -r requirements/program.txt",
            "install --no-deps --no-build-isolation .",
        ]
