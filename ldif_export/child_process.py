"""Run an export in a child process, read as a stream of bytes.

Formatting keeps a Python thread so busy that every other request of the same process would wait
for it; a child process costs them nothing. It ends when its reader is gone: the pipe breaks. (The
kernel's signal at a parent's death does not help: it is sent when the *thread* that started the
child ends.)
"""

import os
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from iredldap.config.ldap import LdapSettings
from ldif_export import handover
from ldif_export.selection import Selection

_READ = 64 * 1024
_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""

_COMPLAINT = 64 * 1024
"""Bytes of the child's error output that are read, from its end: normally all of it."""

_SECRETS = ("IREDLDAP_", "LDIF_EXPORT_")


class ExportProcess:
    """The output of a running export; made by `start`.

    Iterating yields chunks as they come. `close` may be called from any thread, and repeatedly.
    """

    def __init__(self, child: "subprocess.Popen[bytes]", complaints: IO[bytes]) -> None:
        self._child = child
        self._complaints = complaints
        self._reading = threading.Lock()
        self._ended = False
        self._first = b""
        try:
            self._first = self._read()
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> "ExportProcess":
        return self

    def __next__(self) -> bytes:
        """Return the next bytes.

        Raises:
            Refusal: The child's, if it failed: what was returned so far is incomplete.
        """
        chunk, self._first = self._first or self._read(), b""
        if not chunk:
            raise StopIteration
        return chunk

    @property
    def pid(self) -> int:
        """Process ID of the child."""
        return self._child.pid

    def close(self) -> None:
        """End the child if it still runs, and release the pipes and files."""
        self._ended = True
        self._child.terminate()
        try:
            self._child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        # The child has ended, so a reader in another thread gets the end of the pipe and releases
        # the lock; closing the descriptor under it could make it read another file's.
        with self._reading:
            self._first = b""
            self._complaints.close()
            assert self._child.stdout
            self._child.stdout.close()

    def _read(self) -> bytes:
        with self._reading:
            if self._ended:
                return b""
            assert self._child.stdout
            # Unbuffered: the reader gets what is there, and does not wait for a full buffer.
            chunk = os.read(self._child.stdout.fileno(), _READ)
            if chunk:
                return chunk
            status = self._child.wait()
            # After `close` the child's exit status is that of the signal, and no error.
            if status == handover.DONE or self._ended:
                self._ended = True
                return b""
            raise handover.refusal(status, self._complaint())

    def _complaint(self) -> str:
        size = self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, size - _COMPLAINT))
        return self._complaints.read().decode(errors="replace").strip()


def start(settings: LdapSettings, selection: Selection) -> ExportProcess:
    """Start an export and wait for its first bytes.

    Raises:
        NoSuchAccount: If the selected account does not exist.
        ServerDown: If the directory does not answer.
        Refusal: If it fails otherwise before the first byte.
    """
    credentials = handover.dump(settings)
    with ExitStack() as undo:
        complaints = undo.enter_context(tempfile.TemporaryFile())
        reader, writer = os.pipe()
        with os.fdopen(writer, "wb", buffering=0) as pipe:
            try:
                child = _spawn(selection, reader, complaints)
            finally:
                os.close(reader)
            # A child that ended at once has written the reason to its error output.
            with suppress(BrokenPipeError):
                pipe.write(credentials)
        undo.pop_all()
    return ExportProcess(child, complaints)


def _spawn(
    selection: Selection, credentials: int, complaints: IO[bytes]
) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-m", "ldif_export", "--credentials-fd", str(credentials)]
    # Every argument is ours, or a name that was parsed; no shell is involved.
    return subprocess.Popen(  # noqa: S603
        [*command, *_arguments(selection)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,
        pass_fds=(credentials,),
        env=_environment(),
    )


def _arguments(selection: Selection) -> list[str]:
    return [
        "--passwords" if selection.passwords else "--no-passwords",
        "--subtree" if selection.subtree else "--no-subtree",
        *(f"--omit={name}" for name in sorted(selection.omit)),
        *(f"--only={kind}" for kind in sorted(selection.only)),
        *(("--operational",) if selection.operational else ()),
        "--global-admins" if selection.global_admins else "--no-global-admins",
        # A name that begins with a dash is not an option.
        "--",
        selection.kind,
        *((selection.name,) if selection.name else ()),
    ]


def _environment() -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_SECRETS)}
    # The child imports the same code as this process, whatever the working directory.
    home = str(Path(__file__).resolve().parent.parent)
    path = kept.get("PYTHONPATH")
    return kept | {"PYTHONPATH": f"{home}{os.pathsep}{path}" if path else home}
