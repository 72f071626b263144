"""Password hashes and the rules for new passwords.

Only forms that slapd itself verifies are written: a value without a prefix would be clear text
to it, and Dovecot's own prefixes never match there.

Source: iRedMail's directory, section on passwords; RFC 2307 (prefixes).
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass

from iredldap.errors import InternalError, InvalidPasswordScheme, Refusal, WeakPassword

# A hash that is cut off is stored by slapd without a word, and then no password is right.
_DIGEST_BYTES = {
    "SHA": 20, "SSHA": 20, "MD5": 16, "SMD5": 16,
    "SHA256": 32, "SSHA256": 32, "SHA384": 48, "SSHA384": 48, "SHA512": 64, "SSHA512": 64,
}  # fmt: skip
_CRYPT_SPELLINGS = {"CRYPT", "BCRYPT", "BLF-CRYPT", "MD5-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT"}
# The forms of libc's crypt(); it fails on others, and no log-in would succeed.
_CRYPT = re.compile(
    r"""
      [./0-9A-Za-z]{13}                                                  # DES
    | \$1 \$ [^$:]{0,8} \$ [./0-9A-Za-z]{22}                             # MD5
    | \$2[aby] \$ [0-9]{2} \$ [./0-9A-Za-z]{53}                          # bcrypt
    | \$5 \$ (?:rounds=[0-9]{4,9}\$)? [^$:]{0,16} \$ [./0-9A-Za-z]{43}   # SHA-256
    | \$6 \$ (?:rounds=[0-9]{4,9}\$)? [^$:]{0,16} \$ [./0-9A-Za-z]{86}   # SHA-512
    | \$(?:7|y|gy) \$ (?:[./0-9A-Za-z]+\$){1,2} [./0-9A-Za-z]{43}        # scrypt, yescrypt
    """,
    re.VERBOSE,
)
_PREFIXED = re.compile(r"\{([A-Za-z0-9-]+)\}([!-~]+)")
_SPECIAL = frozenset("#$%&*+-,.:;!=<>'\"?@[]/(){}_`~^\\")
_BCRYPT_LONGEST = 72

LONGEST = 1024
"""Most bytes of a password: what is longer no program on the way to the mailbox is asked about."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules for a new password; lengths in characters, 0 for `longest` means any."""

    shortest: int = 8
    longest: int = 0
    letter: bool = False
    uppercase: bool = False
    digit: bool = False
    special: bool = False


def check(password: str, policy: Policy, mail: str) -> list[Refusal]:
    """Return a refusal for every rule that a new password breaks."""
    if not password:
        return [WeakPassword("PW_EMPTY")]
    rules = (
        # Clients send other characters in different encodings: the mailbox would open in one
        # program and not in the next.
        ("PW_NON_ASCII", not all(" " <= char <= "~" for char in password)),
        ("PW_SHORTER_THAN_MIN_LENGTH", len(password) < policy.shortest),
        (
            "PW_GREATER_THAN_MAX_LENGTH",
            len(password.encode()) > LONGEST or 0 < policy.longest < len(password),
        ),
        ("PW_NO_LETTER", policy.letter and not any(c.isalpha() for c in password)),
        ("PW_NO_UPPERCASE", policy.uppercase and not any(c.isupper() for c in password)),
        ("PW_NO_DIGIT_NUMBER", policy.digit and not any(c.isdigit() for c in password)),
        ("PW_NO_SPECIAL_CHAR", policy.special and not _SPECIAL.intersection(password)),
        # Checked last, with the others: the client sees all rules that are broken at once.
        ("PW_IS_ADDRESS", password.lower() == mail.lower()),
    )
    return [WeakPassword(rule) for rule, broken in rules if broken]


def may_be_one(password: str) -> bool:
    """Return whether a directory may be asked about a password.

    Not for an empty one, with which a bind succeeds anonymously; nor about one with a NUL, at which
    crypt() stops; nor about one that is too long to have been set.
    """
    return bool(password) and "\0" not in password and len(password.encode()) <= LONGEST


def longest_for(scheme: str) -> int:
    """Return the most bytes of a password that a scheme takes into account; 0: all."""
    return _BCRYPT_LONGEST if scheme == "BCRYPT" else 0


def hashed(password: str, scheme: str, salt: bytes, rounds: int = 12) -> str:
    """Hash a password.

    Args:
        password: In clear text.
        scheme: SSHA512, SSHA or BCRYPT.
        salt: 16 random bytes; the salted SHA schemes use the first 8.
        rounds: Cost of BCRYPT, as a power of two.
    """
    secret = password.encode()
    if scheme == "BCRYPT":
        # bcrypt looks at no more; newer versions of the library refuse longer ones rather than cut
        # them.
        return "{CRYPT}" + _bcrypt(secret[:_BCRYPT_LONGEST], salt, rounds)
    function = {"SSHA512": hashlib.sha512, "SSHA": hashlib.sha1}[scheme]
    # slapd takes all bytes behind the digest for the salt; slappasswd writes four with SSHA, and
    # eight with SSHA512.
    digest = function(secret + salt[:8]).digest()
    return f"{{{scheme}}}" + base64.b64encode(digest + salt[:8]).decode()


def _bcrypt(secret: bytes, salt: bytes, rounds: int) -> str:
    try:
        import bcrypt  # noqa: PLC0415 - an extra; most directories use {SSHA512}
    except ImportError as ex:
        raise InternalError("password_scheme BCRYPT needs the extra bcrypt") from ex
    prefix = f"$2b${rounds:02d}$".encode()
    return bcrypt.hashpw(secret, prefix + _bcrypt_base64(salt)).decode()


def _bcrypt_base64(salt: bytes) -> bytes:
    standard = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    own = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    # bcrypt has an alphabet of its own, and no padding.
    return base64.b64encode(salt).rstrip(b"=").translate(bytes.maketrans(standard, own))


def with_verified_scheme(hash_text: str, verified: Collection[str]) -> str:
    """Bring a ready-made hash into the form that the directory verifies.

    Args:
        hash_text: ``{SCHEME}...``, of slapd's or of Dovecot's naming.
        verified: Schemes that the directory verifies.

    Raises:
        InvalidPasswordScheme: If it has no prefix, is malformed, or of another scheme.
    """
    parts = _PREFIXED.fullmatch(hash_text)
    if not parts:
        raise InvalidPasswordScheme("a hash begins with {SCHEME}", parameter="password_hash")
    scheme, rest = parts[1].upper(), parts[2]
    if scheme in _CRYPT_SPELLINGS:
        # slapd hands all of these to libc's crypt(), which recognises each by its first characters;
        # Dovecot has a name for each.
        scheme = "CRYPT"
    if scheme not in verified or not _is_well_formed(scheme, rest):
        raise InvalidPasswordScheme(
            f"the directory cannot verify this {{{scheme}}}", parameter="password_hash"
        )
    return f"{{{scheme}}}{rest}"


def has_salt(hash_text: str) -> bool:
    """Return whether the password alone is not enough to make the same hash.

    The two letters of salt of DES in crypt() are few enough to be tried.
    """
    parts = _PREFIXED.fullmatch(hash_text)
    if not parts:
        return False
    scheme, rest = parts[1].upper(), parts[2]
    if scheme in _CRYPT_SPELLINGS:
        return rest.startswith("$")
    return _is_salted(scheme)


def _is_salted(scheme: str) -> bool:
    return scheme.startswith("SS") or scheme == "SMD5"


def _is_well_formed(scheme: str, rest: str) -> bool:
    if scheme == "CRYPT":
        return bool(_CRYPT.fullmatch(rest))
    try:
        size = len(base64.b64decode(rest, validate=True))
    except (binascii.Error, ValueError):
        return False
    digest = _DIGEST_BYTES.get(scheme)
    if digest is None:
        return False
    # A salted one is longer by its salt, whose length is free; of the others each byte counts.
    return size > digest if _is_salted(scheme) else size == digest
