"""Say in one line which file cannot be read or written, and why."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STANDARD_OUTPUT = "standard output"
"""What it is called where a file is named."""


def words(error: OSError) -> str:
    """Return the file and the cause of an error, as far as both are known."""
    reason = error.strerror or str(error)
    if error.filename is None:
        return reason
    file = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)
    folder = Path(file).parent
    if error.errno == errno.ENOENT and not folder.exists():
        # A file that is to be made is missing anyway.
        reason = f"the folder {folder} does not exist"
    return f"{file}: {reason}"


@contextmanager
def named(file: object) -> Iterator[None]:
    """Have the errors of a block name a file: its name to the user, not that of a scratch file."""
    try:
        yield
    except OSError as ex:
        if ex.errno is None:
            raise
        raise OSError(ex.errno, os.strerror(ex.errno), str(file)) from ex


def discard_unwritten() -> None:
    """Have the end of the process not fail once more on what is left for standard output."""
    try:
        sys.stdout.flush()
    except OSError:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())
