"""Choose the reader: `wire`, straight from the socket, or python-ldap."""

from typing import Literal, get_args
from urllib.parse import urlsplit

from iredldap.config.ldap import LdapSettings
from ldif_export.protocol import sockets
from ldif_export.readers.base import Projection, Reader

ReaderName = Literal["auto", "wire", "python-ldap"]
READER_NAMES: tuple[ReaderName, ...] = get_args(ReaderName)


def connect(settings: LdapSettings, wanted: Projection, choice: ReaderName = "auto") -> Reader:
    """Connect a reader to the directory.

    Args:
        settings: Servers and bind account; without a bind DN the connection binds as the owner of
            this process, over a Unix socket.
        wanted: Which attributes of each entry.
        choice: ``auto`` is ``wire``, unless only libldap knows some of the settings.

    Raises:
        ServerDown: If no server answers, or its certificate is not trusted.
        InternalError: If TLS is not available, or the bind is refused.
    """
    if choice == "wire" or (choice == "auto" and wire_suffices(settings)):
        # Each reader loads modules that the other does not need.
        from ldif_export.protocol import connection  # noqa: PLC0415
        from ldif_export.readers import wire  # noqa: PLC0415

        return wire.WireReader(connection.connect(settings), wanted)
    from ldif_export.readers import libldap  # noqa: PLC0415

    return libldap.LibldapReader(libldap.connect(settings), wanted, settings.operation_timeout)


def wire_suffices(settings: LdapSettings) -> bool:
    """Return whether the settings contain all that the wire reader has to know.

    The trusted certificates without `ca_file`, and the path of a Unix socket that the URI does not
    name, may be set in libldap's own configuration.
    """
    return all(_is_plain(uri, settings) for uri in settings.uri)


def _is_plain(uri: str, settings: LdapSettings) -> bool:
    scheme = urlsplit(uri).scheme
    if scheme == "ldapi":
        return sockets.local_path(uri) is not None
    has_tls = scheme == "ldaps" or settings.turns_to_tls(uri)
    return not has_tls or bool(settings.ca_file) or not settings.verify_certificate
