"""Exclusive locks on names: what `file_locks.py` and `database_locks.py` have in common."""

import hashlib
import threading
from contextlib import ExitStack
from functools import lru_cache
from typing import Protocol

from iredldap.errors import ServerDown

_MOST_NAMES = 4096
"""Numbers of names in memory."""


class Busy(ServerDown):
    """Others have held a name for the whole time of the wait."""


class LockBackend(Protocol):
    """Locks that exclude other threads and processes."""

    def take(self, names: list[str], deadline: float) -> "HeldLocks":
        """Acquire names in this order.

        Args:
            names: Sorted, without repeats.
            deadline: When to give up, on the monotonic clock.

        Raises:
            ServerDown: If others held one of them for too long, or the database does not respond.
        """

    def close(self) -> None:
        """Release all locks."""


class HeldLocks(Protocol):
    """Names that are held."""

    def check(self) -> None:
        """Check that they are held still.

        Raises:
            ServerDown: If another process may hold them by now.
        """

    def release(self) -> None:
        """Release them."""


class HeldUntilClosed:
    """Names held until a stack of callbacks is unwound."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def check(self) -> None:
        """Do nothing: they are held until this process ends."""

    def release(self) -> None:
        self._stack.close()


class _Mine(threading.local):
    def __init__(self) -> None:
        self.holds: list[HeldLocks] = []


_MINE = _Mine()


def hold(locks: HeldLocks) -> None:
    """Have the writes of this thread depend on locks, until `let_go`."""
    _MINE.holds.append(locks)


def let_go(locks: HeldLocks) -> None:
    """Have the writes of this thread no longer depend on locks."""
    _MINE.holds.remove(locks)


def check_held() -> None:
    """Check, before a write, that this thread still holds all locks that it has taken.

    Raises:
        ServerDown: If another process may hold one of them by now.
    """
    for locks in _MINE.holds:
        locks.check()


@lru_cache(_MOST_NAMES)
def number_of(name: str) -> int:
    """Map a name to a number of 62 bits, unique in practice."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 2


def busy(name: str) -> Busy:
    """Return the refusal for a name that others hold."""
    return Busy(f"others are changing {name}")
