"""Writing the state of a directory, making another one so, and comparing again.

A slapd is filled offline with domains and users, a fifth of them with a further address or a
forwarding, and for each domain a list and an alias. `iredldap snapshot --hashes --no-ids` writes
it, `iredldap apply` makes an empty directory so, whose snapshot has to have the same bytes, and
applies the file once more, with nothing to do. Each is a process of its own, bound as
`cn=vmailadmin` over ldapi://, with SQLite for the state and the change log. slapd flushes each
write to the disk. `ldapadd` adds the same entries to a third directory.

Then a domain is deleted, and its part of the file applied again: each of its users has a row of
the deleted mailboxes, which goes when the mailbox is taken again.
STATES_USERS=100000 and STATES_DOMAINS=50 are the large form, with STATES_UNFLUSHED=1, so that it
does not take hours: then slapd flushes nothing, and there is no peer.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from benchmarks import peers
from benchmarks.figures import Reading, Result, Row
from benchmarks.ground import (
    SUFFIX,
    accounts,
    directory,
    global_admin,
    password_file,
    planted,
    running,
)
from benchmarks.imports import variables_of
from benchmarks.served import sqlite
from iredldap.dit.base import Made
from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd

USERS = int(os.environ.get("STATES_USERS", "2000"))
DOMAINS = int(os.environ.get("STATES_DOMAINS", "4"))
UNFLUSHED = bool(os.environ.get("STATES_UNFLUSHED"))
_EXTRA = "dbnosync" if UNFLUSHED else ""
_COMMAND = [sys.executable, "-c", "from iredldap.cli import main; main()"]


@dataclass(frozen=True)
class Run:
    """What a command took: seconds, those of the processor, and megabytes at most."""

    seconds: float
    computing: float
    megabytes: float


def run() -> Iterator[Result]:
    """Write, make, write again, compare; then the same for a domain that was deleted."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iredldap-bench-")))
        full = stack.enter_context(
            running(stack.enter_context(planted(chain([global_admin()], _made()))), extra=_EXTRA)
        )
        ours, bare = (stack.enter_context(directory({}, _EXTRA)) for _ in range(2))
        variables = [
            variables_of(slapd, _new(folder / name), stack.enter_context(sqlite()))
            for name, slapd in (("full", full), ("ours", ours))
        ]
        first, second = folder / "first.ndjson", folder / "second.ndjson"
        yield from _readings(f"snapshot of {USERS} users", _snapshot(first, variables[0]))
        made = _run(["apply", str(first), "--json"], variables[1])
        if not UNFLUSHED:
            added = _added(full, bare, folder)
            yield Row(f"apply {USERS} users", "ldapadd of the entries", made.seconds, added)
        yield from _readings(f"apply {USERS} users", made)
        _snapshot(second, variables[1])
        if first.read_bytes() != second.read_bytes():
            raise AssertionError(f"{first} and {second} differ")
        told = folder / "told"
        again = _run(["apply", str(first)], variables[1], told)
        if not told.read_text("utf-8").startswith("0 changes,"):
            raise AssertionError(told.read_text("utf-8")[-500:])
        yield from _readings("the same again: 0 changes", again)
        yield from _deleted(first, variables[1])


def _deleted(file: Path, variables: dict[str, str]) -> Iterator[Result]:
    domain = _domain(0)
    part = file.with_name("domain.ndjson")
    with file.open("rb") as lines, part.open("wb") as written:
        written.writelines(
            line for line in lines if domain.encode() in line.partition(b",")[2][:80]
        )
    gone = _run(["domain", "delete", domain, "--yes"], variables)
    yield Reading(f"delete a domain of {USERS // DOMAINS} users", gone.seconds, "s")
    yield from _readings("apply its part of the file again", _run(["apply", str(part)], variables))


def _made() -> Iterator[Made]:
    tree = Tree(SUFFIX)
    for number in range(DOMAINS):
        name = _domain(number)
        for index, (dn, attributes) in enumerate(accounts(tree, name, USERS // DOMAINS)):
            mail = b"".join(attributes.get("mail", ()))
            more: dict[str, tuple[bytes, ...]] = {}
            if mail and index % 5 == 0:
                more = {"shadowAddress": (b"alias-" + mail,)}
            elif mail and index % 5 == 1:
                more = {"mailForwardingAddress": (mail, b"copy@elsewhere.test")}
            if mail:
                # As in our own creations: a snapshot does not name what is missing.
                more |= {"mailboxFormat": (b"maildir",), "mailboxFolder": (b"Maildir",)}
            yield dn, {**attributes, **more}


def _domain(number: int) -> str:
    return f"d{number:03}.test"


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _snapshot(target: Path, variables: dict[str, str]) -> Run:
    return _run(["snapshot", "--hashes", "--no-ids"], variables, target)


def _run(arguments: Sequence[str], variables: dict[str, str], target: Path | None = None) -> Run:
    began = time.perf_counter()
    with (target or Path(os.devnull)).open("wb") as output, tempfile.TemporaryFile() as told:
        child = subprocess.Popen([*_COMMAND, *arguments], env=variables, stdout=output, stderr=told)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            told.seek(0)
            raise AssertionError(f"{arguments}: {told.read()[-2000:]!r}")
    spent = time.perf_counter() - began
    return Run(spent, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _readings(words: str, found: Run) -> Iterator[Reading]:
    yield Reading(words, found.seconds, "s")
    yield Reading(f"{words}, of the processor", found.computing, "s")
    yield Reading(f"{words}, memory at most", found.megabytes, "MB")


def _added(full: Slapd, bare: Slapd, folder: Path) -> float:
    file = folder / "entries.ldif"
    bind = ["-x", "-D", f"cn=vmailadmin,{SUFFIX}"]
    search = [peers.program("ldapsearch"), "-LLL", "-o", "ldif-wrap=no", "-H", full.ldapi, *bind]
    search += ["-y", str(password_file(full)), "-s", "sub", "-b", Tree(SUFFIX).base]
    with file.open("wb") as output:
        subprocess.run([*search, "(!(o=domains))"], stdout=output, check=True)
    add = [peers.program("ldapadd"), "-H", bare.ldapi, *bind, "-y", str(password_file(bare))]
    began = time.perf_counter()
    subprocess.run([*add, "-f", str(file)], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
