"""Places for downloads, counted over all worker processes of a machine.

Each place is a file in memory that whoever downloads holds a lock on. The kernel takes the lock
away with the process that held it, however it ends, so no place is ever lost. The files are made
before gunicorn forks, and each worker inherits them.
"""

import fcntl
import hashlib
import os
import weakref
from collections.abc import Callable
from contextlib import suppress

from iredldap.errors import TooManyRequests

_RETRY_AFTER = 10
"""Seconds; most downloads end sooner."""

_shared: "Files | None" = None


class Files:
    """Files in memory, one for each place, and one to take turns by."""

    def __init__(self, count: int) -> None:
        self._turn, *self._places = (
            os.memfd_create("iredldap-downloads") for _ in range(count + 1)
        )

    def __len__(self) -> int:
        return len(self._places)

    def turn(self) -> int:
        """Open the file to take turns by; the lock is that of the opened file, not the process."""
        return _opened(self._turn)

    def place(self, number: int) -> int:
        """Open the file of a place."""
        return _opened(self._places[number])

    def close(self) -> None:
        for file in (self._turn, *self._places):
            os.close(file)


def share(count: int) -> None:
    """Make places for the workers that are forked from now on."""
    global _shared  # noqa: PLW0603 - it is how a forked process inherits them
    if _shared:
        # Of a configuration before; its workers have opened them for themselves.
        _shared.close()
    _shared = Files(count)


class Slots:
    """Lends places to callers.

    Args:
        count: Of places, where they are not shared with other processes.
        each: Most of one caller.
    """

    def __init__(self, count: int, each: int) -> None:
        self._files = _shared or Files(count)
        self._each = each
        if self._files is not _shared:
            # Whoever makes one application after the other would run out of descriptors.
            weakref.finalize(self, self._files.close)

    def take(self, who: str) -> Callable[[], None]:
        """Take a place for a caller; call what is returned to give it back.

        Raises:
            TooManyRequests: If all are taken, or the caller has as many as they may.
        """
        owner = hashlib.sha256(who.encode()).digest()
        turn = self._files.turn()
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
            place = self._free_place(owner)
            os.pwrite(place, owner, 0)
        finally:
            os.close(turn)
        return lambda: os.close(place)

    def _free_place(self, owner: bytes) -> int:
        """Find a free place, and lock it."""
        free: list[int] = []
        held = 0
        try:
            for number in range(len(self._files)):
                place = self._files.place(number)
                if not free and _locked(place):
                    free.append(place)
                    continue
                held += os.pread(place, len(owner), 0) == owner and not _locked(place)
                os.close(place)
            if held >= self._each:
                raise TooManyRequests(f"{held} downloads of one caller", retry_after=_RETRY_AFTER)
            if not free:
                words = f"all {len(self._files)} downloads are taken"
                raise TooManyRequests(words, retry_after=_RETRY_AFTER)
            return free.pop()
        finally:
            for place in free:
                os.close(place)


def _opened(file: int) -> int:
    return os.open(f"/proc/self/fd/{file}", os.O_RDWR | os.O_CLOEXEC)


def _locked(file: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
