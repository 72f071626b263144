"""Between a parent and its exporting child."""

import pytest

from iredldap.errors import InternalError, InvalidMail, NoSuchAccount, Refusal, ServerDown
from iredldap.ldap_settings import Ldap
from iredldap.settings import Secret
from ldif_export import handover

SETTINGS = Ldap(
    uri=("ldapi:///", "ldap://b.test"),
    suffix="dc=example,dc=org",
    bind_dn="cn=vmail,dc=example,dc=org",
    bind_password=Secret("geheim ü"),
    starttls=False,
    operation_timeout=7.5,
)


def test_settings_arrive_whole() -> None:
    """Every setting goes through, the password too."""
    assert handover.load(handover.dump(SETTINGS)) == SETTINGS


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (NoSuchAccount("x"), NoSuchAccount),
        (ServerDown("x"), ServerDown),
        (InternalError("x"), InternalError),
        (InvalidMail("x"), InternalError),
    ],
)
def test_a_refusal_survives_the_exit_status(refused: Refusal, told: type[Refusal]) -> None:
    """The two that a client can act on are told apart, the rest is our fault."""
    back = handover.refusal(handover.exit_status(refused), "complaint")
    assert type(back) is told
    assert back.detail == "complaint"


def test_a_killed_child_is_an_error() -> None:
    """No status but 0 is an end; a silent one is named."""
    assert type(handover.refusal(-9, "")) is InternalError
    assert "-9" in handover.refusal(-9, "").detail
