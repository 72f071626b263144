"""What a worker decides about the writer, rule by rule, and for how long it relies on a row."""

from dataclasses import replace
from typing import Any

import pytest

from iredldap.dit.csn import CsnVector
from iredldap.gateways.cluster.decision import Compare, Enter, Found, Open, Promote, after, decide
from iredldap.gateways.cluster.view import (
    Held,
    Mode,
    Sample,
    Sight,
    Times,
    View,
    WriterRow,
    held_after,
)

NOW = 1000.0
TIMES = Times(failover_after=2.0, lease=2.0, margin=1.0)
OLD, NEW = "20261128043444.684446Z#000000#001#000000", "20261128043445.000000Z#000000#001#000000"
ROW = WriterRow(7, 20, "A", True, Mode.TOGETHER, lease=2.0, wait=3.0, unseen=5.0)


def sight(csn: str = NEW, *, asked: float = NOW - 0.5, **changes: Any) -> Sight:
    sample = Sample(asked, asked, CsnVector.of([csn]))
    healthy = Sight(asked, 0, None, True, sample, None, rest_since=NOW - 60)
    return replace(healthy, **changes)


SILENT = sight(failures=3, silent_since=NOW - 2.0)


def view(
    row: WriterRow | None = ROW,
    *,
    a: Sight = SILENT,
    b: Sight | None = None,
    since: float = NOW - 60,
    until: float = NOW + 1,
    equal: WriterRow | None = None,
) -> View:
    held = Held(row, until, since, since) if row else None
    return View(NOW, held, TIMES, {"A": a, "B": b or sight()}, ("A", "B"), equal)


def test_a_drained_standby_takes_the_place_of_a_silent_writer() -> None:
    assert decide(view()) == Promote(ROW, "B")


@pytest.mark.parametrize(
    "seen",
    [
        view(until=NOW),
        view(replace(ROW, mode=Mode.ALONE)),
        view(replace(ROW, mode=Mode.JOINING)),
        view(replace(ROW, usable=False, mode=Mode.ALONE), b=sight(silent_since=NOW)),
        view(replace(ROW, unseen=1.9)),
        view(replace(ROW, uri="C")),
        view(replace(ROW, standby="C")),
        view(a=sight()),
        view(a=replace(SILENT, failures=1)),
        view(a=replace(SILENT, silent_since=NOW - 1.9)),
        view(b=sight(is_provider=False)),
        view(b=sight(silent_since=NOW - 0.1)),
        view(b=sight(rest_since=NOW - 0.9)),
        view(b=sight(rest_since=None)),
        view(b=sight(last=Sample(NOW, NOW, CsnVector()))),
    ],
    ids=[
        "no valid lease",
        "alone",
        "joining",
        "unusable",
        "seen by others",
        "unknown writer",
        "other standby",
        "writer healthy",
        "one failure",
        "silent too short",
        "consumer",
        "standby silent",
        "standby busy",
        "rest unknown",
        "no contextCSN",
    ],
)
def test_otherwise_it_does_not(seen: View) -> None:
    assert not isinstance(decide(seen), Promote)


def test_a_promoted_writer_is_alone_and_not_usable_until_no_lease_is_left() -> None:
    made = after(ROW, Promote(ROW, "B"), TIMES)

    assert made == WriterRow(8, 21, "B", False, Mode.ALONE, lease=2.0, wait=3.0)
    assert after(replace(ROW, serial=21), Promote(ROW, "B"), TIMES) == replace(ROW, serial=21)


@pytest.mark.parametrize(
    ("row", "wait"),
    [
        (None, 3.0),
        (replace(ROW, lease=1.0), 3.0),
        (replace(ROW, lease=10.0), 11.0),
        (replace(ROW, usable=False, wait=11.0), 11.0),
        (replace(ROW, usable=True, wait=11.0), 3.0),
    ],
)
def test_an_epoch_waits_for_the_longest_lease_of_those_before(
    row: WriterRow | None, wait: float
) -> None:
    """Its own margin is added; an epoch that was never usable passes on what it waited for."""
    assert TIMES.wait_after(row) == wait


class TestOpening:
    """An epoch becomes usable when its wait is over, and its writer has what the other has."""

    PROMOTED = replace(ROW, uri="B", usable=False, mode=Mode.ALONE)
    FOUNDED = replace(ROW, uri="B", usable=False, mode=Mode.JOINING)

    @pytest.mark.parametrize("seconds", [0, 2.9])
    def test_not_before(self, seconds: float) -> None:
        assert decide(view(self.PROMOTED, since=NOW - seconds)) is None

    @pytest.mark.parametrize("former", [SILENT, sight()])
    def test_then(self, former: Sight) -> None:
        assert decide(view(self.PROMOTED, a=former, since=NOW - 3.5)) == Open(self.PROMOTED)

    def test_not_while_the_former_writer_has_more(self) -> None:
        """What leases have permitted until their end arrives first, or within ten seconds."""
        for seconds, opened in ((3.5, None), (13, Open(self.PROMOTED))):
            seen = view(self.PROMOTED, a=sight(), b=sight(OLD), since=NOW - seconds)
            assert decide(seen) == opened

    def test_not_by_what_the_former_writer_had_before(self) -> None:
        before = sight(asked=NOW - 1)

        assert decide(view(self.PROMOTED, a=before, since=NOW - 3.5)) is None

    @pytest.mark.parametrize("other", [SILENT, sight(NEW)])
    def test_the_very_first_never_lacks_anything(self, other: Sight) -> None:
        seen = view(self.FOUNDED, a=other, b=sight(OLD))

        assert decide(seen) is None
        assert decide(view(self.FOUNDED, a=sight())) == Open(self.FOUNDED)


class TestModes:
    """Alone, joining, together: in this order, and each with its proof."""

    ALONE = replace(ROW, mode=Mode.ALONE)
    JOINING = replace(ROW, mode=Mode.JOINING)

    def test_a_standby_joins_when_it_has_caught_up(self) -> None:
        assert decide(view(self.ALONE, a=sight())) == Enter(self.ALONE, Mode.JOINING, "B")
        assert decide(view(self.ALONE, a=sight(), b=sight(OLD))) is None
        assert decide(view(self.ALONE, a=sight(), b=SILENT)) is None

    def test_under_load_what_the_writer_had_before_suffices(self) -> None:
        before = Sample(NOW - 1, NOW - 1, CsnVector.of([OLD]))

        seen = view(self.ALONE, a=sight(before=before), b=sight(OLD))

        assert decide(seen) == Enter(self.ALONE, Mode.JOINING, "B")

    def test_it_is_together_when_nobody_relies_on_alone_any_more(self) -> None:
        early = view(self.JOINING, a=sight(), since=NOW - 3.4, equal=self.JOINING)
        assert decide(early) is None
        seen = view(self.JOINING, a=sight(), since=NOW - 3.5, equal=self.JOINING)
        assert decide(seen) == Enter(self.JOINING, Mode.TOGETHER)
        behind = view(self.JOINING, a=sight(), b=sight(OLD), since=NOW - 3.5, equal=self.JOINING)
        assert decide(behind) is None

    @pytest.mark.parametrize("equal", [None, replace(JOINING, serial=19)])
    def test_before_that_the_servers_are_compared(self, equal: WriterRow | None) -> None:
        """For this very row: the writer may have been alone again since an earlier one."""
        seen = view(self.JOINING, a=sight(), since=NOW - 3.5, equal=equal)
        assert decide(seen) == Compare(self.JOINING)

    def test_it_is_alone_again_when_it_is_silent(self) -> None:
        assert decide(view(self.JOINING, a=sight(), b=SILENT)) == Enter(self.JOINING, Mode.ALONE)

    @pytest.mark.parametrize("mode", [Mode.TOGETHER, Mode.JOINING])
    def test_who_names_another_server_beside_the_writer_has_that_join(self, mode: Mode) -> None:
        """As soon as it has everything: one that is misspelt only never does."""
        row = replace(ROW, mode=mode, standby="C")
        assert decide(view(row, a=sight(), equal=row)) == Enter(row, Mode.ALONE)
        assert decide(view(row, a=sight(), b=sight(OLD), equal=row)) is None
        assert decide(view(row, a=sight(), b=SILENT, equal=row)) is None
        left = after(row, Enter(row, Mode.ALONE), TIMES)
        assert left
        joining = after(left, Enter(left, Mode.JOINING, "B"), TIMES)
        assert joining
        assert (joining.mode, joining.standby) == (Mode.JOINING, "B")


class TestFounding:
    """The first row names the server that has everything; with one missing, nobody knows."""

    def test_the_complete_one_is_chosen(self) -> None:
        assert decide(view(None, a=sight(OLD), b=sight(NEW))) == Found("B", standby="A")
        assert decide(view(None, a=sight(), b=sight())) == Found("A", standby="B")

    def test_both_must_be_seen(self) -> None:
        assert decide(view(None)) is None
        assert decide(view(None, a=sight(), b=Sight())) is None

    def test_a_consumer_is_never_chosen(self) -> None:
        consumer = sight(is_provider=False)

        assert decide(view(None, a=consumer)) is None or decide(view(None, a=consumer)) == Found(
            "B", standby="A"
        )
        assert decide(view(None, a=consumer, b=sight(OLD))) == Found("B", standby="A")
        assert decide(view(None, a=consumer, b=consumer)) is None


class TestLeases:
    """What was read holds from before it was requested, for the shorter lease."""

    def test_its_length(self) -> None:
        held = held_after(None, replace(ROW, lease=5.0), 10.0, 11.0, 2.0)
        assert held
        assert (held.until, held.epoch_since, held.mode_since) == (12.0, 11.0, 11.0)
        shorter = held_after(None, replace(ROW, lease=1.0), 10.0, 10.5, 2.0)
        assert shorter
        assert shorter.is_valid(10.9)
        assert not shorter.is_valid(11.0)

    def test_an_older_row_renews_nothing(self) -> None:
        """A database that has lost a commit, or a replica, does not bring back a writer."""
        held = held_after(None, ROW, 10.0, 10.1, 2.0)

        assert held_after(held, replace(ROW, serial=19), 11.0, 11.1, 2.0) is None
        assert held_after(held, replace(ROW, epoch=6, serial=99), 11.0, 11.1, 2.0) is None

    def test_the_standby_is_read_from_for_a_shorter_time(self) -> None:
        """The first change without it waits for as long; that lasts no lease."""
        held = held_after(None, ROW, 10.0, 10.5, 2.0)
        assert held
        assert held.is_fresh(10.7)
        assert not held.is_fresh(10.75)
        assert held.is_valid(11.9)
        short = held_after(None, ROW, 10.0, 10.1, 0.5)
        assert short
        assert not short.is_fresh(10.5)

    def test_since_when_a_mode_is_known(self) -> None:
        """A mode that was left and came back begins anew."""
        held = held_after(None, ROW, 10.0, 10.1, 2.0)
        same = held_after(held, ROW, 11.0, 11.1, 2.0)
        again = held_after(held, replace(ROW, serial=22), 11.0, 11.1, 2.0)
        assert same
        assert again
        assert (same.epoch_since, same.mode_since) == (10.1, 10.1)
        assert (again.epoch_since, again.mode_since) == (10.1, 11.1)


def test_a_vector_rests_as_long_as_it_is_seen_unchanged() -> None:
    first = Sight().after_success(Sample(1, 1, CsnVector.of([OLD])), is_provider=True)
    same = first.after_success(Sample(2, 2, CsnVector.of([OLD])), is_provider=True)

    assert same.rest_since == 1
    assert same.after_success(Sample(3, 3, CsnVector.of([NEW])), is_provider=True).rest_since == 3
    # What happened during a silence was not seen.
    silent = same.after_failure(3)
    assert (silent.rest_since, silent.failures, silent.silent_since) == (None, 1, 3)
    assert silent.after_success(Sample(4, 4, CsnVector.of([OLD])), is_provider=True).rest_since == 4
