"""The parameter that every call that writes has."""

from dataclasses import replace

import pytest

from iredldap.errors import InvalidParameter
from iredldap.web import dry_runs
from iredldap.web.endpoints.index import ENDPOINTS

CHANGE = next(endpoint for endpoint in ENDPOINTS if endpoint.id == "user_update")
READ = next(endpoint for endpoint in ENDPOINTS if endpoint.id == "user_get")
CHECK = next(endpoint for endpoint in ENDPOINTS if endpoint.id == "user_verify_password")


@pytest.mark.parametrize("word", ["yes", "YES", " true ", "on", "1"])
def test_every_spelling_of_yes(word: str) -> None:
    assert dry_runs.is_wanted(CHANGE, {}, {"dry_run": [word]})
    assert dry_runs.is_wanted(CHANGE, {"dry_run": [word]}, {})


def test_what_asks_for_none() -> None:
    assert not dry_runs.is_wanted(CHANGE, {}, {"name": ["dry_run"]})
    assert not dry_runs.is_wanted(CHANGE, {"dry_run": ["no"]}, {"dry_run": ["no"]})
    assert not dry_runs.is_wanted(READ, {"dry_run": ["perhaps"]})


@pytest.mark.parametrize(
    "form",
    [
        {"dry_run": [""]},
        {"dry_run": []},
        {"dry_run": ["yse"]},
        {"dry_run": ["yes", "no"]},
        {"dry-run": ["yes"]},
        {"DryRun": ["no"]},
        {"dry_run ": ["yes"]},
    ],
)
def test_what_is_never_ignored(form: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        dry_runs.is_wanted(CHANGE, {}, form)

    assert refusal.value.parameter in form


def test_call_without_one() -> None:
    assert not dry_runs.is_wanted(CHECK, {"dry_run": ["no"]})
    with pytest.raises(InvalidParameter):
        dry_runs.is_wanted(CHECK, {"dry_run": ["yes"]})


def test_offered_by_a_row_of_its_own() -> None:
    """As a restore has it, which has no operation."""
    restore = next(endpoint for endpoint in ENDPOINTS if endpoint.id == "ldif_restore")

    assert dry_runs.is_offered(restore)
    assert not dry_runs.is_offered(replace(restore, table=()))
