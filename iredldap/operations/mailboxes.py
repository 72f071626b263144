"""Assign mailbox paths: a path belongs to one account, existing or deleted.

Two accounts with one directory read each other's mail, and the deletion of one removes the other's
mail. Before a path is written to an entry it is searched for among the accounts, then among the
deleted mailboxes, and both are searched again afterwards. A deletion searches for existing
accounts, records the path, and searches again. Of two competing requests, the one that searches
second finds the other.

Source: `docs/decisions/0024-a-mailbox-belongs-to-one-account.md`.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from types import MappingProxyType

from iredldap.config.accounts import AccountSettings
from iredldap.dit import mail_names, mailbox, names
from iredldap.dit.entry import Entry
from iredldap.dit.mailbox import PathSet
from iredldap.dit.plan import Correction, Operation, Outside, Query, Recheck
from iredldap.errors import (
    MailboxInUse,
    PermissionDenied,
    PreconditionFailed,
    ServerDown,
)
from iredldap.gateways.directory import Directory
from iredldap.gateways.tables.deleted_mailboxes import DeletedMailbox
from iredldap.operations.context import Context
from iredldap.operations.near_mailboxes import (
    NearMailboxes,
    home_of_path,
    look_near,
    owners_of,
)
from iredldap.operations.outside_systems import OutsideSystems

_SKEW = timedelta(days=2)
"""How far clocks and time zones may differ. A mailbox whose path has the time of its creation is
recorded as deleted after that time, and rows are found by the time when they were written."""


@dataclass(frozen=True, kw_only=True)
class MailboxAssignment:
    """A path that an account is to have.

    Args:
        mail: Address of the account.
        dn: Its entry.
        path: Normalised.
        query: Finds the accounts whose mailboxes can touch the path.
        since: When the oldest row that can touch it was written, local time; None: any may.
        exempt: Directories in which mailboxes are made even if another account has them.
        others: Accounts that the mailbox is deliberately shared with: addresses by DN, lower case.
        takes_over: Returns whether the deleted mailbox of a row may become this one.
        was_deleted: Whether there is such a row.
        again: Looks for such rows once more; None: by a query of its own.
    """

    mail: str
    dn: str
    path: str
    query: Query
    since: datetime | None = None
    exempt: frozenset[str] = frozenset()
    others: Mapping[str, str] = field(default_factory=dict)
    takes_over: Callable[[DeletedMailbox], bool]
    was_deleted: bool = False
    again: Callable[[], Sequence[DeletedMailbox]] | None = None

    @property
    def shared_with(self) -> tuple[str, ...]:
        """Addresses of the accounts that the mailbox is shared with."""
        return tuple(sorted(self.others.values()))

    @property
    def may_be_taken_over(self) -> bool:
        """Whether a deleted mailbox can be at this path and become this one."""
        return self.since is None


def storage_base(limits: Mapping[str, object], accounts: AccountSettings) -> str:
    """Return the directory below which a domain's new mailboxes lie.

    Args:
        limits: Settings of the domain.
        accounts: Those of the server, for a domain that has no absolute path of its own.
    """
    own = str(limits.get("defaultStorageBaseDirectory", ""))
    return own if own.startswith("/") else accounts.storage_base


@dataclass(frozen=True, slots=True)
class PathCandidate:
    """The path that a new account gets if it is free, and the search for accounts that touch it.

    The search can be combined with that for the domain of the account. If the domain turns out to
    have a storage directory of its own, `generate` searches again. `deleted` is what
    `search_deleted` found: rows by their ids, or the refusal of the database.
    """

    mail: str
    base: str
    path: str
    exempt: frozenset[str]
    query: Query
    deleted: Future[dict[int, DeletedMailbox]] = field(default_factory=Future)


def first_candidate(context: Context, mail: str) -> PathCandidate:
    """Return the path below the storage directory of the server, which is tried first."""
    directory, accounts, now = context.directory, context.config.accounts, context.now
    base = accounts.storage_base
    path = mailbox.path(mail, base, accounts, now)
    exempt = _exempt(mail_names.domain_of(mail), base, accounts)
    return PathCandidate(
        mail, base, path, exempt, mailbox.overlap_query(directory.tree.base, (path,), exempt=exempt)
    )


def search_deleted(context: Context, candidate: PathCandidate) -> None:
    """Search for deleted mailboxes that touch a path, for `generate`.

    Called while the directory searches for accounts, which takes as long (0.2 ms each, of the 11 ms
    of a creation).
    """
    if candidate.deleted.done():
        return
    since = _oldest(candidate.path, context.now)
    try:
        rows = context.outside.iredadmin.written_down([candidate.path], since)
    except ServerDown as ex:
        # Raised by `generate`: a request that is refused for the entries does not need the answer.
        candidate.deleted.set_exception(ex)
    else:
        candidate.deleted.set_result(rows)


def search_deleted_several(context: Context, candidates: Iterable[PathCandidate]) -> None:
    """Search for deleted mailboxes that touch any of some paths, as `search_deleted` for one."""
    by_age = defaultdict[datetime | None, list[PathCandidate]](list)
    for candidate in candidates:
        by_age[_oldest(candidate.path, context.now)].append(candidate)
    for since, alike in by_age.items():
        try:
            rows = context.outside.iredadmin.written_down([one.path for one in alike], since)
        except ServerDown as ex:
            for candidate in alike:
                candidate.deleted.set_exception(ex)
        else:
            for candidate in alike:
                candidate.deleted.set_result(rows)


def _oldest(path: str, now: datetime) -> datetime | None:
    """Return when the oldest row that can touch a path was written, local time; None: any may."""
    return now.replace(tzinfo=None) - _SKEW if mailbox.ends_in_a_time(path) else None


def _exempt(name: str, base: str, accounts: AccountSettings) -> frozenset[str]:
    """Return the directories in which a domain's mailboxes are made even if an account has them."""
    trunk = mailbox.trunk(name, base, accounts)
    return frozenset({trunk, *mailbox.above(trunk)})


def generate(
    context: Context, base: str, dn: str, first: PathCandidate, found: Iterable[Entry]
) -> MailboxAssignment:
    """Choose a path for a new account that touches no other mailbox.

    No mailbox lies inside a path that ends in a time; inside others there may be unusual paths. The
    cost of a creation does not grow with the number of accounts.

    Args:
        context: Accounts, deleted mailboxes, and the form of new paths.
        base: Directory that the path lies below.
        dn: The entry of the account.
        first: The result of `first_candidate`, with what `search_deleted` found for it.
        found: The entries that its query found; others may be among them.

    Raises:
        MailboxInUse: If other accounts have all paths that it could get.
        ServerDown: If the database of deleted mailboxes does not answer.
    """
    directory, outside, now = context.directory, context.outside, context.now
    mail = first.mail
    accounts = context.config.accounts
    tree = directory.tree
    is_first = base == first.base
    exempt = first.exempt if is_first else _exempt(mail_names.domain_of(mail), base, accounts)
    candidates = mailbox.candidates(mail, base, accounts, now)
    # The first path is free in nearly all cases, and was searched together with the domain. What
    # follows are paths with the times of later seconds.
    for paths in chain([(first.path,)] if is_first else [], candidates):
        since = _oldest(paths[0], now)
        takes_over = _never if since else partial(_was_of, mail)
        path_set = PathSet(paths)
        taken: set[str] = set()
        is_searched = paths == (first.path,)
        others = chain(
            found if is_searched else _stream(directory, paths, exempt),
            # An index of homeDirectory finds equal paths only. Those that lie inside one can be
            # found by reading all paths, which each worker does once and keeps.
            () if since else outside.unusual_paths.touching(directory, path_set),
        )
        for _, _, path in owners_of(others, path_set, exempt):
            taken |= path_set.overlapping(path)
        rows = (
            first.deleted.result(timeout=0)
            if is_searched
            else outside.iredadmin.written_down(paths, since)
        )
        for row in rows.values():
            path = mailbox.normalized(row.maildir)
            # The files of a deleted mailbox are still there, with the mail of the former owner.
            if path not in paths or not takes_over(row):
                taken |= path_set.overlapping(path)
        free = next((path for path in paths if path not in taken), None)
        if free:
            return MailboxAssignment(
                mail=mail,
                dn=dn,
                path=free,
                # What lies around it is searched before the write, in the domain's turn. An account
                # of another domain that moves there in this moment is left to `iredldap doctor`: a
                # second search would cost each creation as much as the first.
                query=mailbox.query_by_path(tree.base, free),
                since=since,
                exempt=exempt,
                takes_over=takes_over,
            )
    raise MailboxInUse(f"others have all paths for {mail} below {base}")


def _stream(
    directory: Directory, paths: Collection[str], exempt: frozenset[str]
) -> Iterator[Entry]:
    return directory.stream(mailbox.overlap_query(directory.tree.base, paths, exempt=exempt))


def _never(_: DeletedMailbox) -> bool:
    return False


def _was_of(mail: str, row: DeletedMailbox) -> bool:
    return row.username.lower() == mail


def check_requested(
    context: Context,
    base: Callable[[], str],
    mail: str,
    dn: str,
    path: str,
    near: Mapping[str, NearMailboxes] = MappingProxyType({}),
) -> MailboxAssignment:
    """Check a path that a request names for a mailbox.

    A normal admin's lies in the directory of the domain and touches no other mailbox. A global
    admin may name exactly the path of other accounts, which then share the mailbox; no mailbox may
    lie inside another one. A deleted mailbox at the path is taken over, by a normal admin only one
    of a domain that they manage.

    Args:
        context: Accounts, deleted mailboxes, and who names the path.
        base: Returns the directory below which new mailboxes of the domain lie.
        mail: Address of the account.
        dn: Its entry.
        path: The path.
        near: What was found by `look_near`, where that is so for this path.

    Raises:
        PermissionDenied: If a normal admin names one outside of the directory of the domain.
        MailboxInUse: If it touches the mailbox of another account, or one that was deleted.
        ServerDown: If the database of deleted mailboxes does not answer.
    """
    caller = context.caller
    wanted, name = mailbox.normalized(path), mail_names.domain_of(mail)
    if not caller.is_global:
        _require_mailbox_in_domain(name, base(), wanted)
    # The mailbox around it is a user's, was one or becomes one: with its removal this one would go.
    if mailbox.is_inside_a_mailbox(wanted):
        raise MailboxInUse(f"{wanted} lies inside a mailbox", parameter="maildir")
    found = (
        near.get(wanted)
        or look_near(context, {wanted: partial(home_of_path, wanted, name, base, dn)})[wanted]
    )
    others = {}
    for owner, address, theirs in found.owners:
        if names.same_dn(owner, dn):
            continue
        # Exactly the same path is a team's mailbox, made on purpose. To share a mailbox gives the
        # right to read it, so a normal admin may not.
        if theirs != wanted or not caller.is_global:
            raise MailboxInUse(f"{wanted}: {owner} has {theirs}", parameter="maildir")
        others[owner.lower()] = address

    def takes_over(row: DeletedMailbox) -> bool:
        return caller.manages(row.domain.lower())

    place = MailboxAssignment(
        mail=mail,
        dn=dn,
        path=wanted,
        query=mailbox.overlap_query(context.directory.tree.base, (wanted,)),
        others=others,
        takes_over=takes_over,
        was_deleted=bool(found.deleted),
        again=found.again,
    )
    for row in found.deleted:
        if not _is_taken_over(place, row):
            raise MailboxInUse(f"{wanted}: {row.maildir} was {row.username}'s", parameter="maildir")
    return place


def _require_mailbox_in_domain(name: str, base: str, path: str) -> None:
    folders = mailbox.folders(name, base)
    if not any(path.startswith(folder) and path != folder for folder in folders):
        raise PermissionDenied(f"{path} is not inside {folders[0]}", parameter="maildir")


def reclaiming(outside: OutsideSystems, place: MailboxAssignment) -> Iterator[Outside]:
    """Yield the step that takes over a deleted mailbox, if there is one at the path.

    One that is recorded after it was looked for is found by `recheck`.
    """
    if place.was_deleted or (place.may_be_taken_over and place.again is None):
        outside.ask()
        yield outside.reclaiming_paths(place.path)


def recheck(
    directory: Directory,
    outside: OutsideSystems,
    place: MailboxAssignment,
    withdrawn: tuple[Operation, ...],
) -> Recheck:
    """Return the recheck of a path after it was written to an entry.

    If another account has it, the change is reverted and the plan made again, which finds another
    path or refuses. A mailbox that a deletion recorded meanwhile is taken over.

    Args:
        directory: Where accounts are.
        outside: Where deleted mailboxes are.
        place: The path and its account.
        withdrawn: Reverts the change.
    """
    path_set = PathSet([place.path])

    def is_still_free(entries: Iterable[Entry]) -> bool:
        owners = owners_of(entries, path_set, place.exempt)
        if any(
            not names.same_dn(dn, place.dn)
            and (dn.lower() not in place.others or path != place.path)
            for dn, _, path in owners
        ):
            return False
        if not place.may_be_taken_over:
            # A deletion that records this path now had its account there when the path was chosen,
            # so the path would not have been chosen.
            return True
        rows = place.again() if place.again else _rows(outside, place)
        if not all(_is_taken_over(place, row) for row in rows):
            return False
        if rows:
            outside.iredadmin.reclaim_mailboxes([place.path])
        return True

    def judge(entries: Iterable[Entry]) -> Correction:
        try:
            if is_still_free(entries):
                return Correction()
        except ServerDown as ex:
            # Whether a deletion has recorded the path cannot be known: then the account goes again,
            # rather than lose its mail one day.
            return Correction(withdrawn, ex)
        return Correction(withdrawn, PreconditionFailed(f"others use {place.path} too"))

    return Recheck("check that no other account has the mailbox", place.query, judge)


def _rows(outside: OutsideSystems, place: MailboxAssignment) -> list[DeletedMailbox]:
    path_set = PathSet([place.path])
    rows = outside.iredadmin.written_down([place.path], place.since).values()
    return [row for row in rows if path_set.overlapping(mailbox.normalized(row.maildir))]


def _is_taken_over(place: MailboxAssignment, row: DeletedMailbox) -> bool:
    return mailbox.normalized(row.maildir) == place.path and place.takes_over(row)
