"""Whether an address is nobody else's: asked before a new account is added, and again after it.

The directory itself lets a user, a list and an alias have the same address, and their mail would
then go to all of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from iredldap import finders
from iredldap.dit import domain, names
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.plan import Amendment, Delete, Mod, Modify, Op, Operation, Recheck
from iredldap.errors import AlreadyExists, AmbiguousAccount, NoSuchAccount, PreconditionFailed
from iredldap.gateways.directory import Directory
from iredldap.operations import rights


def home_of(found: Iterable[Entry], mail: str) -> Entry:
    """Give the domain of a new account from the answer to `lookup.domain_and_holders`.

    Raises:
        NoSuchAccount: If the domain does not exist.
        AlreadyExists: If the address belongs to any account.
        AmbiguousAccount: If two entries have the name of the domain.
    """
    home, holders = finders.told_apart(found, mail)
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
class Newcomer:
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


def recheck(directory: Directory, newcomer: Newcomer) -> Recheck:
    """Another may have taken an address, or switched the domain, while this account was added.

    For the address itself the account goes again; for a name in an alias domain only that name.
    If alias domains came or went, or a further address is taken, the account goes too, and the
    plan is to be made anew.
    """
    own, further = names.components(newcomer.dn), set(newcomer.further)

    def judge(entries: Iterable[Entry]) -> Amendment:
        there = [*entries]
        try:
            home, holders = finders.told_apart(there, newcomer.mail)
        except AmbiguousAccount as ex:
            return Amendment(newcomer.withdrawn(), ex)
        ours, theirs = set[str](), set[str]()
        for entry in holders:
            (ours if names.components(entry.dn) == own else theirs).update(_addresses(entry))
        if home is None:
            return Amendment(newcomer.withdrawn(), NoSuchAccount("the domain is gone"))
        if newcomer.mail in theirs:
            return Amendment(newcomer.withdrawn(), AlreadyExists(newcomer.mail))
        if in_alias_domains(home, newcomer.mail) != newcomer.aliases or theirs & further:
            others = PreconditionFailed(f"others changed the addresses of {newcomer.mail}")
            return Amendment(newcomer.withdrawn(), others)
        lost = tuple(alias for alias in newcomer.aliases if alias in ours & theirs)
        return Amendment(
            (*_marks(newcomer, home), *_without(newcomer, lost), *_rights(newcomer, there))
        )

    addresses = (newcomer.mail, *newcomer.aliases, *newcomer.further)
    query = finders.domain_and_holders(directory, *addresses, rights=newcomer.is_owed_nothing)
    return Recheck("are the addresses still nobody else's", query, judge)


def _addresses(entry: Entry) -> set[str]:
    return entry.lowered("mail") | entry.lowered("shadowAddress")


def _marks(newcomer: Newcomer, home: Entry) -> tuple[Operation, ...]:
    if home.is_active != newcomer.is_marked:
        return ()
    status = Mod(Op.REPLACE, "domainStatus", () if home.is_active else (b"disabled",))
    entries = (newcomer.dn, *newcomer.parts)
    return tuple(Modify(dn, (status,), absent_ok=True) for dn in entries)


def _rights(newcomer: Newcomer, entries: Iterable[Entry]) -> tuple[Operation, ...]:
    if not newcomer.is_owed_nothing:
        return ()
    return tuple(
        operation
        for entry in rights.naming(entries, newcomer.mail)
        for operation in rights.withdraw(entry, newcomer.mail)
    )


def _without(newcomer: Newcomer, lost: tuple[str, ...]) -> tuple[Operation, ...]:
    if not lost:
        return ()
    mods = (Mod(Op.DELETE, "shadowAddress", encoded(lost)),)
    return (*newcomer.beside(lost), Modify(newcomer.dn, mods, absent_ok=True))
