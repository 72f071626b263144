from pathlib import Path

import pytest

from benchmarks import before, turns


def test_absence_of_the_release_before_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a shallow clone, or in files that somebody unpacked."""
    monkeypatch.setattr(before, "_REPOSITORY", tmp_path)

    with pytest.raises(SystemExit, match="the release before"), before.release_before():
        pass


def test_no_request_of_a_slice_changes_what_another_one_does() -> None:
    """Else eight clients would wait for each other's entries, and not only for their domain."""
    for case in turns.cases():
        calls = case.calls() + case.calls()
        share = turns.REQUESTS // case.clients
        owners: dict[str, int] = {}
        for number, call in enumerate(calls[: turns.REQUESTS]):
            assert owners.setdefault(call.path, number // share) == number // share

        assert len({(call.path, *call.form.items()) for call in calls}) == len(calls)
