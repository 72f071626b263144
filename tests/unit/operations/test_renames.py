"""Which addresses a renamed account keeps, gets and loses."""

from hypothesis import given
from hypothesis import strategies as st

from iredldap.operations.renames.address_change import AddressChange

WITHIN = AddressChange("ann@a.test", "bea@a.test", ("a.example",), ("a.example",))
ACROSS = AddressChange("ann@a.test", "bea@b.test", ("a.example",), ("b.example",))
HELD = {
    "ann@a.test", "bea@a.test", "bea@b.test", "ann@a.example", "bea@a.example", "bea@b.example",
    "anne@a.test", "anne@a.example", "anne@b.test", "anne@c.test",
}  # fmt: skip


def test_within_a_domain_further_addresses_stay() -> None:
    """But for the names in alias domains, which are those of the new address."""
    assert WITHIN.names_gained == ("bea@a.example",)
    assert WITHIN.addresses_dropped(HELD) == set()
    assert WITHIN.replacements(HELD) == {
        "ann@a.test": "bea@a.test",
        "ann@a.example": "bea@a.example",
    }


def test_name_in_an_alias_domain_that_was_not_to_be_had() -> None:
    """What mentioned the old name there mentions the new address."""
    held = HELD - {"bea@a.example"}
    assert WITHIN.replacements(held)["ann@a.example"] == "bea@a.test"


def test_name_in_an_alias_domain_that_is_not_theirs() -> None:
    """It may belong to another account: mentions of it stay."""
    assert WITHIN.replacements({"bea@a.test"}) == {"ann@a.test": "bea@a.test"}


def test_across_domains_nothing_of_the_old_one_is_taken_along() -> None:
    """Neither the addresses in it nor those in its alias domains; all lead to the new address."""
    lost = {"bea@a.test", "bea@a.example", "anne@a.test", "anne@a.example"}
    assert ACROSS.names_gained == ("bea@b.example",)
    assert ACROSS.addresses_dropped(HELD) == lost
    assert ACROSS.replacements(HELD) == dict.fromkeys(
        {"ann@a.test", "ann@a.example", *lost}, "bea@b.test"
    )


_LOCALS = st.sampled_from(["ann", "bea", "cid"])
_DOMAINS = st.sampled_from(["a.test", "b.test", "a.example", "b.example", "c.test"])
_ADDRESSES = st.builds("{}@{}".format, _LOCALS, _DOMAINS)


@given(
    st.builds("{}@a.test".format, _LOCALS),
    st.builds("{}@{}".format, _LOCALS, st.sampled_from(["a.test", "b.test"])),
    st.frozensets(_ADDRESSES),
)
def test_asked_again_the_rest_is_the_same(old: str, new: str, held: frozenset[str]) -> None:
    """Once what is lost is gone, only the old address itself is left to replace.

    And no mention is replaced by an address that is lost too.
    """
    left = ("a.example",)
    entered = left if new.endswith("@a.test") else ("b.example",)
    change = AddressChange(old, new, left, entered)
    if old == new:
        return
    has = {*held, old, new, *change.names_gained}

    renamed = change.replacements(has)

    assert old in renamed
    assert new not in renamed
    assert not renamed.keys() & set(renamed.values())
    assert not renamed.keys() & set(change.names_gained)
    assert change.replacements(has - renamed.keys() | {old}) == {old: new}
