"""Every test here runs over each of the database servers."""

import pytest

from tests.support.databases import Urls


@pytest.fixture
def urls(databases: Urls) -> Urls:
    """The databases that the app uses, as new ones are."""
    return databases
