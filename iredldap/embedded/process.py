"""A server as a child process: started, stopped in order, killed, suspended."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.errors import EmbeddedError

# Enough for a much slower machine; a server that exits is noticed at once.
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


class Server(Protocol):
    """What all servers of a trial can do."""

    @property
    def running(self) -> bool: ...

    @property
    def log(self) -> Path: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def signal(self, number: signal.Signals) -> None: ...


class Process:
    """A program that runs in the foreground, with its output in a file.

    Args:
        command: To run.
        log: File that its output is appended to.
        environment: All of its variables.
        end: Signal by which it stops in order.
        rights: Arguments of `subprocess.Popen` for another user.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str],
        *,
        end: signal.Signals = signal.SIGTERM,
        rights: Mapping[str, Any] | None = None,
    ) -> None:
        self._log = log
        self._command = command
        self._environment = environment
        self._end = end
        self._rights = rights or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self._log

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Exit status of the last run; None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it. It ends with the calling thread: call it from one that lasts."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                # A session of its own: Ctrl-C reaches only this process, which then stops all in
                # order.
                start_new_session=True,
                preexec_fn=ended_with_parent(self._end),  # noqa: PLW1509
                **self._rights,
            )

    def stop(self) -> None:
        """Stop it in order; by SIGKILL after half a minute."""
        if self._process is not None and self.running:
            self.signal(signal.SIGCONT)
            self._process.send_signal(self._end)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it and its children by SIGKILL, as in a crash."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and its children."""
        if self._process is not None and self.running:
            # The parent first, which could replace a child that ends. Not by the group: the
            # children of PostgreSQL have one each.
            for pid in [self._process.pid, *_descendants(self._process.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)


def await_http(process: Process, name: str, url: str) -> None:
    """Wait until a server answers a request with success.

    Args:
        process: The server.
        name: Of it, for the user.
        url: Of the request.

    Raises:
        EmbeddedError: With the end of its log, if it ends or does not answer in time.
    """
    until = time.monotonic() + _START_SECONDS
    while (problem := _problem(url)) is not None:
        if not process.running:
            words = [f"{name} ended; its log says:", *last_lines(process.log)]
            raise EmbeddedError("\n".join(words))
        if time.monotonic() > until:
            raise EmbeddedError(f"{url} does not answer: {problem}")
        time.sleep(0.05)


def _problem(url: str) -> Exception | None:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server
            return None
    except (urllib.error.URLError, OSError) as ex:
        return ex


def last_lines(log: Path) -> list[str]:
    """Return the last lines of a log."""
    return log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []


def _descendants(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except OSError:
        return []
    children = [int(child) for child in found]
    return [*children, *(each for child in children for each in _descendants(child))]
