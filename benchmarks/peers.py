"""How a directory is otherwise read as LDIF: OpenLDAP's tools, and python-ldap with LDIFWriter.

The latter are programs: ``python -m benchmarks.peers paged|whole URI BIND_DN PASSWORD_FILE BASE``.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import ldap
import ldif
from ldap.controls import SimplePagedResultsControl
from ldap.ldapobject import SimpleLDAPObject

from benchmarks.ground import SUFFIX, password_file
from iredldap.embedded.slapd import Slapd

PAGE = 1000

_EVERYTHING = "(objectClass=*)"
# Debian keeps slapd's programs out of other users' PATH.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])

Entries = list[tuple[str, dict[str, list[bytes]]]]


def ldapsearch(slapd: Slapd, who: str) -> list[str]:
    """Command that prints all that an account may read."""
    return [*client("ldapsearch", slapd, who), "-LLL", "-b", SUFFIX, _EVERYTHING]


def client(name: str, slapd: Slapd, who: str) -> list[str]:
    """One of OpenLDAP's own programs, bound as a service account."""
    bound = ["-D", f"cn={who},{SUFFIX}", "-y", str(password_file(slapd))]
    return [program(name), "-x", "-H", slapd.ldapi, *bound]


def slapcat(slapd: Slapd) -> list[str]:
    """Command that prints the database itself, operational attributes included."""
    return [program("slapcat"), "-f", str(slapd.home / "slapd.conf"), "-b", SUFFIX]


def python_ldap(way: str, slapd: Slapd, who: str) -> list[str]:
    """Command that runs one of the programs of this module."""
    bound = [f"cn={who},{SUFFIX}", str(password_file(slapd))]
    return [sys.executable, "-m", "benchmarks.peers", way, slapd.ldapi, *bound, SUFFIX]


def program(name: str) -> str:
    """Path of a program.

    Raises:
        FileNotFoundError: If it is not installed.
    """
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    return found


def main(way: str, uri: str, bind_dn: str, password: str, base: str) -> None:
    connection = ldap.initialize(uri)
    connection.simple_bind_s(bind_dn, Path(password).read_text("utf-8"))
    with os.fdopen(sys.stdout.fileno(), "w", encoding="utf-8") as out:
        # As ldapsearch has it.
        writer = ldif.LDIFWriter(out, base64_attrs=["userPassword"])
        for entries in (_paged if way == "paged" else _whole)(connection, base):
            for dn, attributes in entries:
                writer.unparse(dn, attributes)


def _whole(connection: SimpleLDAPObject, base: str) -> Iterator[Entries]:
    yield connection.search_s(base, ldap.SCOPE_SUBTREE, _EVERYTHING)


def _paged(connection: SimpleLDAPObject, base: str) -> Iterator[Entries]:
    page = SimplePagedResultsControl(criticality=True, size=PAGE, cookie="")
    while True:
        number = connection.search_ext(base, ldap.SCOPE_SUBTREE, _EVERYTHING, serverctrls=[page])
        _, entries, _, controls = connection.result3(number)
        yield entries
        page.cookie = controls[0].cookie
        if not page.cookie:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
