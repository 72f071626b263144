"""Find the mailboxes, of accounts and deleted ones, that are near some directories.

Source: `docs/decisions/0024-a-mailbox-belongs-to-one-account.md`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain

from iredldap.dit import mailbox, names
from iredldap.dit.entry import Entry
from iredldap.dit.mailbox import PathSet
from iredldap.gateways.tables.deleted_mailboxes import DeletedMailbox
from iredldap.operations.context import Context


@dataclass(frozen=True)
class NearMailboxes:
    """What is near a path that is asked for.

    Args:
        owners: DN, address and path of the accounts whose mailboxes touch it.
        deleted: The deleted mailboxes that do.
        again: Looks for these once more, after the path was written.
    """

    owners: Sequence[tuple[str, str, str]]
    deleted: Sequence[DeletedMailbox]
    again: Callable[[], Sequence[DeletedMailbox]]


def look_near(
    context: Context, wanted: Mapping[str, Callable[[], str | None]]
) -> Mapping[str, NearMailboxes]:
    """Find what is near some paths that are asked for, together.

    Args:
        context: Accounts and deleted mailboxes.
        wanted: By normalised path: returns the DN below which all usual mailboxes near it belong to
            accounts, or None: they may belong to any. It is called for paths that do not end in a
            time.

    Raises:
        ServerDown: If the directory or the database of deleted mailboxes does not answer.
    """
    directory, outside = context.directory, context.outside
    tree, path_set = directory.tree, PathSet(wanted)
    open_ = [path for path in wanted if not mailbox.ends_in_a_time(path)]
    # No usual mailbox lies inside a path that ends in a time. What lies inside others no index
    # finds: all accounts are read.
    homes = {wanted[path]() or tree.base for path in open_}
    homes = {tree.base} if tree.base in homes else homes
    entries = chain(
        directory.stream(mailbox.overlap_query(tree.base, path_set.paths)),
        *(directory.stream(mailbox.mailboxes_query(home)) for home in sorted(homes)),
        () if tree.base in homes else outside.unusual_paths.touching(directory, path_set),
    )
    owners: dict[str, dict[str, tuple[str, str, str]]] = {path: {} for path in wanted}
    for owner in owners_of(entries, path_set):
        for path in path_set.overlapping(owner[2]):
            owners[path][owner[0]] = owner

    def rows() -> dict[str, list[DeletedMailbox]]:
        found: dict[str, list[DeletedMailbox]] = defaultdict(list)
        for row in outside.iredadmin.written_down(sorted(path_set.paths)).values():
            for path in path_set.overlapping(mailbox.normalized(row.maildir)):
                found[path].append(row)
        return found

    # Once for all of them: it is called when all have been written.
    rows_again = cache(rows)
    first = rows()
    return {
        path: NearMailboxes([*found.values()], first.get(path, ()), partial(_at, rows_again, path))
        for path, found in owners.items()
    }


def _at(
    rows: Callable[[], Mapping[str, Sequence[DeletedMailbox]]], path: str
) -> Sequence[DeletedMailbox]:
    return rows().get(path, ())


def home_of_path(path: str, name: str, base: Callable[[], str], dn: str) -> str | None:
    """Return the DN of the domain whose directory a path lies in; None: it lies elsewhere.

    The directory of a domain holds the mailboxes of that domain, and unusual ones.
    """
    at_home = path.startswith(mailbox.folders(name, base()))
    return names.domain_dn(dn) if at_home else None


def owners_of(
    entries: Iterable[Entry], path_set: PathSet, exempt: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str, str]]:
    """Yield DN, address and path of the accounts whose mailboxes touch some directories."""
    for entry in entries:
        path = mailbox.location(entry)
        if path not in exempt and path_set.overlapping(path):
            yield entry.dn, entry.folded("mail"), path
