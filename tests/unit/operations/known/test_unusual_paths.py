"""What is read again of mailbox paths that are remembered."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from iredldap.dit.entry import Entry
from iredldap.dit.mailbox import PathSet
from iredldap.dit.names import Tree
from iredldap.dit.plan import Query
from iredldap.errors import ServerDown
from iredldap.gateways.directory import Directory
from iredldap.operations.known.unusual_paths import UnusualPaths


class Fake:
    """A directory that notes what it is asked, and answers with entries of some states."""

    tree = Tree("dc=x")

    def __init__(self, *states: str) -> None:
        self._states = states
        self.filters: list[str] = []
        self.breaks = False

    def stream(self, query: Query) -> Iterator[Entry]:
        self.filters.append(query.filter)
        for number, state in enumerate(self._states):
            attributes: dict[str, list[bytes]] = {"entryCSN": [state.encode()]}
            yield Entry(f"mail=u{number}@a.test,domainName=a.test,o=domains,dc=x", attributes)
            if self.breaks:
                raise ServerDown("gone")

    def read(self, *_: Any) -> None:
        return None


@pytest.mark.parametrize(
    ("second", "since"),
    [
        ("20260131100000.000000Z#000000#001#000000", "20260131095930.000000Z"),
        ("20260131095959.000000Z#000000#002#000000", "20260131095500.000000Z"),
    ],
)
def test_only_what_is_new_is_read_again(second: str, since: str) -> None:
    """Several servers may have clocks that are minutes apart; a single one has one clock."""
    directory = Fake("20260131100000.000000Z#000000#001#000000", second)
    paths = UnusualPaths()
    for _ in range(2):
        assert [*paths.touching(cast("Directory", directory), PathSet(["/x/"]))] == []
    first, again = directory.filters
    assert "entryCSN" not in first
    assert f"(entryCSN>={since}#000000#000#000000)" in again


def test_what_an_answer_that_broke_off_did_not_reach_is_read_again() -> None:
    """Entries come in no order of their states: the first may be the youngest."""
    directory = Fake(
        "20260131105900.000000Z#000000#001#000000", "20260131100000.000000Z#000000#001#000000"
    )
    paths = UnusualPaths()

    def ask() -> None:
        assert [*paths.touching(cast("Directory", directory), PathSet(["/x/"]))] == []

    for _ in range(2):
        directory.breaks = True
        with pytest.raises(ServerDown):
            ask()
        directory.breaks = False
        ask()
    first, repeated, since, since_repeated = directory.filters
    assert "entryCSN" not in first
    assert repeated == first
    assert since == since_repeated != first
