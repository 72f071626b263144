"""The configuration in effect.

gunicorn's master process reads it when it starts and at each reload. Workers are forked from the
master and use what it holds: none of them reads the file again, which may be invalid by then.
"""

import logging
import os
from pathlib import Path

from iredldap.config.reader import CONFIG_VARIABLE, DEFAULT_CONFIG, ConfigurationError, read_file
from iredldap.config.sections import Config

# gunicorn's own logger: it is set up before the first reload, when structlog is not.
log = logging.getLogger("gunicorn.error")

_held: Config | None = None


def load() -> Config:
    """Read the configuration and keep it; if it is invalid, log its errors and keep the last one.

    Raises:
        ConfigurationError: If it is invalid and there is none to keep.
    """
    global _held  # noqa: PLW0603 - it must survive that gunicorn.conf.py is executed again
    path = Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))
    try:
        _held = read_file(path, os.environ)
    except ConfigurationError as ex:
        if _held is None:
            raise
        for line in (
            f"{path} is invalid; the last valid configuration stays in effect",
            *ex.errors,
        ):
            log.error("%s", line)  # noqa: TRY400 - the traceback says nothing about the file
    return _held


def config() -> Config:
    """Return the configuration in effect; the first call reads it.

    Raises:
        ConfigurationError: As `load`.
    """
    return _held or load()
