"""Find out by trying which password schemes a directory verifies.

Source: whether slapd verifies a scheme depends on its build and modules, and no attribute says.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterator

from iredldap.dit.entry import encoded
from iredldap.dit.names import Tree
from iredldap.dit.plan import Add, Delete, Mod, Modify, Op
from iredldap.gateways.directory import Directory

_WORD = "iredldap probes this"

# Made with `openssl passwd -6`: from 3.13 on Python has no function for libc's hashes.
_CRYPT = (
    "$6$probe$wLYHgSml00BRAEP54S8xlvCrV.UyRPX"
    "U28kb8GCNRvRkGhDCaTZJaVSRiMADiVVyU5/5/FxWbMFC.MFcUEDcB1"
)


def verified_schemes(directory: Directory) -> tuple[str, ...]:
    """Find the hash schemes that a bind accepts.

    A disabled admin of a random name is added, bound as with a hash of each scheme, and removed.
    """
    entry = probe_entry(directory.tree, "made to see which password hashes work; may be deleted")
    directory.write(entry)
    try:
        return tuple(
            scheme for scheme, stored in _samples() if _is_verified(directory, entry.dn, stored)
        )
    # Also if a bind fails in a way that was not foreseen: an admin with a known password must not
    # stay.
    finally:
        directory.write(Delete(entry.dn))


def probe_entry(tree: Tree, purpose: str) -> Add:
    """Return the addition of a disabled admin of a random name, with a description."""
    # RFC 2606 keeps `.invalid` for names that no one has. At random, so that two at once do not
    # meet.
    mail = f"probe-{secrets.token_hex(8)}@probe.invalid"
    attributes = {
        "objectClass": encoded(["mailAdmin"]),
        "mail": encoded([mail]),
        # slapd verifies a password whatever this says, and no program of iRedMail lets such an
        # account in.
        "accountStatus": encoded(["disabled"]),
        "description": encoded([purpose]),
    }
    return Add(tree.admin(mail), attributes)


def best_scheme(verified: tuple[str, ...]) -> str:
    """Return the scheme for new passwords."""
    return "SSHA512" if "SSHA512" in verified else "SSHA"


def _is_verified(directory: Directory, dn: str, stored: str) -> bool:
    directory.write(Modify(dn, (Mod(Op.REPLACE, "userPassword", encoded([stored])),)))
    return directory.verifies(dn, _WORD)


def _samples() -> Iterator[tuple[str, str]]:
    salt = secrets.token_bytes(8)
    for name, function in (
        ("SHA512", hashlib.sha512),
        ("SHA384", hashlib.sha384),
        ("SHA256", hashlib.sha256),
        ("SHA", hashlib.sha1),
        ("MD5", hashlib.md5),
    ):
        for scheme, pepper in ((f"S{name}", salt), (name, b"")):
            digest = function(_WORD.encode() + pepper).digest() + pepper
            yield scheme, f"{{{scheme}}}{base64.b64encode(digest).decode()}"
    yield "CRYPT", "{CRYPT}" + _CRYPT
