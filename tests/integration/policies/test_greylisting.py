"""Greylisting: what a client says, and whom iRedAPD then asks to come back later."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import product
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from tests.support.client import Client, done, refused
from tests.support.databases import Urls, execute, rows
from tests.support.iredapd import STRANGER, Reader
from tests.support.patience import at_once
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"
ANN, BOB, CHIEF = "ann@corp.test", "bob@corp.test", "chief@corp.test"
EVE = "eve@far.example.org"
EVERYBODY, DOMAIN, USER = "global", "corp.test", ANN
ACCOUNTS = {EVERYBODY: ("@.", 0), DOMAIN: ("@corp.test", 60), USER: (ANN, 100)}
"""What stands in the path, and key and priority in the table."""
ALL, SPF = "/api/greylisting/all", "/api/greylisting/whitelist_spf_domains"


@pytest.fixture(autouse=True)
def corp(api: Client) -> None:
    """A domain with two users."""
    done(api.post("/api/domain/corp.test"))
    for mail in (ANN, BOB):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))


@pytest.fixture
def reader(urls: Urls) -> Reader:
    return Reader(urls.iredapd)


def path(account: str) -> str:
    return f"/api/greylisting/{account}"


def whitelist(account: str) -> str:
    return f"{path(account)}/whitelists"


def switch(api: Client, account: str, status: str) -> None:
    done(api.post(path(account), status=status))


def shown(api: Client, where: str) -> Any:
    answer = api.get(where)
    assert answer.status_code == 200, answer.text
    return answer.json()["_data"]


def settings(urls: Urls) -> list[tuple[Any, ...]]:
    statement = "SELECT account, priority, sender, sender_priority, active FROM greylisting"
    return sorted(rows(urls.iredapd, statement))


def put_setting(urls: Urls, account: str, sender: str = "@.", **others: int) -> None:
    """What somebody else wrote."""
    row = {"account": account, "sender": sender, **others}
    places = ", ".join(f":{name}" for name in row)
    statement = f"INSERT INTO greylisting ({', '.join(row)}) VALUES ({places})"
    execute(urls.iredapd, statement, **row)


def exempt(urls: Urls, table: str = "greylisting_whitelists") -> list[tuple[Any, ...]]:
    return sorted(rows(urls.iredapd, f"SELECT account, sender, comment FROM {table}"))


def put_exempt(
    urls: Urls, account: str, sender: str, comment: str, table: str = "greylisting_whitelists"
) -> None:
    """What a script of iRedAPD wrote."""
    row = {"account": account, "sender": sender, "comment": comment}
    statement = f"INSERT INTO {table} (account, sender, comment) VALUES (:account, :sender, "
    execute(urls.iredapd, f"{statement}:comment)", **row)


# --- whether mail is deferred -----------------------------------------------------------------


@pytest.mark.parametrize("near", ["enable", "disable"])
def test_the_nearest_setting_decides(api: Client, reader: Reader, near: str) -> None:
    """A user's before their domain's before everybody's."""
    far = {"enable": "disable", "disable": "enable"}[near]
    is_on = near == "enable"

    switch(api, EVERYBODY, far)
    switch(api, DOMAIN, near)
    assert reader.defers("Ann+list@CORP.test", EVE) == is_on
    switch(api, USER, far)
    assert reader.defers(ANN, EVE) != is_on

    assert reader.defers(BOB, EVE) == is_on
    assert reader.defers("somebody@other.test", EVE) != is_on


def test_a_dropped_setting_is_inherited(api: Client, reader: Reader, urls: Urls) -> None:
    """Without any there is no greylisting; what is not there can be dropped."""
    switch(api, DOMAIN, "disable")
    switch(api, USER, "enable")

    done(api.delete(path(USER)))
    assert not reader.defers(ANN, EVE)
    done(api.delete(path(DOMAIN)))
    assert reader.defers(ANN, EVE)
    done(api.delete(path(EVERYBODY)))
    assert not reader.defers(ANN, EVE)

    for account in ACCOUNTS:
        done(api.delete(path(account)))
        assert shown(api, path(account)) == {}
    assert settings(urls) == []


def test_a_setting_is_one_row(api: Client, urls: Urls) -> None:
    statuses = (("enable", 1), ("Disable", 0), ("disable", 0))
    for account, (status, active) in product(ACCOUNTS, statuses):
        key, priority = ACCOUNTS[account]

        switch(api, account, status)

        assert [row for row in settings(urls) if row[0] == key] == [
            (key, priority, "@.", 0, active)
        ]
        assert shown(api, path(account)) == {
            "account": key, "active": active, "status": status.lower(),
        }  # fmt: skip


def test_a_new_database_greylists_everybody(api: Client, reader: Reader) -> None:
    assert shown(api, path(EVERYBODY)) == {"account": "@.", "active": 1, "status": "enable"}
    assert reader.defers(ANN, EVE)


def test_settings_for_some_senders_are_left_alone(api: Client, reader: Reader, urls: Urls) -> None:
    """They come before the one for all, whatever scale the priority of their account was on."""
    put_setting(urls, ANN, EVE, priority=10, sender_priority=10, active=0)
    put_setting(urls, ANN, "192.0.2.0/24", priority=10, sender_priority=70, active=0)

    switch(api, USER, "enable")
    assert not reader.defers(ANN, EVE)
    assert not reader.defers(ANN, "x@example.org", "192.0.2.9")
    assert reader.defers(ANN, "x@example.org")
    done(api.delete(path(USER)))

    assert [row for row in settings(urls) if row[0] == ANN] == [
        (ANN, 100, "192.0.2.0/24", 70, 0),
        (ANN, 100, EVE, 10, 0),
    ]
    assert shown(api, path(USER)) == {}


def test_a_domain_does_not_overtake_its_users(api: Client, reader: Reader, urls: Urls) -> None:
    """On Amavisd's scale they are below a domain that is on the right one."""
    put_setting(urls, ANN, priority=10, active=0)
    put_setting(urls, "eve@notcorp.test", priority=10, active=0)

    switch(api, DOMAIN, "enable")

    assert not reader.defers(ANN, EVE)
    assert {row[0]: row[1] for row in settings(urls)} == {
        "@.": 0, "@corp.test": 60, ANN: 100, "eve@notcorp.test": 10,
    }  # fmt: skip


def test_all_settings(api: Client, urls: Urls) -> None:
    """Also those for some senders, in the order in which they are looked at."""
    switch(api, DOMAIN, "disable")
    switch(api, USER, "enable")
    put_setting(urls, ANN, EVE, priority=100, sender_priority=100, active=0)

    assert shown(api, ALL) == [
        {"account": ANN, "sender": EVE, "active": 0, "priority": 100},
        {"account": ANN, "sender": "@.", "active": 1, "priority": 100},
        {"account": "@corp.test", "sender": "@.", "active": 0, "priority": 60},
        {"account": "@.", "sender": "@.", "active": 1, "priority": 0},
    ]


# --- who is exempt ----------------------------------------------------------------------------


def test_whoever_is_exempt_is_not_deferred(api: Client, reader: Reader) -> None:
    """In every form that iRedAPD looks for, and nobody else is."""
    for sender, mail, client in (
        ("Eve@Far.Example.org", EVE, STRANGER),
        ("@far.example.org", EVE, STRANGER),
        ("@.EXAMPLE.org", "Eve+news@far.example.org", STRANGER),
        ("@.org", EVE, STRANGER),
        ("192.0.2.9", EVE, "192.0.2.9"),
        ("192.0.2.0/24", EVE, "192.0.2.9"),
        ("2001:DB8:0::9", EVE, "2001:db8::9"),
        ("2001:db8::/32", EVE, "2001:db8:1::9"),
        ("2001:db8:1:2:3:4:5:0/112", EVE, "2001:db8:1:2:3:4:5:9"),
        ("2001:db8::1:0/112", EVE, "2001:db8::1:9"),
        ("2001:db8::9/128", EVE, "2001:db8::9"),
        ("::ffff:192.0.2.0/120", EVE, "192.0.2.9"),
    ):
        done(api.post(whitelist(USER), senders=sender))

        assert not reader.defers(ANN, mail, client), sender
        assert reader.defers(BOB, mail, client), sender
        assert reader.defers(ANN, "x@other.test", "203.0.113.1"), sender


def test_everybody_may_be_exempt(api: Client, reader: Reader) -> None:
    """Bounces, which have no sender, among them."""
    done(api.post(whitelist(USER), senders="@."))

    assert not reader.defers(ANN, EVE)
    assert not reader.defers(ANN, "")


def test_exempt_by_somebody_is_exempt(api: Client, reader: Reader) -> None:
    """There are no exceptions from exceptions; a user's list adds to wider ones."""
    done(api.post(whitelist(EVERYBODY), senders="@one.test"))
    done(api.post(whitelist(DOMAIN), senders="@two.test"))
    done(api.post(whitelist(USER), senders="@three.test"))
    switch(api, USER, "enable")

    for number in ("one", "two", "three"):
        assert not reader.defers(ANN, f"x@{number}.test")
    assert reader.defers(BOB, "x@three.test")
    assert reader.defers("somebody@other.test", "x@two.test")


@pytest.mark.parametrize("account", ACCOUNTS)
def test_a_list_is_replaced(api: Client, urls: Urls, account: str) -> None:
    """As a whole: what scripts of iRedAPD put there goes too, those of others stay."""
    key, _ = ACCOUNTS[account]
    other = BOB if account == USER else USER
    done(api.post(whitelist(other), senders="a@example.org"))
    put_exempt(urls, key, "b@example.org", "AUTO-WHITELISTED")
    put_exempt(urls, key, "c@example.org", "AUTO-WHITELISTED")

    done(api.post(whitelist(account), senders="d@example.org, B@example.org, d@EXAMPLE.org"))
    assert shown(api, whitelist(account)) == ["b@example.org", "d@example.org"]
    assert [row[1:] for row in exempt(urls) if row[0] == key] == [
        ("b@example.org", ""), ("d@example.org", ""),
    ]  # fmt: skip

    done(api.post(whitelist(account), senders=""))
    assert shown(api, whitelist(account)) == []
    assert [row[1] for row in exempt(urls)] == ["a@example.org"]


def test_single_senders_come_and_go(api: Client, urls: Urls) -> None:
    """One that is there already, or not there, is no error; in one request the additions win."""
    where = whitelist(USER)
    done(api.post(where, addSenders="a@example.org, b@example.org"))
    done(api.post(where, addSenders="b@example.org, c@example.org"))
    assert shown(api, where) == ["a@example.org", "b@example.org", "c@example.org"]

    done(api.post(where, removeSenders="a@example.org, x@example.org"))
    done(api.post(where, removeSenders="b@example.org, c@example.org", addSenders="c@example.org"))

    assert exempt(urls) == [(ANN, "c@example.org", "")]


def test_what_is_added_by_hand_stays(api: Client, urls: Urls) -> None:
    """Its mark goes, by which a script of iRedAPD would remove it."""
    put_exempt(urls, "@.", "192.0.2.1", "AUTO-UPDATE: example.org")

    done(api.post(whitelist(EVERYBODY), addSenders="192.0.2.1"))

    assert exempt(urls) == [("@.", "192.0.2.1", "")]


def test_nothing_sent_changes_nothing(api: Client, urls: Urls) -> None:
    done(api.post(whitelist(USER), senders="a@example.org"))

    for form in ({}, {"addSenders": ""}, {"removeSenders": " , "}):
        done(api.post(whitelist(USER), **form))

    assert exempt(urls) == [(ANN, "a@example.org", "")]


def test_a_thousand_senders(api: Client, urls: Urls) -> None:
    """Added to and taken from in one request each."""
    many = [f"sender{number:04d}@example.org" for number in range(1000)]

    done(api.post(whitelist(USER), senders=",".join(reversed(many))))
    assert shown(api, whitelist(USER)) == many
    done(api.post(whitelist(USER), removeSenders=",".join(many[1:600])))
    done(api.post(whitelist(USER), senders=",".join(many[:1])))

    assert exempt(urls) == [(ANN, many[0], "")]


# --- domains whose hosts are exempt -----------------------------------------------------------


def names(urls: Urls) -> list[str]:
    statement = "SELECT domain FROM greylisting_whitelist_domains"
    return sorted(row[0] for row in rows(urls.iredapd, statement))


def resolve(urls: Urls, *domains: str) -> None:
    """Do what the hourly job of iRedAPD does, in a new release and in an old one."""
    for number, domain in enumerate(domains):
        comment = f"AUTO-UPDATE: {domain}"
        put_exempt(urls, "@.", f"192.0.2.{number}", comment)
        put_exempt(urls, "@.", f"192.0.2.{number}", comment, "greylisting_whitelist_domain_spf")


def test_domains_are_listed_bare(api: Client, urls: Urls) -> None:
    """As the job wants them; repeats are no error."""
    done(api.post(SPF, domains="Google.com, outlook.com, bücher.example"))
    done(api.post(SPF, addDomains="outlook.com, example.org"))

    expected = ["example.org", "google.com", "outlook.com", "xn--bcher-kva.example"]
    assert names(urls) == shown(api, SPF) == expected


def test_a_domain_goes_with_what_was_resolved_for_it(
    api: Client, reader: Reader, urls: Urls
) -> None:
    """Nothing else would ever remove that; what others wrote stays."""
    done(api.post(SPF, domains="one.test, two.test, three.test"))
    resolve(urls, "one.test", "two.test", "three.test")
    put_exempt(urls, "@.", "192.0.2.99", "")

    done(api.post(SPF, removeDomains="one.test"))
    assert names(urls) == ["three.test", "two.test"]
    assert reader.defers(ANN, EVE, "192.0.2.0")
    assert not reader.defers(ANN, EVE, "192.0.2.1")

    done(api.post(SPF, domains="three.test"))
    assert names(urls) == ["three.test"]
    assert reader.defers(ANN, EVE, "192.0.2.1")
    assert not reader.defers(ANN, EVE, "192.0.2.2")

    done(api.post(SPF, domains=""))
    assert names(urls) == shown(api, SPF) == []
    assert reader.defers(ANN, EVE, "192.0.2.2")
    assert not reader.defers(ANN, EVE, "192.0.2.99")


def test_what_was_left_behind_goes_too(api: Client, urls: Urls) -> None:
    """By a script that knew one table only, for a domain that is listed no more."""
    resolve(urls, "gone.test", "one.test")

    done(api.post(SPF, removeDomains="gone.test", addDomains="one.test"))

    for table in ("greylisting_whitelists", "greylisting_whitelist_domain_spf"):
        assert exempt(urls, table) == [("@.", "192.0.2.1", "AUTO-UPDATE: one.test")]


@pytest.mark.parametrize("table", ["greylisting_whitelists", "greylisting_whitelist_domain_spf"])
def test_a_release_without_one_of_the_tables(api: Client, urls: Urls, table: str) -> None:
    """What was resolved is in the other one."""
    resolve(urls, "one.test")
    execute(urls.iredapd, f"DROP TABLE {table}")

    done(api.post(SPF, removeDomains="one.test"))

    (other,) = {"greylisting_whitelists", "greylisting_whitelist_domain_spf"} - {table}
    assert exempt(urls, other) == []


@pytest.mark.parametrize(
    ("table", "paths"),
    [
        ("greylisting", [path(USER), path(EVERYBODY), ALL]),
        ("greylisting_whitelists", [whitelist(DOMAIN)]),
        ("greylisting_whitelist_domains", [SPF]),
    ],
)
def test_a_missing_table_is_named(
    api: Client, urls: Urls, table: str, paths: Iterable[str]
) -> None:
    execute(urls.iredapd, f"DROP TABLE {table}")

    for where in paths:
        answer = api.get(where)
        assert answer.status_code == 503
        assert answer.json()["_data"] == {"database": "iredapd", "missing_table": table}


# --- several at once --------------------------------------------------------------------------


def test_the_same_setting_made_by_many_at_once(api: Client, served: Served, urls: Urls) -> None:
    """One row, and no error to any of them."""
    clients = [served.client().log_in() for _ in range(6)]

    for account in (ANN, BOB, DOMAIN):
        for answer in at_once(*(partial(c.post, path(account), status="enable") for c in clients)):
            done(answer)

    assert [row[0] for row in settings(urls)] == ["@.", "@corp.test", ANN, BOB]


def test_a_list_replaced_by_many_at_once(api: Client, served: Served, urls: Urls) -> None:
    """It is one of theirs in the end, and no mixture."""
    clients = [served.client().log_in() for _ in range(4)]
    lists = [[f"{letter}{number}@example.org" for number in range(200)] for letter in "abcd"]

    for account in (ANN, BOB, DOMAIN):
        orders = (
            partial(c.post, whitelist(account), senders=",".join(senders))
            for c, senders in zip(clients, lists, strict=True)
        )
        for answer in at_once(*orders):
            done(answer)
        assert shown(api, whitelist(account)) in [sorted(senders) for senders in lists]

    assert len(exempt(urls)) == 600


def test_a_list_added_to_by_many_at_once(api: Client, served: Served) -> None:
    """None of it is lost."""
    clients = [served.client().log_in() for _ in range(4)]
    many = [f"s{number:02d}@example.org" for number in range(40)]
    parts = (many, many[::-1], many[::2], many[1::2])

    orders = zip(clients, parts, strict=True)
    for answer in at_once(
        *(partial(c.post, whitelist(USER), addSenders=",".join(part)) for c, part in orders)
    ):
        done(answer)

    assert shown(api, whitelist(USER)) == many


# --- what is refused --------------------------------------------------------------------------


def test_bad_status_changes_nothing(api: Client, urls: Urls) -> None:
    before = settings(urls)

    for account in ACCOUNTS:
        for nothing in ({}, {"status": ""}):
            refused(api.post(path(account), **nothing), 400, "MISSING_PARAMETER")
        refused(api.post(path(account), status="perhaps"), 400, "INVALID_PARAMETER")

    assert settings(urls) == before


@pytest.mark.parametrize("parameter", ["senders", "addSenders", "removeSenders"])
def test_malformed_senders_are_dropped(api: Client, urls: Urls, parameter: str) -> None:
    """And named in a header; a strict client is refused, and nothing is changed."""
    done(api.post(whitelist(USER), senders="a@example.org"))
    dropped = ("example.org", "192.0.2.7/24", "x@y@z", "192.0.2.*", f"{'x' * 60}@{'y' * 60}.test")
    mixed = {parameter: ",".join(("a@example.org", "b@example.org", *dropped))}

    strict = api.call("POST", whitelist(USER), headers={"Prefer": "handling=strict"}, **mixed)
    refused(strict, 400, "INVALID_PARAMETER")
    assert exempt(urls) == [(ANN, "a@example.org", "")]

    answer = done(api.post(whitelist(USER), **mixed))
    ignored = unquote(answer.headers["X-Ignored-Values"])
    assert all(word in ignored for word in dropped)
    left = [] if parameter == "removeSenders" else ["a@example.org", "b@example.org"]
    assert shown(api, whitelist(USER)) == left


def test_nothing_valid_is_refused(api: Client, urls: Urls) -> None:
    """Rather than taken for an empty list."""
    done(api.post(whitelist(USER), senders="a@example.org"))

    for parameter in ("senders", "addSenders", "removeSenders"):
        answer = api.post(whitelist(USER), **{parameter: "example.org, 192.0.2.7/24"})
        refused(answer, 400, "INVALID_PARAMETER")

    assert exempt(urls) == [(ANN, "a@example.org", "")]


NEVER = ["128.0.0.0/7", "0.0.0.0/0", "2000::/3", "::/0", "2001:db8::ff00/120"]


@pytest.mark.parametrize("parameter", ["senders", "addSenders"])
def test_what_is_never_looked_up_is_refused(api: Client, urls: Urls, parameter: str) -> None:
    """With a code of its own; what is stored stays, and can be removed as it is."""
    for word in NEVER:
        answer = api.post(whitelist(USER), **{parameter: f"a@example.org, {word}"})
        refused(answer, 400, "NEVER_APPLIES")
        assert answer.headers["X-Invalid-Parameters"] == parameter
    assert exempt(urls) == []

    odd = [*NEVER, "example.org", "192.0.2.*", "2001:DB8:0::7"]
    for word in odd:
        put_exempt(urls, ANN, word, "")
    done(api.post(whitelist(USER), **{parameter: f"a@example.org, {', '.join(NEVER)}"}))
    assert {*NEVER, "a@example.org"} <= {*shown(api, whitelist(USER))}
    done(
        api.post(whitelist(USER), removeSenders=", ".join(odd if parameter != "senders" else NEVER))
    )
    assert shown(api, whitelist(USER)) == ["a@example.org"]


def test_a_whole_list_excludes_single_senders(api: Client, urls: Urls) -> None:
    for account, other in product(ACCOUNTS, ("addSenders", "removeSenders")):
        form = {"senders": "a@example.org", other: "b@example.org"}
        refused(api.post(whitelist(account), **form), 400, "PARAMETER_CONFLICT")

    assert exempt(urls) == []


def test_malformed_domains(api: Client, urls: Urls) -> None:
    done(api.post(SPF, domains="one.test"))

    refused(api.post(SPF, domains="@two.test, no domain"), 400, "INVALID_DOMAIN_NAME")
    refused(api.post(SPF, domains="a.test", addDomains="b.test"), 400, "PARAMETER_CONFLICT")
    assert names(urls) == ["one.test"]
    answer = done(api.post(SPF, addDomains="@two.test, three.test"))

    assert answer.headers["X-Ignored-Values"] == "@two.test"
    assert names(urls) == ["one.test", "three.test"]


def every_call(client: Client, account: str) -> Iterator[requests.Response]:
    """Answers to everything that can be asked about an account."""
    for method, where in (
        ("GET", path), ("POST", path), ("DELETE", path), ("GET", whitelist), ("POST", whitelist),
    ):  # fmt: skip
        yield client.call(method, where(account), status="disable", senders="@.")


def test_nobody_of_that_name(api: Client, urls: Urls) -> None:
    before = settings(urls)

    for account in ("missing.test", "none@corp.test", "none@missing.test"):
        for answer in every_call(api, account):
            refused(answer, 404, "NO_SUCH_ACCOUNT")

    assert (settings(urls), exempt(urls)) == (before, [])


def test_a_name_that_does_not_fit(api: Client, urls: Urls) -> None:
    """A column of MariaDB takes 100 characters; no server is asked to take more."""
    domain = f"{'a' * 60}.{'b' * 33}.test"
    mail = f"x@{domain}"
    done(api.post(f"/api/domain/{domain}"))
    done(api.post(f"/api/user/{mail}", password=PASSWORD))
    switch(api, domain, "enable")

    assert (len(domain), len(mail)) == (99, 101)
    refused(api.post(path(mail), status="enable"), 400, "INVALID_MAIL")
    refused(api.post(whitelist(mail), senders="@."), 400, "INVALID_MAIL")
    done(api.delete(path(mail)))

    assert shown(api, path(mail)) == {}
    assert [row[0] for row in settings(urls)] == ["@.", f"@{domain}"]
    longer = f"{'a' * 60}.{'b' * 34}.test"
    done(api.post(f"/api/domain/{longer}"))
    refused(api.post(path(longer), status="enable"), 400, "INVALID_DOMAIN_NAME")


# --- rights -----------------------------------------------------------------------------------


@pytest.fixture
def boss(api: Client, served: Served) -> Client:
    """A normal admin, in whose domain there is the account of a global one."""
    for mail in ("boss@corp.test", CHIEF):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.put("/api/domain/admins/corp.test", addAdmin="boss@corp.test"))
    done(api.put(f"/api/user/{CHIEF}", isGlobalAdmin="yes"))
    done(api.post("/api/domain/other.test"))
    return served.client().log_in("boss@corp.test", PASSWORD)


def test_a_normal_admin_has_their_domain(boss: Client, reader: Reader) -> None:
    switch(boss, DOMAIN, "disable")
    switch(boss, USER, "enable")
    done(boss.post(whitelist(USER), senders=EVE))

    assert shown(boss, path(USER))["status"] == "enable"
    assert not reader.defers(ANN, EVE)
    assert reader.defers(ANN, "x@example.org")
    assert not reader.defers(BOB, "x@example.org")


def test_a_normal_admin_has_nobody_else(boss: Client, urls: Urls) -> None:
    """Foreign, missing and global look alike to them; a global admin's account is closed."""
    before = settings(urls)

    foreign = (EVERYBODY, "other.test", "x@other.test", "missing.test", "x@missing.test", CHIEF)
    for account in foreign:
        for answer in every_call(boss, account):
            refused(answer, 403, "PERMISSION_DENIED")

    assert (settings(urls), exempt(urls)) == (before, [])


def test_lists_of_the_server_are_for_global_admins(boss: Client, urls: Urls) -> None:
    for answer in (boss.get(ALL), boss.get(SPF), boss.post(SPF, domains="example.org")):
        refused(answer, 403, "PERMISSION_DENIED")

    assert names(urls) == []


@pytest.mark.parametrize(
    ("profiles", "closed", "open_"),
    [("disableDomainProfile", DOMAIN, USER), ("disableUserProfile", USER, DOMAIN)],
)
def test_a_profile_is_taken_from_normal_admins(
    api: Client, boss: Client, urls: Urls, profiles: str, closed: str, open_: str
) -> None:
    """They neither see nor change it; the domain's is one thing, its users' another."""
    switch(api, closed, "enable")
    before = settings(urls)
    done(api.put("/api/domain/corp.test", **{profiles: "greylisting"}))

    for answer in every_call(boss, closed):
        refused(answer, 403, "PERMISSION_DENIED")
    assert (settings(urls), exempt(urls)) == (before, [])

    switch(boss, open_, "enable")
    assert shown(api, path(closed))["status"] == "enable"


def test_an_alias_domain_is_good_for_reading(api: Client, world: World, urls: Urls) -> None:
    """Its name means the domain; who writes must say the domain's own."""
    world.set(world.tree.domain(DOMAIN), domainAliasName="also.test")
    switch(api, DOMAIN, "disable")
    done(api.post(whitelist(DOMAIN), senders=EVE))
    before = settings(urls)

    assert shown(api, path("also.test"))["account"] == "@corp.test"
    assert shown(api, whitelist("also.test")) == [EVE]
    for method, where in (("POST", path), ("DELETE", path), ("POST", whitelist)):
        answer = api.call(method, where("also.test"), status="enable", senders="")
        refused(answer, 404, "NO_SUCH_ACCOUNT")

    assert (settings(urls), exempt(urls)) == (before, [("@corp.test", EVE, "")])
