"""The commands `iredldap resolve` and `iredldap references`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iredldap.cli import main
from tests.support.client import Client, done
from tests.support.databases import Urls
from tests.support.serving import SESSION_KEY
from tests.support.world import SUFFIX, WRITER_PASSWORD, World

DOMAIN = "here.test"
PASSWORD = "a good password"


@pytest.fixture
def config(world: World, urls: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration file for the directory and the databases under test."""
    path = tmp_path / "config.toml"
    path.write_text(
        f'[ldap]\nuri = ["{world.slapd.uri}"]\nsuffix = "{SUFFIX}"\n'
        f'bind_dn = "cn=vmailadmin,{SUFFIX}"\n'
    )
    secrets = {
        "LDAP_BIND_PASSWORD": WRITER_PASSWORD,
        "SESSION_KEYS": SESSION_KEY,
        "STATE_URL": f"sqlite:///{tmp_path}/state.sqlite3",
        "IREDAPD_URL": urls.iredapd,
        "AMAVISD_URL": urls.amavisd,
        "IREDADMIN_URL": urls.iredadmin,
    }
    for name, value in secrets.items():
        monkeypatch.setenv(f"IREDLDAP_{name}", value)
    return path


@pytest.fixture
def firm(api: Client) -> Client:
    done(api.post(f"/api/domain/{DOMAIN}", recipientBcc="archive@far.test"))
    done(api.post(f"/api/user/ann@{DOMAIN}", password=PASSWORD))
    done(api.post(f"/api/alias/sales@{DOMAIN}", members=f"ann@{DOMAIN},x@far.test"))
    done(api.post(f"/api/throttle/ann@{DOMAIN}/inbound", period="60", max_msgs="10"))
    return api


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_resolve(firm: Client, world: World, config: Path) -> None:
    """The status says whether all of the mail arrives."""
    told = run("resolve", f"Sales@{DOMAIN}", "--config", config)
    assert told.exit_code == 0, told.output
    home, *_ = world.attributes(world.tree.user(f"ann@{DOMAIN}"))["homeDirectory"]
    assert told.output.splitlines() == [
        f"sales@{DOMAIN}: alias -> ann@{DOMAIN}, x@far.test",
        f"ann@{DOMAIN}: mailbox, dovecot, {home}, maildir:~/Maildir/",
        "x@far.test: elsewhere",
        "copies of mail to it: archive@far.test (domain)",
    ]

    told = run("resolve", f"nobody@{DOMAIN}", "--config", config)
    assert (told.exit_code, told.output.splitlines()[0]) == (
        1,
        f"nobody@{DOMAIN}: refused, no account has the address",
    )
    assert run("resolve", "x@far.test", "--config", config).exit_code == 1


def test_references(firm: Client, world: World, config: Path) -> None:
    told = run("references", f"ann@{DOMAIN}", "--config", config)

    assert told.exit_code == 0, told.output
    assert told.output.splitlines()[:3] == [
        world.tree.alias(f"sales@{DOMAIN}"),
        f"  mailForwardingAddress: ann@{DOMAIN} (deletion: removed, rename: replaced)",
        "iredapd.throttle: 1 rows (deletion: removed)",
    ]
    told = run("references", DOMAIN, "--config", config, "--json")
    answer = firm.get(f"/api/references/domain/{DOMAIN}").json()["_data"]
    assert json.loads(told.output) == answer


@pytest.mark.parametrize("arguments", [("references", "no domain!"), ("resolve", "no address")])
def test_what_is_no_name_is_refused_in_words(arguments: tuple[str, str], config: Path) -> None:
    run = CliRunner().invoke(main, [*arguments, "--config", str(config)])
    assert (run.exit_code, type(run.exception)) == (1, SystemExit)
    assert "INVALID_" in run.output


def test_nobody(firm: Client, config: Path) -> None:
    told = run("references", f"nobody@{DOMAIN}", "--config", config)

    assert told.exit_code == 1
    assert "NO_SUCH_ACCOUNT" in told.output


@pytest.mark.parametrize("command", ["references", "resolve"])
def test_no_configuration(command: str, tmp_path: Path) -> None:
    told = run(command, "ann@here.test", "--config", tmp_path / "none.toml")

    assert told.exit_code == 1
    assert "none.toml" in told.output
