"""Store records on the disk until all are known; each can be replaced and removed.

Their texts are appended to a temporary file without a name; a temporary SQLite database without a
name holds their positions. Both are removed when the process ends. The text of a record that was
replaced stays in the file, unused.
"""

import json
import sqlite3
import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing

from iredldap.dit import names
from ldif_export.readers.base import LdifRecord

_BUFFER = 256 * 1024
_BEHIND_ALL = 1 << 40
# Nothing of it outlives the process, so neither a journal nor syncing is of use.
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16000;
CREATE TABLE entry (
    search INTEGER, uuid BLOB, came INTEGER, round INTEGER, place INTEGER,
    parent TEXT, dn TEXT, start INTEGER, watched INTEGER, text INTEGER,
    PRIMARY KEY (search, uuid)
) WITHOUT ROWID;
BEGIN;
"""
_PUT = """
INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (search, uuid) DO UPDATE SET
    round = excluded.round, parent = excluded.parent, dn = excluded.dn,
    start = excluded.start, watched = excluded.watched, text = excluded.text
"""
_SEE = "UPDATE entry SET round = ? WHERE search = ? AND uuid = ?"
_DROP = "DELETE FROM entry WHERE search = ? AND uuid = ?"
_DROP_UNSEEN = "DELETE FROM entry WHERE search = ? AND round <> ?"
_LATE = "SELECT 1 FROM entry WHERE search = ? AND came > 1 LIMIT 1"
_PUSH = "UPDATE entry SET place = place + ? WHERE search = ?"
_PLACE = "UPDATE entry SET place = ? WHERE search = ? AND uuid = ?"
_FIND = "SELECT dn, start, watched, text FROM entry WHERE search = ? ORDER BY place"
_GET = "SELECT dn, start, watched, text FROM entry WHERE search = ? AND uuid = ?"
_ORPHANED = "SELECT parent FROM entry EXCEPT SELECT dn FROM entry"


class RecordStore:
    """Records by the number of the search that found them and their entryUUID.

    They come in rounds, and are kept in the order of their first arrival.
    """

    def __init__(self) -> None:
        # Closed by `close`: the generators that read it outlive any `with`.
        self._file = tempfile.TemporaryFile(buffering=_BUFFER)  # noqa: SIM115
        self._index = sqlite3.connect("", isolation_level=None)
        self._index.executescript(_SCHEMA)
        self._round = 0
        self._end = 0
        self._place = 0

    def next_round(self) -> None:
        """Begin the next round."""
        self._round += 1

    def put(self, search: int, uuid: bytes, record: LdifRecord) -> None:
        """Store a record in place of the one that this entry had before."""
        watched = json.dumps(_texts(record.watched)).encode()
        # Records are read while others are still written.
        if self._file.tell() != self._end:
            self._file.seek(self._end)
        self._file.write(watched + record.text)
        self._place += 1
        where = self._end, len(watched), len(record.text)
        above = names.parent(record.dn)
        row = (search, uuid, self._round, self._round, self._place, above, record.dn, *where)
        self._index.execute(_PUT, row)
        self._end += len(watched) + len(record.text)

    def see(self, search: int, uuids: Iterable[bytes]) -> None:
        """Mark entries as present in this round."""
        self._index.executemany(_SEE, ((self._round, search, uuid) for uuid in uuids))

    def drop(self, search: int, uuids: Iterable[bytes]) -> bool:
        """Remove entries; return whether any of them was stored."""
        return bool(self._index.executemany(_DROP, ((search, u) for u in uuids)).rowcount > 0)

    def drop_unseen(self, search: int) -> bool:
        """Remove entries neither stored nor seen in this round; return whether there were any."""
        return bool(self._index.execute(_DROP_UNSEEN, (search, self._round)).rowcount > 0)

    def is_in_place(self, search: int) -> bool:
        """Return whether all results of a search came in the first round."""
        return not self._index.execute(_LATE, (search,)).fetchone()

    def arrange(self, search: int, uuids: Iterable[bytes]) -> None:
        """Put entries into this order; all others follow them."""
        # Those that are not named come last, in the order that they had.
        self._index.execute(_PUSH, (_BEHIND_ALL, search))
        self._index.executemany(_PLACE, ((n, search, uuid) for n, uuid in enumerate(uuids)))

    def orphaned(self) -> list[str]:
        """Return the DNs of parents that are not stored themselves."""
        return [dn for (dn,) in self._index.execute(_ORPHANED)]

    def records(self, search: int) -> Generator[LdifRecord, None, None]:
        """Yield the results of a search."""
        with closing(self._index.execute(_FIND, (search,))) as rows:
            for row in rows:
                yield self._record(*row)

    def get(self, search: int, uuid: bytes) -> LdifRecord | None:
        """Return one record; None: it is not stored."""
        row = self._index.execute(_GET, (search, uuid)).fetchone()
        return self._record(*row) if row else None

    def close(self) -> None:
        """Delete the temporary file and database."""
        self._index.close()
        self._file.close()

    def _record(self, dn: str, start: int, watched: int, text: int) -> LdifRecord:
        self._file.seek(start)
        known = json.loads(self._file.read(watched))
        return LdifRecord(dn, self._file.read(text), _values(known))


def _texts(watched: Mapping[str, Sequence[bytes]]) -> dict[str, list[str]]:
    return {name: [value.decode("latin-1") for value in v] for name, v in watched.items()}


def _values(watched: Mapping[str, Sequence[str]]) -> dict[str, list[bytes]]:
    return {name: [value.encode("latin-1") for value in v] for name, v in watched.items()}
