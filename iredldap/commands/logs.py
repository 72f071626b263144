"""The log of commands: errors only, on standard error."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def errors_only_logged() -> Iterator[None]:
    """Have this process log errors, to standard error, during the block.

    Without it structlog writes everything to standard output, between the lines of the command.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.reset_defaults()
