"""Whether addresses and domains that a restore brings belong to others in the directory.

The directory itself lets two accounts have an address, and their mail would go to both.
"""

from collections.abc import Callable, Iterator
from itertools import islice

from iredldap import finders
from iredldap.gateways.directory import Directory
from ldif_export import entry_kinds
from ldif_export.entry_kinds import DnParts
from ldif_export.ldif.parser import LineIssue
from ldif_export.restore.file_index import FileIndex

_TOGETHER = 1000


def find_conflicts(
    index: FileIndex,
    directory: Directory,
    is_brought: Callable[[int], bool],
    parts: Callable[[str], DnParts],
    *,
    by_depth: bool,
    overwrite: bool,
    afterwards: bool = False,
) -> Iterator[LineIssue]:
    """Find what belongs to another entry of the directory.

    What the file itself gives to two entries is told elsewhere.

    Args:
        index: What the file has.
        directory: Where it is to be.
        is_brought: Whether the entry at a position is written.
        parts: Takes a DN apart as the directory compares it.
        by_depth: Whether positions are those of parents first.
        overwrite: Whether entries that differ become as the file has them, and so may lose
            what the file gives to another one.
        afterwards: Whether they are written by now. Before that, what an entry has there already
            is no news.

    Raises:
        ServerDown: If the directory does not answer.
    """
    brought = (
        claim for claim in index.unique_names(by_depth=by_depth) if is_brought(claim.position)
    )
    while some := list(islice(brought, _TOGETHER)):
        having = _having(directory, {claim.claim for claim in some}, parts)
        for claim in some:
            holders = having.get(claim.claim, {})
            if claim.key in holders and not afterwards:
                continue
            for key, dn in holders.items():
                is_left = overwrite and index.holds(key)
                if key != claim.key and not (is_left or index.has_unique_name(claim.claim, key)):
                    yield LineIssue(claim.line, f"{claim.dn}: {claim.claim} belongs to {dn}")


def _having(
    directory: Directory, claims: set[str], parts: Callable[[str], DnParts]
) -> dict[str, dict[bytes, str]]:
    """Who has what, by the key of the DN."""
    addresses = {claim for claim in claims if "@" in claim}
    found = finders.holders(directory, addresses, ()) | finders.domains_by_name(
        directory, claims - addresses
    )
    return {
        claim: {entry_kinds.dn_key(parts(entry.dn)): entry.dn for entry in entries}
        for claim, entries in found.items()
    }
