"""Searches in parts, of a directory that gives so many entries and no more."""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.directory_errors import ExceededLdapServerSizelimit
from iredldap.dit import parts
from iredldap.dit.depth import Scope
from iredldap.dit.parts import FoundEntry, SubSearch
from iredldap.errors import NoSuchAccount

BOUND = re.compile(r"\(entryUUID([<>])=([0-9a-f-]+)\)")
EVERYTHING = "(objectClass=*)"


@dataclass
class Limited:
    """A directory: UUID, or None, by DN, in the order in which searches find the entries."""

    entries: dict[str, str | None]
    limit: int
    searches: int = 0
    heeds_bounds: bool = True
    gone: set[str] = field(default_factory=set)

    def search(self, part: SubSearch) -> Generator[FoundEntry[str], None, None]:
        self.searches += 1
        if part.base in self.gone or part.base not in self.entries:
            raise NoSuchAccount(part.base)
        for number, dn in enumerate(self._found(part)):
            if number == self.limit:
                raise ExceededLdapServerSizelimit("cut off")
            yield FoundEntry(dn, hash(dn), self.entries[dn], dn)

    def _found(self, part: SubSearch) -> Iterator[str]:
        for dn, uuid in self.entries.items():
            above = dn.partition(",")[2]
            is_child = above == part.base
            within = {
                Scope.BASE: dn == part.base,
                Scope.ONE: is_child,
                Scope.SUBTREE: dn == part.base or dn.endswith(f",{part.base}"),
            }[part.scope]
            if within and self._matches(dn, uuid, part.filter):
                yield dn

    def _matches(self, dn: str, uuid: str | None, filter_: str) -> bool:
        if "hasSubordinates" in filter_ and not self._is_parent(dn):
            return False
        if "(!(entryUUID=*))" in filter_:
            return uuid is None
        bounds = BOUND.findall(filter_) if self.heeds_bounds else []
        return all(
            uuid is not None and (uuid >= value if sign == ">" else uuid <= value)
            for sign, value in bounds
        )

    def _is_parent(self, dn: str) -> bool:
        return any(other.endswith(f",{dn}") for other in self.entries)

    def read(self, base: str, scope: Scope) -> list[str]:
        part, seen, read = SubSearch(base, scope, EVERYTHING), parts.hashes(), []
        try:
            for found in self.search(part):
                seen.append(found.mark)
                read.append(found.item)
        except ExceededLdapServerSizelimit:
            read += parts.rest(part, seen, self.search)
        return read


def uuid(number: int) -> str:
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@st.composite
def trees(draw: st.DrawFn) -> dict[str, str | None]:
    """Trees of up to four floors; UUIDs in any order, also those at the very ends."""
    parents, made = ["o=x"], ["o=x"]
    for number in range(draw(st.integers(0, 40))):
        dn = f"n={number},{draw(st.sampled_from(parents))}"
        made.append(dn)
        if dn.count(",") < 4 and draw(st.booleans()):
            parents.append(dn)
    numbers = draw(
        st.lists(
            st.one_of(st.integers(0, 2**128 - 1), st.integers(0, 50), st.just(2**128 - 1)),
            min_size=len(made),
            max_size=len(made),
            unique=True,
        )
    )
    if draw(st.booleans()):
        numbers.sort()
    return dict(zip(made, map(uuid, numbers), strict=True))


@given(trees(), st.integers(1, 50), st.sampled_from([Scope.ONE, Scope.SUBTREE]))
def test_everything_is_found_exactly_once(
    tree: dict[str, str | None], limit: int, scope: Scope
) -> None:
    """Whatever the limit, and however entries and their UUIDs lie."""
    found = Limited(tree, limit).read("o=x", scope)
    assert sorted(found) == sorted(Limited(tree, 1000).read("o=x", scope))


@pytest.mark.parametrize("is_in_order", [True, False])
def test_the_number_of_searches_grows_with_the_number_of_entries(*, is_in_order: bool) -> None:
    """In the order of their UUIDs, as a load makes them, or in any other: no more than so many."""
    numbers = [(n if is_in_order else n * 7919 % 10_007) << 90 for n in range(2000)]
    tree: dict[str, str | None] = {"o=x": uuid(1)}
    tree |= {f"n={n},o=x": uuid(number + 2) for n, number in enumerate(numbers)}
    directory = Limited(tree, 100)
    assert len(directory.read("o=x", Scope.ONE)) == 2000
    assert directory.searches <= (2 * 20 if is_in_order else 4 * 20) + 4


def test_a_search_below_the_limit_is_one_search() -> None:
    """Nothing is asked twice where nothing was cut off."""
    directory = Limited({"o=x": uuid(1), "n=1,o=x": uuid(2)}, 2)
    assert directory.read("o=x", Scope.SUBTREE) == ["o=x", "n=1,o=x"]
    assert directory.searches == 1


def test_few_entries_without_a_uuid_are_found_too() -> None:
    """No range holds them; a search of their own does."""
    tree = {"o=x": uuid(1), **{f"n={n},o=x": uuid(n + 5) if n % 4 else None for n in range(40)}}
    assert sorted(Limited(tree, 10).read("o=x", Scope.ONE)) == sorted(set(tree) - {"o=x"})


def test_what_cannot_be_found_in_parts_is_refused() -> None:
    """Too many entries without a UUID, or a directory that gives none at all."""
    tree: dict[str, str | None] = {"o=x": None, **{f"n={n},o=x": None for n in range(11)}}
    with pytest.raises(ExceededLdapServerSizelimit):
        Limited(tree, 10).read("o=x", Scope.SUBTREE)
    for scope in Scope:
        with pytest.raises(ExceededLdapServerSizelimit):
            Limited(tree, 0).read("o=x", scope)


def test_a_server_that_heeds_no_bounds_is_refused() -> None:
    """It comes to an end."""
    tree = {"o=x": uuid(1), **{f"n={n},o=x": uuid(n + 5) for n in range(40)}}
    with pytest.raises(ExceededLdapServerSizelimit):
        Limited({**tree}, 10, heeds_bounds=False).read("o=x", Scope.ONE)


def test_what_goes_meanwhile_is_left_out_but_not_the_base() -> None:
    """A container that is gone holds nothing; a base that is gone makes no short answer."""
    tree: dict[str, str | None] = {"o=x": uuid(1)}
    for n in range(3):
        tree |= {f"n={n},o=x": uuid(10 * n + 2), f"m=1,n={n},o=x": uuid(10 * n + 3)}
    directory = Limited(tree, 2, gone={"n=1,o=x"})
    found = directory.read("o=x", Scope.SUBTREE)
    assert set(tree) - set(found) == {"m=1,n=1,o=x"}

    reading = parts.rest(SubSearch("o=x", Scope.ONE, EVERYTHING), [], directory.search)
    next(reading)
    directory.gone.add("o=x")
    with pytest.raises(NoSuchAccount):
        list(reading)
