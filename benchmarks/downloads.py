"""The whole directory as LDIF by `GET /api/ldif`, against the command; and others meanwhile.

gunicorn runs as it is shipped. Both bind as `cn=vmailadmin`, under iRedMail's access rules and
with the rule in front that lets the service accounts through, and end in `cat >/dev/null`; client,
gunicorn, the export's own process and slapd share the cores.
"""

import subprocess
from collections.abc import Iterator
from hashlib import sha256

from benchmarks.figures import Reading, Result, Row
from benchmarks.ground import export_command, planted, running
from benchmarks.meanwhile import meanwhile
from benchmarks.served import Api, served, sqlite
from benchmarks.stopwatch import lap
from benchmarks.tree import Size, domain_name, entries
from iredldap.embedded.slapd import Slapd

ROUNDS = 5
WHO = "vmailadmin"
SHARE = 0.8
"""Of the command's speed."""

MOST_GROWTH = 8
"""Megabytes."""

_PATH = "/ldif?format=ldif"


def run() -> Iterator[Result]:
    """Download a large directory, alone, and while another client asks for one user at a time."""
    size = Size.wanted()
    with planted(entries(size)) as home, sqlite() as urls:
        for name, fast_reads in (("under the rules", False), ("let through", True)):
            with running(home, fast_reads=fast_reads) as slapd, served(slapd, urls) as api:
                _insist_on_same_bytes(slapd, api)
                yield from _rounds(slapd, api, f"{size}, {name}")
                what = f"{size}, {name}: GET of a user during a download"
                for _ in range(ROUNDS):
                    yield meanwhile(api, what, f"/user/user2@{domain_name(0)}", _PATH)


def _rounds(slapd: Slapd, api: Api, what: str) -> Iterator[Result]:
    for _ in range(ROUNDS):
        before = api.peaks()
        ours = lap("cat", api.fetching(_PATH)).seconds
        grown = max(held - before.get(pid, 0) for pid, held in api.peaks().items())
        theirs = lap("cat", export_command(slapd, WHO)).seconds
        yield Row(f"{what}: download", "the command", ours, theirs, wanted=SHARE)
        note = "by how much the peak of any worker grows"
        yield Reading(f"{what}: memory of a download", grown, "MB", MOST_GROWTH, note)


def _insist_on_same_bytes(slapd: Slapd, api: Api) -> None:
    commands = api.fetching(_PATH), export_command(slapd, WHO)
    one, other = (_digest(command) for command in commands)
    if one != other:
        raise AssertionError("the download is not what the command prints")


def _digest(command: list[str]) -> str:
    digest = sha256()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout
        while chunk := child.stdout.read(1024 * 1024):
            digest.update(chunk)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return digest.hexdigest()
