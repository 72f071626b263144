"""Exchange LDAP messages with one server: connect, start TLS, bind, read, abandon, unbind.

Only what has arrived of one message, or of as many as one read returns, is kept in memory.

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
"""Largest message number; the next one is 1 again. Each search ends before the next begins, so no
two are confused, and numbers below 128 are one byte, which the fast path relies on."""


class LdapConnection:
    """Send messages to a server and receive its answers.

    Args:
        connected: A connected socket; its timeout counts between two bytes.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._number = 0
        self.data = b""
        """Bytes that have arrived."""
        self.at = 0
        """Position of the next message in `data`."""

    def send(self, request: Callable[[int], bytes]) -> int:
        """Send a request and return its message number.

        Args:
            request: Encodes the request, given its message number.

        Raises:
            ServerDown: If the connection is lost.
        """
        # 0 is kept for what the server sends unasked (RFC 4511, 4.1.1.1).
        self._number = self._number % LAST_MESSAGE_ID + 1
        try:
            self._socket.sendall(request(self._number))
        except OSError as ex:
            raise ServerDown(str(ex)) from ex
        return self._number

    def fill(self) -> int:
        """Receive until the next message is complete; return the number of bytes received.

        Raises:
            ServerDown: If the connection is lost, or a timeout passes without a byte.
            MalformedReply: If the bytes are no message.
        """
        pieces = [self.data[self.at :]]
        before = len(pieces[0])
        self.data, self.at = b"", 0
        lacking = messages.missing_bytes(pieces[0], 0)
        while lacking > 0:
            # Pieces are joined only when a whole message can be there: joining after each read
            # would copy a message of many megabytes once for every read.
            pieces.append(self._received())
            lacking -= len(pieces[-1])
            if lacking <= 0:
                pieces = [b"".join(pieces)]
                lacking = messages.missing_bytes(pieces[0], 0)
        self.data = pieces[0]
        return len(self.data) - before

    def next(self) -> LdapMessage | None:
        """Take the next message; None: it is not complete yet.

        Raises:
            ServerDown: If it is a notice of disconnection.
            MalformedReply: If it is no message.
        """
        if self.at == len(self.data) or messages.missing_bytes(self.data, self.at):
            return None
        found = messages.message(self.data, self.at)
        if messages.is_disconnection(self.data, found):
            why = result_codes.refusal(messages.result(self.data, found)).detail
            raise ServerDown(f"the directory closes the connection: {why}")
        self.at = found.after
        return found

    def answer(self, request: Callable[[int], bytes], operation: int) -> messages.LdapResult:
        """Send a request and wait for its only response.

        Raises:
            ServerDown, MalformedReply: As `fill` and `next`.
        """
        number = self.send(request)
        while True:
            self.fill()
            found = self.next()
            # A late response to an abandoned operation is skipped.
            if found and found.number == number:
                if found.operation != operation:
                    raise MalformedReply(f"a response with the tag {found.operation:#x}")
                return messages.result(self.data, found)

    def secure(self, uri: str, settings: LdapSettings) -> None:
        """Continue over TLS.

        Raises:
            ServerDown, InternalError: As `sockets.start_tls`.
            MalformedReply: If bytes follow the response to StartTLS.
        """
        if self.at < len(self.data):
            # Bytes injected before TLS would be read as if they had come over it.
            raise MalformedReply("data follows the response to StartTLS")
        self._socket = sockets.start_tls(self._socket, uri, settings)

    def wait(self, seconds: float) -> None:
        """Set the timeout for the next byte, in seconds."""
        self._socket.settimeout(seconds)

    def close(self, abandoned: int | None = None) -> None:
        """Abandon a search that may be running, unbind and close the socket."""
        with suppress(ServerDown):
            if abandoned is not None:
                self.send(lambda number: messages.abandon(number, abandoned))
            self.send(messages.unbind)
        self._socket.close()

    def _received(self) -> bytes:
        try:
            received = self._socket.recv(_READ)
        except TimeoutError as ex:
            raise ServerDown("the directory does not answer in time") from ex
        except OSError as ex:
            raise ServerDown(str(ex)) from ex
        if not received:
            raise ServerDown("the directory has closed the connection")
        return received


def connect(settings: LdapSettings) -> LdapConnection:
    """Open a connection bound as the service account, to the first server that answers.

    With an empty bind DN it binds as the owner of this process, by SASL EXTERNAL over ``ldapi://``.

    Raises:
        ServerDown: If no server answers, or one presents a certificate that is not trusted.
        DirectoryUnable: If the bind is refused.
        InternalError: If TLS is not available.
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
    # Also when a signal ends the process: slapd would keep an open connection for its idle
    # time-out.
    except BaseException:
        connection.close()
        raise
    return connection


def _bind(uri: str, settings: LdapSettings) -> Callable[[int], bytes]:
    if not settings.bind_dn:
        if urlsplit(uri).scheme != "ldapi":
            raise InternalError(f"{uri}: SASL EXTERNAL needs a Unix socket")
        return messages.external_bind
    password = settings.bind_password.reveal()
    if not password:
        # Without a password a simple bind succeeds as anonymous.
        raise InternalError(f"no password for {settings.bind_dn}")
    return lambda number: messages.simple_bind(number, settings.bind_dn, password)


def _succeed(result: LdapResult, refusal: Callable[[LdapResult], Refusal]) -> None:
    if result.code != result_codes.SUCCESS:
        raise refusal(result)


def _no_tls(result: LdapResult) -> Refusal:
    refusal = result_codes.refusal(result)
    return refusal if isinstance(refusal, ServerDown) else InternalError(f"StartTLS: {refusal}")
