"""Check whether a normal admin may add a domain, before it is added and again after it.

Alias domains are checked as far as standalone admins are concerned. A global admin may add any.
"""

from collections.abc import Iterable

from iredldap import finders
from iredldap.dit import domain, filters, settings
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Parsed
from iredldap.dit.filters import either, equals, every
from iredldap.dit.plan import Correction, Operation, Query, Recheck, Scope
from iredldap.errors import PermissionDenied, Refusal, Several, raise_all
from iredldap.gateways.directory import Directory
from iredldap.limit_errors import (
    ExceedLimitAliases,
    ExceedLimitDomain,
    ExceedLimitLists,
    ExceedLimitQuota,
    ExceedLimitUsers,
)
from iredldap.operations.login import Caller


def refuse(directory: Directory, caller: Caller, name: str, parsed: Parsed) -> None:
    """Refuse a domain that exceeds a normal admin's limits over all domains that they manage.

    Raises:
        ExceedLimitDomain, ExceedLimitQuota, ExceedLimitUsers, ExceedLimitAliases,
        ExceedLimitLists: If they would give out more than they may.
        PermissionDenied: If it is the domain of a standalone admin's address.
    """
    if caller.is_global:
        return
    raise_all(
        _excess(
            caller,
            name,
            parsed,
            directory.find(finders.managed_domains_query(directory, caller.address)),
        )
    )
    refuse_names_of_admins(directory, caller, [name])


def refuse_names_of_admins(directory: Directory, caller: Caller, wanted: Iterable[str]) -> None:
    """Refuse names of domains that are those of standalone admins' addresses.

    Raises:
        PermissionDenied: If a normal admin wants one that is.
    """
    wanted = sorted(wanted)
    if not caller.is_global and wanted and directory.find(_standalone_admins(directory, wanted)):
        raise _of_an_admin(wanted)


def recheck_names_of_admins(
    directory: Directory, caller: Caller, wanted: Iterable[str], away: tuple[Operation, ...]
) -> tuple[Recheck, ...]:
    """Return the recheck for standalone admins who were added meanwhile.

    Args:
        directory: Where.
        caller: Who wants the names.
        wanted: The names.
        away: Removes them again.
    """
    wanted = sorted(wanted)
    if caller.is_global or not wanted:
        return ()

    def judge(found: Iterable[Entry]) -> Correction:
        return Correction(away, _of_an_admin(wanted)) if any(True for _ in found) else Correction()

    query = _standalone_admins(directory, wanted)
    return (Recheck("check that no standalone admin has the domain", query, judge),)


def rechecks(
    directory: Directory, caller: Caller, name: str, parsed: Parsed, away: tuple[Operation, ...]
) -> tuple[Recheck, ...]:
    """Return the rechecks after the write: the admin may add several domains at once.

    Args:
        directory: Where.
        caller: Who adds the domain.
        name: Its name.
        parsed: The request.
        away: Removes it again.
    """
    if caller.is_global:
        return ()

    def judge_excess(managed: Iterable[Entry]) -> Correction:
        excess = _excess(caller, name, parsed, managed)
        return Correction(away, Several(excess)) if excess else Correction()

    managed = finders.managed_domains_query(directory, caller.address)
    return (
        Recheck("check that the admin is within their limits", managed, judge_excess),
        *recheck_names_of_admins(directory, caller, [name], away),
    )


def _excess(
    caller: Caller, name: str, parsed: Parsed, managed: Iterable[Entry]
) -> tuple[Refusal, ...]:
    """Return the limits that the domain would exceed; 0, "no limit", is above all, -1 below.

    The domain itself, new or where its creation broke off, does not count against the admin.
    """
    # Read from the directory at this moment, not from the session: domains may have been given or
    # withdrawn since the login.
    others = [domain.limits(entry) for entry in managed if not entry.has("domainName", name)]
    refusals: list[Refusal] = []
    most = caller.limits.get("create_max_domains")
    if isinstance(most, int) and len(others) >= most:
        refusals.append(ExceedLimitDomain(f"{most} domains"))
    for limit, key, parameter, refusal in (
        ("create_max_quota", None, "quota", ExceedLimitQuota),
        ("create_max_users", "numberOfUsers", "numberOfUsers", ExceedLimitUsers),
        ("create_max_aliases", "numberOfAliases", "numberOfAliases", ExceedLimitAliases),
        ("create_max_lists", "numberOfLists", "numberOfLists", ExceedLimitLists),
    ):
        ceiling = settings.number(caller.limits, limit)
        wanted = int((parsed.value(parameter) or "0").partition(":")[0])
        if not ceiling or wanted == -1:
            continue
        handed_out = sum(
            max(settings.number(other, key), 0) if key else settings.domain_quota(other)
            for other in others
        )
        # 0 is no limit, and more than any: who has a limit must name a size within it.
        if not wanted or handed_out + wanted > ceiling:
            refusals.append(refusal(f"{handed_out} of {ceiling}", parameter=parameter))
    return tuple(refusals)


def _standalone_admins(directory: Directory, wanted: list[str]) -> Query:
    """Return the search for standalone admins whose addresses lie in domains of some names.

    Rights belong to addresses: an admin who could add a mail user of the same address would get
    the standalone admin's domains.
    """
    in_domains = either(*(filters.ends_with("mail", f"@{name}") for name in wanted))
    of_domain = every(equals("objectClass", "mailAdmin"), in_domains)
    return Query(directory.tree.admin_base, Scope.SUBTREE, of_domain, ("1.1",))


def _of_an_admin(wanted: list[str]) -> PermissionDenied:
    return PermissionDenied(f"{', '.join(wanted)[:200]}: the domain of a standalone admin")
