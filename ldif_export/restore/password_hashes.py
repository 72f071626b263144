"""Classify stored passwords: what a server would make of each.

Source: slapd compares a value without a known prefix as clear text.
"""

import re
from collections.abc import Collection

from iredldap.dit import passwords
from iredldap.errors import InvalidPasswordScheme

VERIFIED = (
    *("SSHA512", "SHA512", "SSHA384", "SHA384", "SSHA256", "SHA256"),
    *("SSHA", "SHA", "SMD5", "MD5", "CRYPT"),
)
"""Schemes that slapd verifies with its module pw-sha2."""

_SCHEME = re.compile(rb"\{([A-Za-z0-9./_-]+)\}.")
_CLEAR = frozenset({b"CLEARTEXT", b"CLEAR", b"PLAIN"})


def is_clear(stored: bytes) -> bool:
    """Return whether a stored password is clear text, or the server takes it for that."""
    scheme = _SCHEME.match(stored)
    # slapd compares a value that names no scheme as it is.
    return scheme is None or scheme[1].upper() in _CLEAR


def is_verified(stored: bytes, verified: Collection[str]) -> bool:
    """Return whether a bind can succeed with a stored password as it is."""
    text = stored.decode("utf-8", "replace")
    try:
        usual = passwords.with_verified_scheme(text, verified)
    except InvalidPasswordScheme:
        return False
    # slapd does not know the names that only Dovecot has.
    return usual.partition("}")[0] == text.partition("}")[0].upper()
