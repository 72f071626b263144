"""Limit downloads by slots, over all worker processes of a machine.

A slot is a file in memory, locked by the worker that sends the download. The kernel releases the
lock with the process, however that ends, so no slot is ever lost. The files are made before
gunicorn forks, and each worker inherits them.
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
    """Files in memory, one for each slot, and one that is locked while a slot is chosen."""

    def __init__(self, count: int) -> None:
        self._turn, *self._places = (
            os.memfd_create("iredldap-downloads") for _ in range(count + 1)
        )

    def __len__(self) -> int:
        return len(self._places)

    def turn(self) -> int:
        """Open the file that is locked while a slot is chosen.

        The lock belongs to the opened file, not to the process: threads exclude each other too.
        """
        return _opened(self._turn)

    def place(self, number: int) -> int:
        """Open the file of a slot."""
        return _opened(self._places[number])

    def close(self) -> None:
        for file in (self._turn, *self._places):
            os.close(file)


def share(count: int) -> None:
    """Make the slots of the workers that are forked from now on."""
    global _shared  # noqa: PLW0603 - it is how a forked process inherits them
    if _shared:
        # Those of the configuration before a reload: its workers have opened them.
        _shared.close()
    _shared = Files(count)


class Slots:
    """Gives slots to callers.

    Args:
        count: Number of slots, where they are not shared with other processes.
        each: Most slots of one caller.
    """

    def __init__(self, count: int, each: int) -> None:
        self._files = _shared or Files(count)
        self._each = each
        if self._files is not _shared:
            # A process that makes many applications would run out of file descriptors.
            weakref.finalize(self, self._files.close)

    def take(self, who: str) -> Callable[[], None]:
        """Take a slot for a caller; call the result to release it.

        Raises:
            TooManyRequests: If all are taken, or the caller has as many as they may.
        """
        # A digest, as all owners must be equally long in the file.
        owner = hashlib.sha256(who.encode()).digest()
        turn = self._files.turn()
        try:
            # One at a time chooses: two requests of one caller could otherwise both count one slot
            # fewer than they hold together.
            fcntl.flock(turn, fcntl.LOCK_EX)
            place = self._free_place(owner)
            os.pwrite(place, owner, 0)
        finally:
            os.close(turn)
        return lambda: os.close(place)

    def _free_place(self, owner: bytes) -> int:
        """Find a free slot, and lock it."""
        free: list[int] = []
        held = 0
        try:
            for number in range(len(self._files)):
                place = self._files.place(number)
                # The first free one is kept; the others are only looked at to count those of the
                # caller.
                if not free and _locked(place):
                    free.append(place)
                    continue
                # A slot that is not locked has the owner of a download that has ended. Closing the
                # file ends a lock that the test has taken.
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
    # Opened anew rather than duplicated: a duplicate would share the lock of the original.
    return os.open(f"/proc/self/fd/{file}", os.O_RDWR | os.O_CLOEXEC)


def _locked(file: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
