"""Clocks of servers are compared with one another and with ours."""

from typing import Any, cast

import pytest

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.gateways.directory import Directory
from iredldap.operations.diagnosis.server_survey import ServerFacts, clocks

SETTINGS = LdapSettings(
    uri=("ldap://a", "ldap://b"),
    suffix="dc=x",
    bind_dn="cn=vmailadmin,dc=x",
    bind_password=Secret("secret"),
    lease=2.0,
)


def servers(*ahead: float | None) -> list[ServerFacts]:
    nobody: Any = None
    return [
        ServerFacts(uri, cast("Directory", nobody), ahead=seconds)
        for uri, seconds in zip(SETTINGS.uri, ahead, strict=True)
    ]


@pytest.mark.parametrize("ahead", [(0.5, -1.4), (None, None), (None, 1.9), (2.0, 1.0)])
def test_clocks_within_a_lease_are_right(ahead: tuple[float | None, float | None]) -> None:
    assert not list(clocks(servers(*ahead), SETTINGS))


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        ((3.2, 0.1), "the clock of ldap://a is 3.2 s ahead of that of this machine; "),
        ((0.0, -3.2), "the clock of this machine is 3.2 s ahead of that of ldap://b; "),
        ((1.5, -1.5), "the clock of ldap://a is 3.0 s ahead of that of ldap://b; "),
    ],
)
def test_clocks_that_differ_by_more_than_a_lease_are_named(
    ahead: tuple[float, float], words: str
) -> None:
    (finding,) = clocks(servers(*ahead), SETTINGS)

    assert finding.words.startswith(f"{words}ldap.lease is 2 s.")
    assert finding.warns
    assert not finding.is_fault
