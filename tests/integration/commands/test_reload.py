"""A reload of the configuration, by a signal to the real gunicorn with the shipped settings."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.gunicorn import gunicorn_command
from iredldap.embedded.ports import free_port
from iredldap.installation import Value, configuration
from tests.support.client import Client
from tests.support.databases import sqlite_urls
from tests.support.patience import wait_until
from tests.support.serving import SESSION_KEY, environment
from tests.support.world import SUFFIX, WRITER_PASSWORD, World

PATIENCE = 60


@dataclass
class Master:
    """A master of gunicorn, and the file that it reads."""

    process: subprocess.Popen[bytes]
    file: Path
    log: Path
    url: str

    @property
    def workers(self) -> set[int]:
        """Process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(word) for word in children.read_text().split()}

    def answers(self) -> bool:
        """Whether the API answers as it does when it is switched on."""
        try:
            return requests.get(f"{self.url}/api/domains", timeout=PATIENCE).status_code == 401
        except requests.ConnectionError:
            return False

    def reload(self, workers: int = 2) -> None:
        """Let the master reload, and wait until other workers serve than before."""
        before = self.workers
        self.process.send_signal(signal.SIGHUP)
        self.await_workers(lambda found: len(found) == workers and not found & before)

    def await_workers(self, right: Callable[[set[int]], bool]) -> None:
        """Wait until the workers are as they should be, and answer."""
        wait_until(lambda: right(self.workers) and self.answers(), PATIENCE)


def sections(world: World, folder: Path, port: int) -> dict[str, dict[str, Value]]:
    """The least that is needed, with the secrets in files beside it."""
    (folder / "bind-password").write_text(WRITER_PASSWORD)
    (folder / "keys").write_text(SESSION_KEY)
    return {
        "api": {"enable_restful_api": True},
        "ldap": {
            "uri": [world.slapd.uri],
            "suffix": SUFFIX,
            "bind_dn": f"cn=vmailadmin,{SUFFIX}",
            "bind_password_file": str(folder / "bind-password"),
        },
        "session": {"keys_file": str(folder / "keys")},
        "server": {"bind": f"127.0.0.1:{port}"},
    }


def variables(folder: Path) -> dict[str, str]:
    """The environment: where the databases are, but no secret of the directory or of sessions."""
    ours = environment(folder, sqlite_urls(folder))
    kept = {name: value for name, value in ours.items() if name.endswith("_URL")}
    return os.environ | kept | {"IREDLDAP_SERVER_GRACEFUL_TIMEOUT": "3"}


@pytest.fixture
def master(world: World, tmp_path: Path) -> Iterator[Master]:
    """Start gunicorn with two workers."""
    port = free_port()
    file, log = tmp_path / "iredldap.toml", tmp_path / "gunicorn.log"
    file.write_text(configuration(sections(world, tmp_path, port)) + "workers = 2\n")
    environ = variables(tmp_path) | {CONFIG_VARIABLE: str(file)}
    with log.open("ab") as output:
        process = subprocess.Popen(
            gunicorn_command(),
            env=environ,
            stdout=output,
            stderr=output,
            preexec_fn=ended_with_parent(),  # noqa: PLW1509
        )
    started = Master(process, file, log, f"http://127.0.0.1:{port}")
    try:
        wait_until(lambda: process.poll() is not None or started.answers(), PATIENCE)
        yield started
    finally:
        process.terminate()
        status = process.wait(PATIENCE)
    assert status == 0, log.read_text()


FAULTS: dict[str, tuple[Callable[[str], str], tuple[str, ...]]] = {
    "syntax": (lambda text: text + "[ldap\n", ("at line",)),
    "unknown setting": (lambda text: text + "theads = 4\n", ("server.theads: no such setting",)),
    "wrong values": (
        lambda text: text.replace("workers = 2", "workers = -2\nthreads = 'many'\nlog_level = 'x'"),
        ("server.workers: ", "server.threads: ", "server.log_level: "),
    ),
    "no address": (
        lambda text: text.replace('bind = "127.0.0.1:', 'bind = "127.0.0.1:9'),
        ("server.bind: ",),
    ),
}


def test_a_reload_with_a_fault_keeps_the_old_configuration(master: Master) -> None:
    """The API goes on, the log tells every fault, and the next reload without one takes effect."""
    good = master.file.read_text()
    cookies = Client(master.url).log_in()
    for spoil, told in FAULTS.values():
        master.file.write_text(spoil(good))
        master.reload()
        assert cookies.get("/api/domains").json()["_success"], master.log.read_text()
        assert [fault for fault in told if fault not in master.log.read_text()] == []
    master.file.write_text(good.replace("workers = 2", "workers = 3"))
    master.reload(workers=3)


def test_a_reload_without_secrets_keeps_the_old_ones(master: Master) -> None:
    """Files that are away, and such as cannot be read; no secret is in the log."""
    files = [master.file.with_name(name) for name in ("bind-password", "keys")]
    cookies = Client(master.url).log_in()
    contents = [file.read_text() for file in files]
    for error in ("No such file or directory", "Is a directory"):
        for file in files:
            if file.is_file():
                file.unlink()
            else:
                file.mkdir()
        master.reload()
        assert cookies.get("/api/domains").json()["_success"]
        log = master.log.read_text()
        assert f"ldap.bind_password: {files[0]}: {error}" in log
        assert f"session.keys: {files[1]}: {error}" in log
    assert not any(content in log for content in contents)


def test_a_new_worker_serves_with_the_last_good_configuration(master: Master) -> None:
    """Though the file has a fault when it takes the place of one that was killed."""
    cookies = Client(master.url).log_in()
    master.file.write_text("[ldap\n")
    before = master.workers
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    master.await_workers(lambda found: len(found) == 2 and not found & before)
    assert cookies.get("/api/domains").json()["_success"]


def test_a_reload_without_a_fault_takes_effect(master: Master) -> None:
    """The number of workers, the level of the log, a secret, and what requests see."""
    cookies = Client(master.url).log_in()
    text = master.file.read_text().replace("workers = 2", 'workers = 1\nlog_level = "error"')
    master.file.write_text(text.replace("[api]", "[api]\nlegacy_keys = true"))
    master.file.with_name("keys").write_text("x" * 32)

    master.reload(workers=1)

    answer = cookies.call("GET", "/api/domains", headers={"X-Request-Id": "after-the-reload"})
    assert (answer.status_code, answer.json()["msg"]) == (401, "LOGIN_REQUIRED")
    assert "after-the-reload" not in master.log.read_text()


def test_the_address_changes_as_gunicorn_does_it(master: Master) -> None:
    """The new one answers, and the old one no more."""
    old, port = master.url, free_port()
    text = master.file.read_text()
    master.file.write_text(text.replace(old.removeprefix("http://"), f"127.0.0.1:{port}"))
    master.url = f"http://127.0.0.1:{port}"
    master.reload()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{old}/livez", timeout=PATIENCE)


@pytest.mark.parametrize("command", [["serve"], None], ids=["iredldap", "gunicorn"])
def test_the_first_start_with_a_fault_fails(
    world: World, tmp_path: Path, command: list[str] | None
) -> None:
    """At once, and every fault is told."""
    file = tmp_path / "iredldap.toml"
    text = configuration(sections(world, tmp_path, free_port()))
    file.write_text(text + "theads = 4\nworkers = -1\n")
    (tmp_path / "keys").unlink()
    environ = variables(tmp_path) | {CONFIG_VARIABLE: str(file)}
    program = str(Path(sys.executable).parent / "iredldap")
    words = [program, *command] if command else gunicorn_command()
    failed = subprocess.run(
        words, env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert failed.returncode == 1
    for fault in ("server.theads: ", "server.workers: ", "session.keys: "):
        assert fault in failed.stderr


def test_there_is_no_control_socket(master: Master) -> None:
    """Of gunicorn: nothing listens but the API itself."""
    held = [str(entry.readlink()) for entry in Path(f"/proc/{master.process.pid}/fd").iterdir()]
    sockets = {name[8:-1] for name in held if name.startswith("socket:[")}
    unix = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    # Of these fields the fourth has the flag of a socket that takes connections.
    assert [line for line in unix if line[6] in sockets and int(line[3], 16) & 0x10000] == []
