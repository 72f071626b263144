"""Check that an address belongs to no other account, before one is added and again after it.

The directory itself accepts a user, a list and an alias of the same address; mail to it would then
go to all of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from iredldap import finders
from iredldap.directory_errors import AmbiguousAccount
from iredldap.dit import domain, mail_names, names
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.plan import Correction, Delete, Mod, Modify, Op, Operation, Recheck
from iredldap.errors import AlreadyExists, NoSuchAccount, PreconditionFailed
from iredldap.gateways.directory import Directory
from iredldap.operations import rights


def home_of(found: Iterable[Entry], mail: str) -> Entry:
    """Return the domain of a new account, from the entries of `finders.domain_and_holders`.

    Raises:
        NoSuchAccount: If the domain does not exist.
        AlreadyExists: If the address belongs to any account.
        AmbiguousAccount: If two entries have the name of the domain.
    """
    home, holders = finders.domain_and_accounts(found, mail)
    if home is None:
        raise NoSuchAccount(f"no domain {mail_names.domain_of(mail)}")
    for holder in holders:
        # The search may have been for other addresses too.
        if mail in _addresses(holder):
            raise AlreadyExists(f"{mail} belongs to {holder.dn}")
    return home


def in_alias_domains(home: Entry, mail: str) -> tuple[str, ...]:
    """Return the names that an account has in the alias domains of its domain."""
    return tuple(f"{mail_names.local_part(mail)}@{alias}" for alias in domain.alias_domains(home))


def taken(directory: Directory, addresses: Iterable[str]) -> set[str]:
    """Return those of some addresses that belong to accounts."""
    return set(finders.holders(directory, addresses, ()))


@dataclass(frozen=True, kw_only=True)
class NewAccount:
    """An account just added, as rechecks need to know it.

    `aliases` are its names in alias domains, `further` other addresses that were sent,
    `is_marked` says whether it was added as one of a disabled domain. `drops_old_rights`: it could
    be an admin, and rights that domains gave its address before are withdrawn. `parts` are entries
    beside its own that carry the mark too. `beside` returns the changes of other entries that are
    due when it loses some of its addresses.
    """

    dn: str
    mail: str
    aliases: tuple[str, ...]
    is_marked: bool
    drops_old_rights: bool = False
    further: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    beside: Callable[[tuple[str, ...]], tuple[Operation, ...]] = lambda _: ()

    def withdrawn(self) -> tuple[Operation, ...]:
        """Return the operations that remove everything that was added for it."""
        return (*self.beside((self.mail, *self.aliases)), Delete(self.dn, absent_ok=True))


def recheck(directory: Directory, new_account: NewAccount) -> Recheck:
    """Return the recheck of a new account's addresses, and of its domain.

    If another client took the address itself meanwhile, the account is removed again; for a name in
    an alias domain, only that name. If alias domains were added or removed, or a further address is
    taken, the account is removed and the plan is made again. If the domain was enabled or disabled,
    the account follows.
    """
    own, further = names.components(new_account.dn), set(new_account.further)

    def judge(entries: Iterable[Entry]) -> Correction:
        found = [*entries]
        try:
            home, holders = finders.domain_and_accounts(found, new_account.mail)
        except AmbiguousAccount as ex:
            return Correction(new_account.withdrawn(), ex)
        ours, theirs = set[str](), set[str]()
        for entry in holders:
            (ours if names.components(entry.dn) == own else theirs).update(_addresses(entry))
        if home is None:
            return Correction(new_account.withdrawn(), NoSuchAccount("the domain is gone"))
        # Both clients withdraw, as neither can know who was first; a repeat of either then
        # succeeds.
        if new_account.mail in theirs:
            return Correction(new_account.withdrawn(), AlreadyExists(new_account.mail))
        # The attributes of the account depend on them, so the whole plan is made again.
        if in_alias_domains(home, new_account.mail) != new_account.aliases or theirs & further:
            others = PreconditionFailed(f"others changed the addresses of {new_account.mail}")
            return Correction(new_account.withdrawn(), others)
        # A name in an alias domain was not asked for: without it the account is still the one that
        # was.
        lost = tuple(alias for alias in new_account.aliases if alias in ours & theirs)
        return Correction(
            (*_marks(new_account, home), *_without(new_account, lost), *_rights(new_account, found))
        )

    addresses = (new_account.mail, *new_account.aliases, *new_account.further)
    query = finders.domain_and_holders(directory, *addresses, rights=new_account.drops_old_rights)
    return Recheck("check that no other account has the addresses", query, judge, few=True)


def _addresses(entry: Entry) -> set[str]:
    return entry.lowered("mail") | entry.lowered("shadowAddress")


def _marks(new_account: NewAccount, home: Entry) -> tuple[Operation, ...]:
    if home.is_active != new_account.is_marked:
        return ()
    status = Mod(Op.REPLACE, "domainStatus", () if home.is_active else (b"disabled",))
    entries = (new_account.dn, *new_account.parts)
    return tuple(Modify(dn, (status,), absent_ok=True) for dn in entries)


def _rights(new_account: NewAccount, entries: Iterable[Entry]) -> tuple[Operation, ...]:
    if not new_account.drops_old_rights:
        return ()
    return tuple(
        operation
        for entry in rights.naming(entries, new_account.mail)
        for operation in rights.withdraw(entry, new_account.mail)
    )


def _without(new_account: NewAccount, lost: tuple[str, ...]) -> tuple[Operation, ...]:
    if not lost:
        return ()
    mods = (Mod(Op.DELETE, "shadowAddress", encoded(lost)),)
    return (*new_account.beside(lost), Modify(new_account.dn, mods, absent_ok=True))
