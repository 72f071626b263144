"""What a change has touched, as the change log stores it: a line of JSON for each, compressed."""

import json
import zlib
from collections.abc import Iterable, Iterator

from iredldap.dit.change_log import Touched, as_json, from_json

_SMALL = 400
"""Bytes of a text that is stored as it is: it is compressed for little."""

_PLAIN = b"{"
"""The first byte of such a text, which no compressed one begins with."""


def line(touched: Touched) -> str:
    """Return the line of one; its secrets must be sealed."""
    return json.dumps(as_json(touched), separators=(",", ":"))


def packed(lines: Iterable[str]) -> bytes:
    """Return lines as they are stored."""
    # JSON escapes line breaks, so a line is one thing touched whatever its values are.
    text = "\n".join(lines).encode()
    return text if len(text) <= _SMALL else zlib.compress(text, 3)


def unpacked(data: bytes) -> Iterator[Touched]:
    """Yield what was touched.

    Raises:
        ValueError: If a line is not as this version writes it.
    """
    text = data if data[:1] in {b"", _PLAIN} else zlib.decompress(data)
    for written in text.decode().splitlines():
        yield from_json(json.loads(written))
