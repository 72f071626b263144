"""States whose command or worker is killed: what is left is done by another run."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from iredldap.config.reader import CONFIG_VARIABLE
from tests.integration.imports.test_imports import ended
from tests.integration.states.test_states import PASSWORD, state
from tests.support.client import Client, done
from tests.support.databases import sqlite_urls
from tests.support.gunicorn import gunicorn
from tests.support.patience import PATIENCE
from tests.support.proxy import Proxy
from tests.support.serving import environment
from tests.support.user_files import HASH
from tests.support.world import SUFFIX, World

DOMAIN = "home.test"
USERS = 150
LINES: list[dict[str, Any]] = [
    {"kind": "alias", "mail": f"all@{DOMAIN}", "members": [f"u{USERS - 1:03}@{DOMAIN}"]},
    *({"kind": "user", "mail": f"u{n:03}@{DOMAIN}", "password": PASSWORD} for n in range(USERS)),
]


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


def test_a_killed_command_can_be_run_again(
    api: Client, world: World, proxy: Proxy, tmp_path: Path
) -> None:
    done(api.post(f"/api/domain/{DOMAIN}"))
    proxy.to_server = 0.02
    config, file = tmp_path / "command.toml", tmp_path / "state.ndjson"
    config.write_text(
        f'[ldap]\nuri = ["{proxy.uri}"]\nsuffix = "{SUFFIX}"\nbind_dn = "cn=vmailadmin,{SUFFIX}"\n'
    )
    file.write_bytes(state(LINES))
    variables = os.environ | environment(tmp_path, sqlite_urls(tmp_path))
    variables[CONFIG_VARIABLE] = str(config)
    command = [sys.executable, "-c", "from iredldap.cli import main; main()", "apply", str(file)]
    first = subprocess.Popen(
        command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: there(world) > 0)
    first.kill()
    first.wait(PATIENCE)
    assert there(world) < USERS

    proxy.to_server = 0
    told = [
        subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=True
        ).stdout.splitlines()[-1]
        for _ in range(2)
    ]
    assert there(world) == USERS
    assert told[1] == f"0 changes, {USERS + 1} unchanged"
    (alias,) = world.find(f"(mail=all@{DOMAIN})")
    assert alias.texts("mailForwardingAddress") == [f"u{USERS - 1:03}@{DOMAIN}"]


def test_a_killed_worker_leaves_the_rest_to_another(
    api: Client, world: World, proxy: Proxy, tmp_path: Path
) -> None:
    """A job is resumed, and its report has what either of them has done."""
    done(api.post(f"/api/domain/{DOMAIN}"))
    proxy.to_server = 0.02
    hashed = [{**line, "password_hash": HASH} for line in LINES if line["kind"] == "user"]
    for line in hashed:
        del line["password"]
    with gunicorn(world, tmp_path, proxy.uri, JOBS_ABANDONED="1.0") as url:
        client = Client(url).log_in()
        answer = client.session.post(
            f"{url}/api/apply",
            data=state([LINES[0], *hashed]),
            headers={"Prefer": "respond-async", "Content-Type": "application/x-ndjson"},
            timeout=PATIENCE,
        )
        job = answer.json()["_data"]["job"]
        wait_until(lambda: there(world) > 0)
        with closing(sqlite3.connect(tmp_path / "state.sqlite3")) as file:
            ((worker,),) = file.execute("SELECT worker FROM jobs WHERE status = 'running'")
        os.kill(int(worker.split(":")[1]), signal.SIGKILL)
        assert there(world) < USERS
        client.session.mount("http://", requests.adapters.HTTPAdapter(max_retries=3))
        found = ended(client, job)
    assert found["status"] == "done", found
    report = found["report"]
    assert report["created"] + report["unchanged"] == USERS + 1
    assert 0 < report["created"] < USERS + 1
    assert (report["refused"], there(world)) == (0, USERS)
    (alias,) = world.find(f"(mail=all@{DOMAIN})")
    assert alias.texts("mailForwardingAddress") == [f"u{USERS - 1:03}@{DOMAIN}"]
