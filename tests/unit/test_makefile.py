"""The words of the Makefile, as a dry run tells them."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A directory of marks in place of a virtual environment."""
    folder = tmp_path / "venv"
    folder.mkdir()
    return folder


def _installed(word: str, venv: Path) -> list[str]:
    """What `make WORD` would have pip install."""
    # Without the variables of a make that has started these tests.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    told = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", word, f"VENV={venv}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in told.stdout.splitlines() if " pip install " in line]
    return [line.split()[-1].strip("'") for line in lines]


def test_run_installs_the_program_alone(venv: Path) -> None:
    assert _installed("run", venv) == ["."]


def test_a_cluster_adds_the_driver_of_its_database(venv: Path) -> None:
    (venv / "program").touch()

    assert _installed("cluster", venv) == [".[postgresql]"]


@pytest.mark.parametrize("word", ["setup", "test", "unit", "check", "docs"])
def test_other_words_install_what_a_run_left_out(venv: Path, word: str) -> None:
    (venv / "program").touch()

    assert _installed("run", venv) == []
    assert _installed(word, venv) == [".[dev]"]


def test_a_run_installs_nothing_after_the_tests_did(venv: Path) -> None:
    for mark in ("program", "cluster", "ready"):
        (venv / mark).touch()

    assert all(_installed(word, venv) == [] for word in ("run", "cluster", "test"))


def test_ci_checks_before_it_tests() -> None:
    """In a clone it installs everything once, and the quick faults come first."""
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if "make" in line.split()] == ["make check", "exec make test"]


@pytest.mark.parametrize(
    ("word", "area", "tests"),
    [
        ("test", "lists", "tests/integration/lists"),
        ("unit", "dit", "tests/unit/dit"),
        ("test", "nothing", None),
    ],
)
def test_one_area_is_tested_alone(venv: Path, word: str, area: str, tests: str | None) -> None:
    """A name that no folder has is refused: nothing would be tested, or everything."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--dry-run", word, f"VENV={venv}", f"AREA={area}", "ARGS=-x"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if tests is None:
        assert done.returncode
        assert "no folder of tests is called nothing" in done.stderr
    else:
        assert done.stdout.rstrip().endswith(f"{tests} -x")
