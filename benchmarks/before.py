"""The release before, taken from the history of this repository, to be served beside this tree."""

import compileall
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMIT = "cbf408ddd461cf5b3370ee8d2d1dfd550ca897a7"
"""The last commit in which changes did not take turns (docs/decisions/0022-turns.md)."""

_REPOSITORY = Path(__file__).resolve().parent.parent
_PACKAGES = ("iredldap", "ldif_export")


@contextmanager
def release_before(commit: str = COMMIT) -> Iterator[Path]:
    """Give a folder with the files of a commit, compiled like those of this tree.

    Raises:
        SystemExit: If the commit is not in this clone, or this is no clone.
    """
    with tempfile.TemporaryDirectory(prefix="iredldap-bench-") as folder:
        with tarfile.open(fileobj=io.BytesIO(_archive(commit))) as archive:
            archive.extractall(folder, filter="data")
        for package in _PACKAGES:
            if not compileall.compile_dir(Path(folder) / package, quiet=1):
                sys.exit(f"{package} of {commit[:7]} can not be compiled")
        yield Path(folder)


def _archive(commit: str) -> bytes:
    """Return the files of a commit as a tar archive."""
    command = ["git", "-C", str(_REPOSITORY), "archive", "--format=tar", commit]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        sys.exit("git is not installed: the release before is taken from the repository's history")
    if done.returncode:
        sys.exit(
            f"the release before, commit {commit[:7]}, is not in this repository; a shallow clone"
            f" gets it with `git fetch --unshallow`. git said: {done.stderr.decode().strip()}"
        )
    return done.stdout
