"""The contract's file: it lies beside the repository, or is absent."""

from pathlib import Path
from typing import Any

import pytest

from tests.mlmmjadmin import MlmmjadminServer

CONTRACT_FILE = Path(__file__).resolve().parents[3] / "shared" / "api.yaml"


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    return {"mlmmjadmin": mlmmjadmin.settings}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say that there was nothing to compare with; a header is not asked of a folder this deep."""
    if not CONTRACT_FILE.exists():
        terminalreporter.write_sep("-", "no contract file: tables were not compared with it")
