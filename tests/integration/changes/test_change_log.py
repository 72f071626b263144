"""The change log over HTTP and by the command: who changed what, and who may see it."""

import json
import os
import pwd
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from iredldap import errors
from iredldap.cli import main
from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.dit.change_log import Sealed, TouchedEntry
from iredldap.dit.touched_text import unpacked
from ldif_export.__main__ import main as exporter
from tests.support import gunicorn
from tests.support.client import Client, done, refused
from tests.support.patience import wait_until
from tests.support.proxy import Proxy
from tests.support.serving import Served
from tests.support.world import ADMIN, World

HERE, THERE = "here.test", "there.test"
ANN, EVE = f"ann@{HERE}", f"eve@{THERE}"
PASSWORD, NEXT = "a long first password", "a long second password"
UPDATES = "mailForwardingAddress"


@pytest.fixture
def filled(api: Client) -> Client:
    """Two domains with a user each."""
    for mail in (ANN, EVE):
        done(api.post(f"/api/domain/{mail.partition('@')[2]}"))
        done(api.post(f"/api/user/{mail}", name="First", password=PASSWORD))
    return api


def normal_admin(api: Client, served: Served, mail: str = ANN) -> Client:
    """Make a user an admin of their domain; give their client."""
    done(api.put(f"/api/domain/admins/{mail.partition('@')[2]}", addAdmin=mail))
    return served.client().log_in(mail, PASSWORD)


def logged(client: Client, path: str = "/api/changes", **filters: str) -> Any:
    answer = client.get(path, **filters)
    assert answer.status_code == 200, answer.text
    envelope = answer.json()
    assert {*envelope} == {"_success", "_data"}
    return envelope["_data"]


def ids(client: Client, **filters: str) -> list[str]:
    return [change["id"] for change in logged(client, **filters)]


def id_of(answer: requests.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Change-Id"]


class TestReading:
    def test_who_changed_the_forwarding_and_what_was_it_before(self, filled: Client) -> None:
        path = f"/api/user/{ANN}"
        first = id_of(filled.put(path, forwarding="old@else.test"))
        second = id_of(filled.put(path, forwarding="new@else.test"))
        id_of(filled.put(path, name="Other"))

        found = logged(filled, account=ANN, attribute=UPDATES, since="1h")

        assert [change["id"] for change in found] == [second, first]
        (change, _) = found
        assert (change["admin"], change["endpoint"]) == (ADMIN, "user_update")
        assert (change["account"], change["domain"]) == (ANN, HERE)
        assert change["parameters"] == {"forwarding": ["new@else.test"]}
        assert (change["result"], change["entries"], change["more"]) == ("done", 1, False)
        (touched,) = change["touched"]
        assert touched["attributes"] == {
            UPDATES: {"removed": ["old@else.test"], "added": ["new@else.test"]}
        }
        (before,) = found[1]["touched"]
        assert before["after"] == touched["before"] < touched["after"]
        assert logged(filled, f"/api/changes/{second}")["touched"] == [touched]

    def test_a_change_of_a_domain_is_found_by_the_account(self, filled: Client) -> None:
        done(filled.post(f"/api/user/bob@{HERE}", name="Bob", password=PASSWORD))
        change = id_of(filled.put(f"/api/users/{HERE}", language="de_DE"))

        (found,) = logged(
            filled, account=ANN, attribute="preferredLanguage", endpoint="users_update"
        )

        assert (found["id"], found["entries"]) == (change, 2)
        (touched,) = found["touched"]
        assert touched["dn"].startswith(f"mail={ANN},")

    def test_filters_and_pages(self, filled: Client) -> None:
        every = ids(filled)
        assert every == sorted(every, reverse=True)
        assert len(every) == 4
        assert ids(filled, domain=THERE) == every[:2]
        assert ids(filled, endpoint="domain_create") == every[1::2]
        assert ids(filled, admin=ADMIN.upper(), until="0s") == every
        assert ids(filled, admin="other@admins.test") == ids(filled, since="2090-01-01") == []
        assert ids(filled, until="2020-01-01T00:00:00+01:00") == []

        page = filled.get("/api/changes", limit="3")
        assert [change["id"] for change in page.json()["_data"]] == every[:3]
        assert page.headers["X-Next-Cursor"] == every[2]
        assert ids(filled, limit="3", cursor=every[2]) == every[3:]
        refused(filled.get("/api/changes", since="yesterday"), 400, "INVALID_PARAMETER")
        refused(filled.get("/api/changes", cursor="x"), 400, "INVALID_PARAMETER")
        refused(filled.get("/api/changes/x"), 404, "NO_SUCH_CHANGE")

    def test_a_stream_has_a_line_for_each_change(self, filled: Client) -> None:
        answer = filled.call("GET", "/api/changes", headers={"Accept": "application/x-ndjson"})

        assert answer.headers["Content-Type"] == "application/x-ndjson"
        assert [json.loads(line) for line in answer.text.splitlines()] == logged(filled)

    def test_an_answer_without_a_write_names_no_change(self, filled: Client) -> None:
        before = ids(filled)
        for answer in (
            filled.put(f"/api/user/{ANN}"),
            filled.post(f"/api/user/{ANN}", name="x", password=PASSWORD),
            filled.get(f"/api/user/{ANN}"),
        ):
            assert "X-Change-Id" not in answer.headers
        assert ids(filled) == before

    def test_a_change_names_the_token(self, filled: Client) -> None:
        headers = new_token(filled)
        client = Client(filled.url)
        change = id_of(client.call("PUT", f"/api/domain/{HERE}", headers=headers, name="New"))

        token = logged(filled, f"/api/changes/{change}")["token"]

        assert token
        assert ids(filled, token=token) == [change]
        assert ids(filled, token="other") == []

    def test_a_job_is_in_the_log(self, filled: Client, served: Served) -> None:
        promise = {"Prefer": "respond-async"}
        answer = filled.call("PUT", f"/api/users/{HERE}", headers=promise, language="de_DE")
        job = answer.json()["_data"]["job"]

        wait_until(lambda: filled.get(f"/api/jobs/{job}").json()["_data"]["status"] == "done")

        (change,) = logged(filled, endpoint="users_update")
        assert (change["job"], change["admin"], change["entries"]) == (job, ADMIN, 1)

    def test_a_restore_is_in_the_log(self, filled: Client, world: World) -> None:
        file = filled.session.get(
            f"{filled.url}/api/ldif", headers={"Accept": "text/ldif"}, timeout=60
        ).content
        done(filled.delete(f"/api/user/{ANN}"))

        answer = filled.send_file("/api/ldif", file)

        change = logged(filled, f"/api/changes/{id_of(answer)}")
        assert (change["endpoint"], change["entries"]) == ("ldif_restore", 1)
        assert [one["event"] for one in change["touched"]] == ["add"]
        assert world.entry(world.tree.user(ANN))


def new_token(client: Client) -> dict[str, str]:
    """Make a token that may change domains; give the header that a request with it has."""
    answer = client.post("/api/tokens", name="script", scopes="domains:update")
    return {"Authorization": f"Bearer {answer.json()['_data']['secret']}"}


class TestRights:
    def test_normal_admins_see_what_happened_in_their_domains(
        self, filled: Client, served: Served
    ) -> None:
        there = id_of(filled.put(f"/api/user/{EVE}", name="Changed"))
        here = id_of(filled.put(f"/api/user/{ANN}", name="Changed"))
        client = normal_admin(filled, served)

        seen = logged(client)

        assert {change["domain"] for change in seen} == {HERE}
        assert here in {change["id"] for change in seen}
        assert there not in {change["id"] for change in seen}
        assert logged(client, f"/api/changes/{here}")["parameters"] == {"name": ["Changed"]}
        refused(client.get(f"/api/changes/{there}"), 404, "NO_SUCH_CHANGE")
        assert logged(client, domain=THERE) == []

    def test_no_filter_tells_what_is_hidden(self, filled: Client, served: Served) -> None:
        """That a change here touched an entry elsewhere."""
        bob = f"bob@{HERE}"
        done(filled.post(f"/api/user/{bob}", password=PASSWORD))
        done(filled.post(f"/api/alias/team@{THERE}", members=f"{bob},{EVE}"))
        client = normal_admin(filled, served)
        deleted = id_of(client.delete(f"/api/user/{bob}"))

        assert deleted in ids(client, account=bob)
        assert deleted in ids(client, domain=HERE)
        for filters in ({"account": f"team@{THERE}"}, {"domain": THERE}):
            assert deleted in ids(filled, **filters)
            assert deleted not in ids(client, **filters)

    def test_of_a_request_elsewhere_they_see_what_it_touched_here(
        self, filled: Client, served: Served
    ) -> None:
        done(filled.post(f"/api/alias/team@{HERE}", members=f"{ANN},{EVE}"))
        client = normal_admin(filled, served)
        deleted = id_of(filled.delete(f"/api/user/{EVE}"))

        seen = logged(client, f"/api/changes/{deleted}")

        assert {touched["dn"] for touched in seen["touched"]} == {
            served.gateways.directory.tree.alias(f"team@{HERE}")
        }
        assert not {"account", "domain", "parameters", "steps", "client"} & {*seen}
        whole = logged(filled, f"/api/changes/{deleted}")
        assert len(whole["touched"]) == whole["entries"] > 1

    def test_global_admins_in_their_domain_stay_hidden(
        self, filled: Client, served: Served
    ) -> None:
        chief = f"chief@{HERE}"
        done(filled.post(f"/api/user/{chief}", name="Chief", password=PASSWORD))
        promoted = id_of(filled.put(f"/api/user/{chief}", isGlobalAdmin="yes"))
        client = normal_admin(filled, served)

        assert ids(client, account=chief) == []
        refused(client.get(f"/api/changes/{promoted}"), 404, "NO_SUCH_CHANGE")
        assert promoted in ids(filled, account=chief)

    def test_who_is_not_logged_in_sees_nothing(self, served: Served) -> None:
        refused(served.client().get("/api/changes"), 401, "LOGIN_REQUIRED")
        refused(served.client().get("/api/changes/x"), 401, "LOGIN_REQUIRED")

    def test_hidden_attributes_have_no_values(self, serve: Any) -> None:
        served = serve(api={"api_hidden_user_profiles": ["employeeNumber"]})
        api = served.client().log_in()
        done(api.post(f"/api/domain/{HERE}"))
        done(api.post(f"/api/user/{ANN}", name="Ann", password=PASSWORD))
        change = id_of(api.put(f"/api/user/{ANN}", employeeid="4711", password=NEXT))

        (touched,) = logged(api, f"/api/changes/{change}")["touched"]

        assert touched["attributes"]["employeeNumber"] == {"hidden": True}
        assert touched["attributes"]["userPassword"] == {"hidden": True}


class TestSecrets:
    def test_no_secret_is_found_in_files_logs_and_answers(
        self, filled: Client, world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Clear text, hash, and the hash's base64, of every password; and the secret of a token."""
        user = world.tree.user(ANN)
        stored = hashes(world, user)
        answers = [
            filled.put(f"/api/user/{ANN}", password=NEXT),
            filled.put(f"/api/users/{HERE}", password=NEXT),
            filled.post("/api/admin/new@admins.test", password=NEXT, name="New"),
        ]
        stored += hashes(world, user) + hashes(world, world.tree.admin("new@admins.test"))
        answers += [filled.delete("/api/admin/new@admins.test"), filled.delete(f"/api/user/{ANN}")]
        answers += [filled.get(f"/api/changes/{id_of(answer)}") for answer in answers]
        answers.append(filled.get("/api/changes"))
        token = new_token(filled)
        answers.append(
            Client(filled.url).call("PUT", f"/api/domain/{HERE}", headers=token, name="By token")
        )
        secrets = {PASSWORD.encode(), NEXT.encode(), *stored}
        secrets.add(token["Authorization"].partition(" ")[2].encode())
        secrets |= {value.partition(b"}")[2] for value in stored}

        texts = {f"answer {number}": answer.content for number, answer in enumerate(answers)}
        texts |= {file.name: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
        texts["output"] = "".join(capfd.readouterr()).encode()
        assert {"state.sqlite3", "state.sqlite3.changes"} <= {*texts}
        found = [
            (name, secret) for name, text in texts.items() for secret in secrets if secret in text
        ]
        assert found == []

    def test_sealed_passwords_are_kept_for_an_undo(self, filled: Client, served: Served) -> None:
        directory, log = served.gateways.directory, served.gateways.change_log
        user = directory.tree.user(ANN)
        before = directory.read(user)
        change = id_of(filled.put(f"/api/user/{ANN}", password=NEXT))

        ((one,),) = ([*unpacked(data)] for data in log.store.touched(change))

        assert isinstance(one, TouchedEntry)
        (sealed,) = one.attributes["userPassword"].removed or ()
        assert isinstance(sealed, Sealed)
        opened = log.seals.opened(one)
        assert isinstance(opened, TouchedEntry)
        assert before
        assert [*(opened.attributes["userPassword"].removed or ())] == before.values("userPassword")


def hashes(world: World, dn: str) -> list[bytes]:
    entry = world.entry(dn)
    assert entry
    return entry.values("userPassword")


class TestFailure:
    """The log is down: a directory is in the place of its file."""

    @staticmethod
    def break_log(served: Served, tmp_path: Path) -> None:
        served.gateways.change_log.store.close()
        for file in tmp_path.glob("state.sqlite3.changes*"):
            file.unlink()
        (tmp_path / "state.sqlite3.changes").mkdir()

    def test_a_change_is_refused_before_anything_is_done(
        self, filled: Client, served: Served, world: World, tmp_path: Path
    ) -> None:
        before = world.snapshot()
        self.break_log(served, tmp_path)

        for answer in (
            filled.put(f"/api/user/{ANN}", name="Changed"),
            filled.delete(f"/api/domain/{HERE}"),
            filled.post("/api/throttle/global/inbound", period="60", max_msgs="5"),
        ):
            refused(answer, 503, "CHANGE_LOG_UNAVAILABLE")
            assert "X-Change-Id" not in answer.headers
        assert world.snapshot() == before
        assert filled.get("/api/changes").json()["_msg"] == "SERVER_DOWN"
        (tmp_path / "state.sqlite3.changes").rmdir()
        done(filled.put(f"/api/user/{ANN}", name="Changed"))

    def test_a_change_goes_on_and_is_stored_later(
        self, serve: Any, world: World, tmp_path: Path
    ) -> None:
        served = serve(changes={"on_failure": "go_on"}, jobs={"abandoned": 0.5})
        api = served.client().log_in()
        self.break_log(served, tmp_path)

        answer = done(api.post(f"/api/domain/{HERE}"))

        assert answer.headers["X-Change-Log"] == "late"
        (tmp_path / "state.sqlite3.changes").rmdir()
        change = id_of(answer)
        wait_until(lambda: change in ids(api))
        shown = logged(api, f"/api/changes/{change}")
        assert (shown["result"], len(shown["touched"])) == ("done", 5)

    def test_a_log_that_fails_at_the_end_has_the_change_later(
        self, serve: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The change has been made: it is not refused, whatever the setting."""
        served = serve(jobs={"abandoned": 60})
        api = served.client().log_in()
        store = served.gateways.change_log.store
        finish, failures = store.finish, iter([True])

        def failing(*arguments: Any) -> None:
            if next(failures, False):
                raise errors.ServerDown("down")
            finish(*arguments)

        monkeypatch.setattr(store, "finish", failing)
        answer = done(api.post(f"/api/domain/{HERE}"))

        assert answer.headers["X-Change-Log"] == "late"
        change = id_of(answer)
        wait_until(lambda: logged(api, f"/api/changes/{change}")["result"] == "done")


class TestDeath:
    def test_killed_between_the_write_and_the_log(
        self, world: World, tmp_path: Path, filled: Client
    ) -> None:
        """The response is on its way for a while, so the worker dies before it has it."""
        with (
            Proxy(("127.0.0.1", world.slapd.port)) as proxy,
            gunicorn.started(world, tmp_path, proxy.uri, JOBS_ABANDONED="0.5") as running,
        ):
            client = Client(running.url).log_in()
            proxy.to_client = 0.7
            with pytest.raises(requests.RequestException):
                put_and_kill(client, running, world)
            proxy.to_client = 0.0
            # By a worker that the server has started meanwhile.
            api = Client(running.url).log_in()
            wait_until(lambda: logged(api, account=ANN)[0]["result"] == "unconfirmed")
            change = logged(api, account=ANN)[0]

        (touched,) = change["touched"]
        assert touched["attributes"] == {"cn": {"removed": None, "added": ["Killed"]}}
        entry = world.entry(world.tree.user(ANN))
        assert entry
        assert touched["after"] == entry.csn


def put_and_kill(client: Client, running: gunicorn.Running, world: World) -> None:
    """Change a name; kill every worker when the directory has it."""
    dn = world.tree.user(ANN)

    def kill() -> None:
        wait_until(lambda: "Killed" in world.attributes(dn)["cn"])
        for pid in running.workers():
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        client.put(f"/api/user/{ANN}", name="Killed")
    finally:
        killer.join()


def served_user(served: Served) -> str:
    return served.gateways.directory.tree.user(ANN)


class TestCommand:
    @pytest.fixture
    def config(
        self, filled: Client, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Path:
        """The configuration of the instance that is served."""
        ldap_settings = served.config.ldap
        path = tmp_path / "iredldap.toml"
        path.write_text(
            "[ldap]\n"
            f"uri = {json.dumps(ldap_settings.uri)}\n"
            f'suffix = "{ldap_settings.suffix}"\nbind_dn = "{ldap_settings.bind_dn}"\n'
        )
        monkeypatch.setenv(CONFIG_VARIABLE, str(path))
        monkeypatch.setenv("IREDLDAP_LDAP_BIND_PASSWORD", ldap_settings.bind_password.reveal())
        monkeypatch.setenv("IREDLDAP_SESSION_KEYS", "k" * 32)
        monkeypatch.setenv("IREDLDAP_STATE_URL", served.config.state.url.reveal())
        return path

    def test_changes_are_printed_for_people(self, filled: Client, config: Path) -> None:
        filled.put(f"/api/user/{ANN}", forwarding="old@else.test")
        change = id_of(filled.put(f"/api/user/{ANN}", forwarding="new@else.test"))

        result = CliRunner().invoke(
            main, ["changes", "--account", ANN, "--attribute", UPDATES, "--since", "2h"]
        )

        assert result.exit_code == 0, result.output
        lines = result.output.splitlines()
        assert len(lines) == 8
        assert lines[3] == f"    {UPDATES}: + old@else.test"
        assert lines[4].endswith(f"  {ADMIN}  user_update {ANN}")
        assert lines[5] == f"  id {change}"
        assert lines[6].startswith(f"  changed mail={ANN},")
        assert lines[7] == f"    {UPDATES}: old@else.test → new@else.test"

    def test_json_is_that_of_the_api(self, filled: Client, config: Path) -> None:
        result = CliRunner().invoke(main, ["changes", "--json", "--limit", "3"])

        assert result.exit_code == 0, result.output
        printed = [json.loads(line) for line in result.output.splitlines()]
        assert printed == logged(filled, limit="3")[::-1]

    def test_a_restore_by_the_exporter_is_in_the_log(
        self, filled: Client, config: Path, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Under the name of the user who ran it; not, if the configuration is of another tree."""
        settings, file = served.config.ldap, config.with_name("all.ldif")
        headers = {"Accept": "text/ldif"}
        file.write_bytes(filled.session.get(f"{filled.url}/api/ldif", headers=headers).content)
        done(filled.delete(f"/api/user/{ANN}"))
        monkeypatch.setenv("LDIF_EXPORT_PASSWORD", settings.bind_password.reveal())
        command = [
            *("restore", str(file), "--config", str(config), "--no-progress"),
            *("--uri", settings.uri[0], "--suffix"),
        ]

        other = CliRunner().invoke(exporter, [*command, "dc=other"])
        result = CliRunner().invoke(exporter, [*command, settings.suffix])

        assert other.exit_code == 2
        assert "has the suffix dc=example,dc=com" in other.output
        assert result.exit_code == 0, result.output
        change = logged(filled)[0]
        assert (change["endpoint"], change["result"]) == ("ldif_export_restore", "done")
        assert change["admin"] == f"unix:{pwd.getpwuid(os.getuid()).pw_name}"
        assert change["steps"] == ["restore all.ldif"]
        assert [one["dn"] for one in change["touched"]] == [served_user(served)]
        assert ids(filled, account=ANN)[0] == change["id"]

    def test_a_wrong_time_is_refused(self, config: Path) -> None:
        result = CliRunner().invoke(main, ["changes", "--since", "once"])
        assert result.exit_code == 2
        assert "neither a time" in result.output

    def test_it_follows(self, filled: Client, config: Path) -> None:
        command = [
            sys.executable,
            "-c",
            "from iredldap.cli import main; main()",
            "changes",
            "--follow",
            "--json",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
            try:
                assert following.stdout
                known = [json.loads(following.stdout.readline())["id"] for _ in range(4)]
                change = id_of(filled.put(f"/api/user/{ANN}", name="Followed"))
                found = json.loads(following.stdout.readline())
            finally:
                following.terminate()
        assert known == sorted(known)
        assert found["id"] == change


def test_changes_of_policies_are_in_the_log(filled: Client) -> None:
    change = id_of(filled.post(f"/api/throttle/{ANN}/inbound", period="60", max_msgs="5"))
    shown = logged(filled, f"/api/changes/{change}")
    assert (shown["account"], shown["result"]) == (ANN, "done")
    assert shown["parameters"] == {"period": ["60"], "max_msgs": ["5"]}


def test_old_changes_are_pruned(filled: Client, served: Served) -> None:
    store = served.gateways.change_log.store
    every = ids(filled)
    # The id is made some milliseconds before the change begins, and changes are deleted by it.
    made = int(every[0].replace("-", "")[:12], 16)

    assert store.prune(made) == len(every) - 1
    assert ids(filled) == every[:1]
    assert [*store.touched(every[-1])] == []
