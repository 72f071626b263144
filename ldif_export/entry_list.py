"""Read and write the entry list of a manifest: a line ``entryUUID DN`` for each entry, sorted.

A later export derives from it what was deleted and what was renamed.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

_BATCH = 2000
# A DN may contain line ends, escaped or not; each entry has exactly one line.
_LINE_ENDS = str.maketrans({"\n": "\\0a", "\r": "\\0d"})


class EntryListWriter:
    """Collect entries as they come, and sort them outside the memory.

    A temporary SQLite database without a name holds them; it is removed when the process ends.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8000;"
            "CREATE TABLE entry (uuid TEXT, dn TEXT); BEGIN;"
        )
        self._waiting: list[tuple[str, str]] = []

    def add(self, uuid: str, dn: str) -> None:
        """Add an entry."""
        self._waiting.append((uuid, dn))
        if len(self._waiting) >= _BATCH:
            self._flush()

    def write(self, path: Path) -> None:
        """Write the list, and forget the entries."""
        self._flush()
        with closing(self._database) as database, path.open("w", encoding="utf-8") as out:
            for uuid, dn in database.execute("SELECT uuid, dn FROM entry ORDER BY uuid"):
                out.write(f"{uuid} {dn.translate(_LINE_ENDS)}\n")

    def _flush(self) -> None:
        self._database.executemany("INSERT INTO entry VALUES (?, ?)", self._waiting)
        self._waiting.clear()


def read_entries(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the entryUUID and the DN of each line.

    Raises:
        ValueError: If a line is malformed, or out of order.
    """
    last = ""
    with path.open(encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            uuid, blank, dn = line.partition(" ")
            if not blank or not line.endswith("\n") or uuid <= last:
                raise ValueError(f"{path}: line {number} is not as it was written")
            last = uuid
            yield uuid, dn.removesuffix("\n")
