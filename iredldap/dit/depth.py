"""How deep a search goes; by itself, as an export needs it and nothing else of a plan."""

from enum import IntEnum


class Scope(IntEnum):
    """How deep a search goes; the numbers are those of RFC 4511."""

    BASE = 0
    ONE = 1
    SUBTREE = 2
