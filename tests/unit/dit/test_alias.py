"""A new mail alias, and the rows that change one."""

import pytest

from iredldap.dit import alias
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Form
from iredldap.dit.form_parser import parse
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import Op


def made(form: Form, *shadows: str, is_marked: bool = False) -> dict[str, list[str]]:
    changes = parse(alias.CREATE, form).changes
    attributes = alias.new("info@a.test", changes, shadows, is_marked=is_marked)
    return {name: [value.decode() for value in values] for name, values in attributes.items()}


def test_a_new_alias_has_what_mail_flow_needs() -> None:
    assert made({}) == {
        "objectClass": ["mailAlias"],
        "mail": ["info@a.test"],
        "accountStatus": ["active"],
        "enabledService": ["mail", "deliver"],
    }


def test_a_new_alias_takes_what_was_asked() -> None:
    form = {"cn": ["Größe"], "accessPolicy": ["domain"], "members": ["X@b.test, y@b.test"]}
    assert made(form, "info@alias.test", is_marked=True) == made({}) | {
        "cn": ["Größe"],
        "accessPolicy": ["domain"],
        "mailForwardingAddress": ["x@b.test", "y@b.test"],
        "shadowAddress": ["info@alias.test"],
        "domainStatus": ["disabled"],
    }


@pytest.mark.parametrize(
    ("form", "removed", "added"),
    [
        ({"members": ["b@b.test,c@b.test"]}, ["A@b.test"], ["c@b.test"]),
        ({"members": [""]}, ["A@b.test", "b@b.test"], []),
        ({"addMember": ["a@b.test"]}, [], []),
        ({"addMember": ["c@b.test"], "removeMember": ["a@b.test"]}, ["A@b.test"], ["c@b.test"]),
    ],
)
def test_members_change_value_by_value(form: Form, removed: list[str], added: list[str]) -> None:
    entry = Entry("", {"mailForwardingAddress": [b"A@b.test", b"b@b.test"]})
    mods = modlist(parse(alias.UPDATE, form).changes, entry)
    expected = {Op.DELETE: removed, Op.ADD: added}
    assert {mod.op: [v.decode() for v in mod.values] for mod in mods} == {
        op: values for op, values in expected.items() if values
    }
