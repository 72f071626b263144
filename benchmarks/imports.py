"""Importing users from a CSV file, against `ldapadd` of the same entries; and what limits cost.

`iredldap import` is run as a command on a file of new users with passwords in clear text, which it
hashes ({SSHA512}), in a domain with limits; the state, with the change log, is in SQLite. The
entries that it has made are then read, and `ldapadd` adds the same to another domain of the same
slapd. Both start as processes of their own, and bind as `cn=vmailadmin` over ldapi://. slapd
flushes each write to the disk.

A creation in a domain with limits is measured without HTTP, in turn among 10 000 users and among
100, when the process knows the domain; its first creation there counts all users.
IMPORTS_USERS=1000 imports fewer, IMPORTS_ROUNDS=1 once.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median

import ldap

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
LIMITS = [b"numberOfUsers:1000000", b"domainQuota:1000000:TB", b"defaultQuota:1024"]


def run() -> Iterator[Result]:
    """Import and add in turn, then create one by one in a small and in a large domain."""
    domains = {f"{kind}{number}.test": 0 for kind in ("ours", "bare") for number in range(ROUNDS)}
    with directory(domains) as slapd:
        for number in range(ROUNDS):
            yield from _round(slapd, number)
    with directory({"home.test": FEW}) as small, directory({"home.test": MANY}) as large:
        (_, *few), (first, *many) = _create(small, large)
    yield Row(
        f"create a user in a domain with limits and {MANY} users",
        f"the same with {FEW}",
        median(many),
        median(few),
        "medians",
        wanted=1 / 1.5,
    )
    yield Reading(f"the first creation of a process among {MANY}", first * 1000, "ms")


def _round(slapd: Slapd, number: int) -> Iterator[Result]:
    ours, bare = f"ours{number}.test", f"bare{number}.test"
    _limit(slapd, ours)
    with tempfile.TemporaryDirectory(prefix="iredldap-bench-") as folder:
        file = Path(folder) / "users.csv"
        file.write_text(_csv(ours), "utf-8")
        with sqlite() as urls:
            variables = _variables(slapd, Path(folder), urls)
            command = [sys.executable, "-c", "from iredldap.cli import main; main()", "import"]
            imported = _timed([*command, str(file)], variables)
            again = _timed([*command, str(file)], variables)
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
        password = "bad" if number % (USERS // BAD) == 7 else f"a good password {number}"
        rows.append(f"user{number:05}@{domain},Somebody New {number},{password},512,de_DE")
    return "\r\n".join([*rows, ""])


def _variables(slapd: Slapd, folder: Path, urls: object) -> dict[str, str]:
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


def _timed(command: list[str], variables: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    spent = time.perf_counter() - began
    # An import with refused rows ends with 1.
    if done.returncode > 1 or "Traceback" in done.stderr:
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


def _limit(slapd: Slapd, domain: str) -> None:
    connection = ldap.initialize(slapd.ldapi)
    connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", PASSWORD)
    changes = [(ldap.MOD_ADD, "accountSetting", LIMITS)]
    connection.modify_s(Tree(SUFFIX).domain(domain), changes)
    connection.unbind_s()


def _create(*servers: Slapd) -> tuple[list[float], ...]:
    """Create users in the same domain of several servers, in turn; return the times of each."""
    for slapd in servers:
        _limit(slapd, "home.test")
    # What was made some moments ago is counted again each time.
    time.sleep(3)
    parsed = parse(user.CREATE, {"password": ["a good password"], "name": ["Somebody New"]})
    with ExitStack() as stack:
        contexts = [_context(slapd, stack) for slapd in servers]
        times: tuple[list[float], ...] = tuple([] for _ in servers)
        for number in range(CREATED):
            for context, spent in zip(contexts, times, strict=True):
                began = time.perf_counter()
                mail = f"new{number}@home.test"
                apply(context.directory, users.create(context, {"mail": mail}, parsed))
                spent.append(time.perf_counter() - began)
    return times


def _context(slapd: Slapd, stack: ExitStack) -> Context:
    gateway = stack.enter_context(closing(Directory(settings(slapd))))
    config = configuration(slapd)
    outside = stack.enter_context(closing(OutsideSystems.open(config)))
    caller = Caller(ADMIN, Tree(SUFFIX).admin(ADMIN), is_global=True, stored=())
    return Context(gateway, config, caller, outside)
