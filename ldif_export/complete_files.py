"""Write files that get their names only when they are complete, readable by their owner."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iredldap.file_causes import named


@contextmanager
def complete_file(path: Path) -> Iterator[int]:
    """Open a file, readable by its owner only, that gets its name when all of it is on the disk.

    Raises:
        OSError: If that is not possible; it names the file.
    """
    descriptor = _unnamed(path.parent)
    scratch = None
    try:
        try:
            if descriptor is None:
                # Rarely needed, and it takes long to load.
                import tempfile  # noqa: PLC0415

                with named(path):
                    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            yield descriptor
            with named(path):
                os.fsync(descriptor)
                if scratch is None:
                    # link(2) replaces no file, so the complete file gets a name of its own first,
                    # which then replaces the old one.
                    scratch = str(path.with_name(f".{path.name}.{os.urandom(8).hex()}"))
                    # src_dir_fd is unused for an absolute path, but without one Python does not
                    # follow the symbolic link in /proc.
                    os.link(f"/proc/self/fd/{descriptor}", scratch, src_dir_fd=0)
        finally:
            if descriptor is not None:
                os.close(descriptor)
        with named(path):
            Path(scratch).replace(path)
    except BaseException:
        if scratch is not None:
            Path(scratch).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _unnamed(directory: Path) -> int | None:
    """Open a file without a name, removed when the process ends; None: not supported here."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(directory, os.O_WRONLY | flag, 0o600)
    except OSError:
        # Some file systems, network ones among them, do not support it. Any other error occurs
        # again when the scratch file is made, and is reported then.
        return None


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
