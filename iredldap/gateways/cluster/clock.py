"""The clock of leases: one that goes on while the machine is suspended."""

import time


def now() -> float:
    """Return seconds on a clock that is never set and does not stop when the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
