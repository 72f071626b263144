"""The configuration that is held while gunicorn executes its own file again."""

import logging
import os
import runpy
from pathlib import Path
from typing import Any

import pytest

from iredldap.config import current
from iredldap.config.reader import CONFIG_VARIABLE, ConfigurationError
from iredldap.shipped import shipped
from iredldap.web import slots

TEXT = """\
[ldap]
uri = ["ldapi:///"]
suffix = "dc=test"
bind_dn = "cn=vmailadmin,dc=test"
[server]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of settings, which nobody has read."""
    path = tmp_path / "iredldap.toml"
    monkeypatch.setenv(CONFIG_VARIABLE, str(path))
    monkeypatch.setenv("IREDLDAP_LDAP_BIND_PASSWORD", "secret")
    monkeypatch.setenv("IREDLDAP_SESSION_KEYS", "k" * 32)
    monkeypatch.setattr(current, "_held", None)
    # gunicorn's file shares places for the processes to come; tests in this one have their own.
    monkeypatch.setattr(slots, "_shared", None)
    return path


def executed() -> dict[str, Any]:
    """What gunicorn's file gives when it is executed."""
    found = runpy.run_path(str(shipped("gunicorn.conf.py")))
    return {
        name: found[name] for name in ("bind", "workers", "threads", "graceful_timeout", "loglevel")
    }


@pytest.mark.parametrize("writable", [True, False])
def test_heartbeats_are_in_memory_where_it_can_be_written(
    file: Path, monkeypatch: pytest.MonkeyPatch, writable: bool
) -> None:
    """Else gunicorn takes the folder for temporary files, in place of ending every worker."""
    file.write_text(TEXT)
    monkeypatch.setattr(os, "access", lambda *_: writable)
    found = runpy.run_path(str(shipped("gunicorn.conf.py")))
    assert found["worker_tmp_dir"] == ("/dev/shm" if writable else None)


def test_without_one_before_a_fault_is_raised(file: Path) -> None:
    """With every fault."""
    file.write_text(TEXT + "theads = 1\nthreads = 0\n")
    with pytest.raises(ConfigurationError) as caught:
        executed()
    assert len(caught.value.errors) == 2


def test_the_last_good_one_stays_in_effect(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Until there is another good one; every fault is logged."""
    file.write_text(TEXT + 'bind = "127.0.0.1:1"\nworkers = 3\nthreads = 5\nlog_level = "debug"\n')
    before = executed()
    assert (before["bind"], before["workers"], before["threads"], before["loglevel"]) == (
        "127.0.0.1:1", 3, 5, "debug",
    )  # fmt: skip

    file.write_text(TEXT + "theads = 1\nthreads = 0\n")
    with caplog.at_level(logging.ERROR):
        assert executed() == before
    assert [r.message.partition(":")[0] for r in caplog.records[1:]] == [
        "server.theads",
        "server.threads",
    ]
    assert current.config().server.threads == 5

    file.write_text(TEXT + "threads = 6\n")
    assert executed()["threads"] == current.config().server.threads == 6


def test_who_has_none_reads_it(file: Path) -> None:
    """As where gunicorn runs with another file than ours; afterwards it is held."""
    file.write_text(TEXT + "threads = 6\n")
    assert current.config().server.threads == 6
    file.write_text("[")
    assert current.config().server.threads == 6


@pytest.mark.parametrize("content", ["x = " + "9" * 5000, "x = " + "[" * 100_000])
def test_whatever_a_file_holds_is_a_fault_at_most(file: Path, content: str) -> None:
    """Numbers and lists that Python itself refuses."""
    file.write_text(TEXT + "threads = 6\n")
    assert current.load().server.threads == 6
    file.write_text(TEXT + content)
    assert current.load().server.threads == 6
