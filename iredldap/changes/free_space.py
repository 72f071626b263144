"""Room in a database that is nearly full.

back-mdb writes copies of pages. Those that a write has left are free for the second write after it,
and for none while a search goes on that began before. So a deletion needs room before it gives any
back, and several in a row need more than one: they came to a stop in the middle, with room for
each of them. A write that changes nothing needs little, and ends the wait.

Source: slapd 2.5.13 with a small `maxsize`, measured.
"""

from iredldap.dit.plan import Modify
from iredldap.gateways.directory import Directory

_COMMITS = 2


def reclaim(directory: Directory, dn: str) -> None:
    """Let the database use what was given back before.

    Args:
        directory: Where.
        dn: An entry that is there; it gets another state, and nothing else.

    Raises:
        DirectoryFull: If there is no room even for that.
    """
    for _ in range(_COMMITS):
        directory.write(Modify(dn, ()))
