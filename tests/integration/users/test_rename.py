"""Users and aliases that get another address, judged by the directory and by real Postfix."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from iredldap.changes.apply import apply
from iredldap.dit.plan import Plan
from iredldap.embedded.slapd import Slapd
from iredldap.errors import NoSuchAccount
from iredldap.gateways.directory import Directory
from iredldap.operations.login import Caller
from iredldap.operations.renames import address_change
from iredldap.operations.renames.rename import rename
from tests.support.client import Client, done, refused
from tests.support.mailservers import Dovecot, Postfix
from tests.support.patience import started
from tests.support.serving import Served
from tests.support.world import ADMIN, READER_PASSWORD, SUFFIX, World

PASSWORD = "a good password"
ANN = "ann@corp.test"
BEA = "bea@corp.test"
MOVED = "bea@away.test"
ELSEWHERE = "friend@abroad.invalid"


@pytest.fixture(scope="module")
def postfix(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Postfix:
    return Postfix(tmp_path_factory.mktemp("postfix"), slapd.uri, SUFFIX, READER_PASSWORD)


@pytest.fixture
def corp(api: Client, world: World) -> World:
    """Three domains, two of them with an alias domain, and Ann and Bob in the first."""
    for name in ("corp.test", "away.test", "other.test"):
        done(api.post(f"/api/domain/{name}"))
    for name, alias in (("corp.test", "corp.example"), ("away.test", "away.example")):
        world.set(
            world.tree.domain(name),
            domainAliasName=[alias],
            enabledService=["mail", "domainalias"],
        )
    for mail in (ANN, "bob@corp.test", "cid@other.test"):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    return world


@pytest.fixture
def root(world: World) -> Caller:
    """The standalone global admin."""
    return Caller(ADMIN, world.tree.admin(ADMIN), is_global=True, stored=())


def add_alias(world: World, mail: str, *members: str, **more: Any) -> str:
    dn = world.tree.alias(mail)
    common: dict[str, Any] = {"accountStatus": "active", "enabledService": ["mail", "deliver"]}
    world.add(
        dn,
        objectClass="mailAlias",
        mail=mail,
        mailForwardingAddress=list(members),
        **common,
        **more,
    )
    return dn


def add_list(world: World, mail: str, **more: Any) -> str:
    dn = world.tree.maillist(mail)
    common: dict[str, Any] = {"accountStatus": "active", "enabledService": ["mail", "deliver"]}
    world.add(dn, objectClass="mailList", mail=mail, **common, **more)
    return dn


def add_externals(world: World, mail: str, *members: str) -> str:
    dn = world.tree.externals(mail)
    world.add(
        dn,
        objectClass="mailExternalUser",
        memberOfGroup=mail,
        accountStatus="active",
        enabledService=["mail", "deliver"],
        mail=list(members),
    )
    return dn


def change(api: Client, old: str, new: str, kind: str = "user", **more: Any) -> Any:
    return api.post(f"/api/{kind}/{quote(old)}/change_email/{quote(new)}", **more)


def mentions(world: World, *words: str) -> list[tuple[str, str, bytes]]:
    """Where in the tree a word stands, but for mailbox paths."""
    return [
        (dn, name, value)
        for dn, attributes in world.snapshot().items()
        for name, values in [*attributes.items(), ("dn", [dn.encode()])]
        for value in values
        for word in words
        if word.encode() in value.lower() and name != "homeDirectory"
    ]


def mention_everywhere(world: World, address: str, dn: str) -> None:
    """Write an address into every attribute that holds addresses of others, in other domains."""
    tree = world.tree
    world.set(
        tree.domain("other.test"),
        domainAdmin=[address, "someone@other.test"],
        domainSenderBccAddress=address,
        domainRecipientBccAddress=address.upper(),
        accountSetting=["defaultQuota:5", f"defaultList:x@other.test,{address}"],
    )
    world.set(
        tree.user("cid@other.test"),
        mailForwardingAddress=[address, "cid@other.test"],
        userSenderBccAddress=address,
        userRecipientBccAddress=address,
        backupMailAddress=address,
    )
    world.set(
        tree.user("bob@corp.test"),
        userManager=[address, "cid@other.test"],
        recoveryEmail=address,
        manager=[dn, tree.user("cid@other.test")],
        seeAlso=dn,
    )
    world.add(
        f"cn=sales,{tree.domain('other.test')}",
        objectClass="groupOfNames",
        cn="sales",
        member=tree.user("cid@other.test"),
        owner=[dn, tree.user("cid@other.test")],
        seeAlso=dn,
    )
    world.add(
        tree.catchall("other.test"),
        objectClass=["inetOrgPerson", "mailUser"],
        mail="@other.test",
        cn="x",
        sn="x",
        uid="x",
        accountStatus="active",
        mailForwardingAddress=[address],
    )
    add_alias(world, "info@other.test", address, ELSEWHERE, listModerator=[address])
    add_list(
        world,
        "crew@other.test",
        listAllowedUser=[address, "corp.test"],
        listModerator=[address],
        listOwner=[address, "cid@other.test"],
        member=[dn, tree.user("bob@corp.test")],
        uniqueMember=[dn],
    )
    add_externals(world, "crew@other.test", address, ELSEWHERE)


def assert_mentioned_everywhere(world: World, address: str, dn: str) -> None:
    tree = world.tree
    other = world.attributes(tree.domain("other.test"))
    assert other["domainAdmin"] == {address, "someone@other.test"}
    assert other["domainSenderBccAddress"] == other["domainRecipientBccAddress"] == {address}
    assert other["accountSetting"] == {"defaultQuota:5", f"defaultList:x@other.test,{address}"}
    cid = world.attributes(tree.user("cid@other.test"))
    assert cid["mailForwardingAddress"] == {address, "cid@other.test"}
    assert cid["userSenderBccAddress"] == cid["userRecipientBccAddress"] == {address}
    assert cid["backupMailAddress"] == {address}
    bob = world.attributes(tree.user("bob@corp.test"))
    assert bob["userManager"] == {address, "cid@other.test"}
    assert bob["recoveryEmail"] == {address}
    assert bob["manager"] == {dn, tree.user("cid@other.test")}
    assert bob["seeAlso"] == {dn}
    sales = world.attributes(f"cn=sales,{tree.domain('other.test')}")
    assert sales["owner"] == {dn, tree.user("cid@other.test")}
    assert sales["seeAlso"] == {dn}
    catchall = world.attributes(tree.catchall("other.test"))
    assert catchall["mailForwardingAddress"] == {address}
    info = world.attributes(tree.alias("info@other.test"))
    assert info["mailForwardingAddress"] == {address, ELSEWHERE}
    assert info["listModerator"] == {address}
    crew = world.attributes(tree.maillist("crew@other.test"))
    assert crew["listAllowedUser"] == {address, "corp.test"}
    assert crew["listModerator"] == {address}
    assert crew["listOwner"] == {address, "cid@other.test"}
    assert crew["member"] == {dn, tree.user("bob@corp.test")}
    assert crew["uniqueMember"] == {dn}
    external = world.attributes(tree.externals("crew@other.test"))
    assert external["mail"] == {address, ELSEWHERE}


# --- what becomes of the account --------------------------------------------------------------


def test_who_names_their_own_entry_names_it_afterwards(api: Client, corp: World) -> None:
    """Head of their own department, within a domain and across; and after a second call."""
    corp.set(corp.tree.user(ANN), manager=corp.tree.user(ANN))
    done(change(api, ANN, BEA))
    assert corp.attributes(corp.tree.user(BEA))["manager"] == {corp.tree.user(BEA)}
    done(change(api, BEA, MOVED))
    assert corp.attributes(corp.tree.user(MOVED))["manager"] == {corp.tree.user(MOVED)}


def test_user_within_the_domain(api: Client, corp: World) -> None:
    """Address, uid and names made of the local part change; everything else stays."""
    dn = corp.tree.user(ANN)
    corp.set(
        dn,
        givenName="Ann Marie",
        mailQuota="1048576",
        shadowAddress=["ann@corp.example", "anne@corp.test"],
        memberOfGroup=["crew@other.test"],
        mailForwardingAddress=[ANN, ELSEWHERE],
    )
    before = corp.attributes(dn)

    answer = done(change(api, "Ann@corp.TEST", "Bea@Corp.test"))

    assert corp.entry(dn) is None
    assert corp.attributes(corp.tree.user(BEA)) == before | {
        "mail": {BEA},
        "uid": {"bea"},
        "cn": {"bea"},
        "sn": {"bea"},
        "shadowAddress": {"bea@corp.example", "anne@corp.test"},
        "mailForwardingAddress": {BEA, ELSEWHERE},
    }
    assert "X-Ignored-Values" not in answer.headers
    corp.connect(corp.tree.user(BEA), PASSWORD).unbind_s()
    refused(change(api, ANN, BEA), 404, "NO_SUCH_ACCOUNT")


def test_user_into_another_domain(api: Client, corp: World) -> None:
    """Further addresses in the old domain are dropped, told, and mentions of them follow.

    Their names in alias domains are those of the new one.
    """
    dn, new_dn = corp.tree.user(ANN), corp.tree.user(MOVED)
    corp.set(
        dn,
        cn="Ann Other",
        shadowAddress=["ann@corp.example", "anne@corp.test", "a@corp.example", "b@away.test"],
    )
    add_alias(corp, "info@other.test", "anne@corp.test", "ann@corp.example")
    before = corp.attributes(dn)

    answer = done(change(api, ANN, MOVED))

    assert corp.entry(dn) is None
    assert corp.attributes(new_dn) == before | {
        "mail": {MOVED},
        "uid": {"bea"},
        "sn": {"bea"},
        "shadowAddress": {"bea@away.example", "b@away.test"},
    }
    assert answer.headers["X-Ignored-Values"] == "a@corp.example, anne@corp.test"
    info = corp.attributes(corp.tree.alias("info@other.test"))
    assert info["mailForwardingAddress"] == {MOVED}


def test_names_of_a_domain_that_is_nobodys_stay_behind(api: Client, corp: World) -> None:
    """A removal of an alias domain that broke off leaves them; the next host would find them."""
    corp.set(corp.tree.user(ANN), shadowAddress=["ann@gone.example", "a@gone.example"])

    answer = done(change(api, ANN, MOVED))

    assert corp.attributes(corp.tree.user(MOVED))["shadowAddress"] == {"bea@away.example"}
    assert answer.headers["X-Ignored-Values"] == "a@gone.example"


def test_strict_client_is_told_before(api: Client, corp: World) -> None:
    """That an address would be dropped: nothing is changed."""
    corp.set(corp.tree.user(ANN), shadowAddress=["anne@corp.test"])
    before = corp.snapshot()
    strict = {"Prefer": "handling=strict"}
    refused(change(api, ANN, MOVED, headers=strict), 400, "INVALID_PARAMETER")
    assert corp.snapshot() == before


def test_etag_is_that_of_the_renamed_entry(api: Client, corp: World) -> None:
    answer = done(change(api, ANN, BEA))
    assert answer.headers["ETag"] == api.get(f"/api/user/{BEA}").headers["ETag"]


def test_alias(api: Client, corp: World, postfix: Postfix) -> None:
    """Members and names in alias domains stay; where it stood as a member it still does."""
    tree = corp.tree
    dn = add_alias(
        corp,
        "info@corp.test",
        "bob@corp.test",
        ELSEWHERE,
        cn="info",
        shadowAddress="info@corp.example",
        memberOfGroup="crew@other.test",
    )
    add_alias(corp, "all@other.test", "info@corp.test", "info@corp.example")
    before = corp.attributes(dn)

    done(change(api, "info@corp.test", "desk@corp.test", "alias"))

    assert corp.attributes(tree.alias("desk@corp.test")) == before | {
        "mail": {"desk@corp.test"},
        "cn": {"desk"},
        "shadowAddress": {"desk@corp.example"},
    }
    assert mentions(corp, "info@") == []
    for address in ("desk@corp.test", "desk@corp.example", "all@other.test", "crew@other.test"):
        assert postfix.recipients(address) == {"bob@corp.test", ELSEWHERE}, address
    assert postfix.recipients("info@corp.test") == set()
    refused(change(api, "info@corp.test", "desk@corp.test", "alias"), 404, "NO_SUCH_ACCOUNT")


def test_alias_into_another_domain(api: Client, corp: World, postfix: Postfix) -> None:
    add_alias(corp, "info@corp.test", "bob@corp.test", shadowAddress="info@corp.example")
    done(change(api, "info@corp.test", "info@away.test", "alias"))
    assert mentions(corp, "info@corp") == []
    for address in ("info@away.test", "info@away.example"):
        assert postfix.recipients(address) == {"bob@corp.test"}


@pytest.mark.parametrize("new", [BEA, MOVED])
def test_every_mention_follows(api: Client, corp: World, new: str) -> None:
    """In all domains; the old address is nowhere afterwards but in the mailbox path."""
    mention_everywhere(corp, ANN, corp.tree.user(ANN))
    corp.set(
        corp.tree.user(ANN),
        mailForwardingAddress=[ANN, ELSEWHERE],
        userSenderBccAddress=ANN,
        userManager=[ANN],
        domainGlobalAdmin="yes",
    )

    done(change(api, ANN, new))

    assert mentions(corp, "ann@corp") == []
    assert_mentioned_everywhere(corp, new, corp.tree.user(new))
    entry = corp.attributes(corp.tree.user(new))
    assert entry["mailForwardingAddress"] == {new, ELSEWHERE}
    assert entry["userSenderBccAddress"] == entry["userManager"] == {new}
    assert entry["domainGlobalAdmin"] == {"yes"}
    assert "/corp.test/a/n/n/ann-" in entry["homeDirectory"].pop()


def test_every_mention_of_an_alias_follows(api: Client, corp: World) -> None:
    dn = add_alias(corp, "desk@corp.test", "bob@corp.test")
    mention_everywhere(corp, "desk@corp.test", dn)
    done(change(api, "desk@corp.test", "team@away.test", "alias"))
    assert mentions(corp, "desk@") == []
    assert_mentioned_everywhere(corp, "team@away.test", corp.tree.alias("team@away.test"))


def test_colleagues_of_the_new_domain_follow_too(api: Client, corp: World) -> None:
    """Managers and recovery addresses, which have no index, on either side."""
    done(api.post("/api/user/eve@away.test", password=PASSWORD))
    corp.set(corp.tree.user("eve@away.test"), userManager=[ANN], recoveryEmail=ANN)
    done(change(api, ANN, MOVED))
    eve = corp.attributes(corp.tree.user("eve@away.test"))
    assert eve["userManager"] == eve["recoveryEmail"] == {MOVED}


def test_mention_of_both_addresses_becomes_one(api: Client, corp: World) -> None:
    add_alias(corp, "info@other.test", "Ann@Corp.test", BEA)
    done(change(api, ANN, BEA))
    info = corp.attributes(corp.tree.alias("info@other.test"))
    assert info["mailForwardingAddress"] == {BEA}


def test_what_only_looks_alike_stays(api: Client, corp: World) -> None:
    add_alias(corp, "info@other.test", "joann@corp.test", "ann@corp.test.invalid")
    before = corp.attributes(corp.tree.alias("info@other.test"))
    done(change(api, ANN, BEA))
    assert corp.attributes(corp.tree.alias("info@other.test")) == before


def test_own_further_address_becomes_the_address(api: Client, corp: World) -> None:
    """It is no conflict, and it is not listed twice."""
    corp.set(corp.tree.user(ANN), shadowAddress=[BEA, "ann@corp.example"])
    done(change(api, ANN, BEA))
    entry = corp.attributes(corp.tree.user(BEA))
    assert entry["shadowAddress"] == {"bea@corp.example"}


def test_unusual_names(api: Client, corp: World) -> None:
    """A DN escapes what a filter does not, and the other way round."""
    for old, new in ((ANN, "#a&b@corp.test"), ("#a&b@corp.test", "_-x@away.test")):
        done(change(api, old, new))
        assert corp.attributes(corp.tree.user(new))["mail"] == {new}
        assert corp.entry(corp.tree.user(old)) is None


def test_name_in_an_alias_domain_that_is_taken(api: Client, corp: World) -> None:
    """It stays with whom it belongs to; what mentioned the old one mentions the address itself."""
    corp.set(corp.tree.user("bob@corp.test"), shadowAddress=["bea@corp.example"])
    corp.set(corp.tree.user(ANN), shadowAddress=["ann@corp.example"])
    add_alias(corp, "info@other.test", "ann@corp.example")
    answer = done(change(api, ANN, BEA))
    assert answer.headers["X-Ignored-Values"] == "bea@corp.example"
    assert "shadowAddress" not in corp.attributes(corp.tree.user(BEA))
    info = corp.attributes(corp.tree.alias("info@other.test"))
    assert info["mailForwardingAddress"] == {BEA}


@pytest.mark.parametrize("home", ["corp.test", "away.test"])
def test_status_is_that_of_the_new_domain(api: Client, corp: World, home: str) -> None:
    done(api.put(f"/api/domain/{home}", accountStatus="disabled"))
    done(change(api, ANN, MOVED))
    status = corp.attributes(corp.tree.user(MOVED)).get("domainStatus")
    assert status == ({"disabled"} if home == "away.test" else None)


def test_mail_and_login(
    api: Client, corp: World, postfix: Postfix, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Postfix and Dovecot find the new address and the old mailbox; the old address nowhere."""
    corp.set(corp.tree.user(ANN), memberOfGroup=["crew@other.test"])
    add_list(corp, "crew@other.test")
    add_alias(corp, "info@other.test", ANN)
    (home,) = corp.attributes(corp.tree.user(ANN))["homeDirectory"]

    done(change(api, ANN, MOVED))

    for address in (MOVED, "bea@away.example", "crew@other.test", "info@other.test"):
        assert postfix.recipients(address) == {MOVED}, address
    for address in (ANN, "ann@corp.example"):
        assert postfix.recipients(address) == set(), address
    assert postfix.lookup("virtual_mailbox_maps", MOVED) == f"{home}/Maildir/"
    assert postfix.lookup("sender_login_maps", MOVED) == MOVED
    assert postfix.lookup("sender_login_maps", ANN) is None
    dovecot = Dovecot(tmp_path_factory.mktemp("dovecot"), corp.slapd.uri, SUFFIX, READER_PASSWORD)
    started(dovecot)
    try:
        assert dovecot.accepts(MOVED, PASSWORD)
        assert not dovecot.accepts(ANN, PASSWORD)
        mailbox = dovecot.mailbox(MOVED)
        assert mailbox is not None
        assert mailbox.home == home
    finally:
        dovecot.stop()


# --- broken off and finished ------------------------------------------------------------------


def broken_off(directory: Directory, plan: Plan, steps: int) -> None:
    """Carry out the beginning of a plan, as a process does that dies then."""
    apply(directory, replace(plan, steps=plan.steps[:steps]))


@pytest.mark.parametrize("steps", range(10))
@pytest.mark.parametrize("new", [BEA, MOVED])
@pytest.mark.parametrize("forwards", [False, True])
def test_user_broken_off(
    api: Client,
    served: Served,
    corp: World,
    root: Caller,
    postfix: Postfix,
    new: str,
    steps: int,
    forwards: bool,
) -> None:
    """Wherever it breaks off, mail to either address arrives, and a second call finishes it.

    Mail by way of an alias, a list or a catch-all arrives too, and nobody else can take either
    address meanwhile.
    """
    directory = served.gateways.directory
    ann = corp.tree.user(ANN)
    corp.set(
        ann,
        shadowAddress=["ann@corp.example", "anne@corp.test"],
        memberOfGroup=["crew@other.test"],
        mailForwardingAddress=[ANN, ELSEWHERE] if forwards else None,
    )
    mention_everywhere(corp, ANN, ann)
    (home,) = corp.attributes(ann)["homeDirectory"]
    plan = rename(served.context(root), address_change.USER, ANN, new)
    if steps >= len(plan.steps):
        return  # within a domain there is a step less

    broken_off(directory, plan, steps)

    also = {ELSEWHERE} if forwards else set()
    is_dropped = new == MOVED and steps >= len(plan.steps) - 2
    arriving = [ANN, *([new] if steps else []), *([] if is_dropped else ["anne@corp.test"])]
    with postfix.at_rest():
        for address in arriving:
            found = postfix.recipients(address)
            assert also <= found
            places = {postfix.lookup("virtual_mailbox_maps", x) for x in found - also}
            assert places == {f"{home}/Maildir/"}, (address, found)
        for address in ("info@other.test", "crew@other.test", "nobody@other.test"):
            found = postfix.recipients(address) - {ELSEWHERE}
            places = {postfix.lookup("virtual_mailbox_maps", x) for x in found}
            assert places == {f"{home}/Maildir/"}, (address, found)
    if steps:
        for address in (ANN, new):
            refused(api.post(f"/api/user/{address}", password=PASSWORD), 409, "ALREADY_EXISTS")

    done(change(api, ANN, new))

    assert mentions(corp, "ann@corp") == []
    assert_mentioned_everywhere(corp, new, corp.tree.user(new))
    entry = corp.attributes(corp.tree.user(new))
    assert entry["mail"] == {new}
    assert entry["homeDirectory"] == {home}
    assert entry.get("mailForwardingAddress") == ({new, ELSEWHERE} if forwards else None)
    assert entry["shadowAddress"] == (
        {"bea@corp.example", "anne@corp.test"} if new == BEA else {"bea@away.example"}
    )
    assert postfix.recipients(new) == {new} | also
    assert postfix.recipients(ANN) == set()
    after = corp.snapshot()
    refused(change(api, ANN, new), 404, "NO_SUCH_ACCOUNT")
    assert corp.snapshot() == after


@pytest.mark.parametrize("steps", range(10))
@pytest.mark.parametrize("new", ["team@corp.test", "team@away.test"])
def test_alias_broken_off(
    api: Client, served: Served, corp: World, root: Caller, postfix: Postfix, new: str, steps: int
) -> None:
    """As with a user."""
    directory = served.gateways.directory
    old = "desk@corp.test"
    dn = add_alias(corp, old, "bob@corp.test", ELSEWHERE, shadowAddress="desk@corp.example")
    mention_everywhere(corp, old, dn)
    plan = rename(served.context(root), address_change.ALIAS, old, new)
    if steps >= len(plan.steps):
        return

    broken_off(directory, plan, steps)

    with postfix.at_rest():
        for address in (old, "info@other.test", *([new] if steps else [])):
            assert postfix.recipients(address) == {"bob@corp.test", ELSEWHERE}

    done(change(api, old, new, "alias"))

    assert mentions(corp, "desk@") == []
    assert_mentioned_everywhere(corp, new, corp.tree.alias(new))
    assert postfix.recipients(new) == {"bob@corp.test", ELSEWHERE}
    assert postfix.recipients(old) == set()


def test_an_account_in_a_unit_of_another_tool_broken_off(
    api: Client, served: Served, corp: World, root: Caller
) -> None:
    """What has come to name its old DN meanwhile follows when the rename is finished."""
    directory = served.gateways.directory
    sales = f"ou=Sales,{corp.tree.container('corp.test', 'Users')}"
    corp.add(sales, objectClass="organizationalUnit", ou="Sales")
    connection = corp.connect()
    connection.rename_s(corp.tree.user(ANN), f"mail={ANN}", sales)
    connection.unbind_s()
    plan = rename(served.context(root), address_change.USER, ANN, BEA)
    moves = [type(step).__name__ for step in plan.steps].index("Rename")
    broken_off(directory, plan, moves + 1)
    mention_everywhere(corp, ANN, f"mail={ANN},{sales}")

    done(change(api, ANN, BEA))

    assert mentions(corp, "ann@corp") == []
    assert_mentioned_everywhere(corp, BEA, f"mail={BEA},{sales}")


def test_only_the_same_rename_is_finished(
    api: Client, served: Served, corp: World, root: Caller
) -> None:
    """An unfinished one from Ann is no licence to take another address's mentions."""
    directory = served.gateways.directory
    plan = rename(served.context(root), address_change.USER, ANN, BEA)
    moves = [type(step).__name__ for step in plan.steps].index("Rename")
    broken_off(directory, plan, moves + 1)
    add_alias(corp, "desk@corp.test", "bob@corp.test")
    before = corp.snapshot()
    for old in ("ghost@corp.test", "desk@corp.test"):
        refused(change(api, old, BEA), 404, "NO_SUCH_ACCOUNT")
    refused(change(api, ANN, BEA, "alias"), 404, "NO_SUCH_ACCOUNT")
    refused(change(api, "bob@corp.test", BEA), 409, "ALREADY_EXISTS")
    refused(change(api, "bob@corp.test", ANN), 409, "ALREADY_EXISTS")
    assert corp.snapshot() == before


def test_finished_after_the_old_domain_is_gone(
    api: Client, served: Served, corp: World, root: Caller
) -> None:
    """The addresses in its alias domains go too; they are hosted nowhere."""
    corp.set(corp.tree.user(ANN), shadowAddress=["ann@corp.example", "a@corp.example"])
    directory = served.gateways.directory
    plan = rename(served.context(root), address_change.USER, ANN, MOVED)
    moves = [type(step).__name__ for step in plan.steps].index("Rename")
    broken_off(directory, plan, moves + 1)
    done(api.delete("/api/domain/corp.test"))
    done(change(api, ANN, MOVED))
    entry = corp.attributes(corp.tree.user(MOVED))
    assert entry["shadowAddress"] == {"bea@away.example"}


def test_names_of_an_alias_domain_that_is_being_added_stay_behind(api: Client, corp: World) -> None:
    """It broke off when accounts had names in it, and it was none yet; then it is finished."""
    corp.set(corp.tree.domain("corp.test"), domainPendingAliasName=["corp.invalid"])
    corp.set(corp.tree.user(ANN), shadowAddress=["ann@corp.example", "ann@corp.invalid"])
    done(change(api, ANN, MOVED))
    done(api.put("/api/domain/corp.test", addAliasDomain="corp.invalid"))
    entry = corp.attributes(corp.tree.user(MOVED))
    assert entry["shadowAddress"] == {"bea@away.example"}


@pytest.mark.parametrize("kind", ["user", "alias"])
def test_a_domain_that_other_tools_named_its_own_alias_domain(
    api: Client, corp: World, kind: str
) -> None:
    """An account has each of its addresses once."""
    add_alias(corp, "desk@corp.test", "bob@corp.test")
    home = corp.tree.domain("corp.test")
    corp.set(home, domainAliasName=["CORP.test", "corp.example"])
    old = {"user": ANN, "alias": "desk@corp.test"}[kind]
    done(change(api, old, "new@corp.test", kind))
    entry = corp.attributes(getattr(corp.tree, kind)("new@corp.test"))
    assert entry["shadowAddress"] == {"new@corp.example"}


def test_what_changes_meanwhile_is_seen(served: Served, corp: World, root: Caller) -> None:
    """A forwarding set, and a domain disabled, after the plan was made."""
    directory = served.gateways.directory
    plan = rename(served.context(root), address_change.USER, ANN, MOVED)
    moves = [type(step).__name__ for step in plan.steps].index("Rename")
    broken_off(directory, plan, moves)
    corp.set(corp.tree.user(ANN), mailForwardingAddress=[ANN, ELSEWHERE])
    corp.set(corp.tree.domain("away.test"), accountStatus="disabled")

    apply(directory, replace(plan, steps=plan.steps[moves:]))

    entry = corp.attributes(corp.tree.user(MOVED))
    assert entry["mailForwardingAddress"] == {MOVED, ELSEWHERE}
    assert entry["domainStatus"] == {"disabled"}


def test_deleted_meanwhile_is_told(served: Served, corp: World, root: Caller) -> None:
    directory = served.gateways.directory
    plan = rename(served.context(root), address_change.USER, ANN, BEA)
    moves = [type(step).__name__ for step in plan.steps].index("Rename")
    broken_off(directory, plan, moves + 1)
    connection = corp.connect()
    connection.delete_s(corp.tree.user(BEA))
    connection.unbind_s()
    with pytest.raises(NoSuchAccount):
        apply(directory, replace(plan, steps=plan.steps[moves + 1 :]))


# --- refused, with nothing changed ------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "status", "code"),
    [
        (ANN, "bea", 400, "INVALID_MAIL"),
        (ANN, "bea@corp", 400, "INVALID_MAIL"),
        (ANN, "b+ea@corp.test", 400, "INVALID_MAIL"),
        (ANN, "@corp.test", 400, "INVALID_MAIL"),
        ("nobody", BEA, 400, "INVALID_MAIL"),
        ("ghost@corp.test", BEA, 404, "NO_SUCH_ACCOUNT"),
        ("ghost@corp.test", "ghost@corp.test", 404, "NO_SUCH_ACCOUNT"),
        ("ghost@nowhere.test", BEA, 404, "NO_SUCH_ACCOUNT"),
        ("info@corp.test", BEA, 404, "NO_SUCH_ACCOUNT"),
        ("anne@corp.test", BEA, 404, "NO_SUCH_ACCOUNT"),
        (ANN, "bea@nowhere.test", 404, "NO_SUCH_ACCOUNT"),
        (ANN, "bea@away.example", 404, "NO_SUCH_ACCOUNT"),
        ("ann@corp.example", BEA, 404, "NO_SUCH_ACCOUNT"),
        (ANN, "ANN@corp.test", 409, "ALREADY_EXISTS"),
        (ANN, "bob@corp.test", 409, "ALREADY_EXISTS"),
        (ANN, "robert@corp.test", 409, "ALREADY_EXISTS"),
        (ANN, "info@corp.test", 409, "ALREADY_EXISTS"),
        (ANN, "crew@other.test", 409, "ALREADY_EXISTS"),
    ],
)
def test_refused(api: Client, corp: World, old: str, new: str, status: int, code: str) -> None:
    corp.set(corp.tree.user(ANN), shadowAddress=["anne@corp.test"])
    corp.set(corp.tree.user("bob@corp.test"), shadowAddress=["robert@corp.test"])
    add_alias(corp, "info@corp.test", "bob@corp.test")
    add_list(corp, "crew@other.test")
    before = corp.snapshot()
    refused(change(api, old, new), status, code)
    assert corp.snapshot() == before


def test_alias_refused(api: Client, corp: World) -> None:
    add_alias(corp, "info@corp.test", "bob@corp.test")
    before = corp.snapshot()
    for new, status, code in (
        ("info@corp.test", 409, "ALREADY_EXISTS"),
        (ANN, 409, "ALREADY_EXISTS"),
        ("info@nowhere.test", 404, "NO_SUCH_ACCOUNT"),
        ("a=b@corp.test", 400, "INVALID_MAIL"),
    ):
        refused(change(api, "info@corp.test", new, "alias"), status, code)
    refused(change(api, ANN, BEA, "alias"), 404, "NO_SUCH_ACCOUNT")
    assert corp.snapshot() == before


@pytest.mark.parametrize(
    ("limits", "quota", "codes"),
    [
        ({"numberOfUsers": -1}, "0", "NOT_ALLOWED"),
        ({"numberOfUsers": 1}, "0", "EXCEEDED_DOMAIN_ACCOUNT_LIMIT"),
        ({"numberOfUsers": 2}, "0", None),
        ({"quota": 100}, "0", "EXCEEDED_DOMAIN_QUOTA_SIZE"),
        ({"quota": 100}, str(61 * 2**20), "EXCEEDED_DOMAIN_QUOTA_SIZE"),
        ({"quota": 100}, str(60 * 2**20), None),
        ({"maxUserQuota": 50}, "0", "EXCEEDED_MAX_USER_QUOTA"),
        ({"maxUserQuota": 50}, str(51 * 2**20), "EXCEEDED_MAX_USER_QUOTA"),
        ({"maxUserQuota": 50}, str(50 * 2**20), None),
        (
            {"numberOfUsers": 1, "quota": 40, "maxUserQuota": 1},
            str(2 * 2**20),
            "EXCEEDED_DOMAIN_ACCOUNT_LIMIT,EXCEEDED_DOMAIN_QUOTA_SIZE,EXCEEDED_MAX_USER_QUOTA",
        ),
    ],
)
def test_limits_of_another_domain(
    api: Client, corp: World, limits: dict[str, Any], quota: str, codes: str | None
) -> None:
    """A user who comes is judged as a new one with their mailbox; the catch-all is no user."""
    done(api.post("/api/user/first@away.test", password=PASSWORD, quota=40))
    corp.add(
        corp.tree.catchall("away.test"),
        objectClass=["inetOrgPerson", "mailUser"],
        mail="@away.test",
        cn="x",
        sn="x",
        uid="x",
    )
    done(api.put("/api/domain/away.test", **limits))
    corp.set(corp.tree.user(ANN), mailQuota=quota)
    before = corp.snapshot()
    if codes:
        refused(change(api, ANN, MOVED), 409, codes)
        assert corp.snapshot() == before
    else:
        done(change(api, ANN, MOVED))


def test_limits_do_not_matter_within_a_domain(api: Client, corp: World) -> None:
    done(api.put("/api/domain/corp.test", numberOfUsers=-1, quota=1, maxUserQuota=1))
    done(change(api, ANN, BEA))


def test_limit_of_aliases(api: Client, corp: World) -> None:
    """Those of users have nothing to do with it."""
    for name in ("info", "desk"):
        add_alias(corp, f"{name}@corp.test", "bob@corp.test")
    done(api.put("/api/domain/away.test", numberOfAliases=1, numberOfUsers=-1, maxUserQuota=1))
    done(change(api, "info@corp.test", "info@away.test", "alias"))
    before = corp.snapshot()
    answer = change(api, "desk@corp.test", "desk@away.test", "alias")
    refused(answer, 409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT")
    assert corp.snapshot() == before
    done(api.put("/api/domain/away.test", numberOfAliases=-1))
    refused(change(api, "desk@corp.test", "desk@away.test", "alias"), 409, "NOT_ALLOWED")


def test_if_match_guards_the_old_entry(api: Client, corp: World) -> None:
    """Once: after the rename the state is another one."""
    tag = api.get(f"/api/user/{ANN}").headers["ETag"]
    corp.set(corp.tree.user(ANN), title="Dr")
    before = corp.snapshot()
    answer = change(api, ANN, BEA, headers={"If-Match": tag})
    refused(answer, 412, "PRECONDITION_FAILED")
    assert corp.snapshot() == before
    tag = api.get(f"/api/user/{ANN}").headers["ETag"]
    done(change(api, ANN, BEA, headers={"If-Match": tag}))
    refused(change(api, BEA, ANN, headers={"If-Match": tag}), 412, "PRECONDITION_FAILED")


# --- who may ----------------------------------------------------------------------------------


def manager_of(served: Served, world: World, *domains: str) -> Client:
    """A normal admin, a mail user in the third domain, logged in."""
    world.set(
        world.tree.user("cid@other.test"),
        enabledService=["mail", "deliver", "domainadmin"],
    )
    for name in domains:
        world.set(world.tree.domain(name), domainAdmin=["cid@other.test"])
    return served.client().log_in("cid@other.test", PASSWORD)


def test_normal_admin_needs_both_domains(served: Served, corp: World) -> None:
    """One that does not exist looks to them like one that is not theirs."""
    cid = manager_of(served, corp, "corp.test")
    add_alias(corp, "info@corp.test", "bob@corp.test")
    before = corp.snapshot()
    for old, new in (
        (ANN, MOVED),
        (ANN, "bea@nowhere.test"),
        (ANN, "bea@corp.example"),
        ("eve@away.test", BEA),
        ("eve@nowhere.test", BEA),
    ):
        refused(change(cid, old, new), 403, "PERMISSION_DENIED")
    refused(change(cid, "info@corp.test", "info@away.test", "alias"), 403, "PERMISSION_DENIED")
    assert corp.snapshot() == before
    done(change(cid, ANN, BEA))
    done(change(cid, "info@corp.test", "desk@corp.test", "alias"))


def test_normal_admin_of_both_domains(served: Served, corp: World) -> None:
    cid = manager_of(served, corp, "corp.test", "away.test")
    done(change(cid, ANN, MOVED))


def test_normal_admin_renames_no_global_one(served: Served, corp: World, root: Caller) -> None:
    """Nor finishes that."""
    cid = manager_of(served, corp, "corp.test")
    corp.set(corp.tree.user(ANN), domainGlobalAdmin="yes")
    code = "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE"
    before = corp.snapshot()
    refused(change(cid, ANN, BEA), 403, code)
    assert corp.snapshot() == before
    directory = served.gateways.directory
    plan = rename(served.context(root), address_change.USER, ANN, BEA)
    broken_off(directory, plan, len(plan.steps) - 1)
    refused(change(cid, ANN, BEA), 403, code)


def test_nobody_else(served: Served, corp: World) -> None:
    before = corp.snapshot()
    for kind in ("user", "alias"):
        refused(change(served.client(), ANN, BEA, kind), 401, "LOGIN_REQUIRED")
    assert corp.snapshot() == before


def test_admin_keeps_their_domains(served: Served, api: Client, corp: World) -> None:
    """A renamed admin logs in under the new address; their old cookie is worth nothing."""
    cid = manager_of(served, corp, "corp.test")
    done(change(api, "cid@other.test", "sid@other.test"))
    sid = served.client().log_in("sid@other.test", PASSWORD)
    done(change(sid, ANN, BEA))
    again = served.client()
    again.session.cookies.update(cid.session.cookies)
    fresh = Client(again.url, again.session)
    deadline = threading.Event()
    for _ in range(100):
        answer = fresh.get(f"/api/user/{BEA}")
        if answer.status_code == 401:
            break
        deadline.wait(0.02)
    refused(answer, 401, "LOGIN_REQUIRED")


def test_global_admin_renames_their_own_account(served: Served, corp: World) -> None:
    corp.set(corp.tree.user(ANN), domainGlobalAdmin="yes")
    done(change(served.client().log_in(ANN, PASSWORD), ANN, BEA))
    served.client().log_in(BEA, PASSWORD)


def test_admins_stay_out_of_disabled_domains(served: Served, api: Client, corp: World) -> None:
    """Neither the caller nor the last active global admin is renamed into one."""
    corp.set(corp.tree.user(ANN), domainGlobalAdmin="yes")
    ann = served.client().log_in(ANN, PASSWORD)
    done(api.put("/api/domain/away.test", accountStatus="disabled"))
    before = corp.snapshot()
    refused(change(ann, ANN, MOVED), 403, "PERMISSION_DENIED")
    assert corp.snapshot() == before
    corp.set(corp.tree.user("bob@corp.test"), domainGlobalAdmin="yes")
    done(change(api, ANN, MOVED))
    cookies = served.client().log_in("bob@corp.test", PASSWORD)
    corp.set(corp.tree.admin(ADMIN), accountStatus="disabled")
    refused(change(cookies, "bob@corp.test", "bob@away.test"), 403, "PERMISSION_DENIED")


# --- at once ----------------------------------------------------------------------------------


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run calls together; give their answers in order."""
    start = threading.Barrier(len(calls))
    answers: list[Any] = [None] * len(calls)

    def run(number: int, call: Callable[[], Any]) -> None:
        start.wait()
        answers[number] = call()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("attempt", range(5))
def test_one_address_wanted_at_once(api: Client, corp: World, attempt: int) -> None:
    """Of several accounts one gets it; the others are as they were."""
    add_alias(corp, "info@corp.test", ELSEWHERE)
    rivals = [(ANN, "user"), ("bob@corp.test", "user"), ("cid@other.test", "user"),
              ("info@corp.test", "alias")]  # fmt: skip
    add_alias(corp, "all@other.test", *(mail for mail, _ in rivals))
    before = corp.snapshot()

    answers = at_once(
        *(lambda m=mail, k=kind: change(Client(api.url, api.session), m, BEA, k)
          for mail, kind in rivals)
    )  # fmt: skip

    codes = sorted((a.status_code, a.json().get("_msg")) for a in answers)
    assert codes == [(200, None)] + [(409, "ALREADY_EXISTS")] * 3
    (winner,) = (m for (m, _), answer in zip(rivals, answers, strict=True) if answer.ok)
    holders = corp.find(f"(|(mail={BEA})(shadowAddress={BEA}))")
    assert [entry.text("mail") for entry in holders] == [BEA]
    assert mentions(corp, winner) == []
    after = corp.snapshot()
    for loser in {mail for mail, _ in rivals} - {winner}:
        dns = [dn for dn in before if dn.lower().startswith(f"mail={loser},")]
        assert {dn: after[dn] for dn in dns} == {dn: before[dn] for dn in dns}
    members = corp.attributes(corp.tree.alias("all@other.test"))["mailForwardingAddress"]
    assert members == {mail for mail, _ in rivals} - {winner} | {BEA}


@pytest.mark.parametrize("attempt", range(3))
def test_one_rename_asked_for_at_once(api: Client, corp: World, attempt: int) -> None:
    """It is done once, and completely."""
    mention_everywhere(corp, ANN, corp.tree.user(ANN))
    answers = at_once(*[lambda: change(Client(api.url, api.session), ANN, BEA)] * 4)
    assert {answer.status_code for answer in answers} <= {200, 404}
    assert 200 in {answer.status_code for answer in answers}
    assert mentions(corp, "ann@corp") == []
    assert "shadowAddress" in corp.attributes(corp.tree.user(BEA))
    assert corp.attributes(corp.tree.user(BEA))["shadowAddress"] == {"bea@corp.example"}
    assert_mentioned_everywhere(corp, BEA, corp.tree.user(BEA))


def test_last_place_wanted_at_once(api: Client, corp: World) -> None:
    """A limit holds when several accounts want to come together."""
    done(api.put("/api/domain/away.test", numberOfUsers=1))
    movers = [ANN, "bob@corp.test", "cid@other.test"]
    answers = at_once(
        *(
            lambda m=mail: change(
                Client(api.url, api.session), m, f"{m.partition('@')[0]}@away.test"
            )
            for mail in movers
        )
    )
    codes = sorted((a.status_code, a.json().get("_msg")) for a in answers)
    assert codes == [(200, None)] + [(409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT")] * 2
    assert len(corp.find("(objectClass=mailUser)", corp.tree.domain("away.test"))) == 1
    marked = [e for e in corp.find() if e.lowered("mail") & e.lowered("shadowAddress")]
    assert marked == []


@pytest.mark.parametrize("attempt", range(3))
def test_two_addresses_for_one_account_at_once(
    api: Client, corp: World, postfix: Postfix, attempt: int
) -> None:
    """One becomes the address, and mail by way of mentions arrives whichever they name."""
    mention_everywhere(corp, ANN, corp.tree.user(ANN))
    answers = at_once(
        *(lambda n=new: change(Client(api.url, api.session), ANN, n) for new in (BEA, MOVED))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 404]
    (new,) = (n for n, answer in zip((BEA, MOVED), answers, strict=True) if answer.ok)
    assert mentions(corp, "ann@corp") == []
    assert postfix.recipients(new) == {new}
    assert postfix.recipients("info@other.test") == {new, ELSEWHERE}
    (entry,) = corp.find("(uid=bea)")
    assert entry.text("mail") == new
    assert not entry.has("shadowAddress", new)
