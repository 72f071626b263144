"""Values that are one to the directory."""

from iredldap.dit.clashes import changed, clash, without_duplicates
from iredldap.dit.entry import Entry
from iredldap.dit.matching import Equality, standard_equality
from iredldap.dit.plan import Add, Mod, Modify, Op

TWO = (b"Ann", b"ANN")


def exact(attribute: str) -> Equality:
    """The kinds of a server whose administrators have changed the schema."""
    return Equality(attribute.lower(), "caseExactMatch")


def test_values_are_one_by_the_rules_of_the_server() -> None:
    """Whatever the standards say: what it keeps apart is written, removed and kept apart."""
    add, change = Add("x", {"cn": TWO}), Modify("x", (Mod(Op.ADD, "cn", TWO),))
    assert without_duplicates(add, standard_equality) == Add("x", {"cn": TWO[:1]})
    assert without_duplicates(change, standard_equality) == Modify(
        "x", (Mod(Op.ADD, "cn", TWO[:1]),)
    )
    assert without_duplicates(add, exact) is add
    assert without_duplicates(change, exact) is change

    entry = Entry("x", {"cn": [*TWO]})
    gone = Mod(Op.DELETE, "cn", (b"ANN",))
    assert changed(entry, (gone,), standard_equality) == {}
    assert changed(entry, (gone,), exact) == {"cn": [b"Ann"]}

    entry = Entry("x", {"cn": [b"Ann"]})
    assert clash(Modify("x", (Mod(Op.ADD, "cn", (b"ANN",)),)), entry, standard_equality)
    assert not clash(Modify("x", (Mod(Op.ADD, "cn", (b"ANN",)),)), entry, exact)
