"""Throttling: what a client says, and what iRedAPD then lets through."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.client import Client, done, refused
from tests.support.databases import MariaDB, PostgreSQL, Urls, execute, rows
from tests.support.iredapd import Reader
from tests.support.patience import at_once, wait_until
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"
ANN, BOB, CHIEF = "ann@corp.test", "bob@corp.test", "chief@corp.test"
KINDS = ("inbound", "outbound")
EVERYBODY, DOMAIN, USER = "global", "corp.test", ANN
ACCOUNTS = {EVERYBODY: ("@.", 0), DOMAIN: ("@corp.test", 60), USER: (ANN, 100)}
"""What stands in the path, and key and priority in the table."""


@pytest.fixture(autouse=True)
def corp(api: Client) -> None:
    """A domain with two users."""
    done(api.post("/api/domain/corp.test"))
    for mail in (ANN, BOB):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))


@pytest.fixture
def reader(urls: Urls) -> Reader:
    return Reader(urls.iredapd)


def path(account: str, kind: str = "outbound") -> str:
    return f"/api/throttle/{account}/{kind}"


def limit(api: Client, account: str, kind: str = "outbound", period: int = 60, **to: int) -> None:
    done(api.post(path(account, kind), period=period, **to))


def shown(api: Client, account: str, kind: str = "outbound") -> dict[str, Any]:
    answer = api.get(path(account, kind))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["_data"]
    return found


def both_calls(client: Client, account: str) -> list[requests.Response]:
    return [client.get(path(account)), client.post(path(account), period=60)]


def throttles(urls: Urls) -> list[tuple[Any, ...]]:
    """All of them, but for their ids."""
    statement = (
        "SELECT account, kind, priority, period, msg_size, max_msgs, max_quota, max_rcpts"
        " FROM throttle ORDER BY account, kind, priority"
    )
    return rows(urls.iredapd, statement)


def put_row(urls: Urls, account: str, kind: str = "outbound", **others: int) -> None:
    """What somebody else wrote."""
    row = {"account": account, "kind": kind, "period": 60, **others}
    places = ", ".join(f":{name}" for name in row)
    execute(urls.iredapd, f"INSERT INTO throttle ({', '.join(row)}) VALUES ({places})", **row)


def counters(urls: Urls) -> list[tuple[Any, ...]]:
    return rows(urls.iredapd, "SELECT account, cur_msgs FROM throttle_tracking ORDER BY account")


# --- who is limited to what -------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_nearest_throttle_decides(api: Client, reader: Reader, kind: str) -> None:
    """A user's before their domain's before everybody's, and of its own kind alone."""
    other = {"inbound": "outbound", "outbound": "inbound"}[kind]

    limit(api, EVERYBODY, kind, max_msgs=300)
    assert reader.limits(kind, ANN) == {"max_msgs": 300}
    limit(api, DOMAIN, kind, max_msgs=400)
    assert reader.limits(kind, ANN) == {"max_msgs": 400}
    limit(api, USER, kind, max_msgs=500)
    assert reader.limits(kind, "Ann+list@CORP.test") == {"max_msgs": 500}

    assert reader.limits(kind, BOB) == {"max_msgs": 400}
    assert reader.limits(kind, "somebody@other.test") == {"max_msgs": 300}
    assert reader.limits(other, ANN) == {}


def test_each_limit_has_its_own_origin(api: Client, reader: Reader) -> None:
    """What is not sent is inherited, as -1 is; 0 ends the search without a limit."""
    limit(api, EVERYBODY, msg_size=1000, max_msgs=10, max_quota=5000)
    limit(api, DOMAIN, msg_size=2000, max_msgs=-1, max_quota=0)
    limit(api, USER, max_msgs=0, max_quota=-1)

    assert reader.limits("outbound", ANN) == {"msg_size": 2000}
    assert reader.limits("outbound", BOB) == {"msg_size": 2000, "max_msgs": 10}


def test_a_limit_is_kept_by_iredapd(api: Client, reader: Reader) -> None:
    """To the last message, recipient and byte."""
    limit(api, DOMAIN, msg_size=100, max_msgs=3)

    assert not reader.accepts("outbound", ANN, size=101)
    assert reader.accepts("outbound", ANN, size=100, recipients=2)
    assert not reader.accepts("outbound", ANN, recipients=2)
    assert reader.accepts("outbound", ANN)
    assert not reader.accepts("outbound", ANN)
    assert reader.accepts("outbound", BOB)


def test_a_change_leaves_what_was_counted(api: Client, reader: Reader, urls: Urls) -> None:
    """It belongs to the row, which stays: a raised limit is no new beginning."""
    limit(api, USER, max_msgs=2)
    assert reader.accepts("outbound", ANN, recipients=2)

    limit(api, USER, max_msgs=3, period=600)

    assert counters(urls) == [(ANN, 2)]
    assert reader.accepts("outbound", ANN)
    assert not reader.accepts("outbound", ANN)


def test_a_throttle_is_one_row(api: Client, urls: Urls) -> None:
    """It is set as a whole each time, and shown as it stands."""
    for account, kind in product(ACCOUNTS, KINDS):
        key, priority = ACCOUNTS[account]

        limit(api, account, kind, max_msgs=7, max_quota=8)
        limit(api, account, kind, 3600, msg_size=9)

        own = [row for row in throttles(urls) if row[:2] == (key, kind)]
        assert own == [(key, kind, priority, 3600, 9, -1, -1, -1)]
        assert shown(api, account, kind) == {
            "account": key, "kind": kind, "priority": priority, "period": 3600,
            "msg_size": 9, "max_msgs": -1, "max_quota": -1, "max_rcpts": -1,
        }  # fmt: skip


def test_names_are_read_in_any_letter_case(api: Client, urls: Urls) -> None:
    limit(api, "GLOBAL", max_msgs=1)
    limit(api, "Corp.TEST", max_msgs=1)
    limit(api, "ANN@Corp.test", max_msgs=1)

    assert [row[0] for row in throttles(urls)] == ["@.", "@corp.test", ANN]
    assert shown(api, "Ann@CORP.test")["account"] == ANN


def test_large_numbers(api: Client, urls: Urls) -> None:
    """As large as the columns of MariaDB, and what counts there."""
    most = 2**63 - 1
    limit(api, USER, period=2**32 - 1, msg_size=most, max_msgs=2**24 - 1, max_quota=2**32 - 2)

    values = (2**32 - 1, most, 2**24 - 1, 2**32 - 2, -1)
    assert throttles(urls) == [(ANN, "outbound", 100, *values)]


def test_a_limit_behind_its_counter_is_refused(api: Client, reader: Reader, urls: Urls) -> None:
    """MariaDB's counter ends before it: more is never counted, nor is anything else of the row."""
    counts = urls.backend == "mariadb"
    for name, most in (("max_msgs", 2**24 - 1), ("max_quota", 2**32 - 2)):
        answer = api.post(path(USER), period=3600, **{name: most + 1})
        if counts:
            refused(answer, 400, "NEVER_APPLIES")
            assert answer.headers["X-Invalid-Parameters"] == name
            assert throttles(urls) == []
        else:
            done(answer)
            done(api.post(path(USER), period=0))

    limit(api, USER, period=3600, max_quota=2**32 - 2)
    assert reader.accepts("outbound", ANN, size=2**32 - 2)
    assert reader.accepts("outbound", ANN, size=1)
    assert not reader.accepts("outbound", ANN)

    if counts:
        # An admin who has widened it may count further.
        wide = "ALTER TABLE throttle_tracking MODIFY cur_quota BIGINT UNSIGNED NOT NULL DEFAULT 0"
        execute(urls.iredapd, wide)
        limit(api, USER, period=3600, max_quota=2**33)


def test_an_account_with_an_extension_is_refused(api: Client, world: World, urls: Urls) -> None:
    """Other tools make such accounts; iRedAPD looks for them without it."""
    world.add(
        world.tree.alias("a+b@corp.test"), objectClass="mailAlias", mail="a+b@corp.test",
        accountStatus="active",
    )  # fmt: skip
    before = throttles(urls)

    for where, form in (
        ("throttle/{}/inbound", {"period": "60", "max_msgs": "1"}),
        ("greylisting/{}", {"status": "enable"}),
        ("greylisting/{}/whitelists", {"senders": "@."}),
    ):
        answer = api.post("/api/" + where.format("a%2Bb@corp.test"), **form)
        refused(answer, 400, "NEVER_APPLIES")

    assert throttles(urls) == before


def test_lists_and_aliases_have_throttles_too(api: Client, reader: Reader) -> None:
    """Mail is addressed to them as to users."""
    for kind in ("alias", "maillist"):
        mail = f"{kind}@corp.test"
        done(api.post(f"/api/{kind}/{mail}"))

        limit(api, mail, "inbound", max_msgs=5)

        assert reader.limits("inbound", mail) == {"max_msgs": 5}


# --- what somebody else wrote -----------------------------------------------------------------


def test_a_wrong_priority_is_put_right(api: Client, reader: Reader, urls: Urls) -> None:
    """That of Amavisd's scale, which releases of iRedAdmin used, or any other."""
    put_row(urls, "@corp.test", priority=255, max_msgs=1)
    put_row(urls, ANN, priority=10, max_msgs=1)
    put_row(urls, BOB, priority=0, max_msgs=1)

    for account in (DOMAIN, ANN, BOB):
        limit(api, account, max_msgs=2)

    assert reader.limits("outbound", ANN) == {"max_msgs": 2}
    assert [row[2] for row in throttles(urls)] == [60, 100, 100]


def test_a_domain_does_not_overtake_its_users(api: Client, reader: Reader, urls: Urls) -> None:
    """On Amavisd's scale they are below a domain that is on the right one."""
    put_row(urls, ANN, priority=10, max_msgs=1)
    put_row(urls, "eve@notcorp.test", priority=10, max_msgs=1)
    put_row(urls, "_@corp.test", "inbound", priority=10, max_msgs=1)

    limit(api, DOMAIN, max_msgs=2)

    assert reader.limits("outbound", ANN) == {"max_msgs": 1}
    assert {row[0]: row[2] for row in throttles(urls)} == {
        "@corp.test": 60, ANN: 100, "eve@notcorp.test": 10, "_@corp.test": 10,
    }  # fmt: skip


def test_the_limit_of_recipients_stays(api: Client, reader: Reader, urls: Urls) -> None:
    """It is no part of the API, and shown."""
    put_row(urls, ANN, priority=100, max_rcpts=20, max_msgs=1)

    limit(api, USER, msg_size=5)
    assert reader.limits("outbound", ANN) == {"msg_size": 5, "max_rcpts": 20}
    assert shown(api, USER)["max_rcpts"] == 20

    limit(api, USER, period=0)
    assert reader.limits("outbound", ANN) == {"max_rcpts": 20}
    assert throttles(urls) == [(ANN, "outbound", 100, 60, -1, -1, -1, 20)]


def test_throttles_of_strangers_are_left_alone(api: Client, urls: Urls) -> None:
    """Of those who send without having logged in."""
    put_row(urls, ANN, "external", priority=10, max_msgs=1)

    limit(api, DOMAIN, max_msgs=2)
    for period in (60, 0):
        limit(api, USER, period=period, max_msgs=2)

    assert throttles(urls)[1:] == [(ANN, "external", 10, 60, -1, 1, -1, -1)]


def test_a_row_without_a_period_is_none(api: Client, reader: Reader, urls: Urls) -> None:
    """It is ignored by iRedAPD; a setting takes its place."""
    put_row(urls, ANN, period=0, max_msgs=1, max_rcpts=2)
    assert reader.limits("outbound", ANN) == {}
    assert shown(api, USER) == {}

    limit(api, USER, max_msgs=5)

    assert len(throttles(urls)) == 1
    assert reader.limits("outbound", ANN) == {"max_msgs": 5, "max_rcpts": 2}


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_rows_that_stand_twice(api: Client, reader: Reader, urls: Urls) -> None:
    """PostgreSQL lets them; the answer is what iRedAPD takes, a change is one of each."""
    put_row(urls, ANN, priority=10, max_msgs=1)
    put_row(urls, ANN, priority=90, max_msgs=2, period=0)
    put_row(urls, ANN, priority=80, max_msgs=3)
    assert shown(api, USER)["max_msgs"] == 3

    limit(api, USER, max_msgs=4)
    assert reader.limits("outbound", ANN) == {"max_msgs": 4}
    assert {row[1:] for row in throttles(urls)} == {("outbound", 100, 60, -1, 4, -1, -1)}

    limit(api, USER, period=0)
    assert throttles(urls) == []


# --- removal ----------------------------------------------------------------------------------


@pytest.mark.parametrize("account", ACCOUNTS)
def test_without_a_period_there_is_no_throttle(
    api: Client, reader: Reader, urls: Urls, account: str
) -> None:
    """It goes with what was counted for it, and leaves those of others."""
    other = BOB if account == USER else USER
    for name in (account, other):
        limit(api, name, "inbound", max_msgs=10)
    limit(api, account, max_msgs=10)
    for mail in (ANN, BOB):
        assert reader.accepts("inbound", mail)
        assert reader.accepts("outbound", mail)
    counted = len(counters(urls))

    limit(api, account, "inbound", period=0, max_msgs=5)

    assert shown(api, account, "inbound") == {}
    assert len(throttles(urls)) == 2
    assert len(counters(urls)) == counted - 1
    assert all(reader.accepts("inbound", mail) for mail in (ANN, BOB))


def test_removing_what_is_not_there_is_no_error(api: Client, urls: Urls) -> None:
    for account in ACCOUNTS:
        limit(api, account, period=0)

    assert throttles(urls) == []


def test_nothing_set_is_nothing_shown(api: Client) -> None:
    for account in ACCOUNTS:
        assert shown(api, account) == {}


# --- older databases --------------------------------------------------------------------------


def test_a_database_without_a_limit_of_recipients(api: Client, urls: Urls) -> None:
    """Releases of iRedAPD before 5.0 have no such column."""
    execute(urls.iredapd, "ALTER TABLE throttle DROP COLUMN max_rcpts")

    limit(api, USER, max_msgs=1)
    assert "max_rcpts" not in shown(api, USER)
    assert shown(api, USER)["max_msgs"] == 1
    limit(api, USER, period=0)

    assert shown(api, USER) == {}


def test_a_missing_table_is_named(api: Client, urls: Urls) -> None:
    for table in ("throttle_tracking", "throttle"):
        execute(urls.iredapd, f"DROP TABLE {table}")

    for answer in (api.get(path(USER)), api.post(path(USER), period=60)):
        assert answer.status_code == 503
        assert answer.json()["_data"] == {"database": "iredapd", "missing_table": "throttle"}


# --- several at once --------------------------------------------------------------------------


def test_the_same_throttle_set_by_many_at_once(api: Client, served: Served, urls: Urls) -> None:
    """One row, and no error to any of them."""
    clients = [served.client().log_in() for _ in range(6)]

    for account in (ANN, BOB, DOMAIN, EVERYBODY):
        orders = [partial(c.post, path(account), period=60, max_msgs=7) for c in clients]
        for answer in at_once(*orders):
            done(answer)

    assert [row[0] for row in throttles(urls)] == ["@.", "@corp.test", ANN, BOB]
    assert all(row[3:6] == (60, -1, 7) for row in throttles(urls))


def test_setting_and_removing_at_once(
    api: Client, served: Served, reader: Reader, urls: Urls
) -> None:
    """There is one row or none in the end, and no counter without it; nobody is refused."""
    clients = [served.client().log_in() for _ in range(4)]

    for _ in range(5):
        limit(api, USER, max_msgs=100)
        assert reader.accepts("outbound", ANN)
        periods = zip(clients, (60, 0, 60, 0), strict=True)
        for answer in at_once(*(partial(c.post, path(USER), period=p) for c, p in periods)):
            done(answer)

        assert len(throttles(urls)) <= 1
        known = {row[0] for row in rows(urls.iredapd, "SELECT id FROM throttle")}
        assert {row[0] for row in rows(urls.iredapd, "SELECT tid FROM throttle_tracking")} <= known


# --- what is refused --------------------------------------------------------------------------


def test_bad_values_change_nothing(api: Client, urls: Urls) -> None:
    limit(api, USER, max_msgs=1)
    before = throttles(urls)
    missing: list[dict[str, str]] = [{}, {"max_msgs": "5"}, {"period": ""}]
    invalid = [
        *({"period": word} for word in ("-1", "1.5", "an hour", str(2**32))),
        {"period": "60", "max_msgs": "-2"},
        {"period": "60", "msg_size": "1 MB"},
        {"period": "60", "max_quota": str(2**63)},
        {"period": "0", "max_quota": "x"},
    ]

    for account in ACCOUNTS:
        for form in missing:
            refused(api.post(path(account), **form), 400, "MISSING_PARAMETER")
        for form in invalid:
            refused(api.post(path(account), **form), 400, "INVALID_PARAMETER")

    assert throttles(urls) == before


def test_the_limit_of_recipients_is_no_parameter(api: Client, urls: Urls) -> None:
    strict = {"Prefer": "handling=strict"}
    form = {"period": 60, "max_rcpts": 5}

    refused(api.post(path(USER), headers=strict, **form), 400, "INVALID_PARAMETER")
    assert throttles(urls) == []
    answer = done(api.post(path(USER), **form))

    assert answer.headers["X-Ignored-Parameters"] == "max_rcpts"
    assert throttles(urls) == [(ANN, "outbound", 100, 60, -1, -1, -1, -1)]


def test_names_that_are_nobodys(api: Client, urls: Urls) -> None:
    """Or that nobody can have, and kinds that there are not."""
    for account, status, code in (
        ("missing.test", 404, "NO_SUCH_ACCOUNT"),
        ("none@corp.test", 404, "NO_SUCH_ACCOUNT"),
        ("none@missing.test", 404, "NO_SUCH_ACCOUNT"),
        ("no domain", 400, "INVALID_DOMAIN_NAME"),
        ("corp", 400, "INVALID_DOMAIN_NAME"),
        ("@corp.test", 400, "INVALID_MAIL"),
        ("x@y@z", 400, "INVALID_MAIL"),
    ):
        for answer in both_calls(api, account):
            refused(answer, status, code)
    for kind in ("external", "sideways"):
        refused(api.post(path(USER, kind), period=60), 404, "NO_SUCH_ROUTE")

    assert throttles(urls) == []


# --- rights -----------------------------------------------------------------------------------


@pytest.fixture
def boss(api: Client, served: Served, world: World) -> Client:
    """A normal admin, in whose domain there is the account of a global one."""
    for mail in ("boss@corp.test", CHIEF):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.put("/api/domain/admins/corp.test", addAdmin="boss@corp.test"))
    done(api.put(f"/api/user/{CHIEF}", isGlobalAdmin="yes"))
    done(api.post("/api/domain/other.test"))
    return served.client().log_in("boss@corp.test", PASSWORD)


def test_a_normal_admin_limits_their_domain(boss: Client, reader: Reader) -> None:
    limit(boss, DOMAIN, max_msgs=5)
    limit(boss, USER, max_msgs=6)

    assert shown(boss, USER)["max_msgs"] == 6
    assert reader.limits("outbound", BOB) == {"max_msgs": 5}


def test_a_normal_admin_limits_nobody_else(boss: Client, urls: Urls) -> None:
    """Foreign, missing and global look alike to them; a global admin's account is closed."""
    foreign = (EVERYBODY, "other.test", "x@other.test", "missing.test", "x@missing.test", CHIEF)
    for account in foreign:
        for answer in both_calls(boss, account):
            refused(answer, 403, "PERMISSION_DENIED")

    assert throttles(urls) == []


@pytest.mark.parametrize(
    ("profiles", "closed", "open_"),
    [("disableDomainProfile", DOMAIN, USER), ("disableUserProfile", USER, DOMAIN)],
)
def test_a_profile_is_taken_from_normal_admins(
    api: Client, boss: Client, urls: Urls, profiles: str, closed: str, open_: str
) -> None:
    """They neither see nor change it; the domain's is one thing, its users' another."""
    limit(api, closed, max_msgs=1)
    before = throttles(urls)
    done(api.put("/api/domain/corp.test", **{profiles: "throttle"}))

    for answer in both_calls(boss, closed):
        refused(answer, 403, "PERMISSION_DENIED")
    assert throttles(urls) == before

    limit(boss, open_, max_msgs=2)
    assert shown(api, closed)["max_msgs"] == 1
    limit(api, closed, max_msgs=3)


def test_an_alias_domain_is_good_for_reading(api: Client, world: World, urls: Urls) -> None:
    """Its name means the domain; who writes must say the domain's own."""
    world.set(world.tree.domain(DOMAIN), domainAliasName="also.test")
    limit(api, DOMAIN, max_msgs=1)

    assert shown(api, "also.test")["account"] == "@corp.test"
    refused(api.post(path("also.test"), period=0), 404, "NO_SUCH_ACCOUNT")

    assert len(throttles(urls)) == 1


# --- a database that does not answer ----------------------------------------------------------


DOWN = {"_success": False, "_msg": "SERVER_DOWN", "_data": {"database": "iredapd"}}


def everything(api: Client) -> Sequence[requests.Response]:
    return [
        api.get(path(USER)),
        api.post(path(DOMAIN), period=60),
        api.post(path(EVERYBODY), period=0),
        api.get(f"/api/greylisting/{ANN}"),
        api.post("/api/greylisting/global", status="disable"),
        api.delete(f"/api/greylisting/{ANN}"),
        api.get("/api/greylisting/all"),
        api.post("/api/greylisting/corp.test/whitelists", addSenders="@."),
        api.post("/api/greylisting/whitelist_spf_domains", addDomains="example.org"),
    ]


class TestDatabaseDown:
    """It takes down nothing but what needs it, and nobody has to restart anything."""

    @pytest.fixture
    def blocked(self, tmp_path: Path) -> Path:
        """A file where a folder is wanted."""
        file = tmp_path / "blocked"
        file.touch()
        return file

    @pytest.fixture
    def urls(self, databases: Urls, blocked: Path) -> Urls:
        if databases.backend != "sqlite":
            return databases
        return replace(databases, iredapd=f"sqlite:///{blocked}/iredapd.sqlite3")

    @pytest.fixture
    def down(
        self, request: pytest.FixtureRequest, api: Client, urls: Urls, blocked: Path
    ) -> Callable[[], object]:
        """Take it down; what is given brings it back."""
        if urls.backend == "sqlite":
            return blocked.unlink
        server: MariaDB | PostgreSQL = request.getfixturevalue(urls.backend)
        limit(api, USER, max_msgs=1)
        server.kill()
        return server.start

    def test_fails_what_needs_it(
        self, api: Client, reader: Reader, down: Callable[[], object]
    ) -> None:
        for answer in everything(api):
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert answer.json() == DOWN
        assert api.get(f"/api/user/{ANN}").status_code == 200
        done(api.put(f"/api/user/{ANN}", name="Änn"))

        down()

        limit(api, USER, max_msgs=2)
        assert reader.limits("outbound", ANN) == {"max_msgs": 2}


def test_nobody_has_to_wait_for_a_policy(api: Client, reader: Reader) -> None:
    """A change of a policy goes the way of all others: judged at once, carried out as a job."""
    later = {"Prefer": "respond-async"}
    refused(api.post(path("nobody@corp.test"), headers=later, period=60), 404, "NO_SUCH_ACCOUNT")
    promise = api.post(path(USER), headers=later, period=60, max_msgs=5)
    assert promise.status_code == 202, promise.text
    assert promise.headers["Preference-Applied"] == "respond-async"

    job = f"/api/jobs/{promise.json()['_data']['job']}"
    wait_until(lambda: api.get(job).json()["_data"]["finished"] is not None)

    assert shown(api, USER)["max_msgs"] == 5
