"""Changes of a mail user through the API, judged by what stands in the directory."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ldap
import pytest

from iredldap.changes.apply import apply
from iredldap.config.sections import Config
from iredldap.dit import user, user_entry
from iredldap.dit.fields import Form
from iredldap.dit.form_parser import parse
from iredldap.dit.plan import Plan
from iredldap.embedded.slapd import Slapd
from iredldap.errors import PermissionDenied, PreconditionFailed
from iredldap.gateways.directory import Directory
from iredldap.limit_errors import ExceededDomainQuotaSize
from iredldap.operations.context import Context
from iredldap.operations.login import Caller
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.operations.users import user_update
from tests.support.client import Client, done, refused
from tests.support.mailservers import Dovecot, Postfix
from tests.support.patience import started
from tests.support.serving import Served
from tests.support.world import ADMIN, READER_PASSWORD, SUFFIX, World, salted

PASSWORD = "a good password"
OTHER = "another good password"
MB = 1024 * 1024
ANN, BOB = "ann@corp.test", "bob@corp.test"
PATH = f"/api/user/{ANN}"
GLOBAL_ADMINS_ONLY = "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE"


@pytest.fixture
def ann(api: Client, world: World) -> str:
    """The DN of a user in a domain with the alias domain corp.example, and bob beside her."""
    done(api.post("/api/domain/corp.test"))
    world.set(
        world.tree.domain("corp.test"),
        domainAliasName="corp.example",
        enabledService=["mail", "domainalias"],
    )
    done(api.post(PATH, password=PASSWORD))
    done(api.post(f"/api/user/{BOB}", password=PASSWORD))
    return world.tree.user(ANN)


@pytest.fixture
def manager(api: Client, served: Served, world: World, ann: str) -> Client:
    """A normal admin of corp.test who is a mail user there."""
    done(api.post("/api/user/adm@corp.test", password=PASSWORD))
    world.modify(world.tree.user("adm@corp.test"), (0, "enabledService", [b"domainadmin"]))
    world.set(world.tree.domain("corp.test"), domainAdmin=["adm@corp.test"])
    return served.client().log_in("adm@corp.test", PASSWORD)


def twin(api: Client) -> Client:
    """Another client with the same session."""
    client = Client(api.url)
    client.session.cookies.update(api.session.cookies)
    return client


def at_once(task: Callable[[str], None], words: Iterable[str]) -> None:
    """Do something for each of some words, all at the same time."""
    threads = [threading.Thread(target=task, args=(word,)) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- single values ----------------------------------------------------------------------------


def test_every_single_value(api: Client, world: World, ann: str) -> None:
    """Under their attributes; what was not sent stays byte for byte."""
    before = world.attributes(ann)

    done(
        api.put(
            PATH,
            name="Ännchen von Tharau",
            gn="Ännchen",
            sn="von Tharau",
            employeeid="№ 12",
            language="de_DE",
            quota=10,
            accountStatus="no",
            transport="smtp:[mx.test]:25",
            mailboxFormat="MDBOX",
            mailboxFolder="Post",
            maildir="/srv/Mail/Ann",
            telephoneNumber="+49 30 1, +49 30 2",
            mobile="+49 170 1",
        )
    )

    assert world.attributes(ann) == before | {
        "cn": {"Ännchen von Tharau"},
        "givenName": {"Ännchen"},
        "sn": {"von Tharau"},
        "employeeNumber": {"№ 12"},
        "preferredLanguage": {"de_DE"},
        "mailQuota": {str(10 * MB)},
        "accountStatus": {"disabled"},
        "mtaTransport": {"smtp:[mx.test]:25"},
        "mailboxFormat": {"mdbox"},
        "mailboxFolder": {"Post"},
        "homeDirectory": {"/srv/mail/ann/"},
        "telephoneNumber": {"+49 30 1", "+49 30 2"},
        "mobile": {"+49 170 1"},
    }


@pytest.mark.parametrize(
    ("parameter", "attribute", "value"),
    [
        ("transport", "mtaTransport", "smtp:[mx.test]:25"),
        ("telephoneNumber", "telephoneNumber", "+49 30 1"),
        ("mobile", "mobile", "+49 170 1"),
        ("senderBcc", "userSenderBccAddress", "x@far.test"),
        ("recipientBcc", "userRecipientBccAddress", "x@far.test"),
        ("forwarding", "mailForwardingAddress", "x@far.test"),
        ("aliases", "shadowAddress", "also@corp.test"),
    ],
)
def test_empty_value_clears(
    api: Client, world: World, ann: str, parameter: str, attribute: str, value: str
) -> None:
    """Where the reference says so, the attribute goes; the services that go with it stay."""
    before = world.attributes(ann)
    done(api.put(PATH, **{parameter: value}))
    assert value in world.attributes(ann)[attribute]

    done(api.put(PATH, **{parameter: ""}))

    assert world.attributes(ann) == before


@pytest.mark.parametrize(
    "parameter",
    ["name", "sn", "quota", "accountStatus", "isGlobalAdmin",
     "services", "addService", "addAlias", "maildir", "mailboxFolder", "password_hash"],
)  # fmt: skip
def test_empty_value_counts_as_not_sent(
    api: Client, world: World, ann: str, parameter: str
) -> None:
    """It is named, however."""
    before = world.snapshot()
    answer = done(api.put(PATH, **{parameter: ""}))
    assert answer.headers["X-Ignored-Parameters"] == parameter
    assert world.snapshot() == before


def test_same_values_again_write_nothing(api: Client, world: World, ann: str) -> None:
    """Sending what is there leaves the entry in its state."""
    values = {"name": "Ann", "quota": 5, "addAlias": "a@corp.test", "mobile": "+1 2", "gn": "A"}
    state = done(api.put(PATH, **values)).headers["ETag"]

    assert done(api.put(PATH, **values)).headers["ETag"] == state


def test_numbers_that_the_directory_takes_for_the_same(api: Client, world: World, ann: str) -> None:
    """Blanks and hyphens do not count: such a repeat is one number, in its latest spelling."""
    done(api.put(PATH, mobile="+49-170-1, +49 170 1, +49 170 2"))
    assert world.attributes(ann)["mobile"] == {"+49-170-1", "+49 170 2"}
    done(api.put(PATH, mobile="+49 170 1"))
    assert world.attributes(ann)["mobile"] == {"+49 170 1"}
    refused(api.put(PATH, mobile=" - "), 400, "INVALID_PARAMETER")


def test_no_such_user(api: Client, ann: str) -> None:
    """The domain's name in an alias domain names nobody in a write."""
    refused(api.put("/api/user/ghost@corp.test", name="x"), 404, "NO_SUCH_ACCOUNT")
    refused(api.put("/api/user/ann@corp.example", name="x"), 404, "NO_SUCH_ACCOUNT")


# --- password ---------------------------------------------------------------------------------


def test_new_password(api: Client, world: World, ann: str) -> None:
    """It takes the place of all that were there, and its day is remembered."""
    world.set(ann, userPassword=[salted(PASSWORD), salted("a third one")], shadowLastChange="1")

    done(api.put(PATH, password=OTHER))

    attributes = world.attributes(ann)
    assert len(attributes["userPassword"]) == 1
    assert int(attributes["shadowLastChange"].pop()) > 20000
    world.connect(ann, OTHER).unbind_s()
    with pytest.raises(ldap.INVALID_CREDENTIALS):
        world.connect(ann, PASSWORD)


def test_ready_made_hash(api: Client, world: World, ann: str) -> None:
    """It is stored as it is, with its day; the rules for passwords are not asked."""
    ready_made = salted("short")
    world.set(ann, shadowLastChange="1")
    done(api.put(PATH, password_hash=ready_made))
    assert world.attributes(ann)["userPassword"] == {ready_made}
    assert world.attributes(ann)["shadowLastChange"] != {"1"}


def test_new_password_of_a_user_without_a_day(api: Client, world: World, ann: str) -> None:
    """An account made by hand may lack the class that has a place for it."""
    world.set(
        ann,
        objectClass=["inetOrgPerson", "mailUser", "amavisAccount"],
        shadowLastChange=None,
    )
    done(api.put(PATH, password=OTHER))
    assert "shadowLastChange" in world.attributes(ann)
    world.connect(ann, OTHER).unbind_s()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"password": "abc"}, "PW_SHORTER_THAN_MIN_LENGTH"),
        ({"password": "abcdefg"}, "PW_GREATER_THAN_MAX_LENGTH"),
        ({"password": "ä"}, "PW_NON_ASCII,PW_SHORTER_THAN_MIN_LENGTH"),
        ({"password": ""}, "PW_EMPTY"),
        ({"password": ANN}, "PW_GREATER_THAN_MAX_LENGTH,PW_IS_ADDRESS"),
        ({"password_hash": "{PLAIN}secret"}, "INVALID_PASSWORD_SCHEME"),
    ],
)
def test_rules_of_the_domain(
    api: Client, world: World, ann: str, sent: dict[str, str], code: str
) -> None:
    done(api.put("/api/domain/corp.test", minPasswordLength=4, maxPasswordLength=6))
    before = world.snapshot()
    refused(api.put(PATH, name="changed", **sent), 422, code)
    assert world.snapshot() == before
    done(api.put(PATH, password="abcd"))


# --- quota ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "quota", "code"),
    [
        ({}, 0, None),
        ({}, 10**6, None),
        ({"quota": 300}, 200, None),
        ({"quota": 300}, 201, "EXCEEDED_DOMAIN_QUOTA_SIZE"),
        ({"quota": 300}, 0, "EXCEEDED_DOMAIN_QUOTA_SIZE"),
        ({"maxUserQuota": 150}, 150, None),
        ({"maxUserQuota": 150}, 151, "EXCEEDED_MAX_USER_QUOTA"),
        ({"maxUserQuota": 150}, 0, "EXCEEDED_MAX_USER_QUOTA"),
        (
            {"quota": 300, "maxUserQuota": 150},
            500,
            "EXCEEDED_DOMAIN_QUOTA_SIZE,EXCEEDED_MAX_USER_QUOTA",
        ),
        # Limits that were lowered below what is in use stop growth only.
        ({"quota": 50}, 100, None),
        ({"quota": 50}, 90, None),
        ({"quota": 50}, 101, "EXCEEDED_DOMAIN_QUOTA_SIZE"),
        ({"maxUserQuota": 50}, 100, None),
    ],
)
def test_size_of_a_mailbox(
    api: Client, world: World, ann: str, limits: dict[str, int], quota: int, code: str | None
) -> None:
    """As large as the domain allows and has left besides what the user has already."""
    for mail in (ANN, BOB):
        done(api.put(f"/api/user/{mail}", quota=100))
    done(api.put("/api/domain/corp.test", **limits))
    before = world.snapshot()

    answer = api.put(PATH, quota=quota, name="changed")

    if code:
        refused(answer, 409, code)
        assert answer.headers["X-Invalid-Parameters"] == "quota"
        assert world.snapshot() == before
    else:
        done(answer)
        stored = world.attributes(ann).get("mailQuota")
        assert stored == ({str(quota * MB)} if quota else None)


def test_two_mailboxes_that_grow_at_once(api: Client, world: World, ann: str) -> None:
    """What the domain has left is not given twice; who loses keeps the old size."""
    for mail in (ANN, BOB):
        done(api.put(f"/api/user/{mail}", quota=100))
    done(api.put("/api/domain/corp.test", quota=300))

    answers: dict[str, int] = {}

    def grow(mail: str) -> None:
        answers[mail] = twin(api).put(f"/api/user/{mail}", quota=200).status_code

    for _ in range(5):
        at_once(grow, (ANN, BOB))
        sizes = {m: world.attributes(world.tree.user(m))["mailQuota"] for m in (ANN, BOB)}
        assert sizes == {m: {str((200 if answers[m] == 200 else 100) * MB)} for m in (ANN, BOB)}
        assert sorted(answers.values()) in ([200, 409], [409, 409])
        for mail in (ANN, BOB):
            done(api.put(f"/api/user/{mail}", quota=100))


# --- forwarding -------------------------------------------------------------------------------


def test_forwarding_by_set_add_and_remove(api: Client, world: World, ann: str) -> None:
    done(api.put(PATH, forwarding=f"X@far.test,{BOB},x@far.test"))
    assert world.attributes(ann)["mailForwardingAddress"] == {"x@far.test", BOB}
    done(api.put(PATH, addForwarding=f"{ANN},y@far.test", removeForwarding=f"{BOB},z@far.test"))
    expected = {"x@far.test", "y@far.test", ANN}
    assert world.attributes(ann)["mailForwardingAddress"] == expected
    done(api.put(PATH, forwarding="z@far.test"))
    assert world.attributes(ann)["mailForwardingAddress"] == {"z@far.test"}


@pytest.mark.parametrize("parameter", ["forwarding", "addForwarding"])
def test_forwarding_to_nobody(api: Client, world: World, ann: str, parameter: str) -> None:
    """An address of the domain or its alias domain that nobody has is dropped and named."""
    sent = f"ghost@corp.test,bob@corp.example,ghost@corp.example,x@far.test,{ANN},nonsense"

    answer = done(api.put(PATH, **{parameter: sent}))

    ignored = answer.headers["X-Ignored-Values"].split(", ")
    assert ignored == ["nonsense", "ghost@corp.example", "ghost@corp.test"]
    expected = {"bob@corp.example", "x@far.test", ANN}
    assert world.attributes(ann)["mailForwardingAddress"] == expected


@pytest.mark.parametrize("parameter", ["forwarding", "addForwarding"])
def test_forwarding_to_nobody_but_nobody(
    api: Client, world: World, ann: str, parameter: str
) -> None:
    """A list of which nothing is left is refused, and clears nothing."""
    done(api.put(PATH, forwarding="x@far.test"))
    before = world.snapshot()
    answer = api.put(PATH, name="changed", **{parameter: "ghost@corp.test"})
    refused(answer, 400, "INVALID_MAIL")
    assert answer.headers["X-Invalid-Parameters"] == parameter
    strict = {"Prefer": "handling=strict"}
    mixed = {parameter: "ghost@corp.test,y@far.test"}
    refused(api.call("PUT", PATH, headers=strict, **mixed), 400, "INVALID_PARAMETER")
    assert world.snapshot() == before


# --- further addresses ------------------------------------------------------------------------


def test_aliases_by_set_add_and_remove(api: Client, world: World, ann: str) -> None:
    """Her name in the alias domain belongs to that domain, and stays."""
    hers = "ann@corp.example"
    assert world.attributes(ann)["shadowAddress"] == {hers}
    done(api.put(PATH, addAlias="A@corp.test,b@corp.example"))
    assert world.attributes(ann)["shadowAddress"] == {hers, "a@corp.test", "b@corp.example"}
    done(api.put(PATH, addAlias="c@corp.test", removeAlias="a@corp.test,ghost@corp.test"))
    assert world.attributes(ann)["shadowAddress"] == {hers, "b@corp.example", "c@corp.test"}
    done(api.put(PATH, aliases="c@corp.test,d@corp.test"))
    assert world.attributes(ann)["shadowAddress"] == {hers, "c@corp.test", "d@corp.test"}
    done(api.put(PATH, aliases=""))
    assert world.attributes(ann)["shadowAddress"] == {hers}


def test_name_in_an_alias_domain_is_not_taken_away(api: Client, world: World, ann: str) -> None:
    """Beside others it is ignored and named; alone it leaves nothing to do."""
    done(api.put(PATH, addAlias="a@corp.test"))
    answer = done(api.put(PATH, removeAlias="a@corp.test,ann@corp.example"))
    assert answer.headers["X-Ignored-Values"] == "ann@corp.example"
    assert world.attributes(ann)["shadowAddress"] == {"ann@corp.example"}
    refused(api.put(PATH, removeAlias="ann@corp.example"), 400, "INVALID_MAIL")
    assert world.attributes(ann)["shadowAddress"] == {"ann@corp.example"}


@pytest.mark.parametrize("parameter", ["aliases", "addAlias"])
@pytest.mark.parametrize("astray", ["a@far.test", "a@sub.corp.test", "a@other.test"])
def test_alias_in_a_foreign_domain(
    api: Client, world: World, ann: str, parameter: str, astray: str
) -> None:
    """Also one that is hosted here: it would be taken from that domain."""
    done(api.post("/api/domain/other.test"))
    before = world.snapshot()
    answer = api.put(PATH, name="changed", **{parameter: f"{astray},good@corp.test"})
    refused(answer, 400, "INVALID_MAIL")
    assert answer.headers["X-Invalid-Parameters"] == parameter
    assert world.snapshot() == before


@pytest.mark.parametrize("parameter", ["aliases", "addAlias"])
def test_alias_that_is_taken(api: Client, world: World, ann: str, parameter: str) -> None:
    """By whatever kind of account, under whichever of its names, her own address included."""
    tree = world.tree
    world.add(tree.maillist("crew@corp.test"), objectClass="mailList", mail="crew@corp.test")
    world.add(
        tree.alias("info@corp.test"),
        objectClass="mailAlias",
        mail="info@corp.test",
        shadowAddress="help@corp.example",
    )
    done(api.put(f"/api/user/{BOB}", addAlias="robert@corp.test"))
    taken = [ANN, BOB, "crew@corp.test", "help@corp.example", "info@corp.test", "robert@corp.test"]
    before = world.snapshot()
    for address in taken:
        refused(api.put(PATH, name="x", **{parameter: address}), 409, "ALREADY_EXISTS")
    refused(api.put(PATH, **{parameter: ",".join(taken)}), 409, "ALREADY_EXISTS")
    assert world.snapshot() == before

    answer = done(api.put(PATH, **{parameter: ",".join([*taken, "free@corp.test"])}))

    assert answer.headers["X-Ignored-Values"].split(", ") == taken
    assert world.attributes(ann)["shadowAddress"] == {"ann@corp.example", "free@corp.test"}


def test_alias_of_a_form_that_only_foreign_addresses_have(
    api: Client, world: World, ann: str
) -> None:
    """It cannot be given, but one that somebody else gave can be taken away."""
    world.set(ann, shadowAddress=["ann+list@corp.test"])
    refused(api.put(PATH, addAlias="ann+news@corp.test"), 400, "INVALID_MAIL")
    done(api.put(PATH, removeAlias="ann+list@corp.test"))
    assert "shadowAddress" not in world.attributes(ann)


def test_first_alias_switches_its_service_on(api: Client, world: World, ann: str) -> None:
    """Without that service nobody logs in by a further address; an empty list needs none."""
    world.set(ann, shadowAddress=None, enabledService=["mail"])
    done(api.put(PATH, aliases=""))
    assert world.attributes(ann)["enabledService"] == {"mail"}
    done(api.put(PATH, removeAlias="a@corp.test"))
    assert world.attributes(ann)["enabledService"] == {"mail"}
    done(api.put(PATH, addAlias="a@corp.test", addService="imap"))
    assert world.attributes(ann)["enabledService"] == {"mail", "imap", "shadowaddress"}


def test_one_alias_asked_for_at_once(api: Client, world: World, ann: str) -> None:
    """Ten users want the same address: one gets it, the others are told whose it is."""
    mails = [f"u{number}@corp.test" for number in range(10)]
    for mail in mails:
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    answers: list[tuple[int, str]] = []

    def claim(mail: str) -> None:
        answer = twin(api).put(f"/api/user/{mail}", addAlias="prize@corp.test")
        answers.append((answer.status_code, answer.json().get("_msg", "")))

    at_once(claim, mails)

    assert sorted(answers) == [(200, "")] + [(409, "ALREADY_EXISTS")] * 9
    assert len(world.find("(shadowAddress=prize@corp.test)")) == 1


# --- services and copies ----------------------------------------------------------------------


def test_services_by_set_add_and_remove(api: Client, world: World, ann: str) -> None:
    """Words are free; letter case does not tell them apart."""
    done(api.put(PATH, addService="vpn,VPN,MAIL", removeService="SMTP,ghost"))
    services = (set(user_entry.SERVICES) | {"vpn"}) - {"smtp"}
    assert world.attributes(ann)["enabledService"] == services
    done(api.put(PATH, services="mail,deliver,xmpp"))
    expected = {"mail", "deliver", "xmpp", "shadowaddress"}
    assert world.attributes(ann)["enabledService"] == expected


def test_service_of_further_addresses_stays_while_there_are_any(
    api: Client, world: World, ann: str
) -> None:
    world.set(ann, shadowAddress=None)
    done(api.put(PATH, services="mail"))
    assert world.attributes(ann)["enabledService"] == {"mail"}


@pytest.mark.parametrize("parameter", ["services", "addService"])
def test_role_is_not_given_by_a_service(
    api: Client, world: World, ann: str, parameter: str
) -> None:
    """It is ignored and named; alone there is nothing left to do."""
    answer = done(api.put(PATH, **{parameter: "vpn,DomainAdmin"}))
    assert answer.headers["X-Ignored-Values"] == "DomainAdmin"
    assert not {"domainadmin", "DomainAdmin"} & world.attributes(ann)["enabledService"]
    before = world.snapshot()
    refused(api.put(PATH, **{parameter: "domainadmin"}), 400, "INVALID_PARAMETER")
    assert world.snapshot() == before


def test_role_is_not_taken_by_a_service(api: Client, world: World, ann: str) -> None:
    """Nor is it lost when the services are sent as they were read."""
    world.modify(ann, (0, "enabledService", [b"domainadmin"]))
    done(api.put(PATH, services="mail"))
    assert "domainadmin" in world.attributes(ann)["enabledService"]
    answer = done(api.put(PATH, removeService="domainadmin,mail"))
    assert answer.headers["X-Ignored-Values"] == "domainadmin"
    assert "domainadmin" in world.attributes(ann)["enabledService"]
    answer = done(api.put(PATH, services="domainadmin,mail"))
    assert "X-Ignored-Values" not in answer.headers
    assert "domainadmin" in world.attributes(ann)["enabledService"]


@pytest.mark.parametrize(
    ("parameter", "attribute", "service"),
    [
        ("senderBcc", "userSenderBccAddress", "senderbcc"),
        ("recipientBcc", "userRecipientBccAddress", "recipientbcc"),
    ],
)
def test_copies_need_their_service(
    api: Client, world: World, ann: str, parameter: str, attribute: str, service: str
) -> None:
    """It is switched on, also beside services that are switched, and stays on."""
    world.set(ann, enabledService=["mail"])
    done(api.put(PATH, **{parameter: "X@far.test", "addService": "deliver"}))
    attributes = world.attributes(ann)
    assert attributes[attribute] == {"x@far.test"}
    assert {"mail", "deliver", service} <= attributes["enabledService"]
    done(api.put(PATH, **{parameter: ""}))
    assert attribute not in world.attributes(ann)
    assert service in world.attributes(ann)["enabledService"]


# --- admins -----------------------------------------------------------------------------------


def test_global_admin_is_made_and_unmade(
    api: Client, served: Served, world: World, ann: str
) -> None:
    """They lose their limits, and log in as one; afterwards nothing is left of it."""
    before = world.attributes(ann)
    world.set(ann, accountSetting=["create_new_domains:yes", "create_max_users:5", "timezone:UTC"])

    done(api.put(PATH, isGlobalAdmin="yes"))

    attributes = world.attributes(ann)
    assert attributes["domainGlobalAdmin"] == {"yes"}
    assert "domainadmin" in attributes["enabledService"]
    assert attributes["accountSetting"] == {"timezone:UTC"}
    done(served.client().log_in(ANN, PASSWORD).put(f"/api/user/{BOB}", name="seen"))

    done(api.put(PATH, domainGlobalAdmin="no"))
    world.set(ann, accountSetting=None)
    assert world.attributes(ann) == before
    answer = served.client().post("/api/login", username=ANN, password=PASSWORD)
    assert answer.json()["_msg"] == "INVALID_CREDENTIALS"


def test_global_admin_who_manages_a_domain_goes_on_as_its_admin(
    api: Client, world: World, ann: str
) -> None:
    world.set(world.tree.domain("corp.test"), domainAdmin=[ANN])
    done(api.put(PATH, isGlobalAdmin="yes"))
    done(api.put(PATH, isGlobalAdmin="no"))
    attributes = world.attributes(ann)
    assert "domainGlobalAdmin" not in attributes
    assert "domainadmin" in attributes["enabledService"]


def test_normal_admin_is_no_global_one_to_be_demoted(api: Client, world: World, ann: str) -> None:
    """They keep their role, also while they manage no domain yet."""
    world.set(ann, enabledService=["mail", "domainadmin"], accountSetting="create_new_domains:yes")
    before = world.snapshot()
    done(api.put(PATH, isGlobalAdmin="no"))
    assert world.snapshot() == before


@pytest.mark.parametrize("change", [{"isGlobalAdmin": "no"}, {"accountStatus": "disabled"}])
def test_last_active_global_admin_stays(
    api: Client, served: Served, world: World, ann: str, change: dict[str, str]
) -> None:
    """Neither demoted nor disabled, by their own request either; one of two may go."""
    done(api.put(PATH, isGlobalAdmin="yes"))
    done(api.put(f"/api/user/{BOB}", isGlobalAdmin="yes"))
    world.set(world.tree.admin(ADMIN), accountStatus="disabled")
    bob = served.client().log_in(BOB, PASSWORD)

    done(bob.put(PATH, **change))
    before = world.snapshot()
    refused(bob.put(f"/api/user/{BOB}", name="x", **change), 403, "PERMISSION_DENIED")

    assert world.snapshot() == before


def test_normal_admin_and_their_users(api: Client, manager: Client, world: World) -> None:
    """Everything about their users but the role, and nothing about others."""
    done(api.post("/api/domain/other.test"))
    done(api.post("/api/user/x@other.test", password=PASSWORD))
    done(api.put(f"/api/user/{BOB}", isGlobalAdmin="yes"))
    before = world.snapshot()

    for path, change, code in (
        (PATH, {"isGlobalAdmin": "yes"}, "PERMISSION_DENIED"),
        (PATH, {"transport": "pipe:evil"}, "PERMISSION_DENIED"),
        (PATH, {"maildir": "/var/vmail/vmail1/other.test/x/"}, "PERMISSION_DENIED"),
        ("/api/user/x@other.test", {"name": "x"}, "PERMISSION_DENIED"),
        ("/api/user/x@ghost.test", {"name": "x"}, "PERMISSION_DENIED"),
        (f"/api/user/{BOB}", {"name": "x"}, GLOBAL_ADMINS_ONLY),
        (f"/api/user/{BOB}", {"password": OTHER}, GLOBAL_ADMINS_ONLY),
    ):
        refused(manager.put(path, **change), 403, code)
    check = manager.post(f"/api/verify_password/user/{ANN}", password=PASSWORD)
    refused(check, 403, "PERMISSION_DENIED")
    assert world.snapshot() == before

    done(
        manager.put(
            PATH,
            name="x",
            password=OTHER,
            transport="smtp:[mx.test]:25",
            maildir="/var/vmail/vmail1/corp.test/somewhere/",
            services="mail,shadowaddress",
            aliases="a@corp.test",
            quota=5,
            accountStatus="disabled",
        )
    )
    done(manager.put(PATH, transport=""))


@pytest.mark.parametrize(
    ("profile", "change"),
    [
        ("bcc", {"senderBcc": "x@far.test"}),
        ("bcc", {"recipientBcc": ""}),
        ("forwarding", {"forwarding": "x@far.test"}),
        ("forwarding", {"addForwarding": "x@far.test"}),
        ("forwarding", {"removeForwarding": "x@far.test"}),
        ("relay", {"transport": "smtp:[mx.test]:25"}),
        ("aliases", {"aliases": "x@corp.test"}),
        ("aliases", {"addAlias": "x@corp.test"}),
        ("aliases", {"removeAlias": "x@corp.test"}),
    ],
)
def test_profile_taken_from_normal_admins(
    api: Client,
    served: Served,
    manager: Client,
    world: World,
    profile: str,
    change: dict[str, str],
) -> None:
    """Of users, not of domains; a global admin is not affected."""
    done(manager.put(PATH, name="before"))
    world.set(world.tree.domain("corp.test"), accountSetting=f"disabledUserProfile:{profile}")
    before = world.snapshot()
    # A session of its own: one that exists may rely for a moment on what it saw last.
    again = served.client().log_in("adm@corp.test", PASSWORD)

    refused(again.put(PATH, name="changed", **change), 403, "PERMISSION_DENIED")

    assert world.snapshot() == before
    done(api.put(PATH, **change))


SELF = {
    "name": "x", "gn": "x", "sn": "x", "language": "de_DE", "telephoneNumber": "1",
    "mobile": "2", "forwarding": "x@far.test", "addForwarding": "y@far.test",
    "removeForwarding": "x@far.test", "password": PASSWORD,
}  # fmt: skip
NOT_SELF = {
    "quota": "5", "accountStatus": "active", "transport": "", "aliases": "", "addAlias": ANN,
    "removeAlias": ANN, "password_hash": salted(OTHER), "employeeid": "1", "isGlobalAdmin": "no",
    "senderBcc": "", "recipientBcc": "", "services": "mail", "addService": "vpn",
    "removeService": "vpn", "mailboxFormat": "mdbox", "mailboxFolder": "x", "maildir": "/x",
}  # fmt: skip


def test_own_account_outside_ones_domains(api: Client, served: Served, world: World) -> None:
    """An admin may change a few things of their own, and of nobody else in their domain."""
    for name in ("home.test", "corp.test"):
        done(api.post(f"/api/domain/{name}"))
    for mail in ("adm@home.test", "x@home.test"):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    dn = world.tree.user("adm@home.test")
    world.modify(dn, (0, "enabledService", [b"domainadmin"]))
    world.set(world.tree.domain("corp.test"), domainAdmin=["adm@home.test"])
    assert SELF.keys() | NOT_SELF.keys() == {row.name for row in user.UPDATE}
    adm = served.client().log_in("adm@home.test", PASSWORD)
    before = world.snapshot()

    for name, value in NOT_SELF.items():
        answer = adm.put("/api/user/adm@home.test", **{name: value, "gn": "changed"})
        refused(answer, 403, "PERMISSION_DENIED")
    refused(adm.put("/api/user/x@home.test", name="x"), 403, "PERMISSION_DENIED")
    refused(adm.put("/api/users/home.test", language="de_DE"), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before

    for name, value in SELF.items():
        done(adm.put("/api/user/adm@home.test", **{name: value}))
    assert world.attributes(dn)["mailForwardingAddress"] == {"y@far.test"}


# --- conditions and rivals --------------------------------------------------------------------


def test_condition_on_a_user(api: Client, world: World, ann: str) -> None:
    """The same state holds once; the answer carries the new one, which is the directory's."""
    state = api.get(PATH).headers["ETag"]

    def put(tag: str, **change: str) -> Any:
        return api.call("PUT", PATH, headers={"If-Match": tag}, **change)

    new = done(put(state, name="first")).headers["ETag"]
    entry = world.entry(ann)
    assert entry
    assert new == f'"{entry.csn}"'
    refused(put(state, name="second"), 412, "PRECONDITION_FAILED")
    newer = done(put(new, addAlias="a@corp.test")).headers["ETag"]
    refused(put(new, addAlias="b@corp.test"), 412, "PRECONDITION_FAILED")
    done(put(newer))
    refused(put(newer), 412, "PRECONDITION_FAILED")
    assert world.attributes(ann)["cn"] == {"first"}
    assert "b@corp.test" not in world.attributes(ann)["shadowAddress"]


def test_single_values_changed_at_once(api: Client, world: World, ann: str) -> None:
    """Four clients add 25 values each to three lists of one user: none is lost."""
    failures: list[str] = []

    def change(client: str) -> None:
        session = twin(api)
        for number in range(25):
            word = f"{client}{number}"
            answer = session.put(
                PATH,
                addAlias=f"{word}@corp.test",
                addService=word,
                addForwarding=f"{word}@far.test",
            )
            if answer.status_code != 200:
                failures.append(answer.text)

    at_once(change, "abcd")

    assert failures == []
    words = {f"{client}{number}" for client in "abcd" for number in range(25)}
    attributes = world.attributes(ann)
    assert attributes["enabledService"] >= words
    assert attributes["mailForwardingAddress"] == {f"{word}@far.test" for word in words}
    assert attributes["shadowAddress"] >= {f"{word}@corp.test" for word in words}


# --- races that are lost ----------------------------------------------------------------------


@pytest.fixture
def directory(served: Served) -> Directory:
    return served.gateways.directory


def planned(directory: Directory, config: Config, mail: str = ANN, **sent: str) -> Plan:
    """The plan of a global admin's request, as it is before anything is written."""
    form: Form = {name: [value] for name, value in sent.items()}
    caller = Caller(ADMIN, directory.tree.admin(ADMIN), is_global=True, stored=())
    context = Context(directory, config, caller, OutsideSystems.open(config))
    return user_update.update(context, {"mail": mail}, parse(user.UPDATE, form))


def test_address_taken_while_it_was_added(
    api: Client, served: Served, directory: Directory, world: World, ann: str
) -> None:
    """Everything is taken back, for the request to be made anew; then it knows of the other."""
    plan = planned(directory, served.config, addAlias="prize@corp.test,b@corp.test", name="Ann")
    before = world.attributes(ann)
    done(api.put(f"/api/user/{BOB}", addAlias="prize@corp.test"))

    with pytest.raises(PreconditionFailed):
        apply(directory, plan)

    assert world.attributes(ann) == before


def test_alias_domain_gone_while_an_address_was_added(
    served: Served, directory: Directory, world: World, ann: str
) -> None:
    plan = planned(directory, served.config, addAlias="b@corp.example")
    before = world.attributes(ann)
    world.set(world.tree.domain("corp.test"), domainAliasName=None)

    with pytest.raises(PreconditionFailed):
        apply(directory, plan)

    assert world.attributes(ann) == before


def test_space_given_away_while_a_mailbox_grew(
    api: Client, served: Served, directory: Directory, world: World, ann: str
) -> None:
    """The old size is back, and so is all else."""
    for mail in (ANN, BOB):
        done(api.put(f"/api/user/{mail}", quota=100))
    done(api.put("/api/domain/corp.test", quota=300))
    sent = {"quota": "200", "name": "x", "password": OTHER, "addService": "vpn", "gn": "A"}
    plan = planned(directory, served.config, **sent)
    before = world.attributes(ann)
    done(api.put(f"/api/user/{BOB}", quota=200))

    with pytest.raises(ExceededDomainQuotaSize) as refusal:
        apply(directory, plan)

    assert refusal.value.report is None
    assert world.attributes(ann) == before


@pytest.mark.parametrize("change", [{"isGlobalAdmin": "no"}, {"accountStatus": "disabled"}])
def test_other_admin_gone_while_one_was_demoted(
    api: Client,
    served: Served,
    directory: Directory,
    world: World,
    ann: str,
    change: dict[str, str],
) -> None:
    """Two who take the role from each other at once: one of them keeps it."""
    done(api.put(PATH, isGlobalAdmin="yes"))
    plan = planned(directory, served.config, **change)
    before = world.attributes(ann)
    world.set(world.tree.admin(ADMIN), accountStatus="disabled")

    with pytest.raises(PermissionDenied):
        apply(directory, plan)

    assert world.attributes(ann) == before


def test_domain_given_while_a_global_admin_was_demoted(
    api: Client, served: Served, directory: Directory, world: World, ann: str
) -> None:
    """Its new admin keeps the role that it needs."""
    done(api.put(PATH, isGlobalAdmin="yes"))
    plan = planned(directory, served.config, isGlobalAdmin="no")
    world.set(world.tree.domain("corp.test"), domainAdmin=[ANN])

    apply(directory, plan)

    assert "domainGlobalAdmin" not in world.attributes(ann)
    assert "domainadmin" in world.attributes(ann)["enabledService"]


# --- the mail servers agree -------------------------------------------------------------------


@pytest.fixture(scope="module")
def postfix(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Postfix:
    return Postfix(tmp_path_factory.mktemp("postfix"), slapd.uri, SUFFIX, READER_PASSWORD)


@pytest.fixture(scope="module")
def dovecot(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    dovecot = Dovecot(tmp_path_factory.mktemp("dovecot"), slapd.uri, SUFFIX, READER_PASSWORD)
    started(dovecot)
    yield dovecot
    dovecot.stop()


def test_postfix_forwards(api: Client, ann: str, postfix: Postfix) -> None:
    """With the own address among the others a copy stays, without it none does."""
    done(api.put(PATH, forwarding=f"x@far.test,{BOB}"))
    assert postfix.recipients(ANN) == {"x@far.test", BOB}
    done(api.put(PATH, addForwarding=ANN))
    assert postfix.recipients(ANN) == {"x@far.test", BOB, ANN}
    assert postfix.recipients("ann@corp.example") == {"x@far.test", BOB, ANN}
    done(api.put(PATH, removeForwarding=BOB))
    assert postfix.recipients(ANN) == {"x@far.test", ANN}
    done(api.put(PATH, forwarding=""))
    assert postfix.recipients(ANN) == {ANN}


def test_further_address_receives_logs_in_and_sends(
    api: Client, ann: str, postfix: Postfix, dovecot: Dovecot
) -> None:
    """For as long as it is hers."""
    for alias in ("a@corp.test", "a@corp.example"):
        done(api.put(PATH, addAlias=alias))
        assert postfix.recipients(alias) == {ANN}
        assert postfix.lookup("sender_login_maps", alias) == ANN
        assert dovecot.accepts(alias, PASSWORD)
        done(api.put(PATH, removeAlias=alias))
        assert postfix.recipients(alias) == set()
        assert not dovecot.accepts(alias, PASSWORD)


def test_service_removed_is_login_refused(api: Client, ann: str, dovecot: Dovecot) -> None:
    """By that protocol and security alone, until it is added again."""
    done(api.put(PATH, removeService="imap,imaptls"))
    assert not dovecot.accepts(ANN, PASSWORD, "imap")
    assert not dovecot.accepts(ANN, PASSWORD, "imap", "tls")
    assert dovecot.accepts(ANN, PASSWORD, "imap", "secured")
    assert dovecot.accepts(ANN, PASSWORD, "pop3")
    done(api.put(PATH, addService="imap"))
    assert dovecot.accepts(ANN, PASSWORD, "imap")
    done(api.put(PATH, services="deliver"))
    assert not dovecot.accepts(ANN, PASSWORD, "pop3")


def test_password_changed_is_login_by_the_new_one(api: Client, ann: str, dovecot: Dovecot) -> None:
    done(api.put(PATH, password=OTHER))
    assert dovecot.accepts(ANN, OTHER)
    assert not dovecot.accepts(ANN, PASSWORD)


def test_copies_of_a_user(api: Client, ann: str, postfix: Postfix) -> None:
    """They go to the address given, until it is taken away."""
    done(api.put(PATH, senderBcc="sent@far.test", recipientBcc="got@far.test"))
    assert postfix.lookup("sender_bcc_maps_user", ANN) == "sent@far.test"
    assert postfix.lookup("recipient_bcc_maps_user", ANN) == "got@far.test"
    done(api.put(PATH, senderBcc="", recipientBcc=""))
    assert postfix.lookup("sender_bcc_maps_user", ANN) is None
    assert postfix.lookup("recipient_bcc_maps_user", ANN) is None


def test_status_transport_and_mailbox_of_a_user(
    api: Client, ann: str, postfix: Postfix, dovecot: Dovecot
) -> None:
    done(api.put(PATH, transport="smtp:[mx.test]:25", maildir="/srv/m/ann", quota=7))
    assert postfix.lookup("transport_maps_user", ANN) == "smtp:[mx.test]:25"
    found = dovecot.mailbox(ANN)
    assert found
    assert (found.home, found.quota) == ("/srv/m/ann/", 7 * MB)
    done(api.put(PATH, accountStatus="disabled", transport=""))
    assert postfix.recipients(ANN) == set()
    assert not dovecot.accepts(ANN, PASSWORD)
    done(api.put(PATH, accountStatus="active"))
    assert postfix.recipients(ANN) == {ANN}
    assert dovecot.accepts(ANN, PASSWORD)


# --- verify_password --------------------------------------------------------------------------


def test_check_of_a_disabled_users_password(api: Client, world: World, ann: str) -> None:
    """A password is right when a bind succeeds, even if the account may not be used."""
    done(api.put(PATH, accountStatus="disabled"))
    check = f"/api/verify_password/user/{ANN}"
    done(api.post(check, password=PASSWORD))
    refused(api.post(check, password=OTHER), 200, "INVALID_CREDENTIALS")
    refused(
        api.post("/api/verify_password/user/ghost@corp.test", password=OTHER),
        404,
        "NO_SUCH_ACCOUNT",
    )
    world.set(ann, userPassword=None)
    refused(api.post(check, password=PASSWORD), 200, "INVALID_CREDENTIALS")


def test_password_of_an_admin_of_other_domains(api: Client, served: Served, world: World) -> None:
    """A normal admin does not set it: it would give them the other's rights. All else they may."""
    for domain in ("near.test", "far.test"):
        done(api.post(f"/api/domain/{domain}"))
    for mail in ("adm@near.test", "both@near.test", "plain@near.test"):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.put("/api/domain/admins/near.test", addAdmin="adm@near.test,both@near.test"))
    done(api.put("/api/domain/admins/far.test", addAdmin="both@near.test"))
    adm = served.client().log_in("adm@near.test", PASSWORD)
    before = world.snapshot()
    for secret in (
        {"password": "taken over"},
        {"password_hash": "{SHA}qvTGHdzF6KLavt4PO0gs2a6pQ00="},
    ):
        refused(adm.put("/api/user/both@near.test", **secret), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before

    done(adm.put("/api/user/both@near.test", name="Both"))
    answer = done(adm.put("/api/users/near.test", password="another one"))
    assert answer.headers["X-Ignored-Values"] == "both@near.test"
    world.connect(world.tree.user("both@near.test"), PASSWORD).unbind_s()
    world.connect(world.tree.user("plain@near.test"), "another one").unbind_s()
    done(api.put("/api/user/both@near.test", password="by a global admin"))
