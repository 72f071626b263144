"""Parents before their children, whatever the order in which a directory finds entries.

Nearly all entries stand in a container that was written before them: to see that costs a look into
a small set. Of the others, children of accounts and what lies in turn below them, it must be known
whether their parent was written; hence the hash of each DN. What comes before its parent waits on
the disk until all others are written.
"""

import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Collection, Generator, Iterable, Sequence
from typing import IO

from iredldap.dit import names
from ldif_export.readers.base import LdifRecord

_ABOVE = re.compile(rb"(?:[^\\,]|\\.)*,", re.DOTALL)
_TOGETHER = 16 * 1024


def parent_dn(dn: bytes) -> bytes:
    """DN of the parent, as a directory writes it in the DN of its child; nothing: there is none."""
    found = _ABOVE.match(dn)
    return dn[found.end() :] if found else b""


class WrittenEntries:
    """Which entries below one base were written.

    A directory builds the DN of a child of that of its parent, so they are compared byte by byte.
    """

    def __init__(self) -> None:
        self._parents: set[bytes] = set()
        self._hashes = _Hashes()

    def begin(self, dns: Sequence[str]) -> None:
        """Note that the parents of the highest of these entries are no part of the export."""
        least = min(map(names.depth, dns), default=0)
        self._parents.update(parent_dn(dn.encode()) for dn in dns if names.depth(dn) == least)

    def takes_all(self, dns: Collection[bytes]) -> bool:
        """Note entries as written if they stand in containers that were; else note nothing."""
        # One that has a comma in its own name is looked at one by one.
        if not {dn.partition(b",")[2] for dn in dns} <= self._parents:
            return False
        self._hashes.add(dns)
        return True

    def takes(self, dn: bytes, *, container: bool = False) -> bool:
        """Note an entry as written if its parent was.

        Args:
            dn: Its DN.
            container: Whether many entries stand below it.
        """
        parent = parent_dn(dn)
        if parent not in self._parents and parent not in self._hashes:
            return False
        self.add(dn, container=container)
        return True

    def add(self, dn: bytes, *, container: bool = False) -> None:
        """Note an entry as written."""
        if container:
            self._parents.add(dn)
        else:
            self._hashes.add((dn,))

    def close(self) -> None:
        """Forget all of them."""
        self._hashes.close()


class DeferredEntries:
    """Entries whose parents were not written when they came."""

    def __init__(self) -> None:
        self._number = 0
        self._depths: set[int] = set()

    def put(self, record: LdifRecord) -> None:
        """Keep an entry until its parent is written."""
        if not self._number:
            # Hardly any export needs it.
            from ldif_export.readers.record_store import RecordStore  # noqa: PLC0415

            self._store = RecordStore()
        self._number += 1
        depth = names.depth(record.dn)
        self._depths.add(depth)
        self._store.put(depth, b"%d" % self._number, record)

    def leave(self, written: WrittenEntries, *, whole: bool) -> Generator[LdifRecord, None, None]:
        """Give back what waits, parents first, and forget it.

        Args:
            written: What was written before.
            whole: Whether nothing was left out on purpose; otherwise what lies below such an entry
                is left out, too.
        """
        try:
            for depth in sorted(self._depths):
                for record in self._store.records(depth):
                    if not written.takes(record.dn.encode()):
                        if not whole:
                            continue
                        written.add(record.dn.encode())
                    yield record
        finally:
            self.close()

    def close(self) -> None:
        """Forget what waits."""
        if self._number:
            self._store.close()
        self._number = 0
        self._depths.clear()


class _Hashes:
    """Hashes of DNs: on the disk until somebody asks, which happens in few exports."""

    def __init__(self) -> None:
        self._new = array("q")
        self._file: IO[bytes] | None = None
        self._sorted: list[array[int]] = []
        self._loose: set[int] = set()
        self._asked = False

    def add(self, dns: Iterable[bytes]) -> None:
        self._new.extend(map(hash, dns))
        if len(self._new) >= _TOGETHER and not self._asked:
            self._put_aside()

    def __contains__(self, dn: bytes) -> bool:
        self._take_in()
        wanted = hash(dn)
        return wanted in self._loose or any(_holds(some, wanted) for some in self._sorted)

    def close(self) -> None:
        """Forget them."""
        if self._file:
            self._file.close()

    def _put_aside(self) -> None:
        self._file = self._file or _unnamed()
        if self._file:
            self._new.tofile(self._file)
        else:
            self._sorted.append(array("q", sorted(self._new)))
        del self._new[:]

    def _take_in(self) -> None:
        if not self._asked and self._file:
            self._file.seek(0)
            while some := self._file.read(_TOGETHER * self._new.itemsize):
                self._sorted.append(array("q", sorted(array("q", some))))
            self.close()
        self._asked = True
        self._loose.update(self._new)
        del self._new[:]
        if len(self._loose) >= _TOGETHER:
            self._sorted.append(array("q", sorted(self._loose)))
            self._loose.clear()


def _unnamed() -> IO[bytes] | None:
    """Open a file without a name, which goes with the process; None: there are none here."""
    # The module tempfile takes more memory than is saved.
    flags = os.O_RDWR | getattr(os, "O_TMPFILE", 0)
    try:
        return os.fdopen(os.open(os.environ.get("TMPDIR") or "/tmp", flags, 0o600), "w+b")  # noqa: S108
    except OSError:
        return None


def _holds(ordered: "array[int]", wanted: int) -> bool:
    place = bisect_left(ordered, wanted)
    return place < len(ordered) and ordered[place] == wanted
