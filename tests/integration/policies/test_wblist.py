"""White- and blacklists: what a client says, and what Amavisd and iRedAPD then do."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from sqlalchemy import make_url

from tests.support.amavisd import Readers
from tests.support.client import Client, done, refused
from tests.support.databases import Urls, execute, rows
from tests.support.patience import at_once
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"
ANN, BOB = "ann@corp.test", "bob@corp.test"
NOTED_SENDER = "eve@far.example.org"

EVERYBODY, DOMAIN, USER = "global", "corp.test", ANN
LISTS = [(way, word) for way in ("inbound", "outbound") for word in ("whitelist", "blacklist")]


@pytest.fixture(autouse=True)
def corp(api: Client) -> None:
    """A domain with two users."""
    done(api.post("/api/domain/corp.test"))
    for mail in (ANN, BOB):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))


@pytest.fixture
def readers(urls: Urls) -> Iterator[Readers]:
    with Readers.of(urls.amavisd) as both:
        yield both


def path(word: str, account: str, way: str = "inbound") -> str:
    return f"/api/wblist/{way}/{word}/{account}"


def add(api: Client, word: str, account: str, addresses: str, way: str = "inbound") -> None:
    done(api.post(path(word, account, way), addresses=addresses))


def listed(api: Client, word: str, account: str, way: str = "inbound") -> list[str]:
    answer = api.get(path(word, account, way)).json()
    assert answer["_success"], answer
    found: list[str] = answer["_data"]
    return found


def accounts(urls: Urls) -> dict[str, tuple[int, int]]:
    """Priority and policy of each account that has a list or a policy."""
    found = rows(urls.amavisd, "SELECT email, priority, policy_id FROM users")
    return {bytes(email).decode(): (priority, policy) for email, priority, policy in found}


def pairs(urls: Urls) -> list[tuple[Any, ...]]:
    return [
        pair
        for table in ("wblist", "outbound_wblist")
        for pair in rows(urls.amavisd, f"SELECT rid, sid, wb FROM {table} ORDER BY rid, sid")
    ]


# --- who is heard -----------------------------------------------------------------------------


@pytest.mark.parametrize("near", ["whitelist", "blacklist"])
def test_the_nearest_list_decides(api: Client, readers: Readers, near: str) -> None:
    """A user's before the domain's before everybody's, whatever their colours."""
    far = {"whitelist": "blacklist", "blacklist": "whitelist"}[near]
    letter, other = near[0].upper(), far[0].upper()

    add(api, far, EVERYBODY, NOTED_SENDER)
    assert readers.inbound(NOTED_SENDER, ANN) == other
    add(api, near, DOMAIN, "@far.example.org")
    assert readers.inbound(NOTED_SENDER, ANN) == letter
    add(api, far, USER, "@.")
    assert readers.inbound(NOTED_SENDER, ANN) == other

    assert readers.inbound(NOTED_SENDER, BOB) == letter
    assert readers.inbound(NOTED_SENDER, "somebody@other.test") == other


def test_the_most_special_address_decides(api: Client, readers: Readers) -> None:
    """Within one list and the one of the other colour."""
    add(api, "blacklist", USER, "@., @far.example.org")
    add(api, "whitelist", USER, f"@.example.org, {NOTED_SENDER}")

    assert readers.inbound(NOTED_SENDER, ANN) == "W"
    assert readers.inbound("mallory@far.example.org", ANN) == "B"
    assert readers.inbound("mallory@near.example.org", ANN) == "W"
    assert readers.inbound("mallory@example.net", ANN) == "B"


def test_an_address_with_a_wrong_priority_is_put_right(
    api: Client, readers: Readers, urls: Urls
) -> None:
    """As a script that knew no better left it; so is an account with one."""
    address = "INSERT INTO mailaddr (email, priority) VALUES (:mail, 0)"
    account = "INSERT INTO users (email, priority, policy_id) VALUES (:mail, 0, 0)"
    execute(urls.amavisd, address, mail=NOTED_SENDER.encode())
    execute(urls.amavisd, account, mail=ANN.encode())

    add(api, "blacklist", DOMAIN, "@far.example.org")
    add(api, "whitelist", USER, f"{NOTED_SENDER}, @far.example.org")
    add(api, "blacklist", USER, "@far.example.org")

    assert accounts(urls)[ANN] == (10, 0)
    assert readers.inbound(NOTED_SENDER, ANN) == "W"


def test_directions_do_not_meet(api: Client, readers: Readers) -> None:
    """What a user may send is another list than what reaches them."""
    add(api, "blacklist", USER, NOTED_SENDER, "outbound")
    add(api, "whitelist", DOMAIN, "@far.example.org", "outbound")

    assert readers.outbound(ANN, NOTED_SENDER) == "B"
    assert readers.outbound(BOB, NOTED_SENDER) == "W"
    assert readers.inbound(NOTED_SENDER, ANN) is None
    assert listed(api, "blacklist", USER) == []
    assert listed(api, "blacklist", USER, "outbound") == [NOTED_SENDER]


def test_network_addresses(api: Client, readers: Readers) -> None:
    """A client is found by its address or by a network around it."""
    add(api, "blacklist", DOMAIN, "192.0.2.0/24, 203.0.113.9")

    assert readers.inbound("eve@example.org", ANN, "192.0.2.77") == "B"
    assert readers.inbound("eve@example.org", ANN, "203.0.113.9") == "B"
    assert readers.inbound("eve@example.org", ANN, "203.0.113.10") is None


FORMS = {
    "2001:DB8:0:0::1": "2001:db8::1",
    "2001:db8::2/128": "2001:db8::2",
    "192.0.2.1": "192.0.2.1",
    "192.0.2.*": "192.0.2.*",
    "10.0.0.0/8": "10.0.0.0/8",
    "198.51.*.*": "198.51.0.0/16",
    "::ffff:203.0.113.0/120": "203.0.113.0/24",
    "Eve@BÜCHER.example": "eve@xn--bcher-kva.example",
    "@Bücher.example": "@xn--bcher-kva.example",
    "@.Example.ORG": "@.example.org",
    "Eve@*": "eve@*",
    "@.": "@.",
}


def test_forms_of_addresses(api: Client, urls: Urls) -> None:
    """In lower case, and written in one way, as their readers compare bytes."""
    add(api, "whitelist", USER, ",".join(FORMS))

    assert listed(api, "whitelist", USER) == sorted(FORMS.values())
    found = {bytes(email).decode() for (email,) in rows(urls.amavisd, "SELECT email FROM mailaddr")}
    assert found == {*FORMS.values()}


def test_clients_are_found_in_every_form(api: Client, readers: Readers) -> None:
    for word, client in (
        ("2001:DB8:0::9", "2001:db8::9"),
        ("192.0.2.0/24", "192.0.2.77"),
        ("192.0.2.*", "192.0.2.77"),
        ("192.0.*.77", "192.0.2.77"),
        ("192.0.*.*", "192.0.2.77"),
        ("192.*.*.*", "192.0.2.77"),
        ("::ffff:192.0.2.77", "192.0.2.77"),
        ("Eve@*", "203.0.113.1"),
    ):
        add(api, "blacklist", USER, word)
        assert readers.inbound("eve@example.org", ANN, client) == "B", word
        assert readers.inbound("bob@example.org", ANN, "203.0.113.2") is None, word
        done(api.put(path("blacklist", USER), addresses=word))
        assert listed(api, "blacklist", USER) == []


NEVER = {
    "inbound": ["2001:db8::/32", "128.0.0.0/7", "0.0.0.0/0", "::/0", "192.*.2.50"],
    "outbound": ["192.0.2.1", "2001:db8::1", "192.0.2.0/24", "192.0.2.*", "eve@*"],
}


@pytest.mark.parametrize("way", NEVER)
def test_what_is_never_looked_up_is_refused(api: Client, urls: Urls, way: str) -> None:
    """With a code of its own, and nothing of the request is done."""
    before = accounts(urls)
    for word in NEVER[way]:
        answer = api.post(path("whitelist", USER, way), addresses=f"a@example.org, {word}")
        refused(answer, 400, "NEVER_APPLIES")
        assert answer.headers["X-Invalid-Parameters"] == "addresses"

    assert (accounts(urls), pairs(urls)) == (before, [])


@pytest.mark.parametrize("way", NEVER)
def test_what_others_stored_can_be_removed(api: Client, urls: Urls, way: str) -> None:
    """Whatever it looks like; sent once more with other addresses it stays as it is."""
    odd = [*NEVER[way], "example.org", "192.0.2.7/24", "Eve@Example.org", "2001:DB8:0::7"]
    add(api, "blacklist", USER, "a@example.org", way)
    ((account,),) = rows(urls.amavisd, "SELECT id FROM users WHERE email = :m", m=ANN.encode())
    table, own, other = {
        "inbound": ("wblist", "rid", "sid"), "outbound": ("outbound_wblist", "sid", "rid"),
    }[way]  # fmt: skip
    for word in odd:
        execute(urls.amavisd, "INSERT INTO mailaddr (email) VALUES (:mail)", mail=word.encode())
        pair = f"INSERT INTO {table} ({own}, {other}, wb) SELECT {account}, id, 'B' FROM mailaddr"
        execute(urls.amavisd, f"{pair} WHERE email = :mail", mail=word.encode())
    assert set(listed(api, "blacklist", USER, way)) == {*odd, "a@example.org"}

    add(api, "blacklist", USER, f"b@example.org, {NEVER[way][0]}", way)
    for word in odd:
        done(api.put(path("blacklist", USER, way), addresses=word))

    assert listed(api, "blacklist", USER, way) == ["a@example.org", "b@example.org"]


# --- what is written --------------------------------------------------------------------------


@pytest.mark.parametrize(("way", "word"), [("inbound", "whitelist"), ("outbound", "blacklist")])
def test_a_list_is_filled_thinned_and_emptied(api: Client, way: str, word: str) -> None:
    """PUT takes addresses away, DELETE all of them; every other list stays."""
    every = [(*each, account) for account in (EVERYBODY, DOMAIN, USER) for each in LISTS]
    for number, (other_way, other, account) in enumerate(every):
        add(api, other, account, f"x{number}@example.org", other_way)

    add(api, word, USER, "b@example.org, a@example.org", way)
    own = next(n for n, each in enumerate(every) if each == (way, word, USER))
    kept = ["a@example.org", "b@example.org", f"x{own}@example.org"]
    assert listed(api, word, USER, way) == kept
    done(api.put(path(word, USER, way), addresses="a@example.org, x1@example.org, z@x.org"))
    assert listed(api, word, USER, way) == kept[1:]
    done(api.delete(path(word, USER, way)))

    for number, (other_way, other, account) in enumerate(every):
        expected = [] if number == own else [f"x{number}@example.org"]
        assert listed(api, other, account, other_way) == expected


def test_an_address_is_on_one_list(api: Client, readers: Readers, urls: Urls) -> None:
    """Whoever blacklists it takes it off the whitelist, and the row stays one."""
    for _ in range(2):
        add(api, "whitelist", USER, NOTED_SENDER)
        assert readers.inbound(NOTED_SENDER, ANN) == "W"
        add(api, "blacklist", USER, NOTED_SENDER)
        assert readers.inbound(NOTED_SENDER, ANN) == "B"

    assert [pair[2] for pair in pairs(urls)] == ["B"]
    assert listed(api, "whitelist", USER) == []


def test_a_list_brings_no_policy(api: Client, readers: Readers) -> None:
    """The domain's policy still applies to a user who has a list and no policy."""
    done(api.put("/api/spampolicy/domain/corp.test", quarantine_virus="no"))

    add(api, "whitelist", USER, NOTED_SENDER)

    assert readers.fate(ANN, "virus").delivered


def test_a_list_leaves_the_policy(api: Client, urls: Urls) -> None:
    done(api.put(f"/api/spampolicy/user/{ANN}", spam_score="3"))
    before = accounts(urls)

    add(api, "whitelist", USER, NOTED_SENDER)
    done(api.delete(path("whitelist", USER)))

    assert accounts(urls) == before


@pytest.mark.parametrize("way", ["inbound", "outbound"])
def test_nothing_is_left_of_an_account_without_lists(api: Client, urls: Urls, way: str) -> None:
    """Its row goes with the last address, whichever way that goes; nobody else removes it."""
    before = accounts(urls)

    add(api, "whitelist", USER, "a@example.org", way)
    done(api.delete(path("whitelist", USER, way)))
    assert accounts(urls) == before
    add(api, "whitelist", USER, "a@example.org", way)
    add(api, "blacklist", USER, "b@example.org", way)
    done(api.put(path("whitelist", USER, way), addresses="a@example.org"))
    assert ANN in accounts(urls)
    done(api.put(path("blacklist", USER, way), addresses="b@example.org"))

    assert accounts(urls) == before
    assert pairs(urls) == []


def test_taking_off_what_is_not_there_is_no_error(api: Client, urls: Urls) -> None:
    before = accounts(urls)

    done(api.put(path("whitelist", USER), addresses="a@example.org"))
    done(api.delete(path("whitelist", USER)))

    assert accounts(urls) == before


def test_a_repeat_changes_nothing(api: Client, urls: Urls) -> None:
    """And uses up no ids: they are counted in 32 bits, and lists are sent again every night."""
    add(api, "whitelist", USER, "a@example.org, b@example.org")
    before = pairs(urls)

    for _ in range(3):
        add(api, "whitelist", USER, "a@example.org, b@example.org")
    add(api, "whitelist", USER, "c@example.org")

    assert pairs(urls)[: len(before)] == before
    assert [row[0] for row in rows(urls.amavisd, "SELECT id FROM mailaddr ORDER BY id")] == [
        before[0][1],
        before[0][1] + 1,
        before[0][1] + 2,
    ]


def test_a_thousand_addresses_at_once(api: Client, urls: Urls) -> None:
    """Some of them are known already, in either colour."""
    many = [f"sender{number:04d}@example.org" for number in range(1000)]
    add(api, "blacklist", USER, ",".join(many[200:400]))
    add(api, "whitelist", USER, ",".join(many[300:500]))

    add(api, "whitelist", USER, ",".join(reversed(many)))

    assert listed(api, "whitelist", USER) == many
    assert listed(api, "blacklist", USER) == []
    assert len(pairs(urls)) == 1000
    done(api.put(path("whitelist", USER), addresses=",".join(many[:-1])))
    assert listed(api, "whitelist", USER) == many[-1:]


# --- several at once --------------------------------------------------------------------------


def test_two_make_the_same_list_at_once(api: Client, served: Served, urls: Urls) -> None:
    """Both are told that it is done, and it is there once."""
    clients = [served.client().log_in() for _ in range(4)]
    many = [f"s{number:02d}@example.org" for number in range(50)]

    for account in (ANN, BOB, DOMAIN):
        orders = (many, many[::-1], many[::2], many[1::2])
        answers = at_once(
            *(
                lambda c=client, o=order, a=account: c.post(
                    path("whitelist", a), addresses=",".join(o)
                )
                for client, order in zip(clients, orders, strict=True)
            )
        )
        for answer in answers:
            done(answer)
        assert listed(api, "whitelist", account) == many

    assert {ANN, BOB, "@corp.test"} <= accounts(urls).keys()
    assert len(pairs(urls)) == 150


def test_filling_and_emptying_at_once(api: Client, served: Served, urls: Urls) -> None:
    """Whoever comes last, the readers find whole pairs; nobody is refused."""
    one, other = (served.client().log_in() for _ in range(2))

    for _ in range(8):
        answers = at_once(
            lambda: one.post(path("whitelist", USER), addresses="a@example.org"),
            lambda: other.delete(path("whitelist", USER)),
        )
        for answer in answers:
            done(answer)
        known = {row[0] for row in rows(urls.amavisd, "SELECT id FROM users")}
        assert {pair[0] for pair in pairs(urls)} <= known


def test_colours_at_once(api: Client, served: Served, urls: Urls) -> None:
    """An address gets one of them."""
    one, other = (served.client().log_in() for _ in range(2))
    many = [f"s{number}@example.org" for number in range(20)]

    for answer in at_once(
        lambda: one.post(path("whitelist", USER), addresses=",".join(many)),
        lambda: other.post(path("blacklist", USER), addresses=",".join(many[::-1])),
    ):
        done(answer)

    assert sorted(listed(api, "whitelist", USER) + listed(api, "blacklist", USER)) == sorted(many)
    assert len({pair[2] for pair in pairs(urls)}) == 1


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_malformed_addresses_are_dropped(api: Client, method: str) -> None:
    """And named in a header; a strict client is refused, and nothing is changed."""
    add(api, "whitelist", USER, "a@example.org")
    mixed = {"addresses": "b@example.org, a@example.org, example.org, 192.0.2.7/24, x@y@z"}
    where = path("whitelist", USER)

    strict = api.call(method, where, headers={"Prefer": "handling=strict"}, **mixed)
    refused(strict, 400, "INVALID_PARAMETER")
    if method == "PUT":
        # What shall be removed is compared with what is there, and the parameter is known.
        assert strict.headers["X-Invalid-Parameters"] == "addresses"
    assert listed(api, "whitelist", USER) == ["a@example.org"]

    answer = done(api.call(method, where, **mixed))
    ignored = unquote(answer.headers["X-Ignored-Values"])
    assert all(word in ignored for word in ("example.org", "192.0.2.7/24", "x@y@z"))
    expected = ["a@example.org", "b@example.org"] if method == "POST" else []
    assert listed(api, "whitelist", USER) == expected


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_nothing_valid_is_refused(api: Client, urls: Urls, method: str) -> None:
    """An empty list is no wish to empty one: DELETE does that."""
    before = accounts(urls)
    where = path("whitelist", USER)

    for sent in ("example.org", "@com, 192.0.2.7/24", "eve@", "eve+list@example.org"):
        refused(api.call(method, where, addresses=sent), 400, "INVALID_PARAMETER")
    for nothing in ({}, {"addresses": ""}, {"addresses": " , "}):
        refused(api.call(method, where, **nothing), 400, "MISSING_PARAMETER")

    assert (accounts(urls), pairs(urls)) == (before, [])


def test_a_body_has_a_limit(api: Client, served: Served, urls: Urls) -> None:
    addresses = "a@example.org," * (served.config.api.max_body // 14 + 1)

    refused(api.post(path("whitelist", USER), addresses=addresses), 413, "BODY_TOO_LARGE")

    assert pairs(urls) == []


def test_nobody_of_that_name(api: Client, urls: Urls) -> None:
    before = accounts(urls)

    for account in ("missing.test", "none@corp.test", "none@missing.test"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = api.call(method, path("whitelist", account), addresses=NOTED_SENDER)
            refused(answer, 404, "NO_SUCH_ACCOUNT")

    assert accounts(urls) == before


def test_an_alias_domain_is_good_for_reading(api: Client, world: World) -> None:
    """Its name means the domain; who writes must say the domain's own."""
    world.set(world.tree.domain(DOMAIN), domainAliasName="also.test")
    add(api, "whitelist", DOMAIN, NOTED_SENDER)

    assert listed(api, "whitelist", "also.test") == [NOTED_SENDER]
    for method in ("POST", "PUT", "DELETE"):
        answer = api.call(method, path("whitelist", "also.test"), addresses="x@example.org")
        refused(answer, 404, "NO_SUCH_ACCOUNT")
    assert listed(api, "whitelist", DOMAIN) == [NOTED_SENDER]


def test_lists_and_aliases_have_lists_too(api: Client, readers: Readers) -> None:
    """Mail is addressed to them as to users."""
    for kind in ("alias", "maillist"):
        mail = f"{kind}@corp.test"
        done(api.post(f"/api/{kind}/{mail}"))

        add(api, "blacklist", mail, NOTED_SENDER)

        assert readers.inbound(NOTED_SENDER, mail) == "B"


class TestTableMissing:
    """One that we did not make we do not make."""

    @pytest.fixture
    def urls(self, databases: Urls) -> Urls:
        return replace(databases, amavisd=databases.iredadmin)

    def test_is_named(self, api: Client) -> None:
        answer = api.get(path("whitelist", USER))

        missing = answer.json()["_data"].pop("missing_table")
        assert missing in {"users", "mailaddr", "wblist"}
        assert answer.status_code == 503
        assert answer.json()["_data"]["database"] == "amavisd"


class TestDatabaseDown:
    """It is named, and takes down nothing but what needs it."""

    @pytest.fixture
    def urls(self, databases: Urls) -> Urls:
        nowhere = make_url(databases.amavisd).set(host="127.0.0.1", port=1)
        if databases.backend == "sqlite":
            nowhere = nowhere.set(host=None, port=None, database="/dev/null/amavisd")
        return replace(databases, amavisd=nowhere.render_as_string(hide_password=False))

    def test_fails_what_needs_it(self, api: Client) -> None:
        for where, methods in (
            (path("whitelist", USER), ("GET", "POST", "PUT", "DELETE")),
            (f"/api/spampolicy/user/{ANN}", ("GET", "PUT", "DELETE")),
        ):
            for method in methods:
                answer = api.call(method, where, addresses=NOTED_SENDER, spam_score=5)
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
                assert answer.json() == {
                    "_success": False,
                    "_msg": "SERVER_DOWN",
                    "_data": {"database": "amavisd"},
                }
        assert api.get("/api/domain/corp.test").status_code == 200
