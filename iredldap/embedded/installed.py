"""Find the installed slapd: the program, its modules and the standard schema files.

The first `slapd` in PATH is used, with the modules and schema files below its own prefix: another
version (`/opt/openldap/sbin/slapd`) must not load those of the system's. Where there are none, as
of a script that starts slapd elsewhere, they are looked for where systems have them.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from iredldap.embedded.errors import EmbeddedError

_PROGRAMS = ("/usr/sbin/slapd", "/usr/libexec/slapd", "/usr/local/libexec/slapd")
_PREFIXES = (Path("/usr"), Path("/usr/local"))
_NAMES = ("ldap", "openldap")
_APPARMOR_ENABLED = Path("/sys/module/apparmor/parameters/enabled")
_APPARMOR_PROFILE = Path("/etc/apparmor.d/usr.sbin.slapd")


def find_binary(path: str | None = None) -> Path:
    """Find slapd.

    Args:
        path: Folders to search, as in the environment variable PATH, which is the default.

    Raises:
        EmbeddedError: If it is not installed.
    """
    found = shutil.which("slapd", path=path) or _first(map(Path, _PROGRAMS))
    if found is None:
        raise EmbeddedError(_missing("slapd is", "packages slapd and slapd-contrib"))
    return Path(found).absolute()


def find_modules(program: Path) -> Path:
    """Find the folder of the modules of a slapd.

    Raises:
        EmbeddedError: If the module pw-sha2 is in none.
    """
    # Debian 12 has the .la file, later releases only the .so.
    module = _first(
        prefix / library / name / file
        for prefix in _prefixes(program)
        for library in ("lib", "lib64", "libexec")
        for name in _NAMES
        for file in ("pw-sha2.la", "pw-sha2.so")
    )
    if module is None:
        raise EmbeddedError(_missing("slapd's module pw-sha2 is", "package slapd-contrib"))
    return module.parent


def find_standard_schema(program: Path) -> Path:
    """Find the folder of the standard schema files of a slapd.

    Raises:
        EmbeddedError: If `inetorgperson.schema` is in none.
    """
    file = _first(
        _settings(prefix) / name / "schema" / "inetorgperson.schema"
        for prefix in _prefixes(program)
        for name in _NAMES
    )
    if file is None:
        raise EmbeddedError(_missing("slapd's schema files are", "package slapd"))
    return file.parent


def is_confined() -> bool:
    """Return whether AppArmor is enabled and has a profile for slapd."""
    try:
        return _APPARMOR_ENABLED.read_text("ascii").startswith("Y") and _APPARMOR_PROFILE.exists()
    except OSError:
        return False


def _prefixes(program: Path) -> tuple[Path, ...]:
    return program.parent.parent, *_PREFIXES


def _settings(prefix: Path) -> Path:
    """Return the folder of settings: /etc for the prefix /usr, in the prefix itself for others."""
    return (prefix.parent if prefix.name == "usr" else prefix) / "etc"


def _missing(what: str, where: str) -> str:
    return f"{what} not installed; on Debian and Ubuntu install the {where}"


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.exists()), None)
