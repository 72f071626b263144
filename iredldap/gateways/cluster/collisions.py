"""Accounts that a former writer has brought back, whose address belongs to another one since.

What a writer was sent in its last moment, and has passed on to nobody, comes when it is back.
Nobody has acknowledged it. If it is a new account, its address may have been given to another one
on the new writer: mail would go to both of them.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from iredldap.dit import csn
from iredldap.dit.entry import Entry
from iredldap.dit.filters import at_most, every
from iredldap.dit.holders import ACCOUNTS, holders_filter
from iredldap.dit.plan import Query, Scope
from iredldap.gateways.cluster import strays
from iredldap.gateways.cluster.comparison import Readable
from iredldap.gateways.cluster.register import Epoch

_MARGIN = timedelta(minutes=1)
"""By which clocks may differ. What a server has written beside the agreement later than so long
after the epoch began is the work of another program, which may have acknowledged it."""

_ADDRESSES = ("mail", "shadowAddress", "entryCSN")


def collisions(server: Readable, history: Sequence[Epoch]) -> Iterator[Entry]:
    """Yield accounts that only a former writer has written, with addresses of other accounts.

    None where the epoch was begun by force: what is missing then was acknowledged.

    Raises:
        ServerDown: If the server does not respond.
    """
    wanted = [one for one in strays.ranges(history) if one.last is None]
    if not wanted or history[-1].forced:
        return
    until = datetime.fromtimestamp(history[-1].began / 1000, UTC) + _MARGIN

    def is_late(entry: Entry) -> bool:
        state = entry.csn or ""
        return any(one.includes(state) for one in wanted) and csn.time(state) <= until

    # The greatest CSN of that moment.
    last = at_most("entryCSN", f"{until:%Y%m%d%H%M%S}.999999Z#ffffff#fff#ffffff")
    filter_ = every(ACCOUNTS, strays.narrowed(wanted), last)
    for entry in server.find(Query(server.tree.base, Scope.SUBTREE, filter_, _ADDRESSES)):
        if entry.csn and is_late(entry):
            mine = entry.lowered("mail") | entry.lowered("shadowAddress")
            term = holders_filter(*sorted(mine))
            others = server.find(Query(server.tree.base, Scope.SUBTREE, term, _ADDRESSES))
            if any(other.dn != entry.dn and not is_late(other) for other in others):
                yield entry
