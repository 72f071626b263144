"""What benchmarks stand on: a slapd filled offline, settings, and clocks."""

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, starmap
from pathlib import Path

from iredldap.config.ldap import LdapSettings
from iredldap.config.reader import read
from iredldap.config.sections import Config
from iredldap.config.settings import Secret
from iredldap.dit import base, domain_entry, passwords, user_entry
from iredldap.dit.base import Made
from iredldap.dit.entry import encoded
from iredldap.dit.names import Tree
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import GIB, Slapd
from iredldap.ldif import writer
from iredldap.shipped import shipped

SUFFIX = "dc=example,dc=com"
PASSWORD = "benchmark"
ADMIN = "root@admins.test"

_PASSWORD_FILE = "password"


def accounts(tree: Tree, name: str, users: int) -> Iterator[Made]:
    """A domain with its containers and as many users as asked for."""
    yield tree.domain(name), domain_entry.new(name, (), "dovecot", ())
    for container in domain_entry.new_containers(tree.domain(name)):
        yield container.dn, dict(container.attributes)
    stored = passwords.hashed(PASSWORD, "SSHA512", bytes(16))
    given = {
        "userPassword": (stored,),
        "enabledService": user_entry.SERVICES,
        "mailQuota": ("1073741824",),
        "preferredLanguage": ("en_US",),
    }
    for number in range(users):
        mail = f"user{number:06d}@{name}"
        attributes = user_entry.new(mail, (), given)
        home = f"/var/vmail/vmail1/{name}/u/s/e/user{number:06d}-2026.01.01.00.00.00/"
        yield tree.user(mail), {**attributes, "homeDirectory": encoded([home])}


@contextmanager
def directory(domains: dict[str, int], extra: str = "") -> Iterator[Slapd]:
    """A running slapd with iRedMail's indexes and rules, and these domains with so many users.

    Args:
        domains: Numbers of users by domain.
        extra: Lines for slapd.conf.
    """
    tree = Tree(SUFFIX)
    made = (entry for name, users in domains.items() for entry in accounts(tree, name, users))
    with (
        planted(chain([global_admin()], made)) as home,
        running(home, extra=extra) as slapd,
    ):
        yield slapd


@contextmanager
def planted(made: Iterable[Made] = (), ldif: bytes = b"") -> Iterator[Path]:
    """A private directory of slapd with these entries below those of an installation.

    Args:
        made: Entries.
        ldif: More of them.
    """
    tree = Tree(SUFFIX)
    stored = stored_password()
    everything = chain(base.entries(tree, stored, stored), made)
    with tempfile.TemporaryDirectory(prefix="iredldap-bench-") as folder:
        home = Path(folder) / "slapd"
        formatter = writer.Formatter()
        with tempfile.TemporaryFile() as file:
            # Not in memory: a million users take 1.6 GB.
            file.writelines(chain(starmap(formatter.record, everything), [ldif]))
            file.seek(0)
            _slapd(home).prepare(file)
        secret = home / _PASSWORD_FILE
        secret.touch(0o600)
        secret.write_text(PASSWORD)
        yield home


@contextmanager
def running(home: Path, *, fast_reads: bool = False, extra: str = "") -> Iterator[Slapd]:
    """A slapd on such a directory.

    Args:
        home: The directory.
        fast_reads: Whether the first rule spares the service accounts all others.
        extra: Lines for slapd.conf.
    """
    slapd = _slapd(home, fast_reads=fast_reads, extra=extra)
    slapd.start()
    try:
        yield slapd
    finally:
        slapd.stop()


def global_admin() -> Made:
    """The admin as whom benchmarks log in."""
    return base.global_admin_entry(Tree(SUFFIX), ADMIN, stored_password(), "20000")


def stored_password() -> str:
    return passwords.hashed(PASSWORD, "SSHA", bytes(16))


def password_file(slapd: Slapd) -> Path:
    """Where a planted directory has the password of its accounts."""
    return slapd.home / _PASSWORD_FILE


def export_command(slapd: Slapd, who: str, *more: str) -> list[str]:
    """Command that exports all that is below the base tree, bound as a service account."""
    return [
        *(sys.executable, "-m", "ldif_export", "all"),
        *("--uri", slapd.ldapi, "--suffix", SUFFIX, "--bind-dn", f"cn={who},{SUFFIX}"),
        *("--password-file", str(password_file(slapd)), *more),
    ]


def _slapd(home: Path, *, fast_reads: bool = False, extra: str = "") -> Slapd:
    return Slapd(
        home=home,
        suffix=SUFFIX,
        schema_dir=shipped("schema"),
        port=free_port(),
        fast_reads=fast_reads,
        extra=extra,
        maxsize=8 * GIB,
    )


def settings(slapd: Slapd, uri: str | None = None, who: str = "vmailadmin") -> LdapSettings:
    """Connection settings of a service account, the API's own where none is named."""
    return LdapSettings(
        uri=(uri or slapd.ldapi,),
        suffix=SUFFIX,
        bind_dn=f"cn={who},{SUFFIX}",
        bind_password=Secret(PASSWORD),
        operation_timeout=60,
    )


def configuration(slapd: Slapd) -> Config:
    """Settings of a new installation on this directory."""
    sections = {
        "ldap": {
            "uri": [slapd.uri],
            "suffix": SUFFIX,
            "bind_dn": f"cn=vmailadmin,{SUFFIX}",
        }
    }
    secrets = {"IREDLDAP_LDAP_BIND_PASSWORD": PASSWORD, "IREDLDAP_SESSION_KEYS": "k" * 32}
    for name in ("iredapd", "amavisd", "iredadmin", "state"):
        secrets[f"IREDLDAP_{name.upper()}_URL"] = f"sqlite:///{slapd.home}/{name}.sqlite3"
    return read(sections, secrets)


def seconds(work: Callable[[], object]) -> float:
    """How long some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_megabytes() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
