"""Place the Unix socket of a private slapd: a short path, where nobody else writes."""

import os
import shutil
import stat
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

from iredldap.embedded.errors import EmbeddedError

# A Unix socket's path may have 107 bytes on Linux, 103 elsewhere.
_LONGEST_PATH = 100


class LocalSocket:
    """The socket `ldapi` of a server; nothing is made yet.

    Args:
        home: Where it is, unless that path is too long: then in a temporary folder.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        if self._path is None:
            self._path = self._home / "ldapi"
            if len(os.fsencode(self._path)) > _LONGEST_PATH:
                folder = tempfile.mkdtemp(prefix="iredldap-")
                weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
                self._path = Path(folder, "ldapi")
        return self._path

    def make_folder(self) -> None:
        """Make the folder for it, and remove what a killed server has left.

        Raises:
            EmbeddedError: If the folder belongs to another user.
        """
        folder = self.path.parent
        # After a stop a temporary folder is created again under its old name, so that `path` does
        # not change.
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise EmbeddedError(f"{folder} belongs to another user")
        self.path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove it, and a temporary folder."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            if self._path.parent != self._home:
                shutil.rmtree(self._path.parent, ignore_errors=True)
