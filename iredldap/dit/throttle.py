"""Rows of a throttle: how much an account may send or receive within a period.

Of each limit the row of the highest priority that sets it decides; iRedAPD ignores one of -1, and 0
ends the search without a limit. A value of a domain or of everybody is a limit
for each account, and not one that they share.

Source: REST API reference, "Throttling"; iRedMail's SQL databases, `throttle`.
"""

from collections.abc import Mapping
from typing import Any

from iredldap.dit import kinds
from iredldap.dit.fields import Column, Field, Parsed, Table

KINDS = ("inbound", "outbound")
"""Limits on received messages, and on sent ones."""

_INHERITED = "-1"
_METRICS = ("msg_size", "max_msgs", "max_quota", "max_rcpts")

_SIZE = Field(
    name="msg_size",
    stored_as=Column("throttle", "msg_size"),
    kind=kinds.THROTTLE_BYTES,
    meaning="Size of a single message, in bytes; 0: unlimited, -1: the value of a wider throttle.",
    default=_INHERITED,
)

SET: Table = (
    Field(
        name="period",
        stored_as=Column("throttle", "period"),
        kind=kinds.SECONDS,
        meaning="Length in seconds of the period that messages are counted in; 0 removes the"
        " throttle.",
        required=True,
    ),
    _SIZE,
    Field(
        name="max_msgs",
        stored_as=Column("throttle", "max_msgs"),
        kind=kinds.THROTTLE_COUNT,
        meaning="Messages within the period, each counted once for every recipient; 0: unlimited,"
        " -1: the value of a wider throttle.",
        default=_INHERITED,
    ),
    _SIZE.but(
        name="max_quota",
        stored_as=Column("throttle", "max_quota"),
        meaning="Size of all messages within the period, in bytes; 0: unlimited, -1: the value"
        " of a wider throttle.",
    ),
)


def is_removal(parsed: Parsed) -> bool:
    """Return whether no throttle shall be left; iRedAPD ignores one without a period."""
    return parsed.value("period") == "0"


def values(parsed: Parsed) -> dict[str, int]:
    """Return every column that a throttle sets, whether it was sent or not."""
    # A POST sets the whole setting, as the reference has it: a limit that was not sent is not the
    # one from before.
    return {row.name: int(parsed.value(row.name) or _INHERITED) for row in SET}


def show(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `throttle` as an answer; `max_rcpts` where this release of iRedAPD has it."""
    numbers = ("priority", "period", *_METRICS)
    return {name: row[name] for name in ("account", "kind") if name in row} | {
        name: int(row[name]) for name in numbers if name in row
    }
