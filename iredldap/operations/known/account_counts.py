"""Count the accounts that a limit of a domain is about, at the same cost for any number of them.

Each process remembers the accounts of a query with their sizes, and reads those that have changed
since, by `entryCSN`. Accounts that went are not noticed. So what is remembered is never less than
what is there, and a limit that it leaves room in has room. Where it does not, all are counted anew:
nobody is refused for an account that is gone.

Source: `docs/decisions/0062-counted-by-what-changed.md`.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from iredldap.dit import csn, user
from iredldap.dit.csn import CsnVector
from iredldap.dit.entry import Entry
from iredldap.dit.filters import at_least, every
from iredldap.dit.plan import Correction, Query, Recheck
from iredldap.gateways.directory import Directory

_SETTLING = timedelta(seconds=2)
"""How long a server may take to store what it gave an entryCSN."""

_LONGEST = 3600.0
"""Seconds after which all are counted anew: files may have been put in place of the database's."""

_MOST = 200_000
"""Accounts that a process remembers in all, some 300 bytes each; the oldest counts are dropped."""


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How many accounts there are, and the bytes of mailbox that they may fill together."""

    number: int = 0
    size: int = 0

    def __add__(self, other: "Occupancy") -> "Occupancy":
        return Occupancy(self.number + other.number, self.size + other.size)


@dataclass
class _Count:
    """The accounts of one query: state and size by entryUUID."""

    query: Query
    vector: CsnVector
    breaks: int
    counted_at: float
    known: dict[str, tuple[str, int]] = field(default_factory=dict)
    latest: str = ""
    size: int = 0
    servers: set[int] = field(default_factory=set)

    def add(self, entries: Iterable[Entry]) -> bool:
        """Add accounts as they are now; return whether all of them have a state."""
        for entry in entries:
            state = entry.csn
            if state is None or not csn.is_csn(state):
                return False
            number, size = entry.text("entryUUID") or entry.dn.lower(), user.quota(entry)
            before = self.known.get(number)
            # Searches of several threads may overtake one another.
            if before is None or before[0] < state:
                self.known[number] = state, size
                self.size += size - (before[1] if before else 0)
            self.latest = max(self.latest, state)
            self.servers.add(csn.server_id(state))
        return True

    @property
    def occupancy(self) -> Occupancy:
        return Occupancy(len(self.known), self.size)


class AccountCounts:
    """Counts of accounts, as one process knows them. Queries are compared by base and filter."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    def at_most(self, directory: Directory, query: Query) -> Occupancy:
        """Return at least what is there: accounts that went since the last count may be in it.

        Raises:
            ServerDown: If the directory does not answer.
        """
        key = _key(query)
        count = self._counts.get(key)
        if count is None or time.monotonic() - count.counted_at > _LONGEST:
            return self.exactly(directory, query)
        # Before the search: what comes in between is then read again, not missed.
        vector = _vector(directory)
        since = _since(count, vector)
        changed = [*directory.stream(_changed(query, since))] if since else []
        # A server may have been stopped, and its database changed meanwhile.
        if not since or directory.breaks != count.breaks:
            return self.exactly(directory, query)
        return self._added(key, changed, vector) or self.exactly(directory, query)

    def exactly(self, directory: Directory, query: Query) -> Occupancy:
        """Count all of them, and remember them.

        Raises:
            ServerDown: If the directory does not answer.
        """
        breaks, began = directory.breaks, time.monotonic()
        count = _Count(query, _vector(directory), breaks, began)
        entries = [*directory.stream(_with_states(query))]
        key = _key(query)
        if not count.add(entries):
            # Without states, what has changed cannot be found.
            with self._lock:
                self._counts.pop(key, None)
            return Occupancy(len(entries), sum(map(user.quota, entries)))
        with self._lock:
            self._counts.pop(key, None)
            self._counts[key] = count
            total = sum(len(one.known) for one in self._counts.values())
            while total > _MOST and len(self._counts) > 1:
                _, dropped = self._counts.popitem(last=False)
                total -= len(dropped.known)
        return count.occupancy

    def recheck(
        self,
        directory: Directory,
        query: Query,
        meaning: str,
        judge: Callable[[Occupancy], Correction],
    ) -> Recheck:
        """Return the recheck of a limit: it reads what has changed since the plan was made.

        Args:
            directory: Where.
            query: The accounts.
            meaning: Of the step.
            judge: Returns the correction for what is there; a refusal is judged by an exact count.
        """
        key = _key(query)
        count = self._counts.get(key)
        since = _since(count, count.vector) if count else ""
        breaks = directory.breaks

        def judge_changed(entries: Iterable[Entry]) -> Correction:
            changed = [*entries]
            if since and directory.breaks == breaks:
                occupancy = self._added(key, changed)
                if occupancy and not (correction := judge(occupancy)).refusal:
                    return correction
            return judge(self.exactly(directory, query))

        return Recheck(meaning, _changed(query, since), judge_changed, is_shared=True)

    def _added(
        self, key: tuple[str, str], changed: Sequence[Entry], vector: CsnVector | None = None
    ) -> Occupancy | None:
        """Add what has changed; None: that says nothing, and all must be counted."""
        with self._lock:
            count = self._counts.get(key)
            if count is None or not count.add(changed):
                return None
            if vector is not None:
                count.vector = vector
            self._counts.move_to_end(key)
            return count.occupancy


def _since(count: _Count, vector: CsnVector) -> str:
    """Return the state from which on entries may be new; empty: that is not known.

    Changes of one server come in the order of their states. Those of another one may arrive late;
    then its newest state in the vector has moved.
    """
    if not count.latest or (len(count.servers) > 1 and not count.servers <= {*vector.server_ids()}):
        return ""
    states = [csn.earlier(count.latest, _SETTLING)]
    for sid in {*vector.server_ids(), *count.vector.server_ids()}:
        before, now = count.vector.of_server(sid), vector.of_server(sid)
        if before is None or now is None:
            return ""
        if before != now:
            states.append(min(before, now))
    return min(states)


def _vector(directory: Directory) -> CsnVector:
    root = directory.read(directory.tree.suffix, ("contextCSN",))
    return CsnVector.of(filter(csn.is_csn, root.texts("contextCSN") if root else ()))


def _changed(query: Query, since: str) -> Query:
    # The state first: slapd then reads no index of all accounts.
    filter_ = every(at_least("entryCSN", since), query.filter) if since else query.filter
    return _with_states(Query(query.base, query.scope, filter_))


def _with_states(query: Query) -> Query:
    return Query(query.base, query.scope, query.filter, ("mailQuota", "entryCSN", "entryUUID"))


def _key(query: Query) -> tuple[str, str]:
    return query.base.lower(), query.filter
