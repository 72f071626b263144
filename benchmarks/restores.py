"""What was exported, brought into an empty directory: our restore against `ldapadd`.

Both add entry by entry, as `cn=vmailadmin` over a Unix socket; ours also plans first, and reads
everything back in the end. An account has moved into a younger domain before. After each, an
export gives the same bytes as the first one did. A large directory is shown to survive the same
way, its second server loaded by `slapadd`.
"""

import filecmp
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import peers
from benchmarks.figures import Reading, Result, Row
from benchmarks.ground import export_command, planted, running, seconds, settings
from benchmarks.tree import Size, entries, move_one
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.directory import Directory
from iredldap.ldif import writer
from ldif_export.restore.execution import execute
from ldif_export.restore.plan import plan_restore

ADDED = 5_000
MOST_FOR_ROUNDS = 20_000
ROUNDS = 3
READER, WRITER = "vmail", "vmailadmin"


@dataclass(frozen=True)
class _Exported:
    """An export that was written to a file."""

    path: Path
    size: Size


def run() -> Iterator[Result]:
    """Add some thousand users; and load as many as the other benchmarks of exports have."""
    with tempfile.TemporaryDirectory(prefix="iredldap-bench-") as folder:
        path = Path(folder) / "exported.ldif"
        added = Size.wanted(ADDED)
        _export_of(added, path)
        for _ in range(ROUNDS if added.users <= MOST_FOR_ROUNDS else 1):
            yield _added(_Exported(path, added))
        loaded = Size.wanted()
        _export_of(loaded, path)
        yield _loaded(_Exported(path, loaded))


def _export_of(size: Size, path: Path) -> None:
    """Export a directory in which an account has moved into a younger domain."""
    with planted(entries(size)) as home, running(home, fast_reads=True) as slapd:
        move_one(slapd, size)
        _export(slapd, path)


def _added(exported: _Exported) -> Row:
    with _empty() as slapd:
        theirs = seconds(partial(_ldapadd, slapd, exported.path))
        _insist_on_same(slapd, exported.path)
    with _empty() as slapd:
        ours = seconds(partial(_restore, slapd, exported.path))
        _insist_on_same(slapd, exported.path)
    what = f"{exported.size}: restore into an empty directory"
    return Row(what, "`ldapadd`", ours, theirs, "exported again, both give the same bytes")


def _loaded(exported: _Exported) -> Reading:
    # slapadd takes no version line.
    text = exported.path.read_bytes().removeprefix(writer.VERSION)
    with planted(ldif=text) as home, running(home, fast_reads=True) as slapd:
        _insist_on_same(slapd, exported.path)
    what = f"{exported.size}: exported, loaded by `slapadd` elsewhere, exported again"
    return Reading(what, 0, "bytes differ", 0, f"of {len(text)}")


@contextmanager
def _empty() -> Iterator[Slapd]:
    with planted() as home, running(home, fast_reads=True) as slapd:
        yield slapd


def _ldapadd(slapd: Slapd, path: Path) -> None:
    command = [*peers.client("ldapadd", slapd, WRITER), "-f", str(path)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def _restore(slapd: Slapd, path: Path) -> None:
    directory = Directory(settings(slapd))
    outcome = execute(plan_restore(path, directory), directory)
    directory.close()
    if outcome.missing or outcome.differ:
        raise AssertionError(f"{outcome.missing} are missing, {outcome.differ} differ")


def _export(slapd: Slapd, path: Path) -> None:
    subprocess.run(export_command(slapd, READER, "--output", str(path)), check=True)


def _insist_on_same(slapd: Slapd, path: Path) -> None:
    again = path.with_suffix(".again")
    _export(slapd, again)
    if not filecmp.cmp(path, again, shallow=False):
        raise AssertionError(f"{path} and {again} differ")
