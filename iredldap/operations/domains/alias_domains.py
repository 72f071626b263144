"""Alias domains: claimed on the domain, given to every account, made effective; or taken away.

The new name is first claimed as pending, which no mail server looks at but every check for taken
names does. Then the accounts get their names, and last it becomes an alias domain. It goes the
other way round: first it ends being one, then the accounts lose their names.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from iredldap import finders
from iredldap.dit import alias_domain, domain, fields, names
from iredldap.dit.entry import Entry, encoded, folded
from iredldap.dit.fields import Parsed, Verb
from iredldap.dit.filters import either, ends_with, equals, every
from iredldap.dit.modlist import service_mods
from iredldap.dit.plan import Correction, Mod, Modify, Op, Query, Recheck, Scope, Step
from iredldap.errors import AlreadyExists, PreconditionFailed
from iredldap.gateways.directory import Directory
from iredldap.operations.domains import creation_limits
from iredldap.operations.login import Caller

NAMES = ("domainName", "domainAliasName", "domainPendingAliasName")


@dataclass(frozen=True)
class AliasDomainChanges:
    """What a request means: names that join, names that leave, names that others have."""

    joining: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()


def requested(
    directory: Directory, caller: Caller, entry: Entry, parsed: Parsed
) -> AliasDomainChanges:
    """Read what a request asks of a domain's aliases.

    Names that are aliases already are joined again, and those that are none are left again: a
    change that broke off is finished so.

    Raises:
        AlreadyExists: If every name asked for is taken by another domain.
        PermissionDenied: If a normal admin asks for the domain of a standalone admin's address.
    """
    own = entry.text("domainName") or ""
    present = set(domain.alias_domains(entry))
    joining: set[str] = set()
    leaving: set[str] = set()
    for change in parsed.changes:
        match change.field.name, change.verb:
            case "aliasDomains", _:
                joining |= set(change.values)
                leaving |= (present | _left_over(directory, entry)) - joining
            case "addAliasDomain", Verb.ADD:
                joining |= set(change.values)
            case "removeAliasDomain", Verb.REMOVE:
                leaving |= set(change.values) - {own}
    leaving -= joining
    taken = _taken(directory, entry, joining) | (joining & {own})
    if joining and joining <= taken:
        raise AlreadyExists(f"taken: {', '.join(sorted(taken))}")
    creation_limits.refuse_names_of_admins(directory, caller, joining - taken - present)
    return AliasDomainChanges(
        tuple(sorted(joining - taken)), tuple(sorted(leaving)), tuple(sorted(taken))
    )


def _taken(directory: Directory, entry: Entry, wanted: Iterable[str]) -> set[str]:
    wanted = set(wanted)
    if not wanted:
        return set()
    found = directory.find(_claims(directory, wanted))
    others = (other for other in found if not names.same_dn(other.dn, entry.dn))
    return {n for other in others for attribute in NAMES for n in other.lowered(attribute)} & wanted


def _claims(directory: Directory, wanted: Iterable[str]) -> Query:
    terms = (equals(attribute, name) for name in sorted(wanted) for attribute in NAMES)
    filter_ = every(equals("objectClass", "mailDomain"), either(*terms))
    return Query(directory.tree.base, Scope.ONE, filter_, NAMES)


def _left_over(directory: Directory, entry: Entry) -> set[str]:
    """Names of alias domains that a removal, broken off, has left on accounts."""
    own = entry.text("domainName") or ""
    hosted = {own, *domain.alias_domains(entry)}
    foreign = {
        name
        for account in directory.stream(alias_domain.named_query(entry))
        for name in alias_domain.foreign_names(account, hosted)
    }
    return foreign - finders.hosted_domains(directory, foreign)


def claim_mods(entry: Entry, change: AliasDomainChanges) -> tuple[Mod, ...]:
    """The first change of the domain's entry: claim what joins, end what leaves."""
    present, pending = entry.lowered("domainAliasName"), entry.lowered("domainPendingAliasName")
    claimed = [name for name in change.joining if name not in present | pending]
    ended = [v for v in entry.texts("domainAliasName") if folded(v) in change.leaving]
    dropped = [v for v in entry.texts("domainPendingAliasName") if folded(v) in change.leaving]
    return (
        *_mod(Op.DELETE, "domainAliasName", ended),
        *_mod(Op.DELETE, "domainPendingAliasName", dropped),
        *_mod(Op.ADD, "domainPendingAliasName", claimed),
    )


def services(
    entry: Entry, parsed: Parsed, change: AliasDomainChanges
) -> Iterator[fields.FieldChange]:
    """Say that the service of alias domains goes from the domain with the last of them.

    It comes with the first one that is made effective. A claimed name counts as one: whoever
    claimed it may have seen the service there.
    """
    of_aliases = {"aliasDomains", "removeAliasDomain"}
    claimed = entry.lowered("domainAliasName") | entry.lowered("domainPendingAliasName")
    left = (claimed | set(change.joining)) - set(change.leaving)
    if not left and any(sent.field.name in of_aliases for sent in parsed.changes):
        yield fields.FieldChange(domain.ALL_SERVICES, ("domainalias",), Verb.REMOVE)


def steps(
    directory: Directory, caller: Caller, entry: Entry, change: AliasDomainChanges
) -> tuple[Step, ...]:
    """What follows the claim: the accounts, the domain's entry, and the accounts once more.

    An account that is created meanwhile is found by the last sweep, or its own recheck finds the
    alias domain.
    """
    tree = directory.tree
    leaving = [step for name in change.leaving for step in alias_domain.leave(tree, entry, name)]
    look = (_recheck_names(entry, change),) if change.joining or change.leaving else ()
    if not change.joining:
        return (*leaving, *look)
    taken = {name: _conflicts(directory, entry, name) for name in change.joining}
    joining = [
        step
        for name in change.joining
        for step in alias_domain.join(tree, entry, name, taken[name])
    ]
    effective = _effective(entry, change)
    return (
        *leaving,
        *_rechecks(directory, caller, entry, change),
        *joining,
        *((Modify(entry.dn, effective),) if effective else ()),
        *joining,
        *look,
    )


def _recheck_names(entry: Entry, change: AliasDomainChanges) -> Recheck:
    """Another program may have changed the alias domains while the accounts got or lost names.

    The change is then made anew, as if it had come after the other one.
    """

    def judge(entries: Iterable[Entry]) -> Correction:
        for found in entries:
            present = found.lowered("domainAliasName")
            if present & set(change.leaving) or not present.issuperset(change.joining):
                return Correction(refusal=PreconditionFailed(f"others have changed {entry.dn}"))
        return Correction()

    query = Query(entry.dn, Scope.BASE, equals("objectClass", "mailDomain"), ("domainAliasName",))
    return Recheck("are its alias domains still those of the accounts", query, judge)


def _effective(entry: Entry, change: AliasDomainChanges) -> tuple[Mod, ...]:
    present = entry.lowered("domainAliasName")
    new = [name for name in change.joining if name not in present]
    pending = entry.texts("domainPendingAliasName")
    spelt = [next((v for v in pending if folded(v) == name), name) for name in new]
    return (
        *_mod(Op.DELETE, "domainPendingAliasName", spelt),
        *_mod(Op.ADD, "domainAliasName", new),
        *service_mods({"domainalias": True}, entry),
    )


def _rechecks(
    directory: Directory, caller: Caller, entry: Entry, change: AliasDomainChanges
) -> tuple[Recheck, ...]:
    """Another domain may have claimed a name as quickly: then neither keeps the claim."""
    present = entry.lowered("domainAliasName")
    pending = entry.lowered("domainPendingAliasName")
    claimed = [name for name in change.joining if name not in present | pending]
    mods = _mod(Op.DELETE, "domainPendingAliasName", claimed)
    back = (Modify(entry.dn, mods, absent_ok=True),) if mods else ()

    def judge(entries: Iterable[Entry]) -> Correction:
        if all(names.same_dn(other.dn, entry.dn) for other in entries):
            return Correction()
        return Correction(back, AlreadyExists(f"taken: {', '.join(change.joining)}"))

    new = [name for name in change.joining if name not in present]
    return (
        Recheck("are the names still nobody else's", _claims(directory, change.joining), judge),
        *creation_limits.recheck_names_of_admins(directory, caller, new, back),
    )


def _conflicts(directory: Directory, entry: Entry, name: str) -> dict[str, str]:
    """Addresses in a new alias domain that belong to other accounts than would get them."""
    held = either(ends_with("mail", f"@{name}"), ends_with("shadowAddress", f"@{name}"))
    attributes = ("objectClass", "mail", "shadowAddress", "memberOfGroup")
    accounts = Query(directory.tree.base, Scope.SUBTREE, held, attributes)
    conflicts = {}
    for account in directory.stream(accounts):
        if account.has("objectClass", "mailExternalUser"):
            continue
        is_inside = names.is_within(account.dn, entry.dn)
        generated = f"{alias_domain.own_local_part(account)}@{name}"
        for address in account.lowered("mail") | account.lowered("shadowAddress"):
            if names.domain_of(address) == name and not (is_inside and address == generated):
                conflicts[address] = account.dn
    return conflicts


def _mod(op: Op, attribute: str, values: list[str]) -> tuple[Mod, ...]:
    return (Mod(op, attribute, encoded(values)),) if values else ()
