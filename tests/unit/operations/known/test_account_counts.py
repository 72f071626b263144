"""What is counted again, and what only by what has changed."""

from collections.abc import Iterator
from typing import cast

import pytest

from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree
from iredldap.dit.plan import Correction, Query, Scope
from iredldap.errors import ServerDown
from iredldap.gateways.directory import Directory
from iredldap.limit_errors import ExceededDomainAccountLimit
from iredldap.operations.known.account_counts import AccountCounts, Occupancy

QUERY = Query("domainName=a.test,o=domains,dc=x", Scope.SUBTREE, "(objectClass=mailUser)")


def csn(second: int, server: int = 0) -> str:
    return f"202601311000{second:02d}.000000Z#000000#{server:03x}#000000"


class Fake:
    """A directory of accounts with states and sizes, which notes what it is asked."""

    tree = Tree("dc=x")

    def __init__(self, *states: str, vector: tuple[str, ...] = ()) -> None:
        self.accounts = {str(number): (state, 10) for number, state in enumerate(states)}
        self.vector = vector
        self.filters: list[str] = []
        self.breaks = 0
        self.breaks_after: int | None = None

    def stream(self, query: Query) -> Iterator[Entry]:
        self.filters.append(query.filter)
        _, _, rest = query.filter.partition("(entryCSN>=")
        since = rest.partition(")")[0]
        for position, (number, (state, size)) in enumerate(self.accounts.items()):
            if position == self.breaks_after:
                raise ServerDown("gone")
            if state >= since:
                texts = {"entryUUID": number, "entryCSN": state, "mailQuota": str(size)}
                yield Entry(
                    f"mail=u{number}@a.test", {k: [v.encode()] for k, v in texts.items() if v}
                )

    def read(self, _: str, attributes: tuple[str, ...]) -> Entry:
        return Entry("dc=x", {"contextCSN": [value.encode() for value in self.vector]})

    @property
    def full_counts(self) -> int:
        return self.filters.count(QUERY.filter)


def test_what_was_added_or_grew_is_found_without_counting_all() -> None:
    fake = Fake(csn(0), csn(10))
    directory, counts = cast("Directory", fake), AccountCounts()
    assert counts.at_most(directory, QUERY) == Occupancy(2, 20)
    fake.accounts["new"] = csn(11), 5
    fake.accounts["0"] = csn(12), 30
    assert counts.at_most(directory, QUERY) == Occupancy(3, 45)
    assert fake.full_counts == 1
    assert fake.filters[-1] == f"(&(entryCSN>={csn(8)}){QUERY.filter})"


def test_accounts_that_went_count_until_it_matters() -> None:
    """The count is never too low; a refusal is judged by an exact one."""
    fake = Fake(csn(0), csn(10))
    directory, counts = cast("Directory", fake), AccountCounts()
    counts.at_most(directory, QUERY)
    del fake.accounts["0"]
    assert counts.at_most(directory, QUERY).number == 2

    def judge(there: Occupancy) -> Correction:
        return Correction(refusal=ExceededDomainAccountLimit("") if there.number > 2 else None)

    recheck = counts.recheck(directory, QUERY, "count", judge)
    fake.accounts["new"] = csn(11), 5
    assert recheck.judge(directory.stream(recheck.query)).refusal is None
    assert fake.full_counts == 2
    recheck = counts.recheck(directory, QUERY, "count", judge)
    fake.accounts["newer"] = csn(12), 5
    assert recheck.judge(directory.stream(recheck.query)).refusal is not None


def test_what_another_server_did_arrives_late() -> None:
    """Its states are older than ours; its newest state in the vector has moved."""
    fake = Fake(csn(50, 1), vector=(csn(50, 1), csn(5, 2)))
    directory, counts = cast("Directory", fake), AccountCounts()
    counts.at_most(directory, QUERY)
    fake.accounts["late"] = csn(7, 2), 5
    fake.vector = (csn(50, 1), csn(7, 2))
    assert counts.at_most(directory, QUERY) == Occupancy(2, 15)
    assert fake.full_counts == 1


@pytest.mark.parametrize(
    ("states", "vector"),
    [
        ((csn(0), ""), ()),
        # Of two servers whose newest states cannot be read.
        ((csn(0, 1), csn(9, 2)), ()),
        ((), ()),
    ],
)
def test_all_are_counted_where_what_changed_is_not_known(
    states: tuple[str, ...], vector: tuple[str, ...]
) -> None:
    fake = Fake(*states, vector=vector)
    directory, counts = cast("Directory", fake), AccountCounts()
    for _ in range(2):
        assert counts.at_most(directory, QUERY).number == len(states)
    assert fake.full_counts == 2


def test_all_are_counted_after_a_server_was_away() -> None:
    """Its database may have been filled offline, with older states."""
    fake = Fake(csn(10))
    directory, counts = cast("Directory", fake), AccountCounts()
    counts.at_most(directory, QUERY)
    fake.accounts["restored"] = csn(1), 7
    assert counts.at_most(directory, QUERY).number == 1
    fake.breaks += 1
    assert counts.at_most(directory, QUERY) == Occupancy(2, 17)


def test_all_are_counted_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(csn(10))
    directory, counts = cast("Directory", fake), AccountCounts()
    counts.at_most(directory, QUERY)
    monkeypatch.setattr("iredldap.operations.known.account_counts._LONGEST", -1.0)
    counts.at_most(directory, QUERY)
    assert fake.full_counts == 2


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The count that was used last stays."""
    monkeypatch.setattr("iredldap.operations.known.account_counts._MOST", 3)
    fake = Fake(csn(0), csn(10))
    directory, counts = cast("Directory", fake), AccountCounts()
    other = Query("domainName=b.test,o=domains,dc=x", Scope.SUBTREE, QUERY.filter)
    for query in (QUERY, other, other, QUERY):
        counts.at_most(directory, query)
    assert fake.full_counts == 3


def test_a_count_that_broke_off_is_not_remembered() -> None:
    fake = Fake(csn(0), csn(1))
    directory, counts = cast("Directory", fake), AccountCounts()
    fake.breaks_after = 1
    with pytest.raises(ServerDown):
        counts.at_most(directory, QUERY)
    fake.breaks_after = None
    assert counts.at_most(directory, QUERY) == Occupancy(2, 20)
