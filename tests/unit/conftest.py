"""No servers here: an accidental connection is loud, and property tests are quick."""

import sys
from typing import NoReturn

import hypothesis
import ldap
import pytest

from tests.support.examples import TIMES

hypothesis.settings.register_profile(
    "unit",
    max_examples=60 * TIMES,
    derandomize=TIMES == 1,
    deadline=None,
    database=None,
    # It judges by the clock.
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("unit")


@pytest.fixture(autouse=True)
def _no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail("a unit test connects to a server", pytrace=True)

    monkeypatch.setattr(ldap, "initialize", refuse)
    # Only a test of what uses it has loaded it.
    if sqlalchemy := sys.modules.get("sqlalchemy"):
        monkeypatch.setattr(sqlalchemy, "create_engine", refuse)
