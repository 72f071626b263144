"""Ids of changes sort by time."""

import uuid

from iredldap.dit.change_ids import first_id, is_id, new_id


def test_ids_sort_in_the_order_in_which_they_were_made() -> None:
    made = [new_id() for _ in range(200)]
    # Those of the same quarter of a microsecond sort at random.
    assert [one[:18] for one in made] == sorted(one[:18] for one in made)
    assert len({*made}) == len(made)


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = uuid.UUID(new_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert is_id(str(made))


def test_the_first_id_of_a_time_is_below_all_of_it_and_above_all_before() -> None:
    made = new_id()
    milliseconds = uuid.UUID(made).int >> 80
    assert first_id(milliseconds) <= made < first_id(milliseconds + 1)
    assert first_id(-1) == first_id(0) < first_id(1)
    assert first_id(2**60) > made


def test_other_texts_are_no_ids() -> None:
    assert not any(map(is_id, ("", "x", new_id().upper(), new_id().replace("-", ""))))
