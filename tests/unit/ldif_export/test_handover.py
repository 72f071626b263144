"""Between a parent and its exporting child."""

import pytest

from iredldap import directory_errors, error_codes, errors
from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.errors import InternalError, Refusal, Several
from iredldap.web.responses import status_of
from ldif_export import handover

SETTINGS = LdapSettings(
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


@pytest.mark.parametrize("kind", [*error_codes.refusals()], ids=lambda kind: str(kind.__name__))
def test_every_refusal_survives_the_exit_of_a_child(kind: type[Refusal]) -> None:
    """Its code and its HTTP status; what was said besides is no part of it."""
    if kind is Several:
        refused: Refusal = Several([directory_errors.DirectoryFull("x"), errors.InvalidMail("y")])
    else:
        refused = kind("PW_NO_DIGIT" if kind is errors.WeakPassword else "some\nwords")
    complaint = f"a warning of a library\n{handover.error_line(refused)}\n"

    back = handover.refusal(handover.exit_status(refused), complaint)

    assert back.codes[0] == refused.codes[0]
    if kind is not errors.PasswordMismatch:
        # That is the result of a check, which no export makes.
        assert status_of(back) == status_of(refused)
    assert back.detail == complaint or kind is errors.WeakPassword


@pytest.mark.parametrize("complaint", ["Traceback: oh", "ldif-export: NO_SUCH_CODE: x", ""])
def test_what_names_no_refusal_is_an_error(complaint: str) -> None:
    assert type(handover.refusal(handover.FAILED, complaint)) is InternalError


def test_a_killed_child_is_an_error() -> None:
    """No status but 0 is an end; a silent one is named."""
    assert type(handover.refusal(-9, "")) is InternalError
    assert "-9" in handover.refusal(-9, "").detail
