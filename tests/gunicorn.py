"""The API as it is installed: gunicorn with the shipped settings."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from iredldap.config import CONFIG_VARIABLE
from iredldap.embedded.development import gunicorn_command
from iredldap.embedded.slapd import free_port
from iredldap.installation import configuration
from tests.conftest import SUFFIX, World, environment, wait_until
from tests.databases import sqlite_urls


@contextmanager
def gunicorn(world: World, folder: Path, uri: str = "", **settings: str) -> Iterator[str]:
    """Serve with two workers; give the URL.

    Args:
        world: The directory.
        folder: For configuration, databases and log.
        uri: Of the directory, where it is reached another way.
        settings: More of them, as `SECTION_NAME`.
    """
    port = free_port()
    path = folder / "iredldap.toml"
    ldap = {"uri": [uri or world.slapd.uri], "suffix": SUFFIX}
    path.write_text(
        configuration(
            {
                "api": {"enable_restful_api": True},
                "ldap": {**ldap, "bind_dn": f"cn=vmailadmin,{SUFFIX}"},
                "server": {"bind": f"127.0.0.1:{port}"},
            }
        )
    )
    variables = os.environ | environment(folder, sqlite_urls(folder))
    variables |= {CONFIG_VARIABLE: str(path), "IREDLDAP_SERVER_WORKERS": "2"}
    variables |= {"IREDLDAP_SERVER_GRACEFUL_TIMEOUT": "5"}
    variables |= {f"IREDLDAP_{name}": value for name, value in settings.items()}
    log = folder / "gunicorn.log"
    with log.open("ab") as output:
        process = subprocess.Popen(gunicorn_command(), env=variables, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url), 30)
        yield url
    finally:
        process.terminate()
        status = process.wait(30)
    assert status == 0, log.read_text()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).ok
    except requests.ConnectionError:
        return False
