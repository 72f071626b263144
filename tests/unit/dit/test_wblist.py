"""White- and blacklists: which there are, and what stands on them."""

import pytest

from iredldap.dit.form_parser import parse
from iredldap.dit.wblist import ADDRESSES, Colour, Direction
from iredldap.errors import InvalidParameter, MissingParameter


def test_there_are_four_lists() -> None:
    """With the words of the API and the letters of the table."""
    assert {(colour.word, colour.letter) for colour in Colour} == {
        ("whitelist", "W"),
        ("blacklist", "B"),
    }
    assert {direction.value for direction in Direction} == {"inbound", "outbound"}


def test_addresses_are_read() -> None:
    """Several at once, in the order sent, each once; malformed ones are dropped and told."""
    parsed = parse(ADDRESSES, {"addresses": ["192.0.2.1, @A.test", "a.test,@a.test,Ann@a.test"]})

    assert parsed.changes[0].values == ("192.0.2.1", "@a.test", "ann@a.test")
    assert parsed.dropped == ("a.test",)


def test_nothing_valid_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        parse(ADDRESSES, {"addresses": ["a.test,1.2.3.4/8"]})


@pytest.mark.parametrize("form", [{}, {"addresses": [""]}, {"addresses": [" , "]}])
def test_addresses_are_required(form: dict[str, list[str]]) -> None:
    with pytest.raises(MissingParameter):
        parse(ADDRESSES, form)
