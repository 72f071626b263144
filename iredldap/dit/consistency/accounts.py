"""Rules of single accounts: their addresses, their domain, their status and services."""

from collections.abc import Iterator

from iredldap.dit import domain, mail_names, subscribable, user
from iredldap.dit.consistency import rules
from iredldap.dit.consistency.index import AccountKind, Domain, Index, kind_of
from iredldap.dit.consistency.rules import Violation
from iredldap.dit.entry import Entry
from iredldap.dit.fields import StoredAttribute

_NEEDED = {
    row.stored_as.name: row.stored_as.service
    for row in (*user.UPDATE, *domain.UPDATE)
    if isinstance(row.stored_as, StoredAttribute) and row.stored_as.service
} | {"mailForwardingAddress": "forward"}
"""Services without which a value has no effect, by attribute."""

_EFFECT = {"shadowaddress": "no login by its further addresses"}
_DELIVERING = {"mail", "deliver"}


def by_itself(entry: Entry) -> Iterator[Violation]:
    """Judge an entry without regard to any other."""
    classes = entry.lowered("objectClass")
    kind = kind_of(entry, classes)
    if kind is None:
        if "maildomain" in classes:
            yield from _services(entry)
        return
    if kind is not AccountKind.EXTERNALS:
        yield from _own_addresses(entry)
    if kind is AccountKind.USER:
        yield from _services(entry)
    if kind is AccountKind.SUBSCRIBABLE and subscribable.is_unfinished(entry):
        reason = f"mail does not reach it; {rules.IN_PROGRESS}"
        yield rules.LIST_UNFINISHED.broken(entry.dn, reason)


def _own_addresses(entry: Entry) -> Iterator[Violation]:
    own = entry.lowered("mail")
    if len(own) != 1:
        held = ", ".join(sorted(own)) or "none"
        yield rules.MAIL_COUNT.broken(entry.dn, f"{len(own)} values of mail: {held}")
    for address in sorted(own & entry.lowered("shadowAddress")):
        reason = f"{address} is both mail and shadowAddress; {rules.IN_PROGRESS}"
        yield rules.RENAME_UNFINISHED.broken(entry.dn, reason)


def _services(entry: Entry) -> Iterator[Violation]:
    services = entry.lowered("enabledService")
    for attribute, service in _NEEDED.items():
        if service in services or not entry.values(attribute):
            continue
        # A user's own address among the forwardings only keeps a copy.
        if entry.lowered(attribute) - entry.lowered("mail"):
            effect = _EFFECT.get(service, "it has no effect")
            yield rules.SERVICE_MISSING.broken(
                entry.dn, f"{attribute} without the service {service}: {effect}"
            )
    missing = sorted(_DELIVERING - services)
    forwarded = entry.values("mailForwardingAddress")
    if forwarded and missing and entry.has("objectClass", "mailUser"):
        words = " and ".join(missing)
        reason = f"mailForwardingAddress without the service {words}: mail is forwarded anyway"
        yield rules.SERVICE_MISSING.broken(entry.dn, reason)


def shared_addresses(index: Index) -> Iterator[Violation]:
    """Check whether addresses belong to one account each: the first by DN is taken for its."""
    for address, holders in index.shared():
        # One of them is taken for right, so that two findings do not name each other.
        first, *others = sorted(holders, key=lambda account: account.dn.lower())
        for account in others:
            reason = f"{address} belongs to {first.dn} as well"
            yield rules.ADDRESS_SHARED.broken(account.dn, reason)


def foreign_addresses(index: Index) -> Iterator[Violation]:
    """Check whether accounts have addresses of their own domain and its alias domains alone.

    Names in a pending alias domain are there before it is effective.
    """
    for account in index.accounts:
        home = index.domains.get(account.home)
        # Of no domain that is known: another rule names its missing parent.
        if home is None:
            continue
        if account.kind is AccountKind.EXTERNALS:
            if account.groups and not any(_is_of(home, group) for group in account.groups):
                lists = ", ".join(account.groups)
                reason = (
                    f"{lists}: its lists lie neither in {home.name} nor in an alias domain of it"
                )
                yield rules.ADDRESS_FOREIGN.broken(account.dn, reason)
            continue
        if account.mail and "@" not in account.mail:
            reason = f"{account.mail} is no address: it receives no mail"
            yield rules.ADDRESS_FOREIGN.broken(account.dn, reason)
        elif account.mail and mail_names.domain_of(account.mail) != home.name:
            reason = f"{account.mail} lies not in {home.name}"
            yield rules.ADDRESS_FOREIGN.broken(account.dn, reason)
        for address in account.shadows:
            if not _is_of(home, address):
                reason = f"{address} lies neither in {home.name} nor in an alias domain of it"
                yield rules.ADDRESS_FOREIGN.broken(account.dn, reason)


def _is_of(home: Domain, address: str) -> bool:
    """Return whether an address lies in a domain, or in an effective or pending alias of it."""
    place = mail_names.domain_of(address)
    return place == home.name or place in home.aliases or place in home.pending


def missing_alias_names(index: Index) -> Iterator[Violation]:
    """Check whether accounts have their names in the alias domains of their domain."""
    for account in index.accounts:
        home = index.domains.get(account.home)
        if home is None or not home.aliases or account.kind is AccountKind.EXTERNALS:
            continue
        if "@" not in account.mail:
            continue
        for alias in sorted(home.aliases):
            address = f"{mail_names.local_part(account.mail)}@{alias}"
            # By any account: a name that another one holds is not lost, and reported as shared.
            if not index.is_held(address):
                reason = f"mail to {address} bounces: no account has this address"
                yield rules.ALIAS_NAME_MISSING.broken(account.dn, reason)


def status(index: Index) -> Iterator[Violation]:
    """Check whether accounts carry the mark of a disabled domain."""
    for account in index.accounts:
        home = index.domains.get(account.home)
        if home is None or account.is_marked is not home.is_active:
            continue
        reason = (
            f"domainStatus is disabled, and {home.name} is active"
            if account.is_marked
            else f"domainStatus is not disabled, and {home.name} is"
        )
        yield rules.DOMAIN_STATUS.broken(account.dn, reason)


def misplaced(index: Index) -> Iterator[Violation]:
    """Check whether accounts are in the container where panels look for their kind."""
    for account in index.accounts:
        if not account.is_in_place:
            reason = f"not directly below ou={account.kind.container} of a domain"
            yield rules.ACCOUNT_MISPLACED.broken(account.dn, reason)
