"""What a setting is made of: its meaning, the check of its value, and secrets."""

import math
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any


class Secret:
    """A text that does not print itself."""

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
"""Says what is wrong with a value, or None."""


def setting(meaning: str, check: Check = lambda _: None, **default: Any) -> Any:
    """Make the field of a setting: what it means, what is right, and its default if it has one."""
    return field(metadata={"meaning": meaning, "check": check}, **default)


def holds(condition: Callable[[Any], bool], otherwise: str) -> Check:
    """Make a check of a condition, and of the words for a value that does not fulfil it."""
    return lambda value: None if condition(value) else otherwise


def between(least: float, most: float = math.inf) -> Check:
    """Make a check of a number; infinity is none."""
    bounds = f"at least {least}" if most == math.inf else f"{least} to {most}"
    return holds(lambda value: least <= value <= most and value != math.inf, bounds)


POSITIVE = holds(lambda value: 0 < value < math.inf, "more than 0")
READABLE = holds(lambda path: not path or Path(path).is_file(), "no such file")
