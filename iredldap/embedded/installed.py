"""Locate slapd, its modules and its schema files on this machine."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from iredldap.embedded.errors import EmbeddedError

_BINARIES = ("/usr/sbin/slapd", "/usr/libexec/slapd", "/usr/local/libexec/slapd")
_MODULES = tuple(
    Path(root, lib, name)
    for root in ("/usr", "/usr/local")
    for lib in ("lib", "lib64", "libexec")
    for name in ("ldap", "openldap")
)
_STANDARD_SCHEMA = tuple(
    Path(etc, name, "schema") for etc in ("/etc", "/usr/local/etc") for name in ("ldap", "openldap")
)
_APPARMOR_ENABLED = Path("/sys/module/apparmor/parameters/enabled")
_APPARMOR_PROFILE = Path("/etc/apparmor.d/usr.sbin.slapd")


def find_binary() -> Path:
    """Find the program slapd.

    Raises:
        EmbeddedError: If it is not installed.
    """
    found = shutil.which("slapd") or _first(map(Path, _BINARIES))
    if found is None:
        raise EmbeddedError(
            "slapd is not installed; on Debian and Ubuntu it is in the packages"
            " slapd and slapd-contrib"
        )
    return Path(found)


def find_modules() -> Path:
    """Find the directory of slapd's modules, by the one that verifies SSHA512.

    Raises:
        EmbeddedError: If that module is not installed.
    """
    # Debian 12 has the .la file, later releases only the .so.
    module = _first(folder / name for folder in _MODULES for name in ("pw-sha2.la", "pw-sha2.so"))
    if module is None:
        raise EmbeddedError(
            "slapd's module pw-sha2 is not installed; on Debian and Ubuntu it is in the package"
            " slapd-contrib"
        )
    return module.parent


def find_standard_schema() -> Path:
    """Find the directory of OpenLDAP's own schema files.

    Raises:
        EmbeddedError: If they are not installed.
    """
    file = _first(folder / "inetorgperson.schema" for folder in _STANDARD_SCHEMA)
    if file is None:
        raise EmbeddedError(
            "slapd's schema files are not installed; on Debian and Ubuntu they are in the package"
            " slapd"
        )
    return file.parent


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.exists()), None)


def is_confined() -> bool:
    """Return whether AppArmor is enabled and has a profile for slapd."""
    try:
        return _APPARMOR_ENABLED.read_text("ascii").startswith("Y") and _APPARMOR_PROFILE.exists()
    except OSError:
        return False
