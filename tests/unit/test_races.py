"""The judgement of races tells alike from different, and its table is sound."""

from tests.races.pair import Names
from tests.races.stage import comparable, difference
from tests.races.table import PAIRS

PATH = "/var/vmail/vmail1/{d}/a-2026.11.27.01.02.03/"


def picture(names: Names, **attributes: str) -> dict[str, dict[str, tuple[str, ...]]]:
    filled: dict[str, tuple[str, ...]] = {
        name: (names.fill(value),) for name, value in attributes.items()
    }
    return {names.fill("mail=a@{d},ou=Users"): filled}


def test_rounds_that_left_the_same_are_alike() -> None:
    """Whatever their names, salts and time stamps are."""
    one, other = Names("r000001"), Names("r000002")
    left = picture(one, mail="a@{d}", homeDirectory=PATH, userPassword="{SSHA}x")
    right = picture(other, mail="a@{d}", homeDirectory=PATH.replace("03", "59"), userPassword="y")
    assert comparable(left, one) == comparable(right, other)


def test_each_value_that_differs_is_named() -> None:
    names = Names("r000001")
    left = picture(names, cn="one", sn="same") | {"ou=Users": {}}
    right = picture(names, cn="other", sn="same")
    dn = names.fill("mail=a@{d},ou=Users")
    assert difference(left, right) == [f"- {dn} cn: one", f"+ {dn} cn: other", "- ou=Users"]


def test_every_row_says_what_meets() -> None:
    """Under a name of its own, with calls that can meet."""
    names = [pair.name for pair in PAIRS]
    assert len(names) == len(set(names))
    assert all(len(pair.calls) > 1 for pair in PAIRS)
    assert any(pair.is_short for pair in PAIRS)
