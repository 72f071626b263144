"""Definition of a setting: its meaning, the check of its value, and secrets."""

import math
from collections.abc import Callable
from dataclasses import field
from typing import Any


class Secret:
    """A text that `repr` and logs do not show."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


Check = Callable[[Any], str | None]
"""Returns what is wrong with a value, or None."""


def setting(meaning: str, check: Check = lambda _: None, **default: Any) -> Any:
    """Define a setting: its meaning, the check of its value, and its default if it has one."""
    return field(metadata={"meaning": meaning, "check": check}, **default)


def holds(condition: Callable[[Any], bool], otherwise: str) -> Check:
    """Build a check from a condition, and the message for a value that does not meet it."""
    return lambda value: None if condition(value) else otherwise


def between(least: float, most: float = math.inf) -> Check:
    """Build a check of the bounds of a number; infinity is refused."""
    bounds = f"at least {least}" if most == math.inf else f"{least} to {most}"
    return holds(lambda value: least <= value <= most and value != math.inf, bounds)


POSITIVE = holds(lambda value: 0 < value < math.inf, "more than 0")
