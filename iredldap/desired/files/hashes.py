"""Bring password hashes of other programs into a form that the directory may verify.

Dovecot, PostfixAdmin, mailcow and Google name and encode them in their own ways. What no directory
verifies is left as it is, and refused where it is set.

Source: Dovecot's documentation, "Password Schemes"; RFC 2307; crypt(5).
"""

import base64
import binascii
import re

_PREFIXED = re.compile(r"\{([A-Za-z0-9.-]+)\}(.*)", re.DOTALL)
_CLEAR = {"PLAIN", "CLEAR", "CLEARTEXT"}
_SAME = {"SHA1": "SHA", "LDAP-MD5": "MD5", "PLAIN-MD5": "MD5", "SMD5": "SMD5"}
_ENCODING = re.compile(r"\.(HEX|B64|BASE64)$")
_DIGESTS = {
    "MD5": 16, "SHA": 20, "SHA256": 32, "SHA512": 64,
    "SMD5": 16, "SSHA": 20, "SSHA256": 32, "SSHA512": 64,
}  # fmt: skip
_OF_CRYPT = re.compile(r"\$(?:1|2[abxy]|5|6|7|y|gy)\$")


def recognized(text: str) -> tuple[str, str]:
    """Return the parameter that a stored password is, and its value.

    Args:
        text: As another program stores it.

    Returns:
        ``password`` with clear text, or ``password_hash`` with a prefix.
    """
    prefixed = _PREFIXED.fullmatch(text)
    if prefixed is None:
        return "password_hash", _bare(text)
    scheme, rest = prefixed[1].upper(), prefixed[2]
    if scheme in _CLEAR:
        return "password", rest
    if _OF_CRYPT.match(rest):
        # Dovecot's MD5 is that of crypt(), for example.
        return "password_hash", f"{{CRYPT}}{rest}"
    scheme = _ENCODING.sub("", scheme)
    scheme = _SAME.get(scheme, scheme)
    return "password_hash", f"{{{scheme}}}{_base64(scheme, rest)}"


def _bare(text: str) -> str:
    """Give a hash without a prefix the one that its form shows."""
    if _OF_CRYPT.match(text):
        return f"{{CRYPT}}{text}"
    for scheme in ("MD5", "SHA"):
        if len(text) == 2 * _DIGESTS[scheme] and _is_hex(text):
            return f"{{{scheme}}}{_base64(scheme, text)}"
    return text


def of_function(text: str, function: str) -> tuple[str, str]:
    """Return the parameter and value of a password with the name of its function, as Google's.

    Args:
        text: A hash in hexadecimal digits or of crypt(), or a password in clear text.
        function: ``MD5``, ``SHA-1`` or ``crypt``; empty for clear text.
    """
    match function.strip().upper():
        case "":
            return "password", text
        case "CRYPT":
            return "password_hash", f"{{CRYPT}}{text}"
        case name:
            scheme = {"SHA-1": "SHA", "SHA1": "SHA"}.get(name, name)
            return "password_hash", f"{{{scheme}}}{_base64(scheme, text)}"


def _base64(scheme: str, text: str) -> str:
    """Return a digest, with its salt, in base64, where it is in hexadecimal digits."""
    least = 2 * _DIGESTS.get(scheme, 0)
    if least and len(text) >= least and _is_hex(text):
        return base64.b64encode(bytes.fromhex(text)).decode()
    return text


def _is_hex(text: str) -> bool:
    try:
        binascii.unhexlify(text)
    except (binascii.Error, ValueError):
        return False
    return True
