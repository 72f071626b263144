"""Rows of the change log's listing, and the times that it takes."""

import re
from datetime import UTC, datetime, timedelta

from iredldap.dit import kinds, value_readers
from iredldap.dit.change_ids import is_id
from iredldap.dit.fields import Elsewhere, Field, Table
from iredldap.dit.kinds import Kind, Reading
from iredldap.errors import InvalidParameter

MOST = 1000
"""Changes of a page."""

_LOG = Elsewhere("the change log")
_AGO = re.compile(r"(\d{1,6})\s*([smhdw])")
_LONGEST = 40
"""Characters of a time; `fromisoformat` ignores any number of digits behind a second."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def milliseconds(text: str, now: datetime) -> int:
    """Convert a time to milliseconds since 1970.

    Args:
        text: A date, a date with a time (ISO 8601; UTC, where it names no offset), or how long ago:
            ``90s``, ``30m``, ``2h``, ``7d``, ``2w``.
        now: What that is counted from.

    Raises:
        InvalidParameter: If it is none of these.
    """
    word = text.strip()
    try:
        moment = _moment(word[: _LONGEST + 1], now)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as ex:
        raise InvalidParameter(f"{word[:40]!r} is neither a time nor how long ago") from ex


def _moment(word: str, now: datetime) -> datetime:
    """Read a time; ValueError, if it is none."""
    if ago := _AGO.fullmatch(word.lower()):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    if len(word) > _LONGEST:
        raise ValueError("too long")
    # In a query string "+" is a blank.
    return datetime.fromisoformat(re.sub(r" (\d\d:\d\d)$", r"+\1", word))


def _time(text: str) -> Reading:
    milliseconds(text, datetime.now(UTC))
    # Kept as text: `2h` is counted from the moment of each search, and a stream may be long.
    return Reading((text.strip(),))


def _page_size(text: str) -> Reading:
    return Reading((str(value_readers.whole_number(text, least=1, most=MOST)),))


def _cursor(text: str) -> Reading:
    word = text.strip().lower()
    if not is_id(word):
        raise InvalidParameter(f"{word[:40]!r} is no cursor")
    return Reading((word,))


def _word(text: str) -> Reading:
    return Reading((value_readers.text(text).lower(),))


_TIME = Kind("time", _time)
_TEXT = kinds.up_to(320, Kind("string", _word))


def _row(name: str, kind: Kind, meaning: str) -> Field:
    return Field(name=name, stored_as=_LOG, kind=kind, meaning=meaning, era="ours")


CHANGES: Table = (
    _row(
        "since",
        _TIME,
        "Only changes from this time on: a date, a date and time (ISO 8601; UTC, where it names no"
        " offset), or how long ago, such as `2h`, `7d` or `4w`.",
    ),
    _row("until", _TIME, "Only changes before this time, in the same forms."),
    _row("admin", _TEXT, "Only changes by this admin: an address, or `unix:NAME` for a command."),
    _row("token", _TEXT, "Only changes by the token of this id."),
    _row(
        "domain",
        _TEXT,
        "Only changes that name this domain, or have touched an entry in it.",
    ),
    _row(
        "account",
        _TEXT,
        "Only changes that name the account of this address, or have touched it. Of a change of"
        " many entries only this account's are listed.",
    ),
    _row(
        "attribute",
        _TEXT,
        "Only changes of this attribute, such as `mailForwardingAddress`; in any letter case.",
    ),
    _row("endpoint", _TEXT, "Only changes by the endpoint of this id, such as `user_update`."),
    _row(
        "job",
        _TEXT,
        "Only changes of the background job of this id: one for each run that wrote something.",
    ),
    _row(
        "limit",
        Kind("int_count", _page_size, {"type": "integer", "minimum": 1, "maximum": MOST}),
        "Most changes of the answer; by default 100, as a stream all. If there are more, the"
        " headers `X-Next-Cursor` and `Link` lead to them.",
    ),
    _row(
        "cursor",
        Kind("string", _cursor),
        "Id of the last change of the page before, as `X-Next-Cursor` has it.",
    ),
)
