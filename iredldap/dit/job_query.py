"""Rows of the listing of background jobs."""

from iredldap.dit import kinds, value_readers
from iredldap.dit.fields import Elsewhere, Field, Table
from iredldap.dit.kinds import Kind, Reading

MOST = 1000
"""Jobs of a page."""

STATUSES = ("queued", "running", "done", "failed")

_STATE = Elsewhere("the state database")


def _page_size(text: str) -> Reading:
    return Reading((str(value_readers.whole_number(text, least=1, most=MOST)),))


def _row(name: str, kind: Kind, meaning: str) -> Field:
    return Field(name=name, stored_as=_STATE, kind=kind, meaning=meaning, era="ours")


JOBS: Table = (
    _row("status", kinds.choice(*STATUSES), "Only jobs in this state."),
    _row(
        "limit",
        Kind("int_count", _page_size, {"type": "integer", "minimum": 1, "maximum": MOST}),
        "Most jobs of the answer, by default 100. If there are more, the headers `X-Next-Cursor`"
        " and `Link` lead to them.",
    ),
    _row(
        "cursor",
        kinds.up_to(64, kinds.TEXT),
        "Id of the last job of the page before; the page begins behind it.",
    ),
)
