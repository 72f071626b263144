"""When the guard beside a slapd kills it."""

import os

import pytest

from iredldap.commands.guard import HangDetector, Running, kill

FIRST, SECOND = Running(7, 100), Running(7, 200)


def judged(*probes: tuple[Running | None, bool, float]) -> list[bool]:
    detector = HangDetector(failures=3, patience=60)
    return [detector.hangs(*probe) for probe in probes]


def test_three_failures_in_succession_after_an_answer() -> None:
    assert judged(
        (FIRST, True, 0), (FIRST, False, 1), (FIRST, False, 2), (FIRST, True, 3),
        (FIRST, False, 4), (FIRST, False, 5), (FIRST, False, 6),
    ) == [False] * 6 + [True]  # fmt: skip


def test_a_server_that_starts_is_left_in_peace() -> None:
    """It may take its time to the first answer, but not for ever."""
    silent = [(FIRST, False, float(second)) for second in range(61)]

    assert judged(*silent) == [False] * 60 + [True]


@pytest.mark.parametrize("other", [SECOND, None], ids=["started-anew", "gone"])
def test_another_process_begins_anew(other: Running | None) -> None:
    """Also one with the same number."""
    assert judged(
        (FIRST, True, 0), (FIRST, False, 1), (FIRST, False, 2), (other, False, 3),
        (other, False, 4), (other, False, 5), (other, False, 6),
    ) == [False] * 7  # fmt: skip


def test_nobody_else_is_killed() -> None:
    """The number may belong to another process by now."""
    own = Running(os.getpid(), 0)

    assert not kill(own)
    assert not kill(Running(2**22 + 1, 0))
