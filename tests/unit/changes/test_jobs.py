"""What is decided about jobs before anything is read or written."""

import pytest

from iredldap.changes.job_state import JobState, fate
from iredldap.changes.jobs import claimable
from iredldap.dit.names import Tree
from iredldap.dit.plan import (
    Add,
    Correction,
    Delete,
    Modify,
    Plan,
    Query,
    Recheck,
    Rename,
    Scope,
    Step,
    Sweep,
)
from iredldap.gateways.state import UnfinishedJob

TREE = Tree("dc=example,dc=com")
DN = TREE.user("ann@corp.test")
OTHER = TREE.user("bob@corp.test")
QUERY = Query(TREE.base, Scope.SUBTREE, "(mail=*)")
LOOK = Recheck("look again", QUERY, lambda _: Correction())
GO_ROUND = Sweep("go round", QUERY, lambda _: ())


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((Add(DN, {}), LOOK), "added"),
        ((GO_ROUND, Add(OTHER, {}), Add(DN, {})), "added"),
        ((Modify(DN, ()), GO_ROUND, Delete(DN)), "deleted"),
        ((Modify(DN, ()), Rename(DN, "mail=anne@corp.test"), Modify(OTHER, ())), "renamed"),
        ((Modify(DN, ()), Delete(OTHER), GO_ROUND), ""),
        ((), ""),
    ],
)
def test_fate_of_the_named_entry(steps: tuple[Step, ...], expected: str) -> None:
    """Read off the plan: what a repeat would not find any more, or find made already."""
    assert fate(Plan(DN, steps)) == expected


def test_state_of_a_plan_made_anew() -> None:
    """It has the steps of the new plan, and what was named at first: a rename names another one."""
    first = JobState().planned(Plan(DN, (Modify(DN, ()), Rename(DN, "mail=b@c.test"), LOOK)))
    assert (first.named, first.fate, first.writes_left, first.has_begun) == (
        DN,
        "renamed",
        2,
        False,
    )

    again = first.planned(Plan(OTHER, (GO_ROUND, LOOK)))

    assert (again.named, again.fate, again.writes_left) == (DN, "renamed", 1)
    assert again.left == ("go round", "look again")


@pytest.mark.parametrize(
    "state", [JobState(), JobState(DN, "added", ("one", "two"), ("three",), 1)]
)
def test_state_is_read_as_it_was_written(state: JobState) -> None:
    assert JobState.loaded(state.dumped()) == state


def test_nothing_written_is_a_beginning() -> None:
    assert JobState.loaded("") == JobState()


def test_the_oldest_job_of_each_admin_may_be_taken() -> None:
    """Unless somebody is at it who gave a sign of life; then the others of that admin wait."""
    waiting = [
        UnfinishedJob("1", "ann", "w1", 1000),
        UnfinishedJob("2", "ann", "", 0),
        UnfinishedJob("3", "bob", "w2", 400),
        UnfinishedJob("4", "cid", "", 0),
        UnfinishedJob("5", "cid", "", 0),
    ]

    assert [job.id for job in claimable(waiting, 500, 900)] == ["3", "4"]


def test_a_job_that_was_given_back_rests() -> None:
    """Until then those of its admin wait: none overtakes it."""
    waiting = [
        UnfinishedJob("1", "ann", "", 901),
        UnfinishedJob("2", "ann", "", 0),
        UnfinishedJob("3", "bob", "", 899),
    ]

    assert [job.id for job in claimable(waiting, 500, 900)] == ["3"]
