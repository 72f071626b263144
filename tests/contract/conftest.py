"""What the tests of the contract run beside."""

from typing import Any

import pytest

from tests.support.mlmmjadmin import MlmmjadminServer


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.fixtures")


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    return {"mlmmjadmin": mlmmjadmin.settings}
