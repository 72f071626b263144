"""Tests are as right on a slow machine as on a fast one, and one bad start fails few of them."""

import ast
import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import pytest_make_parametrize_id
from tests.support.patience import PATIENCE, TRIES, started

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


def waits(tree: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    """Find for how long a test waits at most: line and value of each such argument."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            name = getattr(call.func, "attr", "") or f"{getattr(call.func, 'id', '')}()"
            at = {
                "wait": 0, "join": 0, "settimeout": 0, "result": 0,
                "create_connection": 1, "wait_until()": 1,
            }  # fmt: skip
            given = call.args[at[name] :][:1] if name in at else []
            given += [word.value for word in call.keywords if word.arg == "timeout"]
            yield from ((call.lineno, value) for value in given)


def test_nothing_that_must_happen_has_a_deadline_of_its_own() -> None:
    """`PATIENCE` is for all. Shorter than a second is only what is to be in vain."""
    short = [
        f"{path.relative_to(ROOT)}:{line}: {ast.unparse(value)}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line, value in waits(ast.parse(path.read_text("utf-8")))
        if isinstance(value, ast.Constant)
        and isinstance(value.value, int | float)
        and 1 <= value.value < PATIENCE
    ]

    assert not short, "\n".join(["use PATIENCE of tests/support/patience.py:", *short])


def test_names_of_tests_do_not_depend_on_the_time() -> None:
    """Else processes that collect in different seconds find different tests, and none is run."""
    assert pytest_make_parametrize_id(gzip.compress(b"x"), "text") == "text"
    assert pytest_make_parametrize_id(b"words", "text") is None
