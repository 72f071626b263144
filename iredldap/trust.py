"""CA certificates to trust, and the diagnosis of failed TLS: for libldap and for sockets.

libldap's error message about a certificate depends on how it was built ("unknown error code", with
GnuTLS). So after a failure the reason is found out by a second handshake with Python's `ssl`.

Source: `docs/decisions/0035-trust.md`; RFC 4511, section 4.14 (StartTLS).
"""

import os
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from iredldap.config.ldap import LdapSettings

VARIABLES = ("LDAPTLS_CACERT", "SSL_CERT_FILE")
"""Environment variables that name a file of CA certificates, in order of preference."""
# An extended request of RFC 4511, 4.14, as bytes: this module is loaded where no LDAP library is.
_START_TLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
_SUCCESS = b"\x0a\x01\x00"
_EXPIRED, _NOT_YET = 10, 9
_NAMES = {62, 64}
"""Codes of X509_verify_cert(3): neither a host name nor an address matches."""


def certificates(settings: LdapSettings) -> str:
    """Return the file of CA certificates: the setting's, else the system's.

    The system's is the one that the environment names (`LDAPTLS_CACERT`, `SSL_CERT_FILE`), else
    that of libldap's configuration (`TLS_CACERT` in ldap.conf), else OpenSSL's. Empty: none.
    """
    return _chosen(settings)[1]


def source(settings: LdapSettings) -> str:
    """Return where the path of `certificates` comes from: a setting, a variable or the system."""
    return _chosen(settings)[0]


def _chosen(settings: LdapSettings) -> tuple[str, str]:
    if settings.ca_file:
        return "ldap.ca_file", settings.ca_file
    for variable in VARIABLES:
        if file := os.environ.get(variable):
            return variable, file
    return "the system's", _configured() or ssl.get_default_verify_paths().cafile or ""


def context(settings: LdapSettings) -> ssl.SSLContext:
    """Create the TLS context for a socket.

    Raises:
        OSError: If the certificates can't be read.
    """
    # Not `create_default_context`, which would add the certificates of OpenSSL to those that are
    # named.
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not settings.verify_certificate:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif file := certificates(settings):
        made.load_verify_locations(file)
    else:
        made.load_default_certs()
    return made


def name(uri: str) -> str:
    """Return the host name that a certificate must have; for localhost that of this machine."""
    host = urlsplit(uri).hostname or "localhost"
    # As libldap compares it.
    return socket.getfqdn() if host == "localhost" else host


def diagnose(uri: str, settings: LdapSettings) -> str | None:
    """Try a TLS handshake; return what is wrong with it, or None if nothing, or not with TLS."""
    server = urlsplit(uri)
    starts = settings.turns_to_tls(uri)
    if not (starts or server.scheme == "ldaps"):
        return None
    address = (server.hostname or "localhost", server.port or (389 if starts else 636))
    # A server that cannot be reached is no fault of TLS; the error of the first attempt says that
    # already.
    with suppress(OSError), socket.create_connection(address, settings.network_timeout) as plain:
        if starts:
            plain.sendall(_START_TLS)
            if _SUCCESS not in plain.recv(4096):
                return "TLS: the server offers none (StartTLS is refused)"
        try:
            with context(settings).wrap_socket(plain, server_hostname=name(uri)):
                return None
        except OSError as ex:
            return explain(ex, uri, settings)
    return None


def explain(error: OSError, uri: str, settings: LdapSettings) -> str:
    """Return what went wrong in a handshake, and the setting that would correct it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {_judged(error, uri, settings)}"
    if isinstance(error, ssl.SSLError) and error.reason in {"WRONG_VERSION_NUMBER", "EOF"}:
        return "TLS: what answers there speaks no TLS"
    if isinstance(error, ssl.SSLEOFError | ConnectionResetError):
        return "TLS: the server hangs up; does it speak TLS on this port?"
    return f"TLS: {error}"


def _judged(error: ssl.SSLCertVerificationError, uri: str, settings: LdapSettings) -> str:
    if error.verify_code == _EXPIRED:
        return "the server's certificate has expired"
    if error.verify_code == _NOT_YET:
        return "the server's certificate is not valid yet"
    if error.verify_code in _NAMES:
        return f"the server's certificate is not for {name(uri)}: {error.verify_message}"
    file = certificates(settings) or "no file"
    where = source(settings)
    words = where if settings.ca_file else f"{where}; ldap.ca_file may name others"
    return f"the server's certificate is not trusted ({error.verify_message}) by {file} ({words})"


def _configured() -> str | None:
    import ldap  # noqa: PLC0415 - an export over a Unix socket does without

    found = ldap.get_option(ldap.OPT_X_TLS_CACERTFILE)
    return found if isinstance(found, str) and Path(found).is_file() else None
