"""What became of the entries of an earlier export: which went, which came, which have moved.

Entries are compared by entryUUID and DN, outside the memory: a temporary SQLite database without
a name holds them. What follows looks at those entries alone whose line is not the same in both:
above and below the others nothing has changed its name.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from enum import IntEnum
from typing import Any, NamedTuple

from iredldap.dit import names
from ldif_export import entry_kinds

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16000;
CREATE TABLE before (uuid TEXT PRIMARY KEY, dn TEXT UNIQUE) WITHOUT ROWID;
CREATE TABLE now (uuid TEXT PRIMARY KEY, dn TEXT UNIQUE) WITHOUT ROWID;
CREATE TABLE went (uuid TEXT UNIQUE, dn TEXT, key BLOB PRIMARY KEY, parent BLOB, depth INTEGER);
CREATE TABLE came (uuid TEXT UNIQUE, dn TEXT, key BLOB PRIMARY KEY, depth INTEGER);
CREATE TABLE renamed (uuid TEXT PRIMARY KEY, place BLOB UNIQUE);
CREATE INDEX went_parent ON went (parent);
BEGIN;
"""
_WENT = """
INSERT OR REPLACE INTO went
SELECT uuid, dn, key_of(dn), parent_of(dn), depth_of(dn)
FROM (SELECT uuid, dn FROM before EXCEPT SELECT uuid, dn FROM now)
"""
_CAME = """
INSERT OR REPLACE INTO came
SELECT uuid, dn, key_of(dn), depth_of(dn)
FROM (SELECT uuid, dn FROM now EXCEPT SELECT uuid, dn FROM before)
"""
# Renaming an entry with children would rename these too; it is added and deleted instead, and they
# follow one by one. So is one that goes deeper: its new parent might need its old name.
_RENAMED = """
INSERT INTO renamed
SELECT came.uuid, went.key FROM came JOIN went USING (uuid)
WHERE came.key <> went.key AND came.depth <= went.depth
AND NOT EXISTS (SELECT 1 FROM went AS occupant WHERE occupant.key = came.key)
AND NOT EXISTS (SELECT 1 FROM went AS child WHERE child.parent = went.key)
"""
_COMPARED = (_WENT, _CAME, _RENAMED)
_STEPS = """
SELECT
    CASE
        WHEN renamed.uuid IS NOT NULL THEN 0
        WHEN occupant.uuid IS NULL THEN 2
        WHEN occupant.uuid = came.uuid THEN 0
        WHEN EXISTS (SELECT 1 FROM went AS child WHERE child.parent = occupant.key) THEN 3
        ELSE 1
    END AS what,
    came.uuid, came.dn, source.dn
FROM came
LEFT JOIN renamed ON renamed.uuid = came.uuid
LEFT JOIN went AS source ON source.uuid = came.uuid
LEFT JOIN went AS occupant ON occupant.key = came.key
    AND NOT EXISTS (SELECT 1 FROM renamed AS other WHERE other.place = occupant.key)
ORDER BY came.depth, what, came.dn
"""
_DELETED = """
SELECT dn FROM went
WHERE NOT EXISTS (SELECT 1 FROM came WHERE came.key = went.key)
AND NOT EXISTS (SELECT 1 FROM renamed WHERE renamed.place = went.key)
ORDER BY depth DESC, dn
"""


class StepKind(IntEnum):
    """What makes a place in the earlier tree as it is now, in the order for one depth."""

    RENAME = 0
    SUPPLANT = 1
    """Another entry without children has the name: delete it, and add this one."""
    ADD = 2
    OVERWRITE = 3
    """Another entry with children has the name: make it this one."""


class DiffStep(NamedTuple):
    """What is to be done for an entry that has come to a place.

    Args:
        what: How it comes there.
        uuid: Which one it is.
        dn: Where it is now.
        old_dn: Where it was; None: nowhere.
    """

    what: StepKind
    uuid: str
    dn: str
    old_dn: str | None


class EntryDiff:
    """The entries of an earlier export and those of today.

    Tell of all of them, then `compare`. A search that is no snapshot may find two entries of one
    name; the one that came last is meant.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for name, compute in _FUNCTIONS.items():
            self._database.create_function(name, 1, compute, deterministic=True)
        self._database.executescript(_SCHEMA)

    def before(self, entries: Iterable[tuple[str, str]]) -> None:
        """Tell of entryUUID and DN of entries of the earlier export."""
        self._database.executemany("INSERT OR REPLACE INTO before VALUES (?, ?)", entries)

    def now(self, entries: Iterable[tuple[str, str]]) -> None:
        """Tell of entryUUID and DN of entries that are there."""
        self._database.executemany("INSERT OR REPLACE INTO now VALUES (?, ?)", entries)

    def compare(self) -> None:
        """Find out what went, what came and what was renamed."""
        for statement in _COMPARED:
            self._database.execute(statement)

    def leave_out(self, uuid: str) -> None:
        """Take an entry for one that is not there: a later comparison will find it."""
        for table in ("now", "came", "renamed"):
            self._database.execute(f"DELETE FROM {table} WHERE uuid = ?", (uuid,))  # noqa: S608

    def dn(self, uuid: str) -> str | None:
        """Where an entry is now; None: nowhere."""
        row = self._database.execute("SELECT dn FROM now WHERE uuid = ?", (uuid,)).fetchone()
        return row[0] if row else None

    def steps(self) -> Iterator[DiffStep]:
        """What is to be done for entries that have come to their places, parents first."""
        for what, uuid, dn, old_dn in self._rows(_STEPS):
            yield DiffStep(StepKind(what), uuid, dn, old_dn)

    def deleted(self) -> Iterator[str]:
        """DNs where nothing is any more, children first."""
        for (dn,) in self._rows(_DELETED):
            yield dn

    def entries(self) -> Iterator[tuple[str, str]]:
        """Tell entryUUID and DN of each entry that is there."""
        yield from self._rows("SELECT uuid, dn FROM now ORDER BY uuid")

    def close(self) -> None:
        """Forget all of it."""
        self._database.close()

    def _rows(self, query: str) -> Iterator[Any]:
        with closing(self._database.execute(query)) as rows:
            yield from rows


_FUNCTIONS: dict[str, Callable[[str], bytes | int]] = {
    "key_of": lambda dn: entry_kinds.dn_key(names.components(dn)),
    "parent_of": lambda dn: entry_kinds.dn_key(names.components(dn)[1:]),
    "depth_of": names.depth,
}
