"""A connection to one server, in messages: opened, turned to TLS, bound, read, given up.

Nothing is held but what has arrived of one message, or of as many as one read brings.

Source: RFC 4511; RFC 4513 (StartTLS, SASL EXTERNAL).
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from iredldap.config.ldap import LdapSettings
from iredldap.errors import InternalError, Refusal, ServerDown
from ldif_export.protocol import messages, result_codes, sockets
from ldif_export.protocol.ber import MalformedReply
from ldif_export.protocol.messages import LdapMessage, LdapResult

_READ = 256 * 1024

LAST_MESSAGE_ID = 127
"""Messages are counted up to here, and begin anew: each search is over before the next."""


class LdapConnection:
    """Messages to and from one server.

    Args:
        connected: Its socket; timeouts are those of the socket, and count between bytes.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._number = 0
        self.data = b""
        """What has arrived."""
        self.at = 0
        """Where in it the next message begins."""

    def send(self, request: Callable[[int], bytes]) -> int:
        """Send a request, given by its number; return the number.

        Raises:
            ServerDown: If the connection is lost.
        """
        self._number = self._number % LAST_MESSAGE_ID + 1
        try:
            self._socket.sendall(request(self._number))
        except OSError as ex:
            raise ServerDown(str(ex)) from ex
        return self._number

    def fill(self) -> int:
        """Read until the next message is there as a whole; return how many bytes came.

        Raises:
            ServerDown: If the connection is lost, or nothing comes for too long.
            MalformedReply: If what comes is none.
        """
        pieces = [self.data[self.at :]]
        before = len(pieces[0])
        self.data, self.at = b"", 0
        lacking = messages.missing_bytes(pieces[0], 0)
        while lacking > 0:
            pieces.append(self._received())
            lacking -= len(pieces[-1])
            if lacking <= 0:
                pieces = [b"".join(pieces)]
                lacking = messages.missing_bytes(pieces[0], 0)
        self.data = pieces[0]
        return len(self.data) - before

    def next(self) -> LdapMessage | None:
        """Take the next message; None: it is not there as a whole.

        Raises:
            ServerDown: If it says that the server hangs up.
            MalformedReply: If it is none.
        """
        if self.at == len(self.data) or messages.missing_bytes(self.data, self.at):
            return None
        found = messages.message(self.data, self.at)
        if messages.is_disconnection(self.data, found):
            why = result_codes.refusal(messages.result(self.data, found)).detail
            raise ServerDown(f"the directory hangs up: {why}")
        self.at = found.after
        return found

    def answer(self, request: Callable[[int], bytes], operation: int) -> messages.LdapResult:
        """Send a request and wait for its only answer.

        Raises:
            ServerDown, MalformedReply: As `fill` and `next`.
        """
        number = self.send(request)
        while True:
            self.fill()
            found = self.next()
            if found and found.number == number:
                if found.operation != operation:
                    raise MalformedReply(f"an answer of the kind {found.operation:#x}")
                return messages.result(self.data, found)

    def secure(self, uri: str, settings: LdapSettings) -> None:
        """Turn to TLS from here on.

        Raises:
            ServerDown, InternalError: As `channel.secured`.
        """
        if self.at < len(self.data):
            # It came before TLS, and would pass for a part of what comes by it.
            raise MalformedReply("something stands behind the answer to StartTLS")
        self._socket = sockets.start_tls(self._socket, uri, settings)

    def wait(self, seconds: float) -> None:
        """Set how long to wait for the next byte."""
        self._socket.settimeout(seconds)

    def close(self, abandoned: int | None = None) -> None:
        """Give up a search that may be under way, say goodbye and hang up."""
        with suppress(ServerDown):
            if abandoned is not None:
                self.send(lambda number: messages.abandon(number, abandoned))
            self.send(messages.unbind)
        self._socket.close()

    def _received(self) -> bytes:
        try:
            received = self._socket.recv(_READ)
        except TimeoutError as ex:
            raise ServerDown("the directory is silent") from ex
        except OSError as ex:
            raise ServerDown(str(ex)) from ex
        if not received:
            raise ServerDown("the directory has hung up")
        return received


def connect(settings: LdapSettings) -> LdapConnection:
    """Open a connection bound as the service account, on the first server that answers.

    An empty bind DN stands for whoever owns this process, by SASL EXTERNAL on ``ldapi://``.

    Raises:
        ServerDown: If none answers, or refuses the certificate.
        DirectoryUnable: If the bind is refused.
        InternalError: If TLS is not to be had.
    """
    failure = ServerDown("no server configured")
    for uri in settings.uri:
        try:
            return _bound(uri, settings)
        except ServerDown as ex:
            failure = ex
    raise ServerDown(f"{', '.join(settings.uri)}: {failure.detail}") from failure


def _bound(uri: str, settings: LdapSettings) -> LdapConnection:
    connection = LdapConnection(sockets.open_socket(uri, settings))
    try:
        if settings.turns_to_tls(uri):
            begun = connection.answer(messages.start_tls, messages.EXTENDED_RESPONSE)
            _succeed(begun, _no_tls)
            connection.secure(uri, settings)
        bound = connection.answer(_bind(uri, settings), messages.BIND_RESPONSE)
        _succeed(bound, lambda result: result_codes.bind_refusal(result, settings.bind_dn))
        connection.wait(settings.operation_timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def _bind(uri: str, settings: LdapSettings) -> Callable[[int], bytes]:
    if not settings.bind_dn:
        if urlsplit(uri).scheme != "ldapi":
            raise InternalError(f"{uri}: only a Unix socket says who we are")
        return messages.external_bind
    password = settings.bind_password.reveal()
    if not password:
        # It would succeed, as nobody.
        raise InternalError(f"no password for {settings.bind_dn}")
    return lambda number: messages.simple_bind(number, settings.bind_dn, password)


def _succeed(result: LdapResult, refusal: Callable[[LdapResult], Refusal]) -> None:
    if result.code != result_codes.SUCCESS:
        raise refusal(result)


def _no_tls(result: LdapResult) -> Refusal:
    refusal = result_codes.refusal(result)
    return refusal if isinstance(refusal, ServerDown) else InternalError(f"StartTLS: {refusal}")
