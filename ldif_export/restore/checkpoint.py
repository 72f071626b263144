"""Keep the progress of a restore on the disk, so that an interrupted one can be resumed."""

import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from iredldap.errors import PreconditionFailed
from iredldap.file_causes import named

# Syncing the file after each entry would slow down every restore. Nothing depends on the last
# entries being recorded: those that are there and equal need no work anyway.
_ENTRIES = 500
_SECONDS = 2.0


class Checkpoint:
    """The number of entries that need no more work, for one file and one directory.

    Args:
        path: Where it is kept; None: nowhere.
        sha256: Digest of the file's text.
        suffix: Suffix of the directory.

    Raises:
        PreconditionFailed: If the file at the path is of another file or directory, or no
            checkpoint.
    """

    def __init__(self, path: Path | None, sha256: str, suffix: str) -> None:
        self._path = path
        self._head = {"sha256": sha256, "suffix": suffix}
        self.done = self._read() if path and path.exists() else 0
        self._reached = self._kept = self.done
        self._since = time.monotonic()

    def reach(self, done: int) -> None:
        """Record the progress; it is written to the disk now and then."""
        self._reached = done
        # Each one costs a flush to the disk. What a checkpoint lacks is found again by the next
        # run, whose additions then meet the entries that are there.
        if done - self._kept >= _ENTRIES or time.monotonic() - self._since >= _SECONDS:
            self.keep()

    def check(self) -> None:
        """Check that the progress can be kept: found out later, it would end the restore midway.

        Raises:
            OSError: If it cannot; it names the file.
        """
        if self._path:
            with named(self._path), tempfile.TemporaryFile(dir=self._path.parent):
                pass

    def keep(self) -> None:
        """Write the progress to the disk, and wait until it is there."""
        self._since = time.monotonic()
        if not self._path or self._reached == self._kept:
            return
        # Written beside it and renamed: at any moment there is a whole checkpoint.
        scratch = self._path.with_name(f".{self._path.name}.new")
        with named(self._path):
            with scratch.open("w", encoding="ascii") as out:
                json.dump({**self._head, "done": self._reached}, out)
                out.flush()
                os.fsync(out.fileno())
            scratch.replace(self._path)
        self._kept = self._reached

    def remove(self) -> None:
        """Remove the file: the restore is complete."""
        if self._path:
            self._path.unlink(missing_ok=True)

    def _read(self) -> int:
        assert self._path
        with suppress(ValueError, KeyError, TypeError):
            found = json.loads(self._path.read_bytes())
            done = found.pop("done")
            if found == self._head and isinstance(done, int) and done >= 0:
                return done
        raise PreconditionFailed(f"{self._path} is no checkpoint of this file and directory")
