"""Index a file outside the memory: its entries, addresses, names and mailboxes.

A temporary SQLite database without a name holds the index; it is removed when the process ends.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from types import TracebackType
from typing import Any, NamedTuple, Self

_BATCH = 2000
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16000;
CREATE TABLE entry (
    number INTEGER PRIMARY KEY, key BLOB, parent BLOB, depth INTEGER, line INTEGER, dn TEXT,
    digest BLOB, is_alias INTEGER
);
CREATE TABLE unique_name (name TEXT, key BLOB, line INTEGER);
CREATE TABLE login (mail TEXT);
CREATE TABLE mailbox (path TEXT, key BLOB, line INTEGER, dn TEXT);
CREATE TABLE present (key BLOB PRIMARY KEY, digest BLOB) WITHOUT ROWID;
"""
_INSERTS = {
    "entry": (
        "INSERT INTO entry (key, parent, depth, line, dn, digest, is_alias)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
    ),
    "unique_name": "INSERT INTO unique_name VALUES (?, ?, ?)",
    "login": "INSERT INTO login VALUES (?)",
    "mailbox": "INSERT INTO mailbox VALUES (?, ?, ?, ?)",
    "present": "INSERT OR REPLACE INTO present VALUES (?, ?)",
}
_TWICE = """
SELECT entry.line, entry.dn, first.line
FROM (SELECT key, min(number) AS number FROM entry GROUP BY key HAVING count(*) > 1) AS double
JOIN entry AS first ON first.number = double.number
JOIN entry ON entry.key = double.key AND entry.number > double.number
ORDER BY entry.number
"""
_SHARED = """
SELECT max(line), name, min(line) FROM unique_name
GROUP BY name HAVING min(line) < max(line) ORDER BY 1
"""
_UNIQUE_NAMES = """
SELECT position, name, entry.key, entry.line, entry.dn
FROM (
    SELECT row_number() OVER (ORDER BY {order}) - 1 AS position, key, line, dn FROM entry
) AS entry
JOIN unique_name ON unique_name.key = entry.key AND unique_name.line = entry.line
ORDER BY position, name
"""
_LATE = """
SELECT child.line, child.dn, parent.line
FROM entry AS child JOIN entry AS parent ON parent.key = child.parent
WHERE parent.number > child.number ORDER BY child.number
"""
_BELOW_ALIASES = """
SELECT child.line, child.dn, parent.line
FROM entry AS child JOIN entry AS parent ON parent.key = child.parent
WHERE parent.is_alias ORDER BY child.number
"""
_ROOTS = """
SELECT line, dn, EXISTS (SELECT 1 FROM entry AS child WHERE child.parent = root.key)
FROM entry AS root
WHERE NOT EXISTS (SELECT 1 FROM entry AS parent WHERE parent.key = root.parent)
ORDER BY number
"""
_COMPARED = """
SELECT entry.digest, present.digest, entry.line, entry.dn
FROM entry LEFT JOIN present ON present.key = entry.key ORDER BY {order}
"""

_PATHS = "SELECT path, line, dn FROM mailbox WHERE line ORDER BY path, line"
_PATHS_BESIDE = """
SELECT path, line, dn FROM mailbox
WHERE CASE WHEN line
THEN {overwrite} OR NOT EXISTS (SELECT 1 FROM present WHERE present.key = mailbox.key)
ELSE NOT EXISTS (SELECT 1 FROM entry WHERE entry.key = mailbox.key) END
ORDER BY path, line
"""

LinePair = tuple[int, str, int]
"""Line of an entry, its DN or address, and the line of another entry."""


class UniqueName(NamedTuple):
    """An address or a domain, and the entry of the file that has it.

    Args:
        position: Position of the entry, in the order asked for; from 0.
        name: In lower case.
        key: Key of the entry's DN.
        line: Line of the entry.
        dn: The entry's DN, for messages.
    """

    position: int
    name: str
    key: bytes
    line: int
    dn: str


class MailboxPath(NamedTuple):
    """The path of an entry's mailbox.

    Args:
        path: Normalized.
        line: Line of the entry in the file; 0: it is in the directory only.
        dn: The entry's DN, for messages.
    """

    path: str
    line: int
    dn: str


class FileIndex:
    """Index the entries of a file; query it when all are added and `settle` was called."""

    def __init__(self) -> None:
        # A temporary database of SQLite's own, which is in memory as long as it is small, and gone
        # with the process.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")
        self._waiting: dict[str, list[tuple[object, ...]]] = {table: [] for table in _INSERTS}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def entry(
        self,
        key: bytes,
        parent: bytes,
        depth: int,
        line: int,
        dn: str,
        digest: bytes = b"",
        *,
        is_alias: bool = False,
    ) -> None:
        """Add an entry of the file.

        Args:
            key: Key of its DN, as `entry_kinds.dn_key` returns it.
            parent: Key of its parent's DN.
            depth: Number of components of its DN.
            line: Its line.
            dn: Its DN, for messages.
            digest: Digest of its attributes, if they are compared.
            is_alias: Whether it stands for another entry, and may have none below it.
        """
        self._add("entry", (key, parent, depth, line, dn, digest, is_alias))

    def unique_name(self, name: str, key: bytes, line: int) -> None:
        """Add an address or a domain, in lower case, that no other entry may have."""
        self._add("unique_name", (name, key, line))

    def login(self, mail: str) -> None:
        """Add a user or an admin of the file, by the address in lower case."""
        self._add("login", (mail,))

    def mailbox(self, path: str, key: bytes, line: int, dn: str) -> None:
        """Add the mailbox of an entry of the file, by its normalized path."""
        self._add("mailbox", (path, key, line, dn))

    def mailbox_there(self, path: str, key: bytes, dn: str) -> None:
        """Add the mailbox of an entry of the directory."""
        self._add("mailbox", (path, key, 0, dn))

    def present(self, key: bytes, digest: bytes) -> None:
        """Add an entry of the directory."""
        self._add("present", (key, digest))

    def settle(self) -> None:
        """Flush what is buffered, and create the indexes for queries."""
        for table in self._waiting:
            self._flush(table)
        # Only now: an index that exists while rows are inserted is updated for each of them.
        self._database.execute("CREATE INDEX IF NOT EXISTS by_key ON entry (key)")
        self._database.execute("CREATE INDEX IF NOT EXISTS by_parent ON entry (parent)")
        self._database.execute("CREATE INDEX IF NOT EXISTS by_name ON unique_name (name)")
        self._database.execute("CREATE INDEX IF NOT EXISTS by_owner ON unique_name (key)")

    def holds(self, key: bytes) -> bool:
        """Return whether the file has an entry."""
        found = self._database.execute("SELECT 1 FROM entry WHERE key = ? LIMIT 1", (key,))
        return found.fetchone() is not None

    def has_login(self, mail: str) -> bool:
        """Return whether the file has a user or an admin with this address; for few addresses."""
        # No index on this table: a domain has one or two admins to look up.
        found = self._database.execute("SELECT 1 FROM login WHERE mail = ? LIMIT 1", (mail,))
        return found.fetchone() is not None

    def twice(self) -> Iterator[LinePair]:
        """Yield entries whose DN occurred before."""
        yield from self._rows(_TWICE)

    def shared(self) -> Iterator[LinePair]:
        """Yield addresses and domains of more than one entry."""
        yield from self._rows(_SHARED)

    def mailboxes(self) -> Iterator[MailboxPath]:
        """Yield the mailboxes of the file, sorted by path."""
        for row in self._rows(_PATHS):
            yield MailboxPath(*row)

    def mailboxes_beside(self, *, overwrite: bool) -> Iterator[MailboxPath]:
        """Yield mailboxes of entries that will be written, and those of other entries, by path.

        Args:
            overwrite: Whether entries that exist are written, too.
        """
        for row in self._rows(_PATHS_BESIDE.format(overwrite=int(overwrite))):
            yield MailboxPath(*row)

    def unique_names(self, *, by_depth: bool) -> Iterator[UniqueName]:
        """Yield the addresses and domains of each entry, in the order of `compared`."""
        for row in self._rows(_UNIQUE_NAMES.format(order=_order(by_depth=by_depth))):
            yield UniqueName(*row)

    def has_unique_name(self, name: str, key: bytes) -> bool:
        """Return whether the file gives an address or a domain to an entry."""
        rows = self._database.execute("SELECT key FROM unique_name WHERE name = ?", (name,))
        return (key,) in rows.fetchall()

    def late(self) -> Iterator[LinePair]:
        """Yield entries that come before their parents."""
        yield from self._rows(_LATE)

    def below_aliases(self) -> Iterator[LinePair]:
        """Yield entries whose parents are aliases."""
        yield from self._rows(_BELOW_ALIASES)

    def roots(self) -> Iterator[tuple[int, str, bool]]:
        """Yield line and DN of entries without a parent in the file; whether they have children."""
        for line, dn, has_children in self._rows(_ROOTS):
            yield line, dn, bool(has_children)

    def compared(self, *, by_depth: bool) -> Iterator[tuple[bytes, bytes | None, int, str]]:
        """Yield the digest of each entry, that of the directory's (None: absent), line and DN.

        Args:
            by_depth: Parents first; otherwise as in the file.
        """
        yield from self._rows(_COMPARED.format(order=_order(by_depth=by_depth)))

    def _add(self, table: str, row: tuple[object, ...]) -> None:
        waiting = self._waiting[table]
        waiting.append(row)
        if len(waiting) >= _BATCH:
            self._flush(table)

    def _flush(self, table: str) -> None:
        self._database.executemany(_INSERTS[table], self._waiting[table])
        self._waiting[table].clear()

    def _rows(self, query: str) -> Iterator[Any]:
        with closing(self._database.execute(query)) as rows:
            yield from rows


def _order(*, by_depth: bool) -> str:
    return "depth, number" if by_depth else "number"
