"""Compare what several directory servers have: entries that one lacks, or has in another state.

Replicas whose `contextCSN` is equal may still differ: after a partition in which both were written
to, and after a server that hung has carried out what it was sent long ago.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Protocol

from iredldap.dit import filters, names
from iredldap.dit.csn import CsnVector, is_csn
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree
from iredldap.dit.plan import Query, Scope
from iredldap.errors import InternalError

_STATES = ("entryUUID", "entryCSN")
_ANY = "(objectClass=*)"
_BATCH = 100
"""Entries that are read again by one search."""

_PAUSE = 1.0
_MOST_IDLE_ROUNDS = 3
"""Pauses in which no server that is behind comes further, after which none is waited for."""

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16000;
CREATE TABLE state (uuid BLOB, digest INTEGER);
BEGIN;
"""
# Of each entry one row from each server. An entry that moves while a server is read may give two.
_SUSPECTS = """
SELECT uuid FROM state GROUP BY uuid
HAVING count(*) <> ? OR min(digest) <> max(digest)
"""


class Readable(Protocol):
    """One server, as far as it is compared."""

    @property
    def tree(self) -> Tree: ...

    def read(self, dn: str, attributes: tuple[str, ...]) -> Entry | None: ...

    def find(self, query: Query) -> list[Entry]: ...

    def stream(self, query: Query, *, must_exist: bool) -> Iterator[Entry]: ...


@dataclass(frozen=True)
class DifferingEntry:
    """An entry that is not the same on all servers.

    Args:
        uuid: Its entryUUID.
        on: What each server has, by its name; None: it does not have the entry.
        contents: Whether attributes were read and compared.
    """

    uuid: str
    on: Mapping[str, Entry | None]
    contents: bool = False

    @property
    def dn(self) -> str:
        """Its DN, on the first server that has it."""
        return next(entry.dn for entry in self.on.values() if entry)

    @property
    def newest(self) -> str | None:
        """The newest entryCSN of it; None: no server shows one."""
        return max((entry.csn for entry in self.on.values() if entry and entry.csn), default=None)

    @property
    def is_real(self) -> bool:
        """Whether the servers differ, as far as they were compared."""
        first, *others = self.on.values()
        return any(not self._equal(first, other) for other in others)

    def has_moved_on(self, before: "DifferingEntry") -> bool:
        """Return whether the entry was changed after an earlier look, and differs by that alone.

        So it is of one that is written to all the time: each server has come at least to the newest
        state of then, or one has deleted it since.
        """
        if any(before.on[name] and not entry for name, entry in self.on.items()):
            return True
        states = {entry.csn or "" if entry else "" for entry in self.on.values()}
        return len(states) > 1 and min(states) >= (before.newest or "")

    def attributes(self) -> tuple[str, ...]:
        """Return the names of attributes whose values differ between servers that have it."""
        found = [entry.attributes for entry in self.on.values() if entry]
        every = {name for attributes in found for name in attributes} - set(_STATES)
        return tuple(
            sorted(
                name
                for name in every
                if len({frozenset(attributes.get(name, ())) for attributes in found}) > 1
            )
        )

    def _equal(self, one: Entry | None, other: Entry | None) -> bool:
        if one is None or other is None:
            return one is other
        same_state = one.csn == other.csn and names.same_dn(one.dn, other.dn)
        return same_state and (not self.contents or _contents(one) == _contents(other))


@dataclass(frozen=True)
class ServerComparison:
    """What was found.

    Args:
        entries: How many entries each server has, by its name.
        vectors: The `contextCSN` of each server after the comparison.
        differences: By DN.
    """

    entries: Mapping[str, int]
    vectors: Mapping[str, CsnVector]
    differences: Sequence[DifferingEntry]


@dataclass
class ServerComparer:
    """A comparison of servers that have the same suffix.

    Args:
        servers: Two or more, by their names.
        contents: Whether to compare attributes too, and not only the states of entries.
        sleep: Pauses for some seconds.
    """

    servers: Mapping[str, Readable]
    contents: bool = False
    sleep: Callable[[float], object] = time.sleep
    _entries: dict[str, int] = field(default_factory=dict)

    def compare(self) -> ServerComparison:
        """Read all entries of each server, and those that differ again until they rest.

        What becomes equal meanwhile was being replicated, and is no difference. Memory is needed
        for those that differ only.

        Raises:
            ServerDown: If a server does not respond.
            ExceededLdapServerSizelimit: If it does not return all entries, not even in parts.
            InternalError: If it does not show entryUUIDs.
        """
        suspects = self._suspects()
        differences = self._at_rest(suspects) if suspects else ()
        found = sorted(differences, key=lambda one: names.components(one.dn)[::-1])
        return ServerComparison(self._entries, self._vectors(), found)

    def left_of(self, before: Iterable[DifferingEntry]) -> list[DifferingEntry]:
        """Read entries again, and return those that have neither become equal nor moved on.

        Raises:
            ServerDown: If a server does not respond.
        """
        former = {one.uuid: one for one in before}
        return [one for one in self._differences(former) if not one.has_moved_on(former[one.uuid])]

    def _suspects(self) -> list[str]:
        with closing(sqlite3.connect("", isolation_level=None)) as database:
            database.executescript(_SCHEMA)
            for name, directory in self.servers.items():
                rows = ((_key(entry), self._digest(entry)) for entry in self._read(directory))
                done = database.executemany("INSERT INTO state VALUES (?, ?)", rows)
                self._entries[name] = done.rowcount
            found = database.execute(_SUSPECTS, (len(self.servers),))
            return [_uuid(key) for (key,) in found]

    def _read(self, directory: Readable) -> Iterator[Entry]:
        query = Query(directory.tree.suffix, Scope.SUBTREE, _ANY, self._wanted)
        return directory.stream(query, must_exist=True)

    @property
    def _wanted(self) -> tuple[str, ...]:
        return ("*", *_STATES) if self.contents else _STATES

    def _digest(self, entry: Entry) -> int:
        return hash((entry.csn, entry.dn, _contents(entry) if self.contents else None))

    def _at_rest(self, uuids: Sequence[str]) -> list[DifferingEntry]:
        """Read entries again, until each server has what any of them had at the first look.

        A server's `contextCSN` comes to the CSN of a change after the change itself, so what then
        still differs will not become equal by replication. Where it makes no progress, there is no
        use in waiting.
        """
        self.sleep(_PAUSE)
        first = {one.uuid: one for one in self._differences(uuids)}
        found, vectors, idle = first, self._vectors(), 0
        goal = CsnVector.of(chain.from_iterable(vectors.values()))
        while found and idle < _MOST_IDLE_ROUNDS:
            self.sleep(_PAUSE)
            before, vectors = vectors, self._vectors()
            behind = [name for name, vector in vectors.items() if not vector.covers(goal)]
            found = {one.uuid: one for one in self.left_of(first[uuid] for uuid in found)}
            if not behind:
                break
            idle = idle + 1 if all(vectors[name] == before[name] for name in behind) else 0
        return [*found.values()]

    def _differences(self, uuids: Iterable[str]) -> Iterator[DifferingEntry]:
        for batch in _batches(uuids):
            term = filters.either(*(filters.equals("entryUUID", uuid) for uuid in batch))
            seen = {
                name: {
                    entry.text("entryUUID"): entry
                    for entry in directory.find(
                        Query(directory.tree.suffix, Scope.SUBTREE, term, self._wanted)
                    )
                }
                for name, directory in self.servers.items()
            }
            for uuid in batch:
                on = {name: entries.get(uuid) for name, entries in seen.items()}
                difference = DifferingEntry(uuid, on, self.contents)
                if difference.is_real:
                    yield difference

    def _vectors(self) -> dict[str, CsnVector]:
        return {name: vector(directory) for name, directory in self.servers.items()}


def vector(directory: Readable) -> CsnVector:
    """Read the `contextCSN` of a server; empty if it has none, or does not show it.

    Raises:
        ServerDown: If the server does not respond.
    """
    top = directory.read(directory.tree.suffix, ("contextCSN",))
    return CsnVector.of(filter(is_csn, top.texts("contextCSN") if top else ()))


def _contents(entry: Entry) -> frozenset[tuple[str, frozenset[bytes]]]:
    """Return the attributes without the order in which a server has them."""
    return frozenset((name.lower(), frozenset(values)) for name, values in entry.attributes.items())


def _key(entry: Entry) -> bytes:
    try:
        return bytes.fromhex((entry.text("entryUUID") or "").replace("-", "")) or _no_uuid(entry)
    except ValueError:
        return _no_uuid(entry)


def _no_uuid(entry: Entry) -> bytes:
    raise InternalError(f"the directory does not show the entryUUID of {entry.dn}")


def _uuid(key: bytes) -> str:
    text = key.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _batches(uuids: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(uuids)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
