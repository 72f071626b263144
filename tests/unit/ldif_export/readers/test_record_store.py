"""Records wait on the disk, and only what still holds comes out."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from ldif_export.readers.base import LdifRecord
from ldif_export.readers.record_store import RecordStore


def record(name: str, text: str = "") -> LdifRecord:
    watched = {"entryuuid": [name.encode()], "jpegphoto": [bytes(range(256))]}
    return LdifRecord(f"cn={name},o=x", f"dn: {name} {text}\n\n".encode(), watched)


@pytest.fixture
def store() -> Iterator[RecordStore]:
    """With the records a, b and c of one search, told in that order."""
    with closing(RecordStore()) as made:
        made.next_round()
        for name in "abc":
            made.put(0, name.encode(), record(name))
        yield made


def names(store: RecordStore, search: int = 0) -> str:
    return "".join(found.dn[3] for found in store.records(search))


def test_records_come_out_as_they_went_in(store: RecordStore) -> None:
    assert [*store.records(0)] == [record(name) for name in "abc"]
    assert store.get(0, b"b") == record("b")
    assert store.get(0, b"d") is None


def test_a_later_record_takes_the_place_of_an_earlier_one(store: RecordStore) -> None:
    """Also if there was reading meanwhile."""
    store.next_round()
    assert store.get(0, b"a")

    store.put(0, b"a", record("a", "later"))

    assert [*store.records(0)] == [record("a", "later"), record("b"), record("c")]


def test_searches_are_kept_apart(store: RecordStore) -> None:
    store.put(1, b"a", record("z"))

    assert not store.drop(1, [b"b"])
    assert store.drop(1, [b"a", b"b"])
    assert (names(store), names(store, 1)) == ("abc", "")


def test_what_is_not_seen_in_a_round_can_be_dropped(store: RecordStore) -> None:
    store.next_round()
    store.see(0, [b"b"])
    store.put(0, b"c", record("c"))

    assert store.drop_unseen(0)
    assert not store.drop_unseen(0)
    assert names(store) == "bc"


def test_what_came_late_can_be_put_in_place(store: RecordStore) -> None:
    """What is not told of stands behind the others."""
    assert store.is_in_place(0)
    store.next_round()
    store.put(0, b"d", record("d"))
    assert not store.is_in_place(0)

    store.arrange(0, [b"d", b"c", b"x", b"a"])

    assert names(store) == "dcab"


def test_what_is_above_and_not_there_is_known(store: RecordStore) -> None:
    store.put(1, b"d", LdifRecord("cn=d,cn=a,o=x", b"", {}))

    assert store.orphaned() == ["o=x"]
