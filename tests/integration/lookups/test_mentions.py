"""What is told of references before a deletion or a rename is what these then do.

Both ways: each reference that is told becomes what was told, and no value of another entry goes
that was not told.
"""

from typing import Any

import pytest

from iredldap.changes import dry_run
from iredldap.dit.plan import Plan
from iredldap.gateways.directory import Directory
from iredldap.operations.lookups import mentions
from tests.support.client import Client, done, refused
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.serving import Served
from tests.support.trees import Tree, everything, put_back
from tests.support.world import ADMIN, SUFFIX, World

PASSWORD = "a good password"
DOMAIN, OTHER = "here.test", "other.test"
ANN, BOB, EVE = f"ann@{DOMAIN}", f"bob@{DOMAIN}", f"eve@{OTHER}"
SALES, TEAM, NEWS = f"sales@{DOMAIN}", f"team@{DOMAIN}", f"news@{OTHER}"


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    return {"mlmmjadmin": mlmmjadmin.settings}


@pytest.fixture
def firm(api: Client, world: World) -> Client:
    """Two domains whose accounts refer to one another in every way that there is."""
    for name in (DOMAIN, OTHER):
        done(api.post(f"/api/domain/{name}"))
    done(api.put(f"/api/domain/{DOMAIN}", addAliasDomain="alias.test"))
    for mail in (ANN, BOB, EVE):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.put(f"/api/user/{ANN}", addAlias=f"a.nn@{DOMAIN}"))
    done(api.post(f"/api/maillist/{TEAM}", members=f"{ANN},{EVE},x@there.test"))
    done(api.post(f"/api/alias/{SALES}", members=f"{ANN},{TEAM}"))
    done(api.post(f"/api/alias/all@{OTHER}", members=f"{SALES},a.nn@{DOMAIN}"))
    done(api.put(f"/api/user/{EVE}", forwarding=f"{ANN},{SALES},{TEAM}", senderBcc=ANN))
    done(api.put(f"/api/domain/{OTHER}", catchall=ANN, recipientBcc=ANN, senderBcc=SALES))
    done(api.put(f"/api/domain/admins/{OTHER}", addAdmin=ANN))
    done(api.post(f"/api/ml/{NEWS}", owner=ANN, moderators=ANN))
    done(api.put(f"/api/ml/{NEWS}", add_subscribers=f"{ANN},{BOB}", require_confirm="no"))
    done(api.post(f"/api/throttle/{ANN}/inbound", period="60", max_msgs="10"))
    done(api.put(f"/api/spampolicy/user/{ANN}", spam_score="4.5"))
    tree = world.tree
    world.set(tree.user(BOB), userManager=ANN)
    world.set(tree.user(EVE), backupMailAddress=ANN)
    world.set(tree.domain(DOMAIN), accountSetting=[f"defaultList:{TEAM},{NEWS}"])
    world.set(tree.maillist(TEAM), listModerator=ANN, listAllowedUser=[ANN, f"@{DOMAIN}"])
    return api


CALLS: dict[str, tuple[str, str, str]] = {
    ANN: ("DELETE", f"/api/user/{ANN}", f"/api/user/{ANN}/change_email/anne@{DOMAIN}"),
    SALES: ("DELETE", f"/api/alias/{SALES}", f"/api/alias/{SALES}/change_email/sold@{DOMAIN}"),
    TEAM: ("DELETE", f"/api/maillist/{TEAM}", ""),
    NEWS: ("DELETE", f"/api/ml/{NEWS}", ""),
}


def values(tree: Tree, outside: str) -> set[tuple[str, str, str]]:
    """All values of entries that are not at or below a DN."""
    return {
        (dn, name, value.decode("utf-8", "replace"))
        for dn, attributes in tree.items()
        if not dn.endswith(outside)
        for name, held in attributes.items()
        if name != "entryCSN"
        for value in held
    }


def compare(told: list[dict[str, Any]], fate: str, before: Tree, after: Tree, dn: str) -> set[Any]:
    """Compare what was told with what has been done; give the attributes of references."""
    was, left = values(before, dn), values(after, dn)
    gone = {place for place in was - left if place[0] in after}
    announced = {(one["dn"], one["attribute"], one["value"]) for one in told if one["attribute"]}
    ending = {
        (one["dn"], one["attribute"], one["value"])
        for one in told
        if one[fate] in {"removed", "replaced"}
    }
    assert gone == ending
    assert announced <= was
    for one in told:
        place = (one["dn"], one["attribute"], one["value"])
        come = {value for holder, name, value in left - was if (holder, name) == place[:2]}
        match one[fate]:
            case "stays":
                assert place in left, one
            case "replaced":
                assert come, one
            case "removed":
                assert not come, one
            case "deleted":
                assert one["dn"] not in after, one
            case other:
                raise AssertionError(other)
    return {one["attribute"] for one in told}


@pytest.mark.parametrize("mail", CALLS)
def test_what_is_told_is_done(firm: Client, world: World, served: Served, mail: str) -> None:
    method, deletion, renaming = CALLS[mail]
    told = firm.get(f"/api/references/{mail}").json()["_data"]
    assert (told["deletion"]["refused"], told["left_out"], told["in_other_domains"]) == ([], 0, 0)
    before = everything(world)
    (dn,) = (dn for dn in before if dn.startswith(f"mail={mail},"))

    if renaming:
        done(firm.post(renaming))
        new_mail = renaming.rpartition("/")[2]
        new = dn.replace(mail, new_mail, 1)
        after = everything(world)
        assert new in after
        after[dn] = after.pop(new)
        compare(told["references"], "on_rename", before, after, dn)
        held = {v.decode() for v in after[dn].get("shadowAddress", [])}
        assert held & {one["address"] for one in told["addresses"]} == {
            one["address"] for one in told["addresses"] if one["on_rename"] == "stays"
        }
        back = renaming.replace(mail, new_mail).rpartition("/")[0]
        done(firm.post(f"{back}/{mail}"))
        put_back(world, before)
    assert (told["rename"] is None) == (not renaming)

    done(firm.call(method, deletion))
    kinds = compare(told["references"], "on_deletion", before, everything(world), dn)

    assert kinds >= KINDS[mail]
    assert served.gateways.outside.count(mail) == {}


KINDS: dict[str, set[str | None]] = {
    ANN: {
        *("mailForwardingAddress", "domainAdmin", "domainRecipientBccAddress", "listModerator"),
        *("userSenderBccAddress", "userManager", "backupMailAddress", "listAllowedUser"),
        *("listOwner",),
    },
    SALES: {"mailForwardingAddress", "domainSenderBccAddress"},
    TEAM: {"mailForwardingAddress", "memberOfGroup", "accountSetting", None},
    NEWS: {"accountSetting"},
}


def test_lists_rows_and_mailbox_are_told(
    firm: Client, world: World, mlmmjadmin: MlmmjadminServer
) -> None:
    path = world.attributes(world.tree.user(ANN))["homeDirectory"]
    world.set(world.tree.user(EVE), homeDirectory=[*path])

    told = firm.get(f"/api/references/{ANN}").json()["_data"]

    assert told["lists"] == [
        {"list": NEWS, "role": "moderators"},
        {"list": NEWS, "role": "normal"},
        {"list": NEWS, "role": "owner"},
    ]
    assert told["rows"] == {"iredapd.throttle": 1, "amavisd.users": 1, "amavisd.policy": 1}
    assert told["mailbox"] == {
        "path": path.pop(),
        "shared_with": [EVE],
        "shared_in_other_domains": 0,
    }
    assert "update subscribable lists" in told["deletion"]["outside"]
    done(firm.delete(f"/api/user/{ANN}"))
    assert {address for address, _ in mlmmjadmin.members(NEWS)} == {BOB}


def test_of_a_domain(firm: Client, world: World, served: Served) -> None:
    told = firm.get("/api/references/domain/alias.test").json()["_data"]
    before = everything(world)
    dn = world.tree.domain(DOMAIN)
    assert (told["domain"], told["alias_domains"]) == (DOMAIN, ["alias.test"])
    assert told["entries"] == sum(entry.endswith(dn) for entry in before)

    done(firm.delete(f"/api/domain/{DOMAIN}"))

    kinds = compare(told["references"], "on_deletion", before, everything(world), dn)
    assert kinds >= {"mailForwardingAddress", "domainAdmin", "userSenderBccAddress"}
    assert told["rows"].keys() >= {"iredapd.throttle"}
    assert served.gateways.outside.count_domain(DOMAIN) == {}


def test_admin_of_their_own(firm: Client, world: World, served: Served) -> None:
    """A standalone admin; who deletes their own account is told the refusal."""
    done(firm.post("/api/admin/zoe@admins.test", password=PASSWORD))
    done(firm.put(f"/api/domain/admins/{DOMAIN}", addAdmin="zoe@admins.test"))

    told = firm.get("/api/references/zoe@admins.test").json()["_data"]
    assert (told["kind"], told["rename"]) == ("admin", None)
    assert [(one["attribute"], one["on_deletion"]) for one in told["references"]] == [
        ("domainAdmin", "removed")
    ]
    own = firm.get(f"/api/references/{ADMIN}").json()["_data"]
    assert own["deletion"]["refused"] == ["PERMISSION_DENIED"]


def test_last_member_of_a_group(firm: Client, world: World) -> None:
    """The deletion would be refused; the rename takes the reference along."""
    group = f"cn=staff,o=domains,{SUFFIX}"
    world.add(group, objectClass="groupOfNames", cn="staff", member=world.tree.user(BOB))
    try:
        told = firm.get(f"/api/references/{BOB}").json()["_data"]
    finally:
        connection = world.connect()
        connection.delete_s(group)
        connection.unbind_s()

    assert told["deletion"]["refused"] == ["LAST_MEMBER"]
    assert told["deletion"]["report"] == {"groups": [group]}
    (one,) = (one for one in told["references"] if one["dn"] == group)
    assert (one["on_deletion"], one["on_rename"]) == (None, "replaced")


def test_normal_admin_learns_of_their_own_domains(served: Served, firm: Client) -> None:
    """What lies in others is counted."""
    done(firm.put(f"/api/domain/admins/{DOMAIN}", addAdmin=BOB))
    bob = served.client().log_in(BOB, PASSWORD)

    told = bob.get(f"/api/references/{SALES}").json()["_data"]
    whole = firm.get(f"/api/references/{SALES}").json()["_data"]

    assert all(
        one["dn"].endswith(f"domainName={DOMAIN},o=domains,{SUFFIX}") for one in told["references"]
    )
    assert told["in_other_domains"] > 0
    assert told["in_other_domains"] + len(told["references"]) == len(whole["references"])
    refused(bob.get(f"/api/references/{EVE}"), 403, "PERMISSION_DENIED")
    refused(bob.get(f"/api/references/domain/{OTHER}"), 403, "PERMISSION_DENIED")


def test_many_are_counted(firm: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = firm.get(f"/api/references/{ANN}").json()["_data"]
    monkeypatch.setattr(mentions, "MOST_SHOWN", 2)

    told = firm.get(f"/api/references/{ANN}").json()["_data"]

    assert told["references"] == whole["references"][:2]
    assert told["left_out"] == len(whole["references"]) - 2


def test_what_others_change_meanwhile_is_looked_up_again(
    firm: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read has no condition that could fail."""
    judge, seen = dry_run.judge, list[str]()

    def late(directory: Directory, plan: Plan, *more: Any) -> Any:
        if len(seen) == 1:
            world.set(world.tree.user(ANN), cn="Changed meanwhile")
        seen.append(plan.named)
        return judge(directory, plan, *more)

    monkeypatch.setattr(dry_run, "judge", late)

    told = firm.get(f"/api/references/{ANN}").json()["_data"]

    assert told["deletion"]["refused"] == told["rename"]["refused"] == []
    assert told["references"]
    # The deletion, and the rename twice: it depends on the state.
    assert seen == [world.tree.user(ANN)] * 3


def test_of_nobody(firm: Client) -> None:
    refused(firm.get(f"/api/references/nobody@{DOMAIN}"), 404, "NO_SUCH_ACCOUNT")
    refused(firm.get("/api/references/domain/nowhere.test"), 404, "NO_SUCH_ACCOUNT")
