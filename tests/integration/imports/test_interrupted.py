"""Imports whose worker or command is killed: what is left is done by another run."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from iredldap.config.reader import CONFIG_VARIABLE
from tests.integration.imports.test_imports import PASSWORD, counts, ended, sent, table
from tests.support.client import Client, done
from tests.support.databases import sqlite_urls
from tests.support.gunicorn import gunicorn
from tests.support.patience import PATIENCE
from tests.support.proxy import Proxy
from tests.support.serving import environment
from tests.support.world import SUFFIX, World

DOMAIN = "home.test"
USERS = 250
ROWS = [
    {"address": f"u{n:03}@{DOMAIN}", "password": PASSWORD, "lists": f"sales@{DOMAIN}"}
    for n in range(USERS)
]


@pytest.fixture
def home(api: Client) -> str:
    done(api.post(f"/api/domain/{DOMAIN}"))
    done(api.post(f"/api/alias/sales@{DOMAIN}", members="first@far.test"))
    return DOMAIN


@pytest.fixture
def proxy(world: World) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", world.slapd.port)) as between:
        yield between


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def there(world: World) -> int:
    return len(world.find("(objectClass=mailUser)"))


def members(world: World) -> int:
    (alias,) = world.find(f"(mail=sales@{DOMAIN})")
    return len(alias.values("mailForwardingAddress")) - 1


def test_a_killed_worker_leaves_the_rest_to_another(
    api: Client, world: World, home: str, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.to_server = 0.02
    with gunicorn(world, tmp_path, proxy.uri, JOBS_ABANDONED="1.0") as url:
        client = Client(url).log_in()
        job = sent(client, table(*ROWS), waits=False)["job"]
        wait_until(lambda: there(world) > 120)
        with closing(sqlite3.connect(tmp_path / "state.sqlite3")) as file:
            ((worker,),) = file.execute("SELECT worker FROM jobs WHERE status = 'running'")
        os.kill(int(worker.split(":")[1]), signal.SIGKILL)
        assert there(world) < USERS
        client.session.mount("http://", requests.adapters.HTTPAdapter(max_retries=3))
        state = ended(client, job)
    assert state["status"] == "done", state
    found = counts(state["report"])
    # Those of the batch in which the worker died are there already.
    assert found["created"] + found.get("unchanged", 0) + found.get("updated", 0) == USERS
    assert found["created"] < USERS
    assert (there(world), members(world)) == (USERS, USERS)


def test_a_killed_command_can_be_run_again(
    api: Client, world: World, home: str, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.to_server = 0.02
    config, file = tmp_path / "command.toml", tmp_path / "users.csv"
    config.write_text(
        f'[ldap]\nuri = ["{proxy.uri}"]\nsuffix = "{SUFFIX}"\nbind_dn = "cn=vmailadmin,{SUFFIX}"\n'
    )
    file.write_bytes(table(*ROWS))
    variables = os.environ | environment(tmp_path, sqlite_urls(tmp_path))
    variables[CONFIG_VARIABLE] = str(config)
    command = [sys.executable, "-c", "from iredldap.cli import main; main()", "import", str(file)]
    first = subprocess.Popen(
        command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: there(world) > 120)
    first.kill()
    first.wait(PATIENCE)
    assert there(world) < USERS

    proxy.to_server = 0
    done_by = subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert f"{USERS} rows" in done_by.stdout
    assert "0 refused" in done_by.stdout
    assert (there(world), members(world)) == (USERS, USERS)
    again = subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert f"{USERS} rows: 0 created, 0 updated, {USERS} unchanged" in again.stdout
    assert "0 changed" in again.stdout
