"""Tests are as right on a slow machine as on a fast one, and one bad start fails few of them."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.patience import TRIES, started

ROOT = Path(__file__).resolve().parents[2]

SHAKY = """
import pytest

starts = []

@pytest.fixture(scope="session")
def shaky():
    starts.append(len(starts) + 1)
    assert len(starts) > 1
    yield len(starts)

@pytest.fixture(scope="session", params=["one", "two"])
def broken(request):
    starts.append(request.param)
    pytest.fail("it is not installed")

def test_first(shaky): ...
def test_second(shaky):
    assert shaky == 2
def test_third(shaky):
    assert shaky == 2

@pytest.mark.parametrize("time", range(6))
def test_broken(broken, time): ...

def test_count():
    assert [starts.count(one) for one in (1, 2, "one", "two")] == [1, 1, 3, 1]
"""


@dataclass
class Server:
    """One that comes up at the last of so many starts."""

    needed: int
    port: int = 0
    ports: list[int] = field(default_factory=list)

    def start(self, deadline: float) -> None:
        self.ports.append(self.port)
        if len(self.ports) < self.needed:
            raise ConnectionRefusedError


def test_failed_start_is_tried_again_on_another_port() -> None:
    server = started(Server(TRIES))

    assert len({*server.ports}) == TRIES


def test_server_that_never_comes_up_is_an_error() -> None:
    server = Server(TRIES + 1)

    with pytest.raises(ConnectionRefusedError):
        started(server)
    assert len(server.ports) == TRIES


def test_failed_fixture_is_tried_anew_by_the_next_test(tmp_path: Path) -> None:
    """A few times: after that its error stands for every test that needs it."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_fixture_setup\n")
    (tmp_path / "test_shaky.py").write_text(SHAKY)

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "3 passed, 13 errors" in ran.stdout, ran.stdout
