"""What slapd can answer is in one table, and none of it is a fault of ours."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import ldap
import pytest

from iredldap.directory_errors import (
    DirectoryFailed,
    DirectoryFull,
    DirectoryReadOnly,
    DirectoryUnwilling,
)
from iredldap.errors import Refusal, ServerDown
from iredldap.gateways.ldap import errors
from iredldap.gateways.ldap.errors import NO_OPERATION, RESULTS, refusal_for
from iredldap.web.responses import status_of

RFC_4511 = {
    "operationsError": 1, "protocolError": 2, "timeLimitExceeded": 3, "sizeLimitExceeded": 4,
    "compareFalse": 5, "compareTrue": 6, "authMethodNotSupported": 7, "strongerAuthRequired": 8,
    "referral": 10, "adminLimitExceeded": 11, "unavailableCriticalExtension": 12,
    "confidentialityRequired": 13, "saslBindInProgress": 14, "noSuchAttribute": 16,
    "undefinedAttributeType": 17, "inappropriateMatching": 18, "constraintViolation": 19,
    "attributeOrValueExists": 20, "invalidAttributeSyntax": 21, "noSuchObject": 32,
    "aliasProblem": 33, "invalidDNSyntax": 34, "aliasDereferencingProblem": 36,
    "inappropriateAuthentication": 48, "invalidCredentials": 49, "insufficientAccessRights": 50,
    "busy": 51, "unavailable": 52, "unwillingToPerform": 53, "loopDetect": 54,
    "namingViolation": 64, "objectClassViolation": 65, "notAllowedOnNonLeaf": 66,
    "notAllowedOnRDN": 67, "entryAlreadyExists": 68, "objectClassModsProhibited": 69,
    "affectsMultipleDSAs": 71, "other": 80,
}  # fmt: skip
"""RFC 4511, section 4.1.9, but for success."""

OF_COMPARE = {5, 6}
"""Only a compare ends so, and none is ever sent."""

STATUSES = {
    400: (19, 21, 34),
    404: (32,),
    409: (3, 4, 11, 53, 66, 68, 70, 71),
    412: (16, 20, 122),
    422: (17, 18, 33, 35, 64, 65, 67, 69),
    503: (1, 2, 7, 8, 9, 10, 12, 13, 14, 36, 47, 48, 49, 50, 51, 52, 54, 76, 80, 118, 119, 120,
          121, 123),
}  # fmt: skip


def raised(base: type[ldap.LDAPError] = ldap.LDAPError) -> Iterator[type[ldap.LDAPError]]:
    """Every exception of python-ldap."""
    for kind in base.__subclasses__():
        yield kind
        yield from raised(kind)


def answer(code: int, info: str = "") -> ldap.LDAPError:
    """What python-ldap raises for a result code."""
    kinds = {getattr(kind, "errnum", None): kind for kind in raised()}
    return kinds.get(code, ldap.LDAPError)({"result": code, "desc": "words", "info": info})


def test_every_result_code_of_the_protocol_and_of_the_library_is_in_the_table() -> None:
    of_the_library = {code for kind in raised() if (code := getattr(kind, "errnum", 0)) > 0}
    assert set(RESULTS) == (of_the_library | set(RFC_4511.values())) - OF_COMPARE


@pytest.mark.parametrize(
    ("code", "status"), [(code, status) for status, codes in STATUSES.items() for code in codes]
)
def test_a_result_code_has_its_status(code: int, status: int) -> None:
    refusal = refusal_for(answer(code))
    assert isinstance(refusal, RESULTS[code])
    assert status_of(refusal) == status
    assert refusal.detail == "words"


def test_no_result_code_is_a_fault_of_ours() -> None:
    assert set(RESULTS) == {code for codes in STATUSES.values() for code in codes}
    assert all(status_of(kind()) != HTTPStatus.INTERNAL_SERVER_ERROR for kind in RESULTS.values())


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (53, "shadow context; no update referral", DirectoryReadOnly),
        (53, "operation restricted", DirectoryReadOnly),
        (53, "no global superior knowledge", DirectoryUnwilling),
        (80, "entry store failed", DirectoryFull),
        (80, "entry update failed", DirectoryFull),
        (80, "index generation failed", DirectoryFull),
        (80, "txn_commit failed", DirectoryFull),
        (80, "commit failed", DirectoryFull),
        (80, "entry index delete failed", DirectoryFull),
        (80, "entry delete failed", DirectoryFull),
        (80, "DN index add failed", DirectoryFull),
        (80, "DN index delete fail", DirectoryFull),
        (80, "MDB_MAP_FULL: Environment mapsize limit reached", DirectoryFull),
        (80, "internal error", DirectoryFailed),
        (80, "", DirectoryFailed),
    ],
)
def test_a_code_of_several_meanings_is_distinguished_by_its_text(
    code: int, text: str, kind: type[Refusal]
) -> None:
    assert type(refusal_for(answer(code, text))) is kind


@pytest.mark.parametrize("kind", [ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.TIMEOUT])
def test_a_lost_connection_is_a_server_that_is_down(kind: type[ldap.LDAPError]) -> None:
    assert isinstance(refusal_for(kind()), ServerDown)


def test_a_code_that_nobody_has_heard_of_is_not_taken_for_another_one() -> None:
    assert type(refusal_for(answer(4242))) is DirectoryFailed
    assert NO_OPERATION not in RESULTS


def test_result_codes_are_turned_into_refusals_in_one_place_only() -> None:
    """Nothing else but what has to go on with a result names an exception of the library.

    And the guard of a slapd, which loads nothing of ours.
    """
    expected = {"NO_SUCH_OBJECT", "TIMEOUT", "SIZELIMIT_EXCEEDED", "UNAVAILABLE_CRITICAL_EXTENSION"}
    root = Path(errors.__file__).parents[2]
    own = {Path(errors.__file__), root / "commands" / "guard.py"}
    named = {
        word
        for path in (*root.rglob("*.py"), *root.parent.joinpath("ldif_export").rglob("*.py"))
        if path not in own
        for word in re.findall(r"\bldap\.([A-Z][A-Z_]+)\b", path.read_text("utf-8"))
        if isinstance(getattr(ldap, word, None), type)
    }
    assert named <= expected | {"LDAPError", "SERVER_DOWN"}
