"""What a change has touched, as the change log stores it: a line of JSON for each, compressed."""

import json
import zlib
from collections.abc import Iterable, Iterator

from iredldap.dit.change_log import Touched, as_json, from_json

_SMALL = 400
"""Bytes of a text that is stored as it is: it is compressed for little."""

TRANSIENT = 4096
"""The same of a text that is kept only until the change has ended."""

_MIDDLING = 8192
"""Bytes of a text for which a compressor with little memory is enough."""

_ENCODER = json.JSONEncoder(separators=(",", ":"))

_PLAIN = b"{"
"""The first byte of such a text, which no compressed one begins with."""


def line(touched: Touched) -> str:
    """Return the line of one; its secrets must be sealed."""
    return _ENCODER.encode(as_json(touched))


def packed(lines: Iterable[str], small: int = _SMALL) -> bytes:
    """Return lines as they are stored; as they are, if they have no more than some bytes."""
    # JSON escapes line breaks, so a line is one thing touched whatever its values are.
    text = "\n".join(lines).encode()
    if len(text) <= small:
        return text
    if len(text) > _MIDDLING:
        return zlib.compress(text, 3)
    # The usual memory of 256 kB takes longer to be had than a single entry to be compressed: 55 us
    # in all, 12 us with 32 kB.
    compressor = zlib.compressobj(3, wbits=13, memLevel=5)
    return compressor.compress(text) + compressor.flush()


def unpacked(data: bytes) -> Iterator[Touched]:
    """Yield what was touched.

    Raises:
        ValueError: If a line is not as this version writes it.
    """
    text = data if data[:1] in {b"", _PLAIN} else zlib.decompress(data)
    for written in text.decode().splitlines():
        yield from_json(json.loads(written))
