"""Read and write the entry list of a manifest: a line ``entryUUID entryCSN DN`` for each, sorted.

A later export derives from it what was changed, deleted and renamed. The entryCSN is that of the
state that the export has; ``-`` where that is not known. Manifests of format 1 have lists of
``entryUUID DN``.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TextIO

from iredldap.dit.csn import is_csn

_BATCH = 2000
_UNKNOWN = "-"
# A DN may contain line ends, escaped or not; each entry has exactly one line.
_LINE_ENDS = str.maketrans({"\n": "\\0a", "\r": "\\0d"})


class ListedEntry(NamedTuple):
    """An entry of a list.

    Args:
        uuid: Its entryUUID.
        dn: Its DN.
        csn: Its entryCSN; empty: not known.
    """

    uuid: str
    dn: str
    csn: str = ""


class EntryListWriter:
    """Collect entries as they come, and sort them outside the memory.

    A temporary SQLite database without a name holds them; it is removed when the process ends.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8000;"
            "CREATE TABLE entry (uuid TEXT, dn TEXT, csn TEXT); BEGIN;"
        )
        self._waiting: list[ListedEntry] = []

    def add(self, entry: ListedEntry) -> None:
        """Add an entry."""
        self._waiting.append(entry)
        if len(self._waiting) >= _BATCH:
            self._flush()

    def write(self, out: TextIO) -> None:
        """Write the list, and forget the entries."""
        self._flush()
        with closing(self._database) as database:
            rows = database.execute("SELECT uuid, csn, dn FROM entry ORDER BY uuid")
            out.writelines(
                f"{uuid} {csn or _UNKNOWN} {dn.translate(_LINE_ENDS)}\n" for uuid, csn, dn in rows
            )

    def _flush(self) -> None:
        self._database.executemany("INSERT INTO entry VALUES (?, ?, ?)", self._waiting)
        self._waiting.clear()


def read_entries(path: Path, *, has_csns: bool = True) -> Iterator[ListedEntry]:
    """Yield the entry of each line.

    Args:
        path: Of the list.
        has_csns: Whether its lines have entryCSNs: those of format 1 have none.

    Raises:
        ValueError: If a line is malformed, or out of order.
    """
    last = ""
    with path.open(encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            uuid, blank, rest = line.partition(" ")
            csn, separator, dn = rest.partition(" ") if has_csns else (_UNKNOWN, " ", rest)
            is_whole = blank and separator and line.endswith("\n") and uuid > last
            if not is_whole or not (csn == _UNKNOWN or is_csn(csn)):
                raise ValueError(f"{path}: line {number} is not as it was written")
            last = uuid
            yield ListedEntry(uuid, dn.removesuffix("\n"), "" if csn == _UNKNOWN else csn)
