"""Records wait on the disk, and only what still holds comes out."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from ldif_export.readers.base import Record
from ldif_export.readers.record_store import Spool


def record(name: str, text: str = "") -> Record:
    watched = {"entryuuid": [name.encode()], "jpegphoto": [bytes(range(256))]}
    return Record(f"cn={name},o=x", f"dn: {name} {text}\n\n".encode(), watched)


@pytest.fixture
def spool() -> Iterator[Spool]:
    """With the records a, b and c of one search, told in that order."""
    with closing(Spool()) as made:
        made.next_round()
        for name in "abc":
            made.put(0, name.encode(), record(name))
        yield made


def names(spool: Spool, search: int = 0) -> str:
    return "".join(found.dn[3] for found in spool.records(search))


def test_records_come_out_as_they_went_in(spool: Spool) -> None:
    assert [*spool.records(0)] == [record(name) for name in "abc"]
    assert spool.get(0, b"b") == record("b")
    assert spool.get(0, b"d") is None


def test_a_later_record_takes_the_place_of_an_earlier_one(spool: Spool) -> None:
    """Also if there was reading meanwhile."""
    spool.next_round()
    assert spool.get(0, b"a")

    spool.put(0, b"a", record("a", "later"))

    assert [*spool.records(0)] == [record("a", "later"), record("b"), record("c")]


def test_searches_are_kept_apart(spool: Spool) -> None:
    spool.put(1, b"a", record("z"))

    assert not spool.drop(1, [b"b"])
    assert spool.drop(1, [b"a", b"b"])
    assert (names(spool), names(spool, 1)) == ("abc", "")


def test_what_is_not_seen_in_a_round_can_be_dropped(spool: Spool) -> None:
    spool.next_round()
    spool.see(0, [b"b"])
    spool.put(0, b"c", record("c"))

    assert spool.drop_unseen(0)
    assert not spool.drop_unseen(0)
    assert names(spool) == "bc"


def test_what_came_late_can_be_put_in_place(spool: Spool) -> None:
    """What is not told of stands behind the others."""
    assert spool.is_in_place(0)
    spool.next_round()
    spool.put(0, b"d", record("d"))
    assert not spool.is_in_place(0)

    spool.arrange(0, [b"d", b"c", b"x", b"a"])

    assert names(spool) == "dcab"


def test_what_is_above_and_not_there_is_known(spool: Spool) -> None:
    spool.put(1, b"d", Record("cn=d,cn=a,o=x", b"", {}))

    assert spool.orphaned() == ["o=x"]
