"""`iredldap token` and `iredldap admin`, beside an API that uses the same databases."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from iredldap.cli import main
from iredldap.dit import api_tokens
from iredldap.installation import configuration as toml
from tests.support.client import Client, done, refused
from tests.support.databases import Urls
from tests.support.patience import comes_within
from tests.support.serving import Served, environment
from tests.support.world import ADMIN, ADMIN_PASSWORD, SUFFIX, World

PASSWORD = "a good password"
OTHER = "another good one"


@pytest.fixture
def run(world: World, tmp_path: Path, urls: Urls) -> Any:
    """Run the command with the configuration of `served`, and what is on standard input."""
    path = tmp_path / "iredldap.toml"
    ldap = {"uri": [world.slapd.uri], "suffix": SUFFIX, "bind_dn": f"cn=vmailadmin,{SUFFIX}"}
    path.write_text(toml({"api": {"enable_restful_api": True}, "ldap": ldap}))

    def call(*words: str, sent: str = "") -> Result:
        group, verb, *rest = words
        arguments = [group, verb, "--config", str(path), *rest]
        variables = {**os.environ, **environment(tmp_path, urls)}
        return CliRunner().invoke(main, arguments, input=sent, env=variables)

    return call


def bearer(served: Served, secret: str) -> Client:
    client = served.client()
    client.session.headers["Authorization"] = f"Bearer {secret}"
    return client


def test_a_token_is_created_listed_and_revoked(served: Served, api: Client, run: Any) -> None:
    """Standard output of a creation has the secret, and nothing else has it."""
    done(api.post("/api/domain/one.test"))
    options = ("--scope", "users:read", "--scope", "users:create", "--domain", "one.test")
    made = run("token", "create", ADMIN, "--name", "billing", *options, "--expires", "2099-01-01")

    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    facts = json.loads(made.stderr)
    assert api_tokens.id_of(api_tokens.digest(secret)) == facts["id"]
    assert api.get("/api/tokens").json()["_data"] == [facts]
    client = bearer(served, secret)
    done(client.post("/api/user/ann@one.test", password=PASSWORD))
    (line,) = run("token", "list", "--json").output.splitlines()
    assert json.loads(line) == facts
    assert run("token", "list", "--admin", "none@one.test").output == ""
    listed = run("token", "list").output
    assert "users:create, users:read in one.test until 2099-01-01T00:00:00Z" in listed

    failed = run("token", "revoke", facts["id"], "none")
    assert (failed.exit_code, "nothing was deleted" in failed.output) == (1, True)
    assert client.get("/api/whoami").json()["_success"]
    assert run("token", "revoke", facts["id"]).output == f"{facts['id']} deleted\n"
    comes_within(lambda: client.get("/api/whoami").status_code == 401, 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((ADMIN, "--name", "x", "--scope", "users:fly"), "INVALID_PARAMETER: scopes"),
        ((ADMIN, "--name", "x", "--domain", "none.test"), "NO_SUCH_ACCOUNT: domains"),
        (("nobody@one.test", "--name", "x"), "no active admin"),
        (("nobody", "--name", "x"), "INVALID_USERNAME"),
    ],
)
def test_a_token_that_cannot_be(run: Any, words: tuple[str, ...], message: str) -> None:
    result = run("token", "create", *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr


# --- admin reset --------------------------------------------------------------------------------


def logs_in(served: Served, address: str, password: str) -> dict[str, Any]:
    answer = served.client().log_in(address, password).get("/api/whoami")
    data: dict[str, Any] = answer.json()["_data"]
    return data


def test_a_locked_out_admin_comes_back(served: Served, world: World, run: Any) -> None:
    """Disabled, demoted, the password unknown: all of it is mended."""
    dn = world.tree.admin(ADMIN)
    before = world.entry(dn)
    assert before
    world.set(dn, accountStatus="disabled", domainGlobalAdmin=None)

    result = run("admin", "reset", ADMIN, sent=f"{OTHER}\n")

    assert result.output == f"{ADMIN} was reset, and can log in as a global admin\n"
    assert logs_in(served, ADMIN, OTHER)["is_global_admin"]
    stored = [value.decode() for value in before.values("userPassword")]
    world.set(dn, userPassword=stored, domainGlobalAdmin="yes")


def test_a_missing_admin_is_created(served: Served, run: Any) -> None:
    result = run("admin", "reset", "new@elsewhere.test", sent=f"{PASSWORD}\n")
    assert result.output == "new@elsewhere.test was created, and can log in as a global admin\n"
    assert logs_in(served, "new@elsewhere.test", PASSWORD)["is_global_admin"]


def test_a_mail_user_becomes_an_admin(served: Served, api: Client, run: Any) -> None:
    done(api.post("/api/domain/one.test"))
    done(api.post("/api/user/ann@one.test", password=PASSWORD))
    assert run("admin", "reset", "ann@one.test", sent=f"{OTHER}\n").exit_code == 0
    assert logs_in(served, "ann@one.test", OTHER)["is_global_admin"]


@pytest.mark.parametrize(
    ("address", "sent", "message"),
    [
        (ADMIN, "short\n", "PW_SHORTER_THAN_MIN_LENGTH"),
        (ADMIN, "\n", "PW_EMPTY"),
        (ADMIN, "", "PW_EMPTY"),
        ("ann@one.test", f"{PASSWORD}\n", "CAN_NOT_BE_LOCAL_DOMAIN"),
        ("ann", f"{PASSWORD}\n", "INVALID_MAIL"),
    ],
)
def test_a_reset_that_cannot_be(
    served: Served, api: Client, world: World, run: Any, address: str, sent: str, message: str
) -> None:
    """Nothing is changed, and no message has the password."""
    done(api.post("/api/domain/one.test"))
    before = world.snapshot()
    result = run("admin", "reset", address, sent=sent)
    assert (result.exit_code, message in result.output) == (1, True), result.output
    assert not sent.strip() or sent.strip() not in result.output
    assert world.snapshot() == before
    served.client().log_in(ADMIN, ADMIN_PASSWORD)


def test_an_admin_of_a_disabled_domain_is_named(served: Served, api: Client, run: Any) -> None:
    """They have the role, and the command says that it is not enough."""
    done(api.post("/api/domain/one.test"))
    done(api.post("/api/user/ann@one.test", password=PASSWORD))
    done(api.put("/api/domain/one.test", accountStatus="disabled"))
    result = run("admin", "reset", "ann@one.test", sent=f"{OTHER}\n")
    assert (result.exit_code, "is the domain disabled?" in result.output) == (1, True)
    done(api.put("/api/domain/one.test", accountStatus="active"))
    assert logs_in(served, "ann@one.test", OTHER)["is_global_admin"]
    refused(served.client().get("/api/whoami"), 401, "LOGIN_REQUIRED")
