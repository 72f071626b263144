"""Which way the directory is read: straight from the socket, or by python-ldap."""

from typing import Literal, get_args
from urllib.parse import urlsplit

from iredldap.config.ldap import LdapSettings
from ldif_export.protocol import sockets
from ldif_export.readers.base import Projection, Reader

ReaderName = Literal["auto", "wire", "python-ldap"]
READER_NAMES: tuple[ReaderName, ...] = get_args(ReaderName)


def connect(settings: LdapSettings, wanted: Projection, choice: ReaderName = "auto") -> Reader:
    """Open a connection to read from.

    Args:
        settings: Where the directory is and who we are there; without a bind DN: whoever owns
            this process, over a Unix socket.
        wanted: What of each entry.
        choice: ``auto`` is ``wire``, but where only libldap knows what is meant.

    Raises:
        ServerDown: If no server answers, or its certificate is not to be trusted.
        InternalError: If TLS is not to be had, or the bind is refused.
    """
    if choice == "wire" or (choice == "auto" and wire_suffices(settings)):
        # Each loads what the other does not need.
        from ldif_export.protocol import connection  # noqa: PLC0415
        from ldif_export.readers import wire  # noqa: PLC0415

        return wire.WireReader(connection.connect(settings), wanted)
    from ldif_export.readers import libldap  # noqa: PLC0415

    return libldap.LibldapReader(libldap.connect(settings), wanted, settings.operation_timeout)


def wire_suffices(settings: LdapSettings) -> bool:
    """Whether the settings say all that the fast reader has to know.

    Which certificates are trusted without `ca_file`, and where a Unix socket without a path is,
    may stand in libldap's own configuration.
    """
    return all(_is_plain(uri, settings) for uri in settings.uri)


def _is_plain(uri: str, settings: LdapSettings) -> bool:
    scheme = urlsplit(uri).scheme
    if scheme == "ldapi":
        return sockets.local_path(uri) is not None
    has_tls = scheme == "ldaps" or settings.turns_to_tls(uri)
    return not has_tls or bool(settings.ca_file) or not settings.verify_certificate
