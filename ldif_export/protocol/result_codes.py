"""Turn result codes into refusals, the same ones that python-ldap's errors become.

Source: RFC 4511, appendix A; the descriptions are libldap's.
"""

from typing import Any

from iredldap.errors import Refusal
from ldif_export.protocol.messages import LdapResult

SUCCESS = 0
NO_SUCH_OBJECT = 32
UNAVAILABLE = 52

_DESCRIPTIONS = {
    1: "Operations error",
    2: "Protocol error",
    3: "Time limit exceeded",
    4: "Size limit exceeded",
    7: "Authentication method not supported",
    8: "Strong(er) authentication required",
    10: "Referral",
    11: "Administrative limit exceeded",
    12: "Critical extension is unavailable",
    13: "Confidentiality required",
    14: "SASL bind in progress",
    16: "No such attribute",
    17: "Undefined attribute type",
    18: "Inappropriate matching",
    19: "Constraint violation",
    20: "Type or value exists",
    21: "Invalid syntax",
    32: "No such object",
    33: "Alias problem",
    34: "Invalid DN syntax",
    36: "Alias dereferencing problem",
    48: "Inappropriate authentication",
    49: "Invalid credentials",
    50: "Insufficient access",
    51: "Server is busy",
    52: "Server is unavailable",
    53: "Server is unwilling to perform",
    54: "Loop detected",
    64: "Naming violation",
    65: "Object class violation",
    66: "Operation not allowed on non-leaf",
    67: "Operation not allowed on RDN",
    68: "Already exists",
    69: "Cannot modify object class",
    71: "Operation affects multiple DSAs",
    80: "Internal (implementation specific) error",
    122: "Assertion Failed",
}


def refusal(result: LdapResult) -> Refusal:
    """Return the refusal for a result other than success."""
    # Only a failure needs python-ldap, which takes long to load.
    from iredldap.gateways.ldap.errors import refusal_for  # noqa: PLC0415

    return refusal_for(_error(result))


def bind_refusal(result: LdapResult, dn: str) -> Refusal:
    """Return the refusal for a failed bind as an account; without a DN, by SASL EXTERNAL."""
    from iredldap.gateways.ldap import errors  # noqa: PLC0415 - as above

    return errors.bind_refusal(_error(result), dn)


def _error(result: LdapResult) -> Any:
    import ldap  # noqa: PLC0415 - as above

    facts = {
        "result": result.code,
        "desc": _DESCRIPTIONS.get(result.code, f"Result {result.code}"),
        "info": result.diagnostic,
        "matched": result.matched,
    }
    return ldap.LDAPError(facts)
