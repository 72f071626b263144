"""Relay TCP connections on the loopback interface, and break them on command; needs no root."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from iredldap.embedded.errors import EmbeddedError
from iredldap.embedded.slapd import free_port

_CHUNK = 64 * 1024
_SECONDS = 10.0


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
        self._passing = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()

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

    def cut(self) -> None:
        """Reset all connections and refuse new ones, as where no server listens."""
        self._do(self._cut)

    def hang(self) -> None:
        """Let nothing pass, either way, and tell nobody, as of a pulled cable.

        Connections stay, new ones are accepted and silent. What is sent meanwhile arrives after
        `heal`, as TCP sends it again, also from clients that have given up.
        """
        self._do(self._hang)

    def heal(self) -> None:
        """Pass everything on again.

        Raises:
            OSError: If another program has taken the port after `cut`.
        """
        self._do(self._heal)

    def _do(self, change: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(change(), self._loop).result(_SECONDS)

    async def _cut(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        # Those that were accepted in this turn of the loop have no task yet.
        await asyncio.sleep(0)
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _hang(self) -> None:
        self._passing.clear()
        await self._listen()

    async def _heal(self) -> None:
        await self._listen()
        self._passing.set()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = self._loop.create_task(self._relay(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            await self._passing.wait()
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target)
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
            await self._passing.wait()
            writer.write(data)
            await writer.drain()
        await self._passing.wait()
        with suppress(OSError):
            writer.write_eof()
