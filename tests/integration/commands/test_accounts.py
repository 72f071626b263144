"""Accounts and policies on the command line: on the server itself, and from elsewhere."""

import json
import os
import pwd
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from iredldap.commands.api import refusals
from iredldap.commands.api.connect import TOKEN_VARIABLE, URL_VARIABLE
from iredldap.commands.logs import errors_only_logged
from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.dit import token_scopes
from tests.support.client import Client
from tests.support.client import done as answered
from tests.support.command_line import configured, done, refused, run
from tests.support.databases import Urls
from tests.support.patience import comes_within
from tests.support.serving import Served
from tests.support.world import ADMIN, World, salted

DOMAIN = "here.test"
ANN = f"ann@{DOMAIN}"
PASSWORD = "a good password"


def token(api: Client, **parameters: str) -> str:
    given = {"name": "shell", "scopes": ",".join(token_scopes.SCOPES), **parameters}
    secret: str = api.post("/api/tokens", **given).json()["_data"]["secret"]
    return secret


@pytest.fixture(params=["on the server", "from elsewhere"])
def who(
    request: pytest.FixtureRequest,
    api: Client,
    served: Served,
    tmp_path: Path,
    urls: Urls,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """Both ways to the API; gives whom the change log names."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    if request.param == "on the server":
        configured(served, tmp_path, urls, monkeypatch)
        yield f"unix:{pwd.getpwuid(os.getuid()).pw_name}"
        return
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.setenv(URL_VARIABLE, served.url)
    monkeypatch.setenv(TOKEN_VARIABLE, token(api))
    # The server is in this process, too.
    with errors_only_logged("refused"):
        yield ADMIN


@pytest.fixture
def firm(who: str, api: Client) -> str:
    answered(api.post(f"/api/domain/{DOMAIN}"))
    answered(api.post(f"/api/user/{ANN}", password=PASSWORD, name="Ann"))
    return who


def shown(*arguments: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(done(*arguments, "--json"))
    return found


def test_the_life_of_a_user(who: str, api: Client, world: World) -> None:
    """From the domain on to the deletion; the change log has who did it."""
    assert done("domain", "create", DOMAIN, "--default-quota", "1024") == (
        f"domain {DOMAIN} created\n"
    )
    made = done("user", "create", ANN, "--name", "Ann", "--quota", "512", typed=f"{PASSWORD}\n")
    assert made == f"user {ANN} created\n"
    entry = world.attributes(world.tree.user(ANN))
    assert (entry["cn"], entry["mailQuota"]) == ({"Ann"}, {str(512 * 1024 * 1024)})
    assert "the password is right" in done("user", "check-password", ANN, typed=f"{PASSWORD}\n")
    logged = api.get("/api/changes", limit="1").json()["_data"][0]
    assert (logged["endpoint"], logged["admin"], logged["account"]) == ("user_create", who, ANN)

    done("user", "update", ANN, "--add-alias", f"a@{DOMAIN}", "--add-alias", f"b@{DOMAIN}")
    assert world.attributes(world.tree.user(ANN))["shadowAddress"] == {
        f"a@{DOMAIN}", f"b@{DOMAIN}",
    }  # fmt: skip
    assert done("user", "list", DOMAIN, "--names") == f"{ANN}\n"
    assert done("user", "list", DOMAIN).splitlines()[1].split()[:2] == [ANN, "Ann"]
    assert ANN in done("user", "show", ANN)

    assert done("user", "disable", ANN) == f"user {ANN} disabled\n"
    assert world.attributes(world.tree.user(ANN))["accountStatus"] == {"disabled"}
    assert done("user", "enable", ANN) == f"user {ANN} enabled\n"
    assert done("user", "passwd", ANN, typed="another password\n") == (
        f"user {ANN} has a new password\n"
    )
    assert refused("user", "check-password", ANN, status=1, typed=f"{PASSWORD}\n")
    assert done("user", "rename", ANN, f"eve@{DOMAIN}") == f"user {ANN} is now eve@{DOMAIN}\n"
    before = world.snapshot()
    assert "changetype: delete" in done("user", "delete", f"eve@{DOMAIN}", "--dry-run")
    assert world.snapshot() == before
    assert done("user", "delete", f"eve@{DOMAIN}", "--yes") == f"user eve@{DOMAIN} deleted\n"
    assert done("domain", "delete", DOMAIN, "--yes") == f"domain {DOMAIN} deleted\n"
    assert world.find("(objectClass=mailDomain)") == []


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("user", "show", f"amn@{DOMAIN}"), 3, f"no user amn@{DOMAIN}; did you mean {ANN}?"),
        (("user", "show", "ann@heer.test"), 3, f"no domain heer.test; did you mean {DOMAIN}?"),
        (("alias", "show", ANN), 3, f"no alias {ANN}: it is a user; see: iredldap user show {ANN}"),
        (("user", "show", "ann"), 1, "'ann' is no mail address"),
        (("user", "rename", ANN, "a@heer.test"), 3, f"no domain heer.test; did you mean {DOMAIN}?"),
        (("snapshot", "heer.test"), 3, f"no domain heer.test; did you mean {DOMAIN}?"),
        (("alias", "create", ANN), 5, f"{ANN} exists already"),
        (("alias", "create", "a@far.test"), 3, "no domain far.test"),
        (("user", "update", ANN, "--quota", "much"), 1, "--quota: Mailbox size in MB"),
        (("user", "update", ANN, "--forwarding", f"no@{DOMAIN}"), 1, f"has no@{DOMAIN}"),
        (("user", "update", ANN, "--add-alias", ANN), 5, f"account has {ANN} (ALREADY_EXISTS)"),
        (("alias", "create", f"i@{DOMAIN}", "--members", f"no@{DOMAIN}"), 1, f"has no@{DOMAIN}"),
        (("list", "create", f"l@{DOMAIN}", "--members", f"no@{DOMAIN}"), 1, f"has no@{DOMAIN}"),
        (("domain", "update", DOMAIN, "--catchall", f"no@{DOMAIN}"), 1, f"has no@{DOMAIN}"),
        (("jobs", "show", "none"), 3, "no job none"),
        (("user", "update", ANN), 2, "nothing to change"),
        (("user", "delete", ANN), 2, f"this would delete {ANN}: --yes is needed"),
        (("user", "passwd", ANN, "--password-file", "/none"), 2, "/none: No such file"),
        (("list", "create", f"l@{DOMAIN}", "--subscribers", ANN), 2, "--subscribers: not with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_refusals_name_what_was_asked_and_the_remedy(
    firm: str, arguments: tuple[str, ...], status: int, message: str
) -> None:
    assert message in refused(*arguments, status=status)


def test_a_line_for_each_option_whose_value_is_not_taken(firm: str) -> None:
    """Not the whole help of each."""
    values = ("--period", "long", "--max-msgs", "many")
    told = refused("throttle", "set", ANN, "outbound", *values, status=1)
    assert sorted(line.partition(":")[0] for line in told.splitlines()[1:]) == [
        "  --max-msgs",
        "  --period",
    ]


def test_a_name_is_suggested_among_more_than_a_page(
    firm: str, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what a slip leaves as it is, at the beginning or the end."""
    for number in range(5):
        answered(api.post(f"/api/alias/worker{number}2345@{DOMAIN}"))
    monkeypatch.setattr(refusals, "_MOST", "2")
    for wrong in ("worker3345", "worker323456", "wroker32345", "Worker3234", "worke32345"):
        told = refused("alias", "show", f"{wrong}@{DOMAIN}", status=3)
        assert f"did you mean worker32345@{DOMAIN}?" in told, wrong


def test_a_hash_takes_the_place_of_a_password(firm: str, world: World, tmp_path: Path) -> None:
    """Then no password is asked for."""
    stored = salted("from elsewhere")
    (tmp_path / "hash").write_text(f"{stored}\n")
    done("user", "passwd", ANN, "--password-hash-file", str(tmp_path / "hash"))
    assert world.attributes(world.tree.user(ANN))["userPassword"] == {stored}


def test_a_weak_password_is_refused_with_the_rule(firm: str) -> None:
    """And with the parameter."""
    told = refused("user", "passwd", ANN, status=1, typed="short\n")
    assert "The password is too short" in told
    assert "PW_SHORTER_THAN_MIN_LENGTH" in told


def test_for_programs_an_error_is_json_on_standard_error(firm: str) -> None:
    told = json.loads(refused("user", "show", f"amn@{DOMAIN}", "--json", status=3))
    assert (told["_success"], told["_msg"]) == (False, "NO_SUCH_ACCOUNT")
    assert "did you mean" in told["message"]


def test_a_change_is_named_for_programs(firm: str, api: Client) -> None:
    changed = shown("user", "update", ANN, "--name", "Annie")
    logged = api.get(f"/api/changes/{changed['change']}").json()["_data"]
    assert logged["endpoint"] == "user_update"


def test_lists_of_both_kinds_are_listed_together(firm: str, api: Client, world: World) -> None:
    """One kind alone is asked for by an option."""
    for name in ("plain", "staff"):
        answered(api.post(f"/api/maillist/{name}@{DOMAIN}", name=name.title()))
    news = f"news@{DOMAIN}"
    services = ["mail", "deliver", "mlmmj"]
    world.add(world.tree.maillist(news), objectClass="mailList", mail=news, enabledService=services)
    both = [f"{name}@{DOMAIN}" for name in ("news", "plain", "staff")]
    assert done("list", "list", DOMAIN, "--names").split() == both
    assert done("list", "list", DOMAIN, "--names", "--limit", "2").split() == both[:2]
    assert done("list", "list", DOMAIN, "--names", "--kind", "plain").split() == both[1:]
    assert done("list", "list", DOMAIN, "--names", "--kind", "subscribable").split() == both[:1]
    table = run("list", "list", DOMAIN)
    # No mlmmjadmin is set up: of its list there is what the directory has.
    assert "mlmmjadmin, which has the subscribable lists" in table.stderr
    assert [line.split()[:2] for line in table.stdout.splitlines()] == [
        ["address", "kind"],
        [news, "subscribable"],
        *([mail, "plain"] for mail in both[1:]),
    ]
    plain = done("list", "list", DOMAIN, "--kind", "plain").splitlines()
    assert [line.split() for line in plain[1:]] == [
        [f"plain@{DOMAIN}", "Plain", "public"],
        [f"staff@{DOMAIN}", "Staff", "public"],
    ]


def test_admins_are_listed(firm: str, api: Client) -> None:
    answered(api.post("/api/admin/eve@far.test", password=PASSWORD, name="Eve"))
    assert done("admin", "list", "--names").split() == ["eve@far.test", ADMIN]
    assert done("admin", "list", "--search", "eve").splitlines()[1].split() == [
        "eve@far.test", "Eve", "active",
    ]  # fmt: skip


def test_the_sessions_of_an_admin_and_of_all_are_ended(who: str, served: Served) -> None:
    """A slip in the address ends nothing, and is told."""
    client = served.client().log_in()
    assert "no admin" in refused("sessions", "end", "nobody@elsewhere.test", status=3)
    for wrong in ([], [ADMIN, "--all"]):
        assert "an ADDRESS or --all" in refused("sessions", "end", *wrong, status=2)
    assert f"end the sessions of {ADMIN}" in done("sessions", "end", ADMIN, "--dry-run")
    assert client.get("/api/domains").status_code == 200
    for words, told in (
        ([ADMIN], f"sessions of {ADMIN} ended\n"),
        (["--all"], "all sessions ended\n"),
    ):
        client = served.client().log_in()
        assert done("sessions", "end", *words) == told
        comes_within(lambda: client.get("/api/domains").status_code == 401, 2)  # noqa: B023


def test_policies_of_everybody_a_domain_and_an_account(firm: str, api: Client) -> None:
    """One command for the three; ACCOUNT says which."""
    for account in ("global", DOMAIN, ANN):
        made = done("throttle", "set", account, "inbound", "--period", "60", "--max-msgs", "5")
        assert made == f"throttle {account} set\n"
        assert api.get(f"/api/throttle/{account}/inbound").json()["_data"]["max_msgs"] == 5
        assert "max_msgs" in done("throttle", "show", account, "inbound")
        done("throttle", "delete", account, "inbound", "--yes")
        assert api.get(f"/api/throttle/{account}/inbound").json()["_data"] == {}
        done("whitelist", "add", account, "a@far.test", "@far.test")
        assert {*done("whitelist", "show", account).split()} == {"a@far.test", "@far.test"}
        done("whitelist", "remove", account, "a@far.test")
        assert done("whitelist", "show", account) == "@far.test\n"
        done("whitelist", "clear", account, "--yes")
        done("blacklist", "add", account, "--direction", "outbound", "b@far.test")
        assert done("blacklist", "show", account, "--direction", "outbound") == "b@far.test\n"
        done("spam-policy", "set", account, "--spam-score", "4.5")
        assert "4.5" in done("spam-policy", "show", account)
        done("spam-policy", "delete", account, "--yes")
    done("greylisting", "set", ANN, "--status", "enable")
    assert ANN in done("greylisting", "list")


def test_domains_have_services_and_admins(firm: str, api: Client) -> None:
    done("domain", "services", "update", DOMAIN, "--disable-service", "pop3")
    assert "pop3" not in done("domain", "services", "show", DOMAIN).split()
    answered(api.post("/api/admin/eve@far.test", password=PASSWORD))
    done("domain", "admins", "update", DOMAIN, "--add-admin", "eve@far.test")
    assert api.get(f"/api/domain/{DOMAIN}").json()["_data"]["domainAdmin"] == ["eve@far.test"]


def test_a_large_change_is_a_job_that_is_waited_for(firm: str, api: Client, world: World) -> None:
    """On the server it is carried out at once, because no worker does it for the command."""
    answered(api.post(f"/api/user/bob@{DOMAIN}", password=PASSWORD))
    done("user", "update-all", DOMAIN, "--language", "de_DE", "--yes")
    assert world.attributes(world.tree.user(ANN))["preferredLanguage"] == {"de_DE"}
    if firm != ADMIN:
        told = refused("domain", "update", DOMAIN, "--name", "Firm", "--no-wait", status=2)
        assert "--no-wait" in told
    else:
        job = done("domain", "update", DOMAIN, "--account-status", "disabled", "--no-wait").strip()
        assert job in done("jobs", "show", job)
        assert job in done("jobs", "list")


class Stranger(BaseHTTPRequestHandler):
    """A web server that is no API, and one that leads elsewhere."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path.startswith("/moved") else 200)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.mark.parametrize("who", ["from elsewhere"], indirect=True)
class TestFromElsewhere:
    """A URL and a token."""

    def test_a_token_that_ended(self, firm: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(TOKEN_VARIABLE, "irt_none")
        assert "the token is not valid" in refused("user", "show", ANN, status=6)

    def test_a_token_that_may_little(
        self, firm: str, api: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(TOKEN_VARIABLE, token(api, scopes="users:read"))
        done("user", "show", ANN)
        told = refused("user", "disable", ANN, status=6)
        assert "the token lacks the scope users:update (PERMISSION_DENIED)" in told

    def test_a_server_that_does_not_answer(self, firm: str) -> None:
        told = refused("user", "show", ANN, "--url", "http://127.0.0.1:9", status=4)
        assert "http://127.0.0.1:9 does not answer" in told

    def test_what_answers_is_not_the_api(self, firm: str, served: Served) -> None:
        with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as other:
            threading.Thread(target=other.serve_forever, args=(0.01,), daemon=True).start()
            url = f"http://127.0.0.1:{other.server_port}"
            assert "is not the API" in refused("user", "show", ANN, "--url", url, status=4)
            told = refused("user", "show", ANN, "--url", f"{url}/moved", status=4)
            assert "redirects to http://127.0.0.1:9/" in told
            other.shutdown()

    def test_a_file_of_the_user(
        self, firm: str, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Which others may not read; its token is sent to its own URL alone."""
        path = tmp_path / "mine" / "iredldap.toml"
        path.parent.mkdir()
        secret = os.environ[TOKEN_VARIABLE]
        path.write_text(f'url = "{served.url}/iredadmin/api"\ntoken = "{secret}"\n')
        monkeypatch.setenv("XDG_CONFIG_HOME", str(path.parent))
        for name in (URL_VARIABLE, TOKEN_VARIABLE):
            monkeypatch.delenv(name)
        path.chmod(0o640)
        assert f"chmod 600 {path}" in refused("user", "show", ANN, status=2)
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        assert ANN in done("user", "show", ANN)
        told = refused("user", "show", ANN, "--url", "http://127.0.0.1:9", status=2)
        assert "no token for http://127.0.0.1:9" in told
        path.write_text('colour = "blue"\n')
        assert "colour" in refused("user", "show", ANN, status=2)

    def test_an_option_comes_before_the_environment(
        self, firm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = tmp_path / "other.toml"
        told = refused("user", "show", ANN, "--config", other, status=2)
        assert str(other) in told
        monkeypatch.setenv(CONFIG_VARIABLE, str(other))
        assert "exclude each other" in refused("user", "show", ANN, status=2)
        assert run("user", "show", ANN, "--url", os.environ[URL_VARIABLE]).exit_code == 0

    def test_a_token_is_not_sent_in_the_clear_without_a_word(self, firm: str) -> None:
        told = refused("whoami", "--url", "http://nothing.invalid/iredadmin/api", status=4)
        assert "without TLS" in told
