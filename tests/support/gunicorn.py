"""The API as it is installed: gunicorn with the shipped settings."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests

from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.gunicorn import gunicorn_command
from iredldap.installation import configuration
from tests.support.databases import sqlite_urls
from tests.support.patience import PATIENCE, launched
from tests.support.serving import environment
from tests.support.world import SUFFIX, World


@dataclass(frozen=True)
class Running:
    """A gunicorn that answers.

    Args:
        url: Where its paths begin.
        pid: Of its first process, whose children the workers are.
        log: File with what it says.
    """

    url: str
    pid: int
    log: Path

    def workers(self) -> list[int]:
        """Return the process numbers of the workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii")
        return [int(pid) for pid in children.split()]


@contextmanager
def gunicorn(world: World, folder: Path, uri: str = "", **settings: str) -> Iterator[str]:
    """Serve with two workers; give the URL. The arguments are those of `started`."""
    with started(world, folder, uri, **settings) as running:
        yield running.url


@contextmanager
def started(world: World, folder: Path, uri: str = "", **settings: str) -> Iterator[Running]:
    """Serve with two workers.

    Args:
        world: The directory.
        folder: For configuration, databases and log.
        uri: Of the directory, where it is reached another way.
        settings: More of them, as `SECTION_NAME`.
    """
    path = folder / "iredldap.toml"
    ldap = {"uri": [uri or world.slapd.uri], "suffix": SUFFIX}
    path.write_text(
        configuration(
            {
                "api": {"enable_restful_api": True},
                "ldap": {**ldap, "bind_dn": f"cn=vmailadmin,{SUFFIX}"},
            }
        )
    )
    variables = os.environ | environment(folder, sqlite_urls(folder))
    variables |= {CONFIG_VARIABLE: str(path), "IREDLDAP_SERVER_WORKERS": "2"}
    variables |= {"IREDLDAP_SERVER_GRACEFUL_TIMEOUT": "5"}
    variables |= {f"IREDLDAP_{name}": value for name, value in settings.items()}
    log = folder / "gunicorn.log"
    process, port = launched(partial(launch, variables, log), _answers)
    try:
        yield Running(f"http://127.0.0.1:{port}", process.pid, log)
    finally:
        process.terminate()
        status = process.wait(PATIENCE)
    assert status == 0, log.read_text()


def launch(variables: dict[str, str], log: Path, port: int) -> subprocess.Popen[bytes]:
    """Start gunicorn on a port of 127.0.0.1; it gets SIGTERM when the thread that does so ends."""
    with log.open("ab") as output:
        return subprocess.Popen(
            gunicorn_command(),
            env=variables | {"IREDLDAP_SERVER_BIND": f"127.0.0.1:{port}"},
            stdout=output,
            stderr=output,
            # Ctrl-C at the terminal is for the tests, which then stop it.
            start_new_session=True,
            preexec_fn=ended_with_parent(),  # noqa: PLW1509
        )


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE).ok
    except requests.ConnectionError:
        return False
