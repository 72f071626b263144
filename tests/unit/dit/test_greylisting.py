"""Greylisting: the switch, and lists of senders and domains that are exempt."""

from typing import Any

import pytest

from iredldap.dit import greylisting
from iredldap.dit.fields import Table, Verb
from iredldap.dit.form_parser import parse
from iredldap.errors import InvalidParameter, MissingParameter, Several


@pytest.mark.parametrize(("word", "active"), [("enable", 1), (" Disable ", 0)])
def test_the_switch(word: str, active: int) -> None:
    assert greylisting.active(parse(greylisting.SET, {"status": [word]})) == active


@pytest.mark.parametrize("word", ["yes", "enabled", "1"])
def test_the_switch_has_two_words(word: str) -> None:
    with pytest.raises(InvalidParameter):
        parse(greylisting.SET, {"status": [word]})


def test_the_switch_is_required() -> None:
    with pytest.raises(MissingParameter):
        parse(greylisting.SET, {})


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"account": "@.", "active": 1}, {"account": "@.", "active": 1, "status": "enable"}),
        ({"account": "@a.test", "active": False, "id": 3, "sender": "@."},
         {"account": "@a.test", "active": 0, "status": "disable"}),
        ({}, {}),
    ],
)  # fmt: skip
def test_a_row_is_shown(row: dict[str, Any], shown: dict[str, Any]) -> None:
    """With the number of the table and the word of the API."""
    assert greylisting.show(row) == shown


LISTS = [
    (greylisting.WHITELISTS, "Senders", "192.0.2.1,@a.test,@A.test", ("192.0.2.1", "@a.test")),
    (greylisting.SPF_DOMAINS, "Domains", "A.test,ü.test", ("a.test", "xn--tda.test")),
]


@pytest.mark.parametrize(("table", "names", "sent", "values"), LISTS)
def test_a_list_is_set_or_changed(
    table: Table, names: str, sent: str, values: tuple[str, ...]
) -> None:
    """As a whole, or value by value, not both; an empty whole removes all."""
    whole, add, remove = names.lower(), f"add{names}", f"remove{names}"

    for name, verb in ((whole, Verb.SET), (add, Verb.ADD), (remove, Verb.REMOVE)):
        (change,) = parse(table, {name: [sent]}).changes
        assert (change.field.name, change.verb, change.values) == (name, verb, values)
    assert len(parse(table, {add: [sent], remove: [sent]}).changes) == 2
    assert [change.values for change in parse(table, {whole: [""]}).changes] == [()]
    assert parse(table, {add: [""], remove: [""]}).changes == ()
    for single in (add, remove):
        with pytest.raises(Several) as caught:
            parse(table, {whole: [sent], single: [sent]})
        assert caught.value.codes == ("PARAMETER_CONFLICT",)


def test_malformed_senders_are_dropped_and_told() -> None:
    """Unless nothing is left, which would remove everything."""
    parsed = parse(greylisting.WHITELISTS, {"senders": ["@com,@a.test,192.0.2.*"]})

    assert parsed.changes[0].values == ("@a.test",)
    assert parsed.dropped == ("@com", "192.0.2.*")
    with pytest.raises(InvalidParameter):
        parse(greylisting.WHITELISTS, {"senders": ["@com"]})
