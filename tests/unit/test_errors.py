"""The classes of refusals and their codes."""

from pathlib import Path

import iredldap
from iredldap.error_codes import refusals

PACKAGE = Path(iredldap.__file__).parent


def test_every_module_of_refusals_is_searched_for_codes() -> None:
    """A module that is added beside the others is one of those that `of_code` knows."""
    files = {f"iredldap.{path.stem}" for path in PACKAGE.glob("*errors.py")}

    assert {kind.__module__ for kind in refusals()} == files
