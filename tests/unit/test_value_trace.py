"""The trace of a value, by which docs/walks.md tells which modules handle it."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

import grimp

from tools.value_trace import ValueTrace, heights


@dataclass(frozen=True)
class Parcel:
    content: tuple[str, ...]

    def first(self) -> str:
        return self.content[0]


def traced(call: Callable[[], object], *spellings: str) -> list[str]:
    """Follow a value through functions, each of which counts as a module."""
    trace = ValueTrace(frozenset(spellings))

    def note(frame: FrameType, event: str, returned: object) -> None:
        if frame.f_code.co_filename == __file__:
            trace.note(frame.f_code.co_name, frame, event, returned)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return trace.stays


def receive(value: object) -> None:
    del value


def make() -> Parcel:
    return Parcel(("789 MB",))


def pass_on() -> None:
    receive(make())
    receive(0)


def give() -> Iterator[int]:
    yield 788
    yield 789


def take_all() -> None:
    for number in give():
        receive(number)


def test_a_value_is_followed_into_what_holds_it() -> None:
    assert traced(pass_on, "789") == ["make", "receive"]
    assert traced(pass_on, "788") == []


def test_numbers_are_known_by_all_their_digits() -> None:
    assert traced(take_all, "789") == ["give", "receive"]
    assert traced(lambda: receive(7890), "789") == []


def test_to_ask_a_value_for_a_part_of_it_is_no_stay() -> None:
    """Unless it returns the value."""
    parcel = Parcel(("other", "789"))

    def ask() -> None:
        parcel.first()
        receive(parcel)

    assert traced(ask, "789") == ["receive"]
    assert traced(ask, "other") == ["first", "receive"]


def test_a_module_stands_above_those_that_it_imports() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in (("web", "operations"), ("operations", "dit"), ("web", "dit")):
        graph.add_import(importer=importer, imported=imported)

    assert heights(graph) == {"dit": 1, "operations": 2, "web": 3}

    trace = ValueTrace(frozenset(), ["web", "dit", "operations", "dit"])

    assert trace.climbs(graph) == 1
    assert trace.modules == {"web": 1, "dit": 2, "operations": 1}
