"""Which slapd a private directory runs, and with whose modules and schema files."""

from pathlib import Path

import pytest

from iredldap.embedded import installed
from iredldap.embedded.errors import EmbeddedError
from iredldap.embedded.installed import find_binary, find_modules, find_standard_schema


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system without slapd, in place of this machine."""
    monkeypatch.setattr(installed, "_PROGRAMS", ())
    monkeypatch.setattr(installed, "_PREFIXES", (tmp_path / "usr",))
    return tmp_path


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o755)
    return path


def install(prefix: Path, settings: Path, module: str = "pw-sha2.la") -> tuple[Path, Path, Path]:
    """Install an empty slapd, and return the program and its folders of modules and schema."""
    program = made(prefix / "sbin" / "slapd")
    modules = made(prefix / "lib" / "ldap" / module).parent
    return program, modules, made(settings / "ldap" / "schema" / "inetorgperson.schema").parent


def found(*folders: Path) -> tuple[Path, Path, Path]:
    program = find_binary(":".join(map(str, folders)))
    return program, find_modules(program), find_standard_schema(program)


def test_the_first_in_path_has_its_own_modules_and_schema(system: Path) -> None:
    """Not those of the system's, which may be of another version."""
    usual = install(system / "usr", system / "etc")
    other = install(system / "opt" / "ldap", system / "opt" / "ldap" / "etc", "pw-sha2.so")
    ours, others = usual[0].parent, other[0].parent

    assert found(ours, others) == usual
    assert found(others, ours) == other


def test_a_program_alone_has_the_modules_of_the_system(system: Path) -> None:
    """As a script that starts slapd in another root."""
    _, modules, schema = install(system / "usr", system / "etc")
    script = made(system / "scripts" / "sbin" / "slapd")

    assert found(script.parent) == (script, modules, schema)


def test_what_is_missing_is_named(system: Path) -> None:
    """With the package that it is in."""
    with pytest.raises(EmbeddedError, match="packages slapd and slapd-contrib"):
        find_binary(str(system))
    program = made(system / "usr" / "sbin" / "slapd")
    with pytest.raises(EmbeddedError, match=r"pw-sha2 is not installed.*slapd-contrib"):
        find_modules(program)
    with pytest.raises(EmbeddedError, match=r"schema files are not installed.*package slapd$"):
        find_standard_schema(program)
