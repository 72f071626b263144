"""Rules of lists: every address of a list reaches the same members."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from iredldap.dit.consistency import rules
from iredldap.dit.consistency.index import LISTS, Account, AccountKind, Index
from iredldap.dit.consistency.places import key_of
from iredldap.dit.consistency.rules import Violation


def partial_memberships(index: Index) -> Iterator[Violation]:
    """Check whether members of plain lists get the mail for each of their addresses.

    The entry of external members has the further addresses in another attribute.
    """
    for account in index.accounts:
        if not account.groups or account.kind is AccountKind.EXTERNALS:
            continue
        lists = {
            a.dn: a for group in account.groups for a in _lists(index, group, {AccountKind.LIST})
        }
        for found in lists.values():
            missing = sorted({found.mail, *found.shadows}.difference(account.groups))
            if missing:
                reason = f"member of {found.mail}, and memberOfGroup lacks {', '.join(missing)}"
                yield rules.MEMBERSHIP_PARTIAL.broken(account.dn, reason)


def externals(index: Index) -> Iterator[Violation]:
    """Judge entries of external members by all lists that they name; ours name one each."""
    for account in index.accounts:
        if account.kind is not AccountKind.EXTERNALS:
            continue
        lists = {group: next(_lists(index, group, LISTS), None) for group in account.groups}
        for group, found in lists.items():
            if found is None:
                reason = f"{group} is no list: its mail goes to external addresses"
                yield rules.EXTERNALS_WITHOUT_LIST.broken(account.dn, reason)
        yield from _external_addresses(account, {a.mail: a for a in lists.values() if a})


def _external_addresses(account: Account, lists: Mapping[str, Account]) -> Iterator[Violation]:
    reached = {*account.shadows, *account.groups}
    for found in lists.values():
        if missing := sorted({*found.shadows} - reached):
            reason = f"shadowAddress lacks {', '.join(missing)} of {found.mail}"
            yield rules.EXTERNALS_ADDRESSES.broken(account.dn, reason)
    known = {address for found in lists.values() for address in found.shadows}
    if lists and (surplus := sorted({*account.shadows} - known)):
        reason = f"shadowAddress has {', '.join(surplus)}, no address of {', '.join(lists)}"
        yield rules.EXTERNALS_ADDRESSES.broken(account.dn, reason)


def member_dns(index: Index) -> Iterator[Violation]:
    """Check whether the DNs in `member` are those of the mail users who are members.

    Lists without any are passed over: older tools write none.
    """
    plain = {account.mail: (account, dns) for account, dns in index.member_dns}
    plain = {mail: pair for mail, pair in plain.items() if pair[0].kind is AccountKind.LIST}
    members: defaultdict[str, set[str]] = defaultdict(set)
    for account in index.accounts if plain else ():
        if account.kind is AccountKind.USER:
            for group in plain.keys() & set(account.groups):
                members[group].add(key_of(account.dn))
    for mail, (found, dns) in plain.items():
        yield from _compared(index, found, dns, members[mail])


def _compared(
    index: Index, found: Account, dns: frozenset[str], members: set[str]
) -> Iterator[Violation]:
    for dn in sorted(dns - members):
        account = index.account_at(dn)
        if account is not None and account.kind is AccountKind.USER:
            reason = f"member names {account.dn}, whose memberOfGroup lacks {found.mail}"
            yield rules.LIST_DN_FOREIGN.broken(found.dn, reason)
    for dn in sorted(members - dns):
        reason = f"member lacks {dn}, whose memberOfGroup has {found.mail}"
        yield rules.LIST_DN_MISSING.broken(found.dn, reason)


def _lists(
    index: Index, address: str, kinds: set[AccountKind] | frozenset[AccountKind]
) -> Iterator[Account]:
    return (account for account in index.holders(address) if account.kind in kinds)
