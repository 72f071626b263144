"""References of one account to another, while other programs take that away or rename it.

Our own changes take turns (`test_races.py`); other programs take none, so what they do between the
look and the write is planted here by hand, between making a plan and carrying it out.
"""

from collections.abc import Callable
from typing import Any

import ldap
import pytest

from iredldap.changes.apply import apply
from iredldap.dit.form_parser import parse
from iredldap.dit.plan import Plan
from iredldap.dit.request import Request
from iredldap.gateways.directory import Directory
from iredldap.operations import dispatch, targets
from iredldap.web.endpoints.index import ENDPOINTS, OPERATIONS
from tests.support.client import Client, done, refused
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"
ANN, BOB, CEO = "ann@corp.test", "bob@other.test", "ceo@other.test"
TABLES = {endpoint.id: endpoint.table for endpoint in ENDPOINTS}
Make = Callable[..., Plan]


@pytest.fixture
def two(api: Client) -> None:
    """Two domains with a user each, who is an admin of the second one; an alias and a list."""
    for name in ("corp.test", "other.test"):
        done(api.post(f"/api/domain/{name}"))
    for mail in (ANN, BOB):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.put("/api/domain/admins/other.test", addAdmin=BOB))
    done(api.post("/api/alias/info@corp.test", members=ANN))
    done(api.post("/api/maillist/crew@corp.test", members=ANN))


@pytest.fixture
def make(served: Served, two: None) -> Make:
    """Make the plan of a request of a global admin, as handlers and jobs do."""

    def made(endpoint: str, names: dict[str, str], **form: str) -> Plan:
        parsed = parse(TABLES[endpoint], {name: [value] for name, value in form.items()})
        return dispatch.plan(
            served.context(), OPERATIONS[endpoint], Request(endpoint, names, parsed)
        )

    return made


REFERENCES = [
    ("user_update", {"mail": ANN}, {"addForwarding": BOB}, "user", "mailForwardingAddress"),
    ("user_update", {"mail": ANN}, {"senderBcc": BOB}, "user", "userSenderBccAddress"),
    ("user_update", {"mail": ANN}, {"recipientBcc": BOB}, "user", "userRecipientBccAddress"),
    (
        "alias_update",
        {"mail": "info@corp.test"},
        {"addMember": BOB},
        "alias",
        "mailForwardingAddress",
    ),
    ("maillist_update", {"mail": "crew@corp.test"}, {"addMember": BOB}, "maillist", "member"),
    (
        "domain_update",
        {"domain": "corp.test"},
        {"senderBcc": BOB},
        "domain",
        "domainSenderBccAddress",
    ),
    (
        "domain_update",
        {"domain": "corp.test"},
        {"recipientBcc": BOB},
        "domain",
        "domainRecipientBccAddress",
    ),
    ("domain_update", {"domain": "corp.test"}, {"catchall": BOB}, "catchall", None),
    ("domain_admins_update", {"domain": "corp.test"}, {"addAdmin": BOB}, "domain", "domainAdmin"),
]


def _dn(world: World, kind: str, names: dict[str, str]) -> str:
    return str(getattr(world.tree, kind)(*names.values()) if kind != "catchall" else "") or (
        world.tree.catchall(names["domain"])
    )


@pytest.mark.parametrize(("endpoint", "names", "form", "kind", "attribute"), REFERENCES)
def test_reference_to_somebody_who_has_gone_is_struck(
    served: Served,
    make: Make,
    world: World,
    endpoint: str,
    names: dict[str, str],
    form: dict[str, str],
    kind: str,
    attribute: str | None,
) -> None:
    """Whatever kind of reference it is."""
    plan = make(endpoint, names, **form)
    connection = world.connect()
    connection.delete_s(world.tree.user(BOB))
    connection.unbind_s()

    apply(served.gateways.directory, plan)

    held = world.attributes(_dn(world, kind, names))
    values = held.get(attribute or "mailForwardingAddress", set())
    assert not [value for value in values if BOB in value]


@pytest.mark.parametrize(
    ("endpoint", "names", "form", "kind", "attribute"),
    [row for row in REFERENCES if row[0] in {"user_update", "alias_update"}],
)
def test_somebody_who_goes_while_the_plan_is_made_is_missed(
    served: Served,
    make: Make,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    endpoint: str,
    names: dict[str, str],
    form: dict[str, str],
    kind: str,
    attribute: str,
) -> None:
    """What was there when it was judged is what has to be there in the end."""
    original = targets.with_rechecks

    def delayed(directory: Directory, plan: Plan) -> Plan:
        connection = world.connect()
        connection.delete_s(world.tree.user(BOB))
        connection.unbind_s()
        return original(directory, plan)

    monkeypatch.setattr(targets, "with_rechecks", delayed)

    apply(served.gateways.directory, make(endpoint, names, **form))

    held = world.attributes(_dn(world, kind, names))
    assert not [value for value in held.get(attribute, set()) if BOB in value]


@pytest.mark.parametrize(("endpoint", "names", "form", "kind", "attribute"), REFERENCES)
def test_reference_to_somebody_who_was_renamed_follows(
    served: Served,
    make: Make,
    world: World,
    endpoint: str,
    names: dict[str, str],
    form: dict[str, str],
    kind: str,
    attribute: str | None,
) -> None:
    """It is the same entry by its entryUUID."""
    plan = make(endpoint, names, **form)
    connection = world.connect()
    connection.rename_s(world.tree.user(BOB), f"mail={CEO}")
    connection.unbind_s()

    apply(served.gateways.directory, plan)

    held = world.attributes(_dn(world, kind, names))
    values = held.get(attribute or "mailForwardingAddress", set())
    assert [value for value in values if CEO in value]
    assert not [value for value in values if BOB in value]


@pytest.mark.parametrize("rdn", ["uid=bob", "uid=bob+mail=bob@other.test", "cn=bob\\2C B."])
@pytest.mark.parametrize("is_gone", [True, False], ids=["gone", "renamed"])
def test_a_member_named_by_anything_is_looked_at_again(
    served: Served, make: Make, world: World, rdn: str, *, is_gone: bool
) -> None:
    """Another tool named the entry; its DN goes with it, or follows."""
    connection = world.connect()
    if rdn.startswith("cn"):
        world.set(world.tree.user(BOB), cn="bob, B.")
    connection.rename_s(world.tree.user(BOB), rdn, delold=0)
    users = world.tree.container("other.test", "Users")
    named = f"{rdn},{users}"
    plan = make("maillist_update", {"mail": "crew@corp.test"}, addMember=BOB)
    if is_gone:
        connection.delete_s(named)
    else:
        connection.rename_s(named, "mobile=1", delold=0)
    connection.unbind_s()

    apply(served.gateways.directory, plan)

    held = world.attributes(world.tree.maillist("crew@corp.test")).get("member", set())
    assert held == {world.tree.user(ANN)} | (set() if is_gone else {f"mobile=1,{users}"})


def test_a_member_who_shares_the_address_with_a_standalone_admin_stays(
    api: Client, world: World, two: None
) -> None:
    """Whichever of both the directory names last."""
    done(api.post("/api/admin/eve@late.test", password=PASSWORD))
    done(api.post("/api/domain/late.test"))
    done(api.post("/api/user/eve@late.test", password=PASSWORD))
    connection = world.connect()
    dn = world.tree.admin("eve@late.test")
    (_, attributes), *_ = connection.search_s(dn, ldap.SCOPE_BASE)
    connection.delete_s(dn)
    connection.add_s(dn, [*attributes.items()])
    connection.unbind_s()
    done(api.put("/api/maillist/crew@corp.test", addMember="eve@late.test"))
    members = world.attributes(world.tree.maillist("crew@corp.test"))["member"]
    assert world.tree.user("eve@late.test") in members
    assert dn not in members


def test_a_new_user_holds_the_domains_of_the_lists_that_they_join(make: Make, world: World) -> None:
    """A default list may stand in another domain, and be about to go with it."""
    world.set(world.tree.domain("other.test"), accountSetting="defaultList:crew@corp.test")
    plan = make("user_create", {"mail": "eve@other.test"}, password=PASSWORD)
    assert plan.touches == {"corp.test"}


@pytest.mark.parametrize(
    "destination", ["ann+news@corp.test", "bob+archive@other.test", "anybody@backup.test"]
)
def test_an_address_that_gets_mail_is_no_address_of_nobody(
    api: Client, world: World, two: None, destination: str
) -> None:
    """Mail to an extension comes to its account, and a backup MX hands mail on."""
    done(api.post("/api/domain/backup.test"))
    done(api.put("/api/domain/backup.test", is_backupmx="yes", primarymx="mx.backup.test"))
    done(api.put(f"/api/user/{ANN}", addForwarding=destination, senderBcc=destination))
    done(api.put("/api/alias/info@corp.test", addMember=destination))
    done(api.put("/api/domain/corp.test", recipientBcc=destination, catchall=destination))
    held = world.attributes(world.tree.user(ANN))
    assert destination in held["mailForwardingAddress"]
    assert held["userSenderBccAddress"] == {destination}
    held = world.attributes(world.tree.domain("corp.test"))
    assert held["domainRecipientBccAddress"] == {destination}


@pytest.mark.parametrize(
    ("path", "form", "parameter"),
    [
        (f"/api/user/{ANN}", {"addForwarding": "ghost@other.test"}, "addForwarding"),
        (f"/api/user/{ANN}", {"senderBcc": "ghost@other.test"}, "senderBcc"),
        (f"/api/user/{ANN}", {"recipientBcc": "ghost@corp.test"}, "recipientBcc"),
        ("/api/alias/info@corp.test", {"members": "ghost@other.test"}, "members"),
        ("/api/domain/corp.test", {"senderBcc": "ghost@corp.test"}, "senderBcc"),
        ("/api/domain/corp.test", {"recipientBcc": "ghost@other.test"}, "recipientBcc"),
        ("/api/domain/corp.test", {"catchall": "ghost@other.test"}, "catchall"),
    ],
)
def test_nobody_is_referred_to(
    api: Client, world: World, two: None, path: str, form: dict[str, str], parameter: str
) -> None:
    """An address of a domain here that nobody has is refused where it is the only one."""
    before = world.snapshot()
    answer = refused(api.put(path, **form), 400, "INVALID_MAIL")
    assert answer.headers["X-Invalid-Parameters"] == parameter
    assert world.snapshot() == before


def test_normal_admin_learns_nothing_of_other_domains(
    api: Client, served: Served, world: World, two: None
) -> None:
    """What exists there is not theirs to know, so it is taken as it is."""
    done(api.put("/api/domain/admins/corp.test", addAdmin=ANN))
    ann = served.client().log_in(ANN, PASSWORD)
    done(ann.put("/api/alias/info@corp.test", addMember=f"ghost@other.test,{BOB}"))
    held = world.attributes(world.tree.alias("info@corp.test"))["mailForwardingAddress"]
    assert held == {ANN, BOB, "ghost@other.test"}


def test_new_domain_may_name_accounts_that_are_yet_to_come(api: Client, world: World) -> None:
    """Its own; those of other domains must be there."""
    done(api.post("/api/domain/corp.test", senderBcc="archive@corp.test"))
    refused(api.post("/api/domain/more.test", senderBcc="nobody@corp.test"), 400, "INVALID_MAIL")
    assert world.entry(world.tree.domain("more.test")) is None


# --- rights -----------------------------------------------------------------------------------


@pytest.fixture
def left_behind(api: Client, world: World, two: None) -> str:
    """An address that other.test names as its admin, and that nobody has."""
    world.set(world.tree.domain("other.test"), domainAdmin="boss@corp.test")
    done(api.put("/api/domain/admins/corp.test", addAdmin=ANN))
    return "boss@corp.test"


def admins_of_other(world: World) -> set[str]:
    return world.attributes(world.tree.domain("other.test")).get("domainAdmin", set())


def test_normal_admin_makes_nobody_admin_of_a_foreign_domain(
    served: Served, world: World, left_behind: str
) -> None:
    """Neither by a new user nor by renaming one."""
    ann = served.client().log_in(ANN, PASSWORD)
    done(ann.post("/api/user/eve@corp.test", password=PASSWORD))
    before = world.snapshot()
    new = ann.post(f"/api/user/{left_behind}", password=PASSWORD)
    refused(new, 403, "PERMISSION_DENIED")
    renamed = ann.post(f"/api/user/eve@corp.test/change_email/{left_behind}")
    refused(renamed, 403, "PERMISSION_DENIED")
    assert world.snapshot() == before


def test_new_user_inherits_nothing(api: Client, world: World, left_behind: str) -> None:
    """Though whoever makes them manages every domain."""
    done(api.post(f"/api/user/{left_behind}", password=PASSWORD))
    assert admins_of_other(world) == set()


def test_renamed_user_inherits_nothing_and_keeps_their_own(
    api: Client, world: World, left_behind: str
) -> None:
    """What domains said of the new address goes; what they said of the old one follows."""
    done(api.post(f"/api/user/{ANN}/change_email/{left_behind}"))
    assert admins_of_other(world) == set()
    corp = world.attributes(world.tree.domain("corp.test"))
    assert corp["domainAdmin"] == {left_behind}


def test_new_standalone_admin_inherits_nothing(api: Client, world: World, two: None) -> None:
    world.set(world.tree.domain("other.test"), domainAdmin="boss@far.test")
    done(api.post("/api/admin/boss@far.test", password=PASSWORD))
    assert admins_of_other(world) == set()


def test_standalone_admin_keeps_their_domains_beside_a_user_of_their_name(
    api: Client, served: Served, world: World, left_behind: str
) -> None:
    """They are meant by what the domain says."""
    world.add(world.tree.admin(left_behind), objectClass="mailAdmin", mail=left_behind)
    ann = served.client().log_in(ANN, PASSWORD)
    denied = ann.post(f"/api/user/{left_behind}", password=PASSWORD)
    refused(denied, 403, "PERMISSION_DENIED")
    done(api.post(f"/api/user/{left_behind}", password=PASSWORD))
    assert admins_of_other(world) == {left_behind}


# --- renames ----------------------------------------------------------------------------------


def test_refused_rename_takes_everything_back(
    served: Served, api: Client, make: Make, world: World, monkeypatch: Any
) -> None:
    """Another program takes the new name when the references have followed already."""
    new = "anne@corp.test"
    world.set(world.tree.domain("other.test"), domainAdmin=new)
    done(api.put(f"/api/user/{BOB}", forwarding=f"{BOB},{ANN}"))
    before = world.snapshot()
    plan = make("user_change_email", {"mail": ANN, "new_mail": new})
    directory = served.gateways.directory
    rival: dict[str, str | list[str]] = {
        "objectClass": ["inetOrgPerson", "mailUser", "shadowAccount"],
        **dict.fromkeys(("cn", "sn", "uid"), "anne"),
        "mail": new,
        "homeDirectory": "/var/vmail/vmail1/corp.test/anne/",
    }
    write = directory.write

    def overtaken(operation: Any) -> Any:
        if type(operation).__name__ == "Rename":
            alias = world.attributes(world.tree.alias("info@corp.test"))
            assert alias["mailForwardingAddress"] == {new}
            world.add(world.tree.user(new), **rival)
        return write(operation)

    monkeypatch.setattr(directory, "write", overtaken)

    with pytest.raises(Exception, match="Already exists"):
        apply(directory, plan)

    connection = world.connect()
    connection.delete_s(world.tree.user(new))
    connection.unbind_s()
    assert world.snapshot() == before


# --- further addresses ------------------------------------------------------------------------


@pytest.mark.parametrize("form", [{"removeAlias": "anne@corp.test"}, {"aliases": ""}])
def test_mentions_of_a_removed_address_name_the_account(
    api: Client, world: World, two: None, form: dict[str, str]
) -> None:
    """Its own mentions too; whoever names both keeps one."""
    old = "anne@corp.test"
    done(api.put(f"/api/user/{ANN}", addAlias=old))
    done(api.put(f"/api/user/{BOB}", forwarding=f"{BOB},{old}", senderBcc=old))
    done(api.put("/api/alias/info@corp.test", members=f"{ANN},{old}"))
    done(api.put("/api/domain/other.test", recipientBcc=old, catchall=old))
    done(api.put(f"/api/user/{ANN}", forwarding=f"{old},x@far.test"))

    done(api.put(f"/api/user/{ANN}", **form))

    bob = world.attributes(world.tree.user(BOB))
    assert (bob["mailForwardingAddress"], bob["userSenderBccAddress"]) == ({BOB, ANN}, {ANN})
    info = world.attributes(world.tree.alias("info@corp.test"))
    assert info["mailForwardingAddress"] == {ANN}
    other = world.attributes(world.tree.domain("other.test"))
    assert other["domainRecipientBccAddress"] == {ANN}
    catchall = world.attributes(world.tree.catchall("other.test"))
    assert catchall["mailForwardingAddress"] == {ANN}
    ann = world.attributes(world.tree.user(ANN))
    assert ann["mailForwardingAddress"] == {ANN, "x@far.test"}


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("kind", "mail"),
    [
        ("user", ANN),
        ("alias", "info@corp.test"),
        ("maillist", "crew@corp.test"),
        ("admin", "boss@abroad.test"),
    ],
)
def test_an_account_goes_with_what_lies_below_it(
    api: Client, world: World, kind: str, mail: str
) -> None:
    """Other programs may have put something there; the deletion is no longer refused by then."""
    done(api.post("/api/admin/boss@abroad.test", password=PASSWORD))
    dn = getattr(world.tree, kind)(mail)
    world.add(f"ou=book,{dn}", objectClass="organizationalUnit", ou="book")
    world.add(f"ou=page,ou=book,{dn}", objectClass="organizationalUnit", ou="page")
    done(api.delete(f"/api/{kind}/{mail}"))
    assert world.entry(dn) is None
