"""Exclusive locks on names: what the two kinds of `file_locks.py` and `database_locks.py` share."""

import hashlib
from contextlib import ExitStack
from typing import Protocol

from iredldap.errors import ServerDown


class Busy(ServerDown):
    """Others hold a name, and went on holding it."""


class LockBackend(Protocol):
    """Excludes other processes."""

    def take(self, names: list[str], deadline: float) -> "HeldLocks":
        """Acquire names in this order.

        Args:
            names: Sorted, without repeats.
            deadline: On the monotonic clock.

        Raises:
            ServerDown: If others held one of them for too long, or the database does not answer.
        """

    def close(self) -> None:
        """Release everything."""


class HeldLocks(Protocol):
    """Names that are held."""

    def release(self) -> None:
        """Let others take them."""


class HeldUntilClosed:
    """Names held until a stack of callbacks is unwound."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def release(self) -> None:
        self._stack.close()


def number_of(name: str) -> int:
    """Map a name to a whole number of 62 bits; no two names that occur together share one."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 2


def busy(name: str) -> Busy:
    return Busy(f"others are changing {name}")
