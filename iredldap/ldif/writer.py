"""Write entries as LDIF text, in bytes.

Lines end with a line feed and are folded at 76 columns. A value is base64 only where it has to
be, and always if it is a password. The same entry always gives the same bytes.

Source: RFC 2849.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence

VERSION = b"version: 1\n"

COLUMNS = 76
"""Longest line, without its line feed."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.;_-]*")
# SAFE-STRING, which may begin and end with blanks and control characters that some readers trim:
# such a value is base64, which keeps them.
_SAFE = re.compile(rb"(?:[!-9;=-~][\x01-\x09\x0b\x0c\x0e-\x7f]*(?<![\x01-\x20\x7f]))?")
is_safe = _SAFE.fullmatch
"""Returns a match if a value needs no base64."""

_LINE_END = re.compile(r"\r\n|\r|\n")

_MOST_MISSES = 1500
_MOST_NAMES = 64
_LARGEST_BLOCK = 2048
_MOST_BYTES = 256 * 1024
"""Of the cached lines of one attribute."""


def comment(text: str) -> bytes:
    """Write a comment: each line of the text after a ``#``, long ones on several lines.

    Characters that do not print are escaped, so no text, whatever its origin, can end the comment.
    """
    return b"".join(_comment_line(line) for line in _LINE_END.split(text))


def attribute(name: str, value: bytes) -> bytes:
    """Write one value.

    Raises:
        ValueError: If the name is not a valid attribute description.
    """
    return AttributeWriter(name).lines((value,))


def dn_line(dn: str) -> bytes:
    """Write the line that begins a record."""
    return _lines(b"dn:", (dn.encode(),), secret=False)


def record(dn: str, attributes: Mapping[str, Sequence[bytes]]) -> bytes:
    """Write one entry as a content record, in the order given, with the empty line after it.

    Raises:
        ValueError: As `attribute`.
    """
    return Formatter().record(dn, attributes)


def is_password(name: str) -> bool:
    """Return whether an attribute, with options or not, holds password hashes."""
    return base_name(name) == "userpassword"


def base_name(name: str) -> str:
    """Return the name of an attribute in lower case, without its options."""
    return name.partition(";")[0].lower()


class AttributeWriter:
    """Write the values of one attribute.

    Args:
        name: With its options.

    Raises:
        ValueError: If the name is not a valid attribute description.
    """

    __slots__ = ("prefix", "secret")

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not an attribute description")
        self.prefix = name.encode() + b":"
        self.secret = is_password(name)

    def lines(self, values: Iterable[bytes]) -> bytes:
        """Write values, a line or a folded line each."""
        return _lines(self.prefix, values, secret=self.secret)


class Formatter:
    """Write the records of one export, caching what repeats.

    Most accounts share their services, classes and states: the finished lines of an attribute are
    cached by its values. An attribute that proves to vary is no longer looked up. It serves one
    export in one thread.
    """

    def __init__(self) -> None:
        self._caches: dict[str, _LineCache] = {}

    def record(self, dn: str, attributes: Mapping[str, Sequence[bytes]]) -> bytes:
        """Write one entry as a content record, in the order given, with the empty line after it.

        Raises:
            ValueError: As `attribute`.
        """
        caches = self._caches
        parts = [dn_line(dn)]
        for name, values in attributes.items():
            cache = caches.get(name) or self._cache(name)
            parts.append(cache.lines(values))
        parts.append(b"\n")
        return b"".join(parts)

    def _cache(self, name: str) -> "_LineCache":
        cache = _LineCache(name)
        if len(self._caches) < _MOST_NAMES:
            self._caches[name] = cache
        return cache


class _LineCache:
    """Finished lines of one attribute, by its values. Passwords are not cached."""

    __slots__ = ("_attribute", "_blocks", "_hits", "_is_caching", "_misses", "_room")

    def __init__(self, name: str) -> None:
        self._attribute = AttributeWriter(name)
        self._is_caching = not self._attribute.secret
        self._blocks: dict[tuple[bytes, ...], bytes] = {}
        self._room = _MOST_BYTES
        self._hits = 0
        self._misses = 0

    def lines(self, values: Sequence[bytes]) -> bytes:
        if not self._is_caching:
            return self._attribute.lines(values)
        key = tuple(values)
        block = self._blocks.get(key)
        if block is None:
            block = self._attribute.lines(key)
            self._missed(key, block)
        else:
            self._hits += 1
        return block

    def _missed(self, key: tuple[bytes, ...], block: bytes) -> None:
        self._misses += 1
        if self._misses <= _MOST_MISSES:
            # Photos and certificates do not repeat and would fill the cache.
            if len(block) <= min(_LARGEST_BLOCK, self._room):
                self._room -= len(block)
                self._blocks[key] = block
        # An attribute that misses more often than it hits is not worth a lookup.
        elif self._hits < self._misses:
            self._is_caching = False
            self._blocks.clear()


def _lines(prefix: bytes, values: Iterable[bytes], *, secret: bool) -> bytes:
    plain = prefix + b" "
    room = COLUMNS - len(plain)
    lines = []
    for value in values:
        if secret or not is_safe(value):
            lines.append(_folded(prefix + b": " + b64encode(value)))
        elif not value:
            lines.append(prefix + b"\n")
        elif len(value) <= room:
            lines.append(plain + value + b"\n")
        else:
            lines.append(_folded(plain + value))
    return b"".join(lines)


def _folded(line: bytes) -> bytes:
    if len(line) <= COLUMNS:
        return line + b"\n"
    # Further lines begin with a blank, which counts.
    rest = range(COLUMNS, len(line), COLUMNS - 1)
    pieces = [line[:COLUMNS], *(line[start : start + COLUMNS - 1] for start in rest)]
    return b"\n ".join(pieces) + b"\n"


def _comment_line(line: str) -> bytes:
    printable = "".join(c if c.isprintable() else _escaped(c) for c in line)
    rest = printable.encode()
    pieces = []
    while len(rest) > COLUMNS - 2:
        cut = COLUMNS - 2
        # A line must not end between the bytes of one character.
        while rest[cut] & 0xC0 == 0x80:
            cut -= 1
        pieces.append(rest[:cut])
        rest = rest[cut:]
    return b"".join(b"# " + piece + b"\n" if piece else b"#\n" for piece in (*pieces, rest))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
