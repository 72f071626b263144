"""What has been seen of a file, kept outside the memory: which entries, which addresses and names.

A temporary SQLite database without a name holds it; it goes with the process.
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
    digest BLOB
);
CREATE TABLE claim (claim TEXT, key BLOB, line INTEGER);
CREATE TABLE login (mail TEXT);
CREATE TABLE mailbox (path TEXT, key BLOB, line INTEGER, dn TEXT);
CREATE TABLE present (key BLOB PRIMARY KEY, digest BLOB) WITHOUT ROWID;
"""
_INSERTS = {
    "entry": "INSERT INTO entry (key, parent, depth, line, dn, digest) VALUES (?, ?, ?, ?, ?, ?)",
    "claim": "INSERT INTO claim VALUES (?, ?, ?)",
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
SELECT max(line), claim, min(line) FROM claim
GROUP BY claim HAVING min(line) < max(line) ORDER BY 1
"""
_UNIQUE_NAMES = """
SELECT position, claim, entry.key, entry.line, entry.dn
FROM (
    SELECT row_number() OVER (ORDER BY {order}) - 1 AS position, key, line, dn FROM entry
) AS entry
JOIN claim ON claim.key = entry.key AND claim.line = entry.line ORDER BY position, claim
"""
_LATE = """
SELECT child.line, child.dn, parent.line
FROM entry AS child JOIN entry AS parent ON parent.key = child.parent
WHERE parent.number > child.number ORDER BY child.number
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
"""Line of an entry, its DN or address, and the line of the other one."""


class UniqueName(NamedTuple):
    """An address or a domain, and the entry of the file that has it.

    Args:
        position: Of the entry, in the order asked for; from 0.
        claim: In lower case.
        key: Of the entry.
        line: Where that stands.
        dn: For people.
    """

    position: int
    claim: str
    key: bytes
    line: int
    dn: str


class MailboxPath(NamedTuple):
    """A mailbox.

    Args:
        path: Normalised.
        line: Of the entry in the file; 0: it is in the directory only.
        dn: For people.
    """

    path: str
    line: int
    dn: str


class FileIndex:
    """Entries in the order in which they are told; ask when all are in and `settle` was called."""

    def __init__(self) -> None:
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
        self, key: bytes, parent: bytes, depth: int, line: int, dn: str, digest: bytes = b""
    ) -> None:
        """Tell of an entry of the file.

        Args:
            key: Of its DN, as `places.key` gives it.
            parent: Of the DN above.
            depth: Components of its DN.
            line: Where it stands.
            dn: For people.
            digest: Of its attributes, where they are to be compared.
        """
        self._told("entry", (key, parent, depth, line, dn, digest))

    def claim(self, claim: str, key: bytes, line: int) -> None:
        """Tell of what no other entry may have: an address or a domain, in lower case."""
        self._told("claim", (claim, key, line))

    def login(self, mail: str) -> None:
        """Tell of a user or an admin of the file, by the address in lower case."""
        self._told("login", (mail,))

    def mailbox(self, path: str, key: bytes, line: int, dn: str) -> None:
        """Tell of the mailbox of an entry of the file, by its normalised path."""
        self._told("mailbox", (path, key, line, dn))

    def mailbox_there(self, path: str, key: bytes, dn: str) -> None:
        """Tell of the mailbox of an entry of the directory."""
        self._told("mailbox", (path, key, 0, dn))

    def present(self, key: bytes, digest: bytes) -> None:
        """Tell of an entry of the directory."""
        self._told("present", (key, digest))

    def settle(self) -> None:
        """Take in what waits, and prepare for questions."""
        for table in self._waiting:
            self._flush(table)
        self._database.execute("CREATE INDEX IF NOT EXISTS by_key ON entry (key)")
        self._database.execute("CREATE INDEX IF NOT EXISTS by_parent ON entry (parent)")
        self._database.execute("CREATE INDEX IF NOT EXISTS by_claim ON claim (claim)")
        self._database.execute("CREATE INDEX IF NOT EXISTS by_claimant ON claim (key)")

    def holds(self, key: bytes) -> bool:
        """Whether the file has this entry."""
        found = self._database.execute("SELECT 1 FROM entry WHERE key = ? LIMIT 1", (key,))
        return found.fetchone() is not None

    def has_login(self, mail: str) -> bool:
        """Whether the file has a user or an admin of this address; for few of them."""
        found = self._database.execute("SELECT 1 FROM login WHERE mail = ? LIMIT 1", (mail,))
        return found.fetchone() is not None

    def twice(self) -> Iterator[LinePair]:
        """Entries whose DN came before."""
        yield from self._rows(_TWICE)

    def shared(self) -> Iterator[LinePair]:
        """Addresses and domains of more than one entry."""
        yield from self._rows(_SHARED)

    def mailboxes(self) -> Iterator[MailboxPath]:
        """Mailboxes of the file, sorted by path."""
        for row in self._rows(_PATHS):
            yield MailboxPath(*row)

    def mailboxes_beside(self, *, overwrite: bool) -> Iterator[MailboxPath]:
        """Mailboxes of the file that are to be written, and those of other entries, by path.

        Args:
            overwrite: Whether entries that are there are written, too.
        """
        for row in self._rows(_PATHS_BESIDE.format(overwrite=int(overwrite))):
            yield MailboxPath(*row)

    def unique_names(self, *, by_depth: bool) -> Iterator[UniqueName]:
        """What each entry has for itself, in the order of `compared`."""
        for row in self._rows(_UNIQUE_NAMES.format(order=_order(by_depth=by_depth))):
            yield UniqueName(*row)

    def has_unique_name(self, claim: str, key: bytes) -> bool:
        """Whether the file gives this to this entry."""
        rows = self._database.execute("SELECT key FROM claim WHERE claim = ?", (claim,))
        return (key,) in rows.fetchall()

    def late(self) -> Iterator[LinePair]:
        """Entries that stand before their parents."""
        yield from self._rows(_LATE)

    def roots(self) -> Iterator[tuple[int, str, bool]]:
        """Line and DN of entries whose parents are not in the file; whether they have children."""
        for line, dn, has_children in self._rows(_ROOTS):
            yield line, dn, bool(has_children)

    def compared(self, *, by_depth: bool) -> Iterator[tuple[bytes, bytes | None, int, str]]:
        """Each entry's digest beside that of the directory's (None: not there), line and DN.

        Args:
            by_depth: Parents first; otherwise as in the file.
        """
        yield from self._rows(_COMPARED.format(order=_order(by_depth=by_depth)))

    def _told(self, table: str, row: tuple[object, ...]) -> None:
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
