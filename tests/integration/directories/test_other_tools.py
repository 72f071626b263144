"""Entries that other tools made: found, changed and removed as those of our own.

They are planted as phpLDAPadmin, a script or a migration leaves them, and judged by what stands in
the directory afterwards; where mail is meant, by Postfix and Dovecot.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from iredldap.dit import names
from iredldap.dit.consistency.checks import examine
from iredldap.embedded.slapd import Slapd
from tests.support.client import Client, done, refused
from tests.support.mailservers import Dovecot, Postfix
from tests.support.patience import started, wait_until
from tests.support.serving import Served
from tests.support.world import ADMIN, READER_PASSWORD, SUFFIX, World, salted

PASSWORD = "a good password"
CORP = "corp.test"
DOMAIN = f"domainName={CORP},o=domains,{SUFFIX}"
USERS = f"ou=Users,{DOMAIN}"
SERVICES = [
    *("mail", "deliver", "forward", "smtp", "imap", "imapsecured", "imaptls"),
    *("lmtp", "lda", "internal", "doveadm"),
]
NAMES = {
    "uid": f"uid=ann,{USERS}",
    "two attributes": f"mail=ann@{CORP}+uid=ann,{USERS}",
    "sub-unit": f"mail=ann@{CORP},ou=Sales,{USERS}",
    "other container": f"mail=ann@{CORP},ou=Groups,{DOMAIN}",
    "apostrophe": f"mail=o'brien@{CORP},{USERS}",
    "two dots": f"mail=a..b@{CORP},{USERS}",
    "dot at the end": f"mail=ann.@{CORP},{USERS}",
    "plus": f"mail=ann\\+x@{CORP},{USERS}",
    "slash": f"mail=a/b@{CORP},{USERS}",
    "two at signs": f"mail=two@at@{CORP},{USERS}",
}
"""What other tools call a user."""


@pytest.fixture(scope="module")
def postfix(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Postfix:
    return Postfix(tmp_path_factory.mktemp("postfix"), slapd.uri, SUFFIX, READER_PASSWORD)


@pytest.fixture(scope="module")
def dovecot(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    dovecot = Dovecot(tmp_path_factory.mktemp("dovecot"), slapd.uri, SUFFIX, READER_PASSWORD)
    yield started(dovecot)
    dovecot.stop()


@pytest.fixture
def corp(api: Client) -> str:
    """A domain with one user of ours, and a domain elsewhere."""
    done(api.post(f"/api/domain/{CORP}"))
    done(api.post(f"/api/user/bob@{CORP}", password=PASSWORD))
    done(api.post("/api/domain/other.test"))
    return CORP


def plant(world: World, dn: str, mail: str, **attributes: str | list[str]) -> None:
    """Make a user as another tool does."""
    if "ou=Sales," in dn:
        world.add(f"ou=Sales,{USERS}", objectClass="organizationalUnit", ou="Sales")
    world.add(
        dn,
        **{
            "objectClass": ["inetOrgPerson", "mailUser"],
            "mail": mail,
            "uid": mail.partition("@")[0],
            "cn": "Ann",
            "sn": "Ann",
            "userPassword": salted(PASSWORD),
            "homeDirectory": f"/var/vmail/vmail1/{CORP}/a/n/n/ann/",
            "accountStatus": "active",
            "enabledService": SERVICES,
            **attributes,
        },
    )


def address_in(dn: str) -> str:
    """Give the address of the planted user of this name."""
    named = [part.partition("=")[2] for part in dn.split(",", maxsplit=1)[0].split("+mail=")[-1:]]
    own = named[0] if "@" in named[0] else f"ann@{CORP}"
    return own.partition("+uid=")[0].replace("\\", "")


def in_path(mail: str) -> str:
    """Spell an address as part of a path."""
    return quote(mail, safe="@'")


def exported(api: Client, what: str) -> str:
    """Give an export with its lines unfolded."""
    return api.get(f"/api/ldif/{what}", format="ldif").text.replace("\n ", "")


@pytest.mark.parametrize("dn", NAMES.values(), ids=NAMES.keys())
def test_a_user_is_found_by_the_address(
    api: Client, world: World, corp: str, postfix: Postfix, dovecot: Dovecot, dn: str
) -> None:
    """Read, listed, switched off and on, named in references, renamed, exported and deleted."""
    mail = address_in(dn)
    plant(world, dn, mail)
    path = f"/api/user/{in_path(mail)}"
    refused(api.post(f"/api/alias/team@{corp}", members=f"nobody@{corp}"), 400, "INVALID_MAIL")
    done(api.post(f"/api/alias/team@{corp}", members=mail))
    done(api.post(f"/api/maillist/crew@{corp}", members=f"{mail},x@far.test"))
    assert postfix.recipients(f"team@{corp}") == {mail}
    assert postfix.recipients(f"crew@{corp}") == {mail, "x@far.test"}
    assert world.attributes(dn)["memberOfGroup"] == {f"crew@{corp}"}

    shown = api.get(path)
    assert shown.json()["_data"]["mail"] == [mail]
    listed = api.get(f"/api/users/{corp}").json()["_data"]
    assert (set(listed), listed[mail]["cn"]) == ({mail, f"bob@{corp}"}, ["Ann"])
    assert api.get(f"/api/users/{corp}", email_only="yes").json()["_data"] == sorted(listed)
    (line,) = re.findall("(?m)^dn: (.*)$", exported(api, f"user/{in_path(mail)}"))
    assert names.same_dn(line, dn)
    assert api.post(f"/api/verify_password/user/{in_path(mail)}", password=PASSWORD).json()[
        "_success"
    ]

    state = done(api.put(path, accountStatus="disabled")).headers["ETag"]
    assert state == api.get(path).headers["ETag"] != shown.headers["ETag"]
    assert world.attributes(dn)["accountStatus"] == {"disabled"}
    assert not dovecot.accepts(mail, PASSWORD)
    done(api.put(f"/api/users/{corp}", accountStatus="active"))
    done(api.put(path, password="another Passw0rd", quota=2, name="Änn"))
    assert world.attributes(dn)["mailQuota"] == {"2097152"}
    # Dovecot takes no login name with other characters (`auth_username_chars`).
    assert dovecot.accepts(mail, "another Passw0rd") or set("'+/").intersection(mail)

    new = f"anna@{corp}"
    done(api.post(f"/api/user/{in_path(mail)}/change_email/{new}"))
    parent = dn.partition(f",{USERS}")[0].partition(",")[2]
    renamed = f"mail={new},{parent + ',' if parent else ''}{USERS}"
    renamed = f"mail={new},ou=Groups,{DOMAIN}" if "ou=Groups" in dn else renamed
    now = world.attributes(renamed)
    assert (now["mail"], now["uid"], "shadowAddress" in now) == ({new}, {"anna"}, False)
    assert world.entry(dn) is None
    assert postfix.recipients(f"team@{corp}") == {new}
    assert postfix.recipients(f"crew@{corp}") == {new, "x@far.test"}
    assert world.attributes(world.tree.maillist(f"crew@{corp}"))["member"] == {renamed}
    assert postfix.recipients(mail) == set()
    refused(api.get(path), 404, "NO_SUCH_ACCOUNT")

    done(api.delete(f"/api/user/{new}"))
    assert world.entry(renamed) is None
    assert "mailForwardingAddress" not in world.attributes(world.tree.alias(f"team@{corp}"))
    assert "member" not in world.attributes(world.tree.maillist(f"crew@{corp}"))


@pytest.mark.parametrize("dn", NAMES.values(), ids=NAMES.keys())
def test_a_user_of_another_tool_is_deleted(
    api: Client, world: World, corp: str, postfix: Postfix, dn: str
) -> None:
    """With every mention; the address is free again."""
    mail = address_in(dn)
    plant(world, dn, mail)
    world.set(world.tree.user(f"bob@{corp}"), mailForwardingAddress=[mail, f"bob@{corp}"])
    done(api.post(f"/api/maillist/crew@{corp}", members=mail))

    done(api.delete(f"/api/user/{in_path(mail)}"))

    assert world.entry(dn) is None
    assert "member" not in world.attributes(world.tree.maillist(f"crew@{corp}"))
    forwarding = world.attributes(world.tree.user(f"bob@{corp}"))["mailForwardingAddress"]
    assert forwarding == {f"bob@{corp}"}
    assert postfix.recipients(mail) == set()


def test_an_address_of_another_tool_is_taken(api: Client, world: World, corp: str) -> None:
    """Whatever the entry is called."""
    plant(world, NAMES["uid"], f"ann@{corp}")
    before = world.snapshot()
    for path in ("user", "alias", "maillist"):
        answer = api.post(f"/api/{path}/ann@{corp}", password=PASSWORD)
        refused(answer, 409, "ALREADY_EXISTS")
    refused(api.post(f"/api/user/bob@{corp}/change_email/ann@{corp}"), 409, "ALREADY_EXISTS")
    assert world.snapshot() == before


def test_an_admin_of_another_tool_logs_in(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """A mail user named by `uid` manages their domain; a standalone admin is found as well."""
    plant(world, NAMES["uid"], f"ann@{corp}")
    done(api.put(f"/api/domain/admins/{corp}", addAdmin=f"ann@{corp}"))
    ann = served.client().log_in(f"ann@{corp}", PASSWORD)
    done(ann.put(f"/api/user/bob@{corp}", name="Bob"))
    refused(ann.delete(f"/api/user/ann@{corp}"), 403, "PERMISSION_DENIED")
    world.add(
        f"cn=Root,{world.tree.admin_base}",
        objectClass="mailAdmin",
        cn="Root",
        mail="other@admins.test",
        userPassword=salted(PASSWORD),
        accountStatus="active",
        domainGlobalAdmin="yes",
    )
    other = served.client().log_in("other@admins.test", PASSWORD)
    assert other.get("/api/admin/other@admins.test").json()["_data"]["cn"] == ["Root"]
    done(other.put("/api/admin/other@admins.test", language="de_DE"))
    done(api.delete("/api/admin/other@admins.test"))
    wait_until(lambda: other.get(f"/api/domain/{corp}").status_code == 401)


def test_aliases_and_lists_are_found_by_the_address(
    api: Client, world: World, corp: str, postfix: Postfix
) -> None:
    """Named by something else, they are changed, renamed and deleted as well."""
    unit = f"ou=Aliases,{DOMAIN}"
    common: dict[str, Any] = {"accountStatus": "active", "enabledService": ["mail", "deliver"]}
    world.add(
        f"cn=Team,{unit}",
        objectClass="mailAlias",
        cn="Team",
        mail=f"team@{corp}",
        mailForwardingAddress=f"bob@{corp}",
        **common,
    )
    world.add(
        f"cn=Crew,ou=Groups,{DOMAIN}",
        objectClass="mailList",
        cn="Crew",
        mail=f"crew@{corp}",
        **common,
    )
    done(api.put(f"/api/alias/team@{corp}", addMember="x@far.test"))
    done(api.put(f"/api/maillist/crew@{corp}", members=f"bob@{corp},x@far.test"))
    assert postfix.recipients(f"team@{corp}") == {f"bob@{corp}", "x@far.test"}
    assert postfix.recipients(f"crew@{corp}") == {f"bob@{corp}", "x@far.test"}
    assert api.get(f"/api/aliases/{corp}", email_only="yes").json()["_data"] == [f"team@{corp}"]
    for kind in ("alias/team", "maillist/crew"):
        assert f"dn: cn={kind.partition('/')[2].title()}," in exported(api, f"{kind}@{corp}")

    done(api.post(f"/api/alias/team@{corp}/change_email/group@{corp}"))
    renamed = world.attributes(f"mail=group@{corp},{unit}")
    assert (renamed["mail"], renamed["cn"]) == ({f"group@{corp}"}, {"Team"})
    done(api.delete(f"/api/alias/group@{corp}"))
    done(api.delete(f"/api/maillist/crew@{corp}"))
    left = world.find("(|(objectClass=mailAlias)(objectClass=mailList)(memberOfGroup=*))")
    assert left == []


def test_a_domain_is_found_by_its_name(
    api: Client, world: World, postfix: Postfix, corp: str
) -> None:
    """Another tool named it by two attributes: everything below it is at its place."""
    dn = f"cn=Firm+domainName=firm.test,{world.tree.base}"
    world.add(
        dn,
        objectClass="mailDomain",
        cn="Firm",
        domainName="firm.test",
        accountStatus="active",
        enabledService="mail",
    )
    for unit in ("Users", "Groups", "Aliases", "Externals"):
        world.add(f"ou={unit},{dn}", objectClass="organizationalUnit", ou=unit)
    done(api.put("/api/domain/firm.test", defaultQuota=10, numberOfUsers=1))
    done(api.post("/api/user/eve@firm.test", password=PASSWORD))
    refused(
        api.post("/api/user/joe@firm.test", password=PASSWORD), 409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT"
    )
    done(api.post("/api/alias/info@firm.test", members="eve@firm.test"))
    done(api.post("/api/maillist/crew@firm.test", members="eve@firm.test,x@far.test"))
    done(api.put("/api/domain/firm.test", catchall="eve@firm.test", addAliasDomain="firma.test"))
    assert world.attributes(f"mail=eve@firm.test,ou=Users,{dn}")["mailQuota"] == {"10485760"}
    assert postfix.recipients("crew@firma.test") == {"eve@firm.test", "x@far.test"}
    assert postfix.recipients("nobody@firm.test") == {"eve@firm.test"}
    assert "eve@firm.test" in api.get("/api/users/firm.test").json()["_data"]
    done(api.put("/api/domain/firm.test", accountStatus="disabled"))
    assert postfix.recipients("eve@firm.test") == set()
    done(api.put("/api/domain/firm.test", accountStatus="active"))
    done(api.put("/api/domain/firm.test", numberOfUsers=0))
    done(api.post(f"/api/user/bob@{corp}/change_email/bob@firm.test"))
    assert world.entry(f"mail=bob@firm.test,ou=Users,{dn}")
    done(api.delete("/api/domain/firm.test"))
    assert world.entry(dn) is None


def namings(corp: str) -> Any:
    """Paths, DNs, what is sent, and the attribute that names the entry."""
    user, unit = f"/api/user/ann@{corp}", f"ou=Aliases,{DOMAIN}"
    return {
        "name": (user, f"cn=Ann,{USERS}", {"name": "Anna"}, "cn"),
        "older name": (user, f"cn=Ann,{USERS}", {"cn": "Anna"}, "cn"),
        "name of the attribute": (user, f"commonName=Ann,{USERS}", {"name": "Anna"}, "cn"),
        "two attributes": (user, f"mail=ann@{corp}+sn=Ann,{USERS}", {"sn": "An"}, "sn"),
        "cleared": (user, f"uid=ann+givenName=A,{USERS}", {"gn": ""}, "givenName"),
        "one of a list": (
            user,
            f"shadowAddress=a@{corp},{USERS}",
            {"removeAlias": f"a@{corp}", "addAlias": f"b@{corp}"},
            "shadowAddress",
        ),
        "all of a list": (
            user,
            f"shadowAddress=a@{corp},{USERS}",
            {"aliases": ""},
            "shadowAddress",
        ),
        "switched": (
            user,
            f"accountStatus=active+uid=ann,{USERS}",
            {"accountStatus": "disabled"},
            "accountStatus",
        ),
        "alias": (f"/api/alias/team@{corp}", f"cn=Team,{unit}", {"name": "x"}, "cn"),
        "maillist": (
            f"/api/maillist/crew@{corp}",
            f"cn=Crew,ou=Groups,{DOMAIN}",
            {"name": ""},
            "cn",
        ),
        "admin": (
            "/api/admin/eve@far.test",
            f"cn=Eve,o=domainAdmins,{SUFFIX}",
            {"name": "x"},
            "cn",
        ),
        "domain": (
            "/api/domain/firm.test",
            f"cn=Firm+domainName=firm.test,o=domains,{SUFFIX}",
            {"name": "x"},
            "cn",
        ),
    }


CLASSES = {
    "alias": "mailAlias",
    "maillist": "mailList",
    "admin": "mailAdmin",
    "domain": "mailDomain",
}


def plant_named(world: World, path: str, dn: str) -> None:
    """Make what a path names with this DN, as another tool does."""
    _, _, kind, address = path.split("/")
    named = dict(names.parsed_dn(dn)[0])
    named.pop("mail", None)
    named["cn"] = named.pop("commonName", named.get("cn", "Ann"))
    if kind == "user":
        plant(world, dn, address, **named)
    else:
        named |= {} if kind == "domain" else {"mail": address}
        world.add(dn, objectClass=CLASSES[kind], accountStatus="active", **named)


@pytest.mark.parametrize("what", namings(CORP))
def test_what_names_an_entry_stays(api: Client, world: World, corp: str, what: str) -> None:
    """The refusal names parameter and attribute; a rename names the entry by its address."""
    path, dn, form, attribute = namings(corp)[what]
    plant_named(world, path, dn)
    before = world.snapshot()
    for headers in ({}, {"Prefer": "respond-async"}):
        answer = api.put(path, **form, headers=headers)
        sent = next(iter(form))
        assert answer.status_code == 422
        assert answer.json() == {
            "_success": False,
            "_msg": "SCHEMA_VIOLATION",
            "_data": {"naming": [{"parameter": sent, "attribute": attribute}]},
        }
        assert answer.headers["X-Invalid-Parameters"] == sent
        assert world.snapshot() == before
    # In another spelling of the same value it is still there.
    if attribute == "cn":
        done(api.put(path, **{next(iter(form)): names.rdn_value(dn).upper()}))
    if "/user/" in path:
        done(api.post(f"{path}/change_email/anna@{corp}"))
        done(api.put(f"/api/user/anna@{corp}", **form))


def test_two_of_one_address_are_refused(api: Client, world: World, corp: str) -> None:
    """Nobody can say which one was meant: the answer names both, and nothing changes."""
    plant(world, NAMES["uid"], f"ann@{corp}")
    plant(world, f"mail=ann@{corp},{USERS}", f"ann@{corp}", uid="anna")
    before = world.snapshot()
    for answer in (
        api.get(f"/api/user/ann@{corp}"),
        api.put(f"/api/user/ann@{corp}", name="x"),
        api.delete(f"/api/user/ann@{corp}"),
        api.post(f"/api/user/ann@{corp}/change_email/anna@{corp}"),
        api.get(f"/api/ldif/user/ann@{corp}"),
    ):
        assert answer.status_code == 409
        both = sorted([NAMES["uid"], f"mail=ann@{corp},{USERS}"])
        assert answer.json() == {
            "_success": False,
            "_msg": "AMBIGUOUS_ACCOUNT",
            "_data": {"entries": both},
        }
    assert world.snapshot() == before


def test_what_is_no_account_is_none(api: Client, world: World, corp: str) -> None:
    """A contact of an address book has an address, and no mailbox."""
    dn = f"cn=Carl,{USERS}"
    world.add(dn, objectClass="inetOrgPerson", cn="Carl", sn="C", mail=f"carl@{corp}")
    named = f"mail=dora@{corp},{USERS}"
    world.add(named, objectClass="inetOrgPerson", cn="D", sn="D", mail=f"dora@{corp}")
    before = world.snapshot()
    for mail in (f"carl@{corp}", f"dora@{corp}"):
        for answer in (
            api.get(f"/api/user/{mail}"),
            api.put(f"/api/user/{mail}", accountStatus="disabled", quota=5),
            api.delete(f"/api/user/{mail}"),
            api.post(f"/api/user/{mail}/change_email/new@{corp}"),
            api.post(f"/api/verify_password/user/{mail}", password=PASSWORD),
            api.get(f"/api/ldif/user/{mail}"),
            api.get(f"/api/alias/{mail}"),
            api.get(f"/api/maillist/{mail}"),
        ):
            refused(answer, 404, "NO_SUCH_ACCOUNT")
    assert world.snapshot() == before
    assert set(api.get(f"/api/users/{corp}").json()["_data"]) == {f"bob@{corp}"}


def test_an_account_stands_in_the_domain_of_its_address(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """One below another domain is out of reach for the admin of that of its address."""
    plant(world, f"mail=ann@{corp},ou=Users,{world.tree.domain('other.test')}", f"ann@{corp}")
    done(api.put(f"/api/domain/admins/{corp}", addAdmin=f"bob@{corp}"))
    bob = served.client().log_in(f"bob@{corp}", PASSWORD)
    refused(bob.get(f"/api/user/ann@{corp}"), 404, "NO_SUCH_ACCOUNT")
    refused(bob.get(f"/api/ldif/user/ann@{corp}"), 404, "NO_SUCH_ACCOUNT")
    refused(bob.delete(f"/api/user/ann@{corp}"), 404, "NO_SUCH_ACCOUNT")
    # One in that domain itself is meant before it, by global admins too.
    done(api.delete(f"/api/user/ann@{corp}"))
    plant(world, f"mail=ann@{corp},ou=Users,{world.tree.domain('other.test')}", f"ann@{corp}")
    plant(world, f"uid=ann,{USERS}", f"ann@{corp}")
    done(api.delete(f"/api/user/ann@{corp}"))
    assert world.entry(f"uid=ann,{USERS}") is None


ODD = ["o'neil@far.test", "a..b@far.test", ".dot@far.test", "root", "x y@far.test", f"a..b@{CORP}"]
"""What other tools store as destinations: no new one may be like that, but for the first."""


def test_destinations_that_stand_may_be_sent_again(
    api: Client, world: World, corp: str, postfix: Postfix
) -> None:
    """And are removed by their exact value; what is new among them is dropped and named."""
    strict = {"Prefer": "handling=strict"}
    done(api.post(f"/api/alias/team@{corp}", members="x@far.test"))
    places = {
        f"/api/alias/team@{corp}": (world.tree.alias(f"team@{corp}"), "members", "Member"),
        f"/api/user/bob@{corp}": (world.tree.user(f"bob@{corp}"), "forwarding", "Forwarding"),
    }
    for path, (dn, whole, one) in places.items():
        world.set(dn, mailForwardingAddress=[*ODD, "x@far.test"])
        before = world.attributes(dn)
        shown = api.get(path).json()["_data"]["mailForwardingAddress"]
        everything = ",".join(shown)

        done(api.call("PUT", path, headers=strict, **{whole: everything}))
        assert world.attributes(dn) == before
        answer = done(api.put(path, **{whole: f"{everything},c..d@far.test,news"}))
        named = answer.headers["X-Ignored-Values"]
        assert set(named.split(", ")) == {"c..d@far.test", "news"}
        assert world.attributes(dn) == before
        refused(
            api.call("PUT", path, headers=strict, **{f"add{one}": "c..d@far.test,y@far.test"}),
            *(400, "INVALID_PARAMETER"),
        )
        refused(api.put(path, **{f"add{one}": "c..d@far.test"}), 400, "INVALID_MAIL")
        refused(api.put(path, **{f"remove{one}": "c..d@far.test"}), 400, "INVALID_MAIL")
        assert world.attributes(dn) == before
        for value in ODD:
            done(api.call("PUT", path, headers=strict, **{f"remove{one}": value.upper()}))
        assert world.attributes(dn)["mailForwardingAddress"] == {"x@far.test"}
        done(api.put(path, **{f"add{one}": "o'neil@far.test"}))
        assert "o'neil@far.test" in world.attributes(dn)["mailForwardingAddress"]
    assert postfix.recipients(f"team@{corp}") == {"x@far.test", "o'neil@far.test"}


def test_members_elsewhere_that_stand_may_be_sent_again(
    api: Client, world: World, corp: str, postfix: Postfix
) -> None:
    """Of a list; a new one may have an apostrophe."""
    path, dn = f"/api/maillist/crew@{corp}", world.tree.externals(f"crew@{corp}")
    done(api.post(path, members="x@far.test,O'Brien@far.test"))
    assert world.attributes(dn)["mail"] == {"x@far.test", "o'brien@far.test"}
    world.set(dn, mail=[*ODD, "x@far.test"])
    members = api.get(path).json()["_data"]["members"]
    done(api.put(path, members=",".join(members)))
    assert world.attributes(dn)["mail"] == {*ODD, "x@far.test"}
    done(api.put(path, removeMember="A..B@far.test,root", addMember=f"bob@{corp}"))
    assert world.attributes(dn)["mail"] == {*ODD, "x@far.test"} - {"a..b@far.test", "root"}
    done(api.put(path, members=f"o'neil@far.test,bob@{corp}"))
    assert postfix.recipients(f"crew@{corp}") == {"o'neil@far.test", f"bob@{corp}"}
    done(api.put(path, members=""))
    assert postfix.recipients(f"crew@{corp}") == set()


def test_further_values_that_stand_stay(api: Client, world: World, corp: str) -> None:
    """Further addresses, copies of mail, catch-all, and the admins of a domain."""
    dn = world.tree.user(f"bob@{corp}")
    world.set(
        dn,
        shadowAddress=[f"o'neil@{corp}", f"b..b@{corp}"],
        userSenderBccAddress="Archive..All@far.test",
    )
    done(api.put(f"/api/user/bob@{corp}", aliases=f"o'neil@{corp},b..b@{corp},bo@{corp}"))
    assert world.attributes(dn)["shadowAddress"] == {
        *(f"o'neil@{corp}", f"b..b@{corp}", f"bo@{corp}"),
    }
    refused(api.put(f"/api/user/bob@{corp}", addAlias=f"d'arcy@{corp}"), 400, "INVALID_MAIL")
    done(api.put(f"/api/user/bob@{corp}", removeAlias=f"b..b@{corp}"))
    assert world.attributes(dn)["shadowAddress"] == {f"o'neil@{corp}", f"bo@{corp}"}
    done(api.put(f"/api/user/bob@{corp}", senderBcc="archive..all@far.test", name="Bob"))
    assert world.attributes(dn)["userSenderBccAddress"] == {"Archive..All@far.test"}
    refused(api.put(f"/api/user/bob@{corp}", senderBcc="other..all@far.test"), 400, "INVALID_MAIL")

    done(api.put(f"/api/domain/{corp}", catchall="x@far.test"))
    world.set(world.tree.catchall(corp), mailForwardingAddress=["a..b@far.test", "root"])
    done(api.put(f"/api/domain/{corp}", catchall="a..b@far.test,root,o'neil@far.test"))
    assert world.attributes(world.tree.catchall(corp))["mailForwardingAddress"] == {
        *("a..b@far.test", "root", "o'neil@far.test"),
    }
    world.set(DOMAIN, domainAdmin=["b..b@far.test", f"bob@{corp}"])
    done(api.put(f"/api/domain/admins/{corp}", removeAdmin="b..b@far.test"))
    assert world.attributes(DOMAIN)["domainAdmin"] == {f"bob@{corp}"}


def test_an_odd_value_in_a_job_is_kept(api: Client, world: World, corp: str) -> None:
    """A request that is written down knows it as well."""
    dn = world.tree.user(f"bob@{corp}")
    world.set(dn, mailForwardingAddress=["a..b@far.test", "root", "x@far.test"])
    answer = api.call(
        "PUT",
        f"/api/user/bob@{corp}",
        headers={"Prefer": "respond-async"},
        removeForwarding="a..b@far.test,root",
    )
    job = f"/api/jobs/{answer.json()['_data']['job']}"
    wait_until(lambda: api.get(job).json()["_data"]["status"] == "done")
    assert world.attributes(dn)["mailForwardingAddress"] == {"x@far.test"}


# --- sizes, services and empty values ---------------------------------------------------------


@pytest.mark.parametrize("stored", ["1048576", "104857600", "512000", "-1"])
def test_a_size_that_was_read_may_be_sent_back(
    api: Client, world: World, corp: str, stored: str
) -> None:
    """Answers have bytes under the older name of a parameter in MB."""
    dn, path = world.tree.user(f"bob@{corp}"), f"/api/user/bob@{corp}"
    world.set(dn, mailQuota=stored)
    body = api.get(path).json()["_data"]
    done(api.put(path, **{name: body[name] for name in ("mailQuota", "cn", "accountStatus")}))
    assert world.attributes(dn)["mailQuota"] == {stored}
    done(api.session.put(f"{api.url}{path}", json={"mailQuota": body["mailQuota"]}))
    assert world.attributes(dn)["mailQuota"] == {stored}
    new = f"/api/user/new@{corp}"
    answer = api.post(new, password=PASSWORD, mailQuota="104857600")
    refused(answer, 400, "INVALID_PARAMETER")
    refused(api.put(path, mailQuota="2097152"), 400, "INVALID_PARAMETER")
    refused(api.put(path, quota="16777217"), 400, "INVALID_PARAMETER")
    assert world.attributes(dn)["mailQuota"] == {stored}
    done(api.put(path, mailQuota="1024"))
    assert world.attributes(dn)["mailQuota"] == {"1073741824"}
    done(api.put(path, quota="16777216"))
    for name in ("defaultQuota", "maxUserQuota"):
        refused(api.put(f"/api/domain/{corp}", **{name: "16777217"}), 400, "INVALID_PARAMETER")


def test_minus_one_is_not_set(api: Client, world: World, corp: str, dovecot: Dovecot) -> None:
    """Other tools store it for sizes and lengths without limit; nobody gets or counts -1 MB."""
    sizes = [f"{key}:-1" for key in ("defaultQuota", "maxUserQuota", "maxPasswordLength")]
    world.set(DOMAIN, accountSetting=[*sizes, "minPasswordLength:-1", "domainQuota:10:MB"])
    world.set(world.tree.user(f"bob@{corp}"), mailQuota="-1")
    done(api.post(f"/api/user/ann@{corp}", password=PASSWORD, quota=8))
    done(api.post(f"/api/user/eve@{corp}", password=PASSWORD))
    assert world.attributes(world.tree.user(f"eve@{corp}"))["mailQuota"] == {"2097152"}
    answer = api.post(f"/api/user/joe@{corp}", password=PASSWORD)
    refused(answer, 409, "EXCEEDED_DOMAIN_QUOTA_SIZE")
    refused(api.put(f"/api/user/ann@{corp}", quota=9), 409, "EXCEEDED_DOMAIN_QUOTA_SIZE")
    world.set(DOMAIN, accountSetting=sizes)
    done(api.post(f"/api/user/joe@{corp}", password=PASSWORD))
    assert "mailQuota" not in world.attributes(world.tree.user(f"joe@{corp}"))
    assert dovecot.mailbox(f"joe@{corp}")
    refused(api.post(f"/api/user/x@{corp}", password="short"), 422, "PW_SHORTER_THAN_MIN_LENGTH")


CONFLICTS = [
    ("user", {"senderBcc": "x@far.test", "removeService": "SenderBcc"}),
    ("user", {"recipientBcc": "x@far.test", "removeService": "imap,recipientbcc"}),
    ("user", {"recipientBcc": "x@far.test", "services": "mail"}),
    ("user", {"forwarding": "x@far.test", "removeService": "forward"}),
    ("user", {"forwarding": "x@far.test", "services": "mail,senderbcc"}),
    ("user", {"addForwarding": "x@far.test", "services": "mail"}),
    ("user", {"aliases": f"bo@{CORP}", "services": "mail,deliver"}),
    ("user", {"addAlias": f"bo@{CORP}", "services": "mail"}),
    ("user", {"addForwarding": "x@far.test", "removeService": "forward"}),
    ("user", {"aliases": f"bo@{CORP}", "removeService": "shadowaddress"}),
    ("user", {"addAlias": f"bo@{CORP}", "removeService": "shadowaddress"}),
    ("domain", {"senderBcc": "x@far.test", "removeService": "senderbcc"}),
    ("domain", {"recipientBcc": "x@far.test", "disableService": "recipientbcc"}),
    ("domain", {"aliasDomains": "alias.test", "removeService": "domainalias"}),
    ("domain", {"addAliasDomain": "alias.test", "removeService": "domainalias"}),
    ("domain", {"addAliasDomain": "alias.test", "services": "mail"}),
    ("domain", {"aliasDomains": "alias.test", "services": ""}),
    ("domain", {"senderBcc": "x@far.test", "services": ""}),
    ("domain", {"recipientBcc": "x@far.test", "removeAllServices": ""}),
    ("domain", {"senderBcc": "x@far.test", "removeAllServices": "", "addService": "mail"}),
]


@pytest.mark.parametrize(("kind", "form"), CONFLICTS)
def test_a_service_is_not_switched_off_beside_what_needs_it(
    api: Client, world: World, corp: str, kind: str, form: dict[str, str]
) -> None:
    """Nor left out of all services: either of the two would be without effect."""
    before = world.snapshot()
    path = f"/api/user/bob@{corp}" if kind == "user" else f"/api/domain/{corp}"
    refused(api.put(path, **form), 400, "PARAMETER_CONFLICT")
    assert world.snapshot() == before
    done(api.put(path, senderBcc="", removeService="senderbcc"))


SERVICE_BESIDE = [
    ("user", {"senderBcc": "x@far.test", "services": "mail,SenderBcc"}),
    ("user", {"senderBcc": "", "services": "mail"}),
    ("user", {"removeForwarding": "x@far.test", "services": "mail"}),
    ("domain", {"senderBcc": "x@far.test", "services": "mail,senderbcc"}),
    ("domain", {"senderBcc": "x@far.test", "removeAllServices": "", "addService": "senderbcc"}),
    ("domain", {"senderBcc": "", "removeAllServices": ""}),
    ("domain", {"aliasDomains": "", "services": "mail"}),
]


@pytest.mark.parametrize(("kind", "form"), SERVICE_BESIDE)
def test_all_services_are_sent_beside_what_needs_one_of_them(
    api: Client, world: World, corp: str, kind: str, form: dict[str, str]
) -> None:
    """The service is among them, or nothing is left that would need it."""
    dn = world.tree.user(f"bob@{corp}") if kind == "user" else DOMAIN
    world.modify(dn, (0, "enabledService", [b"vpn"]))
    done(api.put(f"/api/user/bob@{corp}" if kind == "user" else f"/api/domain/{corp}", **form))
    held = {word.lower() for word in world.attributes(dn).get("enabledService", ())}
    assert held <= {"mail", "senderbcc"}
    assert ("senderbcc" in held) == bool(form.get("senderBcc"))


EMPTY = [
    ("user", "gn", "givenName"),
    ("user", "employeeid", "employeeNumber"),
    ("user", "language", "preferredLanguage"),
    ("user", "preferredLanguage", "preferredLanguage"),
    ("user", "sn", None),
    ("user", "name", None),
    ("user", "quota", None),
    ("user", "accountStatus", None),
    ("alias", "name", "cn"),
    ("maillist", "name", "cn"),
    ("domain", "name", "cn"),
    ("domain", "language", "accountSetting"),
    ("domain", "defaultQuota", None),
    ("admin", "name", "cn"),
    ("admin", "language", "preferredLanguage"),
]


@pytest.mark.parametrize(("kind", "parameter", "attribute"), EMPTY)
def test_an_empty_value_clears_or_is_named(
    api: Client, world: World, corp: str, kind: str, parameter: str, attribute: str | None
) -> None:
    """Where an entry cannot be without, it is refused under strict handling."""
    done(api.post(f"/api/alias/team@{corp}", members="x@far.test"))
    done(api.post(f"/api/maillist/crew@{corp}", members="x@far.test"))
    tree = world.tree
    path, dn = {
        "user": (f"user/bob@{corp}", tree.user(f"bob@{corp}")),
        "alias": (f"alias/team@{corp}", tree.alias(f"team@{corp}")),
        "maillist": (f"maillist/crew@{corp}", tree.maillist(f"crew@{corp}")),
        "domain": (f"domain/{corp}", DOMAIN),
        "admin": (f"admin/{ADMIN}", tree.admin(ADMIN)),
    }[kind]
    path = f"/api/{path}"
    filled = dict.fromkeys(("gn", "employeeid", "name"), "Bob")
    filled |= dict.fromkeys(("language", "preferredLanguage"), "de_DE")
    if parameter in filled:
        done(api.put(path, **{parameter: filled[parameter]}))
    before = world.attributes(dn)
    strict = {"Prefer": "handling=strict"}
    if attribute:
        assert attribute in before
        answer = done(api.call("PUT", path, headers=strict, **{parameter: " "}))
        assert "X-Ignored-Parameters" not in answer.headers
        assert attribute not in world.attributes(dn)
    else:
        refused(api.call("PUT", path, headers=strict, **{parameter: ""}), 400, "INVALID_PARAMETER")
        answer = done(api.put(path, **{parameter: ""}))
        assert answer.headers["X-Ignored-Parameters"] == parameter
        assert world.attributes(dn) == before


def test_arrays_of_php_are_repeats(api: Client, world: World, corp: str) -> None:
    """`members[]` and `members[0]`, in the body and in the query string."""
    path, dn = f"/api/alias/team@{corp}", world.tree.alias(f"team@{corp}")
    one, two, three = (f"{name}@far.test" for name in ("one", "two", "three"))
    done(api.post(path, **{"members[]": [one, two]}))
    assert world.attributes(dn)["mailForwardingAddress"] == {one, two}
    answer = done(api.put(path, **{"addMember[0]": three, "addMember[1]": "four@far.test"}))
    assert "X-Ignored-Parameters" not in answer.headers
    done(api.session.put(f"{api.url}{path}", params={"removeMember[7]": [one, two]}))
    assert world.attributes(dn)["mailForwardingAddress"] == {three, "four@far.test"}
    answer = done(api.put(path, **{"name[x]": "y", "nonsense[]": "z"}))
    assert answer.headers["X-Ignored-Parameters"] == "name[x], nonsense"


def test_a_no_break_space_is_part_of_a_password(
    api: Client, served: Served, world: World, corp: str, dovecot: Dovecot
) -> None:
    """It is not ASCII, hence refused; one that another tool set is verified as it is."""
    bob = f"bob@{corp}"
    refused(api.put(f"/api/user/{bob}", password=f"{PASSWORD}\u00a0"), 422, "PW_NON_ASCII")
    refused(api.post(f"/api/user/x@{corp}", password="\u00a0" * 9), 422, "PW_NON_ASCII")
    secret = f"\u00a0{PASSWORD}\u00a0"
    world.set(world.tree.user(bob), userPassword=salted(secret))
    done(api.put(f"/api/domain/admins/{corp}", addAdmin=bob))
    served.client().log_in(bob, secret)
    served.client().log_in(bob, f" {secret}\r\n")
    assert served.client().post("/api/login", username=bob, password=PASSWORD).status_code == 401
    assert dovecot.accepts(bob, secret)


# --- members elsewhere, and members of what is not there yet ----------------------------------

CREW, TEAM = f"crew@{CORP}", f"team@{CORP}"
OUTSIDE = f"ou=Externals,{DOMAIN}"


def shared_by_both(api: Client, world: World, *, alias: bool = False) -> str:
    """Two lists that share one entry of members elsewhere; give its DN."""
    if alias:
        done(api.put(f"/api/domain/{CORP}", addAliasDomain="alias.test"))
    for mail in (CREW, TEAM):
        done(api.post(f"/api/maillist/{mail}", members="x@far.test"))
        world.connect().delete_s(world.tree.externals(mail))
    shadows = {"shadowAddress": ["crew@alias.test", "team@alias.test"]} if alias else {}
    world.add(
        f"memberOfGroup={CREW},{OUTSIDE}",
        objectClass="mailExternalUser",
        memberOfGroup=[CREW, TEAM],
        mail=["x@far.test", "Y@far.test"],
        accountStatus="active",
        enabledService=["mail", "deliver"],
        **shadows,
    )
    return f"memberOfGroup={CREW},{OUTSIDE}"


@pytest.mark.parametrize("mail", [CREW, TEAM], ids=["that names it", "that it serves too"])
def test_lists_that_share_an_entry_are_parted(
    api: Client, world: World, corp: str, postfix: Postfix, mail: str
) -> None:
    """A change of one list is no change of the other, whichever the entry is named by."""
    shared_by_both(api, world, alias=True)
    other = TEAM if mail == CREW else CREW
    both = {"x@far.test", "y@far.test"}
    aliases = {CREW: "crew@alias.test", TEAM: "team@alias.test"}
    assert {m.lower() for m in postfix.recipients(mail)} == both

    done(api.put(f"/api/maillist/{mail}", addMember="z@far.test", removeMember="y@far.test"))

    for address in (mail, aliases[mail]):
        assert postfix.recipients(address) == {"x@far.test", "z@far.test"}
    for address in (other, aliases[other]):
        assert {m.lower() for m in postfix.recipients(address)} == both
    for one in (mail, other):
        entry = world.attributes(world.tree.externals(one))
        assert (entry["memberOfGroup"], entry["shadowAddress"]) == ({one}, {aliases[one]})
    done(api.put(f"/api/maillist/{other}", members=""))
    assert postfix.recipients(mail) == {"x@far.test", "z@far.test"}
    assert postfix.recipients(other) == set()


@pytest.mark.parametrize("mail", [CREW, TEAM], ids=["that names it", "that it serves too"])
def test_the_end_of_a_list_leaves_the_other_its_members(
    api: Client, world: World, corp: str, postfix: Postfix, mail: str
) -> None:
    shared_by_both(api, world)
    other = TEAM if mail == CREW else CREW
    done(api.delete(f"/api/maillist/{mail}"))
    assert postfix.recipients(mail) == set()
    assert {m.lower() for m in postfix.recipients(other)} == {"x@far.test", "y@far.test"}
    assert not world.find(f"(memberOfGroup={mail})")


def test_a_list_may_have_several_entries_of_members_elsewhere(
    api: Client, world: World, corp: str, postfix: Postfix
) -> None:
    """They are one list of members: each value is taken where it stands."""
    done(api.post(f"/api/maillist/{CREW}", members="x@far.test"))
    second = f"memberOfGroup={CREW},ou=Groups,{DOMAIN}"
    world.add(
        second,
        objectClass="mailExternalUser",
        memberOfGroup=CREW,
        mail=["x@far.test", "y@far.test", "z@far.test"],
        accountStatus="active",
        enabledService=["mail", "deliver"],
    )
    path = f"/api/maillist/{CREW}"
    assert api.get(path).json()["_data"]["members"] == ["x@far.test", "y@far.test", "z@far.test"]
    done(api.put(path, removeMember="x@far.test,y@far.test", addMember="w@far.test"))
    assert postfix.recipients(CREW) == {"w@far.test", "z@far.test"}
    assert "dn: " + second in exported(api, f"maillist/{CREW}")
    done(api.delete(path))
    assert not world.find(f"(memberOfGroup={CREW})")


@pytest.fixture
def by_alias(api: Client, world: World, corp: str) -> str:
    """A list whose name in an alias domain has members of its own; give that name."""
    done(api.put(f"/api/domain/{CORP}", addAliasDomain="alias.test"))
    done(api.post(f"/api/user/ann@{corp}", password=PASSWORD))
    done(api.post(f"/api/maillist/{CREW}", members=f"bob@{corp}"))
    done(api.post(f"/api/maillist/{TEAM}", members="z@far.test"))
    common: dict[str, Any] = {
        "objectClass": "mailExternalUser",
        "accountStatus": "active",
        "enabledService": ["mail", "deliver"],
    }
    alias, both = "crew@alias.test", ["x@far.test", "Y@far.test"]
    world.add(f"memberOfGroup={alias},{OUTSIDE}", memberOfGroup=alias, mail=both, **common)
    world.modify(world.tree.externals(TEAM), (0, "shadowAddress", [alias.encode()]))
    world.modify(world.tree.user(f"ann@{corp}"), (0, "memberOfGroup", [alias.encode()]))
    return alias


def test_members_of_a_further_address_alone_are_shown_and_leave(
    api: Client, world: World, corp: str, postfix: Postfix, by_alias: str
) -> None:
    """Mail to that address comes to them; whoever else the entries hold is left alone."""
    path = f"/api/maillist/{CREW}"
    bob, ann, x, y, z = f"bob@{corp}", f"ann@{corp}", "x@far.test", "y@far.test", "z@far.test"
    assert {m.lower() for m in postfix.recipients(by_alias)} == {bob, ann, x, y, z}
    shown = api.get(path).json()["_data"]["members"]
    assert {m.lower() for m in shown} == {bob, ann, x, y, z}

    done(api.put(path, removeMember=x))
    assert {m.lower() for m in postfix.recipients(by_alias)} == {bob, ann, y, z}
    done(api.put(path, removeMember=f"{z},{ann}"))
    assert {m.lower() for m in postfix.recipients(by_alias)} == {bob, y}
    assert postfix.recipients(TEAM) == {z}
    assert postfix.recipients(CREW) == {bob}

    done(api.put(path, addMember=y))
    assert postfix.recipients(CREW) == {bob, y}
    done(api.put(path, addMember=f"w@far.test,{ann}"))
    assert postfix.recipients(CREW) == {bob, y, "w@far.test", ann}
    done(api.put(path, members=""))
    assert postfix.recipients(CREW) == postfix.recipients(by_alias) == set()
    assert postfix.recipients(TEAM) == {z}


def test_members_of_a_further_address_alone_go_with_the_list(
    api: Client, world: World, corp: str, postfix: Postfix, by_alias: str
) -> None:
    done(api.delete(f"/api/maillist/{CREW}"))
    assert not world.find(f"(|(memberOfGroup={by_alias})(shadowAddress={by_alias}))")
    assert postfix.recipients(TEAM) == {"z@far.test"}


def test_members_marked_before_their_list_is_made_stay(
    api: Client, world: World, corp: str, postfix: Postfix
) -> None:
    """Mail to the address has come to them already; the answer names them."""
    done(api.put(f"/api/domain/{corp}", addAliasDomain="alias.test"))
    done(api.post(f"/api/user/ann@{corp}", password=PASSWORD))
    done(api.post("/api/user/eve@other.test", password=PASSWORD))
    for mail in (f"ann@{corp}", "eve@other.test"):
        world.modify(world.tree.user(mail), (0, "memberOfGroup", [CREW.upper().encode()]))
    world.add(
        world.tree.externals(CREW),
        objectClass="mailExternalUser",
        memberOfGroup=CREW,
        mail=["x@far.test", "y@far.test"],
        accountStatus="active",
        enabledService=["mail", "deliver"],
    )
    everybody = {f"ann@{corp}", "eve@other.test", f"bob@{corp}", *("x@far.test", "y@far.test")}

    answer = done(api.post(f"/api/maillist/{CREW}", members=f"bob@{corp},ann@{corp},y@far.test"))

    assert answer.headers["X-Kept-Members"] == "eve@other.test, x@far.test"
    assert "X-Ignored-Values" not in answer.headers
    assert set(api.get(f"/api/maillist/{CREW}").json()["_data"]["members"]) == everybody
    assert postfix.recipients(CREW) == everybody
    named = world.attributes(world.tree.maillist(CREW))["member"]
    assert named == {world.tree.user(m) for m in everybody if "far" not in m}
    assert postfix.recipients("crew@alias.test") >= {f"bob@{corp}", "eve@other.test"}


def test_a_group_loses_the_members_of_a_domain_that_goes(
    api: Client, world: World, corp: str
) -> None:
    """Groups of other programs name them by DN, as those of single accounts that go."""
    done(api.post("/api/user/eve@other.test", password=PASSWORD))
    done(api.post("/api/user/joe@other.test", password=PASSWORD))
    bob, eve, joe = map(world.tree.user, (f"bob@{corp}", "eve@other.test", "joe@other.test"))
    for group, attribute in (("groupOfNames", "member"), ("groupOfUniqueNames", "uniqueMember")):
        dn = f"cn={group},ou=Groups,{DOMAIN}"
        world.add(dn, objectClass=group, cn=group, **{attribute: [bob, eve, joe]})
    done(api.delete("/api/user/joe@other.test"))
    done(api.delete("/api/domain/other.test"))
    for group, attribute in (("groupOfNames", "member"), ("groupOfUniqueNames", "uniqueMember")):
        assert world.attributes(f"cn={group},ou=Groups,{DOMAIN}")[attribute] == {bob}


def test_a_domain_without_containers_keeps_what_it_says(api: Client, world: World) -> None:
    """Another tool made it, or somebody changed it: to ask for it again takes nothing away."""
    common: dict[str, Any] = {
        "objectClass": "mailDomain",
        "accountStatus": "active",
        "enabledService": ["mail"],
        "accountSetting": ["numberOfUsers:5"],
    }
    aliased, changed = (world.tree.domain(name) for name in ("aliased.test", "changed.test"))
    world.add(aliased, domainName="aliased.test", domainAliasName="alias.test", **common)
    world.add(changed, domainName="changed.test", **common)
    # The directory tells a change from the creation by the second.
    made = world.entry(changed)
    assert made
    wait_until(lambda: _changed_later(world, changed, made.text("createTimestamp")))
    before = world.snapshot()
    refused(api.post("/api/domain/aliased.test"), 409, "ALREADY_EXISTS")
    refused(api.post("/api/domain/changed.test", numberOfUsers=9), 409, "ALREADY_EXISTS")
    assert world.snapshot() == before
    done(api.post("/api/alias/team@changed.test", members="x@far.test"))
    assert world.attributes(world.tree.alias("team@changed.test"))


def _changed_later(world: World, dn: str, made: str | None) -> bool:
    world.set(dn, cn="Changed")
    entry = world.entry(dn)
    return entry is not None and entry.text("modifyTimestamp") != made


def test_blanks_around_what_is_stored_are_none(
    api: Client, world: World, corp: str, postfix: Postfix
) -> None:
    """The directory and Postfix regard none at either end: the account is the same, and taken."""
    dn = f"uid=ann,{USERS}"
    plant(world, dn, f"ann@{corp} ", shadowAddress=f" anna@{corp}", accountStatus="Active ")
    assert postfix.recipients(f"ann@{corp}") == {f"ann@{corp}"}
    before = world.snapshot()
    for kind in ("user", "alias", "maillist"):
        for name in ("ann", "anna"):
            answer = api.post(f"/api/{kind}/{name}@{corp}", password=PASSWORD)
            refused(answer, 409, "ALREADY_EXISTS")
    refused(api.put(f"/api/user/bob@{corp}", addAlias=f"anna@{corp}"), 409, "ALREADY_EXISTS")
    assert world.snapshot() == before

    assert api.get(f"/api/users/{corp}", email_only="yes").json()["_data"] == [
        f"ann@{corp}",
        f"bob@{corp}",
    ]
    assert f"ann@{corp}" in api.get(f"/api/users/{corp}").json()["_data"]
    assert "dn: uid=ann," in exported(api, f"user/ann@{corp}")
    done(api.post(f"/api/maillist/crew@{corp}", members=f"ann@{corp}"))
    done(api.post(f"/api/alias/team@{corp}", members=f"ann@{corp}"))
    team = world.tree.alias(f"team@{corp}")
    world.set(team, mailForwardingAddress=[f"ann@{corp} ", "x@far.test "])
    done(api.put(f"/api/alias/team@{corp}", removeMember="x@far.test"))
    done(api.post(f"/api/user/ann@{corp}/change_email/eve@{corp}"))
    assert world.attributes(team)["mailForwardingAddress"] == {f"eve@{corp}"}
    world.set(team, mailForwardingAddress=[f"eve@{corp} "])
    done(api.delete(f"/api/user/eve@{corp}"))
    assert "mailForwardingAddress" not in world.attributes(team)
    assert "member" not in world.attributes(world.tree.maillist(f"crew@{corp}"))


def test_entries_that_a_change_of_many_would_unname_are_told(
    api: Client, world: World, corp: str
) -> None:
    """With the parameter, if one was sent for it; nothing is changed."""
    german = f"preferredLanguage=de_DE,{USERS}"
    plant(world, german, f"ann@{corp}", preferredLanguage="de_DE")
    follower = f"mailForwardingAddress=bob@{corp},ou=Users,domainName=other.test,o=domains,{SUFFIX}"
    plant(world, follower, "eve@other.test", mailForwardingAddress=f"bob@{corp}")
    before = world.snapshot()
    for answer, named, dn in (
        (
            api.put(f"/api/users/{corp}", preferredLanguage="en_US"),
            {"parameter": "preferredLanguage", "attribute": "preferredLanguage"},
            german,
        ),
        (api.delete(f"/api/user/bob@{corp}"), {"attribute": "mailForwardingAddress"}, follower),
        (api.delete(f"/api/domain/{corp}"), {"attribute": "mailForwardingAddress"}, follower),
    ):
        assert (answer.status_code, answer.json()["_msg"]) == (422, "SCHEMA_VIOLATION")
        assert answer.json()["_data"] == {"naming": [named], "entries": [dn]}
    assert world.snapshot() == before
    done(api.put(f"/api/users/{corp}", language="de_DE"))


def test_an_account_below_another_one_stays(api: Client, world: World, corp: str) -> None:
    """Nobody asked for its end: who has one below is not deleted; mentions of both are renamed."""
    bob = world.tree.user(f"bob@{corp}")
    plant(world, f"mail=sub@{corp},{bob}", f"sub@{corp}")
    done(api.post(f"/api/maillist/crew@{corp}", members=f"bob@{corp},sub@{corp}"))
    before = world.snapshot()
    answer = api.delete(f"/api/user/bob@{corp}")
    assert (answer.status_code, answer.json()["_msg"]) == (409, "HAS_CHILDREN")
    assert answer.json()["_data"] == {"entries": [f"mail=sub@{corp},{bob}"]}
    assert world.snapshot() == before
    done(api.post(f"/api/user/bob@{corp}/change_email/rob@{corp}"))
    rob = world.tree.user(f"rob@{corp}")
    crew = world.attributes(world.tree.maillist(f"crew@{corp}"))
    assert crew["member"] == {rob, f"mail=sub@{corp},{rob}"}
    done(api.delete(f"/api/user/sub@{corp}"))
    done(api.delete(f"/api/user/rob@{corp}"))


def test_a_group_below_a_user_goes_along(api: Client, world: World, corp: str) -> None:
    """Also one that has no other member."""
    bob = world.tree.user(f"bob@{corp}")
    world.add(f"cn=own,{bob}", objectClass="groupOfNames", cn="own", member=bob)
    done(api.delete(f"/api/user/bob@{corp}"))
    assert world.entry(bob) is None


def test_members_of_a_name_in_an_alias_domain_go_with_it(
    api: Client, world: World, corp: str, postfix: Postfix
) -> None:
    """Entries of members elsewhere that another tool made for that name of a list."""
    done(api.post(f"/api/maillist/crew@{corp}", members=f"bob@{corp}"))
    done(api.put(f"/api/domain/{corp}", addAliasDomain="alias.test"))
    unit = f"ou=Externals,{DOMAIN}"
    common: dict[str, Any] = {
        "objectClass": "mailExternalUser",
        "accountStatus": "active",
        "enabledService": ["mail", "deliver"],
    }
    one, both = f"mail=x@far.test,{unit}", f"mail=y@far.test,{unit}"
    world.add(one, mail="x@far.test", memberOfGroup="crew@alias.test", **common)
    lists = [f"crew@{corp}", "crew@alias.test"]
    world.add(both, mail="y@far.test", memberOfGroup=lists, **common)
    named = f"memberOfGroup=crew@alias.test,{unit}"
    world.add(named, mail="z@far.test", memberOfGroup=lists, **common)
    assert "x@far.test" in postfix.recipients("crew@alias.test")
    done(api.put(f"/api/domain/{corp}", removeAliasDomain="alias.test"))
    assert world.entry(one) is None
    assert world.attributes(both)["memberOfGroup"] == {f"crew@{corp}"}
    assert postfix.recipients(f"crew@{corp}") == {f"bob@{corp}", "y@far.test", "z@far.test"}


def test_members_under_a_name_that_a_list_lacks_go_with_it(
    api: Client, world: World, corp: str, postfix: Postfix
) -> None:
    """A list of another tool lacks its name in an alias domain; mail to that reaches them."""
    done(api.post("/api/user/eve@other.test", password=PASSWORD))
    done(api.put(f"/api/domain/{corp}", addAliasDomain="alias.test"))
    for name in ("crew", "team"):
        done(api.post(f"/api/maillist/{name}@{corp}", members="y@far.test"))
        world.set(world.tree.maillist(f"{name}@{corp}"), shadowAddress=None)
    done(api.post("/api/user/team@other.test", password=PASSWORD))
    eve, other = (world.tree.user(f"{name}@other.test") for name in ("eve", "team"))
    world.set(other, shadowAddress="team@alias.test")
    world.set(eve, memberOfGroup=["crew@alias.test", "team@alias.test"])
    unit = f"ou=Externals,{DOMAIN}"
    for name in ("crew", "team"):
        world.add(
            f"mail={name}@far.test,{unit}",
            objectClass="mailExternalUser",
            mail=f"{name}@far.test",
            memberOfGroup=f"{name}@alias.test",
            accountStatus="active",
            enabledService=["mail", "deliver"],
        )
    assert postfix.recipients("crew@alias.test") >= {"crew@far.test", "eve@other.test"}

    for name in ("crew", "team"):
        done(api.delete(f"/api/maillist/{name}@{corp}"))

    assert not postfix.recipients("crew@alias.test")
    assert world.entry(f"mail=crew@far.test,{unit}") is None
    # The name in the alias domain was another account's.
    assert world.attributes(eve)["memberOfGroup"] == {"team@alias.test"}
    assert world.entry(f"mail=team@far.test,{unit}")


def test_an_account_in_another_domain_than_that_of_its_address(
    api: Client, world: World, corp: str, postfix: Postfix
) -> None:
    """Listed where it stands and delivered to: a global admin does with it what they like."""
    done(api.post(f"/api/user/boss@{corp}", password=PASSWORD))
    done(api.post("/api/user/chief@other.test", password=PASSWORD))
    for mail in (f"boss@{corp}", "chief@other.test"):
        done(api.put(f"/api/domain/admins/{mail.partition('@')[2]}", addAdmin=mail))
    plant(world, f"mail=ann@other.test,{USERS}", "ann@other.test")
    plant(world, f"mail=eve@far.test,{USERS}", "eve@far.test")
    info = f"mail=info@other.test,ou=Aliases,{DOMAIN}"
    crew = f"mail=crew@other.test,ou=Groups,{DOMAIN}"
    common: dict[str, Any] = {"accountStatus": "active", "enabledService": ["mail", "deliver"]}
    world.add(info, objectClass="mailAlias", mail="info@other.test", **common)
    world.add(crew, objectClass="mailList", mail="crew@other.test", **common)
    told = {violation.dn for violation in examine(world.tree, world.find())
            if violation.rule == "address-foreign"}  # fmt: skip
    assert told == {f"mail={m},{USERS}" for m in ("ann@other.test", "eve@far.test")} | {info, crew}
    assert postfix.recipients("ann@other.test") == {"ann@other.test"}
    paths = [
        *("user/ann@other.test", "user/eve@far.test", "alias/info@other.test"),
        "maillist/crew@other.test",
    ]
    before = world.snapshot()
    for mail in (f"boss@{corp}", "chief@other.test"):
        # The one manages the entry, the other the address.
        admin = Client(api.url)
        admin.log_in(mail, PASSWORD)
        for path in paths:
            for answer in (
                admin.get(f"/api/{path}"),
                admin.get(f"/api/ldif/{path}"),
                admin.put(f"/api/{path}", name="x"),
                admin.delete(f"/api/{path}"),
            ):
                assert answer.status_code in {403, 404}, answer.text
    assert world.snapshot() == before
    for path in paths:
        assert api.get(f"/api/{path}").json()["_success"]
        assert ",ou=" in exported(api, path)
        done(api.put(f"/api/{path}", name="New"))
    done(api.put("/api/user/eve@far.test", accountStatus="disabled", quota=5))
    done(api.post("/api/verify_password/user/ann@other.test", password=PASSWORD))
    done(api.post(f"/api/user/ann@other.test/change_email/ann@{corp}"))
    assert world.attributes(world.tree.user(f"ann@{corp}"))["cn"] == {"New"}
    for path in (f"user/ann@{corp}", *paths[1:]):
        done(api.delete(f"/api/{path}"))
    assert not world.find("(|(mail=*@far.test)(mail=info@*)(mail=crew@*))")


def test_an_entry_named_by_a_member_goes_with_that_member(
    api: Client, world: World, corp: str, postfix: Postfix
) -> None:
    """The other members elsewhere that it holds stay on the list."""
    done(api.post(f"/api/maillist/crew@{corp}", members=f"bob@{corp}"))
    for name in ("x", "y"):
        world.add(
            f"mail={name}@far.test,ou=Externals,{DOMAIN}",
            objectClass="mailExternalUser",
            mail=[f"{name}@far.test", f"{name}{name}@far.test"],
            memberOfGroup=f"crew@{corp}",
            accountStatus="active",
            enabledService=["mail", "deliver"],
        )
    done(api.put(f"/api/maillist/crew@{corp}", removeMember="x@far.test"))
    assert world.entry(f"mail=x@far.test,ou=Externals,{DOMAIN}") is None
    there = {f"bob@{corp}", "xx@far.test", "y@far.test", "yy@far.test"}
    assert postfix.recipients(f"crew@{corp}") == there
    done(api.put(f"/api/maillist/crew@{corp}", members=f"bob@{corp},z@far.test"))
    assert postfix.recipients(f"crew@{corp}") == {f"bob@{corp}", "z@far.test"}
