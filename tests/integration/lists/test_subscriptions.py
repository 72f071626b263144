"""What accounts and domains that go, or get other names, leave on subscribable lists: nothing."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import requests

from iredldap.dit import list_profile
from tests.support.client import Client, done, refused
from tests.support.mlmmjadmin import HEADER, TOKEN, MlmmjadminServer
from tests.support.patience import PATIENCE, at_once, wait_until
from tests.support.serving import Served
from tests.support.world import World

NEWS, TALK, OTHER = "news@corp.test", "talk@corp.test", "misc@other.test"
ANN, BOB, CREW, INFO = "ann@corp.test", "bob@corp.test", "crew@corp.test", "info@corp.test"
EVE, ANNE, ALIAS = "eve@far.test", "anne@corp.test", "ann@alias.test"
POSTMASTER, POSTMASTER_THERE = "postmaster@corp.test", "postmaster@other.test"
PASSWORD = "a good password"
DOWN = (502, "MLMMJADMIN_UNAVAILABLE")
STEP = "update subscribable lists"


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    return {"mlmmjadmin": mlmmjadmin.settings}


@pytest.fixture
def corp(api: Client) -> str:
    """Two domains, one with an alias domain, and accounts of each kind."""
    for name in ("corp.test", "other.test"):
        done(api.post(f"/api/domain/{name}"))
    done(api.put("/api/domain/corp.test", addAliasDomain="alias.test"))
    for mail in (ANN, BOB):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.post(f"/api/maillist/{CREW}", members=BOB))
    done(api.post(f"/api/alias/{INFO}", members=BOB))
    return "corp.test"


@pytest.fixture
def lists(api: Client, corp: str) -> tuple[str, ...]:
    """Three lists on which Ann is in several ways, and the others in one."""
    make(api, NEWS, f"{ANN},{EVE},{CREW},{INFO}", owner=f"{ANN},{EVE}", moderators=ANN)
    make(api, TALK, BOB, owner=BOB)
    make(api, OTHER, f"{ANN},{BOB}", owner=f"{ANN},{BOB}", subscription_moderators=ANN)
    for mail, address, kind in ((TALK, ANN, "digest"), (OTHER, ALIAS, "nomail")):
        form = {"add_subscribers": address, "subscription": kind, "require_confirm": "no"}
        done(api.put(f"/api/ml/{mail}", **form))
    return NEWS, TALK, OTHER


def make(api: Client, mail: str, subscribers: str, **form: str) -> None:
    done(api.post(f"/api/ml/{mail}", subscribers=subscribers, require_confirm="no", **form))


def roles(world: World, mlmmjadmin: MlmmjadminServer, mail: str) -> dict[str, set[str]]:
    """Owners and moderators as the directory has them, which is as mlmmj has them."""
    entry = world.attributes(world.tree.maillist(mail))
    found = {
        "owner": entry.get("listOwner", set()),
        "moderators": entry.get("listModerator", set()),
    }
    assert {file: {*(mlmmjadmin.control(mail, file) or ())} for file in found} == found
    assert entry.get("listAllowedUser", set()) == found["owner"] | found["moderators"]
    return found


def break_off(mlmmjadmin: MlmmjadminServer) -> None:
    """Let everything fail that would change a list."""
    mlmmjadmin.trouble = lambda method, path: None if method == "GET" else "crash"


def go_on(mlmmjadmin: MlmmjadminServer) -> None:
    mlmmjadmin.trouble = lambda method, path: None


# --- users ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [f"/api/user/{ANN}", f"/api/user/{ANN}/keep_mailbox_days/7"])
def test_deleted_user_is_on_no_list(
    api: Client, world: World, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer, path: str
) -> None:
    """By none of the user's addresses; neither as member nor as owner or moderator."""
    done(api.delete(path))

    assert mlmmjadmin.members(NEWS) == {(EVE, "normal"), (CREW, "normal"), (INFO, "normal")}
    assert mlmmjadmin.members(TALK) == {(BOB, "normal")}
    assert mlmmjadmin.members(OTHER) == {(BOB, "normal")}
    assert roles(world, mlmmjadmin, NEWS) == {"owner": {EVE}, "moderators": set()}
    assert roles(world, mlmmjadmin, OTHER)["owner"] == {BOB}


def test_joins_stay_moderated(
    api: Client, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    """By the owners, when their last moderator goes."""
    done(api.delete(f"/api/user/{ANN}"))
    assert mlmmjadmin.control(OTHER, "submod") == []


def test_deletion_of_a_user_that_broke_off_is_finished(
    api: Client, world: World, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    """The directory still knows on which lists the user is."""
    break_off(mlmmjadmin)

    answer = api.delete(f"/api/user/{ANN}")

    assert (answer.status_code, answer.json()["_msg"]) == DOWN
    assert answer.json()["_data"]["done"] == [f"modify {world.tree.user(ANN)}"]
    assert answer.json()["_data"]["not_done"][0] == STEP
    go_on(mlmmjadmin)
    done(api.delete(f"/api/user/{ANN}"))
    assert roles(world, mlmmjadmin, NEWS) == {"owner": {EVE}, "moderators": set()}
    assert not any(a in {ANN, ALIAS} for mail in lists for a, _ in mlmmjadmin.members(mail))


@pytest.mark.parametrize(
    ("path", "mail"),
    [(f"/api/alias/{INFO}", INFO), (f"/api/maillist/{CREW}", CREW), (f"/api/ml/{TALK}", TALK)],
)
def test_other_accounts_are_members_too(
    api: Client,
    lists: tuple[str, ...],
    mlmmjadmin: MlmmjadminServer,
    path: str,
    mail: str,
) -> None:
    """Until they are deleted."""
    form = {"add_subscribers": mail, "require_confirm": "no"}
    done(api.put(f"/api/ml/{OTHER}", **form))

    done(api.delete(path))

    assert mail not in {address for address, _ in mlmmjadmin.members(OTHER)}
    assert mail not in {address for address, _ in mlmmjadmin.members(NEWS)}


def test_renamed_user_stays_on_their_lists(
    api: Client, world: World, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    """In the same kind of membership, without being asked, as owner and moderator too."""
    done(api.post(f"/api/user/{ANN}/change_email/{ANNE}"))

    others = {(EVE, "normal"), (CREW, "normal"), (INFO, "normal")}
    assert mlmmjadmin.members(NEWS) == {(ANNE, "normal"), *others}
    assert mlmmjadmin.members(TALK) == {(ANNE, "digest"), (BOB, "normal")}
    twin = ("anne@alias.test", "nomail")
    assert mlmmjadmin.members(OTHER) == {(ANNE, "normal"), twin, (BOB, "normal")}
    assert mlmmjadmin.asked(NEWS) == set()
    assert roles(world, mlmmjadmin, NEWS) == {"owner": {ANNE, EVE}, "moderators": {ANNE}}
    assert mlmmjadmin.control(OTHER, "submod") == [ANNE]


def test_rename_that_broke_off_is_finished(
    api: Client, world: World, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    break_off(mlmmjadmin)
    path = f"/api/user/{ANN}/change_email/{ANNE}"

    answer = api.post(path)

    assert (answer.status_code, answer.json()["_msg"]) == DOWN
    assert STEP in answer.json()["_data"]["not_done"]
    go_on(mlmmjadmin)
    done(api.post(path))
    assert (ANNE, "digest") in mlmmjadmin.members(TALK)
    assert roles(world, mlmmjadmin, NEWS) == {"owner": {ANNE, EVE}, "moderators": {ANNE}}


def test_renamed_alias_stays_a_member(
    api: Client, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    done(api.post(f"/api/alias/{INFO}/change_email/about@corp.test"))
    found = {address for address, _ in mlmmjadmin.members(NEWS)}
    assert "about@corp.test" in found
    assert INFO not in found


def test_new_address_that_is_a_member_already(
    api: Client, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    """Keeps the kind of membership that it has, and is no member twice."""
    form = {"add_subscribers": ANNE, "subscription": "nomail", "require_confirm": "no"}
    done(api.put(f"/api/ml/{TALK}", **form))

    done(api.post(f"/api/user/{ANN}/change_email/{ANNE}"))

    assert mlmmjadmin.members(TALK) == {(ANNE, "nomail"), (BOB, "normal")}


# --- the last who lead ------------------------------------------------------------------------

HELD = "held@other.test"
MODERATED = {
    "moderated": {"moderated": "yes"},
    "strangers": {"moderate_non_subscriber_post": "yes"},
}


@pytest.mark.parametrize("held", MODERATED)
@pytest.mark.parametrize(
    ("path", "gone"),
    [
        (f"/api/user/{ANN}", ANN),
        (f"/api/alias/{INFO}", INFO),
        (f"/api/maillist/{CREW}", CREW),
        ("/api/domain/corp.test", ANN),
    ],
)
def test_posts_that_wait_are_never_nobodys(
    api: Client,
    world: World,
    corp: str,
    mlmmjadmin: MlmmjadminServer,
    path: str,
    gone: str,
    held: str,
) -> None:
    """The owners take the place of the last moderator, postmaster that of the last owner."""
    for mail, owner in ((HELD, EVE), (OTHER, gone)):
        make(api, mail, EVE, owner=owner, moderators=gone, **MODERATED[held])
    assert roles(world, mlmmjadmin, OTHER) == {"owner": {gone}, "moderators": {gone}}

    done(api.delete(path))

    there = {POSTMASTER_THERE}
    assert roles(world, mlmmjadmin, HELD) == {"owner": {EVE}, "moderators": {EVE}}
    assert roles(world, mlmmjadmin, OTHER) == {"owner": there, "moderators": there}
    assert not mlmmjadmin.swallows(HELD)
    assert not mlmmjadmin.swallows(OTHER)


def test_who_leads_is_found_again_when_a_deletion_broke_off(
    api: Client, world: World, corp: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """The directory names them when the control files do already."""
    make(api, OTHER, BOB, owner=ANN, moderators=ANN, moderated="yes")
    break_off(mlmmjadmin)
    assert api.delete(f"/api/user/{ANN}").status_code == 502
    go_on(mlmmjadmin)
    (form,) = list_profile.exchanged(
        {"owner": [ANN], "moderators": [ANN], "moderated": "yes"}, lambda _: None, POSTMASTER_THERE
    )
    requests.put(f"{mlmmjadmin.url}/{OTHER}", form, headers={HEADER: TOKEN}, timeout=PATIENCE)

    done(api.delete(f"/api/user/{ANN}"))

    there = {POSTMASTER_THERE}
    assert roles(world, mlmmjadmin, OTHER) == {"owner": there, "moderators": there}


# --- domains ----------------------------------------------------------------------------------


def test_lists_of_a_deleted_domain_are_archived(
    api: Client, world: World, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    """And its accounts leave the lists of others."""
    done(api.delete("/api/domain/corp.test"))

    assert mlmmjadmin.lists() == {OTHER}
    assert {path.name for path in mlmmjadmin.archived()} == {"news", "talk"}
    assert mlmmjadmin.members(OTHER) == set()
    assert roles(world, mlmmjadmin, OTHER)["owner"] == {POSTMASTER_THERE}
    assert world.entry(world.tree.domain("corp.test")) is None


def test_deletion_of_a_domain_that_broke_off_is_finished(
    api: Client, world: World, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    break_off(mlmmjadmin)
    answer = api.delete("/api/domain/corp.test")
    assert (answer.status_code, answer.json()["_msg"]) == DOWN
    go_on(mlmmjadmin)
    done(api.delete("/api/domain/corp.test"))
    assert mlmmjadmin.lists() == {OTHER}
    assert len(mlmmjadmin.archived()) == 2


def test_alias_domain_comes_and_goes(
    api: Client, world: World, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    """Lists have a name in it, which further addresses of their own do not touch."""
    dn = world.tree.maillist(NEWS)
    done(api.put("/api/domain/corp.test", addAliasDomain="also.test"))
    assert world.attributes(dn)["shadowAddress"] == {"news@alias.test", "news@also.test"}
    done(api.put(f"/api/ml/{NEWS}", extra_addresses="letters@corp.test"))
    done(api.put("/api/domain/corp.test", removeAliasDomain="alias.test"))
    assert world.attributes(dn)["shadowAddress"] == {"news@also.test", "letters@corp.test"}


def test_end_of_an_alias_domain_is_the_end_of_addresses_in_it(
    api: Client, world: World, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    """Also in the control files; the list's own address stays, and those in other domains."""
    done(api.put("/api/domain/corp.test", addAliasDomain="also.test"))
    done(api.put(f"/api/ml/{NEWS}", extra_addresses="l@alias.test,m@also.test,n@corp.test"))
    done(api.put(f"/api/ml/{TALK}", extra_addresses="t@alias.test"))

    done(api.put("/api/domain/corp.test", removeAliasDomain="alias.test"))

    assert mlmmjadmin.control(NEWS, "listaddress") == [NEWS, "m@also.test", "n@corp.test"]
    assert mlmmjadmin.control(TALK, "listaddress") == [TALK]
    shadows = world.attributes(world.tree.maillist(TALK))["shadowAddress"]
    assert shadows == {"talk@also.test"}
    mlmmjadmin.trouble = lambda method, path: "drop"
    refused(api.put("/api/domain/corp.test", removeAliasDomain="also.test"), *DOWN)


# --- odd names in the folder of mlmmj ---------------------------------------------------------

FOLLOWING = [
    ("DELETE", f"/api/user/{ANN}", None),
    ("DELETE", f"/api/user/{ANN}/keep_mailbox_days/7", None),
    ("POST", f"/api/user/{ANN}/change_email/{ANNE}", ANNE),
]


@pytest.mark.parametrize(("method", "path", "successor"), FOLLOWING)
def test_odd_names_keep_nobody_from_following(
    api: Client,
    lists: tuple[str, ...],
    mlmmjadmin: MlmmjadminServer,
    method: str,
    path: str,
    successor: str | None,
) -> None:
    """The lists are asked one by one, as mlmmjadmin cannot tell those of an address then."""
    (mlmmjadmin.spool / "corp.test" / ".backup").mkdir()

    done(api.call(method, path))

    for mail in lists:
        assert ANN not in {address for address, _ in mlmmjadmin.members(mail)}
    now = {successor} if successor else set()
    assert {address for address, kind in mlmmjadmin.members(TALK) if kind == "digest"} == now


def test_what_keeps_an_account_is_named(
    api: Client, world: World, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    """What mlmmjadmin answered, and to which question; nothing was changed."""
    (mlmmjadmin.spool / "corp.test" / ".backup").mkdir()
    mlmmjadmin.trouble = lambda method, path: "PermissionError(13)" if TALK in path else None
    before = world.snapshot()

    answer = api.delete(f"/api/user/{ANN}")

    assert (answer.status_code, answer.json()["_msg"]) == DOWN
    whole, single = answer.json()["_data"]["causes"]
    assert "subscribed" in whole
    assert "status 500" in whole
    assert "PermissionError" in single
    assert world.snapshot() == before


# --- without mlmmjadmin -----------------------------------------------------------------------

CALLS = [
    ("DELETE", f"/api/user/{ANN}"),
    ("DELETE", f"/api/user/{ANN}/keep_mailbox_days/7"),
    ("POST", f"/api/user/{ANN}/change_email/{ANNE}"),
    ("DELETE", f"/api/alias/{INFO}"),
    ("DELETE", f"/api/maillist/{CREW}"),
    ("DELETE", "/api/domain/corp.test"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_nothing_is_changed_where_lists_cannot_follow(
    api: Client,
    world: World,
    lists: tuple[str, ...],
    mlmmjadmin: MlmmjadminServer,
    method: str,
    path: str,
) -> None:
    """There are lists, and mlmmjadmin does not answer."""
    mlmmjadmin.trouble = lambda method, path: "drop"
    before = world.snapshot()
    refused(api.call(method, path), *DOWN)
    assert world.snapshot() == before


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_who_has_no_lists_needs_no_mlmmjadmin(
    api: Client, corp: str, mlmmjadmin: MlmmjadminServer, method: str, path: str
) -> None:
    """It is not even asked."""
    mlmmjadmin.trouble = lambda method, path: "drop"
    done(api.call(method, path))
    assert mlmmjadmin.requests == []


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_mlmmjadmin_lists_are_nobodys_business(
    serve: Any, lists: tuple[str, ...], method: str, path: str
) -> None:
    """Entries of lists may be there all the same, kept by somebody else."""
    done(serve(mlmmjadmin={}).client().log_in().call(method, path))


def test_address_that_mlmmjadmin_does_not_take(
    api: Client, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    """It is on no list, and asking would be an error: the account can be deleted."""
    mail = "ann@corp.international-domain"
    done(api.post("/api/domain/corp.international-domain"))
    done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.delete(f"/api/user/{mail}"))


def test_characters_of_an_address(
    api: Client, lists: tuple[str, ...], mlmmjadmin: MlmmjadminServer
) -> None:
    """They mean nothing else in the path of a request."""
    mail = "a&b#c@corp.test"
    done(api.post("/api/user/a&b%23c@corp.test", password=PASSWORD))
    done(api.put(f"/api/ml/{TALK}", add_subscribers=mail, require_confirm="no"))
    assert (mail, "normal") in mlmmjadmin.members(TALK)
    done(api.delete("/api/user/a&b%23c@corp.test"))
    assert (mail, "normal") not in mlmmjadmin.members(TALK)
    done(api.post("/api/ml/q&a%23@corp.test", subscribers=BOB, require_confirm="no"))
    assert mlmmjadmin.members("q&a#@corp.test") == {(BOB, "normal")}
    done(api.delete("/api/ml/q&a%23@corp.test"))
    assert "q&a#@corp.test" not in mlmmjadmin.lists()


# --- many at once -----------------------------------------------------------------------------


def crowd(number: int) -> list[str]:
    """Addresses under every letter: mlmmj keeps a file for each."""
    return [f"{'abcdefghij'[n % 10]}{n}@far.test" for n in range(number)]


def another(served: Served, api: Client) -> Client:
    client = served.client()
    client.session.cookies.update(api.session.cookies)
    return client


def test_members_who_are_added_at_once_all_stay(
    api: Client, served: Served, serve: Any, corp: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """Mlmmjadmin loses members of calls that meet; also those of two programs on one machine."""
    make(api, NEWS, ",".join(crowd(40)), owner=ANN)
    beside_it: Served = serve()
    clients = [another(where, api) for where in (served, beside_it) for _ in range(2)]

    def add(number: int) -> requests.Response:
        new = ",".join(f"{'abcdefghij'[n]}new{number}@far.test" for n in range(5))
        return clients[number].put(f"/api/ml/{NEWS}", add_subscribers=new, require_confirm="no")

    answers = at_once(*(lambda number=number: add(number) for number in range(4)))

    assert [answer.status_code for answer in answers] == [200] * 4
    added = {f"{letter}new{number}@far.test" for letter in "abcde" for number in range(4)}
    assert {mail for mail, _ in mlmmjadmin.members(NEWS)} == {*crowd(40), *added}


def test_users_who_are_deleted_at_once_take_nobody_along(
    api: Client, served: Served, corp: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """All of them were members of one list; they stand in two domains, and the list in one."""
    gone = [f"{name}@{place}" for name in ("u1", "u2") for place in ("corp.test", "other.test")]
    for mail in gone:
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    make(api, NEWS, ",".join((*crowd(60), *gone)), owner=ANN)
    clients = [another(served, api) for _ in gone]

    answers = at_once(
        *(
            lambda client=client, mail=mail: client.delete(f"/api/user/{mail}")
            for client, mail in zip(clients, gone, strict=True)
        )
    )

    assert [answer.status_code for answer in answers] == [200] * 4
    assert {mail for mail, _ in mlmmjadmin.members(NEWS)} == {*crowd(60)}


@pytest.mark.parametrize("change", ["delete", "rename", "delete the domain"])
def test_a_file_that_is_being_written_hides_no_member(
    api: Client, served: Served, corp: str, mlmmjadmin: MlmmjadminServer, change: str
) -> None:
    """It is empty for a moment: whoever goes meanwhile leaves the list all the same."""
    mail = "bill@other.test"
    done(api.post(f"/api/user/{mail}", password=PASSWORD))
    make(api, NEWS, f"{mail},{EVE}", owner=ANN)
    path = mlmmjadmin.folder(NEWS) / "subscribers.d" / "b"
    turns: Any = served.gateways.outside.turns
    written, seen = path.read_text(), len(mlmmjadmin.requests)
    call = {
        "delete": partial(api.delete, f"/api/user/{mail}"),
        "rename": partial(api.post, f"/api/user/{mail}/change_email/will@other.test"),
        "delete the domain": partial(api.delete, "/api/domain/other.test"),
    }[change]

    def waits_or_has_read() -> bool:
        waiting = len(turns._backend._queues._waiting.get(f"list {NEWS}", ())) > 1
        read = (path for _, path, _ in mlmmjadmin.requests[seen:] if "subscribe" in path)
        return waiting or any(read)

    with ThreadPoolExecutor(1) as pool:
        with turns.take([f"list {NEWS}"]):
            path.write_text("")
            answer = pool.submit(call)
            wait_until(waits_or_has_read)
            path.write_text(written)
        done(answer.result(PATIENCE))

    left = {"will@other.test"} if change == "rename" else set()
    assert {mail for mail, _ in mlmmjadmin.members(NEWS)} == {EVE} | left


def test_members_who_are_lost_meanwhile_are_put_back(
    api: Client, corp: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """Another program rewrote the same file, and took no turn."""
    make(api, NEWS, ",".join(crowd(20)), owner=ANN)
    folder = mlmmjadmin.folder(NEWS) / "subscribers.d"

    def interfere(method: str, path: str) -> None:
        """Lose the members of one letter once, when they have been read and are to be written."""
        if method == "POST" and path.endswith("/subscribers"):
            (folder / "a").unlink()
            mlmmjadmin.trouble = lambda *_: None

    mlmmjadmin.trouble = interfere
    done(api.put(f"/api/ml/{NEWS}", add_subscribers="zoe@far.test", require_confirm="no"))
    assert {mail for mail, _ in mlmmjadmin.members(NEWS)} == {*crowd(20), "zoe@far.test"}

    mlmmjadmin.trouble = interfere
    done(api.put(f"/api/ml/{NEWS}", remove_subscribers=crowd(20)[1]))
    left = {*crowd(20), "zoe@far.test"} - {crowd(20)[1]}
    assert {mail for mail, _ in mlmmjadmin.members(NEWS)} == left
