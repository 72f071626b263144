"""Locks on bytes of a file, for the processes of one machine.

Source: `fcntl(2)`, open file description locks; `docs/decisions/0022-turns.md`.
"""

import fcntl
import os
import random
import struct
import threading
import time
import weakref
from collections import deque
from contextlib import ExitStack
from pathlib import Path

from iredldap.errors import ServerDown
from iredldap.gateways.locks import HeldLocks, HeldUntilClosed, busy, number_of

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.008
"""Seconds between two attempts to lock a byte that another process holds."""


class FileLocks:
    """Locks on bytes of one file; without a file, only threads of this process are excluded.

    Open file description locks, unlike POSIX locks, exclude each other also within a process, and
    are not lost when another descriptor of the file is closed.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._reset()
        reset = weakref.WeakMethod(self._reset)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _reset(self) -> None:
        """Start without locks, after a fork: those of the parent process are still its own."""
        self._queues = _Queues()
        self._lock = threading.Lock()
        self._descriptors: list[int] = []

    def take(self, names: list[str], deadline: float) -> HeldLocks:
        with ExitStack() as stack:
            for name in names:
                # Threads of this process queue for the name first: the kernel does not order those
                # who try a byte, and one thread of a busy process could be overtaken for ever.
                if not self._queues.acquire(name, deadline):
                    raise busy(name)
                stack.callback(self._queues.release, name)
                self._lock_bytes(name, deadline, stack)
            return HeldUntilClosed(stack.pop_all())

    def _lock_bytes(self, name: str, deadline: float, stack: ExitStack) -> None:
        if self._file is None:
            return
        try:
            descriptor = self._opened(self._file)
            main = 2 * number_of(name)
            # The second byte is held by the process that is next. Without it, a process with many
            # threads would pass a busy name from one of them to the next, and other processes would
            # hardly ever get it.
            gate = main + 1
            _lock_byte(descriptor, gate, deadline, name)
            try:
                _lock_byte(descriptor, main, deadline, name)
            finally:
                _set_lock(descriptor, fcntl.F_UNLCK, gate)
        except OSError as ex:
            raise ServerDown(f"{self._file}: {ex}") from ex
        stack.callback(_set_lock, descriptor, fcntl.F_UNLCK, main)

    def _opened(self, file: Path) -> int:
        """Return a descriptor of the file that has this name now.

        If it was deleted or replaced, other processes lock the new file. Descriptors of former
        files stay open, because locks may be held by them.
        """
        with self._lock:
            if not self._descriptors or not _is_current(file, self._descriptors[-1]):
                file.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                self._descriptors.append(os.open(file, flags, 0o600))
            return self._descriptors[-1]

    def close(self) -> None:
        with self._lock:
            descriptors, self._descriptors = self._descriptors, []
        for descriptor in descriptors:
            os.close(descriptor)


def _is_current(file: Path, descriptor: int) -> bool:
    """Return whether a descriptor is that of the file which has this name now."""
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))  # noqa: PTH116 - its twin
    except FileNotFoundError:
        return False


def _lock_byte(descriptor: int, offset: int, deadline: float, name: str) -> None:
    pause = _SHORTEST_PAUSE
    while not _set_lock(descriptor, fcntl.F_WRLCK, offset):
        if time.monotonic() > deadline:
            raise busy(name)
        time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - spreads the attempts
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _set_lock(descriptor: int, kind: int, offset: int) -> bool:
    """Lock or unlock one byte; return whether that succeeded, or others hold it.

    Raises:
        OSError: If the file system does not support locks.
    """
    # struct flock of Linux; its process id must be 0 for open file description locks.
    request = struct.pack("@hhqqi4x", kind, os.SEEK_SET, offset, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)
    except BlockingIOError:
        return False
    except PermissionError:
        # POSIX allows EACCES for the same case.
        return False
    return True


class _Queues:
    """First-in, first-out queues, in which the threads of one process wait for each name."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[object]] = {}

    def acquire(self, name: str, deadline: float) -> bool:
        ticket = object()
        with self._changed:
            queue = self._waiting.setdefault(name, deque())
            queue.append(ticket)
            if self._changed.wait_for(
                lambda: queue[0] is ticket, max(0.0, deadline - time.monotonic())
            ):
                return True
            # It gave up: who comes after it must not wait for it.
            queue.remove(ticket)
            return False

    def release(self, name: str) -> None:
        with self._changed:
            queue = self._waiting[name]
            queue.popleft()
            if not queue:
                del self._waiting[name]
            self._changed.notify_all()
