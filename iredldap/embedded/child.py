"""Child processes that do not outlive us."""

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def tied_to_us() -> Callable[[], None] | None:
    """Give what a child runs first so that it gets SIGTERM when the starting thread ends.

    None where the system (other than Linux) has no such tie.
    """
    parent = os.getpid()

    def tie() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return tie if hasattr(_LIBC, "prctl") else None
