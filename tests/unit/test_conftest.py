"""What pytest loads before any unit test."""

import subprocess
import sys

HEAVY = {"falcon", "gunicorn", "requests", "sqlalchemy", "structlog"}


def test_unit_tests_load_no_http_and_no_sql() -> None:
    """Only the tests of what uses them do; a single other one starts at once."""
    loaded = f"import sys, tests.conftest, tests.unit.conftest; print({HEAVY} & sys.modules.keys())"

    printed = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True).stdout

    assert printed == b"set()\n"
