"""Find addresses and domains of a restore that belong to other entries of the directory.

The directory itself allows two accounts to have an address, and their mail would go to both.
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
    """Yield what belongs to another entry of the directory.

    What the file itself gives to two entries is reported by `checks`.

    Args:
        index: Index of the file.
        directory: Where it is to be restored.
        is_brought: Returns whether the entry at a position is written.
        parts: Splits a DN into components as the directory compares them.
        by_depth: Whether positions are those of parents first.
        overwrite: Whether entries that differ become as the file has them, and so may lose what the
            file gives to another one.
        afterwards: Whether they have been written. Before that, what an entry already has in the
            directory is no conflict.

    Raises:
        ServerDown: If the directory does not answer.
    """
    brought = (
        unique for unique in index.unique_names(by_depth=by_depth) if is_brought(unique.position)
    )
    # A thousand at a time: one search for each address would take as long as the restore itself.
    while some := list(islice(brought, _TOGETHER)):
        having = _holders(directory, {unique.name for unique in some}, parts)
        for unique in some:
            holders = having.get(unique.name, {})
            # It had the address before, shared or not; the restore changes nothing about that.
            if unique.key in holders and not afterwards:
                continue
            for key, dn in holders.items():
                # The other entry is in the file too and will become as the file has it, thus lose
                # the address.
                is_left = overwrite and index.holds(key)
                if key != unique.key and not (is_left or index.has_unique_name(unique.name, key)):
                    yield LineIssue(unique.line, f"{unique.dn}: {unique.name} belongs to {dn}")


def _holders(
    directory: Directory, names: set[str], parts: Callable[[str], DnParts]
) -> dict[str, dict[bytes, str]]:
    """Return the entries that have each address or domain, by the key of their DN."""
    addresses = {name for name in names if "@" in name}
    found = finders.holders(directory, addresses, ()) | finders.domains_by_name(
        directory, names - addresses
    )
    return {
        name: {entry_kinds.dn_key(parts(entry.dn)): entry.dn for entry in entries}
        for name, entries in found.items()
    }
