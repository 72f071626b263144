"""What the API makes breaks no rule, and what is planted into the directory breaks its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ldap
import pytest
from click.testing import CliRunner, Result

from iredldap.cli import main
from iredldap.dit.consistency.checks import RULES, Violation, examine
from iredldap.dit.entry import Entry
from iredldap.embedded.ports import free_port
from tests.support.client import Client, done
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.serving import SESSION_KEY
from tests.support.world import ADMIN, SUFFIX, WRITER_PASSWORD, World

PASSWORD = "a good password"


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    return {"mlmmjadmin": mlmmjadmin.settings}


def found(world: World) -> list[Violation]:
    """Judge the directory under test."""
    connection = world.connect()
    entries = [
        Entry(dn, attributes)
        for base in (world.tree.base, world.tree.admin_base)
        for dn, attributes in connection.search_s(base, ldap.SCOPE_SUBTREE)
    ]
    connection.unbind_s()
    return list(examine(world.tree, entries))


def begin(api: Client) -> None:
    """Two domains with users, aliases and lists of both kinds, and an alias domain in between."""
    for name in ("a.test", "b.test"):
        done(api.post(f"/api/domain/{name}", defaultQuota=10))
    for mail in ("ann@a.test", "bob@a.test", "carl@b.test", "dora@b.test"):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.post("/api/maillist/team@a.test", members="ann@a.test,carl@b.test,x@far.test"))
    done(api.post("/api/alias/sales@a.test", members="bob@a.test,dora@b.test,y@far.test"))
    done(api.put("/api/domain/a.test", addAliasDomain="a1.test,a2.test"))
    done(api.post("/api/maillist/all@a.test", members="sales@a.test,team@a.test,dora@b.test"))
    done(api.post("/api/user/erik@a.test", password=PASSWORD))
    done(api.post("/api/alias/info@a.test", members="all@a.test,team@a1.test"))
    done(api.post("/api/ml/news@a.test", subscribers="ann@a.test", require_confirm="no"))
    done(api.post("/api/ml/talk@b.test", owner="carl@b.test", moderators="dora@b.test"))


def refer(api: Client) -> None:
    """References in every attribute that the API writes."""
    everywhere = {"senderBcc": "dora@b.test", "recipientBcc": "audit@far.test"}
    done(api.put("/api/domain/a.test", catchall="bob@a.test,dora@b.test", **everywhere))
    done(api.put("/api/user/ann@a.test", forwarding="ann@a.test,dora@b.test", **everywhere))
    done(api.put("/api/user/ann@a.test", addAlias="annie@a.test,a@a1.test"))
    done(api.put("/api/user/carl@b.test", forwarding="annie@a.test,sales@a2.test"))
    done(api.put("/api/maillist/team@a.test", addMember="bob@a.test,z@far.test"))
    done(api.put("/api/alias/sales@a.test", addMember="carl@b.test"))
    done(api.put("/api/ml/news@a.test", moderators="bob@a.test", extra_addresses="new@a.test"))


def administer(api: Client) -> None:
    """Admins of every kind."""
    done(api.post("/api/admin/helper@far.test", password=PASSWORD))
    done(api.post("/api/admin/root@far.test", password=PASSWORD, isGlobalAdmin="yes"))
    done(api.put("/api/domain/admins/a.test", addAdmin="ann@a.test,carl@b.test,helper@far.test"))
    done(api.put("/api/domain/admins/b.test", addAdmin="carl@b.test,dora@b.test"))
    done(api.put("/api/domain/admins/b.test", removeAdmin="dora@b.test"))
    done(api.put("/api/user/bob@a.test", isGlobalAdmin="yes"))
    done(api.put("/api/user/erik@a.test", isGlobalAdmin="yes"))
    done(api.put("/api/user/erik@a.test", isGlobalAdmin="no"))
    done(api.put("/api/admin/root@far.test", accountStatus="disabled"))


def switch(api: Client) -> None:
    """Domains and accounts that go off, are changed meanwhile, and come back."""
    done(api.put("/api/domain/a.test", accountStatus="disabled"))
    done(api.post("/api/user/late@a.test", password=PASSWORD))
    done(api.post("/api/alias/later@a.test", members="late@a.test"))
    done(api.post("/api/maillist/latest@a.test", members="late@a.test,q@far.test"))
    done(api.put("/api/maillist/team@a.test", addMember="late@a.test"))


def switch_back(api: Client) -> None:
    """As before, all accounts of a domain at once too."""
    done(api.put("/api/domain/a.test", accountStatus="active"))
    done(api.put("/api/users/b.test", accountStatus="disabled"))
    done(api.put("/api/users/b.test", accountStatus="active"))
    done(api.put("/api/user/ann@a.test", services="mail,deliver,forward,senderbcc,recipientbcc"))


def rename(api: Client) -> None:
    """Within a domain and into another one, of accounts that everything refers to."""
    done(api.post("/api/user/ann@a.test/change_email/anna@a.test"))
    done(api.post("/api/user/dora@b.test/change_email/dora@a.test"))
    done(api.post("/api/user/bob@a.test/change_email/bob@b.test"))
    done(api.post("/api/alias/sales@a.test/change_email/sale@a.test"))
    done(api.post("/api/alias/info@a.test/change_email/info@b.test"))


def change_aliases(api: Client) -> None:
    """An alias domain goes, and another comes."""
    done(api.put("/api/domain/a.test", removeAliasDomain="a1.test", addAliasDomain="a3.test"))
    done(api.put("/api/domain/b.test", aliasDomains="a1.test,b1.test"))
    done(api.put("/api/domain/b.test", aliasDomains="b1.test"))


def delete(api: Client) -> None:
    """Accounts of each kind that others refer to."""
    for path in ("user/dora@a.test", "alias/sale@a.test", "maillist/team@a.test",
                 "ml/news@a.test", "admin/root@far.test", "admin/helper@far.test",
                 "user/carl@b.test", "user/late@a.test"):  # fmt: skip
        done(api.delete(f"/api/{path}"))


def refill(api: Client) -> None:
    """Two domains that refer to one another."""
    done(api.post("/api/user/gus@a.test", password=PASSWORD))
    done(api.post("/api/user/hal@b.test", password=PASSWORD))
    done(api.put("/api/user/hal@b.test", forwarding="gus@a.test,anna@a2.test"))
    done(api.put("/api/maillist/all@a.test", members="gus@a.test,hal@b.test,info@b.test"))
    done(api.post("/api/maillist/club@b.test", members="gus@a.test,all@a.test"))
    done(api.put("/api/domain/b.test", catchall="gus@a.test", senderBcc="gus@a.test"))
    done(api.put("/api/domain/admins/b.test", addAdmin="gus@a.test,anna@a.test"))


def delete_domain(api: Client) -> None:
    """With everything that the other one says of it."""
    done(api.delete("/api/domain/a.test"))


def restore(api: Client) -> None:
    """What an export has of a domain."""
    text = api.get("/api/ldif", format="ldif").content
    done(api.delete("/api/domain/b.test"))
    answer = api.send_file("/api/ldif", text)
    assert answer.json()["_success"], answer.text


TOUR = [begin, refer, administer, switch, switch_back, rename, change_aliases, delete, refill,
        delete_domain, restore]  # fmt: skip


def test_what_the_api_makes_breaks_no_rule(api: Client, world: World) -> None:
    """Looked at after each leg of a tour through all that it can do."""
    for leg in TOUR:
        leg(api)
        assert found(world) == [], leg.__name__


def test_an_alias_domain_enrols_nobody_under_an_address_of_others(
    api: Client, world: World
) -> None:
    """Asked for again it gave members of a list the mail of who has the list's name there."""
    begin(api)
    done(api.put("/api/user/bob@a.test", addAlias="club@a1.test"))
    done(api.post("/api/maillist/club@a.test", members="ann@a.test"))
    done(api.put("/api/domain/a.test", addAliasDomain="a1.test"))
    groups = world.attributes(world.tree.user("ann@a.test"))["memberOfGroup"]
    assert {group for group in groups if group.startswith("club@")} == {
        "club@a.test",
        "club@a2.test",
    }
    assert found(world) == []


def test_a_new_user_joins_default_lists_under_all_their_addresses(
    api: Client, world: World
) -> None:
    """Also under those in alias domains; of a subscribable one under its own."""
    begin(api)
    world.set(world.tree.domain("a.test"), accountSetting="defaultList:team@a.test, news@a.test")
    done(api.post("/api/user/fred@a.test", password=PASSWORD))
    assert world.attributes(world.tree.user("fred@a.test"))["memberOfGroup"] == {
        "team@a.test",
        "team@a1.test",
        "team@a2.test",
        "news@a.test",
    }
    assert {one.severity for one in found(world)} <= {"warning"}


@pytest.fixture
def healthy(api: Client, world: World) -> World:
    begin(api)
    refer(api)
    administer(api)
    assert found(world) == []
    return world


Fault = Callable[[World], object]


def change(dn: Callable[[World], str], op: int, attribute: str, *values: str) -> Fault:
    """A modification of an entry, as another tool may send it."""
    stored = [value.encode() for value in values] or None
    return lambda world: world.modify(dn(world), (op, attribute, stored))


def user(mail: str) -> Callable[[World], str]:
    return lambda world: world.tree.user(mail)


def of_list(mail: str) -> Callable[[World], str]:
    return lambda world: world.tree.maillist(mail)


def outsiders(mail: str) -> Callable[[World], str]:
    return lambda world: world.tree.externals(mail)


def domain(name: str) -> Callable[[World], str]:
    return lambda world: world.tree.domain(name)


def admin(mail: str) -> Callable[[World], str]:
    return lambda world: world.tree.admin(mail)


def member_of_nobody(world: World) -> None:
    world.modify(
        world.tree.maillist("team@a.test"),
        (ldap.MOD_ADD, "member", [world.tree.user("ghost@b.test").encode()]),
    )


def group_of_nobody(world: World) -> None:
    world.add(
        f"cn=crew,{world.tree.domain('b.test')}",
        objectClass="groupOfNames",
        cn="crew",
        member=[world.tree.user("dora@b.test"), f"cn=gone,{world.tree.user('dora@b.test')}"],
    )


def foreign_member_dn(world: World) -> None:
    world.modify(
        world.tree.maillist("team@a.test"),
        (ldap.MOD_ADD, "member", [world.tree.user("dora@b.test").encode()]),
    )


def missing_member_dn(world: World) -> None:
    world.modify(
        world.tree.maillist("team@a.test"),
        (ldap.MOD_DELETE, "member", [world.tree.user("carl@b.test").encode()]),
    )


def shared_mailbox(world: World) -> None:
    (path,) = world.attributes(world.tree.user("carl@b.test"))["homeDirectory"]
    world.set(world.tree.user("dora@b.test"), homeDirectory=path.upper())


def nested_mailbox(world: World) -> None:
    (path,) = world.attributes(world.tree.user("carl@b.test"))["homeDirectory"]
    world.set(world.tree.user("dora@b.test"), homeDirectory=f"{path}Maildir/")


def second_holder(world: World) -> None:
    world.add(
        world.tree.alias("dora@b.test"),
        objectClass="mailAlias",
        mail="dora@b.test",
        accountStatus="active",
    )


def lonely_outsiders(world: World) -> None:
    world.add(
        world.tree.externals("ghost@b.test"),
        objectClass="mailExternalUser",
        memberOfGroup="ghost@b.test",
        mail="x@far.test",
        accountStatus="active",
    )


def misplaced(world: World) -> None:
    world.add(
        f"mail=ivan@b.test,{world.tree.container('b.test', 'Users')}".replace("Users", "Groups"),
        objectClass="mailAlias",
        mail="ivan@b.test",
        accountStatus="active",
    )


def no_container(world: World) -> None:
    connection = world.connect()
    connection.delete_s(world.tree.container("b.test", "Aliases"))
    connection.unbind_s()


def second_domain(world: World) -> None:
    tree = world.tree
    services = ["mail", "domainalias"]
    world.set(tree.domain("b.test"), domainAliasName="a1.test", enabledService=services)
    for dn in (tree.user("carl@b.test"), tree.user("dora@b.test"), tree.maillist("talk@b.test")):
        (mail,) = world.attributes(dn)["mail"]
        name = f"{mail.partition('@')[0]}@a1.test"
        world.modify(dn, (ldap.MOD_ADD, "shadowAddress", [name.encode()]))


def hosted_admin(world: World) -> None:
    mail = "chief@a1.test"
    world.add(world.tree.admin(mail), objectClass="mailAdmin", mail=mail, accountStatus="active")


def no_global_admin(world: World) -> None:
    world.set(world.tree.admin(ADMIN), accountStatus="disabled")
    world.set(world.tree.user("bob@a.test"), domainGlobalAdmin=None)
    change(user("bob@a.test"), ldap.MOD_DELETE, "enabledService", "domainadmin")(world)


ADD, DELETE = ldap.MOD_ADD, ldap.MOD_DELETE
FAULTS: list[tuple[str, Callable[[World], str], Fault]] = [
    ("address-shared", user("dora@b.test"), second_holder),
    (
        "domain-shared",
        domain("b.test"),
        second_domain,
    ),
    ("mail-count", user("dora@b.test"), change(user("dora@b.test"), ADD, "mail", "d@b.test")),
    (
        "address-foreign",
        user("dora@b.test"),
        change(user("dora@b.test"), ADD, "shadowAddress", "dora@a.test"),
    ),
    (
        "alias-name-missing",
        user("bob@a.test"),
        change(user("bob@a.test"), DELETE, "shadowAddress", "bob@a1.test"),
    ),
    (
        "reference-dangling",
        user("carl@b.test"),
        change(user("carl@b.test"), ADD, "mailForwardingAddress", "ghost@a2.test"),
    ),
    (
        "admin-without-account",
        domain("b.test"),
        change(domain("b.test"), ADD, "domainAdmin", "ghost@far.test"),
    ),
    ("member-dn-dangling", of_list("team@a.test"), member_of_nobody),
    (
        "member-dn-dangling",
        lambda world: f"cn=crew,{world.tree.domain('b.test')}",
        group_of_nobody,
    ),
    (
        "dn-dangling",
        user("dora@b.test"),
        change(
            user("dora@b.test"),
            ADD,
            "manager",
            f"mail=ghost@b.test,ou=Users,domainName=b.test,o=domains,{SUFFIX}",
        ),
    ),
    (
        "group-without-list",
        user("dora@b.test"),
        change(user("dora@b.test"), ADD, "memberOfGroup", "ghost@b.test"),
    ),
    (
        "default-list-dangling",
        domain("b.test"),
        change(domain("b.test"), ADD, "accountSetting", "defaultList:ghost@b.test"),
    ),
    ("externals-without-list", outsiders("ghost@b.test"), lonely_outsiders),
    (
        "domain-status",
        outsiders("team@a.test"),
        change(outsiders("team@a.test"), ADD, "domainStatus", "disabled"),
    ),
    (
        "domainalias-missing",
        domain("a.test"),
        change(domain("a.test"), DELETE, "enabledService", "domainalias"),
    ),
    (
        "domainalias-stale",
        domain("b.test"),
        change(domain("b.test"), ADD, "enabledService", "domainalias"),
    ),
    (
        "alias-domain-pending",
        domain("b.test"),
        change(domain("b.test"), ADD, "domainPendingAliasName", "c.test"),
    ),
    (
        "membership-partial",
        user("carl@b.test"),
        change(user("carl@b.test"), DELETE, "memberOfGroup", "team@a2.test"),
    ),
    (
        "externals-addresses",
        outsiders("team@a.test"),
        change(outsiders("team@a.test"), DELETE, "shadowAddress", "team@a2.test"),
    ),
    ("list-dn-foreign", of_list("team@a.test"), foreign_member_dn),
    ("list-dn-missing", of_list("team@a.test"), missing_member_dn),
    ("container-missing", domain("b.test"), no_container),
    (
        "account-misplaced",
        lambda world: f"mail=ivan@b.test,{world.tree.container('b.test', 'Groups')}",
        misplaced,
    ),
    (
        "role-missing",
        user("ann@a.test"),
        change(user("ann@a.test"), DELETE, "enabledService", "domainadmin"),
    ),
    (
        "role-unused",
        user("dora@b.test"),
        change(user("dora@b.test"), ADD, "enabledService", "domainadmin"),
    ),
    ("global-admin-missing", lambda world: world.tree.admin_base, no_global_admin),
    ("admin-hosted", admin("chief@a1.test"), hosted_admin),
    ("mailbox-shared", user("dora@b.test"), shared_mailbox),
    ("mailbox-nested", user("dora@b.test"), nested_mailbox),
    (
        "rename-unfinished",
        user("dora@b.test"),
        change(user("dora@b.test"), ADD, "shadowAddress", "dora@b.test"),
    ),
    (
        "list-unfinished",
        of_list("talk@b.test"),
        change(of_list("talk@b.test"), DELETE, "enabledService", "mail"),
    ),
    (
        "service-missing",
        user("ann@a.test"),
        change(user("ann@a.test"), DELETE, "enabledService", "senderbcc"),
    ),
]


def test_what_is_planted_breaks_its_own_rule_alone(healthy: World) -> None:
    """One fault after the other; slapd itself refuses an entry without parent."""
    assert {rule for rule, _, _ in FAULTS} == RULES.keys() - {"parent-missing"}
    for rule, dn, fault in FAULTS:
        before = healthy.snapshot()
        fault(healthy)
        broken = [(one.rule, one.dn) for one in found(healthy)]
        assert broken == [(rule, dn(healthy))], rule
        put_back(healthy, before)
    assert found(healthy) == []


def put_back(world: World, before: dict[str, dict[str, list[bytes]]]) -> None:
    """Make the entries what they were."""
    connection = world.connect()
    now = world.snapshot()
    for dn in now.keys() - before.keys():
        connection.delete_s(dn)
    for dn in before.keys() - now.keys():
        connection.add_s(dn, list(before[dn].items()))
    for dn in before.keys() & now.keys():
        names = {n for n in {**before[dn], **now[dn]} if before[dn].get(n) != now[dn].get(n)}
        if names:
            connection.modify_s(dn, [(ldap.MOD_REPLACE, n, before[dn].get(n)) for n in names])
    connection.unbind_s()
    assert world.snapshot() == before


@pytest.fixture
def config(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IREDLDAP_LDAP_BIND_PASSWORD", WRITER_PASSWORD)
    monkeypatch.setenv("IREDLDAP_SESSION_KEYS", SESSION_KEY)
    return written(tmp_path, world.slapd.uri)


def written(folder: Path, uri: str) -> Path:
    path = folder / "doctor.toml"
    path.write_text(
        f'[ldap]\nuri = ["{uri}"]\nsuffix = "{SUFFIX}"\nbind_dn = "cn=vmailadmin,{SUFFIX}"\n'
    )
    return path


def doctor(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, arguments)])


def test_the_command_reads_the_directory(healthy: World, config: Path) -> None:
    """Nothing is changed; an error makes the status 1, a warning does not."""
    before = healthy.snapshot()
    told = doctor("--config", config)
    assert (told.exit_code, told.output) == (0, f"0 errors, 0 warnings in {len(before)} entries\n")
    assert healthy.snapshot() == before

    change(domain("b.test"), ADD, "enabledService", "domainalias")(healthy)
    assert doctor("--config", config).exit_code == 0
    change(domain("b.test"), ADD, "domainAdmin", "ghost@far.test")(healthy)
    told = doctor("--config", config, "--json")
    assert told.exit_code == 1
    found = [json.loads(line).get("rule") for line in told.output.splitlines()]
    assert found == ["admin-without-account", "domainalias-stale", None]


def test_the_command_agrees_about_an_export(
    healthy: World, api: Client, config: Path, tmp_path: Path
) -> None:
    """A file of the whole tree is judged as the directory is."""
    foreign_member_dn(healthy)
    shared_mailbox(healthy)
    path = tmp_path / "all.ldif"
    path.write_bytes(api.get("/api/ldif", format="ldif").content)
    of_file, of_directory = (
        doctor(*source, "--json").output.splitlines()[:-1]
        for source in (("--ldif", path), ("--config", config))
    )
    assert len(of_file) == 2
    assert of_file == of_directory


def test_a_directory_that_cannot_be_read_is_not_judged(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Because it is down, has no tree of iRedMail's there, or knows another password."""
    text = config.read_text()
    assert doctor("--config", config).exit_code == 0

    config.write_text(text.replace(SUFFIX, f"dc=no,{SUFFIX}", 1))
    told = doctor("--config", config)
    assert (told.exit_code, "NO_SUCH_ACCOUNT" in told.output) == (2, True)
    unreachable = written(config.parent, f"ldap://127.0.0.1:{free_port()}")
    told = doctor("--config", unreachable)
    assert (told.exit_code, "SERVER_DOWN" in told.output) == (2, True)
    config.write_text(text)
    monkeypatch.setenv("IREDLDAP_LDAP_BIND_PASSWORD", "wrong")
    told = doctor("--config", config)
    assert (told.exit_code, "cn=vmailadmin" in told.output) == (2, True)
