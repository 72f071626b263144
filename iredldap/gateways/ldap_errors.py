"""What python-ldap raises, as refusals.

Source: RFC 4511, appendix A.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ldap

from iredldap.errors import (
    AlreadyExists,
    ExceededLdapServerSizelimit,
    InternalError,
    InvalidParameter,
    NoSuchAccount,
    NotSupportedByDirectory,
    PreconditionFailed,
    Refusal,
    ServerDown,
)


class Unanswered(ServerDown):
    """A write was sent and its answer never came: it may or may not have happened."""


class ValueAbsent(PreconditionFailed):
    """A value to be deleted is not there (any more)."""


class ValuePresent(PreconditionFailed):
    """A value to be added is there already."""


class HasChildren(InternalError):
    """An entry to be deleted has children."""


class SchemaViolated(NotSupportedByDirectory):
    """The schema does not allow what was sent; a plan that was made for it is never told so."""


_REFUSALS: tuple[tuple[type[Exception], type[Refusal]], ...] = (
    (ldap.ALREADY_EXISTS, AlreadyExists),
    (ldap.NO_SUCH_OBJECT, NoSuchAccount),
    (ldap.ASSERTION_FAILED, PreconditionFailed),
    (ldap.NO_SUCH_ATTRIBUTE, ValueAbsent),
    (ldap.TYPE_OR_VALUE_EXISTS, ValuePresent),
    (ldap.NOT_ALLOWED_ON_NONLEAF, HasChildren),
    (ldap.INVALID_SYNTAX, InvalidParameter),
    (ldap.CONSTRAINT_VIOLATION, InvalidParameter),
    (ldap.UNDEFINED_TYPE, SchemaViolated),
    (ldap.OBJECT_CLASS_VIOLATION, SchemaViolated),
    (ldap.SIZELIMIT_EXCEEDED, ExceededLdapServerSizelimit),
    (ldap.SERVER_DOWN, ServerDown),
    (ldap.CONNECT_ERROR, ServerDown),
    (ldap.TIMEOUT, ServerDown),
    (ldap.UNAVAILABLE, ServerDown),
    (ldap.BUSY, ServerDown),
)
LOST = (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.TIMEOUT, ldap.UNAVAILABLE)
WRONG_PASSWORD = (ldap.INVALID_CREDENTIALS, ldap.INAPPROPRIATE_AUTH, ldap.NO_SUCH_OBJECT)


@contextmanager
def translated() -> Iterator[None]:
    """Turn python-ldap's exceptions into refusals; the original stays as the cause."""
    try:
        yield
    except ldap.LDAPError as ex:
        raise refusal_for(ex) from ex


def refusal_for(error: ldap.LDAPError) -> Refusal:
    """Give the refusal that an LDAP error means.

    Limits of the server are among them: a result that stops early must never look whole.
    """
    for foreign, ours in _REFUSALS:
        if isinstance(error, foreign):
            return ours(sentence(error))
    return InternalError(sentence(error))


def sentence(error: Exception) -> str:
    """Return what an LDAP error says, for the log."""
    facts: Any = error.args[0] if error.args else {}
    if not isinstance(facts, dict):
        return str(error)
    words = (facts.get("desc"), facts.get("info"), facts.get("matched"))
    return ": ".join(str(word) for word in words if word) or type(error).__name__
