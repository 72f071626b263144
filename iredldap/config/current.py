"""The configuration that the running processes serve with.

The master of gunicorn reads it when it starts and at each reload. Workers are forked from the
master and serve with what it holds: none of them reads the file again, which may have faults by
then.
"""

import logging
import os
from pathlib import Path

from iredldap.config.config import (
    CONFIG_VARIABLE,
    DEFAULT_CONFIG,
    Config,
    ConfigurationError,
    read_file,
)

# The master logs by this name, and has set it up before the first reload.
log = logging.getLogger("gunicorn.error")

_held: Config | None = None


def load() -> Config:
    """Read the configuration, and hold it; where it has faults, log them and keep what was held.

    Raises:
        ConfigurationError: If it has faults and nothing was held.
    """
    global _held  # noqa: PLW0603 - it must survive that gunicorn.conf.py is executed again
    path = Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))
    try:
        _held = read_file(path, os.environ)
    except ConfigurationError as ex:
        if _held is None:
            raise
        for line in (f"{path} has faults; what was read before stays in effect", *ex.faults):
            log.error("%s", line)  # noqa: TRY400 - the traceback says nothing about the file
    return _held


def config() -> Config:
    """Return the configuration that is held; read it first where nobody has.

    Raises:
        ConfigurationError: As `load`.
    """
    return _held or load()
