"""Stand between a client and a server, and behave as badly as a network can."""

import select
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from enum import Enum, auto
from typing import Self

_CHUNK = 256 * 1024


class Mode(Enum):
    """What happens to a new connection, and to bytes on those that exist."""

    PASS = auto()
    HOLD = auto()
    """Accept and stay silent: nothing passes, either way."""
    REFUSE = auto()
    """Accept and close at once; connections that exist go on."""
    SWALLOW = auto()
    """Pass what clients send and throw the answers away."""


class Proxy:
    """A TCP proxy on the loopback interface, in threads of its own.

    All public attributes may be changed while it runs.

    Args:
        target: Host and port of the server.
        to_server: Seconds that a byte takes to the server.
        to_client: Seconds that a byte takes back.
        record: Keep what clients send in `sent`.
    """

    def __init__(
        self,
        target: tuple[str, int],
        *,
        to_server: float = 0.0,
        to_client: float = 0.0,
        record: bool = False,
    ) -> None:
        self.target = target
        self.to_server = to_server
        self.to_client = to_client
        self.record = record
        self.mode = Mode.PASS
        self.sent = bytearray()
        self.connections = 0
        """Connections accepted so far."""
        self._armed = threading.Event()
        self._lock = threading.Lock()
        self._pairs: set[_Pair] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._accepting = threading.Thread(target=self._accept, name="proxy", daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def uri(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """Connections that exist right now."""
        with self._lock:
            return len(self._pairs)

    def start(self) -> Self:
        self._accepting.start()
        return self

    def stop(self) -> None:
        """Cut everything; no thread and no socket is left."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.cut()
            pair.thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def cut(self) -> None:
        """Cut the connections that exist."""
        with self._lock:
            for pair in self._pairs:
                pair.cut()

    def cut_after_next_write(self) -> None:
        """Pass on the next bytes of a client, and cut its connection when the answer is here.

        So the server has carried out the operation, and the client never hears of it.
        """
        self._armed.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.mode is Mode.REFUSE:
                client.close()
                continue
            pair = _Pair(self, client)
            with self._lock:
                self._pairs.add(pair)
            pair.thread.start()

    def _disarmed(self) -> bool:
        """Whether a cut was ordered; the order is then used up."""
        with self._lock:
            ordered = self._armed.is_set()
            self._armed.clear()
            return ordered

    def _forget(self, pair: "_Pair") -> None:
        with self._lock:
            self._pairs.discard(pair)


class _Pair:
    """One connection of a client and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = socket.socket()
        self._doomed = False
        self.thread = threading.Thread(target=self._run, name="proxy up", daemon=True)
        for end in (self._client, self._server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def cut(self) -> None:
        """End both connections; the thread that uses them closes the sockets."""
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        with self._client, self._server, suppress(OSError):
            if self._proxy.mode is Mode.HOLD:
                self._listen_only()
            else:
                self._server.connect(self._proxy.target)
                self._pass_both_ways()
        self._proxy._forget(self)

    def _pass_both_ways(self) -> None:
        down = threading.Thread(target=self._pump_down, name="proxy down", daemon=True)
        down.start()
        try:
            self._pump_up()
        finally:
            down.join()

    def _listen_only(self) -> None:
        while data := self._client.recv(_CHUNK):
            self._note(data)

    def _note(self, data: bytes) -> None:
        if self._proxy.record:
            self._proxy.sent += data

    def _pump_up(self) -> None:
        pump = _Pump(self._client, self._server)
        with suppress(OSError):
            while (data := pump.next()) is not None:
                self._note(data)
                if self._proxy.mode is Mode.HOLD:
                    continue
                if self._proxy._disarmed():
                    self._doomed = True
                pump.send(data, self._proxy.to_server)
            return
        self.cut()

    def _pump_down(self) -> None:
        pump = _Pump(self._server, self._client)
        with suppress(OSError):
            while (data := pump.next()) is not None:
                if self._doomed:
                    break
                if self._proxy.mode in {Mode.PASS, Mode.REFUSE}:
                    pump.send(data, self._proxy.to_client)
            else:
                return
        self.cut()


class _Pump:
    """One direction of a connection: bytes wait their time without holding up the next ones."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self._source = source
        self._sink = sink
        self._under_way: deque[tuple[float, bytes]] = deque()

    def next(self) -> bytes | None:
        """Wait for bytes and deliver due ones meanwhile; None when the source has ended."""
        while self._under_way:
            left = self._under_way[0][0] - time.monotonic()
            # select() alone counts in microseconds; poll() would round one up to a millisecond.
            if left > 0 and select.select([self._source], [], [], left)[0]:
                break
            self._deliver()
        data = self._source.recv(_CHUNK)
        if data:
            return data
        while self._under_way:
            time.sleep(max(0.0, self._under_way[0][0] - time.monotonic()))
            self._deliver()
        self._sink.shutdown(socket.SHUT_WR)
        return None

    def send(self, data: bytes, delay: float) -> None:
        """Send bytes on after so many seconds."""
        if not delay and not self._under_way:
            self._sink.sendall(data)
        else:
            self._under_way.append((time.monotonic() + delay, data))

    def _deliver(self) -> None:
        while self._under_way and self._under_way[0][0] <= time.monotonic():
            self._sink.sendall(self._under_way.popleft()[1])
