"""`iredldap dev`, which `make run` calls: both servers, for real."""

import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import ldap
import pytest
import requests

from iredldap.embedded.ports import refuse_taken_port
from tests.support import founding_sample
from tests.support.client import done, refused
from tests.support.development import COMMAND, running
from tests.support.patience import PATIENCE, comes_within


def step(sample: "subprocess.Popen[str]") -> str:
    """Let the sample go on until it has done its next step."""
    assert sample.stdout
    return sample.stdout.readline()


def go_on(sample: "subprocess.Popen[str]") -> None:
    assert sample.stdin
    sample.stdin.write("\n")
    sample.stdin.flush()


def test_founding_sample(tmp_path: Path) -> None:
    """It runs to the end in both generations of names, every step with its effect; again later."""
    home = tmp_path / "var"
    for names in ("old", "new"):
        with running(home) as system:
            account = [system.fact(name) for name in ("url", "admin", "password")]
            sample = subprocess.Popen(
                [sys.executable, founding_sample.__file__, *account, names],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            dn = system.user_dn("zhb@test.com")
            domain_dn = dn.split(",", 2)[2]

            assert "True" in step(sample)
            domain = system.entry(domain_dn)
            assert domain
            assert domain["accountSetting"] == [b"defaultQuota:1024"]

            go_on(sample)
            assert "True" in step(sample)
            user = system.entry(dn)
            assert user
            assert user["cn"] == [b"Zhang Huangbin"]
            assert user["mailQuota"] == [b"1073741824"]
            assert user["preferredLanguage"] == [b"en_US"]
            assert len(user["enabledService"]) == 34
            connection = ldap.initialize(system.fact("ldap"))
            connection.simple_bind_s(dn, "password_for_zhb")
            connection.unbind_s()

            go_on(sample)
            assert "True" in step(sample)
            assert system.entry(dn) is None
            assert system.entry(domain_dn)

            go_on(sample)
            assert "True" in step(sample)
            assert system.entry(domain_dn) is None
            go_on(sample)
            assert sample.wait(PATIENCE) == 0
            for pipe in (sample.stdin, sample.stdout):
                assert pipe
                pipe.close()


def test_what_it_says(tmp_path: Path) -> None:
    """Each fact stands on one line of its own, `ready` on the last; the curl calls work.

    What they leave behind breaks no rule of a healthy tree.
    """
    with running(tmp_path / "var") as system:
        for name in ("url", "admin", "password", "ldap", "suffix", "reader"):
            assert system.fact(name)
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/iredadmin/api", system.fact("url"))
        assert system.lines[-1] == "ready"
        for line in system.lines:
            if line.startswith("  curl"):
                called = subprocess.run(
                    line, shell=True, capture_output=True, text=True, cwd=tmp_path, check=True
                )
                assert '"_success": true' in called.stdout, called
        judged = subprocess.run(
            [*COMMAND, "doctor", "--config", tmp_path / "var" / "iredldap.toml"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert judged.stdout.startswith("0 errors, 0 warnings in "), judged
        told = subprocess.run(
            [*COMMAND, "changes", "--config", system.fact("config")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "domain_create test.com" in told.stdout, told


def test_a_configuration_of_an_older_version_gets_what_it_lacks(tmp_path: Path) -> None:
    """Its own settings stay; commands find the databases by it afterwards."""
    with running(tmp_path / "var") as system:
        path = Path(system.fact("config"))
    text = path.read_text("utf-8")
    path.write_text(text[: text.index("[changes]")] + "# mine\n", "utf-8")

    with running(tmp_path / "var"):
        assert "# mine" in path.read_text("utf-8")
        assert tomllib.loads(path.read_text("utf-8")) == tomllib.loads(text)


def test_two_side_by_side(tmp_path: Path) -> None:
    """With directories and ports of their own; one directory is not for two."""
    with running(tmp_path / "one") as one, running(tmp_path / "two") as two:
        done(one.client().post("/api/domain/corp.test"))
        refused(two.client().get("/api/domain/corp.test"), 404, "NO_SUCH_ACCOUNT")
        with pytest.raises(AssertionError, match="in use"), running(tmp_path / "one"):
            pass


def test_it_stops_both_and_keeps_what_was_made(tmp_path: Path) -> None:
    """Ctrl-C ends slapd and gunicorn; the next start finds the same accounts and secrets."""
    with running(tmp_path / "var") as system:
        password = system.fact("password")
        done(system.client().post("/api/domain/corp.test"))
        url, uri = system.root, system.fact("ldap")
    assert system.process.returncode == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/livez", timeout=PATIENCE)
    with pytest.raises(ldap.SERVER_DOWN):
        ldap.initialize(uri).simple_bind_s("cn=x", "x")
    with running(tmp_path / "var") as again:
        assert again.fact("password") == password
        assert again.client().get("/api/domain/corp.test").json()["_success"]


@pytest.mark.parametrize("name", ["PORT", "LDAP_PORT"])
def test_a_taken_port_is_told_with_the_way_to_another(tmp_path: Path, name: str) -> None:
    """Before anything is made; the port in the advice can be had."""
    home = tmp_path / "var"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(AssertionError) as told, running(home, **{name: port}):
            pass

    (line,) = str(told.value).splitlines()
    advice = re.fullmatch(rf"port {port} is taken; .* {name}=(\d+) make run", line)
    assert advice, line
    refuse_taken_port(int(advice[1]))
    assert not home.exists()


@pytest.mark.parametrize(
    "ports", [{"PORT": "80000"}, {"LDAP_PORT": "0"}, {"PORT": "20001", "LDAP_PORT": "20001"}]
)
def test_a_port_that_is_none_is_told_with_its_variable(
    tmp_path: Path, ports: dict[str, str]
) -> None:
    home = tmp_path / "var"
    with pytest.raises(AssertionError) as told, running(home, **ports):
        pass
    name, port = next(iter(ports.items()))
    (line,) = str(told.value).splitlines()
    assert re.fullmatch(rf"port {port} is (none|asked) .* {name}=\d+ make run", line), line
    assert not home.exists()


@pytest.mark.parametrize("where", ["/proc/none", "file/var"])
def test_a_directory_that_cannot_be_made_is_told_with_its_variable(
    tmp_path: Path, where: str
) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / where
    with pytest.raises(AssertionError) as told, running(home):
        pass
    (line,) = str(told.value).splitlines()
    assert line.startswith(f"{home} cannot be the directory for the data: ")
    assert line.endswith("; choose another one with the variable VAR")


def test_sessions_over_workers(tmp_path: Path) -> None:
    """A cookie is good on every worker, and ends on every worker within two seconds."""
    with running(tmp_path / "var", IREDLDAP_SERVER_WORKERS="3") as system:
        client = system.client()
        cookies = dict(client.session.cookies)

        def statuses() -> set[int]:
            # Connections of their own reach different workers.
            return {
                requests.get(f"{system.root}/api/domain/x.test", cookies=cookies, timeout=PATIENCE)
                .status_code
                for _ in range(12)
            }  # fmt: skip

        assert statuses() == {404}
        done(client.post("/api/logout"))
        comes_within(lambda: statuses() == {401}, 2)


def test_secrets_are_private(tmp_path: Path) -> None:
    """Nobody else on the machine reads them."""
    with running(tmp_path / "var") as system:
        password = system.fact("password")
    readable = [
        path
        for path in (tmp_path / "var").rglob("*")
        if path.is_file() and path.stat().st_mode & 0o077 and password in path.read_text("latin-1")
    ]
    assert readable == []
    assert (tmp_path / "var").stat().st_mode & 0o077 == 0
