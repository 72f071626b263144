"""Whether a change counts as undone, by the undos in the change log."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from iredldap.dit.change_log import LoggedChange
from iredldap.operations.undo.found import is_undone


class Log:
    """The undos of a change log."""

    def __init__(self, undos: Iterable[LoggedChange]) -> None:
        self._undos = [*undos]

    def undone_by(self, number: str) -> Iterator[LoggedChange]:
        return (undo for undo in self._undos if undo.undoes == number)


def undo(number: int, undoes: int, **more: Any) -> LoggedChange:
    given = {"result": "done", **more}
    return LoggedChange(
        id=f"{number:05}", began=number, admin="", endpoint="", undoes=f"{undoes:05}", **given
    )


@pytest.mark.parametrize(
    ("undos", "expected"),
    [
        ([], False),
        ([undo(1, 0)], True),
        ([undo(1, 0), undo(2, 1)], False),
        ([undo(1, 0), undo(2, 1), undo(3, 0)], True),
        ([undo(1, 0, result="broken off")], False),
        ([undo(1, 0), undo(2, 1, result="broken off")], True),
        ([undo(1, 7)], False),
    ],
)
def test_the_last_word_counts(undos: list[LoggedChange], expected: bool) -> None:
    log: Any = Log(undos)
    assert is_undone(log, "00000") == expected


def test_undos_of_undos_may_be_many() -> None:
    """As of a switch that is turned back and forth by a script."""
    log: Any = Log(undo(number, number - 1) for number in range(1, 2000))
    assert is_undone(log, "00000")
    assert not is_undone(log, "00001")
