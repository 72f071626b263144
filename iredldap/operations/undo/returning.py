"""Entries that an undo brings back: those that the change has deleted."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from iredldap import finders
from iredldap.dit import domain, generations, kinds, mail_names, mailbox, names, settings, user
from iredldap.dit.entry import Entry
from iredldap.dit.filters import equals, every
from iredldap.dit.holders import holders_filter
from iredldap.dit.left_alone import LeftAlone
from iredldap.dit.plan import (
    Add,
    Correction,
    Delete,
    Operation,
    Query,
    Recheck,
    Scope,
    Step,
    Sweep,
)
from iredldap.dit.undoing.net_changes import EntryChange
from iredldap.errors import (
    AlreadyExists,
    CanNotBeLocalDomain,
    NoSuchAccount,
    PermissionDeniedUpdateGlobalAdminProfile,
)
from iredldap.gateways.directory import Directory
from iredldap.limit_errors import ExceededDomainAccountLimit, ExceededDomainQuotaSize, NotAllowed
from iredldap.operations.context import Context
from iredldap.operations.undo.left import Left
from iredldap.operations.undo.values import ReturningValues
from iredldap.undo_errors import SecretNotKept

_FEW = 20
"""Most entries that are added one by one."""

_LIMITS = {
    "mailUser": "numberOfUsers",
    "mailList": "numberOfLists",
    "mailAlias": "numberOfAliases",
}


def entries(directory: Directory, changes: Iterable[EntryChange]) -> list[Entry]:
    """Return the entries to bring back, parents first, without those that are there again.

    Raises:
        SecretNotKept: If a password was not kept, or its key is gone.
        NoSuchAccount: If the domain that they were in is gone.
        AlreadyExists: If there is another entry of the same name.
    """
    found = []
    for change in changes:
        if any(attribute.is_sealed for attribute in change.attributes.values()):
            raise SecretNotKept(f"the password of {change.before}")
        values = {a.name: [*a.removed.values()] for a in change.attributes.values() if a.removed}
        found.append(Entry(change.before or "", values))
    # slapd adds no entry whose parent is not there.
    found.sort(key=lambda entry: names.depth(entry.dn))
    absent = _absent_domains(directory, found)
    return [
        entry
        for entry in found
        if names.domain_dn(entry.dn) in absent or not _is_back(directory, entry)
    ]


def _absent_domains(directory: Directory, returning: list[Entry]) -> set[str | None]:
    """Return the DNs of those domains that come back, and are not there yet.

    Raises:
        NoSuchAccount: If one is neither there nor comes back.
    """
    coming = {entry.dn.lower() for entry in returning if entry.has("objectClass", "mailDomain")}
    homes = {names.domain_dn(entry.dn) for entry in returning} - {None}
    absent = {home for home in homes if home and directory.read(home, ("1.1",)) is None}
    for home in absent:
        if home is not None and home.lower() not in coming:
            raise NoSuchAccount(f"no domain {names.rdn_value(home)}")
    return {*absent}


def _is_back(directory: Directory, entry: Entry) -> bool:
    """Return whether an entry is there again, as it was; a container in any case.

    Raises:
        AlreadyExists: If there is another one of its name.
    """
    there = directory.read(entry.dn, ("*",))
    if there is None:
        return False
    is_other = {*there.attributes} != {*entry.attributes} or any(
        sorted(there.values(name)) != sorted(values) for name, values in entry.attributes.items()
    )
    # A container says nothing but its name, and is made anew by whatever account comes first;
    # anything else of this name is another's.
    if is_other and not entry.has("objectClass", "organizationalUnit"):
        raise AlreadyExists(f"{entry.dn} exists")
    return True


def judged(
    context: Context, returning: list[Entry], values: ReturningValues, left: Left
) -> list[Entry]:
    """Return the entries as they may come back: without what belongs to others by now.

    Raises:
        PermissionDeniedUpdateGlobalAdminProfile: If a global admin would come back, and the caller
            is none.
        AlreadyExists: If the address of an account, or the name of a domain, belongs to another.
        CanNotBeLocalDomain: If the domain of a standalone admin is hosted here by now.
        NotAllowed, ExceededDomainAccountLimit, ExceededDomainQuotaSize: If a domain has no room.
    """
    directory = context.directory
    # Refused as a whole, not left out: an account without its address, or a domain without its
    # name, would not be what was deleted.
    for entry in returning:
        if user.is_global_admin(entry) and not context.caller.is_global:
            raise PermissionDeniedUpdateGlobalAdminProfile(entry.dn)
        _refuse_taken(entry, values)
    admins = {
        mail_names.domain_of(entry.folded("mail"))
        for entry in returning
        if entry.has("objectClass", "mailAdmin")
    }
    # A mail user of the same address could be added there, and would get the admin's domains.
    if local := finders.hosted_domains(directory, admins) if admins else set():
        raise CanNotBeLocalDomain(f"{', '.join(sorted(local))} is hosted here by now")
    _refuse_excess(directory, returning)
    marks = _Marks(directory, returning)
    return [marks.fit(_without_taken(entry, values, left)) for entry in returning]


def _refuse_taken(entry: Entry, values: ReturningValues) -> None:
    if finders.is_account(entry):
        for mail in sorted(entry.lowered("mail")):
            if holder := values.holder(mail):
                raise AlreadyExists(f"{mail} belongs to {holder} by now")
    name = entry.folded("domainName")
    if name and (other := values.domain(name)):
        raise AlreadyExists(f"{name} belongs to {other} by now")


def _without_taken(entry: Entry, values: ReturningValues, left: Left) -> Entry:
    kept: dict[str, list[bytes]] = {}
    for name, held in entry.attributes.items():
        for value in held:
            if why := values.why_not(name.lower(), value):
                text = value.decode("utf-8", "replace")
                left.add([LeftAlone(entry.dn, name, why, (text,))])
            else:
                kept.setdefault(name, []).append(value)
    return Entry(entry.dn, kept)


class _Marks:
    """Gives accounts the mark that their domain has by now: it may have been switched since."""

    def __init__(self, directory: Directory, returning: Iterable[Entry]) -> None:
        self._is_used = generations.marks_accounts(directory.schema())
        homes = {names.domain_dn(entry.dn) for entry in returning}
        found = (directory.read(home) for home in homes if home)
        self._active = {home.dn.lower(): home.is_active for home in found if home}

    def fit(self, entry: Entry) -> Entry:
        home = names.domain_dn(entry.dn)
        active = self._active.get(home.lower()) if home else None
        if active is None or not self._is_used or not finders.is_account(entry):
            return entry
        status = {} if active else {"domainStatus": [b"disabled"]}
        others = {n: v for n, v in entry.attributes.items() if n.lower() != "domainstatus"}
        return Entry(entry.dn, {**others, **status})


def _refuse_excess(directory: Directory, returning: Iterable[Entry]) -> None:
    """Refuse accounts that their domain, which is there, has no room for."""
    by_home: dict[str, list[Entry]] = {}
    for entry in returning:
        home = names.domain_dn(entry.dn)
        if home and finders.is_account(entry):
            by_home.setdefault(home, []).append(entry)
    for dn, accounts in by_home.items():
        home_entry = directory.read(dn)
        if home_entry is None:
            continue
        limits = domain.limits(home_entry)
        for kind, key in _LIMITS.items():
            # Of all that come back together, not one by one: each alone could find room.
            coming = [one for one in accounts if one.has("objectClass", kind) and not _catches(one)]
            if coming:
                _refuse_more(directory, dn, kind, settings.number(limits, key), coming)
        ceiling = kinds.bytes_of(settings.domain_quota(limits))
        size = sum(user.quota(one) for one in accounts if one.has("objectClass", "mailUser"))
        if ceiling and size:
            _, used = finders.count_users(directory.stream(finders.users_query(dn)))
            if used + size > ceiling:
                raise ExceededDomainQuotaSize(f"{size} bytes, and {used} of {ceiling} used")


def _refuse_more(
    directory: Directory, home: str, kind: str, most: int, coming: list[Entry]
) -> None:
    if most == -1:
        raise NotAllowed("the domain may have none")
    if most == 0:
        return
    query = Query(home, Scope.SUBTREE, equals("objectClass", kind), ("mail",))
    there = sum(1 for one in directory.stream(query) if not _catches(one))
    if there + len(coming) > most:
        raise ExceededDomainAccountLimit(f"{there} of {most}, and {len(coming)} would come back")


def _catches(entry: Entry) -> bool:
    return entry.folded("mail").startswith("@")


def steps(directory: Directory, returning: list[Entry]) -> Iterator[Step]:
    """Yield the steps that add the entries, parents first, and look again for their addresses."""
    if len(returning) <= _FEW:
        for entry in returning:
            yield _addition(entry)
    else:
        for depth, level in groupby(returning, key=lambda entry: names.depth(entry.dn)):
            yield _additions(directory, depth, [*level])
    accounts = {
        mail: entry.dn
        for entry in returning
        if finders.is_account(entry)
        for mail in entry.lowered("mail")
    }
    # slapd accepts two entries of one address, so it is looked up again when ours are there.
    for batch in finders.batches(accounts):
        yield _recheck(directory, {mail: accounts[mail] for mail in batch})


def _addition(entry: Entry) -> Add:
    return Add(entry.dn, {name: tuple(values) for name, values in entry.attributes.items()})


def _additions(directory: Directory, depth: int, level: list[Entry]) -> Step:
    """Return the step that adds the entries of one level of the tree."""
    if len(level) == 1:
        return _addition(level[0])

    def change(_: Entry) -> Iterator[Operation]:
        yield from map(_addition, level)

    # A sweep over one entry: its operations are sent without waiting for each.
    query = Query(directory.tree.base, Scope.BASE, "(objectClass=*)", ("1.1",))
    return Sweep(f"add {len(level)} entries of level {depth} again", query, change)


def _recheck(directory: Directory, accounts: dict[str, str]) -> Recheck:
    """Return the recheck that no other account got one of the addresses meanwhile."""

    def judge(found: Iterable[Entry]) -> Correction:
        lost = {
            accounts[mail]
            for entry in found
            for mail in entry.lowered("mail") | entry.lowered("shadowAddress")
            if mail in accounts and not names.same_dn(entry.dn, accounts[mail])
        }
        if not lost:
            return Correction()
        taken = AlreadyExists(f"others have taken the addresses of {', '.join(sorted(lost))}")
        return Correction(tuple(Delete(dn, absent_ok=True) for dn in sorted(lost)), taken)

    named = every(holders_filter(*accounts))
    query = Query(directory.tree.base, Scope.SUBTREE, named, ("mail", "shadowAddress"))
    return Recheck("check that no other account has the addresses", query, judge)


def mailboxes(returning: Iterable[Entry]) -> list[str]:
    """Return the paths of the mailboxes that come back."""
    return [
        mailbox.stored_path(entry) for entry in returning if entry.has("objectClass", "mailUser")
    ]
