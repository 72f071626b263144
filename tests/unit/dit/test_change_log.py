"""What a change has touched, as a value and as JSON."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit.change_log import (
    Cell,
    Sealed,
    Touched,
    TouchedEntry,
    TouchedRows,
    Value,
    ValueChanges,
    as_json,
    from_json,
    is_secret,
    map_secrets,
)
from tests.support.examples import examples

_VALUES = st.binary(max_size=9) | st.builds(Sealed, st.text(max_size=3), st.binary(max_size=9))
_MANY = st.lists(_VALUES, max_size=3).map(tuple)
_ENTRIES = st.builds(
    TouchedEntry,
    st.sampled_from(["add", "modify", "delete", "rename"]),
    st.text(min_size=1, max_size=9),
    st.text(max_size=9),
    uuid=st.text(max_size=3),
    before=st.text(max_size=3),
    after=st.text(max_size=3),
    attributes=st.dictionaries(
        st.text(max_size=3), st.builds(ValueChanges, st.none() | _MANY, _MANY), max_size=3
    ),
)
_CELLS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.datetimes()
    | st.dates()
    | st.decimals(allow_nan=False)
)
_ROWS = st.lists(st.dictionaries(st.text(max_size=5), _CELLS, max_size=3), max_size=3).map(tuple)
_TABLES = st.builds(TouchedRows, st.text(min_size=1), st.text(min_size=1), _ROWS, _ROWS, st.text())


@examples(50)
@given(_ENTRIES | _TABLES)
def test_what_was_written_as_json_is_read_again(touched: Touched) -> None:
    assert from_json(json.loads(json.dumps(as_json(touched)))) == touched


def test_a_modification_is_shown_by_value() -> None:
    touched = TouchedEntry(
        "modify",
        "mail=ann@test.com,ou=Users",
        before="1",
        after="2",
        attributes={
            "cn": ValueChanges((b"Ann",), (b"Eve",)),
            "photo": ValueChanges((), (b"\xff",)),
            "sn": ValueChanges(None, ("Ä".encode(),)),
        },
    )
    assert as_json(touched) == {
        "event": "modify",
        "dn": "mail=ann@test.com,ou=Users",
        "before": "1",
        "after": "2",
        "attributes": {
            "cn": {"removed": ["Ann"], "added": ["Eve"]},
            "photo": {"added": [{"base64": "/w=="}]},
            "sn": {"removed": None, "added": ["Ä"]},
        },
    }


def test_rows_keep_the_types_of_their_cells() -> None:
    row: dict[str, Cell] = {
        "n": 1,
        "b": b"\x00",
        "t": datetime(2026, 3, 1, tzinfo=UTC),
        "d": date(2026, 3, 1),
    }
    touched = TouchedRows("amavisd", "policy", before=({**row, "score": Decimal("5.0")},))
    assert as_json(touched) == {
        "system": "amavisd",
        "table": "policy",
        "before": [
            {
                "n": 1,
                "b": {"base64": "AA=="},
                "t": {"time": "2026-03-01T00:00:00+00:00"},
                "d": {"date": "2026-03-01"},
                "score": {"decimal": "5.0"},
            }
        ],
    }


@pytest.mark.parametrize("name", ["userPassword", "USERPASSWORD", "userPassword;lang-de"])
def test_passwords_are_secrets_under_every_spelling(name: str) -> None:
    def hidden(value: Value) -> Value:
        return Sealed("k", b"sealed " + value) if isinstance(value, bytes) else value

    touched = TouchedEntry(
        "modify",
        "dn",
        attributes={name: ValueChanges((b"old",), (b"new",)), "cn": ValueChanges((), (b"Ann",))},
    )
    assert is_secret(name)
    assert map_secrets(touched, hidden) == TouchedEntry(
        "modify",
        "dn",
        attributes={
            name: ValueChanges((Sealed("k", b"sealed old"),), (Sealed("k", b"sealed new"),)),
            "cn": ValueChanges((), (b"Ann",)),
        },
    )
    unknown = TouchedEntry("modify", "dn", attributes={name: ValueChanges(None)})
    assert map_secrets(unknown, hidden) == unknown


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"event": "modify"},
        {"system": "iredapd", "table": "t", "after": [{"a": {"new kind": 1}}]},
        {"event": "add", "dn": "d", "attributes": {"cn": {"added": [{"new kind": ""}]}}},
        {"event": "add", "dn": "d", "attributes": {"cn": {"added": [{"base64": "="}]}}},
    ],
)
def test_what_this_version_does_not_know_is_refused(written: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not what a change has touched"):
        from_json(written)
