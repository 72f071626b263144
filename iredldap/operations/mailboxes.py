"""Whose mailbox lies where: a path belongs to one account, living or deleted.

Two accounts in one directory read each other's mail, and the end of one is the end of the other's
mail. Before a path is written to an entry it is looked up among the accounts, then among the
deleted mailboxes, and both are looked at again afterwards. A deletion looks for living accounts,
writes the path down, and looks again. Whichever of two rivals looks second sees the other.

Source: `docs/decisions/0024-a-mailbox-belongs-to-one-account.md`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import chain

from iredldap.config.accounts import AccountSettings
from iredldap.dit import mailbox, names
from iredldap.dit.entry import Entry
from iredldap.dit.mailbox import PathSet
from iredldap.dit.plan import Correction, Operation, Outside, Query, Recheck
from iredldap.errors import (
    InvalidParameter,
    MailboxInUse,
    PermissionDenied,
    PreconditionFailed,
    ServerDown,
)
from iredldap.gateways.directory import Directory
from iredldap.gateways.iredadmin import DeletedMailbox
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.mail_databases import Records

_SKEW = timedelta(days=2)
"""How far clocks and time zones may be apart: a mailbox whose path tells when it was made is
written down as deleted after that time, and rows are found by the time when they were written."""


@dataclass(frozen=True, kw_only=True)
class MailboxAssignment:
    """A path that an account is to have.

    Args:
        mail: Address of the account.
        dn: Its entry.
        path: Normalised.
        query: Finds the accounts whose mailboxes can touch the path.
        since: When the oldest row that can touch it was written, local time; None: any may.
        exempt: Directories in which mailboxes are made all the same, whoever has them.
        others: Accounts that the mailbox is shared with on purpose: addresses by DN, lower case.
        takes_over: Whether the deleted mailbox of a row, at the same path, may become this one.
    """

    mail: str
    dn: str
    path: str
    query: Query
    since: datetime | None = None
    exempt: frozenset[str] = frozenset()
    others: Mapping[str, str] = field(default_factory=dict)
    takes_over: Callable[[DeletedMailbox], bool]

    @property
    def shared_with(self) -> tuple[str, ...]:
        """Addresses of the accounts that the mailbox is shared with."""
        return tuple(sorted(self.others.values()))

    @property
    def may_be_taken_over(self) -> bool:
        """Whether a deleted mailbox can be at this path and become this one."""
        return self.since is None


def days_kept(context: Context, path: PathVariables) -> int:
    """Return for how many days the files of deleted mailboxes are kept; 0: for good.

    Raises:
        InvalidParameter: If a normal admin may not choose that many.
    """
    days = int(path.get("number", 0))
    choices = context.config.accounts.mailbox_days
    if days and not context.caller.is_global and days not in choices:
        words = f"{days} is none of {', '.join(map(str, choices))}"
        raise InvalidParameter(words, parameter="number")
    return days


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
    """The path that a new account gets where nothing stands against it, and a search for rivals.

    It can be asked for together with the domain of the account. That may have a storage directory
    of its own: then `generated` asks again.
    """

    base: str
    path: str
    exempt: frozenset[str]
    query: Query


def first_candidate(context: Context, mail: str) -> PathCandidate:
    """Return the path below the storage directory of the server."""
    directory, accounts, now = context.directory, context.config.accounts, context.now
    base = accounts.storage_base
    path = mailbox.path(mail, base, accounts, now)
    exempt = _exempt(names.domain_of(mail), base, accounts)
    return PathCandidate(
        base, path, exempt, mailbox.overlap_query(directory.tree.base, (path,), exempt=exempt)
    )


def _exempt(name: str, base: str, accounts: AccountSettings) -> frozenset[str]:
    """Return the directories in which mailboxes of a domain are made, whoever has them."""
    trunk = mailbox.trunk(name, base, accounts)
    return frozenset({trunk, *mailbox.above(trunk)})


def generated(
    context: Context, base: str, mail: str, dn: str, first: PathCandidate, found: Iterable[Entry]
) -> MailboxAssignment:
    """Choose a path for a new account that touches nobody's.

    Inside a path that ends in a time lies nobody; inside others may lie accounts whose paths are
    unusual. The cost of a creation does not grow with the number of accounts.

    Args:
        context: Accounts, deleted mailboxes, and the form of new paths.
        base: Directory to lie below.
        mail: Address of the account.
        dn: Its entry.
        first: What `first_candidate` gave.
        found: The answer to its query; other entries may be among it.

    Raises:
        MailboxInUse: If all paths that it could have belong to others.
        ServerDown: If the database of deleted mailboxes does not answer.
    """
    directory, records, now = context.directory, context.records, context.now
    accounts = context.config.accounts
    tree = directory.tree
    is_first = base == first.base
    exempt = first.exempt if is_first else _exempt(names.domain_of(mail), base, accounts)
    candidates = mailbox.candidates(mail, base, accounts, now)
    for paths in chain([(first.path,)] if is_first else [], candidates):
        has_time = mailbox.ends_in_a_time(paths[0])
        since = now.replace(tzinfo=None) - _SKEW if has_time else None
        takes_over = _nobodys if has_time else partial(_was_of, mail)
        path_set = PathSet(paths)
        taken: set[str] = set()
        others = chain(
            found if paths == (first.path,) else _stream(directory, paths, exempt),
            () if has_time else records.unusual_paths.touching(directory, path_set),
        )
        for _, _, path in _owners(others, path_set, exempt):
            taken |= path_set.overlapping(path)
        for row in records.iredadmin.written_down(paths, since).values():
            path = mailbox.normalized(row.maildir)
            if path not in paths or not takes_over(row):
                taken |= path_set.overlapping(path)
        free = next((path for path in paths if path not in taken), None)
        if free:
            return MailboxAssignment(
                mail=mail,
                dn=dn,
                path=free,
                # What lies around it has been asked for before the write, in the domain's turn.
                # That an account of another domain comes to lie there in this moment is left to
                # `iredldap doctor`: a second look would cost each creation as much as the first.
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


def _nobodys(_: DeletedMailbox) -> bool:
    return False


def _was_of(mail: str, row: DeletedMailbox) -> bool:
    return row.username.lower() == mail


def given(
    context: Context, base: Callable[[], str], mail: str, dn: str, path: str
) -> MailboxAssignment:
    """Judge a path that a request names for a mailbox.

    A normal admin's lies in the directory of the domain and touches nobody's. A global admin may
    name the very path of other accounts, which then share the mailbox; nobody's mailbox lies
    inside another one. A deleted mailbox at the path is taken over, by a normal admin only one of
    a domain of theirs.

    Args:
        context: Accounts, deleted mailboxes, and who names the path.
        base: Gives the directory below which new mailboxes of the domain lie.
        mail: Address of the account.
        dn: Its entry.
        path: The path.

    Raises:
        PermissionDenied: If a normal admin names one outside of the directory of the domain.
        MailboxInUse: If it touches the mailbox of another account, or one that was deleted.
        ServerDown: If the database of deleted mailboxes does not answer.
    """
    directory, records, caller = context.directory, context.records, context.caller
    wanted, name = mailbox.normalized(path), names.domain_of(mail)
    if not caller.is_global:
        _require_mailbox_in_domain(name, base(), wanted)
    if mailbox.is_inside_a_mailbox(wanted):
        raise MailboxInUse(f"{wanted} lies inside a mailbox", parameter="maildir")
    tree = directory.tree
    query = mailbox.overlap_query(tree.base, (wanted,))
    others = {}
    path_set = PathSet([wanted])
    at_home = wanted.startswith(mailbox.folders(name, base()))
    near = chain(
        directory.stream(query),
        # The directory of a domain holds the mailboxes of that domain, and unusual ones.
        directory.stream(mailbox.mailboxes_query((at_home and names.domain_dn(dn)) or tree.base)),
        records.unusual_paths.touching(directory, path_set) if at_home else (),
    )
    for owner, address, theirs in _owners(near, path_set):
        if names.same_dn(owner, dn):
            continue
        if theirs != wanted or not caller.is_global:
            raise MailboxInUse(f"{wanted}: {owner} has {theirs}", parameter="maildir")
        others[owner.lower()] = address

    def takes_over(row: DeletedMailbox) -> bool:
        return caller.manages(row.domain.lower())

    place = MailboxAssignment(
        mail=mail, dn=dn, path=wanted, query=query, others=others, takes_over=takes_over
    )
    for row in _rows(records, place):
        if not _is_taken_over(place, row):
            raise MailboxInUse(f"{wanted}: {row.maildir} was {row.username}'s", parameter="maildir")
    return place


def _require_mailbox_in_domain(name: str, base: str, path: str) -> None:
    folders = mailbox.folders(name, base)
    if not any(path.startswith(folder) and path != folder for folder in folders):
        raise PermissionDenied(f"{path} is not inside {folders[0]}", parameter="maildir")


def reclaiming(records: Records, place: MailboxAssignment) -> Iterator[Outside]:
    """Step: take a deleted mailbox over, before an account uses it; in case there can be one."""
    if place.may_be_taken_over:
        records.ask()
        yield records.reclaiming_paths(place.path)


def recheck(
    directory: Directory,
    records: Records,
    place: MailboxAssignment,
    withdrawn: tuple[Operation, ...],
) -> Recheck:
    """See whether a path, written to an entry by now, is still nobody else's.

    If not, the change is taken back and made anew, which finds another path or refuses. What a
    deletion has written down meanwhile is taken over, as it would have been before.

    Args:
        directory: Where accounts are.
        records: Where deleted mailboxes are.
        place: The path and its account.
        withdrawn: What takes the change back.
    """
    path_set = PathSet([place.path])

    def is_still_free(entries: Iterable[Entry]) -> bool:
        owners = _owners(entries, path_set, place.exempt)
        if any(
            not names.same_dn(dn, place.dn)
            and (dn.lower() not in place.others or path != place.path)
            for dn, _, path in owners
        ):
            return False
        if not place.may_be_taken_over:
            # A deletion that writes this path down now had its account there when the path was
            # chosen, and then it was not chosen.
            return True
        rows = _rows(records, place)
        if not all(_is_taken_over(place, row) for row in rows):
            return False
        if rows:
            records.iredadmin.reclaim_mailboxes([place.path])
        return True

    def judge(entries: Iterable[Entry]) -> Correction:
        try:
            if is_still_free(entries):
                return Correction()
        except ServerDown as ex:
            return Correction(withdrawn, ex)
        return Correction(withdrawn, PreconditionFailed(f"others use {place.path} too"))

    return Recheck("is the mailbox still nobody else's", place.query, judge)


def _rows(records: Records, place: MailboxAssignment) -> list[DeletedMailbox]:
    path_set = PathSet([place.path])
    rows = records.iredadmin.written_down([place.path], place.since).values()
    return [row for row in rows if path_set.overlapping(mailbox.normalized(row.maildir))]


def _is_taken_over(place: MailboxAssignment, row: DeletedMailbox) -> bool:
    return mailbox.normalized(row.maildir) == place.path and place.takes_over(row)


def _owners(
    entries: Iterable[Entry], path_set: PathSet, exempt: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str, str]]:
    """Yield DN, address and path of the accounts whose mailboxes touch some directories."""
    for entry in entries:
        path = mailbox.location(entry)
        if path not in exempt and path_set.overlapping(path):
            yield entry.dn, entry.folded("mail"), path


def remembering(
    context: Context, users: Callable[[], Iterable[Entry]], dn: str, days: int
) -> Outside:
    """Step: write down the mailboxes of users who are about to go, less those that others use.

    What another account uses, lies in or holds is not written down, and is taken out of
    `deleted_mailboxes` if it is there: an account may have come while it was written. The root,
    and a relative path, which may be any directory, are never written down. Inside a path that
    ends in a time lies nobody whose path is a usual one; inside others may lie accounts of the
    domain whose name is part of the path, or else of any domain, which are read for it.

    Args:
        context: Accounts, deleted mailboxes, and who deletes.
        users: Gives the entries of the users, when it is time.
        dn: Entry that goes, with everything below it.
        days: For which the files are kept; 0: for good.
    """
    directory, records = context.directory, context.records
    # The job that removes them goes by the time zone of this server, too.
    due = context.now.date() + timedelta(days) if days else None

    def work() -> None:
        going: dict[str, list[DeletedMailbox]] = {}
        spelled = set()
        for entry in users():
            path = mailbox.location(entry)
            if mailbox.is_a_directory_of_its_own(path):
                spelled.add(mailbox.stored_path(entry))
                mail = entry.folded("mail")
                row = DeletedMailbox(mail, names.domain_of(mail), mailbox.stored_path(entry))
                going.setdefault(path, []).append(row)
        if not going:
            return
        path_set, everybody = PathSet(going), mailbox.mailboxes_query(directory.tree.base)
        by_index = mailbox.overlap_query(directory.tree.base, going, spelled=spelled)
        equal = by_index if len(going) <= _FEW else everybody
        used = _used(directory, path_set, dn, equal)
        used |= _touched(records.unusual_paths.touching(directory, path_set), path_set, dn)
        open_ = [path for path in going if not mailbox.ends_in_a_time(path)]
        if open_:
            home = names.domain_name_in(dn)
            at_home = bool(home) and all(f"/{home}/" in path for path in open_)
            base = (at_home and names.domain_dn(dn)) or directory.tree.base
            used |= _used(directory, path_set, dn, mailbox.mailboxes_query(base))
        gone = [row for path, rows in going.items() if path not in used for row in rows]
        records.iredadmin.remember_mailboxes(gone, due, context.caller.address)
        # Who takes a path in this moment looks for rows afterwards, and sees what touches it.
        used |= _used(directory, path_set, dn, equal)
        if used:
            # Not what lies inside: it may be a deleted mailbox beside living ones.
            records.iredadmin.reclaim_mailboxes(used, inside=False)

    words = f"until {due}" if due else "for good"
    return Outside(f"write down that mailboxes are kept {words}", work)


_FEW = 20
"""Paths that a filter names; of more, all accounts are read and compared here."""


def _used(directory: Directory, path_set: PathSet, gone: str, query: Query) -> set[str]:
    """Return which of some directories are touched by an account that is not below a DN."""
    return _touched(directory.stream(query), path_set, gone)


def _touched(entries: Iterable[Entry], path_set: PathSet, gone: str) -> set[str]:
    return {
        touched
        for dn, _, path in _owners(entries, path_set)
        if not names.is_within(dn, gone)
        for touched in path_set.overlapping(path)
    }
