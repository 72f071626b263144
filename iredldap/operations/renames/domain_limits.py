"""Check the limits of the domain that a renamed account moves to, before the write and after."""

from collections.abc import Iterable, Iterator

from iredldap import finders
from iredldap.dit import domain, kinds, names, settings, user
from iredldap.dit.entry import Entry
from iredldap.dit.filters import either, ends_with, equals, every, negated
from iredldap.dit.names import Tree
from iredldap.dit.plan import Correction, Modify, Query, Recheck, Scope
from iredldap.errors import PreconditionFailed, Refusal
from iredldap.gateways.directory import Directory
from iredldap.limit_errors import (
    ExceededDomainAccountLimit,
    ExceededDomainQuotaSize,
    ExceededMaxUserQuota,
    NotAllowed,
)
from iredldap.operations.renames.address_change import USER, Renaming, is_being_renamed


def find_excess(directory: Directory, renaming: Renaming) -> list[Refusal]:
    """Return the limits of the new domain that the account would exceed.

    The accounts of the domain are read only where a limit depends on them.
    """
    if not _counts_accounts(renaming):
        return _excess_among(renaming, ())
    return _excess_among(renaming, directory.stream(_others_query(renaming, directory.tree)))


def recheck(
    directory: Directory, renaming: Renaming, withdrawal: tuple[Modify, ...]
) -> tuple[Recheck, ...]:
    """Return the recheck of the limits: other clients may have added accounts meanwhile.

    Args:
        directory: Where.
        renaming: The account, which has its mark by then and counts for its new domain.
        withdrawal: Removes the mark.
    """
    if not renaming.change.crosses_domains or not _counts_accounts(renaming):
        return ()

    def judge(entries: Iterable[Entry]) -> Correction:
        if not _excess_among(renaming, entries):
            return Correction()
        return Correction(withdrawal, PreconditionFailed("others wanted the last place too"))

    query = _others_query(renaming, directory.tree)
    return (Recheck("check that the domain is within its limits", query, judge),)


def _counts_accounts(renaming: Renaming) -> bool:
    limits, account_type = domain.limits(renaming.target), renaming.account_type
    has_ceiling = account_type is USER and settings.domain_quota(limits) > 0
    return settings.number(limits, account_type.limit) > 0 or has_ceiling


def _others_query(renaming: Renaming, tree: Tree) -> Query:
    """Search for the accounts of a domain, and for those with an address in it."""
    in_domain = f"@{renaming.target.text('domainName')}"
    filter_ = every(
        equals("objectClass", renaming.account_type.object_class),
        either(ends_with("mail", in_domain), ends_with("shadowAddress", in_domain)),
        # The catch-all of the domain has the class of a user and is none.
        negated(equals("mail", in_domain)),
    )
    return Query(tree.base, Scope.SUBTREE, filter_, ("mail", "shadowAddress", "mailQuota"))


def _excess_among(renaming: Renaming, found: Iterable[Entry]) -> list[Refusal]:
    """Judge the limits, counting the accounts in the domain and those being renamed into it."""
    entry, target, account_type = renaming.entry, renaming.target, renaming.account_type
    limits = domain.limits(target)
    most = settings.number(limits, account_type.limit)
    # Two accounts that are renamed into the domain at once see each other by their marks.
    others = (
        other
        for other in found
        if not names.same_dn(other.dn, entry.dn)
        and (names.is_within(other.dn, target.dn) or is_being_renamed(other))
    )
    number, used = finders.count_users(others)
    refusals: list[Refusal] = []
    if most == -1:
        refusals.append(NotAllowed(f"{account_type.limit} is -1"))
    if 0 < most <= number:
        refusals.append(ExceededDomainAccountLimit(f"{number} of {most}"))
    return [*refusals, *_lack_of_space(entry, limits, used)] if account_type is USER else refusals


def _lack_of_space(entry: Entry, limits: settings.Settings, used: int) -> Iterator[Refusal]:
    size = user.quota(entry)
    ceiling = kinds.bytes_of(settings.domain_quota(limits))
    largest = kinds.bytes_of(settings.number(limits, "maxUserQuota"))
    # A mailbox without a limit could fill the whole domain, so it needs a domain without one.
    if ceiling and (not size or used + size > ceiling):
        yield ExceededDomainQuotaSize(f"{size} bytes, and {used} of {ceiling} used")
    if largest > 0 and (not size or size > largest):
        yield ExceededMaxUserQuota(f"{size} bytes, at most {largest}")
