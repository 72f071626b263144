"""Subscribable lists through the API, judged by the directory, mlmmj's files and Postfix."""

import threading
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import ldap
import pytest

from iredldap.changes.apply import apply
from iredldap.dit import subscribable
from iredldap.dit.form_parser import parse
from iredldap.dit.plan import Plan
from iredldap.dit.request import Request
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.errors import AlreadyExists, Refusal
from iredldap.limit_errors import ExceededDomainAccountLimit
from iredldap.operations import dispatch
from iredldap.operations.login import Caller
from iredldap.web.endpoints.index import OPERATIONS
from tests.support.client import Client, done, refused
from tests.support.databases import Urls, execute, rows
from tests.support.mailservers import Postfix
from tests.support.mlmmjadmin import SWITCHES, MlmmjadminServer
from tests.support.patience import PATIENCE, wait_until
from tests.support.serving import Served
from tests.support.world import READER_PASSWORD, SUFFIX, World

NEWS = "news@corp.test"
PATH = f"/api/ml/{NEWS}"
ANN, BOB, TEAM = "ann@corp.test", "bob@corp.test", "team@corp.test"
EVE, FAR, POSTMASTER = "eve@far.test", "x+y@far.test", "postmaster@corp.test"
PASSWORD = "a good password"
DOWN = (502, "MLMMJADMIN_UNAVAILABLE")
ROOT = Caller("root@admins.test", "mail=root@admins.test", is_global=True, stored=())


@pytest.fixture(scope="module")
def postfix(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Postfix:
    return Postfix(tmp_path_factory.mktemp("postfix"), slapd.uri, SUFFIX, READER_PASSWORD)


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    return {"mlmmjadmin": mlmmjadmin.settings}


@pytest.fixture
def corp(api: Client, world: World) -> str:
    """A domain with an alias domain and two users, and one without."""
    done(api.post("/api/domain/corp.test"))
    world.set(
        world.tree.domain("corp.test"),
        domainAliasName="alias.test",
        enabledService=["mail", "domainalias"],
    )
    done(api.post("/api/domain/other.test"))
    for mail in (ANN, BOB):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    return "corp.test"


@pytest.fixture
def news(api: Client, corp: str) -> str:
    """A list that Ann owns and Bob moderates, with a member of each kind."""
    done(
        api.post(PATH, owner=ANN, moderators=BOB, subscribers=f"{ANN},{EVE}", require_confirm="no")
    )
    join(api, FAR, "digest")
    return NEWS


def join(api: Client, address: str, kind: str = "normal", mail: str = NEWS) -> None:
    path = f"/api/ml/{mail}"
    done(api.put(path, add_subscribers=address, subscription=kind, require_confirm="no"))


def stored(world: World, mail: str = NEWS) -> dict[str, set[str]]:
    return world.attributes(world.tree.maillist(mail))


def switched_on(mlmmjadmin: MlmmjadminServer, mail: str = NEWS) -> set[str]:
    """Names of the settings whose control file is there."""
    return {n for n, file in SWITCHES.items() if mlmmjadmin.control(mail, file) is not None}


def failing(
    mlmmjadmin: MlmmjadminServer, how: str, method: str, path: str = "", after: int = 0
) -> None:
    """Let requests of a method fail from now on, of which `after` still succeed."""
    left = [after]

    def trouble(asked: str, at: str) -> str | None:
        if asked != method or path not in at:
            return None
        left[0] -= 1
        return how if left[0] < 0 else None

    mlmmjadmin.trouble = trouble


def at_peace(mlmmjadmin: MlmmjadminServer) -> None:
    mlmmjadmin.trouble = lambda method, path: None


# --- creation ---------------------------------------------------------------------------------


def test_new_list_has_every_default(
    api: Client, world: World, corp: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """Those of the reference, also where mlmmjadmin's own are others."""
    done(api.post("/api/ml/News@Corp.test"))

    found = stored(world)
    number = found.pop("mailingListID").pop()
    assert uuid.UUID(number).version == 4
    assert str(uuid.UUID(number)) == number
    assert found == {
        "objectClass": {"mailList"},
        "mail": {NEWS},
        "accountStatus": {"active"},
        "enabledService": {"mail", "deliver", "mlmmj"},
        "mtaTransport": {"mlmmj:corp.test/news"},
        "accessPolicy": {"membersonly"},
        "shadowAddress": {"news@alias.test"},
        "listOwner": {POSTMASTER},
        "listModerator": {POSTMASTER},
        "listAllowedUser": {POSTMASTER},
    }
    assert mlmmjadmin.lists() == {NEWS}
    assert switched_on(mlmmjadmin) == {
        "only_subscriber_can_post", "only_subscriber_can_get_old_posts",
        "disable_retrieving_subscribers", "disable_send_copy_to_sender",
        "disable_retrieving_old_posts", "if_mod_send_only_mod_moderate", "tocc",
    }  # fmt: skip
    assert mlmmjadmin.control(NEWS, "owner") == [POSTMASTER]
    assert mlmmjadmin.control(NEWS, "moderators") == [POSTMASTER]
    assert mlmmjadmin.control(NEWS, "listaddress") == [NEWS]
    assert mlmmjadmin.members(NEWS) == set()


def test_new_list_with_everything(
    api: Client, world: World, corp: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """What stands in the directory and in control files is the same in both."""
    answer = done(
        api.post(
            PATH,
            cn="Neues ☃",
            accountStatus="disabled",
            accessPolicy="domain",
            is_newsletter="yes",
            newsletter_description="About us\nand others",
            owner=f"Ann@corp.test,{EVE}",
            moderators=BOB,
            maxMailSize="10240",
            subject_prefix="[news] ",
            custom_headers="X-One: 1\r\nX-Two: zwei ☃",
            remove_headers="Received, DKIM-Signature:",
            footer_text="Bye\n<b>",
            extra_addresses="letters@corp.test",
            subscription_moderators=EVE,
            close_list="yes",
            subscribers=f"{ANN},{FAR}",
            require_confirm="no",
            subscription="digest",
        )
    )

    assert "X-Ignored-Values" not in answer.headers
    found = stored(world)
    assert found["cn"] == {"Neues ☃"}
    assert found["accountStatus"] == {"disabled"}
    assert found["accessPolicy"] == {"domain"}
    assert found["enabledService"] == {"mail", "deliver", "mlmmj", "newsletter"}
    assert found["description"] == {"About us\nand others"}
    assert found["listOwner"] == {ANN, EVE}
    assert found["listModerator"] == {BOB}
    assert found["listAllowedUser"] == {ANN, EVE, BOB}
    assert found["maxMessageSize"] == {"10240"}
    assert found["shadowAddress"] == {"news@alias.test", "letters@corp.test"}
    assert {"close_list", "enable_newsletter_subscription", "moderate_subscription"} < switched_on(
        mlmmjadmin
    )
    assert not {"only_subscriber_can_post", "only_moderator_can_post"} & switched_on(mlmmjadmin)
    control = {
        "owner": [ANN, EVE],
        "moderators": [BOB],
        "submod": [EVE],
        "listaddress": [NEWS, "letters@corp.test"],
        "maxmailsize": ["10240"],
        "delheaders": ["Received:", "DKIM-Signature:"],
        "name": ["Neues ☃"],
    }
    assert {file: mlmmjadmin.control(NEWS, file) for file in control} == control
    assert mlmmjadmin.text(NEWS, "prefix") == "[news] \n"
    assert (mlmmjadmin.control(NEWS, "customheaders") or [])[-2:] == ["X-One: 1", "X-Two: zwei ☃"]
    assert mlmmjadmin.text(NEWS, "footer_text") == "Bye\n<b>"
    assert mlmmjadmin.text(NEWS, "footer_html") == "Bye<br>\n&lt;b&gt;"
    assert mlmmjadmin.members(NEWS) == {(ANN, "digest"), (FAR, "digest")}


def test_mail_reaches_a_new_list(
    api: Client, world: World, corp: str, news: str, postfix: Postfix
) -> None:
    """By each of its addresses, through mlmmj; not while it is disabled."""
    done(api.put(PATH, extra_addresses="letters@corp.test"))

    for address in (NEWS, "news@alias.test", "letters@corp.test"):
        assert postfix.recipients(address) == {NEWS}
    assert postfix.lookup("transport_maps_user", NEWS) == "mlmmj:corp.test/news"
    done(api.put(PATH, accountStatus="disabled"))
    assert postfix.recipients(NEWS) == set()


@pytest.mark.parametrize("confirm", ["yes", None])
def test_new_members_are_asked(
    api: Client, corp: str, mlmmjadmin: MlmmjadminServer, confirm: str | None
) -> None:
    """Unless it is said that they need not be."""
    extra = {"require_confirm": confirm} if confirm else {}

    done(api.post(PATH, subscribers=EVE, **extra))

    assert mlmmjadmin.asked(NEWS) == {EVE}
    assert mlmmjadmin.members(NEWS) == set()


def test_list_in_a_disabled_domain_is_marked(api: Client, world: World, corp: str) -> None:
    done(api.put("/api/domain/corp.test", accountStatus="disabled"))
    done(api.post(PATH))
    assert stored(world)["domainStatus"] == {"disabled"}


def test_address_is_unique_over_every_kind(
    api: Client, world: World, corp: str, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """Nothing is asked of mlmmjadmin for an address that cannot be had."""
    done(api.post("/api/alias/info@corp.test"))
    done(api.post(f"/api/maillist/{TEAM}"))
    world.modify(world.tree.user(ANN), (0, "shadowAddress", [b"anne@corp.test"]))
    before, files = world.snapshot(), mlmmjadmin.lists()
    mlmmjadmin.requests.clear()

    for taken in (ANN, "ANNE@corp.test", "info@corp.test", TEAM, NEWS, "news@alias.test"):
        code = (404, "NO_SUCH_ACCOUNT") if taken.endswith("alias.test") else (409, "ALREADY_EXISTS")
        refused(api.post(f"/api/ml/{taken}"), *code)
    refused(api.post("/api/ml/news@none.test"), 404, "NO_SUCH_ACCOUNT")
    refused(api.post("/api/ml/a+b@corp.test"), 400, "INVALID_MAIL")
    refused(api.post("/api/maillist/news@corp.test"), 409, "ALREADY_EXISTS")
    refused(api.post(f"/api/user/{NEWS}", password=PASSWORD), 409, "ALREADY_EXISTS")

    assert (world.snapshot(), mlmmjadmin.lists()) == (before, files)
    assert mlmmjadmin.requests == []


def test_domain_that_mlmmjadmin_does_not_take(api: Client, world: World) -> None:
    """Its address pattern knows no longer names at the end than of fifteen characters."""
    done(api.post("/api/domain/corp.international-domain"))
    refused(api.post("/api/ml/news@corp.international-domain"), 400, "INVALID_MAIL")


@pytest.mark.parametrize(
    ("most", "status", "code"),
    [("-1", 409, "NOT_ALLOWED"), ("1", 409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT"), ("2", 200, None)],
)
def test_limit_of_a_domain(
    api: Client,
    world: World,
    corp: str,
    mlmmjadmin: MlmmjadminServer,
    most: str,
    status: int,
    code: str | None,
) -> None:
    """Lists of both kinds count."""
    done(api.post(f"/api/maillist/{TEAM}"))
    done(api.put("/api/domain/corp.test", numberOfLists=most))

    answer = api.post(PATH)

    assert (answer.status_code, answer.json().get("_msg")) == (status, code)
    assert (mlmmjadmin.lists() == {NEWS}) == (code is None)


def test_leftovers_of_an_older_list_are_archived(
    api: Client, world: World, corp: str, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """A new list of its name inherits neither members nor settings."""
    done(api.put(PATH, moderated="yes", close_list="yes"))
    connection = world.connect()
    connection.delete_s(world.tree.maillist(NEWS))
    connection.unbind_s()

    done(api.post(PATH))

    assert mlmmjadmin.members(NEWS) == set()
    assert not {"moderated", "close_list"} & switched_on(mlmmjadmin)
    assert len(mlmmjadmin.archived()) == 1


def plan_of(served: Served, endpoint: str, **form: str) -> Plan:
    """The plan of a request, made now, to be carried out later."""
    table = {"ml_create": subscribable.CREATE, "ml_update": subscribable.UPDATE}[endpoint]
    parsed = parse(table, {name: [value] for name, value in form.items()})
    return dispatch.plan(
        served.context(ROOT), OPERATIONS[endpoint], Request(endpoint, {"mail": NEWS}, parsed)
    )


@pytest.mark.parametrize(
    ("rival", "refusal"),
    [
        (lambda api: api.post(f"/api/maillist/{NEWS}"), AlreadyExists),
        (lambda api: api.post(f"/api/user/{NEWS}", password=PASSWORD), AlreadyExists),
        (lambda api: api.post("/api/ml/second@corp.test"), ExceededDomainAccountLimit),
    ],
    ids=["list", "user", "limit"],
)
def test_rival_was_quicker(
    served: Served,
    api: Client,
    corp: str,
    mlmmjadmin: MlmmjadminServer,
    rival: Callable[[Client], Any],
    refusal: type[Refusal],
) -> None:
    """Then the list goes again, and its directory with it."""
    done(api.put("/api/domain/corp.test", numberOfLists="1"))
    plan = plan_of(served, "ml_create", subscribers=EVE, require_confirm="no")
    done(rival(api))

    with pytest.raises(refusal) as no:
        apply(served.gateways.directory, plan)

    assert no.value.report is None
    assert NEWS not in mlmmjadmin.lists()
    assert mlmmjadmin.archived() == []


def test_rivals_list_keeps_its_directory(
    served: Served, api: Client, corp: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """Who is too late takes nothing of it away."""
    plan = plan_of(served, "ml_create")
    done(api.post(PATH, subscribers=EVE, require_confirm="no"))

    with pytest.raises(AlreadyExists):
        apply(served.gateways.directory, plan)

    assert mlmmjadmin.members(NEWS) == {(EVE, "normal")}


def test_creation_that_broke_off_is_finished(
    api: Client,
    world: World,
    corp: str,
    mlmmjadmin: MlmmjadminServer,
    postfix: Postfix,
) -> None:
    """The answer says what was done; no mail is delivered to it until it is asked for again."""
    failing(mlmmjadmin, "FileNotFoundError(2, 'No such file')", "POST", "subscribers")
    form = {"owner": ANN, "subscribers": f"{ANN},{EVE}", "require_confirm": "no"}

    answer = api.post(PATH, **form)

    assert (answer.status_code, answer.json()["_msg"]) == DOWN
    report = answer.json()["_data"]
    dn = world.tree.maillist(NEWS)
    assert report["done"][:2] == [f"make the list {NEWS}", f"add {dn}"]
    assert report["not_done"][:2] == ["add members", f"modify {dn}"]
    assert postfix.recipients(NEWS) == set()
    number = stored(world)["mailingListID"]

    at_peace(mlmmjadmin)
    done(api.post(PATH, **form | {"owner": BOB}))
    refused(api.post(PATH, **form), 409, "ALREADY_EXISTS")

    assert stored(world)["listOwner"] == {BOB}
    assert stored(world)["mailingListID"] == number
    assert mlmmjadmin.control(NEWS, "owner") == [BOB]
    assert mlmmjadmin.members(NEWS) == {(ANN, "normal"), (EVE, "normal")}
    assert mlmmjadmin.archived() == []
    assert postfix.recipients(NEWS) == {NEWS}


@pytest.mark.parametrize(
    ("form", "policy", "files"),
    [
        ({"accessPolicy": "public"}, "public", set()),
        ({"accessPolicy": "subdomain"}, "subdomain", set()),
        ({"accessPolicy": "membersonly"}, "membersonly", {"subonlypost"}),
        ({"accessPolicy": "allowedonly"}, "moderatorsonly", {"modonlypost"}),
        ({"only_subscriber_can_post": "no"}, "public", set()),
        ({"only_moderator_can_post": "no"}, "membersonly", {"subonlypost"}),
        ({"only_moderator_can_post": "yes"}, "moderatorsonly", {"modonlypost"}),
        (
            {"only_moderator_can_post": "yes", "only_subscriber_can_post": "yes"},
            "moderatorsonly",
            {"modonlypost"},
        ),
        ({"accessPolicy": "public", "only_moderator_can_post": "yes"}, "public", set()),
    ],
)
@pytest.mark.parametrize("way", ["create", "update"])
def test_both_know_who_may_post(
    api: Client,
    world: World,
    corp: str,
    mlmmjadmin: MlmmjadminServer,
    way: str,
    form: dict[str, str],
    policy: str,
    files: set[str],
) -> None:
    """IRedAPD by the policy, mlmmj by a file; what was overruled is named."""
    if way == "update":
        done(api.post(PATH))
    answer = done(api.call("POST" if way == "create" else "PUT", PATH, **form))

    assert stored(world)["accessPolicy"] == {policy}
    control = ("modonlypost", "subonlypost")
    assert {f for f in control if mlmmjadmin.control(NEWS, f) is not None} == files
    assert ("X-Ignored-Values" in answer.headers) == (len(form) == 2)


# --- reading ----------------------------------------------------------------------------------


def test_read(api: Client, world: World, news: str) -> None:
    """Attributes as they are stored, settings by the names of the parameters."""
    done(
        api.put(
            PATH,
            max_message_size="2048",
            custom_headers="X-One: 1",
            is_newsletter="yes",
            newsletter_description="Text",
            extra_addresses="letters@corp.test",
        )
    )

    answer = api.get(PATH)

    data = answer.json()["_data"]
    assert data["mail"] == [NEWS]
    assert set(data["shadowAddress"]) == {"news@alias.test", "letters@corp.test"}
    assert data["accessPolicy"] == ["membersonly"]
    settings = {
        "owner": [ANN],
        "moderators": [BOB],
        "max_message_size": 2048,
        "custom_headers": ["X-One: 1"],
        "remove_headers": [],
        "extra_addresses": ["letters@corp.test"],
        "subject_prefix": "",
        "close_list": "no",
        "only_subscriber_can_post": "yes",
        "is_newsletter": "yes",
        "newsletter_description": "Text",
        "moderate_subscription": "no",
        "subscription_moderators": [],
        "tocc": "yes",
    }
    assert {name: data[name] for name in settings} == settings
    assert not {"owners", "subscribers", "entryCSN"} & data.keys()
    entry = world.entry(world.tree.maillist(NEWS))
    assert answer.headers["ETag"] == f'"{entry.csn}"' if entry else False


def test_read_with_members(api: Client, news: str) -> None:
    """By the kind of membership, of which each is there."""
    answer = api.get(PATH, with_subscribers="yes")

    assert answer.json()["_data"]["subscribers"] == {
        "normal": [ANN, EVE],
        "digest": [FAR],
        "nomail": [],
    }
    assert "subscribers" not in api.get(PATH, with_subscribers="no").json()["_data"]
    refused(api.get(PATH, with_subscribers="perhaps"), 400, "INVALID_PARAMETER")


@pytest.mark.parametrize(
    "mail", ["a/b@corp.test", "two@at@corp.test", "noatsign", "a..b@corp.test"]
)
def test_a_list_that_mlmmj_cannot_have_is_deleted(
    api: Client, world: World, corp: str, mail: str
) -> None:
    """Another tool made its entry, as a restore does; listings show it."""
    dn = f"mail={mail},{world.tree.container('corp.test', 'Groups')}"
    services = ["mail", "deliver", "mlmmj"]
    world.add(
        dn, objectClass="mailList", mail=mail, accountStatus="active", enabledService=services
    )
    path = f"/api/ml/{quote(mail, safe='@')}"
    assert mail in api.get("/api/mls/corp.test").json()["_data"]
    for answer in (api.get(path), api.put(path, name="x")):
        assert (answer.status_code, answer.json()["_msg"]) == (404, "NO_SUCH_ACCOUNT")
        assert answer.json()["_data"] == {"without_list": dn}
    done(api.delete(f"/api/user/{BOB}"))
    done(api.delete(path))
    assert world.entry(dn) is None


def test_members_whom_the_directory_names_are_shown_and_leave(
    api: Client, world: World, corp: str, postfix: Postfix
) -> None:
    """Mail to the list, or to its name in an alias domain, comes to them beside mlmmj."""
    done(api.post(PATH, subscribers=EVE, require_confirm="no"))
    alias, unit = "news@alias.test", world.tree.container("corp.test", "Externals")
    common: dict[str, Any] = {
        "objectClass": "mailExternalUser",
        "accountStatus": "active",
        "enabledService": ["mail", "deliver"],
    }
    for name, mails in ((NEWS, ["a@far.test", "b@far.test"]), (alias, ["c@far.test"])):
        world.add(f"memberOfGroup={name},{unit}", memberOfGroup=name, mail=mails, **common)
    world.modify(world.tree.user(ANN), (ldap.MOD_ADD, "memberOfGroup", [NEWS.encode()]))
    named = {"a@far.test", "b@far.test", "c@far.test", ANN}
    assert postfix.recipients(NEWS) | postfix.recipients(alias) >= named

    shown = api.get(PATH, with_subscribers="yes").json()["_data"]["subscribers"]
    assert shown == {"normal": sorted({*named, EVE}), "digest": [], "nomail": []}

    done(api.put(PATH, remove_subscribers=f"a@far.test,c@far.test,{ANN}"))
    left = {"b@far.test"}
    assert (postfix.recipients(NEWS) | postfix.recipients(alias)) & named == left
    shown = api.get(PATH, with_subscribers="yes").json()["_data"]["subscribers"]
    assert shown["normal"] == sorted({*left, EVE})
    done(api.put(PATH, remove_subscribers="ALL"))
    assert api.get(PATH, with_subscribers="yes").json()["_data"]["subscribers"]["normal"] == []

    world.modify(f"memberOfGroup={alias},{unit}", (ldap.MOD_ADD, "mail", [b"d@far.test"]))
    done(api.delete(PATH))
    assert not world.find(f"(|(memberOfGroup={NEWS})(memberOfGroup={alias}))")


def test_read_is_not_cached(api: Client, news: str) -> None:
    """Members come and go without us; the entry's state does not tell of them."""
    tag = api.get(PATH).headers["ETag"]
    assert api.call("GET", PATH, headers={"If-None-Match": tag}).status_code == 200


def test_size_that_is_not_limited_is_nothing(api: Client, corp: str) -> None:
    done(api.post(PATH))
    assert api.get(PATH).json()["_data"]["max_message_size"] == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_address_that_is_no_such_list(
    api: Client, world: World, news: str, mlmmjadmin: MlmmjadminServer, method: str
) -> None:
    """A user, a list that nobody subscribes to, another name of a list, or nobody at all."""
    done(api.post(f"/api/maillist/{TEAM}"))
    before = world.snapshot()
    for mail in (ANN, TEAM, "news@alias.test", "nobody@corp.test"):
        refused(api.call(method, f"/api/ml/{mail}"), 404, "NO_SUCH_ACCOUNT")
    refused(api.call(method, f"/api/maillist/{NEWS}"), 404, "NO_SUCH_ACCOUNT")
    assert world.snapshot() == before
    assert mlmmjadmin.lists() == {NEWS}


def test_entry_without_a_list(
    api: Client, world: World, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """As after a restore: the answer tells, and it can be deleted and made anew."""
    mlmmjadmin.folder(NEWS).rename(mlmmjadmin.spool / "lost")

    for method in ("GET", "PUT"):
        answer = api.call(method, PATH)
        assert (answer.status_code, answer.json()["_msg"]) == (404, "NO_SUCH_ACCOUNT")
        assert answer.json()["_data"] == {"without_list": world.tree.maillist(NEWS)}
    done(api.delete(PATH))
    done(api.post(PATH))


# --- change -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(
    row.name for row in subscribable.UPDATE if row.kind.type == "bool_yes_no"
    and row.name in SWITCHES
))  # fmt: skip
def test_switch(api: Client, corp: str, mlmmjadmin: MlmmjadminServer, name: str) -> None:
    """It is a control file."""
    done(api.post(PATH))
    for spelling, is_on in (("Yes", True), ("off", False), ("true", True), ("no", False)):
        done(api.put(PATH, **{name: spelling}))
        assert (name in switched_on(mlmmjadmin)) == is_on


@pytest.mark.parametrize(
    ("form", "file", "lines"),
    [
        ({"name": "New"}, "name", ["New"]),
        ({"max_message_size": "7"}, "maxmailsize", ["7"]),
        ({"maxMailSize": "0"}, "maxmailsize", None),
        ({"subject_prefix": "[x]"}, "prefix", ["[x]"]),
        ({"subject_prefix": ""}, "prefix", None),
        ({"owner": f"Eve@far.test,{BOB}"}, "owner", [EVE, BOB]),
        ({"owner": ""}, "owner", [ANN]),
        ({"moderators": ANN}, "moderators", [ANN]),
        ({"moderators": ""}, "moderators", None),
        ({"remove_headers": "Received:,X-Y"}, "delheaders", ["Received:", "X-Y:"]),
        ({"extra_addresses": "b@corp.test"}, "listaddress", [NEWS, "b@corp.test"]),
        ({"extra_addresses": f"{NEWS},b@corp.test"}, "listaddress", [NEWS, "b@corp.test"]),
        ({"extra_addresses": NEWS}, "listaddress", [NEWS]),
        ({"extra_addresses": ""}, "listaddress", [NEWS, "a@corp.test"]),
        ({"footer_text": "a & b"}, "footer_html", ["a &amp; b"]),
        ({"footer_text": "a", "footer_html": "<i>a</i>"}, "footer_html", ["<i>a</i>"]),
        ({"footer_html": "<i>a</i>"}, "footer_text", ["old"]),
        ({"is_newsletter": "yes"}, "enable_newsletter_subscription", []),
    ],
)
def test_setting(
    api: Client,
    news: str,
    mlmmjadmin: MlmmjadminServer,
    form: dict[str, str],
    file: str,
    lines: list[str] | None,
) -> None:
    """It is what a control file says."""
    done(
        api.put(
            PATH,
            subject_prefix="[old]",
            max_message_size="1",
            extra_addresses="a@corp.test",
            footer_text="old",
        )
    )

    done(api.put(PATH, **form))

    assert mlmmjadmin.control(NEWS, file) == lines


def test_owners_and_moderators_may_always_post(api: Client, world: World, news: str) -> None:
    """So may all others who were permitted to."""
    world.modify(world.tree.maillist(NEWS), (0, "listAllowedUser", [b"*@friends.test"]))

    done(api.put(PATH, owner=EVE))
    changed = stored(world)
    done(api.put(PATH, moderators=""))

    assert (changed["listOwner"], changed["listModerator"]) == ({EVE}, {BOB})
    assert changed["listAllowedUser"] == {EVE, BOB, "*@friends.test"}
    left = stored(world)
    assert "listModerator" not in left
    assert left["listAllowedUser"] == {EVE, "*@friends.test"}


def test_headers(api: Client, news: str, mlmmjadmin: MlmmjadminServer) -> None:
    """Those that are always there cannot be set, and go with no change."""
    sent = "X-One: 1\nno header\nList-Id: other\nX-Two:2"

    answer = done(api.put(PATH, custom_headers=sent))

    assert answer.headers["X-Ignored-Values"] == "no%20header, List-Id:%20other"
    assert api.get(PATH).json()["_data"]["custom_headers"] == ["X-One: 1", "X-Two: 2"]
    listed = api.session.put(api.url + PATH, json={"custom_headers": ["X-A: 1, 2", "X-B: 3"]})
    done(listed)
    assert api.get(PATH).json()["_data"]["custom_headers"] == ["X-A: 1, 2", "X-B: 3"]
    done(api.put(PATH, custom_headers=""))
    assert api.get(PATH).json()["_data"]["custom_headers"] == []
    assert "Precedence: bulk" in (mlmmjadmin.control(NEWS, "customheaders") or [])
    refused(api.put(PATH, custom_headers="List-Id: x"), 400, "INVALID_PARAMETER")


def test_footer_of_html_follows_the_text_it_was_made_of(
    api: Client, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """One that was sent stays."""
    done(api.put(PATH, footer_text="one"))
    done(api.put(PATH, footer_text="two"))
    assert mlmmjadmin.text(NEWS, "footer_html") == "two"
    done(api.put(PATH, footer_html="<i>mine</i>"))
    done(api.put(PATH, footer_text="three"))
    assert mlmmjadmin.text(NEWS, "footer_html") == "<i>mine</i>"


def test_moderation_of_joins(api: Client, news: str, mlmmjadmin: MlmmjadminServer) -> None:
    """Naming moderators switches it on, switching it off clears them."""
    done(api.put(PATH, subscription_moderators=EVE))
    assert mlmmjadmin.control(NEWS, "submod") == [EVE]
    done(api.put(PATH, moderate_subscription="yes"))
    assert mlmmjadmin.control(NEWS, "submod") == [EVE]
    done(api.put(PATH, moderate_subscription="yes", subscription_moderators=ANN))
    assert mlmmjadmin.control(NEWS, "submod") == [ANN]
    conflict = {"moderate_subscription": "no", "subscription_moderators": BOB}
    refused(api.put(PATH, **conflict), 400, "PARAMETER_CONFLICT")
    refused(api.post("/api/ml/new@corp.test", **conflict), 400, "PARAMETER_CONFLICT")
    assert mlmmjadmin.control(NEWS, "submod") == [ANN]
    done(api.put(PATH, moderate_subscription="no"))
    assert mlmmjadmin.control(NEWS, "submod") is None
    done(api.put(PATH, moderate_subscription="yes"))
    assert mlmmjadmin.control(NEWS, "submod") == []


def test_what_is_said_of_joins_wins_over_what_is_left_empty(
    api: Client, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """A form that sends every field leaves the moderators empty: then the owners approve."""
    done(api.put(PATH, moderate_subscription="yes", subscription_moderators=""))
    assert mlmmjadmin.control(NEWS, "submod") == []
    done(api.put(PATH, subscription_moderators=EVE))
    for _ in range(2):
        done(api.put(PATH, moderate_subscription="yes", subscription_moderators=""))
        assert mlmmjadmin.control(NEWS, "submod") == []
    done(api.put(PATH, moderate_subscription="no", subscription_moderators=""))
    assert mlmmjadmin.control(NEWS, "submod") is None
    for moderators in ("", EVE):
        done(api.put(PATH, moderate_subscription="yes", subscription_moderators=moderators))
        done(api.put(PATH, subscription_moderators=""))
        assert mlmmjadmin.control(NEWS, "submod") is None
    done(api.post("/api/ml/new@corp.test", moderate_subscription="yes", subscription_moderators=""))
    assert mlmmjadmin.control("new@corp.test", "submod") == []


def test_one_footer_goes_and_the_other_stays(
    api: Client, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """Both files are needed for any."""
    done(api.put(PATH, footer_text="text", footer_html="<i>html</i>"))
    done(api.put(PATH, footer_text=""))
    assert mlmmjadmin.footer(NEWS) == ("", "<i>html</i>")
    done(api.put(PATH, footer_text="text", footer_html=""))
    assert mlmmjadmin.footer(NEWS) == ("text", "text")
    done(api.put(PATH, footer_text="", footer_html="<i>html</i>"))
    assert mlmmjadmin.footer(NEWS) == ("", "<i>html</i>")
    done(api.put(PATH, footer_text="", footer_html=""))
    assert mlmmjadmin.footer(NEWS) is None


HOLDING = ("moderated", "moderate_non_subscriber_post")


@pytest.mark.parametrize("switch", HOLDING)
def test_posts_that_wait_have_moderators(
    api: Client, world: World, news: str, mlmmjadmin: MlmmjadminServer, switch: str
) -> None:
    """From the start, and whichever of the two is changed last: else the owners are."""
    new = "new@corp.test"
    done(api.post(f"/api/ml/{new}", owner=ANN, moderators="", **{switch: "yes"}))
    assert stored(world, new)["listModerator"] == {ANN}

    done(api.put(PATH, **{switch: "yes"}))
    strict = api.call("PUT", PATH, headers={"Prefer": "handling=strict"}, moderators="")
    refused(strict, 400, "INVALID_PARAMETER")
    assert stored(world)["listModerator"] == {BOB}
    answer = done(api.put(PATH, moderators="", owner=EVE))
    assert answer.headers["X-Ignored-Values"] == "moderators="
    assert stored(world)["listModerator"] == {EVE}
    assert stored(world)["listAllowedUser"] == {EVE}

    done(api.put(PATH, moderators="", **{switch: "no"}))
    assert "listModerator" not in stored(world)
    done(api.put(PATH, **{switch: "yes"}))
    assert mlmmjadmin.control(NEWS, "moderators") == [EVE]
    assert not any(map(mlmmjadmin.swallows, (NEWS, new)))


def test_further_addresses(
    api: Client, world: World, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """Those that somebody has are left out; names in alias domains are not touched."""
    sent = f"letters@corp.test,{ANN},l@alias.test"

    answer = done(api.put(PATH, extra_addresses=sent))

    assert answer.headers["X-Ignored-Values"] == ANN
    mine = {"letters@corp.test", "l@alias.test", "news@alias.test"}
    assert stored(world)["shadowAddress"] == mine
    assert mlmmjadmin.control(NEWS, "listaddress") == [NEWS, "letters@corp.test", "l@alias.test"]
    refused(api.put(PATH, extra_addresses=f"{ANN},{BOB}"), 409, "ALREADY_EXISTS")
    refused(api.put(PATH, extra_addresses="x@far.test"), 400, "INVALID_MAIL")
    refused(api.post("/api/ml/n@corp.test", extra_addresses=NEWS), 409, "ALREADY_EXISTS")
    assert stored(world)["shadowAddress"] == mine
    done(api.put(PATH, extra_addresses=NEWS))
    assert stored(world)["shadowAddress"] == {"news@alias.test"}
    assert mlmmjadmin.lists() == {NEWS}


def test_further_address_that_a_rival_took(
    served: Served, api: Client, world: World, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """The change is taken back before mlmmjadmin hears of it."""
    plan = plan_of(served, "ml_update", extra_addresses="cid@corp.test", owner=EVE)
    done(api.post("/api/user/cid@corp.test", password=PASSWORD))

    with pytest.raises(Refusal):
        apply(served.gateways.directory, plan)

    assert stored(world)["shadowAddress"] == {"news@alias.test"}
    assert stored(world)["listOwner"] == {ANN}
    assert mlmmjadmin.control(NEWS, "owner") == [ANN]


@pytest.mark.parametrize(
    ("form", "left"),
    [
        ({"add_subscribers": BOB},
         {(ANN, "normal"), (EVE, "normal"), (FAR, "digest"), (BOB, "normal")}),
        ({"add_subscribers": f"{ANN},{FAR}"}, {(ANN, "normal"), (EVE, "normal"), (FAR, "normal")}),
        ({"add_subscribers": ANN, "subscription": "nomail"},
         {(ANN, "nomail"), (EVE, "normal"), (FAR, "digest")}),
        ({"remove_subscribers": f"Ann@corp.test,{FAR},nobody@far.test"}, {(EVE, "normal")}),
        ({"remove_subscribers": "ALL"}, set()),
        ({"remove_subscribers": "ALL", "add_subscribers": f"{ANN},{BOB}"},
         {(ANN, "normal"), (BOB, "normal")}),
        ({"remove_subscribers": ANN, "add_subscribers": ANN},
         {(ANN, "normal"), (EVE, "normal"), (FAR, "digest")}),
    ],
)  # fmt: skip
def test_members(
    api: Client,
    news: str,
    mlmmjadmin: MlmmjadminServer,
    form: dict[str, str],
    left: set[tuple[str, str]],
) -> None:
    """Removed first, added then; nobody is a member in two ways."""
    done(api.put(PATH, require_confirm="no", **form))
    assert mlmmjadmin.members(NEWS) == left


def test_member_who_is_asked_stays_of_the_same_kind(
    api: Client, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """Until they have confirmed; who is one of that kind already is not asked."""
    before = mlmmjadmin.members(NEWS)

    done(api.put(PATH, add_subscribers=f"{ANN},{FAR},{BOB}"))

    assert mlmmjadmin.asked(NEWS) == {FAR, BOB}
    assert mlmmjadmin.members(NEWS) == before


def test_addresses_that_cannot_be_members(
    api: Client, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """The list itself, and what mlmmjadmin would drop in silence, are named."""
    sent = f"{BOB},{NEWS},news@alias.test,a@b@c,+x@far.test,x@far.international-domain"

    answer = done(api.put(PATH, add_subscribers=sent, require_confirm="no"))

    assert set(answer.headers["X-Ignored-Values"].split(", ")) == {
        NEWS, "news@alias.test", "a@b@c", "+x@far.test", "x@far.international-domain",
    }  # fmt: skip
    assert (BOB, "normal") in mlmmjadmin.members(NEWS)
    assert (NEWS, "normal") not in mlmmjadmin.members(NEWS)
    refused(api.put(PATH, add_subscribers=NEWS), 400, "INVALID_MAIL")
    refused(api.put(PATH, remove_subscribers="all"), 400, "INVALID_MAIL")
    strict = {"Prefer": "handling=strict"}
    answer = api.call("PUT", PATH, headers=strict, add_subscribers=f"{NEWS},{BOB}")
    refused(answer, 400, "INVALID_PARAMETER")


def test_nothing_new_writes_nothing(
    api: Client, world: World, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """Neither to the directory nor to mlmmjadmin."""
    form = {
        "name": "News",
        "owner": ANN,
        "moderators": BOB,
        "close_list": "no",
        "accessPolicy": "public",
        "max_message_size": "100",
        "custom_headers": "X-B: 1\nX-A: 2",
        "remove_headers": "Received",
        "extra_addresses": "letters@corp.test",
        "footer_text": "a\nb",
        "is_newsletter": "yes",
        "subject_prefix": "[x] ",
    }
    done(api.put(PATH, **form))
    before = world.snapshot()
    mlmmjadmin.requests.clear()

    done(api.put(PATH, **form))
    done(api.put(PATH))

    assert world.snapshot() == before
    assert mlmmjadmin.writes() == []


def test_state_tells_of_every_change(api: Client, news: str, mlmmjadmin: MlmmjadminServer) -> None:
    """Also of one that is mlmmj's alone; a condition holds once."""
    tag = api.get(PATH).headers["ETag"]

    answer = api.call("PUT", PATH, headers={"If-Match": tag}, close_list="yes")

    assert done(answer).headers["ETag"] not in {tag, None}
    stale = api.call("PUT", PATH, headers={"If-Match": tag}, close_list="no")
    refused(stale, 412, "PRECONDITION_FAILED")
    assert "close_list" in switched_on(mlmmjadmin)


def test_size_is_in_both(
    api: Client, world: World, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    done(api.put(PATH, max_message_size="4096"))
    assert stored(world)["maxMessageSize"] == {"4096"}
    done(api.put(PATH, max_message_size="0"))
    assert "maxMessageSize" not in stored(world)
    assert mlmmjadmin.control(NEWS, "maxmailsize") is None


def test_newsletter_ends(api: Client, world: World, news: str) -> None:
    done(api.put(PATH, is_newsletter="yes"))
    assert "newsletter" in stored(world)["enabledService"]
    done(api.put(PATH, is_newsletter="no"))
    assert stored(world)["enabledService"] == {"mail", "deliver", "mlmmj"}


# --- end --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "is_archived"),
    [({}, True), ({"keep_archive": "yes"}, True), ({"keep_archive": "no"}, False),
     ({"archive": "no"}, False), ({"archive": "yes"}, True)],
)  # fmt: skip
def test_deletion(
    api: Client,
    world: World,
    news: str,
    mlmmjadmin: MlmmjadminServer,
    form: dict[str, str],
    is_archived: bool,
) -> None:
    """With every mention; settings, members and posts are kept unless they shall not be."""
    done(api.post("/api/alias/info@corp.test", members=NEWS))
    world.set(world.tree.domain("other.test"), accountSetting=f"defaultList:{NEWS},{TEAM}")

    done(api.delete(PATH, **form))

    assert world.entry(world.tree.maillist(NEWS)) is None
    assert "mailForwardingAddress" not in world.attributes(world.tree.alias("info@corp.test"))
    settings = world.attributes(world.tree.domain("other.test"))["accountSetting"]
    assert settings == {f"defaultList:{TEAM}"}
    assert mlmmjadmin.lists() == set()
    assert bool(mlmmjadmin.archived()) == is_archived
    refused(api.delete(PATH), 404, "NO_SUCH_ACCOUNT")


def test_requests_of_a_page_are_forgotten(api: Client, news: str, urls: Urls) -> None:
    """Nobody joins a later list of this name by them."""
    execute(
        urls.iredadmin,
        "INSERT INTO newsletter_subunsub_confirms (mail, mlid, subscriber, kind, token)"
        " VALUES (:mail, 'x', 'y', 'subscribe', 'z')",
        mail=NEWS,
    )
    done(api.delete(PATH))
    assert rows(urls.iredadmin, "SELECT mail FROM newsletter_subunsub_confirms") == []


def test_deletion_that_broke_off_is_finished(
    api: Client, world: World, news: str, mlmmjadmin: MlmmjadminServer, postfix: Postfix
) -> None:
    """No mail reaches the list meanwhile; the answer says what is left to be done."""
    failing(mlmmjadmin, "drop", "DELETE")

    answer = api.delete(PATH)

    assert (answer.status_code, answer.json()["_msg"]) == DOWN
    dn = world.tree.maillist(NEWS)
    assert answer.json()["_data"]["done"][0] == f"modify {dn}"
    not_done = answer.json()["_data"]["not_done"]
    assert not_done[0] == f"archive the list {NEWS}"
    assert not_done[-2:] == [f"delete {dn}", "remove members who joined meanwhile"]
    assert postfix.recipients(NEWS) == set()
    at_peace(mlmmjadmin)
    done(api.delete(PATH))
    assert world.entry(dn) is None
    assert len(mlmmjadmin.archived()) == 1


# --- without mlmmjadmin -----------------------------------------------------------------------


TROUBLES = ("drop", "crash", "garble", "INVALID_MLMMJADMIN_API_AUTH_TOKEN")
CALLS = {
    "GET": {},
    "PUT": {"name": "New", "add_subscribers": BOB},
    "DELETE": {},
    "POST": {},
}


@pytest.mark.parametrize("trouble", [*TROUBLES, "not configured", "nobody there", "wrong token"])
@pytest.mark.parametrize("method", CALLS)
def test_nothing_is_changed_without_mlmmjadmin(
    serve: Any,
    api: Client,
    world: World,
    news: str,
    mlmmjadmin: MlmmjadminServer,
    method: str,
    trouble: str,
) -> None:
    """The answer is the same whatever the reason, and says when to ask again; the log knows."""
    settings = {
        "not configured": {},
        "nobody there": {**mlmmjadmin.settings, "url": f"http://127.0.0.1:{free_port()}/api"},
        "wrong token": {"url": mlmmjadmin.url},
    }.get(trouble, mlmmjadmin.settings)
    client = serve(mlmmjadmin=settings).client().log_in()
    if trouble in TROUBLES:
        mlmmjadmin.trouble = lambda method, path: trouble
    before, members = world.snapshot(), mlmmjadmin.members(NEWS)
    path = "/api/ml/new@corp.test" if method == "POST" else PATH

    for prefer in ("", "respond-async"):
        answer = client.call(method, path, headers={"Prefer": prefer}, **CALLS[method])
        refused(answer, *DOWN)
        assert int(answer.headers["Retry-After"]) > 0

    assert world.snapshot() == before
    assert (mlmmjadmin.lists(), mlmmjadmin.members(NEWS)) == ({NEWS}, members)


def test_no_answer_is_waited_for_in_vain(
    serve: Any, api: Client, news: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """Only so long as it is configured."""
    event = threading.Event()
    mlmmjadmin.trouble = lambda method, path: "late" if event.wait(PATIENCE) else None
    client = serve(mlmmjadmin={**mlmmjadmin.settings, "timeout": 0.2}).client().log_in()
    try:
        refused(client.get(PATH), *DOWN)
    finally:
        event.set()


@pytest.mark.parametrize("broken", ["", "subscribers"])
def test_change_that_broke_off_is_finished(
    api: Client, world: World, news: str, mlmmjadmin: MlmmjadminServer, broken: str
) -> None:
    """The answer says what was done; asked for again, the rest is."""
    failing(mlmmjadmin, "crash", "POST" if broken else "PUT", broken)
    form = {"name": "New", "owner": EVE, "add_subscribers": BOB, "require_confirm": "no"}

    answer = api.put(PATH, **form)

    assert (answer.status_code, answer.json()["_msg"]) == DOWN
    dn, settings = world.tree.maillist(NEWS), "change the settings of the list"
    assert answer.json()["_data"] == {
        "done": [f"modify {dn}", *([settings] if broken else [])],
        "not_done": [*([] if broken else [settings]), "add members"],
    }
    at_peace(mlmmjadmin)
    done(api.put(PATH, **form))
    assert stored(world)["cn"] == {"New"}
    assert mlmmjadmin.control(NEWS, "name") == ["New"]
    assert mlmmjadmin.control(NEWS, "owner") == [EVE]
    assert (BOB, "normal") in mlmmjadmin.members(NEWS)


# --- in the background ------------------------------------------------------------------------


def test_jobs(api: Client, world: World, corp: str, mlmmjadmin: MlmmjadminServer) -> None:
    """Create, change and delete a list for a client that does not wait."""

    def carried_out(method: str, **form: str) -> None:
        answer = api.call(method, PATH, headers={"Prefer": "respond-async"}, **form)
        assert answer.status_code == 202, answer.text
        job = f"/api/jobs/{answer.json()['_data']['job']}"
        wait_until(lambda: api.get(job).json()["_data"]["finished"] is not None)
        assert api.get(job).json()["_data"]["status"] == "done"

    carried_out("POST", subscribers=EVE, require_confirm="no", owner=ANN)
    assert mlmmjadmin.members(NEWS) == {(EVE, "normal")}
    carried_out("PUT", remove_subscribers=EVE, owner=BOB)
    assert mlmmjadmin.members(NEWS) == set()
    assert mlmmjadmin.control(NEWS, "owner") == [BOB]
    assert stored(world)["listOwner"] == {BOB}
    carried_out("DELETE", keep_archive="no")
    assert world.entry(world.tree.maillist(NEWS)) is None
    assert mlmmjadmin.lists() == set()
