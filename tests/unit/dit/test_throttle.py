"""Throttles: what a form makes of the whole row, and how a row is shown."""

import pytest

from iredldap.dit import throttle
from iredldap.dit.form_parser import parse
from iredldap.errors import InvalidParameter, MissingParameter

UNSET = {"msg_size": -1, "max_msgs": -1, "max_quota": -1}

VALUES = [
    ({"period": "60"}, {"period": 60, **UNSET}),
    ({"period": "60", "max_msgs": "0"}, {"period": 60, **UNSET, "max_msgs": 0}),
    ({"period": "60", "max_msgs": "-1"}, {"period": 60, **UNSET}),
    ({"period": "60", "msg_size": "", "max_quota": "5"}, {"period": 60, **UNSET, "max_quota": 5}),
    (
        {"period": "4294967295", "msg_size": "1", "max_msgs": "2", "max_quota": str(2**63 - 1)},
        {"period": 4294967295, "msg_size": 1, "max_msgs": 2, "max_quota": 2**63 - 1},
    ),
]


@pytest.mark.parametrize(("form", "values"), VALUES)
def test_a_form_sets_the_whole_throttle(form: dict[str, str], values: dict[str, int]) -> None:
    """What was left out is inherited; 0 is no limit, and not the same."""
    parsed = parse(throttle.SET, {name: [value] for name, value in form.items()})

    assert throttle.values(parsed) == values
    assert not throttle.is_removal(parsed)


@pytest.mark.parametrize("period", ["0", " 00 ", "-0"])
def test_no_period_removes_the_throttle(period: str) -> None:
    """Whatever else was sent."""
    assert throttle.is_removal(parse(throttle.SET, {"period": [period], "max_msgs": ["5"]}))


@pytest.mark.parametrize("form", [{}, {"period": [""]}, {"max_msgs": ["1"]}])
def test_the_period_is_required(form: dict[str, list[str]]) -> None:
    with pytest.raises(MissingParameter):
        parse(throttle.SET, form)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("period", "-1"),
        ("period", "4294967296"),
        *((name, value) for name in UNSET for value in ("-2", str(2**63), "1.5", "1 MB")),
    ],
)
def test_what_no_column_holds_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse(throttle.SET, {"period": ["60"], name: [value]})

    assert caught.value.parameters == (name,)


def test_a_row_is_shown_with_numbers() -> None:
    """Whatever else stands in it; `max_rcpts` only where the table has it."""
    row = {
        "id": 7, "account": "@.", "kind": "inbound", "priority": 0, "period": 60, "msg_size": -1,
        "max_msgs": 10, "max_quota": 0,
    }  # fmt: skip

    shown = throttle.show(row)

    assert shown == {name: value for name, value in row.items() if name != "id"}
    assert throttle.show({**row, "max_rcpts": 3}) == {**shown, "max_rcpts": 3}
    assert throttle.show({}) == {}
