"""The order of a deletion."""

from iredldap.dit import deletion
from iredldap.dit.plan import Delete, Modify, Outside, Step

DN = "mail=ann@a.test,ou=Users,domainName=a.test,o=domains,dc=example,dc=org"


def step(meaning: str) -> Outside:
    return Outside(meaning, lambda: None)


def meanings(steps: tuple[Step, ...]) -> list[str]:
    return [one.meaning if isinstance(one, Outside) else type(one).__name__ for one in steps]


def test_the_entry_is_disabled_first_and_deleted_when_nothing_is_found_through_it_any_more() -> (
    None
):
    """Whatever the order in which the parts are given; what is found by addresses comes after."""
    steps = deletion.steps(
        DN,
        afterwards=[step("afterwards")],
        late=[step("late")],
        own=[step("own")],
        records=[step("records")],
        references=[step("references")],
        checks=[step("checks")],
    )

    assert meanings(steps) == [
        "Modify", "checks", "references", "records", "own", "late", "Delete", "afterwards",
    ]  # fmt: skip
    assert steps[0] == Modify(DN, deletion.DISABLE)


def test_a_deletion_can_be_repeated() -> None:
    """The entry may be gone already, and what others have added below it goes too."""
    assert deletion.steps(DN, references=())[-1] == Delete(DN, absent_ok=True, with_children=True)
