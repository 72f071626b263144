"""Limit how long a connection waits for its client.

Sockets wait for ever, or for a time per call: a client that takes or sends a byte now and then
blocks a thread for hours. Here the time that a thread waits for the client is added up, and what
the client transfers meanwhile is subtracted at the least rate that is required. Time in which the
client waits for us does not count.
"""

import errno
import select
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

import structlog

from iredldap.web.endpoints.endpoint import Load

_BRIEF = 1.0
"""Seconds that the threads for probes wait for a client, and any thread for bytes of a request
that is there: none should be missing."""

_UNSENT = 128 * 1024
"""Bytes that the kernel takes beyond what is under way: without a bound it takes megabytes at once
and then none for a minute, which looks like a client that stalls."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

log = structlog.get_logger("iredldap.connection")


@dataclass(frozen=True)
class Limits:
    """Limits on how long a thread waits for a client.

    Args:
        request: Seconds for a request, beside what its bytes take at the least rate.
        rate: Least bytes per second; 0: any progress counts.
        stalled: Seconds without any progress of an answer.
        averaged: Seconds by which a client that takes an answer may be behind the least rate, or
            ahead of it: the kernel of a program that reads slowly takes megabytes at once.
    """

    request: float
    rate: float
    stalled: float
    averaged: float = 60.0


class Lag:
    """The seconds by which a client is behind the least rate.

    Args:
        most: Seconds that are allowed.
        rate: Bytes per second; 0: any progress makes up for all the time.
        seconds: Behind already.
        ahead: Seconds by which a client may be ahead; what it takes beyond does not count.
    """

    def __init__(
        self, most: float, rate: float, *, seconds: float = 0.0, ahead: float = 0.0
    ) -> None:
        self._most = most
        self._rate = rate
        self._seconds = seconds
        self._ahead = ahead

    @property
    def left(self) -> float:
        """Seconds for which the client may still be waited for."""
        return self._most - self._seconds

    def waited(self, seconds: float) -> None:
        """Add time in which the client was waited for."""
        self._seconds += seconds

    def moved(self, size: int) -> None:
        """Subtract the time that transferred bytes may take."""
        behind = self._seconds - size / self._rate if self._rate else 0.0
        self._seconds = max(-self._ahead, behind)


class Connection(socket.socket):
    """A connection under limits; it takes the place of another socket object.

    `load` is the kind of its present request, `waiting` says whether a thread waits for the client
    just now, and `overdue` that the request has waited too long for a thread. `is_large`: the body
    of the request was not there when it was given to a thread. `request` names the request in the
    log, once it has a name.
    """

    def __init__(self, accepted: socket.socket, limits: Limits) -> None:
        super().__init__(fileno=accepted.detach())
        self.waiting = False
        self.is_cut = False
        self._limits = limits
        self.begin(Load.LIGHT)
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            # Unix sockets have no such option.
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)

    def begin(self, load: Load, *, is_large: bool = False, waited: float = 0.0) -> None:
        """Start to count for a request.

        Args:
            load: Its cost.
            is_large: Whether its body is still to come.
            waited: Seconds for which the client was waited for already.
        """
        self.load = load
        self.request: str | None = None
        self.is_large = is_large
        self.overdue = False
        limits = self._limits
        is_probe = load in {Load.LIVE, Load.PROBE}
        # Probes have threads of their own, of which there are few.
        self._stalled = min(limits.stalled, _BRIEF) if is_probe else limits.stalled
        self._sending = Lag(
            _BRIEF if is_probe else limits.averaged,
            limits.rate,
            ahead=0.0 if is_probe else limits.averaged,
        )
        if is_large:
            self._receiving = Lag(limits.request, limits.rate, seconds=waited)
        else:
            self._receiving = Lag(min(limits.request, _BRIEF), limits.rate)

    @property
    def is_left(self) -> bool:
        """Return whether the client has closed the connection, once all it has sent is read."""
        try:
            return not super().recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def take(self, most: int) -> bytes:
        """Receive what has arrived.

        Raises:
            BlockingIOError: If nothing has.
        """
        return super().recv(most, socket.MSG_DONTWAIT)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive, waiting for as long as the request may still take.

        Raises:
            TimeoutError: If nothing came in that time, or in that of `settimeout`.
        """
        own = self.gettimeout()
        # A time-out of 0 asks for what has arrived already, which is no wait.
        if own != 0:
            left = self._receiving.left
            seconds = left if own is None else min(own, left)
            began = time.monotonic()
            ready = self._ready(select.POLLIN, seconds)
            self._receiving.waited(time.monotonic() - began)
            if not ready:
                raise TimeoutError("the request did not come in time")
        data = super().recv(bufsize, flags)
        self._receiving.moved(len(data))
        return data

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send, as long as the client takes it fast enough.

        Raises:
            BrokenPipeError: If it does not: its answer is incomplete.
        """
        rest = memoryview(data).cast("B")
        while rest:
            try:
                # Without waiting, so that the time of a wait is measured, and bytes that the kernel
                # takes at once cost none.
                sent = super().send(rest, flags | socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._await_room()
            else:
                self._sending.moved(sent)
                rest = rest[sent:]

    def _await_room(self) -> None:
        left, stalled = self._sending.left, self._stalled
        began = time.monotonic()
        if not self._ready(select.POLLOUT, min(left, stalled)):
            self._cut("slow" if left < stalled else "stalled")
        self._sending.waited(time.monotonic() - began)

    def _ready(self, event: int, seconds: float) -> bool:
        if seconds <= 0:
            return False
        poller = select.poll()
        poller.register(self, event)
        self.waiting = True
        try:
            return bool(poller.poll(seconds * 1000))
        finally:
            self.waiting = False

    def _cut(self, reason: str) -> None:
        """Disconnect the client, and discard what the kernel still has for it."""
        self.is_cut = True
        self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        # The application is done with the request by now, and its log line is written.
        log.warning("cut off", reason=reason, load=self.load.value, request=self.request)
        raise BrokenPipeError(errno.EPIPE, f"the client is {reason}")
