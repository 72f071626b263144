"""Importing users from a CSV file, against `ldapadd` of the same entries; and what limits cost.

`iredldap import` is run as a command on a file of new users with passwords in clear text, which it
hashes ({SSHA512}), in a domain with limits; the state, with the change log, is in SQLite. The
entries that it has made are then read, and `ldapadd` adds the same to another domain of the same
slapd. Both start as processes of their own, and bind as `cn=vmailadmin` over ldapi://. slapd
flushes each write to the disk.

Creations are measured without HTTP in two directories, in turn: in a domain with limits, in one of
the same size without, and beside them `add_s` of such an entry as those have made. slapd's own part
grows with a directory, so that each creation is compared with `add_s` in the same one. The process
knows the domains by then; its first creation in one counts all users. IMPORTS_USERS=1000 imports
fewer, IMPORTS_ROUNDS=1 once.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import ldap
from ldap.ldapobject import SimpleLDAPObject

from benchmarks import peers
from benchmarks.figures import Reading, Result, Row
from benchmarks.ground import (
    ADMIN,
    PASSWORD,
    SUFFIX,
    configuration,
    directory,
    password_file,
    settings,
)
from benchmarks.served import sqlite
from iredldap import installation
from iredldap.changes.apply import apply
from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.dit import user
from iredldap.dit.form_parser import parse
from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.directory import Directory
from iredldap.operations.context import Context
from iredldap.operations.login import Caller
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.operations.users import users

USERS = int(os.environ.get("IMPORTS_USERS", "5000"))
ROUNDS = int(os.environ.get("IMPORTS_ROUNDS", "3"))
BAD = 20
"""Rows of the file that are refused."""
CREATED = 200
FEW, MANY = 100, 10_000
WANTED = 0.8
LIMITED, FREE, BARE = "limited.test", "free.test", "bare.test"
"""Domains in which users are created with and without limits, and added by python-ldap."""
WITH_LIMITS = 0.5
"""How fast a creation with limits is to be beside one without, at least."""
SAME = 1.2
"""How many times as much of `add_s` a creation may cost among many users as among few, at most."""
_NEW = parse(user.CREATE, {"password": ["a good password"], "name": ["Somebody New"]})
LIMITS = [b"numberOfUsers:1000000", b"domainQuota:1000000:TB", b"defaultQuota:1024"]


def run() -> Iterator[Result]:
    """Import and add in turn, then create one by one in a small and in a large domain."""
    domains = {f"{kind}{number}.test": 0 for kind in ("ours", "bare") for number in range(ROUNDS)}
    with directory(domains) as slapd:
        for number in range(ROUNDS):
            yield from _round(slapd, number)
    yield from _creations()


def _creations() -> Iterator[Result]:
    """Create one by one in a small and in a large directory, with and without limits."""
    with ExitStack() as stack:
        grounds = [Ground.of(users, stack) for users in (FEW, MANY)]
        # What was made some moments ago is counted again each time.
        time.sleep(3)
        firsts = [ground.created(LIMITED, "first") for ground in grounds]
        for number in range(CREATED):
            for ground in grounds:
                ground.measure(f"new{number}")
    for ground, first in zip(grounds, firsts, strict=True):
        limited, free, bare = (ground.median(what) for what in (LIMITED, FREE, BARE))
        what = f"create a user in a domain with limits, {ground.users} users"
        yield Row(what, "the same without limits", limited, free, "medians", WITH_LIMITS)
        yield Row(what, "add_s of the entry in the same directory", limited, bare, "medians")
        yield Reading(f"the first creation of a process, {ground.users} users", first * 1000, "ms")
    few, many = (ground.median(LIMITED) / ground.median(BARE) for ground in grounds)
    what = f"a creation with limits in times of add_s, {MANY} users compared with {FEW}"
    yield Reading(what, many / few, "times", SAME, f"{many:.2f} and {few:.2f} times add_s")


def _round(slapd: Slapd, number: int) -> Iterator[Result]:
    ours, bare = f"ours{number}.test", f"bare{number}.test"
    _limit(slapd, ours)
    with tempfile.TemporaryDirectory(prefix="iredldap-bench-") as folder:
        file = Path(folder) / "users.csv"
        file.write_text(_csv(ours), "utf-8")
        with sqlite() as urls:
            variables = variables_of(slapd, Path(folder), urls)
            command = [sys.executable, "-c", "from iredldap.cli import main; main()", "import"]
            good = USERS - BAD
            imported = _timed([*command, str(file)], variables, f"{good} created", f"{BAD} refused")
            again = _timed([*command, str(file)], variables, f"{good} unchanged", f"{BAD} refused")
        ldif = Path(folder) / "users.ldif"
        ldif.write_bytes(_entries(slapd, ours).replace(ours.encode(), bare.encode()))
        bind = ["-x", "-H", slapd.ldapi, "-D", f"cn=vmailadmin,{SUFFIX}"]
        bind += ["-y", str(password_file(slapd))]
        added = _timed([peers.program("ldapadd"), *bind, "-f", str(ldif)], dict(os.environ))
    note = f"{BAD} of {USERS} rows refused"
    yield Row(f"import {USERS} users", "ldapadd of the same entries", imported, added, note, WANTED)
    yield Row("import the same file again", "ldapadd of the entries", again, added)


def _csv(domain: str) -> str:
    rows = ["address,name,password,quota,language"]
    for number in range(USERS):
        password = (
            "bad" if number % (USERS // BAD) == USERS // BAD - 1 else f"a good password {number}"
        )
        rows.append(f"user{number:05}@{domain},Somebody New {number},{password},512,de_DE")
    return "\r\n".join([*rows, ""])


def variables_of(slapd: Slapd, folder: Path, urls: object) -> dict[str, str]:
    """Write a configuration of a directory; return the environment of commands that use it."""
    path = folder / "iredldap.toml"
    where = {"uri": [slapd.ldapi], "suffix": SUFFIX, "bind_dn": f"cn=vmailadmin,{SUFFIX}"}
    path.write_text(installation.configuration({"ldap": where}))
    variables = os.environ | {
        CONFIG_VARIABLE: str(path),
        "IREDLDAP_LDAP_BIND_PASSWORD": PASSWORD,
        "IREDLDAP_SESSION_KEYS": "k" * 32,
        "IREDLDAP_CHANGES_KEYS": "0" * 32,
        "IREDLDAP_STATE_URL": f"sqlite:///{folder}/state.sqlite3",
    }
    for name in ("iredapd", "amavisd", "iredadmin"):
        variables[f"IREDLDAP_{name.upper()}_URL"] = getattr(urls, name)
    return variables


def _timed(command: list[str], variables: dict[str, str], *says: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    spent = time.perf_counter() - began
    # An import with refused rows ends with 1.
    failed = done.returncode > 1 or "Traceback" in done.stderr
    if failed or any(word not in done.stdout + done.stderr for word in says):
        raise AssertionError(done.stdout[-500:] + done.stderr[-500:])
    return spent


def _entries(slapd: Slapd, domain: str) -> bytes:
    command = [peers.program("ldapsearch"), "-LLL", "-o", "ldif-wrap=no", "-x", "-H", slapd.ldapi]
    command += ["-D", f"cn=vmailadmin,{SUFFIX}", "-y", str(password_file(slapd))]
    command += ["-b", Tree(SUFFIX).domain(domain), "(objectClass=mailUser)"]
    found = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    if (number := found.count(b"\ndn: ") + found.startswith(b"dn: ")) != USERS - BAD:
        raise AssertionError(f"{number} users were imported")
    return found


def _connection(slapd: Slapd) -> SimpleLDAPObject:
    connection = ldap.initialize(slapd.ldapi)
    connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", PASSWORD)
    return connection


def _limit(slapd: Slapd, domain: str) -> None:
    connection = _connection(slapd)
    changes = [(ldap.MOD_ADD, "accountSetting", LIMITS)]
    connection.modify_s(Tree(SUFFIX).domain(domain), changes)
    connection.unbind_s()


@dataclass(frozen=True)
class Ground:
    """A directory in which users are created, and how long each creation took.

    Args:
        users: How many there are in each domain.
        context: Of creations.
        connection: Of bare additions.
        times: Seconds, by domain.
    """

    users: int
    context: Context
    connection: SimpleLDAPObject
    times: dict[str, list[float]] = field(default_factory=lambda: {LIMITED: [], FREE: [], BARE: []})

    @classmethod
    def of(cls, number: int, stack: ExitStack) -> "Ground":
        slapd = stack.enter_context(directory(dict.fromkeys((LIMITED, FREE, BARE), number)))
        _limit(slapd, LIMITED)
        connection = _connection(slapd)
        stack.callback(connection.unbind_s)
        return cls(number, _context(slapd, stack), connection)

    def measure(self, name: str) -> None:
        """Create a user in each domain, and add the last one's entry to the third."""
        for domain in (LIMITED, FREE):
            self.times[domain].append(self.created(domain, name))
        tree = self.context.directory.tree
        ((_, found),) = self.connection.search_s(tree.user(f"{name}@{FREE}"), ldap.SCOPE_BASE)
        values = {
            attribute: [value.replace(FREE.encode(), BARE.encode()) for value in held]
            for attribute, held in found.items()
        }
        dn = tree.user(f"{name}@{BARE}")
        began = time.perf_counter()
        self.connection.add_s(dn, [*values.items()])
        self.times[BARE].append(time.perf_counter() - began)

    def created(self, domain: str, name: str) -> float:
        """Create a user; return how long it took."""
        mail = f"{name}@{domain}"
        began = time.perf_counter()
        apply(self.context.directory, users.create(self.context, {"mail": mail}, _NEW))
        return time.perf_counter() - began

    def median(self, domain: str) -> float:
        return median(self.times[domain])


def _context(slapd: Slapd, stack: ExitStack) -> Context:
    gateway = stack.enter_context(closing(Directory(settings(slapd))))
    config = configuration(slapd)
    outside = stack.enter_context(closing(OutsideSystems.open(config)))
    caller = Caller(ADMIN, Tree(SUFFIX).admin(ADMIN), is_global=True, stored=())
    return Context(gateway, config, caller, outside)
