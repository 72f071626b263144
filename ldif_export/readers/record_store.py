"""Records on the disk until all are known: each can be replaced and taken away again.

Their texts stand in a temporary file without a name, one behind another; a temporary SQLite
database without a name tells where. Both go with the process. What was replaced stays in the file,
and nobody looks at it.
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

    They come in rounds, and stand in the order in which they first came.
    """

    def __init__(self) -> None:
        # Closed with the rest; the generators that read it outlive any `with`.
        self._file = tempfile.TemporaryFile(buffering=_BUFFER)  # noqa: SIM115
        self._index = sqlite3.connect("", isolation_level=None)
        self._index.executescript(_SCHEMA)
        self._round = 0
        self._end = 0
        self._place = 0

    def next_round(self) -> None:
        self._round += 1

    def put(self, search: int, uuid: bytes, record: LdifRecord) -> None:
        """Keep a record in place of the one that this entry had before."""
        watched = json.dumps(_texts(record.watched)).encode()
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
        """Note that entries are there in this round too."""
        self._index.executemany(_SEE, ((self._round, search, uuid) for uuid in uuids))

    def drop(self, search: int, uuids: Iterable[bytes]) -> bool:
        """Take entries away; tell whether any of them was there."""
        return bool(self._index.executemany(_DROP, ((search, u) for u in uuids)).rowcount > 0)

    def drop_unseen(self, search: int) -> bool:
        """Take away what neither came nor was seen in this round; tell whether there was any."""
        return bool(self._index.execute(_DROP_UNSEEN, (search, self._round)).rowcount > 0)

    def is_in_place(self, search: int) -> bool:
        """Whether all that a search found came in the first round."""
        return not self._index.execute(_LATE, (search,)).fetchone()

    def arrange(self, search: int, uuids: Iterable[bytes]) -> None:
        """Put entries into this order; all others stand behind them."""
        self._index.execute(_PUSH, (_BEHIND_ALL, search))
        self._index.executemany(_PLACE, ((n, search, uuid) for n, uuid in enumerate(uuids)))

    def orphaned(self) -> list[str]:
        """DNs above entries that are not themselves there."""
        return [dn for (dn,) in self._index.execute(_ORPHANED)]

    def records(self, search: int) -> Generator[LdifRecord, None, None]:
        """Give what a search found."""
        with closing(self._index.execute(_FIND, (search,))) as rows:
            for row in rows:
                yield self._record(*row)

    def get(self, search: int, uuid: bytes) -> LdifRecord | None:
        """Give one record; None: it is not there."""
        row = self._index.execute(_GET, (search, uuid)).fetchone()
        return self._record(*row) if row else None

    def close(self) -> None:
        """Forget all of it."""
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
