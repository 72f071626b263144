"""Strays: entries whose state was left by a server that was not the writer at that time.

Each epoch has recorded what its writer had at its beginning. A state of another server id that is
newer than that, and not newer than what the next epoch began with, was written beside the
agreement: by a hung server that went on, or by a program that uses another server. Only CSNs of one
server id are compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from iredldap.dit import csn, filters
from iredldap.gateways.cluster.register import Epoch


@dataclass(frozen=True, slots=True)
class StrayRange:
    """CSNs of one server id that it should not have given.

    `after` is the last one before, empty: none; `last` is the last one of them, None: it has no
    end.
    """

    server_id: int
    after: str
    last: str | None

    def includes(self, state: str) -> bool:
        """Return whether a state lies in the range."""
        return (
            csn.server_id(state) == self.server_id
            and state > self.after
            and (self.last is None or state <= self.last)
        )


def ranges(history: Sequence[Epoch]) -> list[StrayRange]:
    """Return the CSNs that are strays, of the server ids that were a writer at some time.

    An epoch whose writer's server id is not known, by another epoch either, has none.
    """
    known = {epoch.uri: epoch.server_id for epoch in history if epoch.server_id is not None}
    named = [replace(epoch, server_id=known.get(epoch.uri)) for epoch in history]
    found = []
    for number, epoch in enumerate(named):
        if epoch.server_id is None:
            continue
        for other in sorted(set(known.values()) - {epoch.server_id}):
            after = epoch.vector.of_server(other) or ""
            last = None
            if number + 1 < len(named):
                last = named[number + 1].vector.of_server(other) or after
            if last is None or last > after:
                found.append(StrayRange(other, after, last))
    return found


def narrowed(wanted: Iterable[StrayRange]) -> str:
    """Return a filter that finds all strays, and others: a filter cannot tell server ids apart."""
    lowest = min((one.after for one in wanted), default="")
    return filters.at_least("entryCSN", lowest) if lowest else "(entryCSN=*)"
