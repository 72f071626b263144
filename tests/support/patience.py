"""How long tests wait for what must happen, and how they start servers.

Every such wait polls, so a long deadline costs nothing on an idle machine: it is reached only when
something is broken, and it must not be reached on a machine that is many times slower.
"""

import subprocess
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from iredldap.embedded.ports import free_port

PATIENCE = 60.0
"""Seconds that anything may take that must happen; no wait of a test is shorter."""

TRIES = 3
"""How often a start is tried that chance may have spoiled, such as a port taken meanwhile."""

Result = TypeVar("Result")


class Startable(Protocol):
    """A server that a test starts, and waits for until it answers."""

    def start(self, deadline: float) -> None: ...


Server = TypeVar("Server", bound=Startable)


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> float:
    """Poll until something holds; return how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not come about in time"
        time.sleep(0.02)
    return time.monotonic() - began


def comes_within(condition: Callable[[], bool], seconds: float) -> None:
    """Poll until something holds that the product promises to be so after so many seconds.

    Every look that begins later must find it so: how long a look takes is not judged.
    """
    promised = time.monotonic() + seconds
    while True:
        is_due = time.monotonic() > promised
        if condition():
            return
        assert not is_due, f"it was not so after {seconds:g} s"
        time.sleep(0.02)


def at_once(*works: Callable[[], Result]) -> list[Result]:
    """Call functions at the same time, each in a thread; return the results as they come."""
    barrier = threading.Barrier(len(works))
    results: list[Result] = []

    def run(work: Callable[[], Result]) -> None:
        barrier.wait(PATIENCE)
        results.append(work())

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(works)
    return results


def started(server: Server) -> Server:
    """Start a server and return it; try again, on another port, when it does not come up.

    Raises:
        Exception: What the last try raised.
    """
    for left in reversed(range(TRIES)):
        try:
            server.start(PATIENCE)
        except Exception:
            if not left:
                raise
            # It was free when it was chosen; another process may have it by now.
            if hasattr(server, "port"):
                server.port = free_port()
        else:
            break
    return server


def launched(
    launch: Callable[[int], subprocess.Popen[bytes]], answers: Callable[[int], bool]
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a program that listens on a TCP port of 127.0.0.1, as `started` does.

    Args:
        launch: Starts it for a port.
        answers: Whether it serves that port by now.

    Returns:
        The process, and its port.
    """
    for _ in range(TRIES):
        port = free_port()
        process = launch(port)
        if _comes_up(process, port, answers):
            return process, port
    raise AssertionError(f"{process.args!r} ended {TRIES} times, at last with {process.returncode}")


def _comes_up(process: subprocess.Popen[bytes], port: int, answers: Callable[[int], bool]) -> bool:
    """Wait until a program answers or ends; one that does neither is ended."""
    try:
        wait_until(lambda: process.poll() is not None or answers(port))
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process.poll() is None
