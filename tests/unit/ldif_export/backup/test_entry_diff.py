"""What became of entries is told by entryUUID and DN, in an order that can be followed."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from ldif_export.backup.entry_diff import DiffStep, EntryDiff, StepKind

BASE = "o=domains,dc=x"
ADD, RENAME, SUPPLANT, OVERWRITE = (
    StepKind.ADD,
    StepKind.RENAME,
    StepKind.SUPPLANT,
    StepKind.OVERWRITE,
)

Tree = dict[str, str]
"""DN below the base by entryUUID."""


def entries(tree: Tree) -> Iterator[tuple[str, str]]:
    return ((uuid, f"{dn},{BASE}") for uuid, dn in tree.items())


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
        diff.before([("1", "u=x")])
        diff.now([("1", "u=x"), ("2", "u=y")])
        diff.compare()
        assert [*diff.steps()] == [DiffStep(ADD, "2", "u=y", None)]

        diff.leave_out("2")

        assert [*diff.steps()] == []
        assert [*diff.entries()] == [("1", "u=x")]
        assert diff.dn("2") is None
