"""What membership of a list means for the entries concerned."""

import pytest

from iredldap.dit import maillist
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Form
from iredldap.dit.form_parser import parse
from iredldap.dit.names import Tree
from iredldap.dit.plan import Mod, Modify, Op

TREE = Tree("dc=example,dc=org")
CREW, ALIAS = "crew@a.test", "crew@alias.test"
ANN, BOB, CID = (TREE.user(f"{name}@a.test") for name in ("ann", "bob", "cid"))


def entry(dn: str = ANN, /, **attributes: list[str]) -> Entry:
    return Entry(dn, {name: [v.encode() for v in values] for name, values in attributes.items()})


def made(form: Form, *shadows: str, is_marked: bool = False) -> dict[str, list[str]]:
    changes = parse(maillist.CREATE, form).changes
    attributes = maillist.new(CREW, changes, shadows, (), is_marked=is_marked)
    return {name: [value.decode() for value in values] for name, values in attributes.items()}


def test_a_new_list_has_what_mail_flow_needs() -> None:
    assert made({}) == {
        "objectClass": ["mailList"],
        "mail": [CREW],
        "accountStatus": ["active"],
        "enabledService": ["mail", "deliver", "displayedInGlobalAddressBook"],
        "accessPolicy": ["public"],
    }


def test_a_new_list_takes_what_was_asked() -> None:
    """Its members are not among it."""
    form = {"cn": ["Größe"], "accessPolicy": ["AllowedOnly"], "members": ["x@b.test"]}
    wanted = made(form, ALIAS, is_marked=True)
    assert wanted | made({}) != wanted
    assert {name: wanted[name] for name in wanted if name not in made({})} == {
        "cn": ["Größe"],
        "shadowAddress": [ALIAS],
        "domainStatus": ["disabled"],
    }
    assert wanted["accessPolicy"] == ["moderatorsonly"]


@pytest.mark.parametrize(
    ("held", "is_list"),
    [
        ({"objectClass": ["mailList"], "enabledService": ["mail", "deliver"]}, True),
        ({"objectClass": ["MAILLIST"]}, True),
        ({"objectClass": ["mailList"], "enabledService": ["mail", "mlmmj"]}, False),
        ({"objectClass": ["mailAlias"]}, False),
    ],
)
def test_what_is_a_list(held: dict[str, list[str]], is_list: bool) -> None:
    assert maillist.is_maillist(entry(**held)) is is_list


def test_addresses_begin_with_its_own() -> None:
    found = entry(mail=["Crew@a.test"], shadowAddress=[ALIAS.upper(), "b@a.test", CREW])
    assert maillist.addresses(found) == (CREW, "b@a.test", ALIAS)


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        ([], [CREW, ALIAS]),
        ([CREW.upper()], [ALIAS]),
        ([ALIAS, "other@a.test"], [CREW]),
        ([CREW, ALIAS], []),
    ],
)
def test_a_new_member_gets_what_is_missing(held: list[str], missing: list[str]) -> None:
    member = entry(memberOfGroup=held)
    mods = tuple(
        Modify(ANN, (Mod(Op.ADD, "memberOfGroup", tuple(v.encode() for v in missing)),),
               absent_ok=True) for _ in missing[:1]
    )  # fmt: skip
    assert maillist.join(member, (CREW, ALIAS)) == mods
    assert maillist.is_partial_member(member, (CREW, ALIAS)) == bool(missing)


@pytest.mark.parametrize(
    ("held", "gone"),
    [
        ([], []),
        ([CREW.upper(), "other@a.test"], [CREW.upper()]),
        ([CREW, ALIAS], [CREW, ALIAS]),
        (["xcrew@a.test"], []),
    ],
)
def test_a_former_member_loses_what_is_there(held: list[str], gone: list[str]) -> None:
    """In the spelling in which it is stored."""
    mods = tuple(
        Modify(ANN, (Mod(Op.DELETE, "memberOfGroup", tuple(v.encode() for v in gone)),),
               absent_ok=True) for _ in gone[:1]
    )  # fmt: skip
    assert maillist.leave(entry(memberOfGroup=held), (CREW, ALIAS)) == mods


@pytest.mark.parametrize(
    ("held", "come", "go", "removed", "added"),
    [
        ([], [ANN, BOB], [], [], [ANN, BOB]),
        ([ANN], [ANN], [], [], []),
        ([ANN.upper()], [ANN], [ANN, CID], [], []),
        ([ANN, BOB], [CID], [ANN, BOB], [ANN, BOB], [CID]),
        ([ANN.replace(",", ", ")], [], [ANN], [ANN.replace(",", ", ")], []),
        (["no dn"], [ANN], ["no dn"], ["no dn"], [ANN]),
        ([ANN], [], [BOB], [], []),
    ],
)
def test_dns_of_members(
    held: list[str], come: list[str], go: list[str], removed: list[str], added: list[str]
) -> None:
    """Only differences, however a DN is written; who comes and goes at once stays."""
    mods = maillist.member_dn_mods(entry(member=held), come, go)
    expected = {Op.DELETE: removed, Op.ADD: added}
    assert {mod.op: [v.decode() for v in mod.values] for mod in mods} == {
        op: values for op, values in expected.items() if values
    }
