"""Addresses that a former writer has given in its last moment, and that belong to others since.

What a writer was sent in its last moment, and has passed on to nobody, comes when it is back.
Nobody has acknowledged it. If it is a new account, or a further address of one, that address may
have been given to another account on the new writer: mail would go to both of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from iredldap.dit import csn
from iredldap.dit.entry import Entry, folded
from iredldap.dit.filters import at_most, every
from iredldap.dit.holders import ACCOUNTS, holders_filter
from iredldap.dit.plan import Query, Scope
from iredldap.gateways.cluster import strays
from iredldap.gateways.cluster.comparison import Readable
from iredldap.gateways.cluster.register import Epoch

_MARGIN = timedelta(minutes=1)
"""By which clocks may differ. What a server has written beside the agreement later than so long
after the epoch began is the work of another program, which may have acknowledged it."""

_ATTRIBUTES = ("mail", "shadowAddress", "entryCSN", "createTimestamp")


@dataclass(frozen=True, slots=True)
class Collision:
    """An account that only a former writer has written, with addresses of other accounts.

    Args:
        entry: The account.
        taken: Those of its further addresses that belong to others, as they are written in it.
        has_name: Whether its name belongs to another one, too.
        is_new: Whether it was created in that last moment, so that nobody relies on it.
    """

    entry: Entry
    taken: tuple[str, ...]
    has_name: bool
    is_new: bool


def collisions(server: Readable, history: Sequence[Epoch]) -> Iterator[Collision]:
    """Yield accounts that only a former writer has written, with addresses of other accounts.

    None where the server became the writer by force: what is missing then was acknowledged.

    Raises:
        ServerDown: If the server does not respond.
    """
    wanted = [one for one in strays.ranges(history) if one.last is None]
    # The last is the present one. A writer that only has a new address is the same server.
    reign = [*takewhile(lambda one: _is_same_server(one, history[-1]), reversed(history))]
    if not wanted or any(one.forced for one in reign):
        return
    until = datetime.fromtimestamp(reign[-1].began / 1000, UTC) + _MARGIN

    def is_late(entry: Entry) -> bool:
        state = entry.csn or ""
        return any(one.includes(state) for one in wanted) and csn.time(state) <= until

    # The greatest CSN of that moment.
    last = at_most("entryCSN", f"{until:%Y%m%d%H%M%S}.999999Z#ffffff#fff#ffffff")
    filter_ = every(ACCOUNTS, strays.narrowed(wanted), last)
    for entry in server.find(Query(server.tree.base, Scope.SUBTREE, filter_, _ATTRIBUTES)):
        if entry.csn and is_late(entry):
            mine = entry.lowered("mail") | entry.lowered("shadowAddress")
            term = holders_filter(*sorted(mine))
            others = server.find(Query(server.tree.base, Scope.SUBTREE, term, _ATTRIBUTES))
            held: set[str] = set()
            for other in others:
                if other.dn != entry.dn and not is_late(other):
                    held |= other.lowered("mail") | other.lowered("shadowAddress")
            if mine & held:
                yield Collision(
                    entry,
                    tuple(one for one in entry.texts("shadowAddress") if folded(one) in held),
                    bool(entry.lowered("mail") & held),
                    _is_new(entry, wanted),
                )


def _is_same_server(one: Epoch, other: Epoch) -> bool:
    if one.server_id is None or other.server_id is None:
        return one.uri == other.uri
    return one.server_id == other.server_id


def _is_new(entry: Entry, wanted: Sequence[strays.StrayRange]) -> bool:
    """Return whether an entry was created later than the last state that others have.

    Times of creation are whole seconds, while many changes may be made in one. An entry of the
    second of that state is new if it has its first state still.
    """
    created = entry.text("createTimestamp") or ""
    state = entry.csn or ""
    (after,) = (one.after for one in wanted if one.includes(state))
    return created == _second(state) or (bool(after) and created > _second(after))


def _second(state: str) -> str:
    """Return the time of a CSN in the form of createTimestamp."""
    return f"{csn.time(state):%Y%m%d%H%M%S}Z"
