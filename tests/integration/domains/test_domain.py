"""Domains through the API, judged by what stands in the directory."""

import threading
from typing import Any

import ldap
import pytest

from tests.support.client import Client, done, refused
from tests.support.patience import wait_until
from tests.support.serving import Served
from tests.support.world import ADMIN, World

PASSWORD = "a good password"


def test_new_domain_has_every_default(api: Client, world: World) -> None:
    """The entry and its four containers, with nothing but what iRedMail's own tools write."""
    done(api.post("/api/domain/corp.test"))
    dn = world.tree.domain("corp.test")
    assert world.attributes(dn) == {
        "objectClass": {"mailDomain"},
        "domainName": {"corp.test"},
        "mtaTransport": {"dovecot"},
        "accountStatus": {"active"},
        "enabledService": {"mail"},
    }
    for unit in ("Users", "Groups", "Aliases", "Externals"):
        assert world.attributes(world.tree.container("corp.test", unit)) == {
            "objectClass": {"organizationalUnit", "top"},
            "ou": {unit},
        }


def test_new_domain_takes_every_parameter(api: Client, world: World) -> None:
    """Settings are packed, copies switch their service on, text is UTF-8."""
    done(
        api.post(
            "/api/domain/corp.test",
            name="Größe & Söhne",
            quota=2048,
            language="de_DE",
            transport="lmtp:unix:private/dovecot-lmtp",
            defaultQuota=100,
            maxUserQuota=500,
            numberOfUsers=10,
            numberOfAliases=-1,
            numberOfLists=0,
            senderBcc="Archive@Corp.test",
            recipientBcc="archive@elsewhere.test",
        )
    )
    assert world.attributes(world.tree.domain("corp.test")) == {
        "objectClass": {"mailDomain"},
        "domainName": {"corp.test"},
        "cn": {"Größe & Söhne"},
        "mtaTransport": {"lmtp:unix:private/dovecot-lmtp"},
        "accountStatus": {"active"},
        "enabledService": {"mail", "senderbcc", "recipientbcc"},
        "domainSenderBccAddress": {"archive@corp.test"},
        "domainRecipientBccAddress": {"archive@elsewhere.test"},
        "accountSetting": {
            "domainQuota:2048:MB",
            "defaultLanguage:de_DE",
            "defaultQuota:100",
            "maxUserQuota:500",
            "numberOfUsers:10",
            "numberOfAliases:-1",
        },
    }


def test_read_gives_lists_and_an_object(api: Client) -> None:
    """Attributes as lists of text, settings as an object with numbers."""
    done(api.post("/api/domain/corp.test", name="Corp", defaultQuota=100, quota=5))
    data = api.get("/api/domain/corp.test").json()["_data"]
    assert data == {
        "objectClass": ["mailDomain"],
        "domainName": ["corp.test"],
        "mtaTransport": ["dovecot"],
        "accountStatus": ["active"],
        "enabledService": ["mail"],
        "cn": ["Corp"],
        "accountSetting": {"defaultQuota": 100, "domainQuota": "5:MB"},
    }


def test_alias_name_is_for_reading_only(api: Client, world: World) -> None:
    """A write that names an alias domain must never touch the primary one."""
    done(api.post("/api/domain/corp.test"))
    world.set(world.tree.domain("corp.test"), domainAliasName=["corp.example"])
    before = world.snapshot()

    assert api.get("/api/domain/corp.example").json()["_data"]["domainName"] == ["corp.test"]
    assert "domainName: corp.test" in api.get("/api/ldif/domain/corp.example").json()["_data"]
    refused(api.put("/api/domain/corp.example", name="x"), 404, "NO_SUCH_ACCOUNT")
    refused(api.delete("/api/domain/corp.example"), 404, "NO_SUCH_ACCOUNT")
    refused(api.post("/api/domain/corp.example"), 409, "ALREADY_EXISTS")

    assert world.snapshot() == before


def test_pending_alias_name_is_taken(api: Client, world: World) -> None:
    """An alias domain that waits for the proof of its ownership is nobody else's."""
    done(api.post("/api/domain/corp.test"))
    world.set(world.tree.domain("corp.test"), domainPendingAliasName=["corp.example"])
    refused(api.post("/api/domain/corp.example"), 409, "ALREADY_EXISTS")


def test_creation_that_broke_off_is_finished(api: Client, world: World) -> None:
    """A domain without all its containers is none yet: asking again makes it whole."""
    world.add(
        world.tree.domain("corp.test"),
        objectClass="mailDomain",
        domainName="corp.test",
        accountStatus="active",
        enabledService="mail",
        cn="of the first try",
    )
    world.add(world.tree.container("corp.test", "Users"), objectClass="organizationalUnit")
    done(api.post("/api/domain/corp.test", defaultQuota=7))
    assert world.attributes(world.tree.domain("corp.test")) == {
        "objectClass": {"mailDomain"},
        "domainName": {"corp.test"},
        "mtaTransport": {"dovecot"},
        "accountStatus": {"active"},
        "enabledService": {"mail"},
        "accountSetting": {"defaultQuota:7"},
    }
    assert len(world.find("(objectClass=organizationalUnit)")) == 4
    refused(api.post("/api/domain/corp.test"), 409, "ALREADY_EXISTS")


def test_unicode_name_is_stored_in_ascii(api: Client, world: World) -> None:
    """A name with umlauts is the same domain as its ASCII form."""
    done(api.post("/api/domain/MÜNCHEN.test"))
    assert world.entry(world.tree.domain("xn--mnchen-3ya.test"))
    refused(api.post("/api/domain/xn--mnchen-3ya.test"), 409, "ALREADY_EXISTS")


def test_put_changes_only_what_was_sent(api: Client, world: World) -> None:
    """Neither other settings nor keys that nobody here knows are touched."""
    done(api.post("/api/domain/corp.test", name="Corp", defaultQuota=100, numberOfUsers=5))
    dn = world.tree.domain("corp.test")
    world.modify(dn, (ldap.MOD_ADD, "accountSetting", [b"mystery:Key:1", b"timezone:Asia/Tokyo"]))

    done(api.put("/api/domain/corp.test", defaultQuota=200, minPasswordLength=12))

    attributes = world.attributes(dn)
    assert attributes["cn"] == {"Corp"}
    assert attributes["accountSetting"] == {
        "defaultQuota:200",
        "numberOfUsers:5",
        "minPasswordLength:12",
        "mystery:Key:1",
        "timezone:Asia/Tokyo",
    }


def test_put_without_a_change_writes_nothing(api: Client, world: World) -> None:
    """Sending what is already there leaves the entry's state as it is."""
    done(api.post("/api/domain/corp.test", name="Corp", defaultQuota=100, senderBcc="a@b.test"))
    before = world.snapshot()
    state = api.get("/api/domain/corp.test").headers["ETag"]

    answer = done(
        api.put("/api/domain/corp.test", name="Corp", defaultQuota=100, senderBcc="A@b.test")
    )

    assert answer.headers["ETag"] == state
    assert api.get("/api/domain/corp.test").headers["ETag"] == state
    assert world.snapshot() == before


def test_empty_values_clear_where_documented(api: Client, world: World) -> None:
    """An empty copy address ends the copies and their service; an empty number is not sent."""
    done(api.post("/api/domain/corp.test", name="Corp", defaultQuota=9, senderBcc="a@b.test"))
    done(api.put("/api/domain/corp.test", name="", defaultQuota="", senderBcc=""))
    attributes = world.attributes(world.tree.domain("corp.test"))
    assert "cn" not in attributes
    assert "domainSenderBccAddress" not in attributes
    assert attributes["enabledService"] == {"mail"}
    assert attributes["accountSetting"] == {"defaultQuota:9"}


def test_backup_mx_and_back(api: Client, world: World) -> None:
    """A backup MX relays to the primary one; without the role the own transport returns."""
    done(api.post("/api/domain/corp.test"))
    dn = world.tree.domain("corp.test")

    done(api.put("/api/domain/corp.test", is_backupmx="yes", primarymx="[mx.corp.test]:25"))
    attributes = world.attributes(dn)
    assert attributes["domainBackupMX"] == {"yes"}
    assert attributes["mtaTransport"] == {"relay:[mx.corp.test]:25"}

    done(api.put("/api/domain/corp.test", backupmx="no"))
    attributes = world.attributes(dn)
    assert "domainBackupMX" not in attributes
    assert attributes["mtaTransport"] == {"dovecot"}


def test_backup_mx_no_leaves_an_ordinary_domain_alone(api: Client, world: World) -> None:
    """A transport of its own is not a relay to be undone."""
    done(api.post("/api/domain/corp.test", transport="lmtp:inet:127.0.0.1:24"))
    done(api.put("/api/domain/corp.test", is_backupmx="no"))
    attributes = world.attributes(world.tree.domain("corp.test"))
    assert attributes["mtaTransport"] == {"lmtp:inet:127.0.0.1:24"}


def fill(api: Client, world: World, domain: str, users: int) -> None:
    """Put accounts of every kind into a domain, users straight into the directory."""
    connection = world.connect()
    tree = world.tree
    for number in range(users):
        mail = f"u{number}@{domain}"
        connection.add_s(
            tree.user(mail),
            [
                ("objectClass", [b"inetOrgPerson", b"mailUser"]),
                ("mail", [mail.encode()]),
                ("cn", [b"x"]),
                ("sn", [b"x"]),
                ("uid", [b"x"]),
                ("accountStatus", [b"active"]),
            ],
        )
    connection.unbind_s()
    world.add(
        tree.maillist(f"list@{domain}"),
        objectClass="mailList",
        mail=f"list@{domain}",
        accountStatus="active",
    )
    world.add(
        tree.alias(f"alias@{domain}"),
        objectClass="mailAlias",
        mail=f"alias@{domain}",
        accountStatus="active",
    )
    world.add(
        tree.externals(f"list@{domain}"),
        objectClass="mailExternalUser",
        memberOfGroup=f"list@{domain}",
        mail=["friend@elsewhere.test"],
        accountStatus="active",
    )
    world.add(
        tree.catchall(domain),
        objectClass=["inetOrgPerson", "mailUser"],
        mail=f"@{domain}",
        cn="catch-all",
        sn="catch-all",
        uid="catch-all",
        accountStatus="active",
    )


def test_disabling_a_domain_marks_every_account(api: Client, world: World) -> None:
    """Users, lists, aliases, external members and the catch-all; enabling takes the marks away."""
    done(api.post("/api/domain/corp.test"))
    done(api.post("/api/domain/other.test"))
    done(api.post("/api/user/ann@other.test", password=PASSWORD))
    fill(api, world, "corp.test", 30)
    accounts = "(&(accountStatus=*)(!(objectClass=mailDomain)))"
    dn = world.tree.domain("corp.test")
    world.set(world.tree.user("u3@corp.test"), accountStatus="disabled")

    done(api.put("/api/domain/corp.test", accountStatus="off"))
    entries = world.find(accounts, dn)
    assert len(entries) == 34
    assert all(entry.has("domainStatus", "disabled") for entry in entries)
    assert world.attributes(dn)["accountStatus"] == {"disabled"}
    assert "domainStatus" not in world.attributes(world.tree.user("ann@other.test"))

    done(api.post("/api/user/new@corp.test", password=PASSWORD))
    assert world.attributes(world.tree.user("new@corp.test"))["domainStatus"] == {"disabled"}

    done(api.put("/api/domain/corp.test", accountStatus="active"))
    assert not any(entry.values("domainStatus") for entry in world.find(accounts, dn))
    assert world.attributes(world.tree.user("u3@corp.test"))["accountStatus"] == {"disabled"}
    assert world.attributes(dn)["accountStatus"] == {"active"}


def test_a_repeat_finishes_a_broken_disabling(api: Client, world: World) -> None:
    """The head has the wanted value already; the accounts are swept all the same."""
    done(api.post("/api/domain/corp.test"))
    fill(api, world, "corp.test", 3)
    world.set(world.tree.domain("corp.test"), accountStatus="disabled")
    done(api.put("/api/domain/corp.test", accountStatus="disabled"))
    assert len(world.find("(domainStatus=disabled)")) == 7


def test_user_created_while_the_domain_is_disabled(api: Client, world: World) -> None:
    """Whichever comes first, no account of a disabled domain is left without the mark."""
    done(api.post("/api/domain/corp.test"))
    clients = [Client(api.url, api.session) for _ in range(2)]

    def create() -> None:
        for number in range(25):
            clients[0].post(f"/api/user/n{number}@corp.test", password=PASSWORD)

    def switch() -> None:
        for status in ("disabled", "active", "disabled", "active", "disabled"):
            done(clients[1].put("/api/domain/corp.test", accountStatus=status))

    threads = [threading.Thread(target=work) for work in (create, switch)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    unmarked = world.find("(&(objectClass=mailUser)(!(domainStatus=disabled)))")
    assert [entry.dn for entry in unmarked] == []
    assert len(world.find("(objectClass=mailUser)")) == 25


def test_deleted_domain_leaves_nothing_behind(api: Client, world: World) -> None:
    """500 users, deeper entries below an account, and every mention in other domains go."""
    tree = world.tree
    done(api.post("/api/domain/other.test", senderBcc="u1@corp.test"))
    done(api.post("/api/user/ann@other.test", password=PASSWORD))
    done(api.post("/api/domain/corp.test"))
    fill(api, world, "corp.test", 500)
    world.set(tree.domain("corp.test"), domainAliasName=["corp.example"])
    world.add(
        f"ou=Contacts,{tree.user('u7@corp.test')}", objectClass="organizationalUnit", ou="Contacts"
    )
    world.set(
        tree.user("ann@other.test"),
        mailForwardingAddress=["u1@corp.test", "u1@corp.example", "ann@other.test"],
        memberOfGroup=["list@corp.test", "stay@other.test"],
        userRecipientBccAddress="u2@corp.test",
    )
    world.set(
        tree.domain("other.test"),
        domainAdmin=["u1@corp.test", "ann@other.test"],
        accountSetting=["defaultList:list@corp.test,all@other.test", "defaultQuota:5"],
    )
    world.add(
        tree.maillist("crew@other.test"),
        objectClass="mailList",
        mail="crew@other.test",
        listAllowedUser=["corp.test", "*@corp.test", "x@elsewhere.test"],
        listModerator=["u1@corp.test"],
        listOwner=["u1@corp.test", "ann@other.test"],
        member=[tree.user("u1@corp.test"), tree.user("ann@other.test")],
    )
    world.add(
        tree.externals("crew@other.test"),
        objectClass="mailExternalUser",
        memberOfGroup="crew@other.test",
        mail=["u1@corp.test", "x@elsewhere.test"],
    )

    done(api.delete("/api/domain/corp.test"))

    left = [
        (entry.dn, value)
        for entry in world.find()
        for values in entry.attributes.values()
        for value in values
        if b"corp." in value.lower() or "corp." in entry.dn
    ]
    assert left == []
    ann = world.attributes(tree.user("ann@other.test"))
    assert ann["mailForwardingAddress"] == {"ann@other.test"}
    assert ann["memberOfGroup"] == {"stay@other.test"}
    assert world.attributes(tree.domain("other.test"))["domainAdmin"] == {"ann@other.test"}
    assert world.attributes(tree.domain("other.test"))["accountSetting"] == {
        "defaultList:all@other.test",
        "defaultQuota:5",
    }
    crew = world.attributes(tree.maillist("crew@other.test"))
    assert crew["listAllowedUser"] == {"x@elsewhere.test"}
    assert crew["listOwner"] == {"ann@other.test"}
    assert crew["member"] == {tree.user("ann@other.test")}
    assert "listModerator" not in crew
    assert world.attributes(tree.externals("crew@other.test"))["mail"] == {"x@elsewhere.test"}
    assert api.get("/api/domain/corp.test").status_code == 404


def test_admins_of_a_deleted_domain_lose_the_role(api: Client, world: World) -> None:
    """Unless they manage another domain, or are global admins."""
    tree = world.tree
    for domain in ("corp.test", "other.test", "home.test"):
        done(api.post(f"/api/domain/{domain}"))
    for user in ("one", "two", "boss"):
        done(api.post(f"/api/user/{user}@home.test", password=PASSWORD))
        world.modify(tree.user(f"{user}@home.test"), (0, "enabledService", [b"domainadmin"]))
    world.set(tree.user("boss@home.test"), domainGlobalAdmin="yes")
    everyone = [f"{user}@home.test" for user in ("one", "two", "boss")]
    world.set(tree.domain("corp.test"), domainAdmin=everyone)
    world.set(tree.domain("other.test"), domainAdmin=["two@home.test"])

    done(api.delete("/api/domain/corp.test"))

    still = {
        user
        for user in ("one", "two", "boss")
        if "domainadmin" in world.attributes(tree.user(f"{user}@home.test"))["enabledService"]
    }
    assert still == {"two", "boss"}


def test_last_global_admin_and_oneself_stay(api: Client, served: Served, world: World) -> None:
    """A domain is neither disabled nor deleted under the feet of those who could undo it."""
    done(api.post("/api/domain/corp.test"))
    done(api.post("/api/user/boss@corp.test", password=PASSWORD))
    world.set(world.tree.user("boss@corp.test"), domainGlobalAdmin="yes")
    boss = served.client().log_in("boss@corp.test", PASSWORD)
    before = world.snapshot()
    refused(boss.delete("/api/domain/corp.test"), 403, "PERMISSION_DENIED")
    refused(boss.put("/api/domain/corp.test", accountStatus="disabled"), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before

    world.set(world.tree.admin(ADMIN), accountStatus="disabled")
    refused(boss.delete("/api/domain/corp.test"), 403, "PERMISSION_DENIED")
    world.set(world.tree.admin(ADMIN), accountStatus="active")
    done(api.delete("/api/domain/corp.test"))


@pytest.mark.parametrize("path", ["/api/domain/none.test", "/api/ldif/domain/none.test"])
def test_missing_domain(api: Client, path: str) -> None:
    """What is not there is told, for every verb."""
    for method in ("GET", "PUT", "DELETE"):
        if method == "GET" or "ldif" not in path:
            refused(api.call(method, path), 404, "NO_SUCH_ACCOUNT")


def test_normal_admin(api: Client, served: Served, world: World) -> None:
    """Their own domains only; what is missing and what is another's look alike."""
    tree = world.tree
    for domain in ("corp.test", "other.test"):
        done(api.post(f"/api/domain/{domain}"))
    done(api.post("/api/user/adm@corp.test", password=PASSWORD))
    world.modify(tree.user("adm@corp.test"), (0, "enabledService", [b"domainadmin"]))
    world.set(tree.domain("corp.test"), domainAdmin=["adm@corp.test"])
    adm = served.client().log_in("adm@corp.test", PASSWORD)
    assert adm.get("/api/domain/corp.test").json()["_success"]
    done(adm.put("/api/domain/corp.test", name="Mine", senderBcc="adm@corp.test"))
    before = world.snapshot()

    for domain in ("other.test", "none.test"):
        for method in ("GET", "PUT", "DELETE", "POST"):
            answer = adm.call(method, f"/api/domain/{domain}")
            refused(answer, 403, "PERMISSION_DENIED")
    for parameters in (
        {"quota": 1},
        {"numberOfUsers": 1},
        {"accountStatus": "active"},
        {"transport": "dovecot:x"},
        {"transport": "pipe:[x]:1"},
    ):
        answer = adm.put("/api/domain/corp.test", **parameters)
        assert (answer.status_code, answer.json()["_msg"]) == (403, "PERMISSION_DENIED"), parameters
    refused(adm.delete("/api/domain/corp.test"), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before

    done(adm.put("/api/domain/corp.test", transport="relay:[mx.corp.test]:25"))
    world.modify(tree.domain("corp.test"), (0, "accountSetting", [b"disabledDomainProfile:bcc"]))
    wait_until(
        lambda: adm.put("/api/domain/corp.test", senderBcc="adm@corp.test").status_code == 403
    )


def test_normal_admin_creates_within_their_limits(
    api: Client, served: Served, world: World
) -> None:
    """Who may create domains manages what they create, and hands out no more than they may."""
    tree = world.tree
    done(api.post("/api/domain/home.test"))
    done(api.post("/api/user/adm@home.test", password=PASSWORD))
    dn = tree.user("adm@home.test")
    world.modify(
        dn,
        (0, "enabledService", [b"domainadmin"]),
        (0, "accountSetting", [b"create_new_domains:yes", b"create_max_domains:2"]),
        (0, "accountSetting", [b"create_max_quota:1000", b"create_max_users:10"]),
    )
    client = served.client()

    def created(domain: str, **parameters: Any) -> str:
        answer = client.log_in("adm@home.test", PASSWORD).post(
            f"/api/domain/{domain}", **parameters
        )
        return str(answer.json().get("_msg", "done"))

    assert created("a.test", quota=600) == "EXCEED_LIMIT_USERS"
    assert created("a.test", numberOfUsers=5) == "EXCEED_LIMIT_QUOTA"
    assert created("a.test", quota=600, numberOfUsers=5) == "done"
    assert world.attributes(tree.domain("a.test"))["domainAdmin"] == {"adm@home.test"}
    assert created("b.test", quota=600, numberOfUsers=5) == "EXCEED_LIMIT_QUOTA"
    assert created("b.test", quota=400, numberOfUsers=6) == "EXCEED_LIMIT_USERS"
    assert created("b.test", quota=400, numberOfUsers=5) == "done"
    assert created("c.test", quota=1, numberOfUsers=1).startswith("EXCEED_LIMIT_DOMAIN")
    world.connect().delete_s(tree.container("b.test", "Externals"))
    assert created("b.test", quota=400, numberOfUsers=5) == "done"
