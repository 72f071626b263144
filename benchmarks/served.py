"""The API behind gunicorn as it is shipped, with a caller who is logged in."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import requests

from benchmarks import fetch
from benchmarks.ground import ADMIN, PASSWORD, SUFFIX
from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.gunicorn import gunicorn_command
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.installation import configuration
from tests.support.databases import Urls, sqlite_databases

WORKERS = 2
"""Processes of a server."""


@dataclass(frozen=True)
class Api:
    """A running server.

    Args:
        url: Where its paths begin.
        pid: Of gunicorn's first process.
        session: Of a global admin.
    """

    url: str
    pid: int
    session: requests.Session

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send a request that has to succeed."""
        response = self.session.request(method, self.url + path, timeout=600, **more)
        response.raise_for_status()
        return response

    def alike(self) -> "Api":
        """Give the same server with a connection of its own, which another worker may answer."""
        session = requests.Session()
        session.cookies.update(self.session.cookies)
        return replace(self, session=session)

    def fetching(self, path: str) -> list[str]:
        """Command that prints the answer to a request, and fails unless all of it comes."""
        return [sys.executable, "-I", "-S", fetch.__file__, self.url + path, self.cookie]

    def peaks(self) -> dict[int, float]:
        """The most memory that each worker has held so far, in megabytes."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii").split()
        return {int(pid): _peak(pid) for pid in children}

    @property
    def cookie(self) -> str:
        """What says who we are, as a header has it."""
        return "; ".join(f"{name}={value}" for name, value in self.session.cookies.items())


@contextmanager
def state_file() -> Iterator[Path]:
    """Give the path of a new SQLite state database."""
    with tempfile.TemporaryDirectory(prefix="iredldap-bench-") as folder:
        yield Path(folder) / "state.sqlite3"


@contextmanager
def served(
    slapd: Slapd, urls: Urls, tree: Path | None = None, state: str | None = None
) -> Iterator[Api]:
    """Run gunicorn on a directory and databases, and log in.

    Args:
        slapd: The directory.
        urls: Of iRedMail's databases.
        tree: Checkout of another version, which is served instead of this one.
        state: URL of the state database; None: a file that is removed at the end.
    """
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="iredldap-bench-") as folder:
        variables = os.environ | _environment(Path(folder), slapd, urls, address)
        if state:
            variables["IREDLDAP_STATE_URL"] = state
        command = gunicorn_command()
        if tree is None:
            # As `iredldap init` leaves it; a version from before the change log knows no such key.
            variables["IREDLDAP_CHANGES_KEYS"] = "0" * 32
        else:
            variables["PYTHONPATH"] = str(tree)
            command = _command_of(tree, variables)
        gunicorn = subprocess.Popen(
            command,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=tree,
            env=variables,
            preexec_fn=ended_with_parent(),  # noqa: PLW1509
        )
        try:
            url = f"http://{address}/api"
            yield Api(url, gunicorn.pid, _logged_in(url))
        finally:
            gunicorn.terminate()
            gunicorn.wait(60)


@contextmanager
def sqlite() -> Iterator[Urls]:
    """Databases of iRedMail in SQLite."""
    with tempfile.TemporaryDirectory(prefix="iredldap-bench-") as folder:
        yield sqlite_databases(Path(folder))


def _environment(folder: Path, slapd: Slapd, urls: Urls, bind: str) -> dict[str, str]:
    ldap = {"uri": [slapd.ldapi], "suffix": SUFFIX, "bind_dn": f"cn=vmailadmin,{SUFFIX}"}
    file = folder / "iredldap.toml"
    file.write_text(configuration({"api": {"enable_restful_api": True}, "ldap": ldap}))
    databases = asdict(urls)
    del databases["backend"]
    return {
        CONFIG_VARIABLE: str(file),
        "IREDLDAP_SERVER_BIND": bind,
        "IREDLDAP_SERVER_WORKERS": str(WORKERS),
        "IREDLDAP_LDAP_BIND_PASSWORD": PASSWORD,
        "IREDLDAP_SESSION_KEYS": "k" * 32,
        "IREDLDAP_STATE_URL": f"sqlite:///{folder}/state.sqlite3",
        **{f"IREDLDAP_{name.upper()}_URL": url for name, url in databases.items()},
    }


def _command_of(tree: Path, variables: dict[str, str]) -> list[str]:
    """Return the command that serves another version.

    Raises:
        AssertionError: If its Python would import the package from elsewhere.
    """
    where = "import iredldap; print(iredldap.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where],
        cwd=tree,
        env=variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.strip()
    if not Path(found).is_relative_to(tree):
        raise AssertionError(f"instead of {tree}, {found} would be measured")
    return [sys.executable, "-m", "gunicorn", "--config", str(tree / "gunicorn.conf.py")]


def _peak(pid: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) / 1024
    raise ValueError(f"process {pid} has ended")


def _logged_in(url: str) -> requests.Session:
    session = requests.Session()
    credentials = {"username": ADMIN, "password": PASSWORD}
    until = time.monotonic() + 60
    while True:
        try:
            session.post(f"{url}/login", data=credentials, timeout=10).raise_for_status()
        except requests.RequestException:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return session
