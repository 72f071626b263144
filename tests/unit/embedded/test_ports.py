"""Free ports."""

import subprocess
import sys

import pytest

from iredldap.embedded import ports

CHOSEN = range(20_000, 20_003)
TAKES_THEM = f"""
from iredldap.embedded import ports
ports._unassigned_port = iter({[*CHOSEN]}).__next__
print(ports.free_port(), flush=True)
input()
"""


def test_a_port_is_returned_to_one_process_while_it_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though nothing listens there yet; when that process is killed, another one may have it."""
    with subprocess.Popen(
        [sys.executable, "-c", TAKES_THEM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout
        theirs = int(other.stdout.readline())
        _offer(monkeypatch, theirs, 0)
        assert ports.free_port() != theirs
        other.kill()
        other.wait()
    _offer(monkeypatch, theirs)
    assert ports.free_port() == theirs


def test_no_port_is_returned_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    _offer(monkeypatch, 0)
    first = ports.free_port()
    _offer(monkeypatch, first, 0)
    assert ports.free_port() != first


def _offer(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    monkeypatch.setattr(ports, "_unassigned_port", iter(numbers).__next__)
