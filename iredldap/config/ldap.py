"""Settings of the connection to the directory.

A module of its own: an export needs no others, and its start-up is measured.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from iredldap.config.checks import certificates
from iredldap.config.settings import POSITIVE, Secret, between, holds, setting


def _servers(uris: tuple[str, ...]) -> str | None:
    for uri in uris:
        server = urlsplit(uri)
        if server.scheme not in {"ldap", "ldaps", "ldapi"}:
            return f"{uri!r} is no ldap://, ldaps:// or ldapi:// address"
        # A port out of range raises ValueError, which the reader reports like any other error.
        if server.scheme != "ldapi" and server.port == 0:
            return f"{uri!r} has port 0, which cannot be connected to"
    return None if uris else "missing"


@dataclass(frozen=True, kw_only=True)
class LdapSettings:
    """The directory."""

    uri: tuple[str, ...] = setting(
        "Servers that accept writes, tried in this order: `ldap://`, `ldaps://` or `ldapi://`.",
        _servers,
    )
    suffix: str = setting("Suffix of the tree, for example `dc=example,dc=com`.")
    bind_dn: str = setting("Account that the API binds as: `cn=vmailadmin,<suffix>`.")
    bind_password: Secret = setting(
        "Its password.", holds(lambda secret: bool(secret.reveal()), "empty")
    )
    starttls: bool | None = setting(
        "Whether to use StartTLS on `ldap://` connections. Absent: unless the server is on this"
        " machine.",
        default=None,
    )
    ca_file: str = setting(
        "File of CA certificates, PEM; empty: the system's, or the file that `LDAPTLS_CACERT` or"
        " `SSL_CERT_FILE` names.",
        certificates,
        default="",
    )
    verify_certificate: bool = setting(
        "Whether the server's certificate is verified.", default=True
    )
    network_timeout: float = setting("Seconds to wait for a connection.", POSITIVE, default=5.0)
    operation_timeout: float = setting("Seconds to wait for a response.", POSITIVE, default=15.0)
    connections: int = setting(
        "Maximum of requests of one worker that use the directory at once.", between(1), default=8
    )

    def turns_to_tls(self, uri: str) -> bool:
        """Return whether a connection to this server begins with StartTLS."""
        server = urlsplit(uri)
        if server.scheme != "ldap":
            return False
        return not _is_loopback(server.hostname or "") if self.starttls is None else self.starttls


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in {"", "localhost"}
