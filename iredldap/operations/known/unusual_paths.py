"""Cache the mailboxes that lie outside the directory of their domain.

An LDAP search cannot find the mailboxes inside a directory: `homeDirectory` has neither a substring
nor an ordering rule. All paths would have to be read, which takes seconds in a large directory.
Nearly all lie in the directory of their domain, as their paths show; only the others are kept here,
and updated by the entries that have changed since.
"""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

from iredldap.dit import csn, mailbox, names
from iredldap.dit.entry import Entry
from iredldap.dit.filters import at_least, every
from iredldap.dit.mailbox import PathSet
from iredldap.dit.plan import Query
from iredldap.gateways.directory import Directory

_OVERLAP = timedelta(minutes=5)
"""How far the clocks of directory servers may be apart, whose times are in entryCSN."""

_SETTLING = timedelta(seconds=30)
"""How long a single server may take to store what it gave an entryCSN; what an import made some
minutes ago is then not read again each time."""

_LONGEST = 6 * 3600.0
"""Seconds after which all paths are read anew: a directory may have been replaced by a copy."""


class UnusualPaths:
    """Accounts of a directory with unusual mailbox paths, as one process knows them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Entry] = {}
        self._latest = ""
        self._servers: set[str] = set()
        self._read_at = float("-inf")

    def touching(self, directory: Directory, path_set: PathSet) -> Iterator[Entry]:
        """Yield the accounts with unusual paths that touch some directories, as they are now.

        Raises:
            ServerDown: If the directory does not answer.
        """
        with self._lock:
            self._update(directory)
            candidates = [
                entry.dn
                for entry in self._known.values()
                if path_set.overlapping(mailbox.location(entry))
            ]
        for dn in candidates:
            # It may have been deleted or renamed meanwhile: the update above finds changes only.
            found = directory.read(dn, mailbox.ATTRIBUTES)
            if found:
                yield found

    def _update(self, directory: Directory) -> None:
        everybody = mailbox.mailboxes_query(directory.tree.base)
        filter_ = everybody.filter
        began = time.monotonic()
        is_anew = began - self._read_at > _LONGEST or not self._latest
        if not is_anew:
            overlap = _OVERLAP if len(self._servers) > 1 else _SETTLING
            filter_ = every(filter_, at_least("entryCSN", csn.earlier(self._latest, overlap)))
        attributes = (*mailbox.ATTRIBUTES, "entryCSN")
        known = dict[str, Entry]() if is_anew else {**self._known}
        latest, servers = ("", set[str]()) if is_anew else (self._latest, {*self._servers})
        for entry in directory.stream(Query(everybody.base, everybody.scope, filter_, attributes)):
            if state := entry.csn:
                latest = max(latest, state)
                servers.add(state.split("#")[2])
            if _is_unusual(entry):
                known[entry.dn.lower()] = entry
            else:
                known.pop(entry.dn.lower(), None)
        # Not before the answer is complete: entries come in no order of their states, and one that
        # was not reached would not be read the next time.
        self._known, self._latest, self._servers = known, latest, servers
        if is_anew:
            self._read_at = began


def _is_unusual(entry: Entry) -> bool:
    """Return whether a mailbox lies inside another one, or outside the directory of its domain.

    So do those of the older form, which no search by `homeDirectory` finds.
    """
    path, home = mailbox.location(entry), names.domain_name_in(entry.dn)
    return (
        not entry.values("homeDirectory")
        or mailbox.is_inside_a_mailbox(path)
        or home is None
        or f"/{home}/" not in path
    )
