"""Files that are read more than once, with a name or without."""

import os
from io import BufferedReader, RawIOBase
from typing import IO, Any, Literal, Protocol


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
