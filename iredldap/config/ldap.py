"""How the directory is reached; apart from all other settings, as an export needs no others."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from iredldap.config.settings import POSITIVE, Secret, between, certificates, holds, setting


def _servers(uris: tuple[str, ...]) -> str | None:
    for uri in uris:
        server = urlsplit(uri)
        if server.scheme not in {"ldap", "ldaps", "ldapi"}:
            return f"{uri!r} is no ldap://, ldaps:// or ldapi:// address"
        # Out of range it raises ValueError, which is told like any other fault.
        if server.scheme != "ldapi" and server.port == 0:
            return f"{uri!r} has no port that one can connect to"
    return None if uris else "missing"


@dataclass(frozen=True, kw_only=True)
class Ldap:
    """The directory."""

    uri: tuple[str, ...] = setting(
        "Servers that take writes, tried in this order: `ldap://`, `ldaps://` or `ldapi://`.",
        _servers,
    )
    suffix: str = setting("Suffix of the tree, `dc=example,dc=com`, say.")
    bind_dn: str = setting("Account that the API binds as: `cn=vmailadmin,<suffix>`.")
    bind_password: Secret = setting(
        "Its password.", holds(lambda secret: bool(secret.reveal()), "empty")
    )
    starttls: bool | None = setting(
        "Whether an `ldap://` connection turns to TLS. Absent: unless the server is this machine.",
        default=None,
    )
    ca_file: str = setting(
        "Certificates to trust, PEM; empty: the system's, or the file that `LDAPTLS_CACERT` or"
        " `SSL_CERT_FILE` names.",
        certificates,
        default="",
    )
    verify_certificate: bool = setting("Whether the server's certificate is checked.", default=True)
    network_timeout: float = setting("Seconds to wait for a connection.", POSITIVE, default=5.0)
    operation_timeout: float = setting("Seconds to wait for an answer.", POSITIVE, default=15.0)
    connections: int = setting(
        "Most requests of one worker that use the directory at once.", between(1), default=8
    )

    def turns_to_tls(self, uri: str) -> bool:
        """Whether a connection to this server begins with StartTLS."""
        server = urlsplit(uri)
        if server.scheme != "ldap":
            return False
        return not _is_loopback(server.hostname or "") if self.starttls is None else self.starttls


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in {"", "localhost"}
