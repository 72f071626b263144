"""The times that the listing of the change log takes."""

from datetime import UTC, datetime

import pytest

from iredldap.dit.change_query import milliseconds
from iredldap.errors import InvalidParameter

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01", "2026-03-01T00:00:00+00:00"),
        ("2026-03-01T10:30", "2026-03-01T10:30:00+00:00"),
        ("2026-03-01T10:30:00.250Z", "2026-03-01T10:30:00.250+00:00"),
        ("2026-03-01T10:30:00+02:00", "2026-03-01T08:30:00+00:00"),
        ("2026-03-01T10:30:00 02:00", "2026-03-01T08:30:00+00:00"),
        ("90s", "2026-03-10T11:58:30+00:00"),
        (" 30 M ", "2026-03-10T11:30:00+00:00"),
        ("2h", "2026-03-10T10:00:00+00:00"),
        ("7d", "2026-03-03T12:00:00+00:00"),
        ("1w", "2026-03-03T12:00:00+00:00"),
    ],
)
def test_a_time_is_a_date_or_how_long_ago(text: str, moment: str) -> None:
    assert milliseconds(text, NOW) == datetime.fromisoformat(moment).timestamp() * 1000


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2h ago", "999999w", "1" * 99])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="neither a time"):
        milliseconds(text, NOW)
