"""Which modifications take away what names an entry."""

import pytest

from iredldap.dit.matching import standard_equality
from iredldap.dit.naming import lost
from iredldap.dit.plan import Mod, Modify, Op

ONE, TWO = "cn=Ann  Lee,o=x", "cn=Ann Lee+sn=Lee,o=x"
LOST: list[tuple[str, tuple[Mod, ...], list[str]]] = [
    (ONE, (Mod(Op.REPLACE, "cn", (b"Anna",)),), ["cn"]),
    (ONE, (Mod(Op.REPLACE, "cn", (b"Anna", b"ANN LEE")),), []),
    (ONE, (Mod(Op.REPLACE, "cn"),), ["cn"]),
    (ONE, (Mod(Op.DELETE, "cn"),), ["cn"]),
    (ONE, (Mod(Op.DELETE, "commonName", (b"ann lee",)),), ["commonName"]),
    (ONE, (Mod(Op.DELETE, "cn", (b"Ann",)),), []),
    (ONE, (Mod(Op.DELETE, "cn", (b"Ann Lee",)), Mod(Op.ADD, "cn", (b"ann lee",))), []),
    (ONE, (Mod(Op.ADD, "cn", (b"Anna",)),), []),
    (ONE, (Mod(Op.REPLACE, "cn;lang-de", (b"Anna",)),), []),
    (ONE, (Mod(Op.REPLACE, "sn", (b"Lu",)),), []),
    (TWO, (Mod(Op.REPLACE, "sn", (b"Lu",)), Mod(Op.DELETE, "cn")), ["cn", "sn"]),
    ("cn=#0402,o=x", (Mod(Op.DELETE, "cn"),), []),
]


@pytest.mark.parametrize(("dn", "mods", "attributes"), LOST)
def test_values_of_a_dn_are_told(dn: str, mods: tuple[Mod, ...], attributes: list[str]) -> None:
    """By the rule that the directory compares them by, under any name of the attribute."""
    assert sorted(lost(Modify(dn, mods), standard_equality)) == attributes
