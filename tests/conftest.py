"""What holds for all tests; fixtures of servers are in `tests/support/fixtures.py`."""

import gc
import signal
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

# Before they are imported: an assertion that fails in one of them shows the values too.
pytest.register_assert_rewrite("tests.support")

from tests.support.patience import TRIES  # noqa: E402

# A shell that starts the tests in the background has them ignore it, and all that they start, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure() -> None:
    """Look for no garbage while tests are collected: thousands of them are made, and all stay."""
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave out what stays to the end when garbage is looked for, which takes 0.2 s otherwise."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a value that is no text after its parameter: compressed bytes hold the time.

    Every process has to find the same tests, or none are run.
    """
    return argname if isinstance(val, bytes) and not val.isascii() else None


_failures: Counter[str] = Counter()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: Any
) -> Generator[None, object, object]:
    """Set a fixture that failed up anew for the next test, which would get the old error otherwise.

    One start of a server that fails so fails one test, not all that share the server. A few times
    only: where the server cannot run, each failure may cost its whole deadline.
    """
    try:
        return (yield)
    except (Exception, pytest.fail.Exception):
        name = f"{fixturedef.baseid}::{fixturedef.argname}"
        _failures[name] += 1
        if _failures[name] < TRIES:
            fixturedef.finish(request)
        raise


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how far the contract is served, where its tests have run."""
    reports = (report for found in terminalreporter.stats.values() for report in found)
    if any(getattr(one, "nodeid", "").startswith("tests/contract/") for one in reports):
        from tests.contract.table import told

        terminalreporter.write_sep("-", told())
