"""Child processes that end with their parent."""

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def ended_with_parent(number: signal.Signals = signal.SIGTERM) -> Callable[[], None] | None:
    """Return a `preexec_fn` by which a child gets a signal when the thread that started it ends.

    None where the system (other than Linux) has no such mechanism.
    """
    parent = os.getpid()

    def tie() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)
        # The parent may have ended before the call: then no signal is sent any more.
        if os.getppid() != parent:
            os._exit(1)

    return tie if hasattr(_LIBC, "prctl") else None
