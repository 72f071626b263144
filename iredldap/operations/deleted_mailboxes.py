"""Record the mailboxes of deleted accounts, which a job removes later.

Source: `docs/decisions/0024-a-mailbox-belongs-to-one-account.md`.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta

from iredldap.dit import mail_names, mailbox, names
from iredldap.dit.entry import Entry
from iredldap.dit.mailbox import PathSet
from iredldap.dit.plan import Outside, Query
from iredldap.errors import InvalidParameter
from iredldap.gateways.directory import Directory
from iredldap.gateways.tables.deleted_mailboxes import DeletedMailbox
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.near_mailboxes import owners_of


def days_kept(context: Context, path: PathVariables) -> int:
    """Return the number of days for which files of deleted mailboxes are kept; 0: for good.

    Raises:
        InvalidParameter: If a normal admin may not choose that many.
    """
    days = int(path.get("number", 0))
    choices = context.config.accounts.mailbox_days
    # Refused rather than shortened: files would be removed earlier than the admin was told.
    if days and not context.caller.is_global and days not in choices:
        words = f"{days} is none of {', '.join(map(str, choices))}"
        raise InvalidParameter(words, parameter="number")
    return days


def record_deleted(
    context: Context, users: Callable[[], Iterable[Entry]], dn: str, days: int
) -> Outside:
    """Return the step that records the mailboxes of users to be deleted, unless others use them.

    A directory that another account uses, lies in or contains is not recorded, and is removed from
    `deleted_mailboxes` if it is there: the account may have been added during the step. The root,
    and a relative path, which may be any directory, are never recorded. No usual mailbox lies
    inside a path that ends in a time; inside others may lie accounts of the domain whose name is
    part of the path, or else of any domain, which are read for it.

    Args:
        context: Accounts, deleted mailboxes, and who deletes.
        users: Returns the entries of the users, when the step is executed.
        dn: Entry that is deleted, with everything below it.
        days: For which the files are kept; 0: for good.
    """
    directory, outside = context.directory, context.outside
    # Local time: the job that removes them uses the time zone of this server, too.
    due = context.now.date() + timedelta(days) if days else None

    # Read when the step is executed: between plan and step the users of a domain may have got other
    # paths.
    def work() -> None:
        deleted: dict[str, list[DeletedMailbox]] = {}
        spelled = set()
        for entry in users():
            path = mailbox.location(entry)
            if mailbox.is_a_directory_of_its_own(path):
                spelled.add(mailbox.stored_path(entry))
                mail = entry.folded("mail")
                row = DeletedMailbox(mail, mail_names.domain_of(mail), mailbox.stored_path(entry))
                deleted.setdefault(path, []).append(row)
        if not deleted:
            return
        path_set, everybody = PathSet(deleted), mailbox.mailboxes_query(directory.tree.base)
        by_index = mailbox.overlap_query(directory.tree.base, deleted, spelled=spelled)
        equal = by_index if len(deleted) <= _FEW else everybody
        used = _used(directory, path_set, dn, equal)
        # Accounts whose mailbox lies inside one of the directories. An index finds equal values
        # only.
        used |= _touched(outside.unusual_paths.touching(directory, path_set), path_set, dn)
        open_ = [path for path in deleted if not mailbox.ends_in_a_time(path)]
        if open_:
            home = names.domain_name_in(dn)
            at_home = bool(home) and all(f"/{home}/" in path for path in open_)
            base = (at_home and names.domain_dn(dn)) or directory.tree.base
            used |= _used(directory, path_set, dn, mailbox.mailboxes_query(base))
        # A shared mailbox is kept for the account that remains. Of two that are deleted at the same
        # moment, each may leave it to the other: then files stay, and none is lost.
        gone = [row for path, rows in deleted.items() if path not in used for row in rows]
        outside.iredadmin.remember_mailboxes(gone, due, context.caller.address)
        # After the rows are written: an account that got a path before them is found here; one that
        # gets it after them finds the rows by its own recheck.
        used |= _used(directory, path_set, dn, equal)
        if used:
            # Not what lies inside: that may be a deleted mailbox beside existing ones.
            outside.iredadmin.reclaim_mailboxes(used, inside=False)

    words = f"until {due}" if due else "for good"
    return Outside(f"record that mailboxes are kept {words}", work)


_FEW = 20
"""Most paths that a filter names; for more, all accounts are read and compared here."""


def _used(directory: Directory, path_set: PathSet, gone: str, query: Query) -> set[str]:
    """Return those of some directories that an account touches which is not below a DN."""
    return _touched(directory.stream(query), path_set, gone)


def _touched(entries: Iterable[Entry], path_set: PathSet, gone: str) -> set[str]:
    return {
        touched
        for dn, _, path in owners_of(entries, path_set)
        if not names.is_within(dn, gone)
        for touched in path_set.overlapping(path)
    }
