"""Spam policies: what a client says, and what Amavisd then does."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.policies.test_wblist import (
    ANN,
    BOB,
    PASSWORD,
    accounts,
    add,
    listed,
)
from tests.support.amavisd import CONFIGURED, DELIVERED, KINDS, QUARANTINED, Readers
from tests.support.client import Client, done, refused
from tests.support.databases import Urls, execute, rows
from tests.support.patience import at_once
from tests.support.serving import Served
from tests.support.world import World

EVERYBODY, DOMAIN, USER = "global", "domain/corp.test", f"user/{ANN}"
BYPASS = {
    "spam": "bypass_spam_checks",
    "virus": "bypass_virus_checks",
    "banned": "bypass_banned_checks",
    "bad_header": "bypass_header_checks",
}


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


def put(api: Client, account: str, **form: str) -> None:
    done(api.put(f"/api/spampolicy/{account}", **form))


def drop(api: Client, account: str) -> None:
    done(api.delete(f"/api/spampolicy/{account}"))


def policy(api: Client, account: str) -> dict[str, Any]:
    answer = api.get(f"/api/spampolicy/{account}").json()
    assert answer["_success"], answer
    found: dict[str, Any] = answer["_data"]
    return found


def stored(urls: Urls, *columns: str) -> dict[str, tuple[Any, ...]]:
    """Columns of each policy, by its name."""
    found = rows(urls.amavisd, f"SELECT policy_name, {', '.join(columns)} FROM policy")
    return {name: tuple(values) for name, *values in found}


# --- who is heard -----------------------------------------------------------------------------


def test_each_field_comes_from_the_nearest_policy(api: Client, readers: Readers) -> None:
    """The user's, the domain's, everybody's, and in the end the scanner's own setting."""
    put(api, EVERYBODY, spam_score="9", prefix_spam_in_subject="no", quarantine_spam="yes")
    put(api, DOMAIN, spam_score="7.5", quarantine_virus="no")
    put(api, USER, quarantine_spam="no")

    ann, bob, other = (readers.policy(mail) for mail in (ANN, BOB, "x@other.test"))

    assert [who["spam_tag2_level"] for who in (ann, bob, other)] == [7.5, 7.5, 9]
    assert [who["spam_kill_level"] for who in (ann, bob, other)] == [7.5, 7.5, 9]
    assert [who["spam_subject_tag2"] for who in (ann, bob, other)] == ["", "", ""]
    assert readers.fate(ANN, "spam") == DELIVERED
    assert readers.fate(BOB, "spam") == QUARANTINED
    assert readers.fate(BOB, "virus") == DELIVERED
    assert readers.fate("x@other.test", "virus") == QUARANTINED
    assert ann["spam_tag_level"] == CONFIGURED["spam_tag_level"]


def test_what_is_dropped_is_inherited_again(api: Client, readers: Readers, urls: Urls) -> None:
    """From one after the other, down to the scanner's own settings; no row is left over."""
    put(api, EVERYBODY, spam_score="9")
    put(api, DOMAIN, spam_score="7")
    put(api, USER, spam_score="5")

    found = []
    for account in (USER, DOMAIN, EVERYBODY):
        found.append(readers.policy(ANN)["spam_tag2_level"])
        drop(api, account)
        assert policy(api, account) == {}

    assert found == [5, 7, 9]
    assert readers.policy(ANN) == CONFIGURED
    assert (accounts(urls), stored(urls, "id")) == ({}, {})


def test_dropping_twice_is_no_error(api: Client, urls: Urls) -> None:
    before = accounts(urls)

    for _ in range(2):
        drop(api, USER)

    assert accounts(urls) == before


def test_lists_outlive_the_policy(api: Client, readers: Readers) -> None:
    """The row they hang on is no longer one with a policy: the domain's applies."""
    put(api, DOMAIN, spam_score="7")
    put(api, USER, spam_score="5")
    add(api, "whitelist", ANN, "eve@example.org")

    drop(api, USER)

    assert readers.policy(ANN)["spam_tag2_level"] == 7
    assert readers.inbound("eve@example.org", ANN) == "W"
    assert listed(api, "whitelist", ANN) == ["eve@example.org"]


def test_dropping_never_takes_the_policy_of_all(api: Client, readers: Readers, urls: Urls) -> None:
    """Although the user's row names it, as one does that nothing was said about."""
    execute(
        urls.amavisd,
        "INSERT INTO users (email, priority) VALUES (:mail, 10)",
        mail=ANN.encode(),
    )
    put(api, EVERYBODY, spam_score="9")

    drop(api, USER)

    assert readers.policy(ANN)["spam_tag2_level"] == 9
    assert policy(api, EVERYBODY)["spam_score"] == 9


def test_a_user_who_named_the_policy_of_all_gets_one_of_their_own(
    api: Client, readers: Readers, urls: Urls
) -> None:
    execute(
        urls.amavisd,
        "INSERT INTO users (email, priority) VALUES (:mail, 0)",
        mail=ANN.encode(),
    )
    put(api, DOMAIN, spam_score="7")

    put(api, USER, spam_score="5")

    assert readers.policy(ANN)["spam_tag2_level"] == 5
    assert accounts(urls)[ANN][0] == 10
    assert readers.policy("x@other.test")["spam_tag2_level"] == CONFIGURED["spam_tag2_level"]


# --- what it says -----------------------------------------------------------------------------

CHOICES = [
    {"bypass": bypass, "quarantine": quarantine}
    for bypass in (None, "yes", "no")
    for quarantine in (None, "yes", "no")
]


def test_no_mail_is_lost(api: Client, readers: Readers) -> None:
    """Whatever is said after whatever was said; who bypasses a check gets the mail."""
    for first, second in itertools.product(CHOICES, CHOICES):
        drop(api, USER)
        for choice in (first, second):
            put(
                api,
                USER,
                **{BYPASS[kind]: word for kind in KINDS if (word := choice["bypass"])},
                **{f"quarantine_{k}": word for k in KINDS if (word := choice["quarantine"])},
            )
        fates = {readers.fate(ANN, kind) for kind in KINDS}

        assert not any(fate.lost for fate in fates), (first, second)
        if second["bypass"] == "yes":
            assert all(fate.delivered for fate in fates), (first, second)
        elif second == {"bypass": "no", "quarantine": "yes"}:
            assert fates == {QUARANTINED}, first
        elif second == {"bypass": "no", "quarantine": "no"}:
            assert fates == {DELIVERED}, first


@pytest.mark.parametrize("first", [DOMAIN, USER])
def test_a_check_that_is_wanted_is_not_bypassed(
    api: Client, readers: Readers, urls: Urls, first: str
) -> None:
    """By a domain, or by everybody; what is found is treated as if they had said nothing."""
    before = {kind: readers.fate(ANN, kind) for kind in KINDS}
    bypass = dict.fromkeys(BYPASS.values(), "yes")
    wanted = dict.fromkeys(BYPASS.values(), "no")
    for account, form in {DOMAIN: [(DOMAIN, bypass), (USER, wanted)],
                          USER: [(USER, wanted), (DOMAIN, bypass)]}[first]:  # fmt: skip
        put(api, account, **form)
    put(api, f"user/{BOB}", quarantine_spam="yes")

    assert {kind: readers.fate(ANN, kind) for kind in KINDS} == before
    assert not any(readers.policy(ANN)[f"bypass_{kind}_checks"] for kind in ("spam", "virus"))
    assert readers.fate(BOB, "spam") == QUARANTINED
    assert not readers.policy(BOB)["bypass_spam_checks"]
    assert readers.fate(BOB, "virus").delivered

    drop(api, DOMAIN)
    put(api, EVERYBODY, **bypass)
    assert readers.fate(ANN, "virus") == QUARANTINED
    assert readers.fate("x@other.test", "virus").delivered


READ = {"spam_score": 4.5}
MEANING: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("bypass_spam_checks", "yes", {"bypass_spam_checks": True, "spam_lover": True}),
    ("bypass_virus_checks", "yes", {"bypass_virus_checks": True, "virus_lover": True}),
    ("bypass_banned_checks", "yes", {"bypass_banned_checks": True, "banned_files_lover": True}),
    ("bypass_header_checks", "yes", {"bypass_header_checks": True, "bad_header_lover": True}),
    ("prefix_spam_in_subject", "yes", {"spam_subject_tag2": "[SPAM] "}),
    ("prefix_spam_in_subject", "no", {"spam_subject_tag2": ""}),
    ("always_insert_x_spam_headers", "yes", {"spam_tag_level": -100}),
    ("spam_score", "4.5", {"spam_tag2_level": 4.5, "spam_kill_level": 4.5}),
    (
        "banned_rulenames",
        "ALLOW_MS_OFFICE,DEFAULT",
        {"banned_rulenames": "ALLOW_MS_OFFICE,DEFAULT"},
    ),
)


def test_what_the_scanner_reads(api: Client, readers: Readers) -> None:
    """Of each parameter, and of it alone; a read answers what was sent."""
    drop(api, EVERYBODY)
    for name, sent, meant in MEANING:
        put(api, USER, **{name: sent})
        assert readers.policy(ANN) == CONFIGURED | meant, name
        assert policy(api, USER) == {name: READ.get(name, sent)}
        drop(api, USER)


def test_the_prefix_is_the_one_configured(serve: Any, readers: Readers) -> None:
    """With the blank at its end."""
    api = serve(amavisd={"spam_subject_prefix": "[JUNK] "}).client().log_in()

    put(api, USER, prefix_spam_in_subject="yes")

    assert readers.policy(ANN)["spam_subject_tag2"] == "[JUNK] "
    assert policy(api, USER) == {"prefix_spam_in_subject": "yes"}


def test_what_is_not_sent_stays(api: Client, urls: Urls) -> None:
    """Also what no parameter is about, and the policy's number, which others may know."""
    put(api, USER, spam_score="5", quarantine_spam="yes")
    execute(
        urls.amavisd,
        "UPDATE policy SET message_size_limit = 1000, spam_admin = 'a@b.c', spam_tag3_level = 12"
        " WHERE policy_name = :name",
        name=ANN,
    )
    columns = ("id", "message_size_limit", "spam_admin", "spam_tag3_level")
    before = stored(urls, *columns)

    put(api, USER, quarantine_virus="no")
    put(api, USER, spam_score="6")

    assert stored(urls, *columns) == before
    shown = policy(api, USER)
    assert (shown["quarantine_spam"], shown["quarantine_virus"], shown["spam_score"]) == (
        "yes",
        "no",
        6,
    )


def test_nothing_sent_makes_no_policy(api: Client, urls: Urls) -> None:
    before = (accounts(urls), stored(urls, "id"))

    put(api, USER)
    put(api, USER, quarantine_spam="")

    assert (accounts(urls), stored(urls, "id")) == before


def test_an_empty_score_is_the_scanners_own(api: Client, readers: Readers) -> None:
    put(api, USER, spam_score="5", quarantine_spam="yes")

    put(api, USER, spam_score="")

    assert readers.policy(ANN)["spam_kill_level"] == CONFIGURED["spam_kill_level"]
    assert "spam_score" not in policy(api, USER)
    assert policy(api, USER)["quarantine_spam"] == "yes"


def test_a_new_server_has_a_policy_of_all(api: Client, readers: Readers) -> None:
    """Spam and bad headers are delivered, viruses and banned files are not."""
    shown = policy(api, EVERYBODY)

    for kind in ("spam", "bad_header"):
        assert shown[f"quarantine_{kind}"] == "no"
        assert readers.fate(ANN, kind) == DELIVERED
    for kind in ("virus", "banned"):
        assert shown[f"quarantine_{kind}"] == "yes"
        assert readers.fate(ANN, kind) == QUARANTINED


# --- several at once --------------------------------------------------------------------------


def test_two_make_the_same_policy_at_once(api: Client, served: Served, urls: Urls) -> None:
    """Both are told that it is done, it is there once, and says what both said."""
    forms = (
        {"spam_score": "5"},
        {"quarantine_spam": "yes"},
        {"bypass_virus_checks": "yes"},
        {"prefix_spam_in_subject": "no"},
    )
    clients = [served.client().log_in() for _ in forms]

    for account in (USER, f"user/{BOB}", DOMAIN):
        answers = at_once(
            *(
                lambda c=client, f=form, a=account: c.put(f"/api/spampolicy/{a}", **f)
                for client, form in zip(clients, forms, strict=True)
            )
        )
        for answer in answers:
            done(answer)
        said = {name: value for form in forms for name, value in form.items()}
        assert policy(api, account).items() >= (said | {"spam_score": 5}).items()

    assert sorted(stored(urls, "id")) == ["@.", "@corp.test", ANN, BOB]
    numbers = {number for (number,) in stored(urls, "id").values()}
    assert {linked for _, linked in accounts(urls).values()} == numbers


def test_a_policy_and_a_list_at_once(api: Client, served: Served, urls: Urls) -> None:
    """They share a row, and neither takes it from the other."""
    one, other = (served.client().log_in() for _ in range(2))

    for _ in range(5):
        for answer in at_once(
            lambda: one.put(f"/api/spampolicy/{USER}", spam_score="5"),
            lambda: other.post(f"/api/wblist/inbound/whitelist/{ANN}", addresses="@example.org"),
        ):
            done(answer)
        assert policy(api, USER) == {"spam_score": 5}
        assert listed(api, "whitelist", ANN) == ["@example.org"]
        for answer in at_once(
            lambda: one.delete(f"/api/spampolicy/{USER}"),
            lambda: other.delete(f"/api/wblist/inbound/whitelist/{ANN}"),
        ):
            done(answer)
        assert ANN not in accounts(urls)


# --- what is refused --------------------------------------------------------------------------


def test_bad_values(api: Client, urls: Urls) -> None:
    """Not even the good ones beside them are taken."""
    before = (accounts(urls), stored(urls, "id", "spam_lover"))

    for name, value in (
        ("quarantine_spam", "perhaps"),
        ("spam_score", "high"),
        ("spam_score", "nan"),
        ("spam_score", "inf"),
        ("banned_rulenames", "A" * 65),
    ):
        form = {"bypass_spam_checks": "yes", name: value}
        refused(api.put(f"/api/spampolicy/{USER}", **form), 400, "INVALID_PARAMETER")

    assert (accounts(urls), stored(urls, "id", "spam_lover")) == before


def test_nobody_of_that_name(api: Client, urls: Urls) -> None:
    before = accounts(urls)

    for account in ("domain/missing.test", "user/none@corp.test", "user/none@missing.test"):
        for method in ("GET", "PUT", "DELETE"):
            answer = api.call(method, f"/api/spampolicy/{account}", spam_score="5")
            refused(answer, 404, "NO_SUCH_ACCOUNT")

    assert accounts(urls) == before


def test_an_alias_domain_is_good_for_reading(api: Client, world: World) -> None:
    """Its name means the domain; who writes must say the domain's own."""
    world.set(world.tree.domain("corp.test"), domainAliasName="also.test")
    put(api, DOMAIN, spam_score="7")

    assert policy(api, "domain/also.test") == {"spam_score": 7}
    for method in ("PUT", "DELETE"):
        answer = api.call(method, "/api/spampolicy/domain/also.test", spam_score="5")
        refused(answer, 404, "NO_SUCH_ACCOUNT")
    assert policy(api, DOMAIN) == {"spam_score": 7}
