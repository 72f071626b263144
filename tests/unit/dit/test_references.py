"""Clearing what other entries say about accounts that go."""

import re

import pytest

from iredldap.dit import dn_references, references
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree
from iredldap.dit.plan import Mod, Modify, Op, Scope, Sweep

TREE = Tree("dc=example,dc=org")
ANN = TREE.user("ann@a.test")
BOB = TREE.user("bob@b.test")
HOME = TREE.domain("a.test")

ADDRESSES = references.clear_addresses(TREE, ANN, ["ann@a.test", "a.b@alias.test"])
DOMAINS = references.clear_domains(TREE, HOME, ["a.test", "alias.test"])

Held = dict[str, list[str]]


def cleared(sweep: Sweep, dn: str, held: Held) -> Held | None:
    """The values that the sweep takes from an entry; None: it leaves the entry alone."""
    entry = Entry(dn, {name: [value.encode() for value in v] for name, v in held.items()})
    operations = list(sweep.change(entry))
    if not operations:
        return None
    (operation,) = operations
    assert isinstance(operation, Modify)
    assert (operation.dn, operation.absent_ok) == (dn, True)
    assert all(isinstance(mod, Mod) and mod.op is Op.DELETE for mod in operation.mods)
    return {mod.attribute: [value.decode() for value in mod.values] for mod in operation.mods}


BY_ADDRESS: list[tuple[Held, Held | None]] = [
    (
        {"mailForwardingAddress": ["ann@a.test", "x@a.test"]},
        {"mailForwardingAddress": ["ann@a.test"]},
    ),
    ({"memberOfGroup": ["Ann@a.test", "b@a.test"]}, {"memberOfGroup": ["Ann@a.test"]}),
    (
        {"mailForwardingAddress": ["ANN@A.test", "A.B@alias.test"]},
        {"mailForwardingAddress": ["ANN@A.test", "A.B@alias.test"]},
    ),
    ({"mailForwardingAddress": ["joann@a.test", "ann@a.test.org", "nn@a.test"]}, None),
    *(
        ({name: ["ann@a.test"]}, {name: ["ann@a.test"]})
        for name in (
            "domainAdmin",
            "domainSenderBccAddress",
            "domainRecipientBccAddress",
            "userSenderBccAddress",
            "userRecipientBccAddress",
            "listAllowedUser",
            "listModerator",
            "listOwner",
            "userManager",
        )
    ),
    ({"listAllowedUser": ["a.test", ".a.test", "*@a.test"]}, None),
    (
        {"member": [ANN, BOB], "uniqueMember": [ANN.upper()]},
        {"member": [ANN], "uniqueMember": [ANN.upper()]},
    ),
    (
        {"member": [ANN.replace(",", ", ").replace("@", "\\40")]},
        {"member": [ANN.replace(",", ", ").replace("@", "\\40")]},
    ),
    ({"member": [f"cn=x,{ANN}", "no dn", ""]}, {"member": [f"cn=x,{ANN}"]}),
    ({"member": [f"cn=x{ANN}", "no dn", ""]}, None),
    ({"uniqueMember": [f"{ANN}#'01'B", f"{BOB}#'01'B"]}, {"uniqueMember": [f"{ANN}#'01'B"]}),
    *(({name: [ANN.upper(), BOB]}, {name: [ANN.upper()]}) for name in dn_references.UNINDEXED),
    (
        {"objectClass": ["mailExternalUser"], "mail": ["ann@a.test", "x@c.test"]},
        {"mail": ["ann@a.test"]},
    ),
    ({"objectClass": ["mailUser"], "mail": ["ann@a.test"], "shadowAddress": ["ann@a.test"]}, None),
    ({"cn": ["ann@a.test"], "backupMailAddress": ["ann@a.test"]}, None),
]


@pytest.mark.parametrize(("held", "gone"), BY_ADDRESS)
def test_mentions_of_an_account_are_cleared(held: Held, gone: Held | None) -> None:
    """All its addresses and its DN, in any spelling; nothing that only looks alike."""
    assert cleared(ADDRESSES[0], BOB, held) == gone


def test_the_account_itself_is_left_alone() -> None:
    """It is deleted afterwards; its forwarding to itself is no mention."""
    assert cleared(ADDRESSES[0], ANN, {"mailForwardingAddress": ["ann@a.test"]}) is None
    assert cleared(ADDRESSES[0], ANN.upper(), {"userManager": ["ann@a.test"]}) is None


def test_managers_are_looked_for_among_colleagues() -> None:
    """The attributes have no index: the whole tree would be read."""
    everywhere, colleagues = ADDRESSES
    assert (everywhere.query.base, everywhere.query.scope) == (TREE.base, Scope.SUBTREE)
    assert "userManager" not in everywhere.query.filter
    assert colleagues.query.base == TREE.domain("a.test")
    assert "(userManager=ann@a.test)" in colleagues.query.filter
    assert f"(manager={ANN})" in colleagues.query.filter


def test_a_standalone_admin_has_no_colleagues() -> None:
    """There is no domain to search."""
    dn = TREE.admin("root@c.test")
    (sweep,) = references.clear_addresses(TREE, dn, ["root@c.test"])
    assert cleared(sweep, HOME, {"domainAdmin": ["Root@C.test"]}) == {
        "domainAdmin": ["Root@C.test"]
    }


BY_DOMAIN: list[tuple[str, Held, Held | None]] = [
    (
        BOB,
        {"mailForwardingAddress": ["x@A.test", "y@alias.test", "z@b.test"]},
        {"mailForwardingAddress": ["x@A.test", "y@alias.test"]},
    ),
    (BOB, {"mailForwardingAddress": ["x@sub.a.test", "x@xa.test", "a.test@b.test"]}, None),
    (BOB, {"memberOfGroup": ["l@a.test", "l@b.test"]}, {"memberOfGroup": ["l@a.test"]}),
    (
        TREE.maillist("l@b.test"),
        {"listAllowedUser": ["a.test", ".Alias.test", "*@a.test", "b.test", "x@a.test"]},
        {"listAllowedUser": ["a.test", ".Alias.test", "*@a.test", "x@a.test"]},
    ),
    (TREE.maillist("l@b.test"), {"member": [ANN, BOB, "no dn"]}, {"member": [ANN]}),
    (
        TREE.domain("b.test"),
        {"domainAdmin": ["ann@a.test", "bob@b.test"]},
        {"domainAdmin": ["ann@a.test"]},
    ),
    (
        TREE.externals("l@b.test"),
        {
            "objectClass": ["mailExternalUser"],
            "memberOfGroup": ["l@b.test"],
            "mail": ["x@a.test", "x@c.test"],
        },
        {"mail": ["x@a.test"]},
    ),
    (HOME, {"domainAdmin": ["ann@a.test"]}, None),
    (HOME.upper(), {"domainAdmin": ["ann@a.test"]}, None),
    (ANN, {"mailForwardingAddress": ["ann@a.test"]}, None),
    (
        TREE.user("u@sub.a.test"),
        {"mailForwardingAddress": ["ann@a.test"]},
        {"mailForwardingAddress": ["ann@a.test"]},
    ),
]


DEFAULT_LISTS = references.clear_default_lists(TREE, ["l@a.test", "l@alias.test"])


@pytest.mark.parametrize(
    ("held", "left"),
    [
        (["defaultList:l@a.test"], []),
        (["defaultList:L@A.test,x@a.test, l@alias.test"], ["defaultList:x@a.test"]),
        (["defaultList:x@a.test,l@a.test", "defaultQuota:5"],
         ["defaultQuota:5", "defaultList:x@a.test"]),
        (["defaultList:X@a.test", "defaultList:x@a.test,l@a.test"], ["defaultList:X@a.test"]),
        (["defaultList:xl@a.test"], ["defaultList:xl@a.test"]),
        (["other:l@a.test"], ["other:l@a.test"]),
        ([], []),
    ],
)  # fmt: skip
def test_default_lists_of_domains_are_cleared(held: list[str], left: list[str]) -> None:
    """Value by value: whoever changes another setting meanwhile is not in the way."""
    entry = Entry(HOME, {"accountSetting": [value.encode() for value in held]})
    now = [*held]
    for operation in DEFAULT_LISTS.change(entry):
        assert isinstance(operation, Modify)
        for mod in operation.mods:
            values = [value.decode() for value in mod.values]
            now = [v for v in now if v not in values] + (values if mod.op is Op.ADD else [])
    assert now == left
    lowered = [value.lower() for value in now]
    assert len({*lowered}) == len(lowered)


@pytest.mark.parametrize(("dn", "held", "gone"), BY_DOMAIN)
def test_mentions_of_a_domain_are_cleared_in_the_others(
    dn: str, held: Held, gone: Held | None
) -> None:
    """Its own entries go with it; sub-domains are domains of their own."""
    assert cleared(DOMAINS, dn, held) == gone


@pytest.mark.parametrize("sweep", [*ADDRESSES, DOMAINS])
def test_what_is_judged_was_asked_for(sweep: Sweep) -> None:
    """A search that forgets an attribute would leave its mentions."""
    named = set(re.findall(r"\((\w+)=", sweep.query.filter))
    assert named <= set(sweep.query.attributes)
    assert sweep.query.filter.count("(") == sweep.query.filter.count(")")


@pytest.mark.parametrize("name", dn_references.UNINDEXED)
def test_groups_and_roles_that_name_an_account_are_few(name: str) -> None:
    """Persons are looked at in the domain of the account alone."""
    everywhere = ADDRESSES[0].query.filter
    before = everywhere[: everywhere.index(f"({name}=")]
    assert before.rindex("(&(|(objectClass=groupOfNames)") > before.rindex("(member=")
    assert "Person" not in before
    assert "mailUser" not in before


@pytest.mark.parametrize("name", ["listModerator", "listOwner", "mail"])
def test_an_attribute_without_index_is_tied_to_one_that_has(name: str) -> None:
    """Lists and external members are few: slapd looks at them alone."""
    for sweep in (ADDRESSES[0], DOMAINS):
        before = sweep.query.filter[: sweep.query.filter.index(f"({name}=")]
        assert "(&(" in before
        assert "objectClass=" in before
