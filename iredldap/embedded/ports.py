"""Choose TCP ports of 127.0.0.1 for servers."""

import errno
import fcntl
import os
import secrets
import socket
import tempfile
from functools import cache
from pathlib import Path

from iredldap.embedded.errors import EmbeddedError, PortRefusedError

# The range of ports that Linux uses for outgoing connections.
_OUTGOING_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LEAST_PORT = 10_000
_LAST_PORT = 65_535
_PORT_TRIES = 100

_RETURNED: set[int] = set()


def free_port() -> int:
    """Find a TCP port of 127.0.0.1 that is free now.

    Not one of those that the system uses for outgoing connections, if there are others: such a port
    could be taken before the server listens, or while it is restarted. Nor one that this function
    has returned before, here or in another process of the same user, which may listen there later.
    """
    for _ in range(_PORT_TRIES):
        with socket.socket() as probe:
            wanted = _unassigned_port()
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError as error:
                if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    raise
            else:
                port = int(probe.getsockname()[1])
                if _reserved(port):
                    return port
    raise EmbeddedError("no free port of 127.0.0.1 was found")


def _unassigned_port() -> int:
    """Choose a port outside the range for outgoing connections; 0, the system's choice, if none."""
    try:
        first = int(_OUTGOING_PORTS.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return secrets.choice(range(_LEAST_PORT, first)) if first > 2 * _LEAST_PORT else 0


def _reserved(port: int) -> bool:
    """Reserve a port until this process ends; return whether it was free to reserve.

    A lock of the byte of that number: the system releases it, whatever ends the process. A cluster
    starts its last server half a minute after its ports were chosen, and of the tests, which run in
    several processes, another one took such a port meanwhile.
    """
    # A process gets its own lock again.
    if port in _RETURNED:
        return False
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    _RETURNED.add(port)
    return True


@cache
def _reservations() -> int:
    """Open the file of the reservations. Closing it, through any descriptor, would end them all."""
    path = Path(tempfile.gettempdir()) / f"iredldap-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def refuse_taken_port(port: int) -> None:
    """Refuse a TCP port of 127.0.0.1 that is taken: its owner could answer in our server's place.

    Raises:
        PortRefusedError: If it is taken, not permitted, or none.
    """
    if not 0 < port <= _LAST_PORT:
        raise PortRefusedError(port, f"none of 1 to {_LAST_PORT}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = "taken" if error.errno == errno.EADDRINUSE else f"not for us: {error}"
            raise PortRefusedError(port, why) from error
