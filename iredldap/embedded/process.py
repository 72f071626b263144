"""A server as a child process: started, ended in order, killed, halted."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from iredldap.embedded.child import ended_with_parent

_STOP_SECONDS = 30.0


class Process:
    """A program that runs in the foreground, with what it says in a file.

    Args:
        command: To run.
        log: What it says is added to this file.
        environment: All of its variables.
        end: Signal by which it ends in order.
        rights: Arguments of `subprocess.Popen` for a user other than this one.
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
        self.log = log
        self._command = command
        self._environment = environment
        self._end = end
        self._rights = rights or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Exit status of the last run; None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it. It ends with the calling thread: call it from one that lasts."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                # A session of its own: Ctrl-C reaches only this process, which then stops all in
                # order; and its children can be signalled with it.
                start_new_session=True,
                preexec_fn=ended_with_parent(self._end),  # noqa: PLW1509
                **self._rights,
            )

    def stop(self) -> None:
        """End it in order; by SIGKILL after half a minute."""
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
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def last_words(self) -> list[str]:
        """Return the last lines of its log."""
        return self.log.read_text(errors="replace").splitlines()[-15:] if self.log.exists() else []
