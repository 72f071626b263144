"""Who runs a command, as the change log has them."""

import os
import pwd

import pytest

from iredldap.gateways import unix_user


def test_the_user_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says."""
    monkeypatch.setenv("LOGNAME", "somebody-else")
    assert unix_user.name() == f"unix:{pwd.getpwuid(os.getuid()).pw_name}"


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under any number."""
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    assert unix_user.name() == "unix:4000000000"
