"""Unsubscribable mailing lists through the API, judged by the directory and by Postfix."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from iredldap.changes.apply import apply
from iredldap.dit import maillist
from iredldap.dit.fields import Parsed
from iredldap.dit.form_parser import parse
from iredldap.dit.plan import Add, Plan
from iredldap.embedded.slapd import Slapd
from iredldap.errors import AlreadyExists, NoSuchAccount, PreconditionFailed, Refusal
from iredldap.limit_errors import ExceededDomainAccountLimit
from iredldap.operations.lists import maillists
from iredldap.operations.login import Caller
from tests.support.client import Client, done, refused
from tests.support.mailservers import Postfix
from tests.support.serving import Served
from tests.support.world import READER_PASSWORD, SUFFIX, World

PASSWORD = "a good password"
CREW = "crew@corp.test"
PATH = f"/api/maillist/{CREW}"
ROOT = Caller("root@admins.test", "mail=root@admins.test", is_global=True, stored=())
ANN, BOB, CID = "ann@corp.test", "bob@corp.test", "cid@other.test"
INFO, SUB = "info@corp.test", "sub@corp.test"
FAR, ELSE = "x+y@far.test", "z@else.test"
BOTH = {CREW, "crew@alias.test"}

Snapshot = dict[str, dict[str, list[bytes]]]


@pytest.fixture(scope="module")
def postfix(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Postfix:
    return Postfix(tmp_path_factory.mktemp("postfix"), slapd.uri, SUFFIX, READER_PASSWORD)


@pytest.fixture
def corp(api: Client, world: World) -> str:
    """A domain with an alias domain and a few accounts, and one user of another domain."""
    done(api.post("/api/domain/corp.test"))
    world.set(
        world.tree.domain("corp.test"),
        domainAliasName="alias.test",
        enabledService=["mail", "domainalias"],
    )
    done(api.post("/api/domain/other.test"))
    for mail in (ANN, BOB, CID):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.post(f"/api/alias/{INFO}", members="i@far.test"))
    done(api.post(f"/api/maillist/{SUB}", members="s@far.test"))
    return "corp.test"


@pytest.fixture
def crew(api: Client, corp: str) -> str:
    """A list with a member of each kind."""
    done(api.post(PATH, members=f"{ANN},{INFO},{SUB},{FAR}"))
    return CREW


def groups(world: World, dn: str) -> set[str]:
    """The lists that an account says it is a member of."""
    return world.attributes(dn).get("memberOfGroup", set())


def elsewhere(world: World, mail: str = CREW) -> set[str]:
    """The members of a list that are not ours."""
    entry = world.entry(world.tree.externals(mail))
    return set(entry.texts("mail")) if entry else set()


def members(world: World) -> set[str]:
    """Everybody who gets the mail for the list, as the directory has it."""
    ours = {entry.texts("mail")[0] for entry in world.find(f"(memberOfGroup={CREW})")
            if not entry.has("objectClass", "mailExternalUser")}  # fmt: skip
    return ours | elsewhere(world)


def at_once(*tasks: Any) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def another(api: Client) -> Client:
    """A further client of the same session."""
    client = Client(api.url)
    client.session.cookies.update(api.session.cookies)
    return client


# --- creation ---------------------------------------------------------------------------------


def test_new_list_has_every_default(api: Client, world: World, corp: str) -> None:
    """And nothing for members: there are none."""
    done(api.post("/api/maillist/Crew@corp.test"))
    assert world.attributes(world.tree.maillist(CREW)) == {
        "objectClass": {"mailList"},
        "mail": {CREW},
        "accountStatus": {"active"},
        "enabledService": {"mail", "deliver", "displayedInGlobalAddressBook"},
        "accessPolicy": {"public"},
        "shadowAddress": {"crew@alias.test"},
    }
    assert world.entry(world.tree.externals(CREW)) is None
    assert world.find(f"(memberOfGroup={CREW})") == []


def test_new_list_with_members_of_every_kind(api: Client, world: World, corp: str) -> None:
    """Each account of ours says so itself, under every address of the list; others are listed."""
    tree = world.tree
    asked = f"{ANN},BOB@alias.test,{CID},{INFO},{SUB},{FAR},{ELSE}"
    done(api.post(PATH, name="Die Crew ☃", accessPolicy="membersonly", members=asked))

    for dn in (tree.user(ANN), tree.user(BOB), tree.user(CID), tree.alias(INFO)):
        assert groups(world, dn) == BOTH
    assert groups(world, tree.maillist(SUB)) == BOTH
    assert world.attributes(tree.externals(CREW)) == {
        "objectClass": {"mailExternalUser"},
        "memberOfGroup": {CREW},
        "accountStatus": {"active"},
        "enabledService": {"mail", "deliver"},
        "shadowAddress": {"crew@alias.test"},
        "mail": {FAR, ELSE},
    }
    made = world.attributes(tree.maillist(CREW))
    assert made["cn"] == {"Die Crew ☃"}
    assert made["accessPolicy"] == {"membersonly"}
    assert made["member"] == {tree.user(ANN), tree.user(BOB), tree.user(CID)}


def test_list_in_a_disabled_domain_is_marked(api: Client, world: World, corp: str) -> None:
    """And so are its members elsewhere."""
    done(api.put("/api/domain/corp.test", accountStatus="disabled"))
    done(api.post(PATH, members=FAR))
    for dn in (world.tree.maillist(CREW), world.tree.externals(CREW)):
        assert world.attributes(dn)["domainStatus"] == {"disabled"}


def test_strangers_in_domains_of_ours_are_ignored(api: Client, world: World, corp: str) -> None:
    """Such addresses, the list itself and malformed ones are named; the others are taken."""
    asked = f"{ANN},ghost@corp.test,ghost@alias.test,ghost@other.test,{CREW},a@b@c"
    before = world.snapshot()
    strict = {"Prefer": "handling=strict"}
    refused(api.call("POST", PATH, headers=strict, members=asked), 400, "INVALID_PARAMETER")
    refused(api.post(PATH, members="ghost@corp.test,a@b@c"), 400, "INVALID_MAIL")
    refused(api.post(PATH, members=f"{CREW},crew@alias.test"), 400, "INVALID_MAIL")
    assert world.snapshot() == before

    answer = done(api.post(PATH, members=asked))

    assert set(answer.headers["X-Ignored-Values"].split(", ")) == {
        "a@b@c", CREW, "ghost@corp.test", "ghost@alias.test", "ghost@other.test",
    }  # fmt: skip
    assert members(world) == {ANN}


def test_address_is_unique_over_every_kind(api: Client, world: World, corp: str) -> None:
    """Users, lists, aliases, mlmmj's lists and their further addresses."""
    world.add(
        world.tree.maillist("ml@corp.test"),
        objectClass="mailList",
        mail="ml@corp.test",
        enabledService=["mail", "deliver", "mlmmj"],
    )
    world.modify(world.tree.user(ANN), (0, "shadowAddress", [b"anne@corp.test"]))
    before = world.snapshot()
    for taken in (ANN, "ANNE@corp.test", INFO, SUB, "ml@corp.test"):
        refused(api.post(f"/api/maillist/{taken}", members=BOB), 409, "ALREADY_EXISTS")
    refused(api.post("/api/maillist/crew@none.test"), 404, "NO_SUCH_ACCOUNT")
    refused(api.post("/api/maillist/a+b@corp.test"), 400, "INVALID_MAIL")
    assert world.snapshot() == before


def test_name_in_an_alias_domain_that_is_taken(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """Neither the list nor its members get it, else somebody's mail would come to them."""
    world.modify(world.tree.user(CID), (0, "shadowAddress", [b"crew@alias.test"]))
    written = [step for step in made_plan(served, {}).steps if isinstance(step, Add)]
    assert ["shadowAddress" in step.attributes for step in written] == [False]
    answer = done(api.post(PATH, members=f"{ANN},{FAR}"))
    assert answer.headers["X-Ignored-Values"] == "crew@alias.test"
    assert groups(world, world.tree.user(ANN)) == {CREW}
    for dn in (world.tree.maillist(CREW), world.tree.externals(CREW)):
        assert "shadowAddress" not in world.attributes(dn)


@pytest.mark.parametrize(
    ("limit", "code"),
    [("-1", "NOT_ALLOWED"), ("1", "EXCEEDED_DOMAIN_ACCOUNT_LIMIT"), ("2", None), ("0", None)],
)
def test_limit_of_a_domain(
    api: Client, world: World, corp: str, limit: str, code: str | None
) -> None:
    """One list is there already."""
    done(api.put("/api/domain/corp.test", numberOfLists=limit))
    before = world.snapshot()
    answer = api.post(PATH, members=ANN)
    if code:
        refused(answer, 409, code)
        assert world.snapshot() == before
    else:
        done(answer)


def made_plan(served: Served, form: dict[str, list[str]]) -> Plan:
    return maillists.create(served.context(ROOT), {"mail": CREW}, parse(maillist.CREATE, form))


@pytest.mark.parametrize(
    ("rival", "refusal"),
    [("alias", AlreadyExists), ("limit", ExceededDomainAccountLimit)],
)
def test_race_that_is_lost_leaves_nothing(
    api: Client, served: Served, world: World, corp: str, rival: str, refusal: type[Refusal]
) -> None:
    """The address, or the last place, went between the look and the write."""
    done(api.put("/api/domain/corp.test", numberOfLists=2))
    plan = made_plan(served, {"members": [f"{ANN},{INFO},{FAR}"]})
    if rival == "alias":
        world.add(world.tree.alias(CREW), objectClass="mailAlias", mail=CREW)
    else:
        done(api.post("/api/maillist/quicker@corp.test"))
    before = world.snapshot()

    with pytest.raises(refusal):
        apply(served.gateways.directory, plan)

    assert world.snapshot() == before


def test_alias_name_that_another_took_meanwhile(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """The list stays, without that name."""
    plan = made_plan(served, {"members": [f"{ANN},{FAR}"]})
    world.modify(world.tree.user(CID), (0, "shadowAddress", [b"crew@alias.test"]))

    apply(served.gateways.directory, plan)

    assert "shadowAddress" not in world.attributes(world.tree.maillist(CREW))
    assert "shadowAddress" not in world.attributes(world.tree.externals(CREW))
    assert groups(world, world.tree.user(ANN)) == {CREW}


@pytest.mark.parametrize("now", [["alias.test", "new.test"], []])
def test_alias_domains_that_changed_meanwhile(
    served: Served, world: World, corp: str, now: list[str]
) -> None:
    """Nothing is left, and the plan is made anew."""
    plan = made_plan(served, {"members": [f"{ANN},{FAR}"]})
    world.set(world.tree.domain("corp.test"), domainAliasName=now)
    before = world.snapshot()

    with pytest.raises(PreconditionFailed):
        apply(served.gateways.directory, plan)

    assert world.snapshot() == before


def test_domain_that_was_disabled_meanwhile(
    api: Client, served: Served, world: World, corp: str
) -> None:
    plan = made_plan(served, {"members": [FAR]})
    world.set(world.tree.domain("corp.test"), accountStatus="disabled")

    apply(served.gateways.directory, plan)

    for dn in (world.tree.maillist(CREW), world.tree.externals(CREW)):
        assert world.attributes(dn)["domainStatus"] == {"disabled"}


def test_one_list_asked_for_at_once(api: Client, world: World, corp: str) -> None:
    """Ten clients, one winner; its members are there."""
    answers: list[int] = []

    def create() -> None:
        answers.append(another(api).post(PATH, members=f"{ANN},{FAR}").status_code)

    at_once(*[create] * 10)

    assert sorted(answers) == [200] + [409] * 9
    assert members(world) == {ANN, FAR}
    assert world.entry(world.tree.maillist(CREW))


def test_members_who_were_marked_before_stay(api: Client, world: World, corp: str) -> None:
    """Beside those that are asked for, and the answer names them."""
    world.modify(world.tree.user(BOB), (0, "memberOfGroup", [CREW.encode()]))
    world.add(
        world.tree.externals(CREW),
        objectClass="mailExternalUser",
        memberOfGroup=CREW,
        mail=[FAR, ELSE],
        accountStatus="active",
        enabledService=["mail", "deliver"],
    )
    answer = done(api.post(PATH, members=f"{ANN},{FAR}"))
    assert answer.headers["X-Kept-Members"] == f"{BOB}, {ELSE}"
    assert members(world) == {ANN, BOB, FAR, ELSE}


# --- reading ----------------------------------------------------------------------------------


def test_read(api: Client, world: World, corp: str) -> None:
    """Attributes as they are stored, members in order, under the list's entity tag."""
    done(api.post(PATH, members=f"{FAR},{CID},anne@far.test,{ANN},{INFO}"))
    answer = api.get(PATH)
    data = answer.json()["_data"]
    assert data.pop("members") == ["ann@corp.test", "anne@far.test", CID, INFO, FAR]
    stored = world.attributes(world.tree.maillist(CREW))
    assert {name: set(values) for name, values in data.items()} == stored
    entry = world.entry(world.tree.maillist(CREW))
    assert entry
    assert answer.headers["ETag"] == f'"{entry.csn}"'


def test_read_is_two_searches(serve: Any, world: World, crew: str) -> None:
    """Of however many members, the look at the caller's own entry now and then aside.

    One without further addresses takes a single one.
    """
    client = serve(session={"recheck": 2}).client().log_in()

    def cost() -> int:
        before = searches(world)
        client.get(PATH)
        return searches(world) - before - 1  # what the second count costs itself

    assert min(cost() for _ in range(5)) == 2
    world.set(world.tree.maillist(CREW), shadowAddress=None)
    assert min(cost() for _ in range(5)) == 1


def searches(world: World) -> int:
    connection = world.connect()
    try:
        ((_, found),) = connection.search_s(
            "cn=Search,cn=Operations,cn=Monitor", 0, attrlist=["monitorOpInitiated"]
        )
    finally:
        connection.unbind_s()
    return int(found["monitorOpInitiated"][0])


def test_member_who_is_gone_is_read_no_more(api: Client, corp: str) -> None:
    """Though the list's own entry is as it was: its tag is no promise about its members."""
    tag = done(api.post(PATH, members=f"{INFO},{FAR}")).headers["ETag"]
    done(api.delete(f"/api/alias/{INFO}"))
    answer = api.call("GET", PATH, headers={"If-None-Match": tag})
    assert answer.json()["_data"]["members"] == [FAR]


def test_list_of_mlmmj_is_none(api: Client, world: World, corp: str) -> None:
    """Its members are elsewhere."""
    world.add(
        world.tree.maillist(CREW),
        objectClass="mailList",
        mail=CREW,
        enabledService=["mail", "deliver", "mlmmj"],
    )
    before = world.snapshot()
    refused(api.get(PATH), 404, "NO_SUCH_ACCOUNT")
    refused(api.put(PATH, members=ANN), 404, "NO_SUCH_ACCOUNT")
    refused(api.delete(PATH), 404, "NO_SUCH_ACCOUNT")
    assert world.snapshot() == before


def test_address_that_is_no_list(api: Client, world: World, corp: str) -> None:
    """A user, an alias or nobody at all."""
    for mail in (ANN, INFO, "nobody@corp.test", "crew@alias.test"):
        refused(api.get(f"/api/maillist/{mail}"), 404, "NO_SUCH_ACCOUNT")
        refused(api.put(f"/api/maillist/{mail}", addMember=BOB), 404, "NO_SUCH_ACCOUNT")
        refused(api.delete(f"/api/maillist/{mail}"), 404, "NO_SUCH_ACCOUNT")


# --- change -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "left"),
    [
        ({"addMember": f"{BOB},{CID},{ELSE}"}, {ANN, BOB, CID, INFO, SUB, FAR, ELSE}),
        ({"addMember": f"{ANN},{FAR}"}, {ANN, INFO, SUB, FAR}),
        ({"addMember": "ann@alias.test"}, {ANN, INFO, SUB, FAR}),
        ({"removeMember": f"{ANN},{FAR}"}, {INFO, SUB}),
        ({"removeMember": "ANN@alias.test"}, {INFO, SUB, FAR}),
        ({"removeMember": f"{BOB},{ELSE},ghost@corp.test"}, {ANN, INFO, SUB, FAR}),
        ({"removeMember": f"{INFO},{SUB}"}, {ANN, FAR}),
        ({"removeMember": f"{ANN},{FAR}", "addMember": f"{ANN},{FAR},{BOB}"},
         {ANN, BOB, INFO, SUB, FAR}),
        ({"members": f"{BOB},{INFO},{ELSE}"}, {BOB, INFO, ELSE}),
        ({"members": ANN}, {ANN}),
        ({"members": f"{ANN},{INFO},{SUB},{FAR}"}, {ANN, INFO, SUB, FAR}),
        ({"members": ""}, set()),
        ({"members": ","}, set()),
        ({"name": "Crew", "accessPolicy": "domain"}, {ANN, INFO, SUB, FAR}),
    ],
)  # fmt: skip
def test_change_of_members(
    api: Client, world: World, crew: str, form: dict[str, str], left: set[str]
) -> None:
    """What members say, what Externals say and which DNs the list names always agree."""
    tree = world.tree
    done(api.put(PATH, **form))

    assert members(world) == left
    both = {e.dn for e in world.find("(memberOfGroup=crew@alias.test)")}
    ours = {e.dn for e in world.find(f"(memberOfGroup={CREW})")} - {tree.externals(CREW)}
    assert both == ours
    users = {tree.user(mail) for mail in left & {ANN, BOB, CID}}
    assert world.attributes(tree.maillist(CREW)).get("member", set()) == users


def test_change_without_effect_writes_nothing(api: Client, world: World, crew: str) -> None:
    entry = world.entry(world.tree.maillist(CREW))
    assert entry
    answer = done(api.put(PATH, members=f"{ANN},{INFO},{SUB},{FAR}"))
    assert answer.headers["ETag"] == f'"{entry.csn}"'


def test_every_change_of_members_makes_a_new_state(api: Client, world: World, crew: str) -> None:
    """Also where the list's own entry has nothing to change."""
    tags = {done(api.put(PATH, **form)).headers["ETag"] for form in (
        {"removeMember": FAR}, {"addMember": FAR}, {"removeMember": INFO}, {"addMember": INFO},
    )}  # fmt: skip
    assert len(tags) == 4


def test_nothing_valid_to_add_is_refused(api: Client, world: World, crew: str) -> None:
    before = world.snapshot()
    for name in ("members", "addMember"):
        answer = refused(api.put(PATH, **{name: f"ghost@corp.test,{CREW}"}), 400, "INVALID_MAIL")
        assert answer.headers["X-Invalid-Parameters"] == name
    refused(api.put(PATH, members=ANN, addMember=BOB), 400, "PARAMETER_CONFLICT")
    refused(api.put(PATH, accessPolicy="friends", addMember=BOB), 400, "INVALID_PARAMETER")
    assert world.snapshot() == before


def test_member_elsewhere_who_has_moved_in(api: Client, world: World, crew: str) -> None:
    """Once their domain is hosted here they count as one of ours."""
    done(api.post("/api/domain/far.test"))
    done(api.post("/api/user/x@far.test", password=PASSWORD))
    world.set(world.tree.externals(CREW), mail=["x@far.test"])
    done(api.put(PATH, members=f"{ANN},x@far.test"))
    assert elsewhere(world) == set()
    assert groups(world, world.tree.user("x@far.test")) == BOTH


def test_same_condition_holds_once(api: Client, world: World, crew: str) -> None:
    """Though what changes lies on other entries."""
    tag = api.get(PATH).headers["ETag"]
    for form in ({"members": f"{BOB},{ELSE}"}, {"members": ANN}, {"addMember": ELSE}):
        answer = api.call("PUT", PATH, headers={"If-Match": tag}, **form)
        assert answer.status_code == (200 if BOB in form.get("members", "") else 412), answer.text
    assert members(world) == {BOB, ELSE}


def test_rivals_with_the_same_state(api: Client, world: World, crew: str) -> None:
    """Of eight that set all members in the same state one succeeds; the list has its members."""
    tag = api.get(PATH).headers["ETag"]
    wishes = [{BOB, f"r{number}@far.test"} for number in range(8)]
    won: list[set[str]] = []

    def change(wish: set[str]) -> None:
        answer = another(api).call("PUT", PATH, headers={"If-Match": tag}, members=",".join(wish))
        if answer.status_code == 200:
            won.append(wish)
        else:
            refused(answer, 412, "PRECONDITION_FAILED")

    at_once(*(lambda wish=wish: change(wish) for wish in wishes))

    assert won == [members(world)]


def test_rivals_who_set_all_members(api: Client, world: World, crew: str) -> None:
    """Without a condition all succeed, and the list has the members of the last one alone."""
    wishes = [{(ANN, BOB, CID, INFO)[number], f"r{number}@far.test"} for number in range(4)]

    def change(wish: set[str]) -> None:
        done(another(api).put(PATH, members=",".join(wish)))

    for _ in range(5):
        at_once(*(lambda wish=wish: change(wish) for wish in wishes))
        assert members(world) in wishes


def test_setting_all_members_depends_on_those_that_were_seen(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """Of two who saw none the slower has to look again, though nothing of theirs collides."""
    done(api.post(PATH))
    directory = served.gateways.directory
    plans = [
        maillists.update(
            served.context(ROOT), {"mail": CREW}, parse(maillist.UPDATE, {"members": [mail]})
        )
        for mail in (FAR, INFO)
    ]
    apply(directory, plans[0])
    with pytest.raises(PreconditionFailed):
        apply(directory, plans[1])
    done(api.put(PATH, members=INFO))
    assert members(world) == {INFO}


def test_members_added_at_once(api: Client, world: World, crew: str) -> None:
    """Four clients with 25 changes each, of every kind: none is lost."""
    for number in range(20):
        done(api.post(f"/api/user/u{number}@corp.test", password=PASSWORD))
    ours = [f"u{number}@corp.test" for number in range(20)]
    others = [f"m{number}@far.test" for number in range(80)]
    jobs = [[*ours[n::4], *others[n::4]] for n in range(4)]

    def add(job: list[str]) -> None:
        client = another(api)
        for mail in job:
            done(client.put(PATH, addMember=mail))

    def remove(job: list[str]) -> None:
        client = another(api)
        for mail in job:
            done(client.put(PATH, removeMember=mail))

    at_once(*(lambda job=job: add(job) for job in jobs))
    assert members(world) == {ANN, INFO, SUB, FAR, *ours, *others}
    dns = {world.tree.user(mail) for mail in (ANN, *ours)}
    assert world.attributes(world.tree.maillist(CREW))["member"] == dns

    at_once(*(lambda job=job: remove(job) for job in jobs))
    assert members(world) == {ANN, INFO, SUB, FAR}
    assert world.attributes(world.tree.maillist(CREW))["member"] == {world.tree.user(ANN)}


def test_first_members_elsewhere_at_once(api: Client, world: World, corp: str) -> None:
    """Their entry is made by whoever comes first; the others' are not lost."""
    done(api.post(PATH))
    mails = [f"m{number}@far.test" for number in range(8)]
    at_once(*(lambda mail=mail: done(another(api).put(PATH, addMember=mail)) for mail in mails))
    assert members(world) == {*mails}


def test_list_deleted_while_members_join(
    api: Client, served: Served, world: World, crew: str
) -> None:
    """They do not keep its address alive."""
    parsed = parse(maillist.UPDATE, {"addMember": [f"{BOB},{CID}"]})
    plan = maillists.update(served.context(ROOT), {"mail": CREW}, parsed)
    done(api.delete(PATH))

    with pytest.raises(NoSuchAccount):
        apply(served.gateways.directory, plan)

    assert members(world) == set()


def test_list_that_got_an_address_while_members_join(
    api: Client, served: Served, world: World, crew: str
) -> None:
    """The members are not left without it: the plan is made anew."""
    parsed = parse(maillist.UPDATE, {"addMember": [f"{BOB},{CID}"]})
    plan = maillists.update(served.context(ROOT), {"mail": CREW}, parsed)
    world.modify(world.tree.maillist(CREW), (0, "shadowAddress", [b"crew@new.test"]))

    with pytest.raises(PreconditionFailed):
        apply(served.gateways.directory, plan)

    assert members(world) == {ANN, INFO, SUB, FAR}
    done(api.put(PATH, addMember=f"{BOB},{CID}"))
    assert groups(world, world.tree.user(BOB)) == {*BOTH, "crew@new.test"}


def test_members_who_join_while_the_list_is_deleted(
    api: Client, served: Served, world: World, crew: str
) -> None:
    """The last look finds them."""
    directory = served.gateways.directory
    plan = maillists.delete(served.context(ROOT), {"mail": CREW}, Parsed())
    *first, end, recheck = plan.steps
    apply(directory, replace(plan, steps=tuple(first)))
    done(api.put(PATH, addMember=f"{BOB},{ELSE}"))

    apply(directory, replace(plan, steps=(end, recheck)))

    assert members(world) == set()
    assert world.entry(world.tree.maillist(CREW)) is None


# --- end --------------------------------------------------------------------------------------


def test_deleted_list_leaves_no_mention(api: Client, world: World, crew: str) -> None:
    """Members, forwardings, other lists, limits on senders and defaults of domains."""
    tree = world.tree
    world.set(tree.user(CID), mailForwardingAddress=[CREW, CID], memberOfGroup=[CREW, SUB])
    world.set(tree.alias(INFO), mailForwardingAddress=["crew@alias.test", "i@far.test"])
    world.set(tree.maillist(SUB), listAllowedUser=[CREW, "corp.test"])
    world.set(tree.maillist(CREW), memberOfGroup=[SUB])
    world.add(
        tree.externals("old@corp.test"),
        objectClass="mailExternalUser",
        memberOfGroup="old@corp.test",
        mail=[CREW, FAR],
    )
    setting = [f"defaultList:{SUB}, {CREW.upper()}", "defaultQuota:5"]
    world.set(tree.domain("other.test"), accountSetting=setting)
    world.set(tree.domain("corp.test"), accountSetting=f"defaultList:{CREW}")

    done(api.delete(PATH))

    mentions = [
        (entry.dn, name, value)
        for entry in world.find()
        for name, values in entry.attributes.items()
        for value in values
        if b"crew@" in value.lower()
    ]
    assert mentions == []
    settings = world.attributes(tree.domain("other.test"))["accountSetting"]
    assert settings == {f"defaultList:{SUB}", "defaultQuota:5"}
    assert groups(world, tree.user(CID)) == {SUB}
    assert world.attributes(tree.alias(INFO))["mailForwardingAddress"] == {"i@far.test"}
    refused(api.delete(PATH), 404, "NO_SUCH_ACCOUNT")


@pytest.mark.parametrize("archive", ["yes", "no"])
def test_archive_means_nothing_here(api: Client, world: World, crew: str, archive: str) -> None:
    done(api.delete(PATH, archive=archive))
    assert world.entry(world.tree.maillist(CREW)) is None


# --- what broke off ---------------------------------------------------------------------------


def test_broken_creation_is_finished_by_another_call(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """Wherever it broke off, as long as the list's own entry is not there."""
    asked = f"{ANN},{CID},{INFO},{SUB},{FAR},{ELSE}"
    before = world.snapshot()
    done(api.post(PATH, members=asked))
    after = world.snapshot()
    done(api.delete(PATH))
    assert world.snapshot() == before
    plan = made_plan(served, {"members": [asked]})
    steps = [getattr(step, "dn", "") for step in plan.steps].index(world.tree.maillist(CREW)) + 1

    for number in range(steps):
        apply(served.gateways.directory, replace(plan, steps=plan.steps[:number]))
        done(api.post(PATH, members=asked))
        assert world.snapshot() == after
        done(api.delete(PATH))
        assert world.snapshot() == before


@pytest.mark.parametrize(
    "form",
    [
        {"members": f"{BOB},{CID},{SUB},{ELSE}"},
        {"members": ""},
        {"addMember": f"{BOB},{CID},{ELSE}", "removeMember": f"{ANN},{INFO},{FAR}"},
    ],
)
def test_broken_change_is_finished_by_another_call(
    api: Client, served: Served, world: World, crew: str, form: dict[str, str]
) -> None:
    """Wherever it broke off."""
    before = f"{ANN},{INFO},{SUB},{FAR}"
    done(api.put(PATH, members=before))
    done(api.put(PATH, **form))
    after = world.snapshot()
    done(api.put(PATH, members=before))
    parsed = parse(maillist.UPDATE, {name: [value] for name, value in form.items()})
    plan = maillists.update(served.context(ROOT), {"mail": CREW}, parsed)
    assert len(plan.steps) > 2

    for number in range(len(plan.steps)):
        plan = maillists.update(served.context(ROOT), {"mail": CREW}, parsed)
        apply(served.gateways.directory, replace(plan, steps=plan.steps[:number]))
        done(api.put(PATH, **form))
        assert world.snapshot() == after
        done(api.put(PATH, members=before))


def test_broken_deletion_is_finished_by_another_call(
    api: Client, served: Served, world: World, crew: str
) -> None:
    """Wherever it broke off, as long as the list's own entry is there."""
    directory, end = served.gateways.directory, world.tree.maillist(CREW)
    done(api.delete(PATH))
    after = world.snapshot()
    number, is_there = 0, True
    while is_there:
        done(api.post(PATH, members=f"{ANN},{INFO},{SUB},{FAR}"))
        plan = maillists.delete(served.context(ROOT), {"mail": CREW}, Parsed())
        apply(directory, replace(plan, steps=plan.steps[:number]))
        is_there = world.entry(end) is not None
        if is_there:
            done(api.delete(PATH))
        assert world.snapshot() == after
        number += 1
    assert number > 4


# --- who may, and what Postfix makes of it ----------------------------------------------------


def test_normal_admin_and_lists(api: Client, served: Served, world: World, crew: str) -> None:
    """Lists of their domains only; another's look like none."""
    world.modify(world.tree.user(ANN), (0, "enabledService", [b"domainadmin"]))
    world.set(world.tree.domain("corp.test"), domainAdmin=[ANN])
    done(api.post("/api/maillist/crew@other.test", members=CID))
    ann = served.client().log_in(ANN, PASSWORD)
    before = world.snapshot()
    for mail in ("crew@other.test", "none@other.test", "crew@none.test"):
        path = f"/api/maillist/{mail}"
        refused(ann.get(path), 403, "PERMISSION_DENIED")
        refused(ann.post(path), 403, "PERMISSION_DENIED")
        refused(ann.put(path, addMember=ANN), 403, "PERMISSION_DENIED")
        refused(ann.delete(path), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before

    done(ann.put(PATH, addMember=f"{CID},{ELSE}"))
    assert ann.get(PATH).json()["_data"]["members"] == sorted([ANN, CID, INFO, SUB, FAR, ELSE])
    done(ann.delete(PATH))
    done(ann.post(PATH))


def test_postfix_expands_a_list(api: Client, world: World, postfix: Postfix, corp: str) -> None:
    """Under its own address and its name in the alias domain, after every change."""
    addresses = (CREW, "crew@alias.test")
    asked = f"{ANN},bob@alias.test,{CID},{INFO},{SUB},{FAR}"

    def expanded() -> list[set[str]]:
        return [postfix.recipients(address) for address in addresses]

    done(api.post(PATH, members=asked))
    assert expanded() == [{ANN, BOB, CID, "i@far.test", "s@far.test", FAR}] * 2

    done(api.put(PATH, removeMember=f"{BOB},{INFO},{FAR}", addMember=ELSE))
    assert expanded() == [{ANN, CID, "s@far.test", ELSE}] * 2

    done(api.put(PATH, members=f"{BOB},{FAR}"))
    assert expanded() == [{BOB, FAR}] * 2

    done(api.put(PATH, members=""))
    assert expanded() == [set()] * 2

    done(api.put(PATH, addMember=f"{ANN},{FAR}"))
    done(api.delete(PATH))
    assert expanded() == [set()] * 2


def test_normal_admin_and_accounts_of_others(
    api: Client, served: Served, world: World, postfix: Postfix
) -> None:
    """They neither write to them nor learn which there are; mail reaches them all the same."""
    tree = world.tree
    for domain in ("corp.test", "foreign.test"):
        done(api.post(f"/api/domain/{domain}"))
    done(api.post("/api/user/eve@foreign.test", password=PASSWORD))
    done(api.post(PATH))
    done(api.post("/api/user/adm@corp.test", password=PASSWORD))
    done(api.put("/api/domain/admins/corp.test", addAdmin="adm@corp.test"))
    adm = served.client().log_in("adm@corp.test", PASSWORD)
    eve = world.attributes(tree.user("eve@foreign.test"))

    answer = done(adm.put(PATH, members="eve@foreign.test,ghost@foreign.test,ghost@corp.test"))

    assert answer.headers["X-Ignored-Values"] == "ghost@corp.test"
    assert world.attributes(tree.user("eve@foreign.test")) == eve
    assert adm.get(PATH).json()["_data"]["members"] == ["eve@foreign.test", "ghost@foreign.test"]
    assert "eve@foreign.test" in postfix.recipients(CREW)
