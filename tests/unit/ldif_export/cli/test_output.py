"""The output of a command."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ldif_export.cli import output


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals as they were, and no timer, afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_termination_that_python_has_dropped_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception in a destructor is printed and dropped, and the command would go on."""
    monkeypatch.setattr(output, "_REPEAT", 0.01)
    target = tmp_path / "out.ldif"

    def ended() -> None:
        with output.complete_output(target):
            with contextlib.suppress(SystemExit):
                signal.raise_signal(signal.SIGTERM)
            while True:
                signal.pause()

    with pytest.raises(SystemExit) as refusal:
        ended()
    assert refusal.value.code == 143
    assert [*tmp_path.iterdir()] == []
