"""Changes that a client does not wait for: promised, followed, and finished by whoever is left."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import ldap
import pytest
import requests

from tests.support.client import Client, done, refused
from tests.support.databases import rows
from tests.support.gunicorn import gunicorn
from tests.support.patience import PATIENCE, wait_until
from tests.support.proxy import Mode, Proxy
from tests.support.serving import Served
from tests.support.world import World

DOMAIN = "corp.test"
PATH = f"/api/domain/{DOMAIN}"
USERS = 300
PASSWORD = "a good password"
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def corp(world: World, api: Client) -> World:
    """A domain with many users."""
    done(api.post(PATH))
    connection = world.connect()
    for number in range(USERS):
        mail = f"user{number}@{DOMAIN}"
        connection.add_s(
            world.tree.user(mail),
            [
                ("objectClass", [b"inetOrgPerson", b"mailUser", b"shadowAccount"]),
                *((name, [b"x"]) for name in ("cn", "sn", "uid")),
                ("mail", [mail.encode()]),
                ("accountStatus", [b"active"]),
            ],
        )
    connection.unbind_s()
    return world


@pytest.fixture
def proxy(world: World) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", world.slapd.port)) as between:
        yield between


@pytest.fixture
def slow(serve: Any, proxy: Proxy) -> Served:
    """An instance to which the directory is far away, so that a sweep takes a second or two."""
    proxy.to_server = 0.04
    far: Served = serve(ldap={"uri": [proxy.uri]}, jobs={"abandoned": 0.5})
    return far


def promised(answer: requests.Response) -> str:
    """Insist on the exact answer that promises a job; give the path of the job."""
    assert answer.status_code == 202, answer.text
    envelope = answer.json()
    assert envelope == {"_success": True, "_data": {"job": envelope["_data"]["job"]}}
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert int(answer.headers["Retry-After"]) == 1
    assert answer.headers["Location"] == f"/api/jobs/{envelope['_data']['job']}"
    return answer.headers["Location"]


def later(client: Client, method: str, path: str, **parameters: Any) -> str:
    return promised(client.call(method, path, headers=ASYNC, **parameters))


def ask(client: Client, job: str) -> dict[str, Any]:
    answer = client.get(job)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()["_data"]
    assert f"/api/jobs/{shown['id']}" == job
    assert ("Retry-After" in answer.headers) == (shown["finished"] is None)
    return shown


def outcome(client: Client, job: str) -> dict[str, Any]:
    """Ask until it has ended."""
    seen: list[dict[str, Any]] = []

    def ended() -> bool:
        seen.append(ask(client, job))
        return seen[-1]["finished"] is not None

    wait_until(ended)
    assert [shown["done"] for shown in seen] == sorted(shown["done"] for shown in seen)
    return seen[-1]


def unmarked(world: World) -> int:
    filter_ = "(&(objectClass=mailUser)(!(domainStatus=disabled)))"
    return len(world.find(filter_, world.tree.domain(DOMAIN)))


def _stored_report(served: Served) -> str | None:
    """Look into the database: no session is found while the directory is away."""
    ((report,),) = rows(served.config.state.url.reveal(), "SELECT report FROM jobs")
    return None if report is None else str(report)


def rest(served: Served) -> None:
    """Let an instance carry out nothing more; what it accepts waits for another one."""
    for work in served.gateways.background:
        work.close()


def state_file(tmp_path: Path) -> sqlite3.Connection:
    return sqlite3.connect(tmp_path / "state.sqlite3")


def test_the_status_names_the_changes(api: Client, corp: World) -> None:
    """The answer that promises a job cannot: nothing has been written by then."""
    job = later(api, "PUT", PATH, accountStatus="disabled")
    ended = outcome(api, job)

    found = api.get("/api/changes", job=ended["id"]).json()["_data"]
    assert ended["changes"] == [change["id"] for change in found]
    assert [change["endpoint"] for change in found] == ["domain_update"]
    assert api.get("/api/changes", job="another").json()["_data"] == []


def test_jobs_are_listed_the_newest_first(api: Client, served: Served) -> None:
    """By pages, of one state, and to admins of domains their own."""
    done(api.post("/api/domain/small.test"))
    done(api.post("/api/user/bob@small.test", password=PASSWORD))
    done(api.put("/api/domain/admins/small.test", addAdmin="bob@small.test"))
    path = "/api/domain/small.test"
    ids = [outcome(api, later(api, "PUT", path, name=name))["id"] for name in ("One", "Two", "3")]

    def listed(client: Client, **wanted: str) -> list[str]:
        return [job["id"] for job in client.get("/api/jobs", **wanted).json()["_data"]]

    assert listed(api) == listed(api, status="done") == ids[::-1]
    assert listed(api, status="failed") == []
    first = api.get("/api/jobs", limit="2")
    assert first.headers["X-Next-Cursor"] == ids[1]
    assert listed(api, limit="2", cursor=ids[1]) == [ids[0]]
    assert "X-Next-Cursor" not in api.get("/api/jobs", limit="3").headers
    bob = served.client().log_in("bob@small.test", PASSWORD)
    assert listed(bob) == []
    own = outcome(bob, later(bob, "PUT", "/api/user/bob@small.test", name="Bob"))["id"]
    assert listed(bob) == [own]
    assert listed(api)[0] == own
    refused(api.get("/api/jobs", status="lost"), 400, "INVALID_PARAMETER")


def test_a_directory_that_dies_under_a_job(corp: World, slow: Served) -> None:
    """It is waited for, and then all is done."""
    client = slow.client().log_in()
    job = later(client, "PUT", PATH, accountStatus="disabled")
    wait_until(lambda: 0 < USERS - unmarked(corp) < USERS)
    corp.slapd.kill()
    wait_until(lambda: "waiting" in (_stored_report(slow) or ""))
    corp.slapd.start(PATIENCE)

    ended = outcome(client, job)

    assert (ended["status"], ended["code"], ended["report"]) == ("done", None, None)
    assert unmarked(corp) == 0


class TestPromise:
    def test_disabled_domain(self, api: Client, corp: World) -> None:
        """The answer comes at once; in the end all is done, and everything was counted."""
        job = later(api, "PUT", PATH, accountStatus="disabled")

        ended = outcome(api, job)

        assert (ended["status"], ended["code"], ended["report"]) == ("done", None, None)
        assert ended["done"] == ended["total"] >= USERS + 1
        assert ended["failures"] == 0
        assert ended["created"] < ended["finished"]
        assert unmarked(corp) == 0
        assert corp.attributes(corp.tree.domain(DOMAIN))["accountStatus"] == {"disabled"}

    def test_deleted_domain(self, api: Client, corp: World) -> None:
        ended = outcome(api, later(api, "DELETE", PATH))

        assert ended["status"] == "done"
        assert ended["done"] == ended["total"] >= USERS
        assert corp.entry(corp.tree.domain(DOMAIN)) is None

    def test_progress_is_seen_meanwhile(self, corp: World, slow: Served) -> None:
        """A client that asks now and then sees how far it is."""
        client = slow.client().log_in()
        job = later(client, "PUT", PATH, accountStatus="disabled")
        halfway: list[int] = []

        def ended() -> bool:
            shown = ask(client, job)
            if shown["status"] == "running" and shown["total"]:
                halfway.append(shown["done"])
            return shown["finished"] is not None

        wait_until(ended)

        assert [number for number in halfway if 10 < number < USERS]
        assert unmarked(corp) == 0

    def test_every_kind_of_change_can_wait(self, api: Client, world: World) -> None:
        """A creation, too, one after the other, in the order in which they were asked for."""
        mail = f"ann@{DOMAIN}"
        jobs = [
            later(api, "POST", PATH, name="Corp"),
        ]
        assert outcome(api, jobs[0])["status"] == "done"
        jobs = [
            later(api, "POST", f"/api/user/{mail}", password=PASSWORD),
            later(api, "POST", f"/api/alias/team@{DOMAIN}", members="bob@elsewhere.test"),
            later(api, "POST", f"/api/maillist/news@{DOMAIN}", members="bob@elsewhere.test"),
        ]
        assert [outcome(api, job)["status"] for job in jobs] == ["done"] * 3
        world.connect(world.tree.user(mail), PASSWORD).unbind_s()
        assert world.entry(world.tree.alias(f"team@{DOMAIN}"))
        assert world.entry(world.tree.maillist(f"news@{DOMAIN}"))

        renamed = later(api, "POST", f"/api/user/{mail}/change_email/anne@{DOMAIN}")
        assert outcome(api, renamed)["status"] == "done"
        assert world.entry(world.tree.user(f"anne@{DOMAIN}"))

    def test_jobs_of_one_admin_follow_one_another(self, corp: World, slow: Served) -> None:
        """Whoever switches a domain off, and then on again, finds it on, whatever takes longer."""
        client = slow.client().log_in()
        off = later(client, "PUT", PATH, accountStatus="disabled")
        on = later(client, "PUT", PATH, accountStatus="active")

        assert outcome(client, on)["status"] == "done"

        assert outcome(client, off)["status"] == "done"
        assert unmarked(corp) == USERS

    def test_preference_among_others(self, api: Client, world: World) -> None:
        """RFC 7240: several in one header, in any letter case, with parameters."""
        headers = {"Prefer": "handling=strict, Respond-Async, wait=10"}
        job = promised(api.call("POST", PATH, headers=headers, name="Corp"))
        assert outcome(api, job)["status"] == "done"

    def test_location_keeps_the_base_path(self, api: Client) -> None:
        """A proxy may hand on one of the two base paths only."""
        answer = api.call("POST", f"/iredadmin{PATH}", headers=ASYNC)

        assert answer.headers["Location"].startswith("/iredadmin/api/jobs/")
        outcome(api, answer.headers["Location"].removeprefix("/iredadmin"))

    def test_what_is_ignored_is_told_at_once(self, api: Client, corp: World) -> None:
        """As without the preference; and a strict client is refused."""
        path, sent = f"/api/user/user1@{DOMAIN}", {"forwarding": f"a@b.test,nobody@{DOMAIN}"}

        strict = {"Prefer": "respond-async, handling=strict"}
        refused(api.call("PUT", path, headers=strict, **sent), 400, "INVALID_PARAMETER")
        answer = api.call("PUT", path, headers=ASYNC, **sent)

        assert answer.headers["X-Ignored-Values"] == f"nobody@{DOMAIN}"
        assert outcome(api, promised(answer))["status"] == "done"
        dn = corp.tree.user(f"user1@{DOMAIN}")
        assert corp.attributes(dn)["mailForwardingAddress"] == {"a@b.test"}

    def test_reads_are_answered(self, api: Client, corp: World) -> None:
        """The preference is one about changes."""
        answer = api.call("GET", PATH, headers=ASYNC)
        assert answer.status_code == 200
        assert "Preference-Applied" not in answer.headers


class TestRefusal:
    """What can be known is refused at once, and nothing is promised."""

    @pytest.mark.parametrize(
        ("method", "path", "form", "headers", "answer"),
        [
            ("PUT", PATH, {"accountStatus": "perhaps"}, {}, (400, "INVALID_PARAMETER")),
            ("POST", PATH, {}, {}, (409, "ALREADY_EXISTS")),
            ("POST", PATH, {}, {"If-None-Match": "*"}, (412, "PRECONDITION_FAILED,ALREADY_EXISTS")),
            ("PUT", PATH, {"name": "x"}, {"If-Match": '"stale"'}, (412, "PRECONDITION_FAILED")),
            ("DELETE", "/api/domain/none.test", {}, {}, (404, "NO_SUCH_ACCOUNT")),
            ("PUT", f"/api/users/{DOMAIN}", {"password": "short"}, {},
             (422, "PW_SHORTER_THAN_MIN_LENGTH")),
        ],
    )  # fmt: skip
    def test_is_immediate(
        self,
        api: Client,
        corp: World,
        tmp_path: Path,
        method: str,
        path: str,
        form: dict[str, str],
        headers: dict[str, str],
        answer: tuple[int, str],
    ) -> None:
        before = corp.snapshot()

        refused(api.call(method, path, headers=ASYNC | headers, **form), *answer)

        assert corp.snapshot() == before
        with closing(state_file(tmp_path)) as file:
            assert file.execute("SELECT count(*) FROM jobs").fetchone() == (0,)

    def test_of_an_admin_with_too_many_jobs(self, serve: Any, world: World) -> None:
        """One admin cannot fill the queue; others are still heard."""
        served = serve(jobs={"queue": 2})
        client = served.client().log_in()
        done(client.post(PATH))
        add_admin(world, client)
        rest(served)
        waiting = [later(client, "PUT", PATH, name=str(number)) for number in range(2)]

        answer = client.call("PUT", PATH, headers=ASYNC, name="third")
        refused(answer, 429, "TOO_MANY_REQUESTS")
        assert int(answer.headers["Retry-After"]) >= 1
        other = served.client().log_in(f"admin@{DOMAIN}", PASSWORD)
        waiting.append(later(other, "PUT", f"/api/users/{DOMAIN}", language="de_DE"))

        serve().gateways.start()
        assert [outcome(client, job)["status"] for job in waiting] == ["done"] * 3


def add_admin(world: World, client: Client, mail: str = f"admin@{DOMAIN}") -> None:
    done(client.post(f"/api/user/{mail}", password=PASSWORD))
    done(client.put(f"/api/domain/admins/{DOMAIN}", addAdmin=mail))


class TestAsking:
    def test_any_instance_answers(self, api: Client, corp: World, serve: Any) -> None:
        """All that share the state database."""
        job = later(api, "PUT", PATH, accountStatus="disabled")
        other = serve().client().log_in()

        assert outcome(other, job) == ask(api, job)

    def test_is_for_its_owner_and_for_global_admins(
        self, served: Served, api: Client, corp: World
    ) -> None:
        """To anybody else there is no such job, nor may strangers know."""
        add_admin(corp, api)
        add_admin(corp, api, f"second@{DOMAIN}")
        owner = served.client().log_in(f"admin@{DOMAIN}", PASSWORD)
        colleague = served.client().log_in(f"second@{DOMAIN}", PASSWORD)
        job = later(owner, "PUT", f"/api/users/{DOMAIN}", language="de_DE")
        roots = later(api, "PUT", PATH, name="x")

        assert outcome(owner, job)["status"] == "done"
        assert ask(api, job)["status"] == "done"
        refused(colleague.get(job), 404, "NO_SUCH_JOB")
        refused(owner.get(roots), 404, "NO_SUCH_JOB")
        refused(owner.get("/api/jobs/none"), 404, "NO_SUCH_JOB")
        refused(served.client().get(job), 401, "LOGIN_REQUIRED")
        outcome(api, roots)

    def test_ends_when_the_job_is_forgotten(self, serve: Any, world: World, tmp_path: Path) -> None:
        """After the time of the settings; the next job takes its row away."""
        client = serve(jobs={"kept": 1}).client().log_in()
        job = later(client, "POST", PATH)

        wait_until(lambda: client.get(job).status_code == 404)

        refused(client.get(job), 404, "NO_SUCH_JOB")
        outcome(client, later(client, "PUT", PATH, name="x"))
        with closing(state_file(tmp_path)) as file:
            assert file.execute("SELECT count(*) FROM jobs").fetchone() == (1,)


class TestSecrets:
    def test_no_password_is_written_down(
        self, served: Served, api: Client, corp: World, serve: Any, tmp_path: Path
    ) -> None:
        """Its hash is, in a file for the owner only, until the job has ended."""
        rest(served)
        job = later(api, "PUT", f"/api/users/{DOMAIN}", password=PASSWORD)
        files = list(tmp_path.glob("state.sqlite3*"))
        written = b"".join(file.read_bytes() for file in files)

        assert PASSWORD.encode() not in written
        assert b"{SSHA512}" in written
        assert [file.stat().st_mode & 0o077 for file in files] == [0] * len(files)

        serve().gateways.start()
        assert outcome(api, job)["status"] == "done"
        corp.connect(corp.tree.user(f"user7@{DOMAIN}"), PASSWORD).unbind_s()
        with closing(state_file(tmp_path)) as file:
            assert file.execute("SELECT request, course FROM jobs").fetchall() == [("", "")]

    @pytest.mark.parametrize("scheme", ["SSHA512", "BCRYPT"])
    def test_new_password_of_one_user(self, serve: Any, world: World, scheme: str) -> None:
        """It works in every request that takes one, and a hash that was sent is stored as sent."""
        client = serve(passwords={"password_scheme": scheme, "bcrypt_rounds": 4}).client().log_in()
        done(client.post(PATH))
        path, dn = f"/api/user/ann@{DOMAIN}", world.tree.user(f"ann@{DOMAIN}")
        outcome(client, later(client, "POST", path, password=PASSWORD))
        world.connect(dn, PASSWORD).unbind_s()

        outcome(client, later(client, "PUT", path, password="another one"))
        world.connect(dn, "another one").unbind_s()
        ready_made = "{SHA}qvTGHdzF6KLavt4PO0gs2a6pQ00="
        outcome(client, later(client, "PUT", path, password_hash=ready_made))
        assert world.attributes(dn)["userPassword"] == {ready_made}

    def test_own_password_of_an_admin_from_elsewhere(
        self, served: Served, api: Client, corp: World
    ) -> None:
        """They may change few things of their account; a password is one of them in a job, too."""
        mail = "guest@home.test"
        done(api.post("/api/domain/home.test"))
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
        done(api.put(f"/api/domain/admins/{DOMAIN}", addAdmin=mail))
        guest = served.client().log_in(mail, PASSWORD)

        job = later(guest, "PUT", f"/api/user/{mail}", password="another one")

        assert outcome(api, job)["status"] == "done"
        corp.connect(corp.tree.user(mail), "another one").unbind_s()


class TestConditions:
    def test_same_condition_holds_once(
        self, served: Served, api: Client, corp: World, serve: Any
    ) -> None:
        """Two jobs for the same state: one is done, the other one fails, and changes nothing."""
        tag = api.get(PATH).headers["ETag"]
        rest(served)
        headers = ASYNC | {"If-Match": tag}
        jobs = [
            promised(api.call("PUT", PATH, headers=headers, accountStatus=status))
            for status in ("disabled", "active")
        ]

        serve().gateways.start()

        assert [(outcome(api, job)["status"], ask(api, job)["code"]) for job in jobs] == [
            ("done", None),
            ("failed", "PRECONDITION_FAILED"),
        ]
        assert unmarked(corp) == 0
        stale = api.call("PUT", PATH, headers=headers, name="x")
        refused(stale, 412, "PRECONDITION_FAILED")

    def test_condition_that_held_is_not_asked_again(
        self, corp: World, slow: Served, serve: Any
    ) -> None:
        """A worker that goes on must not stumble over the state that the first step has left."""
        client = slow.client().log_in()
        tag = client.get(PATH).headers["ETag"]
        headers = ASYNC | {"If-Match": tag}
        job = promised(client.call("PUT", PATH, headers=headers, accountStatus="disabled"))
        wait_until(lambda: unmarked(corp) < USERS)

        rest(slow)

        assert 0 < unmarked(corp) < USERS
        assert ask(client, job)["status"] == "queued"
        serve(jobs={"abandoned": 0.5}).gateways.start()
        assert outcome(client, job)["status"] == "done"
        assert unmarked(corp) == 0


class TestFailure:
    def test_what_became_impossible_is_told(
        self, served: Served, api: Client, corp: World, serve: Any
    ) -> None:
        """By its code, as the answer would have had it."""
        rest(served)
        job = later(api, "PUT", f"/api/user/user1@{DOMAIN}", name="x")
        done(api.delete(f"/api/user/user1@{DOMAIN}"))

        serve().gateways.start()

        ended = outcome(api, job)
        assert (ended["status"], ended["code"]) == ("failed", "NO_SUCH_ACCOUNT")
        assert ended["report"] is None

    def test_a_report_has_the_names_that_were_sent(
        self, served: Served, api: Client, corp: World, serve: Any
    ) -> None:
        """Older ones, as a direct answer has them; another tool names the entry meanwhile."""
        rest(served)
        job = later(api, "PUT", f"/api/user/user1@{DOMAIN}", cn="x")
        dn = corp.tree.user(f"user1@{DOMAIN}")
        corp.set(dn, cn="First")
        connection = corp.connect()
        connection.rename_s(dn, "cn=First", delold=0)
        connection.unbind_s()

        serve().gateways.start()

        ended = outcome(api, job)
        assert (ended["status"], ended["code"]) == ("failed", "SCHEMA_VIOLATION")
        direct = api.put(f"/api/user/user1@{DOMAIN}", cn="x").json()["_data"]
        assert ended["report"] == direct == {"naming": [{"parameter": "cn", "attribute": "cn"}]}

    def test_directory_that_goes_away(self, corp: World, serve: Any, proxy: Proxy) -> None:
        """For longer than a job waits: the report tells what was done, and what was not."""
        proxy.to_server = 0.04
        jobs = {"abandoned": 0.5, "patience": 0.0}
        slow: Served = serve(ldap={"uri": [proxy.uri]}, jobs=jobs)
        client = slow.client().log_in()
        job = later(client, "PUT", PATH, accountStatus="disabled")
        wait_until(lambda: unmarked(corp) < USERS)

        proxy.mode = Mode.REFUSE
        proxy.cut()
        ended: list[str] = []
        with closing(sqlite3.connect(state_path(slow))) as file:

            def has_ended() -> bool:
                ended[:] = file.execute("SELECT status FROM jobs").fetchone()
                return ended == ["failed"]

            wait_until(has_ended)
        proxy.mode = Mode.PASS

        shown = ask(client, job)
        assert shown["code"] == "SERVER_DOWN"
        assert shown["report"]["done"] == [f"modify {corp.tree.domain(DOMAIN)}"]
        assert 0 < unmarked(corp) < USERS

    @pytest.mark.parametrize("loss", ["role", "domain", "account"])
    def test_rights_are_judged_when_it_is_done(
        self, served: Served, api: Client, corp: World, serve: Any, loss: str
    ) -> None:
        """An admin who has lost their own meanwhile changes nothing any more."""
        add_admin(corp, api)
        done(api.post("/api/domain/other.test"))
        client = served.client().log_in(f"admin@{DOMAIN}", PASSWORD)
        rest(served)
        job = later(client, "PUT", f"/api/users/{DOMAIN}", language="de_DE")
        dn = corp.tree.domain(DOMAIN)
        match loss:
            case "role":
                done(api.put(f"/api/domain/admins/{DOMAIN}", removeAllAdmins="yes"))
            case "domain":
                corp.modify(dn, (ldap.MOD_DELETE, "domainAdmin", None))
                done(api.put("/api/domain/admins/other.test", addAdmin=f"admin@{DOMAIN}"))
            case "account":
                done(api.put(f"/api/user/admin@{DOMAIN}", accountStatus="disabled"))
        before = corp.snapshot()

        serve().gateways.start()

        ended = outcome(api, job)
        assert (ended["status"], ended["code"]) == ("failed", "PERMISSION_DENIED")
        assert corp.snapshot() == before


def state_path(served: Served) -> str:
    return served.config.state.url.reveal().removeprefix("sqlite:///")


class TestDeath:
    def test_job_of_a_dead_worker_is_finished(
        self, served: Served, api: Client, corp: World, serve: Any, tmp_path: Path
    ) -> None:
        """By whoever finds no sign of life, not before."""
        rest(served)
        job = later(api, "PUT", PATH, accountStatus="disabled")
        with closing(state_file(tmp_path)) as file, file:
            file.execute("UPDATE jobs SET status = 'running', worker = 'dead', heartbeat = 1")

        serve(jobs={"abandoned": 0.5}).gateways.start()

        assert outcome(api, job)["status"] == "done"
        assert unmarked(corp) == 0

    def test_killed_in_the_middle(
        self, corp: World, proxy: Proxy, tmp_path: Path, api: Client
    ) -> None:
        """Two workers of gunicorn; the one that carries it out is killed, the other goes on."""
        proxy.to_server = 0.05
        with gunicorn(corp, tmp_path, proxy.uri, JOBS_ABANDONED="1.0") as url:
            client = Client(url).log_in()
            job = later(client, "PUT", PATH, accountStatus="disabled")
            wait_until(lambda: unmarked(corp) < USERS - 20)
            os.kill(worker_of(tmp_path), signal.SIGKILL)
            left = unmarked(corp)

            assert 0 < left < USERS
            # A connection of the dead worker is none for the next call.
            client.session.mount("http://", requests.adapters.HTTPAdapter(max_retries=3))
            assert outcome(client, job)["status"] == "done"

        assert unmarked(corp) == 0
        with closing(state_file(tmp_path)) as file:
            assert file.execute("SELECT attempts FROM jobs").fetchall() == [(2,)]

    def test_restart_loses_no_time(
        self, corp: World, proxy: Proxy, tmp_path: Path, api: Client
    ) -> None:
        """A server that ends in order lets the job go; its successor takes it, without a call."""
        proxy.to_server = 0.05
        with gunicorn(corp, tmp_path, proxy.uri, JOBS_ABANDONED="600.0") as url:
            job = later(Client(url).log_in(), "PUT", PATH, accountStatus="disabled")
            wait_until(lambda: unmarked(corp) < USERS - 20)
        assert unmarked(corp) > 0
        with closing(state_file(tmp_path)) as file:
            assert file.execute("SELECT status FROM jobs").fetchall() == [("queued",)]

        proxy.to_server = 0.0
        with gunicorn(corp, tmp_path, proxy.uri, JOBS_ABANDONED="600.0"):
            wait_until(lambda: unmarked(corp) == 0)
            with closing(state_file(tmp_path)) as file:
                query = "SELECT status, attempts FROM jobs"
                wait_until(lambda: file.execute(query).fetchall() == [("done", 1)])
        assert outcome(api, job)["status"] == "done"


def worker_of(tmp_path: Path) -> int:
    """Process that holds the running job."""
    with closing(state_file(tmp_path)) as file:
        ((worker,),) = file.execute("SELECT worker FROM jobs WHERE status = 'running'")
    return int(worker.split(":")[1])
