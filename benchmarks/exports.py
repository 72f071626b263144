"""The whole directory as LDIF, over a Unix socket, against OpenLDAP's tools and python-ldap.

All bind as `cn=vmail`: first under iRedMail's access rules, where slapd itself is what takes the
time; then with the rule in front that lets the service accounts through. Times are those of whole
processes, start included, but for our export within a process that runs already. A round runs
everything once.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import peers
from benchmarks.figures import Reading, Result, Row
from benchmarks.ground import SUFFIX, export_command, planted, running, seconds, settings
from benchmarks.stopwatch import Lap, Sink, lap
from benchmarks.tree import Size, entries, move_one
from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd
from ldif_export.backup import full
from ldif_export.readers import choice
from ldif_export.readers.base import Projection
from ldif_export.selection import Selection, searches

ROUNDS = 5
SLOW_ROUNDS = 3
"""Of the peers that need ten times as long."""

WHO = "vmail"
MOST_MEGABYTES = 40
MOST_MILLISECONDS = 100

_SINKS: tuple[tuple[Sink, str], ...] = (("null", "to /dev/null"), ("cat", "into `cat >/dev/null`"))
_LDAPSEARCH = "`ldapsearch -LLL`"
_BELOW_BASE_TREE = re.compile(rb"^dn: (?:domainName|ou|mail|memberOfGroup)=", re.MULTILINE)


@dataclass(frozen=True)
class _Stand:
    """A running slapd, and what is wanted of an export from it.

    Args:
        slapd: With a large directory.
        size: Of that.
        identity: As what all bind.
        wanted: How many times as fast as ldapsearch, into each sink.
    """

    slapd: Slapd
    size: Size
    identity: str
    wanted: Mapping[Sink, float]

    def what(self, sink: str, way: str = "command") -> str:
        return f"{self.size}, {self.identity}, {sink}: {way}"

    def row(self, sink: Sink, what: str, ours: float, theirs: float, note: str = "") -> Row:
        return Row(what, _LDAPSEARCH, ours, theirs, note, self.wanted[sink])


def run() -> Iterator[Result]:
    """Export a large directory, and one of a tenth for the memory it takes."""
    size = Size.wanted()
    with planted(entries(size)) as home:
        with running(home) as slapd:
            move_one(slapd, size)
            ruled = _Stand(slapd, size, "under the rules", {"null": 0.95, "cat": 0.95})
            yield from _rounds(ruled)
        with running(home, fast_reads=True) as slapd:
            spared = _Stand(slapd, size, "let through", {"null": 0.90, "cat": 1.15})
            yield from _rounds(spared, others=True)
            yield from _readings(spared)
    smaller = Size.of(size.users // 10)
    with planted(entries(smaller)) as home, running(home, fast_reads=True) as slapd:
        yield from _readings(_Stand(slapd, smaller, "let through", {}))


def _rounds(stand: _Stand, *, others: bool = False) -> Iterator[Row]:
    _insist(stand)
    for number in range(ROUNDS):
        for sink, name in _SINKS:
            ours = lap(sink, export_command(stand.slapd, WHO))
            theirs = lap(sink, peers.ldapsearch(stand.slapd, WHO))
            yield stand.row(
                sink, stand.what(name), ours.seconds, theirs.seconds, _cpu(ours, theirs)
            )
            if sink == "null":
                within = seconds(partial(_within, stand))
                what = stand.what(name, "in a running process")
                yield stand.row(sink, what, within, theirs.seconds)
                if others:
                    yield from _against_others(stand, stand.what(name), ours, number)


def _against_others(stand: _Stand, what: str, ours: Lap, number: int) -> Iterator[Row]:
    """Let the others run in the same round."""
    theirs = lap("null", peers.slapcat(stand.slapd))
    yield Row(what, "`slapcat`", ours.seconds, theirs.seconds, "it reads the database itself")
    if number < SLOW_ROUNDS:
        for way, name, wanted in (
            ("paged", f"python-ldap, paged by {peers.PAGE}, `LDIFWriter`", 0),
            ("whole", "python-ldap, `search_s`, `LDIFWriter`", 10),
        ):
            theirs = lap("null", peers.python_ldap(way, stand.slapd, WHO))
            yield Row(what, name, ours.seconds, theirs.seconds, _cpu(ours, theirs), wanted)


def _cpu(ours: Lap, theirs: Lap) -> str:
    return f"a core is busy {ours.cpu:.2f} s with ours, {theirs.cpu:.2f} s with the peer"


def _readings(stand: _Stand) -> Iterator[Reading]:
    for _ in range(ROUNDS):
        memory = lap("null", export_command(stand.slapd, WHO)).megabytes
        yield Reading(f"peak memory, {stand.size}", memory, "MB", MOST_MEGABYTES)
        first = lap("first", export_command(stand.slapd, WHO)).first * 1000
        note = "from the start of the process"
        yield Reading(f"first byte, {stand.size}", first, "ms", MOST_MILLISECONDS, note)


def _within(stand: _Stand) -> bytes:
    """Export to /dev/null by the library; give the last bytes."""
    selection = Selection("all")
    reader = choice.connect(settings(stand.slapd, who=WHO), Projection(selection))
    found = searches(selection, Tree(SUFFIX))
    last = b""
    with (
        closing(reader),
        closing(full.export(reader, found, passwords=True)) as chunks,
        Path(os.devnull).open("wb", buffering=0) as out,
    ):
        for last in chunks:
            out.write(last)
    return last


def _insist(stand: _Stand) -> None:
    """See that nothing is left out; and have all in memory before anything is timed."""
    names = [*peers.ldapsearch(stand.slapd, WHO), "1.1"]
    printed = subprocess.run(names, stdout=subprocess.PIPE, check=True).stdout
    counted = len(_BELOW_BASE_TREE.findall(printed))
    told = re.search(rb"# entries: (\d+)\n\Z", _within(stand))
    if told is None or int(told[1]) != counted:
        raise AssertionError(f"{told and told[0]!r} where ldapsearch finds {counted}")
