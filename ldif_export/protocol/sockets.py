"""Open sockets to a directory: Unix and TCP, with TLS on top.

Source: RFC 4513, section 3 (TLS); `ldap_int_check_hostname` of OpenLDAP 2.5.
"""

import socket
from pathlib import Path
from urllib.parse import unquote, urlsplit

from iredldap.config.ldap import LdapSettings
from iredldap.errors import InternalError, ServerDown

_PORTS = {"ldap": 389, "ldaps": 636}

# Default paths of slapd's Unix socket: Debian's first.
_SOCKETS = ("/var/run/slapd/ldapi", "/var/run/openldap/ldapi", "/var/run/ldapi")


def open_socket(uri: str, settings: LdapSettings) -> socket.socket:
    """Connect to a server, over TLS for ``ldaps://``; StartTLS is the caller's task.

    Raises:
        ServerDown: If the server does not answer, or its certificate is not trusted.
        InternalError: If the trusted certificates cannot be read.
    """
    scheme = urlsplit(uri).scheme
    if scheme == "ldapi":
        return _local(uri, settings.network_timeout)
    server = urlsplit(uri)
    # `ldap://` without a host is what libldap takes for this machine.
    address = (server.hostname or "localhost", server.port or _PORTS[scheme])
    try:
        plain = socket.create_connection(address, settings.network_timeout)
    except OSError as ex:
        raise ServerDown(f"{uri}: {ex}") from ex
    return start_tls(plain, uri, settings) if scheme == "ldaps" else plain


def start_tls(plain: socket.socket, uri: str, settings: LdapSettings) -> socket.socket:
    """Wrap a connected socket in TLS; close it if that fails.

    Raises:
        ServerDown, InternalError: As `open_socket`.
    """
    # Most exports use a Unix socket, and loading the ssl module takes long.
    from iredldap import trust  # noqa: PLC0415

    try:
        context = trust.context(settings)
    except OSError as ex:
        plain.close()
        reason = f"{trust.source(settings)}: {trust.certificates(settings)}: {ex}"
        raise InternalError(reason) from ex
    try:
        return context.wrap_socket(plain, server_hostname=trust.name(uri))
    except OSError as ex:
        plain.close()
        raise ServerDown(trust.explain(ex, uri, settings)) from ex


def local_path(uri: str) -> str | None:
    """Return the path of the Unix socket that a URI means; None: no path, and no default exists."""
    path = unquote(urlsplit(uri).netloc)
    return path or next((path for path in _SOCKETS if Path(path).exists()), None)


def _local(uri: str, timeout: float) -> socket.socket:
    path = local_path(uri)
    if path is None:
        raise ServerDown(f"{uri}: none of {', '.join(_SOCKETS)} is there")
    plain = socket.socket(socket.AF_UNIX)
    try:
        plain.settimeout(timeout)
        plain.connect(path)
    except OSError as ex:
        plain.close()
        raise ServerDown(f"{uri}: {ex}") from ex
    return plain
