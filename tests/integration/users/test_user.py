"""Mail users through the API, judged by what stands in the directory."""

import re
import threading
from typing import Any

import ldap
import pytest

from iredldap.dit import user_entry
from tests.support.client import Client, done, refused
from tests.support.serving import Served
from tests.support.world import ADMIN, World

PASSWORD = "a good password"


@pytest.fixture
def corp(api: Client) -> str:
    """A domain."""
    done(api.post("/api/domain/corp.test"))
    return "corp.test"


def test_new_user_has_every_default(api: Client, world: World, corp: str) -> None:
    """What iRedMail's own tools write, and nothing else."""
    done(api.post("/api/user/Zhang@corp.test", password=PASSWORD))
    dn = world.tree.user("zhang@corp.test")
    attributes = world.attributes(dn)
    home, stored = attributes.pop("homeDirectory"), attributes.pop("userPassword")
    changed = attributes.pop("shadowLastChange")
    assert attributes == {
        "objectClass": {"inetOrgPerson", "mailUser", "shadowAccount", "amavisAccount"},
        "mail": {"zhang@corp.test"},
        "cn": {"zhang"},
        "sn": {"zhang"},
        "uid": {"zhang"},
        "accountStatus": {"active"},
        "amavisLocal": {"TRUE"},
        "enabledService": set(user_entry.SERVICES),
        "preferredLanguage": {"en_US"},
        "mailboxFormat": {"maildir"},
        "mailboxFolder": {"Maildir"},
    }
    pattern = r"/var/vmail/vmail1/corp\.test/z/h/a/zhang-\d{4}(\.\d\d){5}/"
    assert re.fullmatch(pattern, home.pop())
    assert stored.pop().startswith("{SSHA512}")
    assert int(changed.pop()) > 20000
    assert world.connect(dn, PASSWORD).whoami_s().lower() == f"dn:{dn.lower()}"


def test_new_user_takes_every_parameter(api: Client, world: World, corp: str) -> None:
    """Megabytes become bytes, paths lower case, folders keep theirs, hashes are stored as given."""
    stored = "{SSHA}" + "W9FFYEfg/XKQ+s0kEqxnGTnk6Yc3OTk5OTk5OTk="
    done(
        api.post(
            "/api/user/ann@corp.test",
            name="Ännchen von Tharau",
            password_hash=stored,
            language="de_DE",
            quota=1024,
            mailboxFormat="MDBOX",
            mailboxFolder="Post",
            maildir="/srv/Mail/corp.test/Ann",
        )
    )
    attributes = world.attributes(world.tree.user("ann@corp.test"))
    assert attributes["cn"] == {"Ännchen von Tharau"}
    assert attributes["userPassword"] == {stored}
    assert attributes["preferredLanguage"] == {"de_DE"}
    assert attributes["mailQuota"] == {"1073741824"}
    assert attributes["mailboxFormat"] == {"mdbox"}
    assert attributes["mailboxFolder"] == {"Post"}
    assert attributes["homeDirectory"] == {"/srv/mail/corp.test/ann/"}


def test_new_user_takes_after_their_domain(api: Client, world: World) -> None:
    """Quota, language, storage, alias names, lists and withheld services come from the domain."""
    done(api.post("/api/domain/corp.test", defaultQuota=100, language="ja_JP"))
    dn = world.tree.domain("corp.test")
    world.add(
        world.tree.maillist("all@corp.test"),
        objectClass="mailList",
        mail="all@corp.test",
    )
    world.set(dn, domainAliasName=["corp.example", "corp.invalid"])
    world.modify(
        dn,
        (
            ldap.MOD_ADD,
            "accountSetting",
            [
                b"defaultList:all@corp.test,ghost@corp.test",
                b"defaultStorageBaseDirectory:/srv/mail",
                b"disabledMailService:imapsecured",
                b"disabledMailService:managesieve",
            ],
        ),
    )
    done(api.post("/api/user/ann@corp.test", password=PASSWORD))
    attributes = world.attributes(world.tree.user("ann@corp.test"))
    assert attributes["mailQuota"] == {str(100 * 1024 * 1024)}
    assert attributes["preferredLanguage"] == {"ja_JP"}
    assert attributes["shadowAddress"] == {"ann@corp.example", "ann@corp.invalid"}
    assert attributes["memberOfGroup"] == {"all@corp.test"}
    assert attributes["homeDirectory"].pop().startswith("/srv/mail/corp.test/a/n/n/ann-")
    withheld = {"imapsecured", "imaptls", "managesieve", "sieve"}
    assert attributes["enabledService"] == set(user_entry.SERVICES) - withheld


@pytest.mark.parametrize(
    ("limits", "asked", "stored"),
    [
        ({}, {}, None),
        ({}, {"quota": 0}, None),
        ({"defaultQuota": 50}, {}, 50),
        ({"defaultQuota": 50}, {"quota": ""}, 50),
        ({"defaultQuota": 50}, {"quota": 70}, 70),
        ({"defaultQuota": 50, "maxUserQuota": 20}, {}, 20),
        ({"maxUserQuota": 20}, {}, 20),
        ({"quota": 10}, {}, 10),
        ({"quota": 100, "defaultQuota": 50}, {}, 50),
        ({"quota": 10, "defaultQuota": 50}, {"quota": 10}, 10),
        ({"quota": 30, "maxUserQuota": 20}, {"mailQuota": 20}, 20),
    ],
)
def test_quota_of_a_new_user(
    api: Client, world: World, limits: dict[str, Any], asked: dict[str, Any], stored: int | None
) -> None:
    """Asked for, or the smallest of what the domain gives, allows and has left."""
    done(api.post("/api/domain/corp.test", **limits))
    done(api.post("/api/user/ann@corp.test", password=PASSWORD, **asked))
    quota = world.attributes(world.tree.user("ann@corp.test")).get("mailQuota")
    assert quota == ({str(stored * 1024 * 1024)} if stored else None)


@pytest.mark.parametrize(
    ("limits", "asked", "code"),
    [
        ({"numberOfUsers": -1}, {}, "NOT_ALLOWED"),
        ({"numberOfUsers": 1}, {}, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT"),
        ({"quota": 100}, {}, "EXCEEDED_DOMAIN_QUOTA_SIZE"),
        ({"quota": 150}, {"quota": 51}, "EXCEEDED_DOMAIN_QUOTA_SIZE"),
        ({"maxUserQuota": 100}, {"quota": 101}, "EXCEEDED_MAX_USER_QUOTA"),
    ],
)
def test_limits_of_a_domain(
    api: Client, world: World, corp: str, limits: dict[str, Any], asked: dict[str, Any], code: str
) -> None:
    """The catch-all is no user; what is in use counts."""
    done(api.post("/api/user/first@corp.test", password=PASSWORD, quota=100))
    world.add(
        world.tree.catchall("corp.test"),
        objectClass=["inetOrgPerson", "mailUser"],
        mail="@corp.test",
        cn="x",
        sn="x",
        uid="x",
    )
    done(api.put("/api/domain/corp.test", **limits))
    before = world.snapshot()
    refused(api.post("/api/user/ann@corp.test", password=PASSWORD, **asked), 409, code)
    assert world.snapshot() == before


def test_address_is_unique_over_every_kind(api: Client, world: World, corp: str) -> None:
    """Users, lists, aliases and their further addresses; external members do not count."""
    tree = world.tree
    done(api.post("/api/user/ann@corp.test", password=PASSWORD))
    world.set(tree.user("ann@corp.test"), shadowAddress=["anne@corp.test"])
    for dn, kind, mail in (
        (tree.maillist("crew@corp.test"), "mailList", "crew@corp.test"),
        (tree.alias("info@corp.test"), "mailAlias", "info@corp.test"),
    ):
        world.add(dn, objectClass=kind, mail=mail, shadowAddress=f"also-{mail}")
    world.add(
        tree.externals("crew@corp.test"),
        objectClass="mailExternalUser",
        memberOfGroup="crew@corp.test",
        mail=["ext@corp.test"],
    )
    before = world.snapshot()
    for taken in (
        "ann@corp.test",
        "ANNE@corp.test",
        "crew@corp.test",
        "also-crew@corp.test",
        "info@corp.test",
        "also-info@corp.test",
    ):
        refused(api.post(f"/api/user/{taken}", password=PASSWORD), 409, "ALREADY_EXISTS")
    assert world.snapshot() == before
    done(api.post("/api/user/ext@corp.test", password=PASSWORD))


def test_name_in_an_alias_domain_that_is_taken(api: Client, world: World, corp: str) -> None:
    """It stays with whom it belongs to, and the answer says so."""
    done(api.post("/api/user/bob@corp.test", password=PASSWORD))
    world.set(world.tree.user("bob@corp.test"), shadowAddress=["ann@corp.example"])
    world.set(world.tree.domain("corp.test"), domainAliasName=["corp.example", "corp.invalid"])
    answer = done(api.post("/api/user/ann@corp.test", password=PASSWORD))
    assert answer.headers["X-Ignored-Values"] == "ann@corp.example"
    ann = world.attributes(world.tree.user("ann@corp.test"))
    assert ann["shadowAddress"] == {"ann@corp.invalid"}


def test_one_address_asked_for_at_once(api: Client, world: World, corp: str) -> None:
    """Ten clients, one winner; nobody gets an error of ours."""
    answers: list[tuple[int, str]] = []

    def create() -> None:
        client = Client(api.url)
        client.session.cookies.update(api.session.cookies)
        answer = client.post("/api/user/ann@corp.test", password=PASSWORD)
        answers.append((answer.status_code, answer.json().get("_msg", "")))

    threads = [threading.Thread(target=create) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [(200, "")] + [(409, "ALREADY_EXISTS")] * 9
    assert world.entry(world.tree.user("ann@corp.test"))


def test_last_place_asked_for_at_once(api: Client, world: World) -> None:
    """A limit holds when several clients want the last places together."""
    done(api.post("/api/domain/corp.test", numberOfUsers=3))

    def create(number: int) -> None:
        client = Client(api.url)
        client.session.cookies.update(api.session.cookies)
        answer = client.post(f"/api/user/u{number}@corp.test", password=PASSWORD)
        assert answer.status_code in {200, 409}, answer.text

    threads = [threading.Thread(target=create, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(world.find("(objectClass=mailUser)")) <= 3


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "PW_EMPTY"),
        ("   ", "PW_EMPTY"),
        ("short", "PW_SHORTER_THAN_MIN_LENGTH"),
        ("pässwörter", "PW_NON_ASCII"),
        ("ann@corp.test", "PW_IS_ADDRESS"),
        ("kürz", "PW_NON_ASCII,PW_SHORTER_THAN_MIN_LENGTH"),
    ],
)
def test_weak_password(api: Client, world: World, corp: str, password: str, code: str) -> None:
    """Every broken rule is named, and nothing is written."""
    before = world.snapshot()
    answer = api.post("/api/user/ann@corp.test", password=password)
    refused(answer, 422, code)
    assert answer.headers["X-Invalid-Parameters"] == "password"
    assert world.snapshot() == before


def test_domain_decides_on_lengths(api: Client, world: World, corp: str) -> None:
    """Its own lengths go before the server's, 0 falls back to them."""
    done(api.put("/api/domain/corp.test", minPasswordLength=4, maxPasswordLength=6))
    refused(api.post("/api/user/a@corp.test", password="abc"), 422, "PW_SHORTER_THAN_MIN_LENGTH")
    refused(
        api.post("/api/user/a@corp.test", password="abcdefg"), 422, "PW_GREATER_THAN_MAX_LENGTH"
    )
    done(api.post("/api/user/a@corp.test", password="abcd"))
    done(api.put("/api/domain/corp.test", minPasswordLength=0, maxPasswordLength=0))
    refused(api.post("/api/user/b@corp.test", password="abcd"), 422, "PW_SHORTER_THAN_MIN_LENGTH")


def test_composition_rules_are_switches(serve: Any, world: World) -> None:
    """Off by default; each has its own code."""
    strict = serve(
        passwords={
            "require_letter": True,
            "require_uppercase": True,
            "require_digit": True,
            "require_special": True,
        }
    )
    client = strict.client().log_in()
    done(client.post("/api/domain/corp.test"))
    for password, codes in (
        ("12345678", "PW_NO_LETTER,PW_NO_UPPERCASE,PW_NO_SPECIAL_CHAR"),
        ("........", "PW_NO_LETTER,PW_NO_UPPERCASE,PW_NO_DIGIT_NUMBER"),
        ("abcdefgh", "PW_NO_UPPERCASE,PW_NO_DIGIT_NUMBER,PW_NO_SPECIAL_CHAR"),
    ):
        refused(client.post("/api/user/a@corp.test", password=password), 422, codes)
    done(client.post("/api/user/a@corp.test", password="Abcdef1!"))


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("{ssha512}" + "A" * 95 + "=", "{SSHA512}" + "A" * 95 + "="),
        ("{BLF-CRYPT}$2y$10$" + "a" * 53, "{CRYPT}$2y$10$" + "a" * 53),
        ("{SHA512-CRYPT}$6$salt$" + "b" * 86, "{CRYPT}$6$salt$" + "b" * 86),
        ("{CRYPT}$1$salt$" + "c" * 22, "{CRYPT}$1$salt$" + "c" * 22),
        ("$6$salt$" + "b" * 86, None),
        ("{PLAIN}secret", None),
        ("{SSHA}not base64!", None),
        ("{SSHA}c2hvcnQ=", None),
        ("{CRAM-MD5}" + "d" * 64, None),
        ("clear text", None),
        ("{CRYPT}", None),
    ],
)
def test_ready_made_hashes(
    api: Client, world: World, corp: str, given: str, stored: str | None
) -> None:
    """Only what the directory verifies, in the form in which it does; a bare hash is clear text."""
    answer = api.post("/api/user/ann@corp.test", password_hash=given)
    if stored is None:
        refused(answer, 422, "INVALID_PASSWORD_SCHEME")
        assert world.entry(world.tree.user("ann@corp.test")) is None
    else:
        done(answer)
        assert world.attributes(world.tree.user("ann@corp.test"))["userPassword"] == {stored}


def test_password_loses_only_blanks_around_it(api: Client, world: World, corp: str) -> None:
    """Blanks inside belong to it."""
    done(api.post("/api/user/ann@corp.test", password="  two  words  "))
    world.connect(world.tree.user("ann@corp.test"), "two  words")


def test_chosen_scheme(serve: Any, world: World) -> None:
    """Every scheme that can be configured gives passwords that the directory verifies."""
    for scheme, prefix in (("SSHA", "{SSHA}"), ("BCRYPT", "{CRYPT}$2b$05$")):
        server = serve(passwords={"password_scheme": scheme, "bcrypt_rounds": 5})
        client = server.client().log_in()
        client.post("/api/domain/corp.test")
        mail = f"{scheme.lower()}@corp.test"
        done(client.post(f"/api/user/{mail}", password=PASSWORD))
        dn = world.tree.user(mail)
        assert world.attributes(dn)["userPassword"].pop().startswith(prefix)
        world.connect(dn, PASSWORD)
    too_long = client.post("/api/user/long@corp.test", password="x" * 73)
    refused(too_long, 422, "PW_GREATER_THAN_MAX_LENGTH")


def test_read_withholds_secrets(api: Client, serve: Any, world: World, corp: str) -> None:
    """Hidden attributes are hidden; an empty list shows hashes on purpose."""
    done(api.post("/api/user/ann@corp.test", password=PASSWORD, quota=3))
    answer = api.get("/api/user/ann@corp.test")
    assert "userPassword" not in answer.json()["_data"]
    assert "SSHA" not in answer.text
    assert answer.json()["_data"]["mailQuota"] == ["3145728"]
    revealing = serve(api={"api_hidden_user_profiles": []}).client().log_in()
    shown = revealing.get("/api/user/ann@corp.test").json()["_data"]
    assert shown["userPassword"][0].startswith("{SSHA512}")


def test_deleted_user_leaves_no_mention(api: Client, world: World, corp: str) -> None:
    """All their addresses go from forwardings, aliases, lists, copies, admins and managers."""
    tree = world.tree
    done(api.post("/api/domain/other.test"))
    for mail in ("ann@corp.test", "bob@corp.test", "cid@other.test"):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    ann = tree.user("ann@corp.test")
    world.set(ann, shadowAddress=["anne@corp.test"], mailForwardingAddress=["ann@corp.test"])
    world.set(
        tree.user("cid@other.test"),
        mailForwardingAddress=["ann@corp.test", "cid@other.test"],
        userSenderBccAddress="anne@corp.test",
    )
    world.set(tree.user("bob@corp.test"), userManager=["ann@corp.test"])
    world.set(
        tree.domain("other.test"),
        domainAdmin=["ann@corp.test"],
        domainRecipientBccAddress="ann@corp.test",
    )
    world.add(
        tree.alias("info@other.test"),
        objectClass="mailAlias",
        mail="info@other.test",
        mailForwardingAddress=["Anne@corp.test", "bob@corp.test"],
        listModerator=["ann@corp.test"],
    )
    world.add(
        tree.maillist("crew@other.test"),
        objectClass="mailList",
        mail="crew@other.test",
        listAllowedUser=["ann@corp.test", "corp.test"],
        listOwner=["ann@corp.test"],
        member=[ann, tree.user("bob@corp.test")],
    )
    world.add(
        tree.externals("crew@other.test"),
        objectClass="mailExternalUser",
        memberOfGroup="crew@other.test",
        mail=["ann@corp.test"],
    )

    done(api.delete("/api/user/ann@corp.test"))

    mentions = [
        (entry.dn, name, value)
        for entry in world.find()
        for name, values in entry.attributes.items()
        for value in values
        # Any letters may stand in a hash.
        if name != "userPassword" and b"ann" in value.lower()
    ]
    assert mentions == []
    cid = world.attributes(tree.user("cid@other.test"))
    assert cid["mailForwardingAddress"] == {"cid@other.test"}
    crew = world.attributes(tree.maillist("crew@other.test"))
    assert crew["listAllowedUser"] == {"corp.test"}
    assert crew["member"] == {tree.user("bob@corp.test")}
    refused(api.delete("/api/user/ann@corp.test"), 404, "NO_SUCH_ACCOUNT")


def test_no_admin_deletes_their_own_account_or_the_last_global_admin(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """Somebody must be left who can log in."""
    for name in ("boss", "vice"):
        done(api.post(f"/api/user/{name}@corp.test", password=PASSWORD))
        world.set(world.tree.user(f"{name}@corp.test"), domainGlobalAdmin="yes")
    boss = served.client().log_in("boss@corp.test", PASSWORD)
    refused(boss.delete("/api/user/boss@corp.test"), 403, "PERMISSION_DENIED")
    world.set(world.tree.admin(ADMIN), accountStatus="disabled")
    world.set(world.tree.user("boss@corp.test"), accountStatus="disabled")
    vice = served.client().log_in("vice@corp.test", PASSWORD)
    done(vice.delete("/api/user/boss@corp.test"))
    refused(vice.delete("/api/user/vice@corp.test"), 403, "PERMISSION_DENIED")


def test_normal_admin_and_users(api: Client, served: Served, world: World, corp: str) -> None:
    """Users of their domains, but no global admin's account, and no mailbox outside the domain."""
    tree = world.tree
    done(api.post("/api/domain/other.test"))
    for mail in ("adm@corp.test", "boss@corp.test", "x@other.test"):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    world.modify(tree.user("adm@corp.test"), (0, "enabledService", [b"domainadmin"]))
    world.set(tree.domain("corp.test"), domainAdmin=["adm@corp.test"])
    world.set(tree.user("boss@corp.test"), domainGlobalAdmin="yes")
    adm = served.client().log_in("adm@corp.test", PASSWORD)
    before = world.snapshot()

    code = "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE"
    refused(adm.get("/api/user/boss@corp.test"), 403, code)
    refused(adm.delete("/api/user/boss@corp.test"), 403, code)
    refused(adm.get("/api/ldif/user/boss@corp.test"), 403, code)
    for mail in ("x@other.test", "x@none.test"):
        refused(adm.get(f"/api/user/{mail}"), 403, "PERMISSION_DENIED")
        refused(adm.delete(f"/api/user/{mail}"), 403, "PERMISSION_DENIED")
        refused(adm.post(f"/api/user/{mail}", password=PASSWORD), 403, "PERMISSION_DENIED")
    for path in (
        "/var/vmail/vmail1/other.test/x/",
        "/var/vmail/vmail1/corp.test/",
        "/etc/corp.test/x/",
        "/corp.test/",
        "/var/vmail/corp.test",
    ):
        answer = adm.post("/api/user/new@corp.test", password=PASSWORD, maildir=path)
        refused(answer, 403, "PERMISSION_DENIED")
    assert world.snapshot() == before

    path = "/var/vmail/vmail1/corp.test/new"
    done(adm.post("/api/user/new@corp.test", password=PASSWORD, maildir=path))
    done(adm.delete("/api/user/new@corp.test"))
