"""How long others wait while somebody asks for much."""

import subprocess
import time
from collections.abc import Callable
from functools import partial
from statistics import median

from benchmarks.figures import Row
from benchmarks.ground import seconds
from benchmarks.served import Api

USUAL_SECONDS = 3.0
SHARE = 1 / 2
"""Of the usual speed."""


def meanwhile(api: Api, what: str, path: str, much: str) -> Row:
    """Ask for one thing over and over, first alone, and then while much comes.

    Args:
        api: Running.
        what: Is measured.
        path: Of the one thing.
        much: Path of what takes long.
    """
    ask = partial(seconds, partial(api.request, "GET", path))
    until = time.monotonic() + USUAL_SECONDS
    usual = _while(lambda: time.monotonic() < until, ask)
    other = subprocess.Popen(api.fetching(much), stdout=subprocess.DEVNULL)
    busy = _while(lambda: other.poll() is None, ask)
    if other.returncode:
        raise subprocess.CalledProcessError(other.returncode, "fetch")
    note = f"medians of {len(busy)} and {len(usual)}; slowest {max(busy) * 1000:.0f} ms"
    return Row(what, "the same otherwise", median(busy), median(usual), note, wanted=SHARE)


def _while(going_on: Callable[[], bool], ask: Callable[[], float]) -> list[float]:
    times = []
    while going_on():
        times.append(ask())
    return times
