"""Where mail to an address goes is what Postfix and Dovecot make of it."""

import random
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.directory import Directory
from iredldap.operations.lookups.mail_flow import KINDS, MailFlow
from iredldap.shipped import shipped
from tests.integration.mail import test_mailservers as zoo
from tests.support.client import Client, done, refused
from tests.support.mailservers import Dovecot, MailServerError, Postfix
from tests.support.patience import PATIENCE, started
from tests.support.world import World

SUFFIX = zoo.SUFFIX
DOMAIN = "round.test"
SEED = 20


def accounts(chance: random.Random) -> Iterator[str]:
    """Accounts of one domain that name one another at random: further addresses, lists, loops."""
    names = [f"{kind}{number}" for kind in ("u", "a", "m") for number in range(5)]
    addresses = [f"{name}@{DOMAIN}" for name in names]
    targets = [*addresses, "x@far.test", f"nobody@{DOMAIN}", f"s1@{DOMAIN}", "s2@also.test"]

    def some(words: list[str], most: int) -> str:
        return " ".join(chance.sample(words, chance.randint(0, most)))

    yield from zoo.domain(DOMAIN, enabledService="mail domainalias", domainAliasName="also.test")
    for address in addresses:
        kind = address[0]
        services = ["mail", *chance.sample(["deliver", "forward", "lda"], chance.randint(2, 3))]
        attributes = {
            "shadowAddress": some(
                [f"s{n}@{d}" for n in range(4) for d in (DOMAIN, "also.test")], 1
            ),
            "memberOfGroup": some([f"m{n}@{DOMAIN}" for n in range(5)], 1),
            "accountStatus": chance.choice(["active"] * 5 + ["disabled"]),
            "enabledService": " ".join(services),
            "mailForwardingAddress": some(targets, 3) if kind != "m" else "",
        }
        make: Any = {"u": zoo.user, "a": zoo.alias, "m": zoo.group}[kind]
        yield make(address, **{name: value for name, value in attributes.items() if value})
    # A circle of three, and a way into it.
    for name, to in (("r1", "r2"), ("r2", "r3"), ("r3", "r1 u1"), ("into", "r2")):
        targets = [f"{word}@{DOMAIN}" for word in to.split()]
        yield zoo.alias(f"{name}@{DOMAIN}", mailForwardingAddress=" ".join(targets))


@pytest.fixture(scope="module")
def zoo_slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """The directory of the tests of Postfix and Dovecot themselves, and one made at random."""
    home = tmp_path_factory.mktemp("resolve") / "slapd"
    server = Slapd(home=home, suffix=SUFFIX, schema_dir=shipped("schema"), port=free_port())
    server.prepare("\n".join([*zoo.tree(), *accounts(random.Random(SEED))]).encode())
    yield started(server)
    server.stop()


@pytest.fixture(scope="module")
def postfix(zoo_slapd: Slapd) -> Postfix:
    return Postfix(zoo_slapd.home.parent / "postfix", zoo_slapd.uri, SUFFIX, zoo.READER_PASSWORD)


@pytest.fixture(scope="module")
def dovecot(zoo_slapd: Slapd) -> Iterator[Dovecot]:
    server = Dovecot(zoo_slapd.home.parent / "dovecot", zoo_slapd.uri, SUFFIX, zoo.READER_PASSWORD)
    yield started(server)
    server.stop()


@pytest.fixture(scope="module")
def directory(zoo_slapd: Slapd) -> Iterator[Directory]:
    settings = LdapSettings(
        uri=(zoo_slapd.uri,),
        suffix=SUFFIX,
        bind_dn=f"cn=vmail,{SUFFIX}",
        bind_password=Secret(zoo.READER_PASSWORD),
        network_timeout=PATIENCE,
        operation_timeout=PATIENCE,
    )
    with closing(Directory(settings)) as opened:
        yield opened


def follow(directory: Directory, address: str) -> dict[str, Any]:
    return MailFlow(directory, lambda _: True).follow(address)


KNOWN = (
    *("ann", "a.nn", "both", "bob", "carl", "dora", "emil", "fred", "gina", "g", "sales", "vain"),
    *("empty", "round", "trip", "team", "inner", "closed", "news", "silent", "ghost", "nobody"),
)
ADDRESSES = [
    *(f"{name}@here.test" for name in KNOWN),
    *(f"{name}@alias.test" for name in ("ann", "bob", "sales", "team", "nobody")),
    *(f"{name}@any.test" for name in ("uma", "off", "whoever")),
    *("whoever@any-alias.test", "whoever@alias.any.test", "marked@off.test", "unmarked@off.test"),
    *("someone@far.test", "whoever@backup.test", "x@backup-alias.test", "x@nomail.test"),
    *(f"{kind}{number}@{DOMAIN}" for kind in ("u", "a", "m", "s") for number in range(5)),
    *(f"s{number}@also.test" for number in range(4)),
    *(f"{name}@{DOMAIN}" for name in ("r1", "r3", "into")),
]


def test_goes_where_postfix_and_dovecot_would_have_it(
    directory: Directory, postfix: Postfix, dovecot: Dovecot
) -> None:
    """Acceptance, recipients, loops, routes, copies, and mailboxes with their places."""
    found = {address: follow(directory, address) for address in ADDRESSES}

    for address, told in found.items():
        compare_with_postfix(postfix, address, told)
    ends = {end["address"]: end for told in found.values() for end in told["ends"]}
    kinds = {end["kind"] for end in ends.values()}
    assert kinds == {*KINDS} - {"other domain", "relay"}
    for end in ends.values():
        compare_with_dovecot(dovecot, end)
    assert sum(bool(told["loops"]) for told in found.values()) >= 5


def compare_with_postfix(postfix: Postfix, address: str, told: dict[str, Any]) -> None:
    domain = address.partition("@")[2]
    assert told["accepted"] == postfix.knows_domain(domain), address
    try:
        recipients = postfix.recipients(address)
    except MailServerError:
        assert told["loops"], address
    else:
        assert told["loops"] == [], address
        placed = {end["address"] for end in told["ends"] if is_taken(end)}
        assert placed == recipients, address
    # The accounts made at random have none of these.
    if told["accepted"] and domain not in {DOMAIN, "also.test"}:
        for kind, shown in (("recipient_bcc", told["copies"]), *sent(told)):
            own = postfix.lookup(f"{kind}_maps_user", address)
            expected = own or postfix.lookup(f"{kind}_maps_domain", address)
            assert [one["to"] for one in shown] == ([expected] if expected else []), address


def sent(told: dict[str, Any]) -> list[tuple[str, Any]]:
    mail = told["sent_mail"]
    return [("sender_bcc", mail["copies"]), ("sender_dependent_relayhost", mail["relay"])]


def is_taken(end: dict[str, Any]) -> bool:
    """Whether Postfix takes mail for an end; what Dovecot then refuses has a transport."""
    return end["kind"] != "refused" or "transport" in end


def compare_with_dovecot(dovecot: Dovecot, end: dict[str, Any]) -> None:
    if "transport" not in end or end["kind"] not in {"mailbox", "refused"}:
        return
    service = "lmtp" if end["transport"].startswith("lmtp") else "lda"
    user = dovecot.mailbox(end["address"], service)
    assert (user is not None) == (end["kind"] == "mailbox"), end
    if user:
        assert user.home == end["home"]
        place = end["mail"].replace("~", end["home"].rstrip("/"))
        assert f"{user.format}:{user.path}/" == place


def test_routes(directory: Directory, postfix: Postfix) -> None:
    """A user's own transport wins over the domain's."""
    for address in ("ann@here.test", "dora@here.test", "news@here.test", "x@backup.test"):
        (end,) = [end for end in follow(directory, address)["ends"] if end["address"] == address]

        own = postfix.lookup("transport_maps_user", address)
        assert end["transport"] == (
            own or postfix.lookup("transport_maps_domain", address.partition("@")[2])
        )


def test_steps(directory: Directory) -> None:
    """Each says by what the address is replaced."""
    told = follow(directory, "team@here.test")
    assert told["steps"][0]["by"] == "list"
    assert {*told["steps"][0]["to"]} == {
        *("ann@here.test", "inner@here.test", "sales@here.test", "x@far.test", "y@far.test")
    }

    told = follow(directory, "ann@alias.test")
    assert told["alias_of"] == "here.test"
    assert told["steps"] == [
        {"address": "ann@alias.test", "by": "further address", "to": ["ann@here.test"],
         "account": "ann@here.test"}
    ]  # fmt: skip

    assert [step["keeps_copy"] for step in follow(directory, "carl@here.test")["steps"][:1]] == [
        False
    ]
    assert follow(directory, "whoever@any.test")["steps"][0]["by"] == "catch-all"


def test_dead_ends_and_loops_are_named(directory: Directory) -> None:
    (end,) = follow(directory, "bob@here.test")["ends"]
    assert end["why"] == ["bob@here.test: disabled"]
    (end,) = follow(directory, "nobody@here.test")["ends"]
    assert end["why"] == ["no account has the address"]
    assert follow(directory, "round@here.test")["loops"] == [
        ["round@here.test", "trip@here.test", "round@here.test"]
    ]


def test_extension_follows(directory: Directory) -> None:
    """What stands behind a plus goes along, as Postfix has it with its delimiter."""
    told = follow(directory, "ann+news@alias.test")

    assert told["steps"][0]["to"] == ["ann+news@here.test"]
    (end,) = told["ends"]
    assert (end["address"], end["kind"]) == ("ann+news@here.test", "mailbox")


def test_is_bounded(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iredldap.operations.lookups.mail_flow.MOST_ADDRESSES", 3)

    assert follow(directory, "team@here.test")["cut_off"]


# --- who may ask ----------------------------------------------------------------------------------

SECRET = "a good password"


def test_normal_admin_sees_their_own_domains(served: Any, api: Client, world: World) -> None:
    """Addresses elsewhere are ends, hosted here or not."""
    for domain in ("mine.test", "other.test"):
        done(api.post(f"/api/domain/{domain}"))
    for mail in ("ann@mine.test", "bob@other.test"):
        done(api.post(f"/api/user/{mail}", password=SECRET))
    done(api.post("/api/alias/all@mine.test", members="ann@mine.test,bob@other.test,x@far.test"))
    done(api.put("/api/domain/admins/mine.test", addAdmin="ann@mine.test"))
    ann = served.client().log_in("ann@mine.test", SECRET)

    told = ann.get("/api/resolve/all@mine.test").json()["_data"]

    assert {(end["address"], end["kind"]) for end in told["ends"]} == {
        ("ann@mine.test", "mailbox"),
        ("bob@other.test", "other domain"),
        ("x@far.test", "other domain"),
    }
    refused(ann.get("/api/resolve/bob@other.test"), 403, "PERMISSION_DENIED")
    everywhere = api.get("/api/resolve/all@mine.test").json()["_data"]
    assert {end["kind"] for end in everywhere["ends"]} == {"mailbox", "elsewhere"}


def test_no_address(api: Client) -> None:
    refused(api.get("/api/resolve/nobody"), 400, "INVALID_MAIL")
