"""Mail aliases through the API, judged by the directory and by Postfix."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from iredldap.changes.apply import apply
from iredldap.dit import alias
from iredldap.dit.fields import Parsed
from iredldap.dit.form_parser import parse
from iredldap.dit.plan import Plan
from iredldap.embedded.slapd import Slapd
from iredldap.errors import AlreadyExists, Refusal
from iredldap.limit_errors import ExceededDomainAccountLimit
from iredldap.operations import aliases
from iredldap.operations.login import Caller
from tests.support.client import Client, done, refused
from tests.support.mailservers import Postfix
from tests.support.serving import Served
from tests.support.world import ADMIN, READER_PASSWORD, SUFFIX, World

PASSWORD = "a good password"
INFO = "info@corp.test"
PATH = f"/api/alias/{INFO}"
ANN, BOB, CREW = "ann@corp.test", "bob@corp.test", "crew@corp.test"
FAR, GHOST = "x+y@far.test", "ghost@other.test"


@pytest.fixture(scope="module")
def postfix(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Postfix:
    return Postfix(tmp_path_factory.mktemp("postfix"), slapd.uri, SUFFIX, READER_PASSWORD)


@pytest.fixture
def corp(api: Client, world: World) -> str:
    """A domain with an alias domain, two users and a list."""
    done(api.post("/api/domain/corp.test"))
    world.set(
        world.tree.domain("corp.test"),
        domainAliasName="alias.test",
        enabledService=["mail", "domainalias"],
    )
    for mail in (ANN, BOB):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.post(f"/api/maillist/{CREW}", members="c@far.test"))
    done(api.post("/api/domain/other.test"))
    return "corp.test"


def members(world: World) -> set[str]:
    return world.attributes(world.tree.alias(INFO)).get("mailForwardingAddress", set())


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


def made_plan(served: Served, form: dict[str, list[str]]) -> Plan:
    tree = served.gateways.directory.tree
    caller = Caller(ADMIN, tree.admin(ADMIN), is_global=True, stored=())
    return aliases.create(served.context(caller), {"mail": INFO}, parse(alias.CREATE, form))


# --- creation ---------------------------------------------------------------------------------


def test_new_alias_has_every_default(api: Client, world: World, corp: str) -> None:
    """Nothing is stored for what was not asked."""
    done(api.post("/api/alias/Info@corp.test"))
    assert world.attributes(world.tree.alias(INFO)) == {
        "objectClass": {"mailAlias"},
        "mail": {INFO},
        "accountStatus": {"active"},
        "enabledService": {"mail", "deliver"},
        "shadowAddress": {"info@alias.test"},
    }


def test_new_alias_takes_every_parameter(api: Client, world: World, corp: str) -> None:
    """Members anywhere; those in domains that are not hosted here are not looked up."""
    asked = f"ANN@corp.test,bob@alias.test,{CREW},{FAR},zoe@other.test"
    done(api.post("/api/user/zoe@other.test", password="a good password"))
    done(api.post(PATH, name="Auskunft ☃", accessPolicy="allowedonly", members=asked))
    made = world.attributes(world.tree.alias(INFO))
    assert made["cn"] == {"Auskunft ☃"}
    assert made["accessPolicy"] == {"moderatorsonly"}
    assert made["mailForwardingAddress"] == {ANN, "bob@alias.test", CREW, FAR, "zoe@other.test"}


def test_alias_in_a_disabled_domain_is_marked(api: Client, world: World, corp: str) -> None:
    done(api.put("/api/domain/corp.test", accountStatus="disabled"))
    done(api.post(PATH))
    assert world.attributes(world.tree.alias(INFO))["domainStatus"] == {"disabled"}


def test_those_whom_nobody_knows_here_are_ignored(api: Client, world: World, corp: str) -> None:
    """They, the alias itself and malformed addresses are named; the others are taken."""
    asked = f"{ANN},ghost@corp.test,ghost@alias.test,{GHOST},{INFO},info@alias.test,a@b@c"
    before = world.snapshot()
    strict = {"Prefer": "handling=strict"}
    refused(api.call("POST", PATH, headers=strict, members=asked), 400, "INVALID_PARAMETER")
    for nothing in ("ghost@corp.test,a@b@c", INFO, "a@b@c"):
        answer = refused(api.post(PATH, members=nothing), 400, "INVALID_MAIL")
        assert answer.headers["X-Invalid-Parameters"] == "members"
    assert world.snapshot() == before

    answer = done(api.post(PATH, members=asked))

    assert set(answer.headers["X-Ignored-Values"].split(", ")) == {
        "a@b@c", INFO, "info@alias.test", "ghost@corp.test", "ghost@alias.test", GHOST,
    }  # fmt: skip
    assert members(world) == {ANN}


def test_address_is_unique_over_every_kind(api: Client, world: World, corp: str) -> None:
    """Users, lists, aliases and their further addresses."""
    done(api.post(PATH))
    world.modify(world.tree.user(ANN), (0, "shadowAddress", [b"anne@corp.test"]))
    before = world.snapshot()
    for taken in (ANN, "ANNE@corp.test", INFO, CREW):
        refused(api.post(f"/api/alias/{taken}", members=BOB), 409, "ALREADY_EXISTS")
    refused(api.post("/api/alias/info@none.test"), 404, "NO_SUCH_ACCOUNT")
    refused(api.post("/api/alias/a+b@corp.test"), 400, "INVALID_MAIL")
    assert world.snapshot() == before


def test_name_in_an_alias_domain_that_is_taken(api: Client, world: World, corp: str) -> None:
    world.modify(world.tree.user(ANN), (0, "shadowAddress", [b"info@alias.test"]))
    answer = done(api.post(PATH, members=BOB))
    assert answer.headers["X-Ignored-Values"] == "info@alias.test"
    assert "shadowAddress" not in world.attributes(world.tree.alias(INFO))


@pytest.mark.parametrize(
    ("limit", "code"),
    [("-1", "NOT_ALLOWED"), ("1", "EXCEEDED_DOMAIN_ACCOUNT_LIMIT"), ("2", None), ("0", None)],
)
def test_limit_of_a_domain(
    api: Client, world: World, corp: str, limit: str, code: str | None
) -> None:
    """One alias is there already."""
    done(api.post("/api/alias/first@corp.test"))
    done(api.put("/api/domain/corp.test", numberOfAliases=limit))
    before = world.snapshot()
    answer = api.post(PATH, members=ANN)
    if code:
        refused(answer, 409, code)
        assert world.snapshot() == before
    else:
        done(answer)


@pytest.mark.parametrize(
    ("rival", "refusal"), [("list", AlreadyExists), ("limit", ExceededDomainAccountLimit)]
)
def test_race_that_is_lost_leaves_nothing(
    api: Client, served: Served, world: World, corp: str, rival: str, refusal: type[Refusal]
) -> None:
    """The address, or the last place, went between the look and the write."""
    done(api.put("/api/domain/corp.test", numberOfAliases=1))
    plan = made_plan(served, {"members": [ANN]})
    if rival == "list":
        world.add(world.tree.maillist(INFO), objectClass="mailList", mail=INFO)
    else:
        done(api.post("/api/alias/quicker@corp.test"))
    before = world.snapshot()

    with pytest.raises(refusal):
        apply(served.gateways.directory, plan)

    assert world.snapshot() == before


def test_what_happened_to_the_domain_meanwhile(served: Served, world: World, corp: str) -> None:
    """A name in an alias domain went to another, and the domain was disabled."""
    plan = made_plan(served, {"members": [ANN]})
    world.modify(world.tree.user(BOB), (0, "shadowAddress", [b"info@alias.test"]))
    world.set(world.tree.domain("corp.test"), accountStatus="disabled")

    apply(served.gateways.directory, plan)

    made = world.attributes(world.tree.alias(INFO))
    assert "shadowAddress" not in made
    assert made["domainStatus"] == {"disabled"}


def test_alias_domains_that_come_and_go_meanwhile(api: Client, world: World, corp: str) -> None:
    """No alias is left without its name in one of them, or with one that is none any more."""

    def create(first: int) -> None:
        client = another(api)
        for number in range(first, first + 12):
            done(client.post(f"/api/alias/a{number}@corp.test"))

    def change() -> None:
        client = another(api)
        for parameters in (
            {"addAliasDomain": "one.test"},
            {"addAliasDomain": "two.test"},
            {"removeAliasDomain": "one.test"},
        ):
            done(client.put("/api/domain/corp.test", **parameters))

    at_once(change, *(lambda first=first: create(first) for first in (0, 100, 200)))

    for entry in world.find("(objectClass=mailAlias)"):
        local = entry.texts("mail")[0].partition("@")[0]
        assert entry.lowered("shadowAddress") == {f"{local}@alias.test", f"{local}@two.test"}


# --- reading and changing ---------------------------------------------------------------------


@pytest.fixture
def info(api: Client, corp: str) -> str:
    """An alias with three members."""
    done(api.post(PATH, members=f"{ANN},{CREW},{FAR}"))
    return INFO


def test_read(api: Client, world: World, info: str) -> None:
    """Attributes as they are stored, members in order; the tag saves reading it again."""
    answer = api.get(PATH)
    data = answer.json()["_data"]
    assert data.pop("members") == sorted([ANN, CREW, FAR])
    stored = world.attributes(world.tree.alias(INFO))
    assert {name: set(values) for name, values in data.items()} == stored
    tag = answer.headers["ETag"]
    assert api.call("GET", PATH, headers={"If-None-Match": tag}).status_code == 304


def test_address_that_is_no_alias(api: Client, corp: str) -> None:
    for mail in (ANN, CREW, "nobody@corp.test", "info@alias.test"):
        refused(api.get(f"/api/alias/{mail}"), 404, "NO_SUCH_ACCOUNT")
        refused(api.put(f"/api/alias/{mail}", addMember=BOB), 404, "NO_SUCH_ACCOUNT")
        refused(api.delete(f"/api/alias/{mail}"), 404, "NO_SUCH_ACCOUNT")


@pytest.mark.parametrize(
    ("form", "left"),
    [
        ({"addMember": f"{BOB},{GHOST}"}, {ANN, BOB, CREW, FAR}),
        ({"addMember": f"{ANN.upper()}"}, {ANN, CREW, FAR}),
        ({"addMember": f"{BOB},ghost@corp.test"}, {ANN, BOB, CREW, FAR}),
        ({"removeMember": f"{ANN.upper()},{FAR},ghost@corp.test"}, {CREW}),
        ({"removeMember": ANN, "addMember": f"{ANN},{BOB}"}, {ANN, BOB, CREW, FAR}),
        ({"members": f"{BOB},{ANN}"}, {ANN, BOB}),
        ({"members": ""}, set()),
        ({"accountStatus": "disabled", "name": "x", "accessPolicy": "domain"}, {ANN, CREW, FAR}),
    ],
)
def test_change_of_members(
    api: Client, world: World, info: str, form: dict[str, str], left: set[str]
) -> None:
    done(api.put(PATH, **form))
    assert members(world) == left


def test_nothing_valid_to_add_is_refused(api: Client, world: World, info: str) -> None:
    before = world.snapshot()
    for name in ("members", "addMember"):
        answer = refused(api.put(PATH, **{name: f"ghost@corp.test,{INFO}"}), 400, "INVALID_MAIL")
        assert answer.headers["X-Invalid-Parameters"] == name
    refused(api.put(PATH, members=ANN, removeMember=BOB), 400, "PARAMETER_CONFLICT")
    assert world.snapshot() == before


def test_same_condition_holds_once(api: Client, world: World, info: str) -> None:
    tag = api.get(PATH).headers["ETag"]
    first = api.call("PUT", PATH, headers={"If-Match": tag}, addMember=BOB)
    second = api.call("PUT", PATH, headers={"If-Match": tag}, addMember="new@far.test")
    assert (first.status_code, second.status_code) == (200, 412)
    assert members(world) == {ANN, BOB, CREW, FAR}


def test_members_added_and_removed_at_once(api: Client, world: World, info: str) -> None:
    """Four clients with 25 changes each, while a fifth renames the alias: none is lost."""
    jobs = [[f"m{number}@far.test" for number in range(n, 100, 4)] for n in range(4)]

    def change(name: str, job: list[str]) -> None:
        client = another(api)
        for mail in job:
            done(client.put(PATH, **{name: mail}))

    def rename() -> None:
        client = another(api)
        for number in range(25):
            done(client.put(PATH, name=f"name {number}"))

    at_once(rename, *(lambda job=job: change("addMember", job) for job in jobs))
    assert members(world) == {ANN, CREW, FAR, *(mail for job in jobs for mail in job)}
    assert world.attributes(world.tree.alias(INFO))["cn"] == {"name 24"}

    at_once(*(lambda job=job: change("removeMember", job) for job in jobs))
    assert members(world) == {ANN, CREW, FAR}


# --- end --------------------------------------------------------------------------------------


def test_deleted_alias_leaves_no_mention(api: Client, world: World, info: str) -> None:
    """Also under its name in the alias domain, also in other domains."""
    tree = world.tree
    world.set(tree.user(ANN), mailForwardingAddress=[INFO, ANN])
    world.add(
        tree.alias("all@other.test"),
        objectClass="mailAlias",
        mail="all@other.test",
        mailForwardingAddress=["info@alias.test", FAR],
    )
    world.set(tree.maillist(CREW), listAllowedUser=[INFO])
    world.set(tree.alias(INFO), memberOfGroup=[CREW])

    done(api.delete(PATH))

    mentions = [
        (entry.dn, name, value)
        for entry in world.find()
        for name, values in entry.attributes.items()
        for value in values
        # Any letters may stand in a hash.
        if name != "userPassword" and b"info" in value.lower()
    ]
    assert mentions == []
    assert world.attributes(tree.user(ANN))["mailForwardingAddress"] == {ANN}
    refused(api.delete(PATH), 404, "NO_SUCH_ACCOUNT")


def test_broken_deletion_is_finished_by_another_call(
    api: Client, served: Served, world: World, info: str
) -> None:
    """Wherever it broke off, as long as the alias is there."""
    world.set(world.tree.user(ANN), mailForwardingAddress=[INFO, ANN])
    directory = served.gateways.directory
    plan = aliases.delete(served.context(), {"mail": INFO}, Parsed())
    for number in range(len(plan.steps)):
        plan = aliases.delete(served.context(), {"mail": INFO}, Parsed())
        apply(directory, replace(plan, steps=plan.steps[:number]))
    done(api.delete(PATH))
    assert world.entry(world.tree.alias(INFO)) is None
    assert world.attributes(world.tree.user(ANN))["mailForwardingAddress"] == {ANN}


# --- who may, and what Postfix makes of it ----------------------------------------------------


def test_normal_admin_and_aliases(api: Client, served: Served, world: World, info: str) -> None:
    """Aliases of their domains only; another's look like none."""
    world.modify(world.tree.user(ANN), (0, "enabledService", [b"domainadmin"]))
    world.set(world.tree.domain("corp.test"), domainAdmin=[ANN])
    done(api.post("/api/alias/info@other.test", members=FAR))
    ann = served.client().log_in(ANN, PASSWORD)
    before = world.snapshot()
    for mail in ("info@other.test", "none@other.test", "info@none.test"):
        path = f"/api/alias/{mail}"
        refused(ann.get(path), 403, "PERMISSION_DENIED")
        refused(ann.post(path), 403, "PERMISSION_DENIED")
        refused(ann.put(path, addMember=ANN), 403, "PERMISSION_DENIED")
        refused(ann.delete(path), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before

    done(ann.put(PATH, addMember=GHOST))
    done(ann.delete(PATH))
    done(ann.post(PATH))


def test_postfix_expands_an_alias(api: Client, postfix: Postfix, corp: str) -> None:
    """Under its own address and its name in the alias domain, after every change."""

    def expanded() -> list[set[str]]:
        return [postfix.recipients(address) for address in (INFO, "info@alias.test")]

    done(api.post(PATH, members=f"{ANN},bob@alias.test,{CREW},{FAR}"))
    assert expanded() == [{ANN, BOB, "c@far.test", FAR}] * 2
    done(api.put(PATH, removeMember=f"{ANN},{CREW}"))
    assert expanded() == [{BOB, FAR}] * 2
    done(api.put(PATH, accountStatus="disabled"))
    assert expanded() == [set()] * 2
    done(api.put(PATH, accountStatus="active", members=ANN))
    assert expanded() == [{ANN}] * 2
    done(api.put(PATH, members=""))
    assert expanded() == [set()] * 2
    done(api.put(PATH, members=FAR))
    done(api.delete(PATH))
    assert expanded() == [set()] * 2
