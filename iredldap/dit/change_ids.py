"""Ids of changes, which sort by time: UUIDs of version 7 (RFC 9562).

The twelve bits behind the milliseconds are their fraction, so that those of one process sort, too.
"""

import os
import time
import uuid

_VERSION, _VARIANT = 7 << 76, 2 << 62
_RANDOM = (1 << 62) - 1


def new_id() -> str:
    """Return an id of this moment."""
    nanoseconds = time.time_ns()
    fraction = (nanoseconds % 1_000_000) * 4096 // 1_000_000
    random = int.from_bytes(os.urandom(8)) & _RANDOM
    return _text(nanoseconds // 1_000_000, fraction << 64 | random)


def first_id(milliseconds: int) -> str:
    """Return the smallest id of a time in milliseconds since 1970."""
    return _text(milliseconds, 0)


def compact(number: str) -> str:
    """Return an id without dashes."""
    return uuid.UUID(number).hex


def of_compact(text: str) -> str:
    """Return the id that `compact` has shortened.

    Raises:
        ValueError: If it is none.
    """
    return str(uuid.UUID(hex=text))


def is_id(text: str) -> bool:
    """Return whether a text is an id as `new_id` returns them."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _text(milliseconds: int, rest: int) -> str:
    most = (1 << 48) - 1
    return str(uuid.UUID(int=min(max(milliseconds, 0), most) << 80 | _VERSION | _VARIANT | rest))
