"""Translation of LDAP result codes, and exceptions of python-ldap, into refusals.

Source: RFC 4511, appendix A; RFC 3909, RFC 4370, RFC 4528; slapd's own texts.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import ldap

from iredldap.directory_errors import (
    DirectoryDenies,
    DirectoryFailed,
    DirectoryFull,
    DirectoryReadOnly,
    DirectoryUnable,
    DirectoryUnwilling,
    ExceededLdapServerAdminlimit,
    ExceededLdapServerSizelimit,
    ExceededLdapServerTimelimit,
    HasChildren,
    NotSupportedByDirectory,
    SchemaViolation,
)
from iredldap.dit.plan import Operation, Step
from iredldap.errors import (
    AlreadyExists,
    InternalError,
    InvalidParameter,
    NoSuchAccount,
    PreconditionFailed,
    Refusal,
    ServerDown,
)


class BeginAgain(ServerDown):
    """What was begun must not be continued: a new attempt, made from the beginning, may succeed."""


def begins_again(failure: BaseException | None) -> bool:
    """Return whether it is a `BeginAgain`, or comes of one."""
    while failure and not isinstance(failure, BeginAgain):
        failure = failure.__cause__
    return failure is not None


class Unanswered(ServerDown):
    """A write was sent and no response came: it may or may not have been carried out.

    `operation` is the write, if it is a step of a plan, and `rest` are the steps after it.
    """

    operation: Operation | None = None
    rest: tuple[Step, ...] = ()


class ValueAbsent(PreconditionFailed):
    """A value to be deleted does not exist (any more)."""


class ValuePresent(PreconditionFailed):
    """A value to be added exists already, or was sent twice, in the same or another spelling."""


NO_OPERATION = 16654
"""Result code of a request under the No-Op control that slapd would have carried out."""

RESULTS: Mapping[int, type[Refusal]] = MappingProxyType(
    {
        1: DirectoryFailed,  # operationsError
        2: DirectoryFailed,  # protocolError
        3: ExceededLdapServerTimelimit,  # timeLimitExceeded
        4: ExceededLdapServerSizelimit,  # sizeLimitExceeded
        7: DirectoryFailed,  # authMethodNotSupported
        8: DirectoryDenies,  # strongerAuthRequired
        9: DirectoryFailed,  # partialResults, of LDAPv2
        10: DirectoryReadOnly,  # referral: the server that takes writes is another one
        11: ExceededLdapServerAdminlimit,  # adminLimitExceeded
        12: DirectoryFailed,  # unavailableCriticalExtension
        13: DirectoryDenies,  # confidentialityRequired
        14: DirectoryFailed,  # saslBindInProgress
        16: ValueAbsent,  # noSuchAttribute
        17: NotSupportedByDirectory,  # undefinedAttributeType, or one without ";binary"
        18: SchemaViolation,  # inappropriateMatching: no rule to find a value by
        19: InvalidParameter,  # constraintViolation
        20: ValuePresent,  # attributeOrValueExists
        21: InvalidParameter,  # invalidAttributeSyntax
        32: NoSuchAccount,  # noSuchObject
        33: SchemaViolation,  # aliasProblem: the parent is an alias entry
        34: InvalidParameter,  # invalidDNSyntax
        35: SchemaViolation,  # isLeaf
        36: DirectoryDenies,  # aliasDereferencingProblem
        47: DirectoryDenies,  # proxyAuthorizationFailure
        48: DirectoryDenies,  # inappropriateAuthentication
        49: DirectoryDenies,  # invalidCredentials, of the service account
        50: DirectoryDenies,  # insufficientAccessRights
        51: ServerDown,  # busy
        52: ServerDown,  # unavailable
        53: DirectoryUnwilling,  # unwillingToPerform; see `_WORDS`
        54: DirectoryFailed,  # loopDetect
        64: SchemaViolation,  # namingViolation
        65: SchemaViolation,  # objectClassViolation
        66: HasChildren,  # notAllowedOnNonLeaf
        67: SchemaViolation,  # notAllowedOnRDN
        68: AlreadyExists,  # entryAlreadyExists
        69: SchemaViolation,  # objectClassModsProhibited
        70: ExceededLdapServerAdminlimit,  # resultsTooLarge, of CLDAP
        71: DirectoryUnwilling,  # affectsMultipleDSAs
        76: DirectoryFailed,  # virtual list view
        80: DirectoryFailed,  # other; see `_WORDS`
        118: DirectoryFailed,  # canceled
        119: DirectoryFailed,  # noSuchOperation
        120: DirectoryFailed,  # tooLate
        121: DirectoryFailed,  # cannotCancel
        122: PreconditionFailed,  # assertionFailed
        123: DirectoryDenies,  # authorizationDenied
    }
)
"""The refusal of each result code that a bind, a search or a write can end with."""

_LOCAL: tuple[tuple[type[Exception], type[Refusal]], ...] = (
    (ldap.SERVER_DOWN, ServerDown),
    (ldap.CONNECT_ERROR, ServerDown),
    (ldap.TIMEOUT, ServerDown),
)
"""Errors that the library raises by itself, without a result of the server."""

_WORDS: tuple[tuple[int, re.Pattern[str], type[Refusal]], ...] = (
    (53, re.compile(r"shadow context|read.?only|operation restricted"), DirectoryReadOnly),
    # back-mdb's texts for a write that found no room; the cause itself is only in slapd's log.
    (
        80,
        re.compile(
            r"entry (store|update|delete) failed|index (generation|update) failed|commit failed"
            r"|(entry|DN) index (add|delete) fail"
            r"|MDB_MAP_FULL|No space left",
            re.IGNORECASE,
        ),
        DirectoryFull,
    ),
)
"""Result codes with several meanings, told apart by slapd's diagnostic message."""

LOST = (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.TIMEOUT, ldap.UNAVAILABLE)
NO_TLS = (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.PROTOCOL_ERROR)
"""What libldap raises where TLS fails; the last: the server refuses StartTLS."""
WRONG_PASSWORD = (ldap.INVALID_CREDENTIALS, ldap.INAPPROPRIATE_AUTH, ldap.NO_SUCH_OBJECT)


@contextmanager
def translated() -> Iterator[None]:
    """Translate python-ldap's exceptions within the block into refusals, with them as the cause."""
    try:
        yield
    except ldap.LDAPError as ex:
        raise refusal_for(ex) from ex


def refusal_for(error: ldap.LDAPError) -> Refusal:
    """Return the refusal for an LDAP error.

    Limits of the server are errors, too: an incomplete result must never look complete. A code
    that is not in the table is a failure of the server. An error of the library is an internal
    error, except for a lost connection.
    """
    for foreign, ours in _LOCAL:
        if isinstance(error, foreign):
            return ours(sentence(error))
    code = result_code(error)
    info = str(_facts(error).get("info", ""))
    for number, words, kind in _WORDS:
        if code == number and words.search(info):
            return kind(sentence(error))
    unknown = DirectoryFailed if code > 0 else InternalError
    return RESULTS.get(code, unknown)(sentence(error))


BIND_SETTINGS = "ldap.bind_dn, ldap.bind_password"
"""What is named where a bind is refused."""


def bind_refusal(error: ldap.LDAPError, dn: str) -> Refusal:
    """Return the refusal for a failed bind of the service account.

    Whatever its result code is, the request is not to blame: the configuration, the account or the
    server must be repaired, and then the same request succeeds. `/readyz` shows the `fault`.
    """
    found = refusal_for(error)
    if isinstance(found, ServerDown):
        return found
    account = dn or "the external identity"
    words = f"bind as {account}: {sentence(error)}"
    if result_code(error) <= 0 or isinstance(error, ldap.PROTOCOL_ERROR):
        # An error of the library, or a server that refuses StartTLS.
        return type(found)(words)
    kind = type(found) if isinstance(found, DirectoryUnable) else DirectoryDenies
    return kind(f"{words} ({BIND_SETTINGS})", report={"fault": f"bind refused: {BIND_SETTINGS}"})


def result_code(error: ldap.LDAPError) -> int:
    """Return the result code of an LDAP error; negative: one of the library."""
    return int(_facts(error).get("result", getattr(type(error), "errnum", -1)))


def sentence(error: Exception) -> str:
    """Return the message of an LDAP error, for the log."""
    facts = _facts(error)
    if not facts:
        return str(error)
    words = (facts.get("desc"), facts.get("info"), facts.get("matched"))
    return ": ".join(str(word) for word in words if word) or type(error).__name__


def _facts(error: Exception) -> Mapping[str, Any]:
    facts: Any = error.args[0] if error.args else {}
    return facts if isinstance(facts, dict) else {}
