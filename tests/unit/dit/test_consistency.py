"""The rules of a healthy tree, each by the fault that breaks it and nothing else."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit.consistency.checks import ATTRIBUTES, RULES, Violation, examine
from iredldap.dit.consistency.places import normal_dn
from iredldap.dit.dn_references import UNINDEXED
from iredldap.dit.entry import Entry
from iredldap.dit.names import CONTAINERS, Tree

TREE = Tree("dc=x,dc=y")
USER_SERVICES = ["mail", "deliver", "forward", "shadowaddress", "senderbcc", "recipientbcc"]

Attributes = dict[str, list[str]]
Healthy = dict[str, Attributes]


def account(kind: str, mail: str, **more: str | list[str]) -> Attributes:
    made: Attributes = {
        "objectClass": [kind],
        "mail": [mail],
        "accountStatus": ["active"],
        "enabledService": [*USER_SERVICES] if kind == "mailUser" else ["mail", "deliver"],
    }
    made.update({name: [v] if isinstance(v, str) else [*v] for name, v in more.items()})
    return made


def domain(name: str, **more: str | list[str]) -> Healthy:
    made: Healthy = {
        TREE.domain(name): {
            "objectClass": ["mailDomain"],
            "domainName": [name],
            "accountStatus": ["active"],
            "enabledService": ["mail"],
        }
    }
    made[TREE.domain(name)].update({n: [v] if isinstance(v, str) else v for n, v in more.items()})
    for unit in CONTAINERS:
        made[TREE.container(name, unit)] = {"objectClass": ["organizationalUnit"], "ou": [unit]}
    return made


def healthy() -> Healthy:
    """One of everything, with references in every attribute that has some."""
    ann, bob = TREE.user("ann@a.test"), TREE.user("bob@b.test")
    return {
        TREE.base: {"objectClass": ["organization"], "o": ["domains"]},
        TREE.admin_base: {"objectClass": ["organization"], "o": ["domainAdmins"]},
        TREE.admin("root@far.test"): account(
            "mailAdmin", "root@far.test", domainGlobalAdmin="yes", enabledService=[]
        ),
        TREE.admin("helper@far.test"): account("mailAdmin", "helper@far.test", enabledService=[]),
        **domain(
            "a.test",
            domainAliasName=["a1.test", "A2.test"],
            enabledService=["mail", "domainalias", "senderbcc", "recipientbcc"],
            domainAdmin=["ann@a.test", "helper@far.test"],
            domainSenderBccAddress="bob@b.test",
            domainRecipientBccAddress="elsewhere@far.test",
            accountSetting=["defaultList:team@a.test", "defaultQuota:10"],
        ),
        ann: account(
            "mailUser",
            "ann@a.test",
            shadowAddress=["ann@a1.test", "Ann@a2.test", "annie@a.test"],
            enabledService=[*USER_SERVICES, "domainadmin"],
            homeDirectory="/var/vmail/vmail1/a.test/a/n/n/ann/",
            mailForwardingAddress=["ann@a.test", "bob+news@b.test", "team@a1.test", "x@far.test"],
            userSenderBccAddress="bob@b.test",
            userRecipientBccAddress="annie@a.test",
            userManager="bob@b.test",
            manager=[bob, "cn=boss,ou=people,dc=example,dc=org"],
            seeAlso=TREE.alias("sales@a.test"),
            memberOfGroup=["team@a.test", "team@a1.test", "team@a2.test"],
        ),
        TREE.catchall("a.test"): account(
            "mailUser",
            "@a.test",
            shadowAddress=["@a1.test", "@a2.test"],
            enabledService=[],
            mailForwardingAddress="ann@a.test",
        ),
        TREE.maillist("team@a.test"): account(
            "mailList",
            "team@a.test",
            shadowAddress=["team@a1.test", "team@a2.test"],
            listAllowedUser=["ann@a.test", "far.test", "*@a.test", ".a.test", "x@far.test"],
            listOwner="ann@a.test",
            listModerator="annie@a.test",
            member=[ann, bob.replace(",", ", ").upper()],
            uniqueMember=ann,
        ),
        TREE.externals("team@a.test"): {
            "objectClass": ["mailExternalUser"],
            "memberOfGroup": ["team@a.test"],
            "mail": ["y@far.test", "z@far.test"],
            "shadowAddress": ["team@a1.test", "team@a2.test"],
            "accountStatus": ["active"],
        },
        TREE.maillist("news@a.test"): account(
            "mailList",
            "news@a.test",
            shadowAddress=["news@a1.test", "news@a2.test"],
            enabledService=["mail", "deliver", "mlmmj"],
            listOwner="postmaster@a.test",
        ),
        TREE.alias("sales@a.test"): account(
            "mailAlias",
            "sales@a.test",
            shadowAddress=["sales@a1.test", "sales@a2.test"],
            mailForwardingAddress=["bob@b.test", "w@far.test"],
            memberOfGroup=["team@a.test", "team@a1.test", "team@a2.test"],
        ),
        **domain("b.test"),
        bob: account(
            "mailUser",
            "bob@b.test",
            storageBaseDirectory="/var/vmail",
            mailMessageStore="vmail1/b.test/b/o/b/Bob/",
            memberOfGroup=["team@a.test", "team@a1.test", "team@a2.test"],
            backupMailAddress="nobody@a.test",
        ),
        **domain("off.test", accountStatus="disabled"),
        TREE.user("carl@off.test"): account(
            "mailUser", "carl@off.test", domainStatus="disabled", homeDirectory="/var/vmail/carl"
        ),
        **domain("backup.test", domainBackupMX="yes"),
    }


def entries(tree: Healthy) -> list[Entry]:
    return [
        Entry(dn, {name: [v.encode() for v in values] for name, values in attributes.items()})
        for dn, attributes in tree.items()
    ]


def found(tree: Healthy) -> list[Violation]:
    return list(examine(TREE, entries(tree)))


Fault = Callable[[Healthy], object]
ANN, BOB, CARL = (TREE.user(mail) for mail in ("ann@a.test", "bob@b.test", "carl@off.test"))
TEAM, NEWS = TREE.maillist("team@a.test"), TREE.maillist("news@a.test")
OUTSIDERS, SALES = TREE.externals("team@a.test"), TREE.alias("sales@a.test")
A, B = TREE.domain("a.test"), TREE.domain("b.test")


def changed(dn: str, attribute: str, *values: str) -> Fault:
    return lambda tree: tree[dn].__setitem__(attribute, list(values))


def more(dn: str, attribute: str, *values: str) -> Fault:
    return lambda tree: tree[dn].setdefault(attribute, []).extend(values)


def less(dn: str, attribute: str, value: str) -> Fault:
    return lambda tree: tree[dn].__setitem__(
        attribute, [held for held in tree[dn][attribute] if held != value]
    )


def gone(dn: str) -> Fault:
    return lambda tree: tree.pop(dn)


def added(made: Healthy) -> Fault:
    return lambda tree: tree.update(made)


def both(*faults: Fault) -> Fault:
    return lambda tree: [fault(tree) for fault in faults]


FAULTS: list[tuple[str, str, Fault]] = [
    ("address-shared", SALES, more(ANN, "shadowAddress", "SALES@a.test")),
    (
        "address-shared",
        TREE.user("sales@a.test"),
        added({TREE.user("sales@a.test"): account("mailUser", "sales@a.test")}),
    ),
    ("domain-shared", B, both(more(B, "domainAliasName", "A1.test"),
                              more(B, "enabledService", "domainalias"),
                              more(BOB, "shadowAddress", "bob@a1.test"))),
    ("mail-count", BOB, more(BOB, "mail", "robert@b.test")),
    ("mail-count", BOB, both(changed(BOB, "mail"), more(BOB, "shadowAddress", "bob@b.test"))),
    ("address-foreign", BOB, more(BOB, "shadowAddress", "bob@a.test")),
    ("address-foreign", BOB, more(BOB, "shadowAddress", "bob@gone.test")),
    (
        "address-foreign",
        TREE.user("eve@a.test").replace("domainName=a.test", "domainName=b.test"),
        added({TREE.user("eve@a.test").replace("domainName=a.test", "domainName=b.test"):
               account("mailUser", "eve@a.test")}),
    ),
    (
        "address-foreign",
        TREE.user("eve@a.test").replace("eve@a.test", "eve"),
        added({TREE.user("eve@a.test").replace("eve@a.test", "eve"): account("mailUser", "eve")}),
    ),
    ("alias-name-missing", ANN, less(ANN, "shadowAddress", "ann@a1.test")),
    (
        "alias-name-missing",
        TREE.catchall("a.test"),
        less(TREE.catchall("a.test"), "shadowAddress", "@a1.test"),
    ),
    ("alias-name-missing", SALES, less(SALES, "shadowAddress", "sales@a2.test")),
    *(
        ("reference-dangling", dn, more(dn, attribute, "ghost@b.test"))
        for dn, attribute in (
            (ANN, "mailForwardingAddress"),
            (ANN, "userSenderBccAddress"),
            (ANN, "userRecipientBccAddress"),
            (ANN, "userManager"),
            (SALES, "mailForwardingAddress"),
            (TREE.catchall("a.test"), "mailForwardingAddress"),
            (TEAM, "listAllowedUser"),
            (TEAM, "listOwner"),
            (TEAM, "listModerator"),
            (NEWS, "listOwner"),
            (A, "domainSenderBccAddress"),
            (A, "domainRecipientBccAddress"),
            (OUTSIDERS, "mail"),
        )
    ),
    ("reference-dangling", ANN, more(ANN, "mailForwardingAddress", "ghost@A1.test")),
    ("reference-dangling", ANN, more(ANN, "mailForwardingAddress", "ghost+x@b.test")),
    ("reference-dangling", TEAM, more(TEAM, "listOwner", "postmaster@a.test")),
    ("admin-without-account", B, more(B, "domainAdmin", "ghost@b.test")),
    ("admin-without-account", B, more(B, "domainAdmin", "ghost@far.test")),
    ("admin-without-account", B, more(B, "domainAdmin", "annie@a.test")),
    ("admin-without-account", B, more(B, "domainAdmin", "sales@a.test")),
    ("member-dn-dangling", TEAM, more(TEAM, "member", TREE.user("ghost@b.test"))),
    ("member-dn-dangling", TEAM, more(TEAM, "uniqueMember", TREE.user("ghost@b.test"))),
    ("member-dn-dangling", TEAM, more(TEAM, "uniqueMember", f"{TREE.user('ghost@b.test')}#'1'B")),
    *(
        ("member-dn-dangling", f"cn=group,{B}", added({f"cn=group,{B}": {
            "objectClass": [kind], "cn": ["group"], attribute: [ANN, gone_],
        }}))
        for kind, attribute in (("groupOfNames", "member"), ("groupOfUniqueNames", "uniqueMember"))
        for gone_ in (
            TREE.user("ghost@b.test"), f"cn=contact,{ANN}", f"cn=group,{TREE.domain('gone.test')}",
            TREE.admin("ghost@far.test"),
        )
    ),
    *(
        ("dn-dangling", BOB, more(BOB, attribute, TREE.user("ghost@b.test")))
        for attribute in UNINDEXED
    ),
    ("group-without-list", BOB, more(BOB, "memberOfGroup", "ghosts@a.test")),
    ("group-without-list", BOB, more(BOB, "memberOfGroup", "team@gone.test")),
    ("group-without-list", BOB, more(BOB, "memberOfGroup", "sales@a.test")),
    ("default-list-dangling", B, more(B, "accountSetting", "defaultList:team@a.test,x@b.test")),
    (
        "externals-without-list",
        TREE.externals("ghosts@b.test"),
        added({TREE.externals("ghosts@b.test"): {
            "objectClass": ["mailExternalUser"],
            "memberOfGroup": ["ghosts@b.test"],
            "mail": ["y@far.test"],
        }}),
    ),
    ("externals-without-list", OUTSIDERS, more(OUTSIDERS, "memberOfGroup", "ghosts@b.test")),
    *(("domain-status", dn, more(dn, "domainStatus", "disabled"))
      for dn in (ANN, TEAM, SALES, OUTSIDERS, TREE.catchall("a.test"))),
    ("domain-status", CARL, changed(CARL, "domainStatus")),
    ("domainalias-missing", A, less(A, "enabledService", "domainalias")),
    ("domainalias-stale", B, more(B, "enabledService", "domainalias")),
    ("alias-domain-pending", B, both(more(B, "domainPendingAliasName", "c.test"),
                                     more(BOB, "shadowAddress", "bob@c.test"))),
    ("membership-partial", BOB, less(BOB, "memberOfGroup", "team@a2.test")),
    ("membership-partial", SALES, less(SALES, "memberOfGroup", "team@a.test")),
    ("externals-addresses", OUTSIDERS, less(OUTSIDERS, "shadowAddress", "team@a1.test")),
    ("externals-addresses", OUTSIDERS, more(OUTSIDERS, "shadowAddress", "team@gone.test")),
    ("list-dn-foreign", TEAM, more(TEAM, "member", CARL)),
    ("list-dn-missing", TEAM, less(TEAM, "member", ANN)),
    ("container-missing", B, gone(TREE.container("b.test", "Aliases"))),
    (
        "parent-missing",
        TREE.domain("no.test").lower(),
        added({TREE.container("no.test", "Users"): {"objectClass": ["organizationalUnit"]}}),
    ),
    (
        "account-misplaced",
        TREE.user("dora@b.test").replace("ou=Users", "ou=Aliases"),
        added({TREE.user("dora@b.test").replace("ou=Users", "ou=Aliases"):
               account("mailUser", "dora@b.test")}),
    ),
    ("role-missing", ANN, less(ANN, "enabledService", "domainadmin")),
    ("role-unused", BOB, more(BOB, "enabledService", "domainadmin")),
    ("global-admin-missing", TREE.admin_base,
     changed(TREE.admin("root@far.test"), "domainGlobalAdmin", "no")),
    ("global-admin-missing", TREE.admin_base,
     changed(TREE.admin("root@far.test"), "accountStatus", "disabled")),
    *(
        (
            "admin-hosted",
            TREE.admin(mail),
            added({TREE.admin(mail): account("mailAdmin", mail, enabledService=[])}),
        )
        for mail in ("chief@a.test", "chief@a1.test")
    ),
    ("mailbox-shared", BOB, changed(BOB, "homeDirectory", "/var//Vmail/vmail1/a.test/a/n/n/ann")),
    ("mailbox-nested", BOB,
     changed(BOB, "homeDirectory", "/var/vmail/vmail1/a.test/a/n/n/ann/Maildir/")),
    ("mailbox-nested", ANN, changed(BOB, "homeDirectory", "/var/vmail/vmail1/a.test/")),
    ("rename-unfinished", BOB, more(BOB, "shadowAddress", "bob@b.test")),
    ("list-unfinished", NEWS, changed(NEWS, "enabledService", "mlmmj", "deliver")),
    *(("service-missing", ANN, less(ANN, "enabledService", word)) for word in USER_SERVICES),
    ("service-missing", A, less(A, "enabledService", "senderbcc")),
    ("service-missing", A, less(A, "enabledService", "recipientbcc")),
]  # fmt: skip


def test_a_healthy_tree_breaks_no_rule() -> None:
    """Also where addresses, domains and DNs are spelled in capitals."""
    assert found(healthy()) == []


@pytest.mark.parametrize(
    ("rule", "dn", "fault"), FAULTS, ids=[f"{n}-{rule}" for n, (rule, _, _) in enumerate(FAULTS)]
)
def test_each_fault_breaks_one_rule_at_one_entry(rule: str, dn: str, fault: Fault) -> None:
    """Nothing else is told, so that every line of a report is something to mend."""
    tree = healthy()
    fault(tree)
    broken = found(tree)
    assert [(one.rule, one.dn) for one in broken] == [(rule, dn)], broken
    assert broken[0].severity == RULES[rule].severity


def test_every_rule_is_broken_by_some_fault() -> None:
    """No rule stands there that finds nothing."""
    assert {rule for rule, _, _ in FAULTS} == RULES.keys()


@given(st.sampled_from(FAULTS), st.randoms(use_true_random=False))
def test_the_order_of_entries_does_not_matter(
    planted: tuple[str, str, Fault], random: Random
) -> None:
    """A file may have any order."""
    tree = deepcopy(healthy())
    planted[2](tree)
    shuffled = entries(tree)
    random.shuffle(shuffled)
    assert list(examine(TREE, shuffled)) == found(tree)


def test_the_attributes_asked_for_suffice() -> None:
    """A search for them finds what one for all attributes does."""
    for _, _, fault in FAULTS:
        tree = healthy()
        fault(tree)
        thinned = {
            dn: {name: values for name, values in attributes.items() if name in ATTRIBUTES}
            for dn, attributes in tree.items()
        }
        assert found(thinned) == found(tree)


def test_an_alias_name_that_another_account_has_is_not_missing() -> None:
    """Its owner keeps it when the alias domain comes."""
    tree = healthy()
    tree[ANN]["shadowAddress"].remove("ann@a1.test")
    tree[SALES]["shadowAddress"].append("ann@a1.test")
    assert found(tree) == []


def test_references_to_a_backup_mx_and_to_strangers_are_not_judged() -> None:
    """Their accounts are on another server."""
    tree = healthy()
    tree[ANN]["mailForwardingAddress"] += ["any@backup.test", "@a.test", "word", "any@far.test"]
    assert found(tree) == []


def test_a_group_may_name_whatever_there_is() -> None:
    """Accounts, what lies below them, admins, itself, and what lies elsewhere in the directory."""
    tree = healthy()
    group, contact = f"cn=group,{B}", f"cn=contact,{ANN}"
    admin = next(dn for dn in tree if dn.endswith(TREE.admin_base))
    tree[contact] = {"objectClass": ["person"], "cn": ["contact"], "sn": ["c"]}
    elsewhere = ["cn=vmail,dc=x,dc=y", TREE.base, "cn=x,dc=far"]
    members = [ANN.upper(), contact, admin, group, TEAM, A, *elsewhere]
    tree[group] = {"objectClass": ["groupOfNames"], "cn": ["group"], "member": members}
    assert found(tree) == []


def test_a_list_without_member_dns_and_a_subscribable_one_are_not_compared() -> None:
    """Older tools write no DNs; the members of a subscribable list are elsewhere."""
    tree = healthy()
    tree[TEAM]["member"] = []
    tree[NEWS]["member"] = [BOB]
    assert found(tree) == []


def test_a_global_admin_needs_no_service_of_an_admin() -> None:
    """Other tools write `domainGlobalAdmin` alone; a mail user may be the only one."""
    tree = healthy()
    del tree[TREE.admin("root@far.test")]
    tree[ANN]["enabledService"].remove("domainadmin")
    tree[ANN]["domainGlobalAdmin"] = ["yes"]
    assert found(tree) == []


def test_an_entry_that_stands_twice_in_a_file_is_no_rival_of_itself() -> None:
    """`ldif-export verify` tells of it."""
    twice = [*entries(healthy()), *entries(healthy())]
    assert [v for v in examine(TREE, twice) if v.rule != "parent-missing"] == []


def installed(services: Iterable[str], **paths: str) -> Healthy:
    """A new installation: one domain, whose postmaster is the global admin."""
    return {
        TREE.suffix: {"objectClass": ["dcObject", "organization"]},
        f"cn=vmail,{TREE.suffix}": {"objectClass": ["person", "shadowAccount", "top"]},
        TREE.base: {"objectClass": ["Organization"]},
        TREE.admin_base: {"objectClass": ["Organization"]},
        **domain("kit.test", accountSetting=["minPasswordLength:8", "defaultQuota:1024"]),
        TREE.user("postmaster@kit.test"): account(
            "mailUser",
            "postmaster@kit.test",
            objectClass=["inetOrgPerson", "shadowAccount", "amavisAccount", "mailUser", "top"],
            enabledService=["mail", "deliver", "lda", "lmtp", *services, "domainadmin"],
            domainGlobalAdmin="yes",
            **paths,
        ),
    }


@pytest.mark.parametrize(
    "tree",
    [
        installed(
            ["forward", "senderbcc", "recipientbcc", "shadowaddress"],
            storageBaseDirectory="/var/vmail",
            mailMessageStore="vmail1/kit.test/p/o/s/postmaster-2016.01.01.00.00.00/",
            homeDirectory="/var/vmail/vmail1/kit.test/p/o/s/postmaster-2016.01.01.00.00.00/",
        ),
        installed([], homeDirectory="/var/vmail/vmail1/kit.test/p/o/s/postmaster/"),
        installed([], mailMessageStore="vmail1/kit.test/postmaster", storageBaseDirectory="/var"),
    ],
)
def test_a_new_installation_breaks_no_rule(tree: Healthy) -> None:
    """With old and new ways of saying where a mailbox lies."""
    tree[TREE.domain("kit.test")]["enabledService"] += ["senderbcc", "recipientbcc"]
    assert found(tree) == []


@pytest.mark.parametrize(
    ("dn", "same"),
    [
        ("mail=a@b.test,dc=x", "MAIL=A@b.test , dc = X"),
        (r"mail=a\+b@c.test,dc=x", r"mail=a\2Bb@c.test,dc=x"),
        (r"mail=a=b@c.test,dc=x", r"mail=a\3Db@c.test,dc=x"),
        (r"mail=a\,b@c.test,dc=x", 'mail="a,b@c.test",dc=x'),
        ("mail=a@b.test+uid=a,dc=x", "uid=a + mail=a@b.test,dc=x"),
    ],
)
def test_equal_dns_stand_at_one_place(dn: str, same: str) -> None:
    """Whatever their spelling."""
    assert normal_dn(dn) == normal_dn(same)


@pytest.mark.parametrize(
    "dn",
    [
        r"mail=a@b.test+uid=\23h\3Dx,dc=x",
        r"cn=\22x\22 \3Cy\3E\3B \2B\2C\5C,dc=x",
        r"cn=\20a b\20,dc=x",
        r"cn=\0Aa\0D,dc=x",
        r"mail=a=b#c@d.test,dc=x",
    ],
)
def test_a_key_is_its_own_key(dn: str) -> None:
    """What is found by the key of a DN is what is found by the DN."""
    key = normal_dn(dn).key
    assert normal_dn(key) == normal_dn(dn)
    assert normal_dn(f"ou=book,{key}").parent == key


def test_an_entry_of_external_members_may_serve_several_lists() -> None:
    """It has the further addresses of all of them, as `memberOfGroup` or `shadowAddress`."""
    tree = healthy()
    del tree[OUTSIDERS]
    shared = f"mail=y@far.test,{TREE.container('a.test', 'Externals')}"
    tree[shared] = {
        "objectClass": ["mailExternalUser"],
        "mail": ["y@far.test"],
        "memberOfGroup": ["team@a.test", "team@a1.test", "news@a.test"],
        "shadowAddress": ["team@a2.test", "news@a1.test", "news@a2.test"],
        "accountStatus": ["active"],
    }
    assert found(tree) == []

    tree[shared]["shadowAddress"].remove("news@a2.test")
    assert [(broken.rule, broken.dn) for broken in found(tree)] == [("externals-addresses", shared)]


def test_external_members_may_name_a_list_in_an_alias_domain() -> None:
    """One of their lists lies in their domain; those of lists elsewhere alone are foreign."""
    tree, dn = healthy(), f"mail=x@far.test,ou=Externals,{A}"
    tree[dn] = {**tree[OUTSIDERS], "mail": ["x@far.test"]}
    for lists, foreign in (
        (["team@a1.test", "team@a2.test"], False),
        (["elsewhere@b.test", "team@a1.test"], False),
        (["elsewhere@b.test"], True),
    ):
        tree[dn]["memberOfGroup"] = lists
        named = [one for one in found(tree) if one.rule == "address-foreign"]
        assert [one.dn for one in named] == ([dn] if foreign else [])


def test_a_place_knows_its_parent_its_name_and_its_domain() -> None:
    """Unescaped, and in lower case."""
    at = normal_dn(r"mail=O\+x@a.test,ou=Users,domainName=A.test,o=domains,dc=x,dc=y")
    parent = "ou=users,domainname=a.test,o=domains,dc=x,dc=y"
    home = "domainname=a.test,o=domains,dc=x,dc=y"
    assert (at.parent, at.attribute, at.value, at.home) == (parent, "mail", "o+x@a.test", home)
    firm = r"cn=firm\, inc+domainname=a.test,o=domains,dc=x"
    assert normal_dn(f"uid=a,ou=Users,{firm}").home == normal_dn(firm).home == firm
    assert normal_dn("mail=a@a.test,o=domainAdmins,dc=x").home == ""
    assert normal_dn(parent).parent == "domainname=a.test,o=domains,dc=x,dc=y"
    assert normal_dn("dc=y").parent == ""
