"""Order a running trial cluster to break or mend something, through a Unix socket in its folder."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from iredldap.embedded.errors import EmbeddedError

_NAME = "control"
_DONE = "done"
_LONGEST = 1000
_SECONDS = 120.0


class Control:
    """The end that takes orders.

    Args:
        home: Folder of the cluster.
    """

    def __init__(self, home: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        with _short(home) as path:
            # Left by one that was killed: whoever calls holds the lock of the folder.
            path.unlink(missing_ok=True)
            self._listener.bind(str(path))
        self._listener.listen()

    def close(self) -> None:
        """Take no orders any more."""
        self._listener.close()

    def serve(self, seconds: float, execute: Callable[[str, str], None]) -> None:
        """Wait for an order, for a time; carry it out, and answer.

        Args:
            seconds: To wait.
            execute: Is given the fault and the target; it raises ValueError for what there is
                not, and the answer is its text instead of `_DONE`.
        """
        self._listener.settimeout(seconds)
        try:
            connection, _ = self._listener.accept()
        except TimeoutError:
            return
        with connection:
            connection.settimeout(1.0)
            try:
                order = connection.recv(_LONGEST).decode("utf-8")
                connection.sendall(_answer(order, execute).encode())
            except (OSError, UnicodeDecodeError):
                # Whoever asked has gone away, or is none of ours.
                return


def order(home: Path, fault: str, target: str) -> None:
    """Order a fault, and wait until it is there.

    Raises:
        EmbeddedError: If no cluster runs there, or it refuses.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_SECONDS)
        try:
            with _short(home) as path:
                connection.connect(str(path))
            connection.sendall(f"{fault} {target}".encode())
            answer = connection.recv(_LONGEST).decode("utf-8")
        except OSError as ex:
            raise EmbeddedError(f"no cluster runs in {home}: {ex.strerror or ex}") from ex
    if answer != _DONE:
        raise EmbeddedError(answer or f"the cluster in {home} has ended")


def _answer(order: str, execute: Callable[[str, str], None]) -> str:
    fault, _, target = order.partition(" ")
    try:
        execute(fault, target)
    except ValueError as ex:
        return str(ex)
    return _DONE


@contextmanager
def _short(home: Path) -> Iterator[Path]:
    """Give a path of the socket that is short enough, however long that of its folder is."""
    folder = os.open(home, os.O_PATH | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{folder}") / _NAME
    finally:
        os.close(folder)
