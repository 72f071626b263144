"""One change of every mail user of a domain, judged by what stands in the directory."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from iredldap.config.sections import Config
from iredldap.dit import user
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Form
from iredldap.dit.form_parser import parse
from iredldap.dit.plan import Modify, Operation, Sweep
from iredldap.embedded.slapd import Slapd
from iredldap.errors import PreconditionFailed
from iredldap.gateways.directory import Directory
from iredldap.operations.context import Context
from iredldap.operations.login import Caller, find_admin
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.operations.users import bulk_update
from tests.support.client import Client, done, refused
from tests.support.mailservers import Dovecot, Postfix
from tests.support.patience import started
from tests.support.serving import Served
from tests.support.world import ADMIN, READER_PASSWORD, SUFFIX, World

PASSWORD = "a good password"
OTHER = "another good password"
PATH = "/api/users/corp.test"
USERS = tuple(f"u{number}@corp.test" for number in range(12))


@pytest.fixture
def corp(api: Client, world: World) -> str:
    """The DN of a domain with twelve users, a catch-all and an alias; another one beside it."""
    for name in ("corp.test", "other.test"):
        done(api.post(f"/api/domain/{name}"))
    for mail in (*USERS, "x@other.test"):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    world.add(
        world.tree.catchall("corp.test"),
        objectClass=["inetOrgPerson", "mailUser"],
        mail="@corp.test",
        accountStatus="active",
        mailForwardingAddress=USERS[0],
        cn="x",
        sn="x",
        uid="x",
    )
    world.add(
        world.tree.alias("info@corp.test"),
        objectClass="mailAlias",
        mail="info@corp.test",
        accountStatus="active",
    )
    return world.tree.domain("corp.test")


@pytest.fixture
def manager(served: Served, world: World, corp: str) -> Client:
    """A normal admin of corp.test, who is its first user; its last one is a global admin."""
    world.modify(world.tree.user(USERS[0]), (0, "enabledService", [b"domainadmin"]))
    world.set(corp, domainAdmin=[USERS[0]])
    world.set(world.tree.user(USERS[-1]), domainGlobalAdmin="yes")
    return served.client().log_in(USERS[0], PASSWORD)


def of_users(world: World, mails: tuple[str, ...], attribute: str) -> list[set[str]]:
    return [world.attributes(world.tree.user(mail)).get(attribute, set()) for mail in mails]


def untouched(before: Any, after: Any, *mails: str) -> bool:
    """Whether nothing but some users changed."""
    changed = {dn for dn in before.keys() | after.keys() if before.get(dn) != after.get(dn)}
    return changed <= {dn for dn in before if dn.startswith(tuple(f"mail={m}," for m in mails))}


# --- what it does -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "attribute", "stored"),
    [
        ({"accountStatus": "no"}, "accountStatus", "disabled"),
        ({"language": "ja_JP"}, "preferredLanguage", "ja_JP"),
        ({"preferredLanguage": "ja_JP"}, "preferredLanguage", "ja_JP"),
        ({"transport": "smtp:[mx.test]:25"}, "mtaTransport", "smtp:[mx.test]:25"),
    ],
)
def test_same_value_for_everybody(
    api: Client, world: World, corp: str, sent: dict[str, str], attribute: str, stored: str
) -> None:
    """Every user of the domain; no catch-all, no other account, no other domain."""
    before = world.snapshot()

    done(api.put(PATH, **sent))

    assert of_users(world, USERS, attribute) == [{stored}] * len(USERS)
    assert untouched(before, world.snapshot(), *USERS)


def test_empty_transport_is_removed(api: Client, world: World, corp: str) -> None:
    before = world.snapshot()
    done(api.put(PATH, transport="smtp:[mx.test]:25"))
    done(api.put(PATH, transport=""))
    assert world.snapshot() == before


def test_new_password_for_everybody(api: Client, world: World, corp: str) -> None:
    """The same for all, yet nobody sees from the hashes that it is."""
    world.set(world.tree.user(USERS[0]), shadowLastChange="1")

    done(api.put(PATH, password=OTHER, accountStatus="active"))

    stored = of_users(world, USERS, "userPassword")
    assert all(len(values) == 1 for values in stored)
    assert len({values.pop() for values in stored}) == len(USERS)
    assert of_users(world, USERS[:1], "shadowLastChange") != [{"1"}]
    for mail in USERS:
        world.connect(world.tree.user(mail), OTHER).unbind_s()


def test_slow_hash_is_made_once(serve: Any, world: World, corp: str) -> None:
    """Twelve times bcrypt would be twelve times its cost, ten thousand times an hour."""
    server = serve(passwords={"password_scheme": "BCRYPT", "bcrypt_rounds": 4})
    done(server.client().log_in().put(PATH, password=OTHER))
    stored = of_users(world, USERS, "userPassword")
    assert len({value for values in stored for value in values}) == 1
    world.connect(world.tree.user(USERS[3]), OTHER).unbind_s()


def test_user_who_has_the_value_is_not_written(api: Client, world: World, corp: str) -> None:
    """Their state stays."""

    def state(mail: str) -> str | None:
        entry = world.entry(world.tree.user(mail))
        return entry.csn if entry else None

    world.set(world.tree.user(USERS[0]), preferredLanguage="fr_FR")
    before = [state(mail) for mail in USERS]
    done(api.put(PATH, language="fr_FR", accountStatus="active"))
    after = [state(mail) for mail in USERS]
    assert after[0] == before[0]
    assert not set(after[1:]) & set(before)


def test_nothing_sent_is_nothing_done(api: Client, world: World, corp: str) -> None:
    before = world.snapshot()
    done(api.put(PATH))
    answer = done(api.put(PATH, language="xx_XX"))
    assert answer.headers["X-Ignored-Values"] == "xx_XX"
    assert world.snapshot() == before


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"password": ""}, 422, "PW_EMPTY"),
        ({"password": "short"}, 422, "PW_SHORTER_THAN_MIN_LENGTH"),
        ({"password": "x" * 31}, 422, "PW_GREATER_THAN_MAX_LENGTH"),
        ({"password": "ein gutes Paßwort"}, 422, "PW_NON_ASCII"),
        ({"password": USERS[3].upper()}, 422, "PW_IS_ADDRESS"),
        ({"accountStatus": "perhaps"}, 400, "INVALID_PARAMETER"),
        ({"transport": "two words"}, 400, "INVALID_PARAMETER"),
    ],
)
def test_bad_value(
    api: Client, world: World, corp: str, sent: dict[str, str], status: int, code: str
) -> None:
    """The rules of the domain hold; nobody at all is changed."""
    done(api.put("/api/domain/corp.test", maxPasswordLength=30))
    before = world.snapshot()
    answer = api.put(PATH, language="ja_JP", **sent)
    refused(answer, status, code)
    assert answer.headers["X-Invalid-Parameters"] in sent
    assert world.snapshot() == before


def test_no_such_domain(api: Client, world: World, corp: str) -> None:
    """The name of an alias domain is none in a write."""
    world.set(corp, domainAliasName="corp.example")
    before = world.snapshot()
    refused(api.put("/api/users/ghost.test", language="ja_JP"), 404, "NO_SUCH_ACCOUNT")
    refused(api.put("/api/users/corp.example", language="ja_JP"), 404, "NO_SUCH_ACCOUNT")
    assert world.snapshot() == before


def test_last_global_admin_is_not_disabled(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """With everybody else in their domain."""
    world.set(world.tree.user(USERS[4]), domainGlobalAdmin="yes")
    world.set(world.tree.admin(ADMIN), accountStatus="disabled")
    boss = served.client().log_in(USERS[4], PASSWORD)
    before = world.snapshot()

    refused(boss.put(PATH, accountStatus="disabled", language="ja_JP"), 403, "PERMISSION_DENIED")

    assert world.snapshot() == before
    world.set(world.tree.admin(ADMIN), accountStatus="active")
    done(boss.put(PATH, accountStatus="disabled"))


# --- normal admins ----------------------------------------------------------------------------


def test_normal_admin_spares_global_ones(manager: Client, world: World) -> None:
    """Named in a header; a strict client is refused instead."""
    before = world.snapshot()
    strict = {"Prefer": "handling=strict"}
    answer = manager.call("PUT", PATH, headers=strict, password=OTHER)
    refused(answer, 400, "INVALID_PARAMETER")
    assert world.snapshot() == before

    answer = done(manager.put(PATH, password=OTHER, language="ja_JP"))

    assert answer.headers["X-Ignored-Values"] == USERS[-1]
    assert untouched(before, world.snapshot(), *USERS[:-1])
    languages = of_users(world, USERS, "preferredLanguage")
    assert languages == [{"ja_JP"}] * (len(USERS) - 1) + [{"en_US"}]
    world.connect(world.tree.user(USERS[-1]), PASSWORD).unbind_s()


def test_normal_admin_and_other_domains(
    api: Client, manager: Client, world: World, corp: str
) -> None:
    """Not another's, whether it exists or not; no program as transport."""
    before = world.snapshot()
    for path, sent in (
        ("/api/users/other.test", {"language": "ja_JP"}),
        ("/api/users/ghost.test", {"language": "ja_JP"}),
        (PATH, {"transport": "pipe:evil"}),
    ):
        refused(manager.put(path, **sent), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before
    done(manager.put(PATH, transport="smtp:[mx.test]:25"))


def test_profile_taken_from_normal_admins(
    api: Client, served: Served, manager: Client, world: World, corp: str
) -> None:
    world.set(corp, accountSetting="disabledUserProfile:relay")
    again = served.client().log_in(USERS[0], PASSWORD)
    before = world.snapshot()
    refused(again.put(PATH, transport=""), 403, "PERMISSION_DENIED")
    assert world.snapshot() == before
    done(api.put(PATH, transport="smtp:[mx.test]:25"))


# --- conditions, rivals, crashes --------------------------------------------------------------


def test_condition_is_on_the_domain(api: Client, world: World, corp: str) -> None:
    """The same state holds once, though its users are changed and not the domain itself."""
    state = api.get("/api/domain/corp.test").headers["ETag"]

    def put(language: str) -> Any:
        return api.call("PUT", PATH, headers={"If-Match": state}, language=language)

    done(put("ja_JP"))
    refused(put("fr_FR"), 412, "PRECONDITION_FAILED")

    assert of_users(world, USERS, "preferredLanguage") == [{"ja_JP"}] * len(USERS)


def test_rivals_on_single_users(api: Client, world: World, corp: str) -> None:
    """What others write meanwhile is kept, and everybody gets the common value."""
    ended = threading.Event()
    failures: list[str] = []
    written: dict[str, str] = {}

    def rival(mail: str) -> None:
        client = Client(api.url)
        client.session.cookies.update(api.session.cookies)
        number = 0
        while not ended.is_set():
            number += 1
            answer = client.put(f"/api/user/{mail}", name=f"name {number}")
            failures.extend([answer.text] if answer.status_code != 200 else [])
            written[mail] = f"name {number}"

    rivals = [threading.Thread(target=rival, args=(mail,)) for mail in USERS[:3]]
    for thread in rivals:
        thread.start()
    try:
        for language in ("ja_JP", "fr_FR") * 5:
            done(api.put(PATH, language=language))
            assert of_users(world, USERS, "preferredLanguage") == [{language}] * len(USERS)
    finally:
        ended.set()
        for thread in rivals:
            thread.join()

    assert failures == []
    assert of_users(world, USERS[:3], "cn") == [{written[mail]} for mail in USERS[:3]]


@pytest.fixture
def directory(served: Served) -> Directory:
    return served.gateways.directory


def operations(
    directory: Directory, config: Config, caller: Caller, **sent: str
) -> Iterator[tuple[Entry, Operation]]:
    """What a request would do to which entry as it was read."""
    form: Form = {name: [value] for name, value in sent.items()}
    parsed = parse(user.BULK, form)
    context = Context(directory, config, caller, OutsideSystems.open(config))
    plan = bulk_update.update(context, {"domain": "corp.test"}, parsed)
    *_, sweep = plan.steps
    assert isinstance(sweep, Sweep)
    for entry in directory.find(sweep.query):
        for operation in sweep.change(entry):
            yield entry, operation


@pytest.mark.parametrize("sent", [{"language": "ja_JP"}, {"password": OTHER}])
@pytest.mark.parametrize("survived", [0, 1, 7, len(USERS)])
def test_repeat_finishes_what_broke_off(
    api: Client,
    served: Served,
    directory: Directory,
    world: World,
    corp: str,
    sent: dict[str, str],
    survived: int,
) -> None:
    """A crash after any number of users leaves each as before or as wanted."""
    caller = Caller(ADMIN, directory.tree.admin(ADMIN), is_global=True, stored=())
    planned = operations(directory, served.config, caller, **sent)
    for (_, operation), _ in zip(planned, range(survived), strict=False):
        directory.write(operation)

    done(api.put(PATH, **sent))

    if "language" in sent:
        assert of_users(world, USERS, "preferredLanguage") == [{"ja_JP"}] * len(USERS)
    else:
        for mail in USERS:
            world.connect(world.tree.user(mail), OTHER).unbind_s()


def test_user_who_becomes_global_admin_meanwhile(
    served: Served, directory: Directory, manager: Client, world: World
) -> None:
    """The directory refuses the change of what a normal admin saw as an ordinary user."""
    caller = find_admin(directory, USERS[0])
    assert caller
    planned = list(operations(directory, served.config, caller, password=OTHER))
    assert len(planned) == len(USERS) - 1
    entry, operation = planned[5]
    world.set(entry.dn, domainGlobalAdmin="yes")

    assert isinstance(operation, Modify)
    with pytest.raises(PreconditionFailed):
        directory.write(operation)


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


def test_postfix_and_dovecot_see_it(
    api: Client, corp: str, postfix: Postfix, dovecot: Dovecot
) -> None:
    """Password, status and transport of each; the catch-all goes on forwarding."""
    one = USERS[5]
    done(api.put(PATH, password=OTHER, transport="smtp:[mx.test]:25"))
    assert dovecot.accepts(one, OTHER)
    assert not dovecot.accepts(one, PASSWORD)
    assert postfix.lookup("transport_maps_user", one) == "smtp:[mx.test]:25"
    done(api.put(PATH, accountStatus="disabled"))
    assert not dovecot.accepts(one, OTHER)
    assert postfix.lookup("virtual_mailbox_maps", one) is None
    assert postfix.lookup("catchall_maps", "@corp.test") == USERS[0]
    done(api.put(PATH, accountStatus="active"))
    assert dovecot.accepts(one, OTHER)
