"""The output of a command."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ldif_export.cli import output


@pytest.mark.parametrize("has_unnamed", [True, False])
def test_an_output_has_no_name_before_it_is_whole(
    tmp_path: Path, has_unnamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file system has files without a name, and where not."""
    if not has_unnamed:
        monkeypatch.delattr("os.O_TMPFILE")
    target = tmp_path / "out.ldif"
    target.write_bytes(b"yesterday")
    with output.complete_file(target) as descriptor:
        output.write_all(descriptor, b"today")
        assert target.read_bytes() == b"yesterday"
        assert ({*tmp_path.iterdir()} == {target}) is has_unnamed
    assert target.read_bytes() == b"today"
    assert [*tmp_path.iterdir()] == [target]
    assert target.stat().st_mode & 0o777 == 0o600

    def broken() -> None:
        with output.complete_file(target) as descriptor:
            output.write_all(descriptor, b"tomorrow")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert target.read_bytes() == b"today"
    assert [*tmp_path.iterdir()] == [target]


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
        with output.complete_file(target):
            with contextlib.suppress(SystemExit):
                signal.raise_signal(signal.SIGTERM)
            while True:
                signal.pause()

    with pytest.raises(SystemExit) as refusal:
        ended()
    assert refusal.value.code == 143
    assert [*tmp_path.iterdir()] == []
