"""How long others wait while somebody asks for much."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median
from typing import NamedTuple

from benchmarks.figures import Row
from benchmarks.ground import seconds
from benchmarks.served import Api

USUAL_SECONDS = 3.0
SHARE = 1 / 2
"""Of the usual speed."""


class Other(NamedTuple):
    """What somebody else asks for over and over.

    Args:
        what: Is measured.
        ask: Asks once.
        share: Of the usual speed that is wanted.
    """

    what: str
    ask: Callable[[], object]
    share: float = SHARE


def meanwhile(api: Api, what: str, path: str, much: str) -> Row:
    """Ask for one thing over and over, first alone, and then while much comes.

    Args:
        api: Running.
        what: Is measured.
        path: Of the one thing.
        much: Path of what takes long.
    """

    def start() -> Callable[[], bool]:
        command = api.fetching(much)
        coming = subprocess.Popen(command, stdout=subprocess.DEVNULL)

        def goes_on() -> bool:
            if coming.poll():
                raise subprocess.CalledProcessError(coming.returncode, command)
            return coming.returncode is None

        return goes_on

    (row,) = waiting([Other(what, partial(api.request, "GET", path))], start)
    return row


def waiting(others: Sequence[Other], start: Callable[[], Callable[[], bool]]) -> Iterator[Row]:
    """Have others ask in turn, first alone, and then while something goes on.

    Args:
        others: A row of the result each.
        start: Starts what takes long, and gives a function that says whether it goes on.
    """
    until = time.monotonic() + USUAL_SECONDS
    usual = _times(lambda: time.monotonic() < until, others)
    busy = _times(start(), others)
    for other, alone, beside in zip(others, usual, busy, strict=True):
        note = f"medians of {len(beside)} and {len(alone)}; slowest {max(beside) * 1000:.0f} ms"
        yield Row(
            other.what, "the same otherwise", median(beside), median(alone), note, other.share
        )


def _times(goes_on: Callable[[], bool], others: Sequence[Other]) -> list[list[float]]:
    """Return the seconds of all askings of each."""
    times: list[list[float]] = [[] for _ in others]
    while goes_on():
        for spent, other in zip(times, others, strict=True):
            spent.append(seconds(other.ask))
    return times
