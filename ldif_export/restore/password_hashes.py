"""Stored passwords as a file holds them: what a server would make of each.

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
"""What slapd with its module pw-sha2 verifies."""

_SCHEME = re.compile(rb"\{([A-Za-z0-9./_-]+)\}.")
_CLEAR = frozenset({b"CLEARTEXT", b"CLEAR", b"PLAIN"})


def is_clear(stored: bytes) -> bool:
    """Whether a stored password can be read by anybody who sees it, or is used as if it could."""
    scheme = _SCHEME.match(stored)
    return scheme is None or scheme[1].upper() in _CLEAR


def is_verified(stored: bytes, verified: Collection[str]) -> bool:
    """Whether a bind can succeed with a stored password as it is."""
    text = stored.decode("utf-8", "replace")
    try:
        usual = passwords.with_verified_scheme(text, verified)
    except InvalidPasswordScheme:
        return False
    # Names of Dovecot's own are no names to slapd.
    return usual.partition("}")[0] == text.partition("}")[0].upper()
