"""Encode search filters: from text to BER.

Source: RFC 4515 (text), RFC 4511, section 4.5.1.7 (BER).
"""

import re
from typing import NoReturn

from iredldap.errors import InternalError
from ldif_export.protocol.ber import OCTETS, SEQUENCE, encoded

# Filters come from our own code; the limit keeps a faulty one from exhausting the stack.
_MOST_NESTING = 64

_SETS = {"&": 0xA0, "|": 0xA1}
_NOT = 0xA2
_EQUAL = 0xA3
_SUBSTRINGS = 0xA4
_PRESENT = 0x87
_COMPARISONS = {"=": _EQUAL, ">=": 0xA5, "<=": 0xA6, "~=": 0xA8}
_FIRST, _MIDDLE, _LAST = 0x80, 0x81, 0x82

_ITEM = re.compile(r"([A-Za-z0-9.;-]+)([><~]?=)([^()\0]*)")
_ESCAPE = re.compile(rb"\\([0-9A-Fa-f]{2})?")


class UnsupportedFilter(InternalError):
    """A filter is malformed, or an extensible match, which is not supported."""


def encode(text: str) -> bytes:
    """Encode a filter as BER.

    Raises:
        UnsupportedFilter: If it is malformed or not supported.
    """
    term, end = _term(text, 0, _MOST_NESTING)
    if end != len(text):
        _refuse(text, end)
    return term


def _term(text: str, at: int, depth: int) -> tuple[bytes, int]:
    # Bounded, as each level is a call: a filter of thousands of levels would end in a
    # RecursionError.
    if text[at : at + 1] != "(" or not depth:
        _refuse(text, at)
    kind = text[at + 1 : at + 2]
    if kind in _SETS:
        terms, end = _terms(text, at + 2, depth - 1)
        found = encoded(_SETS[kind], *terms)
    elif kind == "!":
        term, end = _term(text, at + 2, depth - 1)
        found = encoded(_NOT, term)
    else:
        found, end = _item(text, at + 1)
    if text[end : end + 1] != ")":
        _refuse(text, end)
    return found, end + 1


def _terms(text: str, at: int, depth: int) -> tuple[list[bytes], int]:
    terms = []
    while text[at : at + 1] == "(":
        term, at = _term(text, at, depth)
        terms.append(term)
    return terms, at


def _item(text: str, at: int) -> tuple[bytes, int]:
    found = _ITEM.match(text, at)
    if not found:
        _refuse(text, at)
    name, comparison, written = found.groups()
    attribute = encoded(OCTETS, name.encode())
    if comparison != "=" or "*" not in written:
        value = encoded(OCTETS, _unescaped(written.encode()))
        return encoded(_COMPARISONS[comparison], attribute, value), found.end()
    if written == "*":
        return encoded(_PRESENT, name.encode()), found.end()
    return encoded(_SUBSTRINGS, attribute, _substrings(written)), found.end()


def _substrings(written: str) -> bytes:
    # Split before it is unescaped: `\2a` is an asterisk of the value.
    first, *middle, last = (_unescaped(part.encode()) for part in written.split("*"))
    tagged = [(_FIRST, first), *((_MIDDLE, part) for part in middle), (_LAST, last)]
    return encoded(SEQUENCE, *(encoded(tag, part) for tag, part in tagged if part))


def _unescaped(value: bytes) -> bytes:
    def byte(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            raise UnsupportedFilter(f"{value!r} has an incomplete escape")
        return bytes.fromhex(found[1].decode())

    return _ESCAPE.sub(byte, value)


def _refuse(text: str, at: int) -> NoReturn:
    raise UnsupportedFilter(f"{text!r} is not a valid filter at character {at}")
