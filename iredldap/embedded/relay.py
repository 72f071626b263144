"""Relay TCP connections on the loopback interface, and break them on command; needs no root.

Clients are told apart by their addresses, 127.0.0.0/8 being all loopback: so two nodes reach a
server by the same URI, and one of them can be cut off. libldap takes the address to connect from
from the environment, `CLIENT_ADDRESS`.
"""

import asyncio
import threading
import time
from contextlib import suppress
from enum import Enum, auto

from iredldap.embedded.errors import EmbeddedError
from iredldap.embedded.ports import free_port

CLIENT_ADDRESS = "LDAPSOCKET_BIND_ADDRESSES"
"""Variable of libldap: the address that connections are made from."""

GIVEN_UP = 1.0
"""Seconds for which what is sent is held. The sender's kernel sends it again for as long: that is
`TCP_USER_TIMEOUT`, which the API sets to one second (`ldap.health_timeout`). A relay has confirmed
it to the kernel, and must forget it itself."""

_CHUNK = 64 * 1024
_SECONDS = 10.0


class State(Enum):
    """What becomes of connections."""

    PASSES = auto()
    HANGS = auto()
    """Nothing passes, either way, and nobody is told, as of a pulled cable. Connections stay, new
    ones are accepted and silent. What is sent meanwhile arrives later, as TCP sends it again, also
    from clients that have given up, but not after `GIVEN_UP`: then the connection is reset."""
    CUT = auto()
    """Connections are reset, and new ones refused, as where no server listens."""


class Relay:
    """A TCP port of 127.0.0.1 whose connections lead to another one, in a thread of its own.

    Args:
        target: Port of the server on 127.0.0.1.
        port: To listen on; by default a free one.
    """

    def __init__(self, target: int, port: int | None = None) -> None:
        self.target = target
        self.port = free_port() if port is None else port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._listener: asyncio.Server | None = None
        self._usual = State.PASSES
        self._lines: dict[str, _Line] = {}

    def start(self) -> None:
        """Listen, and pass everything on.

        Raises:
            EmbeddedError: If the port is taken.
        """
        self._thread.start()
        try:
            self.heal()
        except OSError as error:
            self.stop()
            raise EmbeddedError(f"port {self.port}: {error.strerror}") from error

    def stop(self) -> None:
        """Close all connections and the port; a second call does nothing."""
        if self._loop.is_closed():
            return
        if self._thread.is_alive():
            self.cut()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_SECONDS)
        self._loop.close()

    def cut(self, client: str | None = None) -> None:
        """Set the state CUT for a client's address, or for all clients."""
        self.set(State.CUT, client)

    def hang(self, client: str | None = None) -> None:
        """Set the state HANGS for a client's address, or for all clients."""
        self.set(State.HANGS, client)

    def heal(self, client: str | None = None) -> None:
        """Set the state PASSES for a client's address, or for all clients.

        Raises:
            OSError: If another program has taken the port while it was cut.
        """
        self.set(State.PASSES, client)

    def set(self, state: State, client: str | None = None) -> None:
        """Set the state for a client's address, or for all clients, also those to come."""
        asyncio.run_coroutine_threadsafe(self._set(state, client), self._loop).result(_SECONDS)

    async def _set(self, state: State, client: str | None) -> None:
        if client is None:
            self._usual = state
            await self._listen(state is not State.CUT)
        lines = [*self._lines.values()] if client is None else [self._line(client)]
        for line in lines:
            await line.set(state)

    async def _listen(self, wanted: bool) -> None:
        if wanted and self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        elif not wanted and self._listener is not None:
            self._listener.close()
            self._listener = None
            # Those that were accepted in this turn of the loop are known in the next one.
            await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = writer.get_extra_info("peername")
        self._line(client[0] if client else "").add(reader, writer)

    def _line(self, client: str) -> "_Line":
        return self._lines.setdefault(client, _Line(self.target, self._usual))


class _Line:
    """The connections of one client; for the thread of the loop only."""

    def __init__(self, target: int, state: State) -> None:
        self._target = target
        self._state = state
        self._passing = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        if state is State.PASSES:
            self._passing.set()

    async def set(self, state: State) -> None:
        self._state = state
        if state is State.PASSES:
            self._passing.set()
        else:
            self._passing.clear()
        if state is State.CUT:
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def add(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._state is State.CUT:
            writer.transport.abort()
            return
        connection = asyncio.get_running_loop().create_task(self._relay(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            await self._passing.wait()
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(server_writer)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, server_writer))
                pumps.create_task(self._pump(server_reader, writer))
        except* OSError:
            # A connection that broke breaks on both sides, below.
            pass
        finally:
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes one way until the sender ends them."""
        while data := await reader.read(_CHUNK):
            received = time.monotonic()
            await self._passing.wait()
            if time.monotonic() - received > GIVEN_UP:
                raise ConnectionAbortedError
            writer.write(data)
            await writer.drain()
        await self._passing.wait()
        with suppress(OSError):
            writer.write_eof()
