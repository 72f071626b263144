"""What benchmarks stand on: a slapd filled offline, clocks, and tables."""

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from iredldap.config import Config, Ldap, Secret, read
from iredldap.dit import base, domain, passwords, user
from iredldap.dit.base import Made
from iredldap.dit.entry import encoded
from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd, free_port
from iredldap.shipped import shipped

SUFFIX = "dc=example,dc=com"
PASSWORD = "benchmark"
ADMIN = "root@admins.test"


@dataclass(frozen=True)
class Row:
    """One line of the table: ours and the peer's seconds, and what they mean."""

    what: str
    peer: str
    ours: float
    theirs: float
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times as fast as the peer."""
        return self.theirs / self.ours

    def __str__(self) -> str:
        return (
            f"| {self.what} | {self.ours:.2f} s | {self.peer} | {self.theirs:.2f} s"
            f" | {self.ratio:.2f} | {self.note} |"
        )


HEAD = "| what | ours | peer | peer's | times as fast | |\n|---|---|---|---|---|---|"


def accounts(tree: Tree, name: str, users: int) -> Iterator[Made]:
    """A domain with its containers and as many users as asked for."""
    yield tree.domain(name), domain.new(name, (), "dovecot", ())
    for container in domain.containers(tree, name):
        yield container.dn, dict(container.attributes)
    stored = passwords.hashed(PASSWORD, "SSHA512", bytes(16))
    given = {
        "userPassword": (stored,),
        "enabledService": user.SERVICES,
        "mailQuota": ("1073741824",),
        "preferredLanguage": ("en_US",),
    }
    for number in range(users):
        mail = f"user{number:06d}@{name}"
        attributes = user.new(mail, (), given)
        home = f"/var/vmail/vmail1/{name}/u/s/e/user{number:06d}-2026.01.01.00.00.00/"
        yield tree.user(mail), {**attributes, "homeDirectory": encoded([home])}


@contextmanager
def directory(domains: dict[str, int], *, fast_reads: bool = False) -> Iterator[Slapd]:
    """A running slapd with iRedMail's indexes and rules, and these domains with so many users."""
    tree = Tree(SUFFIX)
    stored = passwords.hashed(PASSWORD, "SSHA", os.urandom(16))
    made = [
        *base.entries(tree, stored, stored),
        base.global_admin(tree, ADMIN, stored, "20000"),
        *(entry for name, users in domains.items() for entry in accounts(tree, name, users)),
    ]
    with tempfile.TemporaryDirectory(prefix="iredldap-bench-") as folder:
        slapd = Slapd(
            home=Path(folder) / "slapd",
            suffix=SUFFIX,
            schema_dir=shipped("schema"),
            port=free_port(),
            fast_reads=fast_reads,
        )
        slapd.prepare(base.ldif(iter(made)))
        slapd.start()
        try:
            yield slapd
        finally:
            slapd.stop()


def settings(slapd: Slapd, uri: str | None = None) -> Ldap:
    """Connection settings of the API's own account."""
    return Ldap(
        uri=(uri or slapd.ldapi,),
        suffix=SUFFIX,
        bind_dn=f"cn=vmailadmin,{SUFFIX}",
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
    return read(sections, secrets)


def seconds(work: Callable[[], object]) -> float:
    """How long some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_megabytes() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def median(values: list[float]) -> float:
    return statistics.median(values)
