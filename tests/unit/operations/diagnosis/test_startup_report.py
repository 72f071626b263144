"""What is said of a directory at the start, by how it answers."""

from typing import cast

import pytest
from structlog.testing import capture_logs

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.directory_errors import DirectoryDenies
from iredldap.errors import ServerDown
from iredldap.gateways.directory import Directory
from iredldap.operations.diagnosis import startup_report
from iredldap.operations.diagnosis.startup_report import StartupReport
from tests.support.patience import wait_until

SETTINGS = LdapSettings(
    uri=("ldap://127.0.0.1",),
    suffix="dc=example,dc=org",
    bind_dn="cn=vmailadmin,dc=example,dc=org",
    bind_password=Secret("x"),
)


class Deaf:
    """A directory that is away at first, and then shows no schema."""

    def __init__(self, away: int) -> None:
        self.asked = 0
        self._away = away

    def schema(self) -> None:
        self.asked += 1
        raise ServerDown("away") if self.asked <= self._away else DirectoryDenies("no access")


def test_a_directory_that_shows_no_schema_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is away is asked again; one that refuses would refuse for ever."""
    monkeypatch.setattr(startup_report, "_INTERVAL", 0.01)
    directory = Deaf(away=2)
    with capture_logs() as lines:
        started = StartupReport(cast("Directory", directory), SETTINGS)
        started.start()
        wait_until(lambda: bool(lines))
        started.close()

    (line,) = lines
    assert (line["log_level"], line["code"], line["detail"]) == (
        "warning",
        "DIRECTORY_DENIES",
        "no access",
    )
    assert directory.asked == 3
