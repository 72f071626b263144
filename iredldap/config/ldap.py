"""Settings of the connection to the directory.

A module of its own: an export needs no others, and its start-up is measured.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from iredldap.config.checks import certificates
from iredldap.config.settings import POSITIVE, Secret, between, holds, setting

AGREED = "agreed"
"""Value of `ldap.writer`: the workers of all nodes agree on the server that they write to."""

_PAIR = 2
"""Servers that can agree on a writer: one is written to, the other one confirms."""


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
        "The server that accepts writes: `ldap://`, `ldaps://` or `ldapi://`. Two servers in mirror"
        ' mode with `writer = "agreed"`, named alike on every node; consumers never.',
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

    writer: str = setting(
        "Which server is written to: `first`, the only one of `uri`; or `agreed`, the one of two"
        " servers on which all workers of all nodes agree in the state database, which must be"
        " MariaDB or PostgreSQL.",
        holds(lambda word: word in {"first", AGREED}, f"first or {AGREED}"),
        default="first",
    )
    confirm: bool = setting(
        "With `agreed`: whether a change is answered only when the other server has it, or every"
        " worker knows that the writer is alone. Without it the changes of the last moments are"
        " lost with the writer.",
        default=True,
    )
    failover_after: float = setting(
        "With `agreed`: seconds of silence of the writer after which the other server takes its"
        " place; also how long a change waits for a confirmation while the other server makes no"
        " progress.",
        between(0.5, 60),
        default=2.0,
    )
    lease: float = setting(
        "With `agreed`: seconds for which a worker relies on what it last read in the state"
        " database about the writer; it reads every half second. Without a valid lease changes are"
        " refused, and reads continue.",
        between(1, 60),
        default=2.0,
    )
    health_timeout: float = setting(
        "With `agreed`: seconds in which a server must answer a bind and a small search to count as"
        " healthy, and in which it must acknowledge what was sent to it.",
        between(0.2, 30),
        default=1.0,
    )
    reads: str = setting(
        "With `agreed`: which server answers reads: `writer`, or `any` of the two while both have"
        " every acknowledged change. Reads that a change depends on always use the writer.",
        holds(lambda word: word in {"writer", "any"}, "writer or any"),
        default="writer",
    )

    @property
    def is_agreed(self) -> bool:
        """Whether the writer is agreed upon in the state database."""
        return self.writer == AGREED

    def only(self, uri: str) -> "LdapSettings":
        """Return the settings for one server, and no other one in its place."""
        return replace(self, uri=(uri,), writer="first")

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with these settings taken together, each with its remedy.

        Not judged by the exporter, which only reads and may be given several servers.
        """
        distinct = len({uri.rstrip("/").lower() for uri in self.uri})
        if not self.is_agreed and len(self.uri) > 1:
            yield (
                f'ldap.writer: with {len(self.uri)} servers in ldap.uri it must be "{AGREED}", or'
                " each connection chooses its own server and acknowledged changes are lost; or name"
                " one server"
            )
        if self.is_agreed and (distinct != _PAIR or len(self.uri) != _PAIR):
            yield (
                f'ldap.uri: with ldap.writer = "{AGREED}" it must name exactly two servers, in'
                f" mirror mode, not {distinct}"
            )
        if self.is_agreed and self.reads == "any" and not self.confirm:
            yield (
                'ldap.reads: "any" needs ldap.confirm, or the other server may lack what was'
                " acknowledged"
            )
        if self.is_agreed and self.failover_after < self.health_timeout:
            yield (
                "ldap.failover_after: it must not be less than ldap.health_timeout"
                f" ({self.health_timeout:g} s), or one slow answer is a failover"
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
