"""Compute which addresses an account loses, gains and keeps with a new address.

An account that is being renamed carries the old and the new address among its `shadowAddress`
values. Both together are the mark of an unfinished rename.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from iredldap import finders
from iredldap.dit import domain, mail_names, names
from iredldap.dit.entry import Entry
from iredldap.gateways.directory import Directory


@dataclass(frozen=True)
class AccountType:
    """A type of account: its class, its container, and the domain's setting that limits it."""

    object_class: str
    unit: str
    limit: str


USER = AccountType("mailUser", "Users", "numberOfUsers")
ALIAS = AccountType("mailAlias", "Aliases", "numberOfAliases")


@dataclass(frozen=True)
class AddressChange:
    """The old and the new address, and the alias domains of the domains of both."""

    old: str
    new: str
    alias_domains_left: tuple[str, ...] = ()
    alias_domains_entered: tuple[str, ...] = ()

    @property
    def crosses_domains(self) -> bool:
        """Whether the account leaves its domain."""
        return mail_names.domain_of(self.old) != mail_names.domain_of(self.new)

    @property
    def names_gained(self) -> tuple[str, ...]:
        """Names in alias domains that belong to the new address."""
        local = mail_names.local_part(self.new)
        return tuple(f"{local}@{name}" for name in self.alias_domains_entered)

    @property
    def names_lost(self) -> frozenset[str]:
        """Names in alias domains that belonged to the old address."""
        local = mail_names.local_part(self.old)
        return frozenset(f"{local}@{name}" for name in self.alias_domains_left)

    def addresses_dropped(self, held: set[str]) -> set[str]:
        """Return the further addresses that an account cannot keep in another domain.

        They lie in the old one or its alias domains, where an account of another domain may
        hold none.
        """
        if not self.crosses_domains:
            return set()
        left = {mail_names.domain_of(self.old), *self.alias_domains_left}
        return {a for a in held if mail_names.domain_of(a) in left} - self.names_lost - {self.old}

    def replacements(self, held: set[str]) -> dict[str, str]:
        """Return the address that replaces each one that is lost.

        Args:
            held: The further addresses of the account.
        """
        lost = (self.names_lost & held) | self.addresses_dropped(held)
        return {self.old: self.new} | {
            address: self._replacement(address, held) for address in lost
        }

    def _replacement(self, address: str, held: set[str]) -> str:
        sibling = f"{mail_names.local_part(self.new)}@{mail_names.domain_of(address)}"
        # References to a name in an alias domain stay in that alias domain, where the account keeps
        # one there.
        return sibling if sibling in held and not self.crosses_domains else self.new


@dataclass(frozen=True)
class Renaming:
    """An account that gets another address.

    Args:
        account_type: What it is.
        change: The address before and after.
        entry: The account as it was read, under its old or its new name.
        target: The domain of the new address.
    """

    account_type: AccountType
    change: AddressChange
    entry: Entry
    target: Entry


def find_change(
    directory: Directory, mail: str, new_mail: str, target: Entry, held: set[str]
) -> AddressChange:
    """Find the alias domains that an account leaves and enters with another address.

    Args:
        directory: Where domains are looked up.
        mail: The old address.
        new_mail: The new one.
        target: The domain of the new one.
        held: The further addresses of the account.
    """
    entered = tuple(domain.alias_domains(target))
    left = mail_names.domain_of(mail)
    if left == mail_names.domain_of(new_mail):
        return AddressChange(mail, new_mail, entered, entered)
    home = finders.domain_or_none(directory, left)
    # An alias domain that is being added has given names to accounts before it is one.
    known = (
        {*domain.alias_domains(home), *home.lowered("domainPendingAliasName")} if home else set()
    )
    # The removal of an alias domain that broke off, or the deletion of its domain during an
    # unfinished rename, leaves names in a domain that is hosted no longer. The account must lose
    # them too: it would have addresses of whoever hosts that domain next.
    further = {mail_names.domain_of(address) for address in held} - known - {left}
    unhosted = further - finders.hosted_domains(directory, further)
    return AddressChange(mail, new_mail, tuple(sorted(known | unhosted)), entered)


def addresses_of_others(dn: str, holders: Iterable[Entry], wanted: set[str]) -> set[str]:
    """Return those of some addresses that belong to another account than the one at a DN."""
    return {
        address
        for holder in holders
        if not names.same_dn(holder.dn, dn)
        for address in (holder.lowered("mail") | holder.lowered("shadowAddress")) & wanted
    }


def is_being_renamed(entry: Entry) -> bool:
    """Return whether an account carries the mark: its own address among the further ones."""
    return bool(entry.lowered("mail") & entry.lowered("shadowAddress"))
