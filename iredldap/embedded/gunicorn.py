"""The API as a child process: gunicorn with the shipped settings."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.embedded.process import Process
from iredldap.shipped import shipped


def gunicorn_command() -> list[str]:
    """Return the command that serves the API with the shipped settings."""
    return [sys.executable, "-m", "gunicorn", "--config", str(shipped("gunicorn.conf.py"))]


class Gunicorn(Process):
    """The API on a port of 127.0.0.1.

    Args:
        configuration: File with its settings.
        port: TCP port.
        log: File that its output is appended to.
        variables: More of its environment.
    """

    def __init__(
        self, configuration: Path, port: int, log: Path, variables: Mapping[str, str]
    ) -> None:
        own = {
            CONFIG_VARIABLE: str(configuration),
            "IREDLDAP_SERVER_BIND": f"127.0.0.1:{port}",
        }
        super().__init__(gunicorn_command(), log, {**os.environ, **own, **variables})
        self.port = port
