"""Time one command, started from a process that holds next to nothing.

The kernel counts what the starting process held as the least that the command ever held, and a
large process takes long to start another.

It is a program of its own: ``stopwatch.py SINK COMMAND …``; SINK says where the output goes.

- ``null``: to /dev/null
- ``cat``: into a pipe, to ``cat >/dev/null``
- ``first``: into a pipe, read here, to see when the first byte comes
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import IO, Literal

Sink = Literal["null", "cat", "first"]

_READ = 1024 * 1024


@dataclass(frozen=True)
class Lap:
    """What one run of a command took.

    Args:
        seconds: From before its start to its end, and that of ``cat``.
        first: Seconds until its first byte; 0 where nobody looked.
        cpu: Seconds that it kept a core busy.
        megabytes: The most memory that it held.
    """

    seconds: float
    first: float
    cpu: float
    megabytes: float


def lap(sink: Sink, command: list[str], env: dict[str, str] | None = None) -> Lap:
    """Time a command.

    Raises:
        subprocess.CalledProcessError: If it fails; what it says stands on standard error.
    """
    watch = [sys.executable, "-I", "-S", __file__, sink, *command]
    done = subprocess.run(watch, stdout=subprocess.PIPE, env=env, check=True)
    return Lap(**json.loads(done.stdout))


def _timed(sink: str, command: list[str]) -> dict[str, float]:
    first = 0.0
    out = subprocess.DEVNULL if sink == "null" else subprocess.PIPE
    began = time.perf_counter()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out)
    if sink == "cat":
        reader = subprocess.Popen(["cat"], stdin=child.stdout, stdout=subprocess.DEVNULL)
        assert child.stdout
        child.stdout.close()
    elif sink == "first":
        first = _first(child.stdout) - began
    _, status, used = os.wait4(child.pid, 0)
    if sink == "cat":
        reader.wait()
    spent = time.perf_counter() - began
    if status:
        sys.exit(f"{command[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "seconds": spent,
        "first": first,
        "cpu": used.ru_utime + used.ru_stime,
        "megabytes": used.ru_maxrss / 1024,
    }


def _first(pipe: IO[bytes] | None) -> float:
    """Take all that comes, and tell when its beginning came."""
    assert pipe
    os.read(pipe.fileno(), 1)
    at = time.perf_counter()
    while os.read(pipe.fileno(), _READ):
        pass
    return at


if __name__ == "__main__":
    json.dump(_timed(sys.argv[1], sys.argv[2:]), sys.stdout)
