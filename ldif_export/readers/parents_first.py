"""Put parents before their children, whatever the order in which a directory returns entries.

Nearly all entries are in a container that was written before them: to check that costs a lookup in
a small set. For the others, children of accounts and their descendants, it must be known whether
their parent was written; hence the hash of each DN. An entry that comes before its parent waits on
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
# 128 KB of hashes are sorted and written at a time; sorted chunks are searched by bisection, so a
# million entries take 8 MB and no Python integers.
_CHUNK = 16 * 1024


def parent_dn(dn: bytes) -> bytes:
    """Return the DN of the parent, as spelled in the DN of its child; empty: there is none."""
    found = _ABOVE.match(dn)
    return dn[found.end() :] if found else b""


class WrittenEntries:
    """Keep track of the entries below one base that were written.

    A directory builds the DN of a child from that of its parent, so they are compared byte by byte.
    """

    def __init__(self) -> None:
        self._parents: set[bytes] = set()
        self._hashes = _Hashes()

    def add_roots(self, dns: Sequence[str]) -> None:
        """Register the parents of the highest of these entries: they are not part of the export."""
        least = min(map(names.depth, dns), default=0)
        self._parents.update(parent_dn(dn.encode()) for dn in dns if names.depth(dn) == least)

    def accept_all(self, dns: Collection[bytes]) -> bool:
        """Register entries as written if their containers were; otherwise register none of them."""
        # A DN with a comma in its RDN is cut wrongly here, and then checked by itself.
        if not {dn.partition(b",")[2] for dn in dns} <= self._parents:
            return False
        # Mostly leaves of the tree: registering one costs a hash.
        self._hashes.add(dns)
        return True

    def accept(self, dn: bytes, *, container: bool = False) -> bool:
        """Register an entry as written if its parent was.

        Args:
            dn: Its DN.
            container: Whether many entries are below it.
        """
        parent = parent_dn(dn)
        if parent not in self._parents and parent not in self._hashes:
            return False
        self.add(dn, container=container)
        return True

    def add(self, dn: bytes, *, container: bool = False) -> None:
        """Register an entry as written."""
        if container:
            self._parents.add(dn)
        else:
            self._hashes.add((dn,))

    def close(self) -> None:
        """Release the memory and the temporary file."""
        self._hashes.close()


class DeferredEntries:
    """Entries that came before their parents were written."""

    def __init__(self) -> None:
        self._number = 0
        self._depths: set[int] = set()

    def put(self, record: LdifRecord) -> None:
        """Keep an entry until its parent is written."""
        if not self._number:
            # Hardly any export needs it, and it loads sqlite3.
            from ldif_export.readers.record_store import RecordStore  # noqa: PLC0415

            self._store = RecordStore()
        self._number += 1
        depth = names.depth(record.dn)
        self._depths.add(depth)
        self._store.put(depth, b"%d" % self._number, record)

    def release(self, written: WrittenEntries, *, whole: bool) -> Generator[LdifRecord, None, None]:
        """Yield the deferred entries, parents first, and forget them.

        Args:
            written: What was written before.
            whole: Whether nothing was left out on purpose; otherwise descendants of an entry that
                was left out are left out as well.
        """
        try:
            for depth in sorted(self._depths):
                for record in self._store.records(depth):
                    if not written.accept(record.dn.encode()):
                        if not whole:
                            continue
                        written.add(record.dn.encode())
                    yield record
        finally:
            self.close()

    def close(self) -> None:
        """Forget the deferred entries."""
        if self._number:
            self._store.close()
        self._number = 0
        self._depths.clear()


class _Hashes:
    """Hashes of DNs: on the disk until the first lookup, which happens in few exports."""

    def __init__(self) -> None:
        self._new = array("q")
        self._file: IO[bytes] | None = None
        self._sorted: list[array[int]] = []
        self._loose: set[int] = set()
        self._looked_up = False

    def add(self, dns: Iterable[bytes]) -> None:
        self._new.extend(map(hash, dns))
        if len(self._new) >= _CHUNK and not self._looked_up:
            self._spill()

    def __contains__(self, dn: bytes) -> bool:
        self._load()
        wanted = hash(dn)
        return wanted in self._loose or any(_holds(some, wanted) for some in self._sorted)

    def close(self) -> None:
        """Release the temporary file."""
        if self._file:
            self._file.close()

    def _spill(self) -> None:
        self._file = self._file or _unnamed()
        if self._file:
            self._new.tofile(self._file)
        else:
            self._sorted.append(array("q", sorted(self._new)))
        del self._new[:]

    def _load(self) -> None:
        if not self._looked_up and self._file:
            self._file.seek(0)
            while some := self._file.read(_CHUNK * self._new.itemsize):
                self._sorted.append(array("q", sorted(array("q", some))))
            self.close()
        self._looked_up = True
        self._loose.update(self._new)
        del self._new[:]
        # A set of integers takes several times the memory of a sorted array.
        if len(self._loose) >= _CHUNK:
            self._sorted.append(array("q", sorted(self._loose)))
            self._loose.clear()


def _unnamed() -> IO[bytes] | None:
    """Open a file without a name, removed when the process ends; None: not supported here."""
    # Loading the module tempfile takes more memory than this saves.
    flags = os.O_RDWR | getattr(os, "O_TMPFILE", 0)
    try:
        return os.fdopen(os.open(os.environ.get("TMPDIR") or "/tmp", flags, 0o600), "w+b")  # noqa: S108
    except OSError:
        return None


def _holds(ordered: "array[int]", wanted: int) -> bool:
    place = bisect_left(ordered, wanted)
    return place < len(ordered) and ordered[place] == wanted
