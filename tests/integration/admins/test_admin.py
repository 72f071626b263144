"""Standalone admins through the API, judged by what stands in the directory."""

from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import ldap
import pytest

from iredldap.changes.apply import apply
from iredldap.dit import admin
from iredldap.dit.fields import Parsed
from iredldap.dit.form_parser import parse
from iredldap.dit.plan import Plan
from iredldap.errors import CanNotBeLocalDomain, PermissionDenied
from iredldap.gateways.directory import Directory
from iredldap.operations import standalone_admins
from iredldap.operations.domains import domains
from iredldap.operations.login import Caller, find_admin
from tests.support.client import Client, done, refused
from tests.support.databases import Urls, execute, rows, sqlite_databases
from tests.support.patience import at_once, wait_until
from tests.support.serving import Served
from tests.support.world import ADMIN, World, salted

PASSWORD = "a good password"
OTHER = "another good password"
EVE = "eve@far.test"
PATH = f"/api/admin/{EVE}"
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def eve(api: Client, world: World) -> str:
    """The DN of a normal admin without limits."""
    done(api.post(PATH, password=PASSWORD, name="Eve"))
    return world.tree.admin(EVE)


@pytest.fixture
def corp(api: Client) -> str:
    """A domain with the users ann and bob."""
    done(api.post("/api/domain/corp.test"))
    for name in ("ann", "bob"):
        done(api.post(f"/api/user/{name}@corp.test", password=PASSWORD))
    return "corp.test"


def domains_of(world: World, mail: str) -> list[str]:
    """The domains that name somebody as their admin."""
    found = world.find(f"(domainAdmin={mail})")
    return sorted(entry.text("domainName") or "" for entry in found)


def binds(world: World, dn: str, password: str) -> bool:
    try:
        world.connect(dn, password).unbind_s()
    except ldap.INVALID_CREDENTIALS:
        return False
    return True


def twin(api: Client) -> Client:
    """Another client with the same session."""
    client = Client(api.url)
    client.session.cookies.update(api.session.cookies)
    return client


# --- creation ---------------------------------------------------------------------------------


def test_new_admin(api: Client, served: Served, world: World) -> None:
    """They are stored as iRedAdmin stores one, can log in, and have no rights yet."""
    answer = done(api.post(PATH.upper().replace("/API/ADMIN", "/api/admin"), password=PASSWORD))

    attributes = world.attributes(world.tree.admin(EVE))
    assert binds(world, world.tree.admin(EVE), PASSWORD)
    assert attributes.pop("userPassword")
    today = (date.today() - date(1970, 1, 1)).days  # noqa: DTZ011 - of this server, as stored
    assert attributes == {
        "objectClass": {"mailAdmin"},
        "mail": {EVE},
        "accountStatus": {"active"},
        "domainGlobalAdmin": {"no"},
        "shadowLastChange": {str(today)},
    }
    assert answer.headers["ETag"] == api.get(PATH).headers["ETag"]
    client = served.client().log_in(EVE, PASSWORD)
    refused(client.post("/api/domain/new.test"), 403, "PERMISSION_DENIED")
    refused(client.get(PATH), 403, "PERMISSION_DENIED")


def test_name_that_is_taken(api: Client, world: World, eve: str, corp: str) -> None:
    """By an admin, or by an account that has it as a further address."""
    world.set(world.tree.user("ann@corp.test"), shadowAddress="adele@elsewhere.test")
    before = world.snapshot()

    refused(api.post(PATH, password=OTHER), 409, "ALREADY_EXISTS")
    refused(api.post("/api/admin/adele@elsewhere.test", password=OTHER), 409, "ALREADY_EXISTS")
    only_new = api.call("POST", PATH, headers={"If-None-Match": "*"}, password=OTHER)
    refused(only_new, 412, "PRECONDITION_FAILED,ALREADY_EXISTS")

    assert world.snapshot() == before


@pytest.mark.parametrize("domain", ["corp.test", "corp.example", "soon.example"])
def test_admin_in_a_hosted_domain(api: Client, world: World, corp: str, domain: str) -> None:
    """Nor in an alias domain, nor in one that is about to be one; free names and taken ones."""
    world.set(
        world.tree.domain(corp),
        domainAliasName="corp.example",
        domainPendingAliasName="soon.example",
    )
    before = world.snapshot()

    for name in ("ann", "eve"):
        answer = api.post(f"/api/admin/{name}@{domain}", password=PASSWORD)
        refused(answer, 409, "CAN_NOT_BE_LOCAL_DOMAIN")

    assert world.snapshot() == before


@pytest.mark.parametrize("mail", ["eve+x@far.test", "eve", "@far.test", "e..e@far.test"])
def test_address_that_no_account_may_have(api: Client, world: World, mail: str) -> None:
    before = world.snapshot()
    refused(api.post(f"/api/admin/{mail}", password=PASSWORD), 400, "INVALID_MAIL")
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("password", "codes"),
    [
        ("short", "PW_SHORTER_THAN_MIN_LENGTH,PW_NO_UPPERCASE,PW_NO_DIGIT_NUMBER"),
        ("An ünusual 1", "PW_NON_ASCII"),
        (EVE, "PW_NO_UPPERCASE,PW_NO_DIGIT_NUMBER,PW_IS_ADDRESS"),
        ("", "PW_EMPTY"),
    ],
)
def test_rules_for_passwords(serve: Any, world: World, password: str, codes: str) -> None:
    """Those of the server, for a new admin and for a new password."""
    rules = {"require_uppercase": True, "require_digit": True}
    api = serve(passwords=rules).client().log_in()
    before = world.snapshot()
    refused(api.post(PATH, password=password), 422, codes)
    assert world.snapshot() == before

    done(api.post(PATH, password="Good enough 1"))
    before = world.snapshot()
    refused(api.put(PATH, password=password, name="x"), 422, codes)
    assert world.snapshot() == before


def test_two_creations_at_once(api: Client, world: World) -> None:
    """One of them makes the other."""
    answers = at_once(*(partial(twin(api).post, PATH, password=PASSWORD) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert world.entry(world.tree.admin(EVE))


# --- limits -----------------------------------------------------------------------------------


def test_limits_hold(api: Client, served: Served, world: World) -> None:
    """They create domains as far as their limits allow, and may manage and delete these."""
    done(
        api.post(
            PATH,
            password=PASSWORD,
            maxDomains="2",
            maxQuota="1",
            quotaUnit="GB",
            maxUsers="10",
            maxLists="-1",
        )
    )
    eve = served.client().log_in(EVE, PASSWORD)
    limits = {"quota": "1000", "numberOfUsers": "5", "numberOfLists": "-1"}

    for change, code in (
        ({"quota": "1025"}, "EXCEED_LIMIT_QUOTA"),
        ({"quota": "0"}, "EXCEED_LIMIT_QUOTA"),
        ({"numberOfUsers": "11"}, "EXCEED_LIMIT_USERS"),
        ({"numberOfLists": "1"}, "EXCEED_LIMIT_LISTS"),
        ({"numberOfLists": "0"}, "EXCEED_LIMIT_LISTS"),
    ):
        refused(eve.post("/api/domain/one.test", **{**limits, **change}), 409, code)
    done(eve.post("/api/domain/one.test", **limits))
    refused(eve.post("/api/domain/two.test", **limits), 409, "EXCEED_LIMIT_QUOTA")
    done(eve.post("/api/domain/two.test", **{**limits, "quota": "24"}))
    answer = eve.post("/api/domain/three.test", numberOfLists="-1", quota="1", numberOfUsers="1")
    assert "EXCEED_LIMIT_DOMAIN" in answer.json()["_msg"]

    assert domains_of(world, EVE) == ["one.test", "two.test"]
    wait_until(lambda: eve.get("/api/domain/two.test").status_code == 200)
    done(eve.delete("/api/domain/two.test"))


def test_limits_hold_for_domains_created_at_once(api: Client, served: Served, world: World) -> None:
    """Of several domains created at once, no more are left than the admin may have."""
    done(api.post(PATH, password=PASSWORD, maxDomains="1"))
    eve = served.client().log_in(EVE, PASSWORD)

    at_once(*(partial(twin(eve).post, f"/api/domain/d{number}.test") for number in range(5)))

    assert len(domains_of(world, EVE)) <= 1
    assert [entry.text("domainName") for entry in world.find("(objectClass=mailDomain)")] == (
        domains_of(world, EVE)
    )


def test_no_more_domains(api: Client, served: Served, world: World, eve: str) -> None:
    """0 takes it away again, for sessions that have begun too; what they have they keep."""
    done(api.put(PATH, maxDomains="5"))
    client = served.client().log_in(EVE, PASSWORD)
    done(client.post("/api/domain/one.test"))
    done(api.post("/api/domain/two.test"))
    refused(client.post("/api/domain/two.test"), 409, "ALREADY_EXISTS")

    done(api.put(PATH, maxDomains="0"))

    assert "accountSetting" not in world.attributes(eve)
    wait_until(lambda: client.post("/api/domain/two.test").status_code == 403)
    done(client.put("/api/domain/one.test", name="Mine"))


@pytest.mark.parametrize("role", [{"isGlobalAdmin": "yes"}, {"domainGlobalAdmin": "true"}])
def test_global_admin_has_no_limits(
    api: Client, served: Served, world: World, role: dict[str, str]
) -> None:
    """Those that are sent are ignored and named, or refused to a strict client."""
    sent = {**role, "maxDomains": "1", "maxQuota": "5", "quotaUnit": "GB"}
    strict = api.call("POST", PATH, headers={"Prefer": "handling=strict"}, password=OTHER, **sent)
    refused(strict, 400, "INVALID_PARAMETER")
    assert world.entry(world.tree.admin(EVE)) is None

    answer = done(api.post(PATH, password=PASSWORD, **sent))

    assert answer.headers["X-Ignored-Values"] == "maxDomains=1, maxQuota=5, quotaUnit=GB"
    attributes = world.attributes(world.tree.admin(EVE))
    assert attributes["domainGlobalAdmin"] == {"yes"}
    assert "accountSetting" not in attributes
    eve = served.client().log_in(EVE, PASSWORD)
    for name in ("one.test", "two.test"):
        done(eve.post(f"/api/domain/{name}"))
    assert done(api.put(PATH, maxUsers="7")).headers["X-Ignored-Values"] == "maxUsers=7"
    done(api.put(PATH, isGlobalAdmin="no", maxUsers="7"))
    assert world.attributes(world.tree.admin(EVE))["accountSetting"] == {"create_max_users:7"}


# --- changes ----------------------------------------------------------------------------------


def test_what_was_not_sent_stays(api: Client, world: World, eve: str) -> None:
    """Byte for byte: settings, words and attributes that other programs wrote."""
    others = ["timezone:Asia/Tokyo", "create_max_users:5", "Odd key:1", "no colon"]
    world.set(eve, accountSetting=others, disabledService=["vpn"], sn="Eve", description="x")
    before = world.attributes(eve)

    done(api.put(PATH, maxLists="4", disableViewingMailLog="yes", language="de_DE"))
    assert world.attributes(eve) == before | {
        "accountSetting": {*others, "create_max_lists:4"},
        "disabledService": {"vpn", "view_mail_log"},
        "preferredLanguage": {"de_DE"},
    }

    done(api.put(PATH, maxLists="0", disableViewingMailLog="no"))
    assert world.attributes(eve) == before | {"preferredLanguage": {"de_DE"}}
    state = api.get(PATH).headers["ETag"]
    assert done(api.put(PATH, name="Eve", accountStatus="active")).headers["ETag"] == state


def test_settings_changed_at_once(api: Client, world: World, eve: str) -> None:
    """Each client changes one key of the same attribute: none is lost."""
    sent = {"maxUsers": "1", "maxAliases": "2", "maxLists": "3", "maxQuota": "4", "maxDomains": "5"}

    answers = at_once(*(partial(twin(api).put, PATH, **{k: v}) for k, v in sent.items()))

    assert [answer.status_code for answer in answers] == [200] * 5
    assert len(world.attributes(eve)["accountSetting"]) == 6


def test_new_password(api: Client, world: World, eve: str) -> None:
    """It takes the place of all others, and the day is remembered; nothing else changes."""
    world.set(eve, userPassword=[salted(PASSWORD), salted("old")], shadowLastChange="1")
    before = world.attributes(eve)

    done(api.put(PATH, password=OTHER))

    after = world.attributes(eve)
    words = (PASSWORD, "old", OTHER)
    assert [binds(world, eve, word) for word in words] == [False, False, True]
    assert len(after.pop("userPassword")) == 1
    assert int("".join(after.pop("shadowLastChange"))) > 20000
    assert after.items() < before.items()


def test_condition_on_an_admin(api: Client, world: World, eve: str) -> None:
    """The same state holds once, for a change and for a deletion."""
    state = api.get(PATH).headers["ETag"]

    def call(method: str, tag: str, **change: str) -> Any:
        return api.call(method, PATH, headers={"If-Match": tag}, **change)

    new = done(call("PUT", state, name="first")).headers["ETag"]
    entry = world.entry(eve)
    assert entry
    assert new == f'"{entry.csn}"'
    refused(call("PUT", state, name="second"), 412, "PRECONDITION_FAILED")
    refused(call("DELETE", state), 412, "PRECONDITION_FAILED")
    assert world.attributes(eve)["cn"] == {"first"}
    done(call("DELETE", new))


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_nobody(api: Client, world: World, corp: str, method: str) -> None:
    """A plain mail user is no admin either."""
    before = world.snapshot()
    for mail in ("nobody@far.test", "ann@corp.test", "nobody@corp.test"):
        refused(api.call(method, f"/api/admin/{mail}"), 404, "NO_SUCH_ACCOUNT")
        check = api.post(f"/api/verify_password/admin/{mail}", password=PASSWORD)
        refused(check, 404, "NO_SUCH_ACCOUNT")
    assert world.snapshot() == before


# --- reading ----------------------------------------------------------------------------------


def test_what_is_read(api: Client, world: World, eve: str) -> None:
    """Their attributes less their password, and the keys of the SQL edition."""
    done(api.put(PATH, maxDomains="2", maxQuota="2", quotaUnit="TB", disableViewingMailLog="yes"))
    for name in ("two.test", "one.test"):
        done(api.post(f"/api/domain/{name}"))
        done(api.put(f"/api/domain/admins/{name}", addAdmin=EVE))

    answer = api.get(PATH)

    data = answer.json()["_data"]
    limits = {
        "create_max_domains": 2,
        "create_new_domains": "yes",
        "create_max_quota": 2 * 1024 * 1024,
    }
    assert data.pop("shadowLastChange")
    assert data == {
        "objectClass": ["mailAdmin"],
        "mail": [EVE],
        "cn": ["Eve"],
        "accountStatus": ["active"],
        "domainGlobalAdmin": ["no"],
        "disabledService": ["view_mail_log"],
        "accountSetting": limits,
        "settings": limits,
        "managed_domains": ["one.test", "two.test"],
        "isglobaladmin": 0,
    }
    entry = world.entry(eve)
    assert entry
    assert answer.headers["ETag"] == f'"{entry.csn}"'
    assert api.get(f"/api/admin/{ADMIN}").json()["_data"]["isglobaladmin"] == 1


def test_domain_given_since_it_was_read(api: Client, eve: str, corp: str) -> None:
    """It is told to a client that has their entry in the same state."""
    state = api.get(PATH).headers["ETag"]
    done(api.put(f"/api/domain/admins/{corp}", addAdmin=EVE))

    answer = api.call("GET", PATH, headers={"If-None-Match": state})

    assert answer.json()["_data"]["managed_domains"] == [corp]


def test_hidden_attributes(serve: Any, world: World, eve: str, corp: str) -> None:
    """Those of admins are hidden of admins only, those of users of users, lists and aliases."""
    settings = {
        "api_hidden_admin_profiles": ["CN", "accountSetting"],
        "api_hidden_user_profiles": ["accountStatus"],
    }
    world.set(eve, accountSetting="create_max_users:5", cn="Eve")
    client = serve(api=settings).client().log_in()
    done(client.post(f"/api/alias/info@{corp}", members=f"ann@{corp}"))
    done(client.post(f"/api/maillist/news@{corp}", members=f"ann@{corp}"))

    shown = client.get(PATH).json()["_data"]
    assert {"cn", "accountSetting", "settings"} & shown.keys() == set()
    assert {"accountStatus", "userPassword", "managed_domains"} <= shown.keys()
    for path in (f"user/ann@{corp}", f"alias/info@{corp}", f"maillist/news@{corp}"):
        shown = client.get(f"/api/{path}").json()["_data"]
        assert "accountStatus" not in shown
        assert shown["mail"]


def test_secrets_are_hidden_unless_on_purpose(serve: Any, world: World, eve: str) -> None:
    default = serve().client().log_in().get(PATH).json()["_data"]
    revealing = serve(api={"api_hidden_admin_profiles": []}).client().log_in()
    assert "userPassword" not in default
    assert (
        set(revealing.get(PATH).json()["_data"]["userPassword"])
        == (world.attributes(eve)["userPassword"])
    )


# --- the last one, and oneself ----------------------------------------------------------------


@pytest.fixture
def chief(api: Client, served: Served) -> Client:
    """Eve, a global admin beside the first one."""
    done(api.post(PATH, password=PASSWORD, isGlobalAdmin="yes"))
    return served.client().log_in(EVE, PASSWORD)


@pytest.mark.parametrize("change", [{"isGlobalAdmin": "no"}, {"accountStatus": "disabled"}])
def test_last_active_global_admin_stays(
    api: Client, chief: Client, world: World, corp: str, change: dict[str, str]
) -> None:
    """Both kinds count: one may go while a mail user is left, and the last one may not."""
    done(api.put("/api/user/ann@corp.test", isGlobalAdmin="yes"))
    world.set(world.tree.admin(ADMIN), accountStatus="disabled")
    done(chief.put(PATH, name="x", **change))
    world.set(world.tree.admin(EVE), domainGlobalAdmin="yes", accountStatus="active")
    done(chief.put("/api/user/ann@corp.test", isGlobalAdmin="no"))
    before = world.snapshot()

    refused(chief.put(PATH, name="y", **change), 403, "PERMISSION_DENIED")

    assert world.snapshot() == before


def test_last_global_admins_who_delete_each_other_at_once(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """Whatever becomes of the two, one active global admin is left."""
    mails = [f"{name}@{corp}" for name in ("ann", "bob")]
    for mail in mails:
        done(api.put(f"/api/user/{mail}", isGlobalAdmin="yes"))
    callers = [served.client().log_in(mail, PASSWORD) for mail in mails]
    world.set(world.tree.admin(ADMIN), accountStatus="disabled")

    pairs = zip(callers, reversed(mails), strict=True)
    at_once(*(partial(caller.delete, f"/api/user/{mail}") for caller, mail in pairs))

    assert world.find("(&(domainGlobalAdmin=yes)(accountStatus=active))")


def test_no_admin_deletes_their_own_account(chief: Client, world: World) -> None:
    before = world.snapshot()
    refused(chief.delete(PATH), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before


# --- the end ----------------------------------------------------------------------------------


def test_deletion(api: Client, served: Served, world: World, eve: str, corp: str) -> None:
    """No domain names them any more; mail to their address goes where it went."""
    done(api.put(f"/api/domain/admins/{corp}", addAdmin=f"{EVE},ann@corp.test"))
    done(api.post("/api/domain/other.test"))
    world.set(world.tree.domain("other.test"), domainAdmin=EVE.upper())
    done(api.put("/api/user/bob@corp.test", forwarding=EVE))
    client = served.client().log_in(EVE, PASSWORD)

    done(api.delete(PATH))

    assert world.entry(eve) is None
    assert domains_of(world, EVE) == []
    assert world.attributes(world.tree.domain(corp))["domainAdmin"] == {"ann@corp.test"}
    bob = world.attributes(world.tree.user("bob@corp.test"))
    assert bob["mailForwardingAddress"] == {EVE}
    wait_until(lambda: client.get(f"/api/domain/{corp}").status_code == 401)
    refused(api.delete(PATH), 404, "NO_SUCH_ACCOUNT")


def test_mail_user_with_rights_only_loses_them(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """They are no standalone admin to be read or changed; their account and mailbox stay."""
    path, dn = "/api/admin/ann@corp.test", world.tree.user("ann@corp.test")
    before = world.attributes(dn)
    done(api.put(f"/api/domain/admins/{corp}", addAdmin="ann@corp.test"))
    ann = served.client().log_in("ann@corp.test", PASSWORD)
    for method in ("GET", "PUT"):
        refused(api.call(method, path), 404, "NO_SUCH_ACCOUNT")

    done(api.delete(path))

    assert world.attributes(dn) == before
    assert domains_of(world, "ann@corp.test") == []
    wait_until(lambda: ann.get(f"/api/domain/{corp}").status_code == 401)

    done(api.put("/api/user/ann@corp.test", isGlobalAdmin="yes"))
    done(api.delete(path))
    assert world.attributes(dn) == before


def test_mail_user_does_not_withdraw_their_own_rights(
    api: Client, served: Served, world: World, corp: str
) -> None:
    done(api.put("/api/user/ann@corp.test", isGlobalAdmin="yes"))
    ann = served.client().log_in("ann@corp.test", PASSWORD)
    before = world.snapshot()
    refused(ann.delete("/api/admin/ann@corp.test"), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before


def test_two_of_one_address(api: Client, served: Served, world: World, eve: str) -> None:
    """The standalone admin goes first, and leaves the domains to the mail user who is one too."""
    done(api.post("/api/domain/far.test"))
    done(api.post(f"/api/user/{EVE}", password=OTHER))
    done(api.put("/api/domain/admins/far.test", addAdmin=EVE))

    done(api.delete(PATH))

    assert world.entry(eve) is None
    assert domains_of(world, EVE) == ["far.test"]
    done(served.client().log_in(EVE, OTHER).put("/api/domain/far.test", name="Mine"))
    done(api.delete(PATH))
    assert domains_of(world, EVE) == []
    assert world.entry(world.tree.user(EVE))


# --- what happens between the steps -----------------------------------------------------------


@pytest.fixture
def directory(served: Served) -> Directory:
    return served.gateways.directory


def deletion(served: Served, mail: str) -> Plan:
    return standalone_admins.delete(served.context(), {"mail": mail}, Parsed())


@pytest.mark.parametrize(
    ("mail", "steps", "status"),
    [
        (EVE, 1, 200),
        (EVE, 2, 200),
        (EVE, 3, 200),
        (EVE, 4, 404),
        ("ann@corp.test", 1, 200),
        ("ann@corp.test", 2, 404),
    ],
)
def test_deletion_that_broke_off_is_finished(
    api: Client,
    served: Served,
    directory: Directory,
    world: World,
    eve: str,
    corp: str,
    mail: str,
    steps: int,
    status: int,
) -> None:
    """Asked for again; after the last step but looking again there was nothing left to do."""
    for name in ("corp.test", "other.test"):
        api.post(f"/api/domain/{name}")
        done(api.put(f"/api/domain/admins/{name}", addAdmin=mail))
    plan = deletion(served, mail)
    apply(directory, replace(plan, steps=plan.steps[:steps]))

    answer = api.delete(f"/api/admin/{mail}")

    assert answer.status_code == status
    assert domains_of(world, mail) == []
    assert find_admin(directory, mail) is None


@pytest.mark.parametrize("mail", [EVE, "ann@corp.test"])
def test_domain_given_while_its_admin_was_deleted(
    api: Client,
    served: Served,
    directory: Directory,
    world: World,
    eve: str,
    corp: str,
    mail: str,
) -> None:
    """The next account with the address must not become its admin by that."""
    done(api.put(f"/api/domain/admins/{corp}", addAdmin=mail))
    plan = deletion(served, mail)
    apply(directory, replace(plan, steps=plan.steps[:-1]))
    world.set(world.tree.domain(corp), domainAdmin=[mail.upper(), "bob@corp.test"])

    apply(directory, replace(plan, steps=plan.steps[-1:]))

    assert world.attributes(world.tree.domain(corp))["domainAdmin"] == {"bob@corp.test"}


@pytest.mark.parametrize("change", ["deleted", "demoted", "disabled"])
def test_two_who_end_each_other(
    chief: Client, served: Served, directory: Directory, world: World, change: str
) -> None:
    """One of them stays, unchanged."""
    sent = {"demoted": {"isGlobalAdmin": ["no"]}, "disabled": {"accountStatus": ["disabled"]}}
    if change == "deleted":
        plan = deletion(served, EVE)
    else:
        parsed = parse(admin.UPDATE, sent[change])
        plan = standalone_admins.update(served.context(), {"mail": EVE}, parsed)
    before = world.attributes(world.tree.admin(EVE))
    world.set(world.tree.admin(ADMIN), accountStatus="disabled")

    with pytest.raises(PermissionDenied) as refusal:
        apply(directory, plan)

    assert refusal.value.report is None
    assert world.attributes(world.tree.admin(EVE)) == before


def test_domain_created_while_the_admin_was(
    api: Client, served: Served, directory: Directory, world: World
) -> None:
    """They are not made after all."""
    parsed = parse(admin.CREATE, {"password": [PASSWORD]})
    plan = standalone_admins.create(served.context(), {"mail": EVE}, parsed)
    done(api.post("/api/domain/far.test"))

    with pytest.raises(CanNotBeLocalDomain):
        apply(directory, plan)

    assert world.entry(world.tree.admin(EVE)) is None


def test_admin_created_while_their_domain_was(
    api: Client, served: Served, directory: Directory, world: World, corp: str
) -> None:
    """A normal admin does not get the domain of their address: rights belong to addresses."""
    ann = "ann@corp.test"
    if world.entry(world.tree.user(ann)) is None:
        done(api.post(f"/api/user/{ann}", password=PASSWORD))
    done(api.put("/api/domain/admins/corp.test", addAdmin=ann))
    maker = Caller(ann, world.tree.user(ann), is_global=False, stored=())
    plan = domains.create(served.context(maker), {"domain": "far.test"}, Parsed())
    done(api.post(PATH, password=PASSWORD))

    with pytest.raises(PermissionDenied):
        apply(directory, plan)

    assert world.entry(world.tree.domain("far.test")) is None


# --- sessions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"password": OTHER}, 401, "LOGIN_REQUIRED"),
        ({"accountStatus": "disabled"}, 401, "LOGIN_REQUIRED"),
        ({"isGlobalAdmin": "no"}, 403, "PERMISSION_DENIED"),
    ],
)
def test_session_ends_with_what_it_stands_on(
    api: Client, chief: Client, corp: str, change: dict[str, str], status: int, code: str
) -> None:
    """Without the password, the account or the role, the session ends at once."""
    assert chief.get(f"/api/domain/{corp}").status_code == 200

    done(api.put(PATH, **change))

    wait_until(lambda: chief.get(f"/api/domain/{corp}").status_code != 200)
    refused(chief.get(f"/api/domain/{corp}"), status, code)


def test_session_gains_what_its_admin_is_given(
    api: Client, served: Served, eve: str, corp: str
) -> None:
    client = served.client().log_in(EVE, PASSWORD)
    refused(client.get(f"/api/domain/{corp}"), 403, "PERMISSION_DENIED")

    done(api.put(PATH, isGlobalAdmin="yes"))

    wait_until(lambda: client.get(f"/api/domain/{corp}").status_code == 200)


# --- password check ---------------------------------------------------------------------------


def test_check_of_a_password(api: Client, world: World, eve: str) -> None:
    """A disabled admin's password is as right as it was; a wrong one is no fault."""
    path = f"/api/verify_password/admin/{EVE}"
    done(api.post(path, password=PASSWORD))
    done(api.put(PATH, accountStatus="disabled"))
    done(api.post(path, password=PASSWORD))
    refused(api.post(path, password=OTHER), 200, "INVALID_CREDENTIALS")
    refused(api.post(path), 400, "EMPTY_PASSWORD")


# --- in the background, and in the log --------------------------------------------------------


def finished(api: Client, answer: Any) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    job = answer.headers["Location"]
    wait_until(lambda: bool(api.get(job).json()["_data"]["finished"]))
    found: dict[str, Any] = api.get(job).json()["_data"]
    return found


def test_jobs(api: Client, world: World) -> None:
    """They are made, changed and deleted without a wait; what is refused is so at once."""
    dn = world.tree.admin(EVE)
    made = api.call("POST", PATH, headers=ASYNC, password=PASSWORD, maxUsers="5")
    assert finished(api, made)["status"] == "done"
    assert binds(world, dn, PASSWORD)
    changed = api.call("PUT", PATH, headers=ASYNC, password=OTHER, maxQuota="2", quotaUnit="GB")
    assert finished(api, changed)["status"] == "done"
    assert binds(world, dn, OTHER)
    assert world.attributes(dn)["accountSetting"] == {"create_max_users:5", "create_max_quota:2048"}
    weak = api.call("PUT", PATH, headers=ASYNC, password="short")
    refused(weak, 422, "PW_SHORTER_THAN_MIN_LENGTH")
    refused(api.call("POST", PATH, headers=ASYNC, password=OTHER), 409, "ALREADY_EXISTS")
    assert finished(api, api.call("DELETE", PATH, headers=ASYNC))["status"] == "done"
    assert world.entry(dn) is None


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_no_password_is_written_down(
    api: Client, served: Served, tmp_path: Path, method: str
) -> None:
    """Its hash is, while the job waits."""
    if method == "PUT":
        done(api.post(PATH, password=OTHER))
    for work in served.gateways.background:
        work.close()

    assert api.call(method, PATH, headers=ASYNC, password=PASSWORD).status_code == 202

    written = b"".join(file.read_bytes() for file in tmp_path.glob("state.sqlite3*"))
    assert PASSWORD.encode() not in written
    assert b"{SSHA512}" in written


@pytest.fixture
def urls(tmp_path: Path) -> Urls:
    return sqlite_databases(tmp_path)


def test_every_change_is_a_line_of_the_log(api: Client, urls: Urls) -> None:
    """With its own event; a check of a password is no change."""
    execute(urls.iredadmin, "DELETE FROM log")

    done(api.post(PATH, password=PASSWORD, maxQuota="2", quotaUnit="GB"))
    done(api.post(f"/api/verify_password/admin/{EVE}", password=PASSWORD))
    done(api.put(PATH, isGlobalAdmin="yes"))
    done(api.put(PATH, accountStatus="disabled"))
    done(api.put(PATH, maxUsers="1", isGlobalAdmin="no"))
    done(api.delete(PATH))

    found = rows(urls.iredadmin, "SELECT event, domain, username, msg FROM log ORDER BY id")
    assert found == [
        (event, "far.test", EVE, f"[API] admin {what}")
        for event, what in (
            ("create", f"create {EVE}: password, maxQuota=2, quotaUnit=GB"),
            ("grant", f"update {EVE}: isGlobalAdmin=yes"),
            ("disable", f"update {EVE}: accountStatus=disabled"),
            ("update", f"update {EVE}: isGlobalAdmin=no, maxUsers=1"),
            ("delete", f"delete {EVE}"),
        )
    ]
