"""What became of entries is told by entryUUID and DN, in an order that can be followed."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from ldif_export.backup.entry_diff import DiffStep, EntryDiff, StepKind
from ldif_export.entry_list import ListedEntry

BASE = "o=domains,dc=x"
ADD, RENAME, SUPPLANT, OVERWRITE = (
    StepKind.ADD,
    StepKind.RENAME,
    StepKind.SUPPLANT,
    StepKind.OVERWRITE,
)

Tree = dict[str, str]
"""DN below the base by entryUUID."""


def entries(tree: Tree) -> Iterator[ListedEntry]:
    return (ListedEntry(uuid, f"{dn},{BASE}") for uuid, dn in tree.items())


def became(before: Tree, now: Tree) -> tuple[list[tuple[StepKind, str, str | None]], list[str]]:
    with closing(EntryDiff()) as diff:
        diff.before(entries(before))
        diff.now(entries(now))
        diff.compare()
        short = f",{BASE}"
        steps = [
            (what, dn.removesuffix(short), old.removesuffix(short) if old else None)
            for what, _, dn, old in diff.steps()
        ]
        return steps, [dn.removesuffix(short) for dn in diff.deleted()]


CASES = {
    "nothing": ({"1": "d=a"}, {"1": "d=a"}, [], []),
    "new, parents first": (
        {},
        {"1": "u=x,d=a", "2": "d=a"},
        [(ADD, "d=a", None), (ADD, "u=x,d=a", None)],
        [],
    ),
    "gone, children first": ({"1": "d=a", "2": "u=x,d=a"}, {}, [], ["u=x,d=a", "d=a"]),
    "renamed": ({"1": "u=x,d=a"}, {"1": "u=y,d=a"}, [(RENAME, "u=y,d=a", "u=x,d=a")], []),
    "moved to a new parent": (
        {"1": "u=x,d=a"},
        {"1": "u=x,d=b", "2": "d=b"},
        [(ADD, "d=b", None), (RENAME, "u=x,d=b", "u=x,d=a")],
        [],
    ),
    "renamed with its children": (
        {"1": "d=a", "2": "u=x,d=a"},
        {"1": "d=b", "2": "u=x,d=b"},
        [(ADD, "d=b", "d=a"), (RENAME, "u=x,d=b", "u=x,d=a")],
        ["d=a"],
    ),
    "renamed, and its name taken": (
        {"1": "u=x"},
        {"1": "u=y", "2": "u=x"},
        [(RENAME, "u=y", "u=x"), (ADD, "u=x", None)],
        [],
    ),
    "names swapped": (
        {"1": "u=x", "2": "u=y"},
        {"1": "u=y", "2": "u=x"},
        [(SUPPLANT, "u=x", "u=y"), (SUPPLANT, "u=y", "u=x")],
        [],
    ),
    "a chain": (
        {"1": "u=x", "2": "u=y"},
        {"1": "u=y", "2": "u=z"},
        [(RENAME, "u=z", "u=y"), (ADD, "u=y", "u=x")],
        ["u=x"],
    ),
    "gone deeper, and its name taken by its parent": (
        {"1": "u=x"},
        {"1": "v=y,u=x", "2": "u=x"},
        [(SUPPLANT, "u=x", None), (ADD, "v=y,u=x", "u=x")],
        [],
    ),
    "deleted and made again": (
        {"1": "d=a", "2": "u=x,d=a", "3": "u=y,d=a"},
        {"4": "d=a", "5": "u=x,d=a"},
        [(OVERWRITE, "d=a", None), (SUPPLANT, "u=x,d=a", None)],
        ["u=y,d=a"],
    ),
    "spelled otherwise": ({"1": "u=x"}, {"1": "U=X"}, [(RENAME, "U=X", "u=x")], []),
    "listed twice before": ({"1": "u=x", "2": "u=x"}, {"2": "u=x"}, [], []),
}


@pytest.mark.parametrize(("before", "now", "steps", "deleted"), CASES.values(), ids=CASES.keys())
def test_what_became(
    before: Tree, now: Tree, steps: list[tuple[StepKind, str, str | None]], deleted: list[str]
) -> None:
    """The order of what is told is the one in which it can be done."""
    assert became(before, now) == (steps, deleted)


def test_what_is_left_out_is_not_there() -> None:
    """It is neither told of nor listed, so that the next comparison finds it."""
    with closing(EntryDiff()) as diff:
        diff.before([ListedEntry("1", "u=x", "17")])
        diff.now([ListedEntry("1", "u=x", "17"), ListedEntry("2", "u=y", "18")])
        diff.compare()
        assert [*diff.steps()] == [DiffStep(ADD, "2", "u=y", None)]

        diff.leave_out("2")

        assert [*diff.steps()] == []
        assert [*diff.entries()] == [ListedEntry("1", "u=x", "17")]
        assert diff.dn("2") is None


@pytest.mark.parametrize(
    ("held", "now", "oldest"),
    [
        (["5", "7"], ["5", "7"], None),
        (["5", "7"], ["5", "9"], "9"),
        (["5", "7"], ["3", "9"], "3"),
        (["5", "7"], ["5", "7", "6"], "6"),
        (["5", ""], ["5", "7"], "7"),
        (["5", ""], ["5", ""], ""),
        (["5", "7"], ["5", ""], ""),
        ([], [], None),
    ],
    ids=str,
)
def test_an_entry_has_changed_when_its_state_is_another(
    held: list[str], now: list[str], oldest: str | None
) -> None:
    """Newer, older, or unknown; the oldest of today's states is where a search has to begin."""
    with closing(EntryDiff()) as diff:
        diff.before(ListedEntry(str(n), f"u={n}", csn) for n, csn in enumerate(held))
        diff.now(ListedEntry(str(n), f"u={n}", csn) for n, csn in enumerate(now))
        diff.compare()

        assert diff.oldest_change() == oldest


def test_what_is_listed_is_the_state_that_was_exported() -> None:
    """Not the one that was seen: an entry that could not be exported is found the next time."""
    with closing(EntryDiff()) as diff:
        diff.before([ListedEntry("1", "u=x", "1"), ListedEntry("2", "u=y", "2")])
        diff.now([ListedEntry("1", "u=x", "5"), ListedEntry("2", "u=y", "6")])
        diff.compare()
        assert not diff.is_held("1", "5")

        diff.hold("1", "5")

        assert diff.is_held("1", "5")
        assert [entry.csn for entry in diff.entries()] == ["5", "2"]


def test_lists_without_states_are_judged_by_the_state_of_the_whole() -> None:
    """Of an entry that is not listed nothing is assumed."""
    with closing(EntryDiff()) as diff:
        diff.before([ListedEntry("1", "u=x"), ListedEntry("2", "u=y")])
        diff.now(ListedEntry(uuid, f"u={uuid}", csn) for uuid, csn in ("11", "25", "30"))

        diff.assume_held(lambda csn: csn < "3")
        diff.compare()

        assert [diff.is_held(uuid, csn) for uuid, csn in ("11", "25", "30")] == [True, False, False]
        assert diff.oldest_change() == "0"
