"""Failed logins are counted, and admins log in from where they may."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from structlog.testing import capture_logs

from tests.support.client import Client, done, refused
from tests.support.patience import PATIENCE, comes_within, started, wait_until
from tests.support.redis_servers import Redis, Replica, Sentinel
from tests.support.serving import Served
from tests.support.world import ADMIN, ADMIN_PASSWORD, World, salted

PASSWORD = "a good password"
HERE, NEIGHBOUR, ELSEWHERE = "192.0.2.7", "192.0.2.200", "198.51.100.7"


@pytest.fixture
def door(serve: Any) -> Served:
    """The app behind a proxy that is believed; the third failure is the last."""
    started: Served = serve(api={"trusted_proxies": ["127.0.0.1"]}, login={"failures": 3})
    return started


def log_in(
    served: Served, password: str = "wrong", username: str = ADMIN, address: str = HERE
) -> requests.Response:
    """Try to log in as a client at some address."""
    return served.client().call(
        "POST",
        "/api/login",
        headers={"X-Forwarded-For": address},
        username=username,
        password=password,
    )


def codes(answers: list[requests.Response]) -> list[str]:
    return [answer.json().get("_msg", "in") for answer in answers]


def lock_out(served: Served, username: str = ADMIN, address: str = HERE) -> None:
    answers = [log_in(served, username=username, address=address) for _ in range(4)]
    assert codes(answers) == ["INVALID_CREDENTIALS"] * 3 + ["TOO_MANY_REQUESTS"]


def test_too_many_failures(door: Served) -> None:
    """The answer says for how many seconds, and is the same with the right password."""
    lock_out(door)

    for password in ("wrong", ADMIN_PASSWORD):
        answer = log_in(door, password)
        assert (answer.status_code, answer.json()) == (
            429,
            {
                "_success": False,
                "_msg": "TOO_MANY_REQUESTS",
                "success": False,
                "msg": "TOO_MANY_REQUESTS",
            },
        )
        assert 850 < int(answer.headers["Retry-After"]) <= 900
        assert "Set-Cookie" not in answer.headers


def test_refused_before_the_directory_is_asked(door: Served, world: World) -> None:
    """A flood of attempts is no load for the directory."""
    lock_out(door)
    world.slapd.stop()
    assert codes([log_in(door)]) == ["TOO_MANY_REQUESTS"]
    assert codes([log_in(door, address=ELSEWHERE)]) == ["SERVER_DOWN"]


def test_it_passes_when_the_answer_says_so(serve: Any) -> None:
    """After that many seconds, and not much earlier."""
    served = serve(login={"failures": 1, "period": 2})
    asked, seconds = 0.0, 0

    def is_shut_out() -> bool:
        nonlocal asked, seconds
        asked = time.monotonic()
        seconds = int(log_in(served).headers.get("Retry-After", 0))
        return seconds > 0

    # On a slow machine the second attempt may come when the first is forgotten.
    wait_until(is_shut_out)
    assert 1 <= seconds <= 2
    comes_within(lambda: log_in(served, ADMIN_PASSWORD).status_code == 200, seconds)
    assert time.monotonic() - asked > seconds - 1.5


@pytest.mark.parametrize(
    ("here", "neighbour", "elsewhere"),
    [
        (HERE, NEIGHBOUR, ELSEWHERE),
        (HERE, f"::ffff:{NEIGHBOUR}", "192.0.3.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::1", "2001:db8:1:3::1"),
    ],
)
def test_owner_gets_in_from_another_network(
    door: Served, here: str, neighbour: str, elsewhere: str
) -> None:
    """A client that guesses shuts out its own network only, not the owner of the account."""
    lock_out(door, address=here)
    assert codes([log_in(door, ADMIN_PASSWORD, address=neighbour)]) == ["TOO_MANY_REQUESTS"]
    assert codes([log_in(door, ADMIN_PASSWORD, address=elsewhere)]) == ["in"]


def test_other_accounts_get_in_from_the_same_network(door: Served, world: World) -> None:
    """One colleague's failures are not another's."""
    other = "second@admins.test"
    world.add(
        world.tree.admin(other),
        objectClass=["mailAdmin"],
        mail=other,
        domainGlobalAdmin="yes",
        accountStatus="active",
        userPassword=salted(PASSWORD),
    )
    lock_out(door)
    assert codes([log_in(door, PASSWORD, username=other)]) == ["in"]


def test_spelling_of_the_name_does_not_matter(door: Served) -> None:
    """An account is one account in any letter case."""
    names = [ADMIN, ADMIN.upper(), f" {ADMIN.title()} ", ADMIN]
    answers = [log_in(door, username=name) for name in names]
    assert codes(answers) == ["INVALID_CREDENTIALS"] * 3 + ["TOO_MANY_REQUESTS"]


def test_unknown_accounts_are_counted_alike(door: Served, serve: Any) -> None:
    """An admin, a mail user, a disabled one and nobody at all get the same answers."""
    api = serve().client().log_in()
    done(api.post("/api/domain/corp.test"))
    done(api.post("/api/user/plain@corp.test", password=PASSWORD))

    def answers(username: str) -> list[tuple[int, str, bool]]:
        found = [log_in(door, username=username) for _ in range(5)]
        return [(a.status_code, a.text, "Retry-After" in a.headers) for a in found]

    tries = {
        name: answers(name) for name in (ADMIN, "plain@corp.test", "nobody@corp.test", "x@y.test")
    }
    assert len({tuple(found) for found in tries.values()}) == 1


def test_success_neither_counts_nor_clears(door: Served) -> None:
    """Otherwise one's own account would be a way to go on guessing, or to be shut out."""
    words = ["wrong", ADMIN_PASSWORD, "wrong", *[ADMIN_PASSWORD] * 5, "wrong", ADMIN_PASSWORD]
    found = codes([log_in(door, word) for word in words])
    assert found == [
        "INVALID_CREDENTIALS", "in", "INVALID_CREDENTIALS", *["in"] * 5, "INVALID_CREDENTIALS",
        "TOO_MANY_REQUESTS",
    ]  # fmt: skip


def test_malformed_logins_are_not_counted(door: Served) -> None:
    """Nobody's password is tried by them."""
    for _ in range(5):
        assert codes([log_in(door, "")]) == ["EMPTY_PASSWORD"]
        assert codes([log_in(door, username="root")]) == ["INVALID_USERNAME"]
    assert codes([log_in(door, ADMIN_PASSWORD)]) == ["in"]


def test_password_checks_are_not_counted(door: Served, serve: Any) -> None:
    """They are a global admin's, who is in already."""
    api = serve().client().log_in()
    done(api.post("/api/domain/corp.test"))
    done(api.post("/api/user/ann@corp.test", password=PASSWORD))
    client = Client(door.url, api.session)
    for _ in range(5):
        answer = client.post("/api/verify_password/user/ann@corp.test", password="wrong")
        assert codes([answer]) == ["INVALID_CREDENTIALS"]
    assert codes([log_in(door, username="ann@corp.test")]) == ["INVALID_CREDENTIALS"]


def test_attempts_at_once_are_not_more(door: Served) -> None:
    """However many come at the same time, as many guesses are answered as one after another."""
    assert at_once([door] * 20) == {"INVALID_CREDENTIALS": 3, "TOO_MANY_REQUESTS": 17}


def at_once(servers: list[Served]) -> dict[str, int]:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda s=s: found.extend(codes([log_in(s)]))) for s in servers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(Counter(found))


def test_session_goes_on(door: Served) -> None:
    """Failures of others do not touch who is in already."""
    client = door.client()
    client.call(
        "POST",
        "/api/login",
        headers={"X-Forwarded-For": HERE},
        username=ADMIN,
        password=ADMIN_PASSWORD,
    )
    lock_out(door)
    answer = client.call("GET", "/api/domain/x.test", headers={"X-Forwarded-For": HERE})
    refused(answer, 404, "NO_SUCH_ACCOUNT")


# --- a storage that workers share -------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Redis]:
    server = started(Redis(tmp_path))
    yield server
    server.stop()


@pytest.fixture
def workers(
    serve: Any, store: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Served]:
    """Two of four workers, with memories of their own and one storage."""
    monkeypatch.setattr("iredldap.gateways.attempts._PATIENCE", PATIENCE)
    url = tmp_path / "storage-url"
    url.write_text(store.url)
    login = {"failures": 4, "storage_url_file": str(url)}
    settings = {"login": login, "server": {"workers": 4}}
    return [serve(**settings), serve(**settings)]


def test_workers_share_a_storage(workers: list[Served]) -> None:
    """The limit holds for all of them together, also for attempts at once."""
    assert at_once(workers * 10) == {"INVALID_CREDENTIALS": 4, "TOO_MANY_REQUESTS": 16}
    answer = log_in(workers[1], ADMIN_PASSWORD)
    assert 850 < int(answer.headers["Retry-After"]) <= 900


def test_storage_holds_no_addresses(workers: list[Served], store: Redis) -> None:
    """Who failed is nobody's business who can read it."""
    log_in(workers[0])
    with redis.Redis(port=store.port) as client:
        (key,) = client.keys("*")
        assert b"@" not in key
        assert 0 < client.ttl(key) <= 900


def test_storage_that_is_away(workers: list[Served], store: Redis) -> None:
    """The door neither shuts nor opens: each worker counts alone, and says so in the log."""
    store.stop()
    with capture_logs() as lines:
        assert codes([log_in(workers[0], ADMIN_PASSWORD)]) == ["in"]
    assert [e["event"] for e in lines if e["log_level"] == "warning"] == [
        "the storage of failed logins is down"
    ]
    for worker in workers:
        assert codes([log_in(worker) for _ in range(2)]) == [
            "INVALID_CREDENTIALS",
            "TOO_MANY_REQUESTS",
        ]


def test_storage_that_comes_back(
    workers: list[Served], store: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked again after a while; until then nobody waits for it."""
    monkeypatch.setattr("iredldap.gateways.attempts._PAUSE", 0.1)
    store.stop()
    log_in(workers[0])
    store.start()

    def counts_together() -> bool:
        return codes([log_in(workers[0])]) == ["INVALID_CREDENTIALS"]

    wait_until(counts_together)


def test_counts_go_on_when_sentinels_name_another_master(
    serve: Any, store: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both nodes count together there, with what was counted before."""
    monkeypatch.setattr("iredldap.gateways.attempts._PAUSE", 0.1)
    with ExitStack() as running:
        replica = started(Replica(tmp_path, store))
        running.callback(replica.stop)
        sentinel = started(Sentinel(tmp_path, store))
        running.callback(sentinel.stop)
        url = tmp_path / "storage-url"
        url.write_text(sentinel.url)
        nodes = [serve(login={"failures": 3, "storage_url_file": str(url)}) for _ in range(2)]
        assert codes([log_in(nodes[0]), log_in(nodes[1])]) == ["INVALID_CREDENTIALS"] * 2
        with redis.Redis(port=replica.port) as client, redis.Redis(port=sentinel.port) as watching:
            wait_until(lambda: bool(client.keys("*")))
            wait_until(lambda: bool(watching.execute_command("SENTINEL", "REPLICAS", "logins")))
            store.stop()
            wait_until(lambda: client.info("replication")["role"] == "master")
            (key,) = client.keys("*")

            def counts_there() -> bool:
                log_in(nodes[0])
                return int(client.get(key) or 0) > 2

            wait_until(counts_there)
        wait_until(lambda: codes([log_in(nodes[1])]) == ["TOO_MANY_REQUESTS"])


def test_storage_that_cannot_be_used(serve: Any, tmp_path: Path) -> None:
    """A URL that the library does not take is told, without the password in it."""
    url = tmp_path / "storage-url"
    url.write_text("redis://:s3cret/s3cret@127.0.0.1/0")
    with capture_logs() as lines:
        served = serve(login={"failures": 1, "storage_url_file": str(url)})
    assert any("storage" in line["event"] for line in lines)
    assert "s3cret" not in str(lines)
    assert codes([log_in(served), log_in(served)]) == ["INVALID_CREDENTIALS", "TOO_MANY_REQUESTS"]


# --- from where admins log in -----------------------------------------------------------------


@pytest.fixture
def admins(serve: Any, world: World) -> dict[str, str]:
    """A normal and a global admin who are mail users, and the standalone one: name → password."""
    api = serve().client().log_in()
    done(api.post("/api/domain/corp.test"))
    for name in ("normal", "boss"):
        done(api.post(f"/api/user/{name}@corp.test", password=PASSWORD))
    world.modify(world.tree.user("normal@corp.test"), (0, "enabledService", [b"domainadmin"]))
    world.set(world.tree.domain("corp.test"), domainAdmin="normal@corp.test")
    world.set(world.tree.user("boss@corp.test"), domainGlobalAdmin="yes")
    return {"normal@corp.test": PASSWORD, "boss@corp.test": PASSWORD, ADMIN: ADMIN_PASSWORD}


def restricted(serve: Any, **lists: list[str]) -> Served:
    started: Served = serve(api={"trusted_proxies": ["127.0.0.1"]}, login=lists)
    return started


def test_admins_from_listed_addresses_only(serve: Any, admins: dict[str, str]) -> None:
    """To others the answer is the same whatever the account and the password."""
    served = restricted(serve, admin_login_ip_list=["192.0.2.0/24", "2001:db8::1"])
    for name, password in admins.items():
        for address in (HERE, "2001:db8::1"):
            assert codes([log_in(served, password, name, address)]) == ["in"]
    for name in (*admins, "nobody@corp.test"):
        for password in (admins.get(name, "any"), "wrong"):
            answer = log_in(served, password, name, ELSEWHERE)
            assert (answer.status_code, codes([answer])) == (403, ["NOT_ALLOWED_IP"])
            assert "Set-Cookie" not in answer.headers


def test_global_admins_from_listed_addresses_only(serve: Any, admins: dict[str, str]) -> None:
    """Only who knows the password learns that this account is a global admin's."""
    served = restricted(serve, global_admin_ip_list=["192.0.2.7"])
    for name, password in admins.items():
        assert codes([log_in(served, password, name, HERE)]) == ["in"]
        right, wrong = (
            log_in(served, password, name, ELSEWHERE),
            log_in(served, "no", name, ELSEWHERE),
        )
        assert codes([right]) == (["in"] if name.startswith("normal") else ["NOT_ALLOWED_IP"])
        assert codes([wrong]) == ["INVALID_CREDENTIALS"]


def test_address_is_judged_before_failures(serve: Any) -> None:
    """Attempts from an address that may not log in are not counted: they guess nothing."""
    served = restricted(serve, admin_login_ip_list=[ELSEWHERE])
    assert set(codes([log_in(served, address=NEIGHBOUR) for _ in range(15)])) == {"NOT_ALLOWED_IP"}


def test_session_is_not_tied_to_the_list(serve: Any) -> None:
    """The lists are about logging in; restful_api_clients is about every call."""
    inside = restricted(serve)
    client = inside.client().log_in()
    outside = restricted(serve, admin_login_ip_list=[ELSEWHERE], global_admin_ip_list=[ELSEWHERE])
    answer = Client(outside.url, client.session).get("/api/domain/x.test")
    refused(answer, 404, "NO_SUCH_ACCOUNT")
