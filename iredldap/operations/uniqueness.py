"""Whether an address is nobody else's: asked before a new account is added, and again after it.

The directory itself lets a user, a list and an alias have the same address, and their mail would
then go to all of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from iredldap import finders
from iredldap.dit import domain, names
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.plan import Correction, Delete, Mod, Modify, Op, Operation, Recheck
from iredldap.errors import AlreadyExists, AmbiguousAccount, NoSuchAccount, PreconditionFailed
from iredldap.gateways.directory import Directory
from iredldap.operations import rights


def home_of(found: Iterable[Entry], mail: str) -> Entry:
    """Give the domain of a new account from the answer to `finders.domain_and_holders`.

    Raises:
        NoSuchAccount: If the domain does not exist.
        AlreadyExists: If the address belongs to any account.
        AmbiguousAccount: If two entries have the name of the domain.
    """
    home, holders = finders.domain_and_accounts(found, mail)
    if home is None:
        raise NoSuchAccount(f"no domain {names.domain_of(mail)}")
    for holder in holders:
        # Others may have been asked for along with them.
        if mail in _addresses(holder):
            raise AlreadyExists(f"{mail} belongs to {holder.dn}")
    return home


def in_alias_domains(home: Entry, mail: str) -> tuple[str, ...]:
    """The names that the alias domains of its domain give an account."""
    return tuple(f"{names.local_part(mail)}@{alias}" for alias in domain.alias_domains(home))


def taken(directory: Directory, addresses: Iterable[str]) -> set[str]:
    """Which of some addresses belong to accounts already."""
    return set(finders.holders(directory, addresses, ()))


@dataclass(frozen=True, kw_only=True)
class NewAccount:
    """An account just added, as those who look again afterwards must know it.

    `aliases` are its names in alias domains, `further` other addresses that were asked for,
    `is_marked` says whether it was added as one of a disabled domain. `is_owed_nothing`: it could
    be an admin, and what domains say of its address from before is withdrawn. `parts` are entries
    beside its own that carry that mark too. `beside` says what must change on other
    entries when it loses some of its addresses.
    """

    dn: str
    mail: str
    aliases: tuple[str, ...]
    is_marked: bool
    is_owed_nothing: bool = False
    further: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    beside: Callable[[tuple[str, ...]], tuple[Operation, ...]] = lambda _: ()

    def withdrawn(self) -> tuple[Operation, ...]:
        """Take back everything that was made for it."""
        return (*self.beside((self.mail, *self.aliases)), Delete(self.dn, absent_ok=True))


def recheck(directory: Directory, new_account: NewAccount) -> Recheck:
    """Another may have taken an address, or switched the domain, while this account was added.

    For the address itself the account goes again; for a name in an alias domain only that name.
    If alias domains came or went, or a further address is taken, the account goes too, and the
    plan is to be made anew.
    """
    own, further = names.components(new_account.dn), set(new_account.further)

    def judge(entries: Iterable[Entry]) -> Correction:
        there = [*entries]
        try:
            home, holders = finders.domain_and_accounts(there, new_account.mail)
        except AmbiguousAccount as ex:
            return Correction(new_account.withdrawn(), ex)
        ours, theirs = set[str](), set[str]()
        for entry in holders:
            (ours if names.components(entry.dn) == own else theirs).update(_addresses(entry))
        if home is None:
            return Correction(new_account.withdrawn(), NoSuchAccount("the domain is gone"))
        if new_account.mail in theirs:
            return Correction(new_account.withdrawn(), AlreadyExists(new_account.mail))
        if in_alias_domains(home, new_account.mail) != new_account.aliases or theirs & further:
            others = PreconditionFailed(f"others changed the addresses of {new_account.mail}")
            return Correction(new_account.withdrawn(), others)
        lost = tuple(alias for alias in new_account.aliases if alias in ours & theirs)
        return Correction(
            (*_marks(new_account, home), *_without(new_account, lost), *_rights(new_account, there))
        )

    addresses = (new_account.mail, *new_account.aliases, *new_account.further)
    query = finders.domain_and_holders(directory, *addresses, rights=new_account.is_owed_nothing)
    return Recheck("are the addresses still nobody else's", query, judge)


def _addresses(entry: Entry) -> set[str]:
    return entry.lowered("mail") | entry.lowered("shadowAddress")


def _marks(new_account: NewAccount, home: Entry) -> tuple[Operation, ...]:
    if home.is_active != new_account.is_marked:
        return ()
    status = Mod(Op.REPLACE, "domainStatus", () if home.is_active else (b"disabled",))
    entries = (new_account.dn, *new_account.parts)
    return tuple(Modify(dn, (status,), absent_ok=True) for dn in entries)


def _rights(new_account: NewAccount, entries: Iterable[Entry]) -> tuple[Operation, ...]:
    if not new_account.is_owed_nothing:
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
