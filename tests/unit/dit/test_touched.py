"""What a write touches, computed from the write and from what was read with it."""

from collections.abc import Mapping

import pytest

from iredldap.dit.change_log import TouchedEntry, TouchedRows, ValueChanges
from iredldap.dit.plan import Add, Delete, Mod, Modify, Op, Rename
from iredldap.dit.touched import read_after, read_before, targets, touched_by
from iredldap.dit.touched_text import TRANSIENT, line, packed, unpacked

DN = "mail=ann@test.com,ou=Users,domainName=test.com,o=domains,dc=example,dc=com"
STATES = {"entryUUID": [b"u"], "entryCSN": [b"1"]}
AFTER = {"entryCSN": [b"2"]}


def changed(*mods: Mod, **before: list[bytes]) -> Mapping[str, ValueChanges]:
    touched = touched_by(Modify(DN, mods), STATES | before, AFTER)
    assert (touched.uuid, touched.before, touched.after) == ("u", "1", "2")
    return touched.attributes


def test_named_values_are_those_of_the_modification() -> None:
    mods = (Mod(Op.ADD, "mail", (b"a",)), Mod(Op.DELETE, "cn", (b"b",)))
    assert changed(*mods) == {"mail": ValueChanges((), (b"a",)), "cn": ValueChanges((b"b",))}
    assert read_before(Modify(DN, mods)) == ("entryUUID", "entryCSN")


def test_replaced_values_are_those_that_were_there() -> None:
    mod = Mod(Op.REPLACE, "cn", (b"b", b"c"))
    assert changed(mod, cn=[b"a", b"b"]) == {"cn": ValueChanges((b"a",), (b"c",))}
    assert changed(mod, CN=[b"a"]) == {"cn": ValueChanges((b"a",), (b"b", b"c"))}
    assert read_before(Modify(DN, (mod,))) == ("entryUUID", "entryCSN", "cn")


@pytest.mark.parametrize("mod", [Mod(Op.REPLACE, "cn"), Mod(Op.DELETE, "cn")])
def test_an_attribute_that_is_removed_had_what_was_there(mod: Mod) -> None:
    assert changed(mod, cn=[b"a", b"b"]) == {"cn": ValueChanges((b"a", b"b"))}
    assert changed(mod) == {}


def test_modifications_of_one_attribute_add_up() -> None:
    gone, back = Mod(Op.DELETE, "cn", (b"a",)), Mod(Op.ADD, "cn", (b"a", b"b"))
    assert changed(gone, back) == {"cn": ValueChanges((), (b"b",))}
    assert changed(Mod(Op.ADD, "cn", (b"a",)), gone) == {}
    replaced = Mod(Op.REPLACE, "cn", (b"c",))
    assert changed(back, replaced, cn=[b"x"]) == {"cn": ValueChanges((b"x",), (b"c",))}
    assert changed(replaced, back, cn=[b"a"]) == {"cn": ValueChanges((), (b"c", b"b"))}


def test_what_was_not_read_is_not_known() -> None:
    touched = touched_by(Modify(DN, (Mod(Op.REPLACE, "cn", (b"b",)),)), None)
    assert touched == TouchedEntry("modify", DN, attributes={"cn": ValueChanges(None, (b"b",))})


def test_an_added_entry_has_all_its_values() -> None:
    added = Add(DN, {"cn": (b"a",), "sn": ()})
    touched = touched_by(added, {}, {"entryUUID": [b"u"], "entryCSN": [b"2"]})
    assert touched == TouchedEntry("add", DN, "", "u", "", "2", {"cn": ValueChanges((), (b"a",))})
    assert (read_before(added), read_after(added)) == ((), ("entryUUID", "entryCSN"))


def test_a_deleted_entry_had_all_its_values() -> None:
    touched = touched_by(Delete(DN), STATES | {"cn": [b"a"]})
    assert touched == TouchedEntry("delete", DN, "", "u", "1", "", {"cn": ValueChanges((b"a",))})
    assert read_before(Delete(DN)) == ("*", "entryUUID", "entryCSN")


def test_a_renamed_entry_has_both_names() -> None:
    renamed = Rename(DN, "mail=eve@else.test", "ou=Users,domainName=else.test,o=domains,dc=x")
    touched = touched_by(renamed, STATES, AFTER)
    assert touched == TouchedEntry("rename", DN, renamed.new_dn, "u", "1", "2")
    assert targets(touched) == {"ann@test.com", "test.com", "eve@else.test", "else.test"}


@pytest.mark.parametrize(
    ("dn", "found"),
    [
        (DN, {"ann@test.com", "test.com"}),
        ("domainName=Test.com,o=domains,dc=x", {"test.com"}),
        ("memberExternal=1,mail=list@test.com,ou=Externals,domainName=test.com,o=domains,dc=x",
         {"list@test.com", "test.com"}),
        ("mail=root@else.test,o=domainAdmins,dc=x", {"root@else.test"}),
        ("o=domains,dc=x", set()),
    ],
)  # fmt: skip
def test_targets_are_domains_and_accounts(dn: str, found: set[str]) -> None:
    assert targets(TouchedEntry("modify", dn)) == found


def test_rows_are_about_an_account_or_a_domain() -> None:
    assert targets(TouchedRows("s", "t", about="Ann@test.com")) == {"ann@test.com", "test.com"}
    assert targets(TouchedRows("s", "t", about="test.com")) == {"test.com"}
    assert targets(TouchedRows("s", "t")) == set()


@pytest.mark.parametrize("count", [0, 1, 30, 300])
@pytest.mark.parametrize("small", [0, 400, TRANSIENT])
def test_stored_text_is_read_again(count: int, small: int) -> None:
    """As it is, or compressed with little memory or much."""
    every = [TouchedEntry("modify", f"mail=u{number}@test.com") for number in range(count)]
    stored = packed(map(line, every), small)
    assert [*unpacked(stored)] == every
    assert len(stored) < 6000
