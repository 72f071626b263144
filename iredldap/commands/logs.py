"""The log of commands: errors only, on standard error."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.typing import EventDict


@contextmanager
def errors_only_logged(*dropped: str) -> Iterator[None]:
    """Have this process log errors, to standard error, during the block.

    Without it structlog writes everything to standard output, between the lines of the command.

    Args:
        dropped: Events that are not logged, as the command itself reports them.
    """

    def drop(_: Any, __: str, event: EventDict) -> EventDict:
        if event.get("event") in dropped:
            raise structlog.DropEvent
        return event

    structlog.configure(
        processors=[drop, *structlog.get_config()["processors"]],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.reset_defaults()
