"""Replacing what other entries say about an account that gets another address."""

import pytest

from iredldap.dit import dn_references, references
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree
from iredldap.dit.plan import Modify, Op, Scope, Sweep

TREE = Tree("dc=example,dc=org")
ANN = TREE.user("ann@a.test")
BEA = TREE.user("bea@b.test")
BOB = TREE.user("bob@b.test")
RENAMED = {"ann@a.test": "bea@b.test", "ann@alias.test": "bea@alias.test"}

SWEEPS = references.replace_addresses(TREE, ANN, BEA, RENAMED)

Held = dict[str, list[str]]
Mods = list[tuple[Op, str, list[str]]]


def replaced(sweep: Sweep, dn: str, held: Held) -> Mods | None:
    """What the sweep changes in an entry; None: it leaves the entry alone."""
    entry = Entry(dn, {name: [value.encode() for value in v] for name, v in held.items()})
    operations = list(sweep.change(entry))
    if not operations:
        return None
    (operation,) = operations
    assert isinstance(operation, Modify)
    assert (operation.dn, operation.absent_ok) == (dn, True)
    return [(mod.op, mod.attribute, [v.decode() for v in mod.values]) for mod in operation.mods]


@pytest.mark.parametrize(
    "attribute",
    [
        "mailForwardingAddress", "domainAdmin", "domainSenderBccAddress",
        "domainRecipientBccAddress", "userSenderBccAddress", "userRecipientBccAddress",
        "listAllowedUser", "listModerator", "listOwner", "userManager", "memberOfGroup",
        "backupMailAddress", "recoveryEmail",
    ],
)  # fmt: skip
def test_address_is_replaced(attribute: str) -> None:
    """The value goes as it is stored, and its successor comes; others are not touched."""
    assert replaced(SWEEPS[0], BOB, {attribute: ["x@a.test", "Ann@A.test"]}) == [
        (Op.DELETE, attribute, ["Ann@A.test"]),
        (Op.ADD, attribute, ["bea@b.test"]),
    ]


@pytest.mark.parametrize(
    ("held", "mods"),
    [
        (
            {"mailForwardingAddress": ["ann@a.test", "ann@alias.test"]},
            [
                (Op.DELETE, "mailForwardingAddress", ["ann@a.test", "ann@alias.test"]),
                (Op.ADD, "mailForwardingAddress", ["bea@b.test", "bea@alias.test"]),
            ],
        ),
        (
            {"mailForwardingAddress": ["ann@a.test", "BEA@b.test"]},
            [(Op.DELETE, "mailForwardingAddress", ["ann@a.test"])],
        ),
        ({"mailForwardingAddress": ["joann@a.test", "ann@a.test.org"]}, None),
        ({"shadowAddress": ["ann@a.test"], "mail": ["ann@a.test"], "cn": ["ann@a.test"]}, None),
        ({"listAllowedUser": ["a.test", ".a.test", "*@a.test"]}, None),
        (
            {"objectClass": ["mailExternalUser"], "mail": ["ann@a.test", "x@c.test"]},
            [(Op.DELETE, "mail", ["ann@a.test"]), (Op.ADD, "mail", ["bea@b.test"])],
        ),
        ({"objectClass": ["mailExternalUser"], "memberOfGroup": ["ann@a.test"]}, None),
        (
            {"member": [ANN.upper(), BOB], "uniqueMember": [ANN.replace(",", ", ")]},
            [
                (Op.DELETE, "member", [ANN.upper()]),
                (Op.ADD, "member", [BEA]),
                (Op.DELETE, "uniqueMember", [ANN.replace(",", ", ")]),
                (Op.ADD, "uniqueMember", [BEA]),
            ],
        ),
        (
            {"uniqueMember": [f"cn=x,{ANN}#'01'B"]},
            [
                (Op.DELETE, "uniqueMember", [f"cn=x,{ANN}#'01'B"]),
                (Op.ADD, "uniqueMember", [f"cn=x,{BEA}#'01'B"]),
            ],
        ),
        *(
            ({name: [ANN]}, [(Op.DELETE, name, [ANN]), (Op.ADD, name, [BEA])])
            for name in dn_references.UNINDEXED
        ),
        (
            {"member": [f"cn=x,{ANN}", "no dn", ""]},
            [(Op.DELETE, "member", [f"cn=x,{ANN}"]), (Op.ADD, "member", [f"cn=x,{BEA}"])],
        ),
        ({"member": [f"cn=x{ANN}", "no dn", ""]}, None),
        (
            {"accountSetting": ["defaultList:x@a.test, ann@a.test", "defaultQuota:5"]},
            [
                (Op.DELETE, "accountSetting", ["defaultList:x@a.test, ann@a.test"]),
                (Op.ADD, "accountSetting", ["defaultList:x@a.test,bea@b.test"]),
            ],
        ),
        ({"accountSetting": ["defaultList:x@a.test, y@a.test", "other:ann@a.test"]}, None),
    ],
)
def test_replaced(held: Held, mods: Mods | None) -> None:
    assert replaced(SWEEPS[0], BOB, held) == mods


@pytest.mark.parametrize("dn", [ANN, ANN.upper(), BEA, BEA.replace("@", "\\40")])
def test_the_account_itself_is_left_alone(dn: str) -> None:
    """Under either name, however it is spelt: mail must go on arriving while it has the old one."""
    assert replaced(SWEEPS[0], dn, {"mailForwardingAddress": ["ann@a.test"]}) is None


def test_what_has_no_index_is_looked_for_among_colleagues() -> None:
    """Of the old domain and of the new one; the whole tree would be read otherwise."""
    everywhere, *colleagues = SWEEPS
    assert (everywhere.query.base, everywhere.query.scope) == (TREE.base, Scope.SUBTREE)
    for attribute in ("userManager", "recoveryEmail"):
        assert attribute not in everywhere.query.filter
        assert all(f"({attribute}=ann@a.test)" in sweep.query.filter for sweep in colleagues)
    assert all(f"(manager={ANN})" in sweep.query.filter for sweep in colleagues)
    assert [sweep.query.base for sweep in colleagues] == [
        TREE.domain("a.test"),
        TREE.domain("b.test"),
    ]


def test_within_a_domain_colleagues_are_looked_at_once() -> None:
    sweeps = references.replace_addresses(TREE, ANN, TREE.user("bea@a.test"), RENAMED)
    assert len(sweeps) == 2


def test_sweep_reads_what_it_replaces() -> None:
    read = set(SWEEPS[0].query.attributes)
    assert {"objectClass", "mail", "member", "memberOfGroup", "accountSetting"} <= read
    assert {"recoveryEmail", "backupMailAddress", "userManager", "listOwner"} <= read
