"""Show how far a long change is, on standard error, if that is a terminal."""

import sys
import time
from types import TracebackType
from typing import Any, Self

_SECONDS = 0.5
"""A change that ends before is not worth a line."""


class Meter:
    """A line with the progress of a change, during the block; empty without a terminal."""

    def __init__(self, words: str) -> None:
        self._words = words
        self._since = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, done: int, total: int | None = None) -> None:
        """Show how many entries are done.

        Args:
            done: So many.
            total: Of so many; None: that is not known.
        """
        if not sys.stderr.isatty() or time.monotonic() - self._since < _SECONDS:
            return
        if self._bar is None:
            self._begin()
        self._bar.update(self._task, completed=done, total=total)

    def _begin(self) -> None:
        # A tenth of a second, which only long changes pay.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._words, total=None)
        self._bar.start()
