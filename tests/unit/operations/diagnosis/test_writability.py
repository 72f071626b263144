"""What the answer to a change of an entry that nobody has says of a server."""

from typing import Any
from unittest.mock import Mock

import pytest

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.directory_errors import DirectoryDenies, DirectoryReadOnly
from iredldap.errors import NoSuchAccount, Refusal, ServerDown
from iredldap.operations.diagnosis.writability import writes_refused

SETTINGS = LdapSettings(
    uri=("ldap://a",), suffix="dc=example,dc=com", bind_dn="cn=x", bind_password=Secret("x")
)


def answering(refusal: Refusal) -> Any:
    return Mock(**{"write.side_effect": refusal})


@pytest.mark.parametrize("refusal", [NoSuchAccount("none"), DirectoryDenies("no right")])
def test_a_server_that_judges_the_change_accepts_writes(refusal: Refusal) -> None:
    """Whatever it says: other rules than iRedMail's may judge the right first."""
    assert [*writes_refused(answering(refusal), SETTINGS)] == []


def test_a_consumer_does_not() -> None:
    (found,) = writes_refused(answering(DirectoryReadOnly("shadow context")), SETTINGS)
    assert "shadow context" in found.words


def test_a_server_that_is_down_says_nothing() -> None:
    with pytest.raises(ServerDown):
        [*writes_refused(answering(ServerDown("away")), SETTINGS)]
