"""Files that are read more than once, with a name or without."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, Protocol

from iredldap.file_causes import named

STANDARD_INPUT = Path("-")
"""Name of standard input on the command line."""


class Openable(Protocol):
    """A file that can be opened repeatedly, as a `Path` can."""

    def open(self, mode: Literal["rb"], /) -> BufferedReader:
        """Open it; each reader has its own position."""


class UnnamedFile:
    """An open file without a name: it is removed when the process ends, however that happens.

    Args:
        file: Written and flushed; it must stay open as long as it is read here.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __str__(self) -> str:
        return "the file"

    def open(self, mode: Literal["rb"], /) -> BufferedReader:
        return BufferedReader(_Reading(self._file.fileno()))


def label(file: Path) -> str:
    """Return what a file of the command line is called in messages."""
    return "standard input" if file == STANDARD_INPUT else str(file)


def open_once(file: Path) -> AbstractContextManager[BinaryIO]:
    """Open a file of the command line, to be read once; ``-`` is standard input.

    Raises:
        OSError: If it cannot be opened.
    """
    return nullcontext(sys.stdin.buffer) if file == STANDARD_INPUT else file.open("rb")


@contextmanager
def rereadable(file: Path) -> Iterator[Openable]:
    """Return a file of the command line as one that can be read repeatedly.

    Standard input and pipes, which can be read once, are copied to a file without a name first.

    Raises:
        OSError: If it cannot be read, or the copy not be written.
    """
    if is_kept(file):
        yield file
        return
    # Most files are no pipes, and loading these takes time.
    import shutil  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryFile() as copy:
        with named(f"the copy of {label(file)} in {tempfile.gettempdir()}"):
            with open_once(file) as source:
                shutil.copyfileobj(source, copy)
            copy.flush()
        yield UnnamedFile(copy)


def is_kept(file: Path) -> bool:
    """Return whether a file of the command line is still there when it has been read."""
    return file != STANDARD_INPUT and file.is_file()


class _Reading(RawIOBase):
    """Read from the beginning, at a position independent of other readers of the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        read = os.preadv(self._descriptor, [buffer], self._position)
        self._position += read
        return read
