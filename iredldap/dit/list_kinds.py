"""Kinds of parameters that only a subscribable list has: its addresses, headers and texts.

mlmmjadmin drops in silence what it does not take; these kinds drop it before, and name it.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace

from iredldap.dit import kinds, mail_names, value_readers
from iredldap.dit.kinds import Kind, Reading
from iredldap.errors import InvalidMail, InvalidParameter

EVERYBODY = "ALL"
"""The word that takes all members off a list."""

STANDARD_HEADERS = frozenset(
    {"precedence", "list-id", "reply-to", "list-post", "list-subscribe", "list-unsubscribe"}
)
"""Headers that mlmmjadmin itself adds to every post, and that no request can set."""

_NAME = re.compile(r"[!-9;-~]{1,76}")

_LONGEST_LINE = 998
"""Characters of a line of a message (RFC 5322, 2.1.1)."""


def header(text: str) -> str:
    """Read a header line, ``Name: value``.

    Raises:
        InvalidParameter: If it is none, or one of those that are always there.
    """
    name, colon, value = text.partition(":")
    if not colon or len(text) > _LONGEST_LINE or name.strip().lower() in STANDARD_HEADERS:
        raise InvalidParameter(f"{text[:80]!r} is no header that one may add")
    return f"{_header_name(name)}: {value_readers.text(value)}".rstrip()


def removed_header(text: str) -> str:
    """Read the name of a header, with or without the colon behind it; give it with."""
    return f"{_header_name(text.strip().removesuffix(':'))}:"


def _header_name(text: str) -> str:
    name = text.strip()
    if not _NAME.fullmatch(name):
        raise InvalidParameter(f"{text[:80]!r} is no name of a header")
    return name


def prefix(text: str) -> str:
    """Read what is put before a subject: blanks at its end are part of it."""
    return value_readers.text(text) + " " * (len(text) - len(text.rstrip(" ")))


def lines(text: str) -> str:
    """Read free text of several lines."""
    joined = text.replace("\r\n", "\n").strip()
    if any(unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t" for c in joined):
        raise InvalidParameter("control characters in a text")
    return joined


def _departing(text: str) -> str:
    return EVERYBODY if text == EVERYBODY else mail_names.subscriber(text)


def _size(text: str) -> str:
    return str(value_readers.whole_number(text, most=value_readers.MOST_BYTES))


def _one(read: Callable[[str], str]) -> Callable[[str], Reading]:
    return lambda text: Reading((read(text),))


ADDRESSES = replace(kinds.ADDRESSES, read=kinds.listed(mail_names.subscriber, InvalidMail))
DEPARTING = replace(
    kinds.ADDRESSES,
    read=kinds.listed(_departing, InvalidMail),
    domain=lambda text: "" if text == EVERYBODY else mail_names.domain_of(text),
)
HEADERS = Kind(
    "csv_headers",
    kinds.listed(header, InvalidParameter, separator="\n"),
    many=True,
    separator="\n",
)
HEADER_NAMES = replace(
    kinds.STRINGS, read=kinds.listed(removed_header, InvalidParameter, str.lower)
)
PREFIX = kinds.up_to(255, replace(kinds.TEXT, read=_one(prefix)))
DESCRIPTION = kinds.up_to(1024, replace(kinds.TEXT, read=_one(lines)))
"""As long as the schema has it."""
LINES = kinds.up_to(32768, replace(kinds.TEXT, read=_one(lines)))
SIZE = Kind("int_bytes", _one(_size), {"type": "integer", "minimum": 0})
