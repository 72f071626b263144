"""Services, admins, alias domains, catch-all and profiles of a domain, judged by the directory."""

import threading
from functools import partial
from pathlib import Path
from typing import Any

import ldap
import pytest

from iredldap.changes.apply import apply
from iredldap.dit import domain as rows
from iredldap.dit.form_parser import parse
from iredldap.dit.names import Tree
from iredldap.dit.plan import Plan
from iredldap.errors import PermissionDenied
from iredldap.operations.domains import domains
from iredldap.operations.login import Caller
from tests.support.client import Client, done, refused
from tests.support.mailservers import Postfix
from tests.support.patience import at_once
from tests.support.serving import Served
from tests.support.world import ADMIN, SUFFIX, World

PASSWORD = "a good password"


@pytest.fixture
def corp(api: Client, world: World) -> str:
    """A domain with two users, a list with members, an alias; DN of its entry."""
    tree = world.tree
    done(api.post("/api/domain/corp.test"))
    done(api.post("/api/domain/other.test"))
    for mail in ("ann@corp.test", "bob@corp.test", "cid@other.test"):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    world.add(
        tree.maillist("crew@corp.test"),
        objectClass="mailList",
        mail="crew@corp.test",
        accountStatus="active",
        enabledService=["mail", "deliver"],
    )
    world.add(
        tree.externals("crew@corp.test"),
        objectClass="mailExternalUser",
        memberOfGroup="crew@corp.test",
        mail=["friend@elsewhere.test"],
        accountStatus="active",
        enabledService=["mail", "deliver"],
    )
    for mail in ("ann@corp.test", "cid@other.test"):
        world.set(tree.user(mail), memberOfGroup=["crew@corp.test"])
    world.add(
        tree.alias("info@corp.test"),
        objectClass="mailAlias",
        mail="info@corp.test",
        mailForwardingAddress=["bob@corp.test"],
        accountStatus="active",
        enabledService=["mail", "deliver"],
    )
    return tree.domain("corp.test")


@pytest.fixture
def postfix(world: World, tmp_path: Path) -> Postfix:
    """Postfix over the directory under test."""
    _, secret = world.reader
    return Postfix(tmp_path / "postfix", world.slapd.uri, world.tree.suffix, secret)


def services(world: World, dn: str) -> set[str]:
    return world.attributes(dn).get("enabledService", set())


def test_services_are_listed_and_switched(api: Client, world: World, corp: str) -> None:
    """Both endpoints, both generations of names; clear, then take, then give."""
    path = "/api/domain/services/corp.test"
    assert api.get(path).json() == {"_success": True, "_data": ["mail"]}
    done(api.put(path, enableService="vpn,sogo"))
    assert api.get(path).json()["_data"] == ["mail", "sogo", "vpn"]
    done(api.put(path, disableService="SOGO", addService="xmpp"))
    assert services(world, corp) == {"mail", "vpn", "xmpp"}
    done(api.put(path, removeAllServices="", enableService="mail"))
    assert services(world, corp) == {"mail"}
    done(api.put("/api/domain/corp.test", addService="a.b-c_d"))
    assert services(world, corp) == {"mail", "a.b-c_d"}
    done(api.put("/api/domain/corp.test", services="mail,self-service"))
    assert services(world, corp) == {"mail", "self-service"}
    done(api.put("/api/domain/corp.test", removeAllServices=""))
    assert services(world, corp) == set()


def test_services_keep_what_alias_domains_need(api: Client, world: World, corp: str) -> None:
    """`domainalias` stays for as long as there is one."""
    done(api.put("/api/domain/corp.test", addAliasDomain="corp.example"))
    done(api.put("/api/domain/corp.test", services="mail"))
    assert services(world, corp) == {"mail", "domainalias"}
    done(api.put("/api/domain/corp.test", removeAllServices="", addService="mail"))
    assert services(world, corp) == {"mail", "domainalias"}
    done(api.put("/api/domain/corp.test", removeAliasDomain="corp.example", services="mail"))
    assert services(world, corp) == {"mail"}


@pytest.mark.parametrize("last", [{"aliasDomains": ""}, {"removeAliasDomain": "corp.example"}])
def test_the_service_of_alias_domains_comes_and_goes_with_them(
    api: Client, world: World, corp: str, last: dict[str, str]
) -> None:
    """With the first and with the last one; who repeats a request mends what others left."""
    done(api.put("/api/domain/corp.test", addAliasDomain="corp.example"))
    done(api.put("/api/domain/corp.test", addAliasDomain="corp.invalid"))
    done(api.put("/api/domain/corp.test", removeAliasDomain="corp.invalid"))
    assert services(world, corp) == {"mail", "domainalias"}
    for _ in range(2):
        done(api.put("/api/domain/corp.test", **last))
        assert services(world, corp) == {"mail"}
        world.modify(corp, (ldap.MOD_ADD, "enabledService", [b"domainalias"]))
    done(api.put("/api/domain/corp.test", **last))
    assert services(world, corp) == {"mail"}
    done(api.put("/api/domain/corp.test", aliasDomains="corp.example"))
    world.modify(corp, (ldap.MOD_DELETE, "enabledService", [b"domainalias"]))
    done(api.put("/api/domain/corp.test", aliasDomains="corp.example"))
    assert services(world, corp) == {"mail", "domainalias"}


def test_the_last_alias_domain_goes_and_another_is_claimed(
    api: Client, world: World, corp: str
) -> None:
    """Whoever claimed it saw the service there, and will not add it."""
    done(api.put("/api/domain/corp.test", addAliasDomain="corp.example"))
    world.set(corp, domainPendingAliasName="corp.invalid")
    done(api.put("/api/domain/corp.test", removeAliasDomain="corp.example"))
    assert services(world, corp) == {"mail", "domainalias"}
    done(api.put("/api/domain/corp.test", removeAliasDomain="corp.invalid"))
    assert services(world, corp) == {"mail"}


def test_the_only_alias_domain_is_exchanged_for_another(
    api: Client, world: World, corp: str
) -> None:
    done(api.put("/api/domain/corp.test", aliasDomains="corp.example"))
    done(api.put("/api/domain/corp.test", aliasDomains="corp.invalid"))
    assert services(world, corp) == {"mail", "domainalias"}


@pytest.fixture
def boss(api: Client, served: Served, corp: str) -> Client:
    """The admin of the domain."""
    done(api.put("/api/domain/admins/corp.test", addAdmin="ann@corp.test"))
    return served.client().log_in("ann@corp.test", PASSWORD)


@pytest.mark.parametrize("name", ["addAliasDomain", "aliasDomains"])
def test_the_domain_of_a_standalone_admin_is_no_alias_domain(
    api: Client, boss: Client, world: World, corp: str, name: str
) -> None:
    """Not for a normal admin: names in it would be addresses of that admin."""
    done(api.post("/api/admin/eve@far.test", password=PASSWORD))
    before = world.snapshot()
    for names in ("far.test", "corp.example,far.test"):
        change = {name: names}
        refused(boss.put("/api/domain/corp.test", **change), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before

    done(api.put("/api/domain/corp.test", **{name: "far.test"}))
    done(boss.put("/api/domain/corp.test", **{name: "far.test"}))
    assert world.attributes(corp)["domainAliasName"] == {"far.test"}


def test_a_standalone_admin_in_a_unit_of_another_tool_counts_too(
    boss: Client, world: World, corp: str
) -> None:
    unit = f"ou=Staff,{world.tree.admin_base}"
    world.add(unit, objectClass="organizationalUnit", ou="Staff")
    world.add(f"mail=eve@far.test,{unit}", objectClass="mailAdmin", mail="eve@far.test")
    answer = boss.put("/api/domain/corp.test", addAliasDomain="far.test")
    refused(answer, 403, "PERMISSION_DENIED")


def test_an_alias_domain_and_a_standalone_admin_at_once(
    api: Client, boss: Client, world: World, corp: str
) -> None:
    """At most one of the two comes to be."""
    eve = world.tree.admin("eve@far.test")
    for _ in range(5):
        at_once(
            partial(boss.put, "/api/domain/corp.test", addAliasDomain="far.test"),
            partial(api.post, "/api/admin/eve@far.test", password=PASSWORD),
        )
        is_alias = "domainAliasName" in world.attributes(corp)
        assert not (is_alias and world.entry(eve))
        assert "domainPendingAliasName" not in world.attributes(corp)
        api.put("/api/domain/corp.test", aliasDomains="")
        api.delete("/api/admin/eve@far.test")


def test_a_standalone_admin_who_comes_before_the_claim(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """The claim is taken back."""
    plan = alias_plan(served, "corp.test", "far.test")
    done(api.post("/api/admin/eve@far.test", password=PASSWORD))
    before = world.attributes(corp)
    with pytest.raises(PermissionDenied):
        apply(served.gateways.directory, plan)
    assert world.attributes(corp) == before


def alias_plan(served: Served, name: str, alias: str) -> Plan:
    """What a normal admin's request for an alias domain is going to do."""
    ann = Caller("ann@corp.test", Tree(SUFFIX).user("ann@corp.test"), is_global=False, stored=())
    parsed = parse(rows.UPDATE, {"addAliasDomain": [alias]})
    return domains.update(served.context(ann), {"domain": name}, parsed)


def test_profiles_are_taken_and_given_back(api: Client, world: World, corp: str) -> None:
    """One value of the attribute for each part."""
    done(api.put("/api/domain/corp.test", disableDomainProfile="bcc,RELAY", defaultQuota=5))
    done(api.put("/api/domain/corp.test", disableUserProfile="wblist"))
    done(api.put("/api/domain/corp.test", disableUserPreference="quarantine"))
    assert world.attributes(corp)["accountSetting"] == {
        "disabledDomainProfile:bcc",
        "disabledDomainProfile:relay",
        "disabledUserProfile:wblist",
        "disabledUserPreference:quarantine",
        "defaultQuota:5",
    }
    shown = api.get("/api/domain/corp.test").json()["_data"]["accountSetting"]
    assert shown["disabledDomainProfile"] == ["bcc", "relay"]
    done(api.put("/api/domain/corp.test", enableDomainProfile="bcc", enableUserProfile="wblist"))
    assert world.attributes(corp)["accountSetting"] == {
        "disabledDomainProfile:relay",
        "disabledUserPreference:quarantine",
        "defaultQuota:5",
    }
    answer = api.put("/api/domain/corp.test", disableDomainProfile="everything")
    refused(answer, 400, "INVALID_PARAMETER")


def test_outbound_relay(api: Client, world: World, corp: str, postfix: Postfix) -> None:
    """Postfix sends the domain's mail over it; empty ends that."""
    done(api.put("/api/domain/corp.test", outboundRelay="smtp:[192.0.2.2]:25"))
    found = postfix.lookup("sender_dependent_relayhost_maps_domain", "@corp.test")
    assert found == "smtp:[192.0.2.2]:25"
    done(api.put("/api/domain/corp.test", outboundRelay=""))
    assert postfix.lookup("sender_dependent_relayhost_maps_domain", "@corp.test") is None


def test_a_new_catchall_follows_the_rest_of_its_request(
    api: Client, world: World, corp: str
) -> None:
    """Its name in the alias domain that comes, none in one that goes, and the domain's status."""
    path, dn = "/api/domain/corp.test", world.tree.catchall("corp.test")
    done(api.put(path, addAliasDomain="former.example"))
    sent = {"addAliasDomain": "corp.example", "removeAliasDomain": "former.example"}
    done(api.put(path, catchall="bob@corp.test", accountStatus="disabled", **sent))
    made = world.attributes(dn)
    assert (made["shadowAddress"], made["domainStatus"]) == ({"@corp.example"}, {"disabled"})
    done(api.put(path, catchall=""))
    done(api.put(path, catchall="bob@corp.test", accountStatus="active"))
    assert "domainStatus" not in world.attributes(dn)


def test_catchall(api: Client, world: World, corp: str, postfix: Postfix) -> None:
    """Names that the domain does not have reach it; destinations nobody has are named."""
    path = "/api/domain/corp.test"
    answer = done(api.put(path, catchall="ann@corp.test,ghost@corp.test,x@elsewhere.test"))
    assert answer.headers["X-Ignored-Values"] == "ghost@corp.test"
    assert postfix.recipients("whoever@corp.test") == {"ann@corp.test", "x@elsewhere.test"}
    assert postfix.recipients("bob@corp.test") == {"bob@corp.test"}
    done(api.put(path, catchall="bob@corp.test", addAliasDomain="corp.example"))
    assert postfix.recipients("whoever@corp.example") == {"bob@corp.test"}
    refused(api.put(path, catchall="ghost@corp.test"), 400, "INVALID_MAIL")
    assert postfix.recipients("whoever@corp.test") == {"bob@corp.test"}
    done(api.put(path, catchall=""))
    assert world.entry(world.tree.catchall("corp.test")) is None
    done(api.put(path, catchall=""))


def test_alias_domain_added_and_removed(
    api: Client, world: World, corp: str, postfix: Postfix
) -> None:
    """Every account has its name in it, lists reach all their members, and all of it goes again."""
    before = world.snapshot()
    done(api.put("/api/domain/corp.test", addAliasDomain="corp.example"))

    assert world.attributes(corp)["domainAliasName"] == {"corp.example"}
    assert "domainPendingAliasName" not in world.attributes(corp)
    assert services(world, corp) == {"mail", "domainalias"}
    assert postfix.knows_domain("corp.example")
    assert postfix.recipients("ann@corp.example") == {"ann@corp.test"}
    assert postfix.recipients("info@corp.example") == {"bob@corp.test"}
    assert postfix.recipients("crew@corp.example") == postfix.recipients("crew@corp.test")
    members = {"ann@corp.test", "cid@other.test", "friend@elsewhere.test"}
    assert postfix.recipients("crew@corp.test") == members
    assert postfix.recipients("nobody@corp.example") == set()

    done(api.put("/api/domain/corp.test", removeAliasDomain="corp.example"))

    assert not postfix.knows_domain("corp.example")
    assert world.snapshot() == before


def test_whole_set_of_alias_domains(api: Client, world: World, corp: str) -> None:
    """What is not in it goes, empty drops all."""
    done(api.put("/api/domain/corp.test", aliasDomains="a.test,b.test"))
    done(api.put("/api/domain/corp.test", aliasDomains="b.test,c.test"))
    assert world.attributes(corp)["domainAliasName"] == {"b.test", "c.test"}
    ann = world.tree.user("ann@corp.test")
    assert world.attributes(ann)["shadowAddress"] == {"ann@b.test", "ann@c.test"}
    done(api.put("/api/domain/corp.test", aliasDomains=""))
    assert "domainAliasName" not in world.attributes(corp)
    assert "shadowAddress" not in world.attributes(ann)


def test_alias_domain_that_is_taken(api: Client, world: World, corp: str) -> None:
    """By a domain, an alias domain, a pending one or itself: named, and refused if it was all."""
    done(api.put("/api/domain/other.test", addAliasDomain="other.example"))
    world.set(world.tree.domain("other.test"), domainPendingAliasName=["other.invalid"])
    before = world.snapshot()
    for name in ("other.test", "other.example", "other.invalid", "corp.test"):
        refused(api.put("/api/domain/corp.test", addAliasDomain=name), 409, "ALREADY_EXISTS")
    refused(
        api.put("/api/domain/corp.test", addAliasDomain="no domain"), 400, "INVALID_DOMAIN_NAME"
    )
    assert world.snapshot() == before
    answer = done(api.put("/api/domain/corp.test", addAliasDomain="other.test,corp.example"))
    assert answer.headers["X-Ignored-Values"] == "other.test"
    assert world.attributes(corp)["domainAliasName"] == {"corp.example"}


def test_removing_the_own_name_as_an_alias_changes_nothing(
    api: Client, world: World, corp: str
) -> None:
    """Addresses in the domain itself are no names in an alias domain."""
    world.set(world.tree.user("ann@corp.test"), shadowAddress=["anne@corp.test"])
    before = world.snapshot()
    done(api.put("/api/domain/corp.test", removeAliasDomain="corp.test"))
    assert world.snapshot() == before


def test_one_alias_domain_claimed_by_two(api: Client, world: World, corp: str) -> None:
    """At most one gets it, and nobody's accounts are named in it without."""
    answers: list[int] = []

    def claim(name: str) -> None:
        client = Client(api.url)
        client.session.cookies.update(api.session.cookies)
        answers.append(client.put(f"/api/domain/{name}", addAliasDomain="new.test").status_code)

    threads = [threading.Thread(target=claim, args=(n,)) for n in ("corp.test", "other.test")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    holders = world.find("(|(domainAliasName=new.test)(domainPendingAliasName=new.test))")
    named = world.find("(shadowAddress=*@new.test)")
    assert len(holders) == answers.count(200) <= 1
    assert all(holders and entry.dn.endswith(holders[0].dn) for entry in named)


def plan_of(served: Served, name: str, **parameters: str) -> Plan:
    parsed = parse(rows.UPDATE, {key: [value] for key, value in parameters.items()})
    return domains.update(served.context(), {"domain": name}, parsed)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({}, {"addAliasDomain": "corp.example"}),
        ({}, {"aliasDomains": "corp.example"}),
        ({"addAliasDomain": "corp.example"}, {"removeAliasDomain": "corp.example"}),
        ({"addAliasDomain": "corp.example"}, {"aliasDomains": ""}),
        ({"addAliasDomain": "a.test"}, {"aliasDomains": "b.test"}),
    ],
)
def test_broken_off_change_of_alias_domains_is_finished(
    api: Client,
    served: Served,
    world: World,
    corp: str,
    postfix: Postfix,
    first: dict[str, str],
    then: dict[str, str],
) -> None:
    """After any step mail to the domain's own names flows, and a repeat completes it."""
    if first:
        done(api.put("/api/domain/corp.test", **first))
    begun = world.snapshot()
    done(api.put("/api/domain/corp.test", **then))
    wanted = world.snapshot()
    steps = len(plan_of(served, "corp.test", **then).steps)
    for broken in range(1, steps):
        restore(world, begun)
        plan = plan_of(served, "corp.test", **then)
        apply(served.gateways.directory, Plan(plan.named, plan.steps[:broken], plan.state))
        assert postfix.recipients("ann@corp.test") == {"ann@corp.test"}
        done(api.put("/api/domain/corp.test", **then))
        assert world.snapshot() == wanted, broken


def restore(world: World, wanted: dict[str, dict[str, list[bytes]]]) -> None:
    """Put every entry back into an earlier state; entries come and go are not meant."""
    present = world.snapshot()
    assert present.keys() == wanted.keys()
    for dn, attributes in wanted.items():
        names = {*attributes, *present[dn]} - {"objectClass"}
        changed = {n for n in names if attributes.get(n) != present[dn].get(n)}
        if changed:
            world.modify(
                dn, *((ldap.MOD_REPLACE, name, attributes.get(name)) for name in sorted(changed))
            )


def test_admins_are_assigned_and_withdrawn(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """The role comes with the first domain and goes with the last."""
    ann, other = world.tree.user("ann@corp.test"), world.tree.domain("other.test")
    path = "/api/domain/admins/corp.test"
    answer = done(api.put(path, addAdmin=f"ann@corp.test,{ADMIN},ghost@corp.test"))
    assert answer.headers["X-Ignored-Values"] == "ghost@corp.test"
    assert world.attributes(corp)["domainAdmin"] == {"ann@corp.test", ADMIN}
    assert "domainadmin" in services(world, ann)
    done(api.put("/api/domain/admins/other.test", addAdmin="ann@corp.test"))
    served.client().log_in("ann@corp.test", PASSWORD)

    done(api.put(path, removeAdmin="ann@corp.test"))
    assert world.attributes(corp)["domainAdmin"] == {ADMIN}
    assert "domainadmin" in services(world, ann)
    done(api.put("/api/domain/admins/other.test", removeAllAdmins=""))
    assert "domainAdmin" not in world.attributes(other)
    assert "domainadmin" not in services(world, ann)
    answer = served.client().post("/api/login", username="ann@corp.test", password=PASSWORD)
    assert answer.status_code == 401

    done(api.put(path, removeAllAdmins="", addAdmin="bob@corp.test"))
    assert world.attributes(corp)["domainAdmin"] == {"bob@corp.test"}
    before = world.snapshot()
    refused(api.put(path, addAdmin="ghost@corp.test"), 400, "NO_ADMINS")
    refused(api.put("/api/domain/admins/none.test", addAdmin="a@b.test"), 404, "NO_SUCH_ACCOUNT")
    assert world.snapshot() == before


def test_all_admins_are_set(api: Client, served: Served, world: World, corp: str) -> None:
    """With the domain's other parameters; one without an account stays where it is named."""
    ann, bob = (world.tree.user(f"{name}@corp.test") for name in ("ann", "bob"))
    world.set(corp, domainAdmin=["Gone@corp.test", "ann@corp.test"])
    path = "/api/domain/corp.test"
    answer = done(api.put(path, admins="gone@corp.test,bob@corp.test,ghost@corp.test", name="Corp"))
    assert answer.headers["X-Ignored-Values"] == "ghost@corp.test"
    assert world.attributes(corp)["domainAdmin"] == {"Gone@corp.test", "bob@corp.test"}
    assert world.attributes(corp)["cn"] == {"Corp"}
    assert "domainadmin" in services(world, bob)
    assert "domainadmin" not in services(world, ann)
    before = world.snapshot()
    refused(api.put(path, admins="ghost@corp.test"), 400, "NO_ADMINS")
    normal = served.client().log_in("bob@corp.test", PASSWORD)
    refused(normal.put(path, admins="bob@corp.test"), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before
    done(api.put(path, admins=""))
    assert "domainAdmin" not in world.attributes(corp)
    assert "domainadmin" not in services(world, bob)


def test_global_admin_keeps_the_role(api: Client, world: World, corp: str) -> None:
    """Though the last domain is withdrawn from them."""
    ann = world.tree.user("ann@corp.test")
    done(api.put("/api/domain/admins/corp.test", addAdmin="ann@corp.test"))
    world.set(ann, domainGlobalAdmin="yes")
    done(api.put("/api/domain/admins/corp.test", removeAdmin="ann@corp.test"))
    assert "domainadmin" in services(world, ann)


def test_withdrawal_that_broke_off(api: Client, world: World, corp: str) -> None:
    """The role went, the domain still names them: a repeat withdraws them."""
    done(api.put("/api/domain/admins/corp.test", addAdmin="ann@corp.test"))
    world.modify(
        world.tree.user("ann@corp.test"), (ldap.MOD_DELETE, "enabledService", [b"domainadmin"])
    )
    done(api.put("/api/domain/admins/corp.test", removeAllAdmins=""))
    assert "domainAdmin" not in world.attributes(corp)


def test_normal_admin_names_users_of_their_domains(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """And switches no service but self-service."""
    done(api.put("/api/domain/admins/corp.test", addAdmin="ann@corp.test"))
    ann = served.client().log_in("ann@corp.test", PASSWORD)
    path = "/api/domain/admins/corp.test"
    before = world.snapshot()
    for stranger in ("cid@other.test", ADMIN):
        refused(ann.put(path, addAdmin=stranger), 400, "NO_ADMINS")
    cases: list[tuple[str, dict[str, Any]]] = [
        ("/api/domain/services/corp.test", {"enableService": "vpn"}),
        ("/api/domain/services/corp.test", {"disableService": "self-service,mail"}),
        ("/api/domain/services/corp.test", {"removeAllServices": ""}),
        ("/api/domain/corp.test", {"services": "self-service"}),
        ("/api/domain/corp.test", {"addService": "senderbcc"}),
        ("/api/domain/corp.test", {"disableDomainProfile": "bcc"}),
        ("/api/domain/corp.test", {"enableUserProfile": "bcc"}),
    ]
    for where, parameters in cases:
        refused(ann.put(where, **parameters), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before
    done(ann.put(path, addAdmin="bob@corp.test"))
    done(ann.put("/api/domain/services/corp.test", enableService="self-service"))
    done(ann.put("/api/domain/corp.test", removeService="Self-Service"))


def test_services_and_aliases_changed_at_once(api: Client, world: World, corp: str) -> None:
    """Four clients switch 25 services each on one domain: none is lost."""
    failures: list[str] = []

    def switch(who: int) -> None:
        client = Client(api.url)
        client.session.cookies.update(api.session.cookies)
        for number in range(25):
            path = "/api/domain/services/corp.test"
            answer = client.put(path, enableService=f"s{who}-{number}")
            if answer.status_code != 200:
                failures.append(answer.text)

    threads = [threading.Thread(target=switch, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert services(world, corp) == {"mail"} | {f"s{w}-{n}" for w in range(4) for n in range(25)}
