"""Free space in a database that is nearly full.

back-mdb writes copies of pages. Pages freed by a write can be reused by the second write after it,
and not while a search goes on that began before. So a deletion needs free pages before it frees
any, and several in a row need more than one does: they failed in the middle, with space for each of
them. A write that changes nothing needs few pages, and makes the freed ones reusable.

Source: slapd 2.5.13 with a small `maxsize`, measured.
"""

from iredldap.dit.plan import Modify
from iredldap.gateways.directory import Directory

_COMMITS = 2
"""Writes after which freed pages can be reused."""


def reclaim(directory: Directory, dn: str) -> None:
    """Have the database reuse pages that were freed before.

    Args:
        directory: Where.
        dn: An existing entry; it gets a new state, and is not changed otherwise.

    Raises:
        DirectoryFull: If there is no space even for that.
    """
    for _ in range(_COMMITS):
        # An empty modification changes nothing but the state of the entry, and is a commit of its
        # own.
        directory.write(Modify(dn, ()))
