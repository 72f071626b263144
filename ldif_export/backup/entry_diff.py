"""Compare entries of an earlier export with those of today: deleted, added, renamed, changed.

Entries are compared by entryUUID, DN and entryCSN, outside the memory, in a temporary SQLite
database without a name. Everything about DNs looks only at entries whose DN differs between the
two: no parent or child of the others was renamed.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from enum import IntEnum
from typing import Any, NamedTuple

from iredldap.dit import names
from ldif_export import entry_kinds
from ldif_export.entry_list import ListedEntry

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16000;
CREATE TABLE before (uuid TEXT PRIMARY KEY, dn TEXT UNIQUE, csn TEXT) WITHOUT ROWID;
CREATE TABLE now (uuid TEXT PRIMARY KEY, dn TEXT UNIQUE, csn TEXT) WITHOUT ROWID;
CREATE TABLE held (uuid TEXT PRIMARY KEY, csn TEXT) WITHOUT ROWID;
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
# A rename is used only where its order does not matter. Renaming an entry with children would
# rename these too, so it is added and deleted instead, and they follow one by one. So is an entry
# that moves deeper, because its new parent might need its old name, and one whose new name was
# taken.
_RENAMED = """
INSERT INTO renamed
SELECT came.uuid, went.key FROM came JOIN went USING (uuid)
WHERE came.key <> went.key AND came.depth <= went.depth
AND NOT EXISTS (SELECT 1 FROM went AS occupant WHERE occupant.key = came.key)
AND NOT EXISTS (SELECT 1 FROM went AS child WHERE child.parent = went.key)
"""
_COMPARED = (_WENT, _CAME, _RENAMED)
# Parents first: a step may need the one above it. Within a depth renames come first, because they
# leave names to others; then entries that replace another one, then additions to free names.
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
# An entry without entryCSN on either side may have changed.
_OLDEST_CHANGE = """
SELECT min(now.csn) FROM now LEFT JOIN held USING (uuid)
WHERE now.csn = '' OR now.csn IS NOT held.csn
"""
_HELD_UNCHANGED = """
INSERT OR REPLACE INTO held
SELECT now.uuid, now.csn FROM now JOIN held USING (uuid)
WHERE held.csn = '' AND now.csn <> '' AND is_included(now.csn)
"""
_ENTRIES = """
SELECT now.uuid, now.dn, ifnull(held.csn, '') FROM now LEFT JOIN held USING (uuid)
ORDER BY now.uuid
"""
# Children first, and after all steps: an entry cannot be deleted while it has children.
_DELETED = """
SELECT dn FROM went
WHERE NOT EXISTS (SELECT 1 FROM came WHERE came.key = went.key)
AND NOT EXISTS (SELECT 1 FROM renamed WHERE renamed.place = went.key)
ORDER BY depth DESC, dn
"""


class StepKind(IntEnum):
    """How an entry comes to its DN in the earlier tree, in the order within one depth."""

    RENAME = 0
    SUPPLANT = 1
    """Another entry without children has the DN: delete that one, and add this one."""
    ADD = 2
    OVERWRITE = 3
    """Another entry with children has the DN: modify it into this one."""


class DiffStep(NamedTuple):
    """What to do for an entry that has a new DN.

    Args:
        what: How it comes there.
        uuid: Its entryUUID.
        dn: Its DN now.
        old_dn: Its DN before; None: it is new.
    """

    what: StepKind
    uuid: str
    dn: str
    old_dn: str | None


class EntryDiff:
    """Compare the entries of an earlier export with those of today.

    Register all of them, then call `compare`. A search that is no snapshot may return two entries
    with one DN; the later one counts.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for name, compute in _FUNCTIONS.items():
            self._database.create_function(name, 1, compute, deterministic=True)
        self._database.executescript(_SCHEMA)

    def before(self, entries: Iterable[ListedEntry]) -> None:
        """Register entries of the earlier export."""
        self._database.executemany("INSERT OR REPLACE INTO before VALUES (?, ?, ?)", entries)
        self._database.execute("INSERT OR REPLACE INTO held SELECT uuid, csn FROM before")

    def now(self, entries: Iterable[ListedEntry]) -> None:
        """Register entries that exist."""
        self._database.executemany("INSERT OR REPLACE INTO now VALUES (?, ?, ?)", entries)

    def assume_held(self, is_included: Callable[[str], bool]) -> None:
        """Take entries of an earlier export that has no entryCSNs as unchanged, by those of now.

        Args:
            is_included: Whether the earlier export has the change of an entryCSN.
        """
        self._database.create_function("is_included", 1, is_included, deterministic=True)
        self._database.execute(_HELD_UNCHANGED)

    def compare(self) -> None:
        """Find out what was deleted, added and renamed."""
        for statement in _COMPARED:
            self._database.execute(statement)

    def oldest_change(self) -> str | None:
        """Return the smallest entryCSN of entries that are new or have changed.

        Returns:
            None: There are none. Empty: One has no entryCSN, so that none is the smallest.
        """
        oldest: str | None = self._database.execute(_OLDEST_CHANGE).fetchone()[0]
        return oldest

    def is_held(self, uuid: str, csn: str) -> bool:
        """Return whether the exports so far have this state of an entry."""
        held = "SELECT 1 FROM held WHERE uuid = ? AND csn = ? AND csn <> ''"
        return self._database.execute(held, (uuid, csn)).fetchone() is not None

    def hold(self, uuid: str, csn: str) -> None:
        """Register the state of an entry that this export has."""
        self._database.execute("INSERT OR REPLACE INTO held VALUES (?, ?)", (uuid, csn))

    def leave_out(self, uuid: str) -> None:
        """Treat an entry as absent: a later comparison will find it."""
        for table in ("now", "came", "renamed"):
            self._database.execute(f"DELETE FROM {table} WHERE uuid = ?", (uuid,))  # noqa: S608

    def dn(self, uuid: str) -> str | None:
        """Return the DN of an entry now; None: it does not exist."""
        row = self._database.execute("SELECT dn FROM now WHERE uuid = ?", (uuid,)).fetchone()
        return row[0] if row else None

    def steps(self) -> Iterator[DiffStep]:
        """Yield the steps for entries with a new DN, parents first."""
        for what, uuid, dn, old_dn in self._rows(_STEPS):
            yield DiffStep(StepKind(what), uuid, dn, old_dn)

    def deleted(self) -> Iterator[str]:
        """Yield DNs that no longer exist, children first."""
        for (dn,) in self._rows(_DELETED):
            yield dn

    def entries(self) -> Iterator[ListedEntry]:
        """Yield each entry that exists, with the entryCSN of the state that the exports have."""
        yield from map(ListedEntry._make, self._rows(_ENTRIES))

    def close(self) -> None:
        """Delete the temporary database."""
        self._database.close()

    def _rows(self, query: str) -> Iterator[Any]:
        with closing(self._database.execute(query)) as rows:
            yield from rows


_FUNCTIONS: dict[str, Callable[[str], bytes | int]] = {
    "key_of": lambda dn: entry_kinds.dn_key(names.components(dn)),
    "parent_of": lambda dn: entry_kinds.dn_key(names.components(dn)[1:]),
    "depth_of": names.depth,
}
