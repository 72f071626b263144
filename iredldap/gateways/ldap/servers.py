"""The servers of the directory: opening connections to them, and which of them hang.

Source: `docs/decisions/0027-health.md`.
"""

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Protocol
from urllib.parse import urlsplit

import ldap
from ldap.ldapobject import SimpleLDAPObject

from iredldap import trust
from iredldap.config.ldap import LdapSettings
from iredldap.dit import names
from iredldap.errors import InternalError, Refusal, ServerDown
from iredldap.gateways.breaker import SLOW, Breaker
from iredldap.gateways.ldap.errors import LOST, NO_TLS, bind_refusal, refusal_for, sentence


class Purpose(Enum):
    """What a connection is for.

    Attributes:
        READ: A read that may be answered by any server which has every acknowledged change.
        WRITE: A write, or a read that a write depends on.
        STANDBY: A look at the server that does not take the writes.
    """

    READ = auto()
    WRITE = auto()
    STANDBY = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """The servers that a request may use, in order, and the epoch in which that holds.

    A connection belongs to the route that it was opened for. Where nothing is agreed, there is one
    route.
    """

    uris: tuple[str, ...]
    epoch: int = 0


class DirectoryConnection(SimpleLDAPObject):  # type: ignore[misc]
    """A connection with the breaker of its server, and what that has stored.

    `stored` holds the attributes that entries of the server were seen with. `fence` is called
    before each write, and raises a refusal where the server must no longer be written to. A write
    on a connection that `gives_up` is not waited for when its server is found to hang: another one
    takes its place.
    """

    breaker: Breaker
    stored: set[str]
    route: Route
    fence: Callable[[], None] = staticmethod(lambda: None)
    gives_up = False


class LdapServer:
    """One server.

    Args:
        uri: Its address.
        settings: Time-outs, TLS and the service account.
    """

    def __init__(self, uri: str, settings: LdapSettings) -> None:
        self.uri = uri
        self.stored: set[str] = set()
        self._settings = settings
        # Below the time-out of connections, so that a connection that times out counts as a hang.
        self.breaker = Breaker(uri, self._probe, min(SLOW, 0.8 * settings.network_timeout))

    def bound(self, dn: str, password: str) -> DirectoryConnection:
        """Open a connection and bind.

        Raises:
            ldap.LDAPError: If that fails.
            InternalError: If the settings of TLS are wrong.
        """
        connection = DirectoryConnection(self.uri)
        connection.breaker = self.breaker
        connection.stored = self.stored
        try:
            _prepare(connection, self._settings, self.uri)
            connection.simple_bind_s(dn, password)
        except NO_TLS as ex:
            close(connection)
            if words := trust.diagnose(self.uri, self._settings):
                raise ldap.SERVER_DOWN({"desc": words}) from ex
            raise
        except (ldap.LDAPError, InternalError):
            # Not on KeyboardInterrupt: it may be raised while python-ldap holds the connection's
            # lock, and closing would wait for that for ever.
            close(connection)
            raise
        return connection

    def _probe(self) -> None:
        """Bind as the service account and read one entry; each has `network_timeout`."""
        settings = self._settings
        base = names.Tree(settings.suffix).base
        try:
            connection = self.bound(settings.bind_dn, settings.bind_password.reveal())
        except ldap.LDAPError as ex:
            raise bind_refusal(ex, settings.bind_dn) from ex
        try:
            try:
                connection.search_s(base, ldap.SCOPE_BASE, attrlist=["1.1"])
            finally:
                close(connection)
        except ldap.NO_SUCH_OBJECT:
            return
        except ldap.LDAPError as ex:
            raise refusal_for(ex) from ex


class Change:
    """A change of the directory, from the reads that it depends on to its last write.

    This one needs no confirmation: there is one server.
    """

    def cover(self, state: str | None, dn: str | None = None) -> None:
        """Note the state (entryCSN) of an entry, both of which the answer relies on, if known."""

    def cover_since(self, moment: datetime) -> None:
        """Note that the answer relies on what earlier attempts have written since a moment."""

    def note(self, dn: str | None, state: str | None, *, is_gone: bool = False) -> None:
        """Note a write that was carried out; of many, some wait for those before to be confirmed.

        Args:
            dn: The entry, by the name that it has now; None: not known.
            state: The state that it has; None: not known.
            is_gone: Whether it was deleted.
        """


_NO_CONFIRMATION = nullcontext(Change())


class Connections(Protocol):
    """A pool of connections, as far as servers use the one that is made for them."""

    def connection(self, purpose: Purpose) -> AbstractContextManager[DirectoryConnection]:
        """Lend a connection for a block."""


class LdapServers:
    """The servers of one directory, in order of preference.

    Args:
        settings: Their addresses, time-outs and the service account.
    """

    confirms = False
    """Whether changes are confirmed, so that the state that each write leaves is needed."""

    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings
        self._all = [LdapServer(uri, settings) for uri in settings.uri]
        self._route = Route(settings.uri)

    def route(self, purpose: Purpose) -> Route:
        """Return which servers may be used now.

        Raises:
            ServerDown: If none may.
        """
        del purpose
        return self._route

    def change(self) -> AbstractContextManager[Change]:
        """Open a change of this thread; when the block ends, what it has written is confirmed.

        Raises:
            ServerDown: If it cannot be confirmed, or the writer has changed meanwhile; what was
                written may be lost.
        """
        return _NO_CONFIRMATION

    def attach(self, pool: "Connections") -> None:
        """Note the pool by which servers are asked whether they have a change."""

    def take_notice(self) -> str | None:
        """Return what the client of this thread's reads should be told, once; None: nothing."""
        return None

    def connect(self, route: Route | None = None) -> DirectoryConnection:
        """Open a connection bound as the service account, on the first server that responds.

        Args:
            route: The servers to try; None: all of them.

        Raises:
            Hanging: If all are known to hang.
            ServerDown: If none responds, or its certificate is refused.
            DirectoryUnable: If the service account's own bind is refused.
            InternalError: If the settings of TLS are wrong.
        """
        settings = self._settings
        try:
            connection = self._bound(
                settings.bind_dn, settings.bind_password.reveal(), route or self._route
            )
        except ldap.LDAPError as ex:
            raise bind_refusal(ex, settings.bind_dn) from ex
        connection.timeout = settings.operation_timeout
        return connection

    def bind(self, dn: str, password: str) -> None:
        """Bind as another account, on the first server that responds, and close the connection.

        Raises:
            Hanging: If all are known to hang.
            ServerDown: If none responds.
            ldap.LDAPError: As the server judges.
        """
        close(self._bound(dn, password, self.route(Purpose.READ)))

    def refuse(self, route: Route | None = None) -> None:
        """Raise an error if all servers, or those of a route, are known to hang.

        Raises:
            Hanging: If they do.
        """
        servers = self._of(route or self._route)
        if all(server.breaker.is_open for server in servers):
            servers[0].breaker.refuse()

    def _of(self, route: Route) -> list[LdapServer]:
        if route is self._route:
            return self._all
        return [server for uri in route.uris for server in self._all if server.uri == uri]

    def check(self) -> None:
        """Check that a server responds to a small request on a new connection.

        One that hangs is noted as hanging.

        Raises:
            ServerDown: If none responds.
            Refusal: That of the last one.
        """
        failure: Refusal = ServerDown("no server configured")
        for server in self._all:
            try:
                server.breaker.check()
            except Refusal as ex:
                failure = ex
            else:
                return
        raise failure

    def close(self) -> None:
        """Stop probing servers that hang."""
        for server in self._all:
            server.breaker.close()

    def _bound(self, dn: str, password: str, route: Route) -> DirectoryConnection:
        """Bind on the first server that responds; a refusal of one is not tried on the next."""
        failure: Exception = ldap.SERVER_DOWN({"desc": "no server configured"})
        self.refuse(route)
        for server in self._of(route):
            if server.breaker.is_open:
                continue
            began = time.monotonic()
            try:
                connection = server.bound(dn, password)
            except LOST as ex:
                failure = ex
                self._note(server, dn, began)
            else:
                connection.route = route
                return connection
        raise ServerDown(f"{', '.join(route.uris)}: {sentence(failure)}") from failure

    def _note(self, server: LdapServer, dn: str, began: float) -> None:
        if dn == self._settings.bind_dn:
            server.breaker.failed(began)
        else:
            # Verifying an account's password hash may take any time: only a probe can tell.
            server.breaker.suspect(began)


def connect(settings: LdapSettings) -> DirectoryConnection:
    """Open one connection bound as the service account, on the first server that responds.

    Raises:
        ServerDown: If none responds, or its certificate is refused.
        DirectoryUnable: If the service account's own bind is refused.
        InternalError: If the settings of TLS are wrong.
    """
    with closing(LdapServers(settings)) as servers:
        return servers.connect()


def close(connection: SimpleLDAPObject) -> None:
    """Close a connection; errors of one that is broken already are ignored."""
    with suppress(ldap.LDAPError):
        connection.unbind_ext()


def _prepare(connection: SimpleLDAPObject, settings: LdapSettings, uri: str) -> None:
    connection.set_option(ldap.OPT_PROTOCOL_VERSION, 3)
    connection.set_option(ldap.OPT_REFERRALS, 0)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, settings.network_timeout)
    # Two time-outs: libldap's, which StartTLS uses, and python-ldap's, for everything else.
    connection.set_option(ldap.OPT_TIMEOUT, settings.network_timeout)
    connection.timeout = settings.network_timeout
    _set_keepalive(connection, settings)
    if settings.turns_to_tls(uri):
        _set_trust(connection, settings)
        connection.start_tls_s()
    elif uri.lower().startswith("ldaps:"):
        _set_trust(connection, settings)
        _refuse_silence(uri, settings.network_timeout)


def _set_keepalive(connection: SimpleLDAPObject, settings: LdapSettings) -> None:
    """Have the kernel notice within seconds that the way to a server is cut.

    Without it a request waits for its whole time-out, and what was sent may arrive much later, when
    the way is whole again. What a hung server's kernel has acknowledged is not noticed by this.
    """
    silence = settings.health_timeout if settings.is_agreed else settings.network_timeout
    if hasattr(ldap, "OPT_TCP_USER_TIMEOUT"):
        # libldap 2.5 and later. In milliseconds, beside the keepalives, which are for idle ones.
        connection.set_option(ldap.OPT_TCP_USER_TIMEOUT, max(1, round(silence * 1000)))
    connection.set_option(ldap.OPT_X_KEEPALIVE_IDLE, 5)
    connection.set_option(ldap.OPT_X_KEEPALIVE_INTERVAL, 1)
    connection.set_option(ldap.OPT_X_KEEPALIVE_PROBES, 3)


def _set_trust(connection: SimpleLDAPObject, settings: LdapSettings) -> None:
    """Set the CA certificates that a connection trusts.

    That reads all of the system's: 5 ms of computing, which a plain connection does without.

    Raises:
        InternalError: If `ldap.ca_file` can't be read.
    """
    # A context of its own begins without the system's, and trusts nothing.
    if file := trust.certificates(settings):
        connection.set_option(ldap.OPT_X_TLS_CACERTFILE, file)
    demand = ldap.OPT_X_TLS_DEMAND if settings.verify_certificate else ldap.OPT_X_TLS_NEVER
    connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, demand)
    # The TLS options above take effect only in a context that is made after them.
    try:
        connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    except ValueError as ex:
        # libldap with OpenSSL fails so if the file has become invalid since the start.
        words = f"{trust.source(settings)}: {trust.certificates(settings)}: {ex}"
        raise InternalError(words) from ex


def _refuse_silence(uri: str, seconds: float) -> None:
    """Check that a server for ``ldaps://`` responds to a TLS handshake at all.

    libldap waits for that without a time-out, and cannot be interrupted.

    Raises:
        ldap.TIMEOUT: If it does not.
    """
    server = urlsplit(uri)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((server.hostname, server.port or 636), seconds) as plain,
            context.wrap_socket(plain, server_hostname=server.hostname),
        ):
            return
    except TimeoutError as ex:
        raise ldap.TIMEOUT({"desc": "no answer to a TLS handshake"}) from ex
    except OSError:
        # Not reported here: libldap's own attempt follows, with the better message.
        return
