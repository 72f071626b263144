"""Follow one value through the modules of a call.

A module handles the value where one of its functions is handed it, alone or within another value
(a tuple, a mapping, a frozen dataclass), or returns it without having been handed it. Objects that
are no values, such as a gateway or a request of the web framework, are not searched; nor is the
object whose method is called: to ask a value for a part of itself is no step of a walk.
"""

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any

import grimp

DEEPEST = 7
"""Levels of values within values that are searched; a plan of modifications has five."""


@dataclass
class ValueTrace:
    """The modules that handle a value, each time that it gets from one to another.

    Args:
        spellings: The value in all its forms: what is sent, and what is stored.

    Attributes:
        stays: Modules in order; never the same twice in a row.
    """

    spellings: frozenset[str]
    stays: list[str] = field(default_factory=list)
    _handed: dict[int, tuple[FrameType, bool]] = field(default_factory=dict)

    def note(self, module: str, frame: FrameType, event: str, returned: object) -> None:
        """Take a call or a return of one of our functions, from `sys.setprofile`."""
        known = self._handed.get(id(frame))
        # Frames are kept, so that no other one gets the same id.
        is_known = known is not None and known[0] is frame
        if event == "call" and not is_known:
            handed = any(map(self._is_in, _arguments(frame)))
            self._handed[id(frame)] = (frame, handed)
            if handed:
                self._stay(module)
        elif event == "return" and not (known and is_known and known[1]) and self._is_in(returned):
            self._handed[id(frame)] = (frame, True)
            self._stay(module)

    @property
    def modules(self) -> dict[str, int]:
        """The modules in the order in which they first handle it, with the number of stays."""
        return {module: self.stays.count(module) for module in dict.fromkeys(self.stays)}

    def climbs(self, graph: grimp.ImportGraph) -> int:
        """Count how often the value gets from a module to one that stands higher."""
        height = heights(graph)
        return sum(height[after] > height[before] for before, after in pairwise(self.stays))

    def _stay(self, module: str) -> None:
        if self.stays[-1:] != [module]:
            self.stays.append(module)

    def _is_in(self, value: object, depth: int = DEEPEST) -> bool:
        match value:
            case str():
                return any(spelling in value for spelling in self.spellings)
            case bytes() | bytearray() | memoryview():
                return any(spelling.encode() in bytes(value) for spelling in self.spellings)
            case int():
                return str(value) in self.spellings
            case _:
                return depth > 0 and any(self._is_in(part, depth - 1) for part in _parts(value))


def heights(graph: grimp.ImportGraph) -> dict[str, int]:
    """Return how high each module stands: one above the highest that it imports."""

    @cache
    def height(module: str) -> int:
        imported = graph.find_modules_directly_imported_by(module)
        return 1 + max(map(height, imported), default=0)

    return {module: height(module) for module in graph.modules}


def _arguments(frame: FrameType) -> list[object]:
    return [frame.f_locals.get(name) for name in _parameters(frame.f_code)]


@cache
def _parameters(code: CodeType) -> tuple[str, ...]:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return tuple(name for name in code.co_varnames[:count] if name not in ("self", "cls"))


def _parts(value: Any) -> Iterable[object]:
    """Return what a value holds; nothing for objects that are no values."""
    if isinstance(value, Mapping):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if dataclasses.is_dataclass(value) and _is_frozen(type(value)):
        return [getattr(value, each.name, None) for each in dataclasses.fields(value)]
    return ()


def _is_frozen(class_: type) -> bool:
    return bool(getattr(class_, "__dataclass_params__").frozen)  # noqa: B009 - not in its stub
