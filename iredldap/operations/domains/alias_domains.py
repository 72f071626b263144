"""Plan the alias domains of a domain: claim a name, give it to every account, make it effective.

The new name is first claimed as pending: mail servers ignore it, and every check for taken names
finds it. Then the accounts get their names, and last it becomes an alias domain. A removal goes the
other way round: first it ceases to be an alias domain, then the accounts lose their names.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from iredldap import finders
from iredldap.dit import alias_domain, domain, fields, mail_names, names
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
    """Names that a request adds, names that it removes, and names that other domains have."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()


def requested(
    directory: Directory, caller: Caller, entry: Entry, parsed: Parsed
) -> AliasDomainChanges:
    """Read which alias domains a request adds and removes.

    Names that are aliases already are added again, and those that are none are removed again: this
    finishes a change that broke off.

    Raises:
        AlreadyExists: If every name asked for is taken by another domain.
        PermissionDenied: If a normal admin names the domain of a standalone admin's address.
    """
    own = entry.text("domainName") or ""
    present = set(domain.alias_domains(entry))
    added: set[str] = set()
    removed: set[str] = set()
    for change in parsed.changes:
        match change.field.name, change.verb:
            case "aliasDomains", _:
                added |= set(change.values)
                removed |= (present | _left_over(directory, entry)) - added
            case "addAliasDomain", Verb.ADD:
                added |= set(change.values)
            case "removeAliasDomain", Verb.REMOVE:
                removed |= set(change.values) - {own}
    # What is in both lists stays, without a moment in which mail to it bounces.
    removed -= added
    taken = _taken(directory, entry, added) | (added & {own})
    # Where some are free, the others are left out and named; a request of which nothing is left is
    # refused.
    if added and added <= taken:
        raise AlreadyExists(f"taken: {', '.join(sorted(taken))}")
    creation_limits.refuse_names_of_admins(directory, caller, added - taken - present)
    return AliasDomainChanges(
        tuple(sorted(added - taken)), tuple(sorted(removed)), tuple(sorted(taken))
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
    """Return the names of alias domains that a removal which broke off has left on accounts."""
    own = entry.text("domainName") or ""
    hosted = {own, *domain.alias_domains(entry)}
    # Not the domain's entry says what a removal has left, but the accounts: the name has been taken
    # off the entry by the first step.
    foreign = {
        name
        for account in directory.stream(alias_domain.named_query(entry))
        for name in alias_domain.foreign_names(account, hosted)
    }
    # A name that is another domain's by now belongs to that domain, whoever has left it here.
    return foreign - finders.hosted_domains(directory, foreign)


def claim_mods(entry: Entry, change: AliasDomainChanges) -> tuple[Mod, ...]:
    """Return the first change of the domain's entry: claim added names, end removed ones."""
    present, pending = entry.lowered("domainAliasName"), entry.lowered("domainPendingAliasName")
    claimed = [name for name in change.added if name not in present | pending]
    ended = [v for v in entry.texts("domainAliasName") if folded(v) in change.removed]
    dropped = [v for v in entry.texts("domainPendingAliasName") if folded(v) in change.removed]
    return (
        *_mod(Op.DELETE, "domainAliasName", ended),
        *_mod(Op.DELETE, "domainPendingAliasName", dropped),
        *_mod(Op.ADD, "domainPendingAliasName", claimed),
    )


def services(
    entry: Entry, parsed: Parsed, change: AliasDomainChanges
) -> Iterator[fields.FieldChange]:
    """Yield the removal of the alias domain service, with the last alias domain.

    It is added with the first one that becomes effective. A claimed name counts as one: the request
    that claimed it may have found the service there.
    """
    of_aliases = {"aliasDomains", "removeAliasDomain"}
    claimed = entry.lowered("domainAliasName") | entry.lowered("domainPendingAliasName")
    left = (claimed | set(change.added)) - set(change.removed)
    if not left and any(sent.field.name in of_aliases for sent in parsed.changes):
        yield fields.FieldChange(domain.ALL_SERVICES, ("domainalias",), Verb.REMOVE)


def steps(
    directory: Directory, caller: Caller, entry: Entry, change: AliasDomainChanges
) -> tuple[Step, ...]:
    """Return the steps after the claim: accounts, the domain's entry, and accounts again."""
    tree = directory.tree
    removed = [step for name in change.removed for step in alias_domain.leave(tree, entry, name)]
    recheck = (_recheck_names(entry, change),) if change.added or change.removed else ()
    if not change.added:
        return (*removed, *recheck)
    # Addresses that other accounts hold in the new domain already, as after an earlier alias
    # domain, stay theirs.
    taken = {name: _conflicts(directory, entry, name) for name in change.added}
    added = [
        step for name in change.added for step in alias_domain.join(tree, entry, name, taken[name])
    ]
    effective = _effective(entry, change)
    return (
        *removed,
        # Before any account gets the name: until then removing the claim reverts everything.
        *_rechecks(directory, caller, entry, change),
        *added,
        # Effective only now: Postfix accepts mail to the alias domain from here on, and every
        # account must have its name by then.
        *((Modify(entry.dn, effective),) if effective else ()),
        # Again: an account that was added since is found here, or was added so late that its own
        # recheck finds the alias domain.
        *added,
        *recheck,
    )


def _recheck_names(entry: Entry, change: AliasDomainChanges) -> Recheck:
    """Return the recheck of the domain's names, which other programs may have changed meanwhile.

    The plan is then made again, as if the request had come after the other change.
    """

    def judge(entries: Iterable[Entry]) -> Correction:
        for found in entries:
            present = found.lowered("domainAliasName")
            if present & set(change.removed) or not present.issuperset(change.added):
                return Correction(refusal=PreconditionFailed(f"others have changed {entry.dn}"))
        return Correction()

    query = Query(entry.dn, Scope.BASE, equals("objectClass", "mailDomain"), ("domainAliasName",))
    return Recheck("check that the alias domains are those of the accounts", query, judge)


def _effective(entry: Entry, change: AliasDomainChanges) -> tuple[Mod, ...]:
    present = entry.lowered("domainAliasName")
    new = [name for name in change.added if name not in present]
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
    """Return the rechecks of the claim: if another domain claimed a name too, neither keeps it."""
    present = entry.lowered("domainAliasName")
    pending = entry.lowered("domainPendingAliasName")
    claimed = [name for name in change.added if name not in present | pending]
    mods = _mod(Op.DELETE, "domainPendingAliasName", claimed)
    back = (Modify(entry.dn, mods, absent_ok=True),) if mods else ()

    def judge(entries: Iterable[Entry]) -> Correction:
        if all(names.same_dn(other.dn, entry.dn) for other in entries):
            return Correction()
        return Correction(back, AlreadyExists(f"taken: {', '.join(change.added)}"))

    new = [name for name in change.added if name not in present]
    return (
        Recheck(
            "check that no other domain has the names", _claims(directory, change.added), judge
        ),
        *creation_limits.recheck_names_of_admins(directory, caller, new, back),
    )


def _conflicts(directory: Directory, entry: Entry, name: str) -> dict[str, str]:
    """Return addresses in a new alias domain that belong to other accounts than would get them."""
    held = either(ends_with("mail", f"@{name}"), ends_with("shadowAddress", f"@{name}"))
    attributes = ("objectClass", "mail", "shadowAddress", "memberOfGroup")
    accounts = Query(directory.tree.base, Scope.SUBTREE, held, attributes)
    conflicts = {}
    for account in directory.stream(accounts):
        # A member of a list elsewhere holds no address here.
        if account.has("objectClass", "mailExternalUser"):
            continue
        is_inside = names.is_within(account.dn, entry.dn)
        generated = f"{alias_domain.own_local_part(account)}@{name}"
        for address in account.lowered("mail") | account.lowered("shadowAddress"):
            if mail_names.domain_of(address) == name and not (is_inside and address == generated):
                conflicts[address] = account.dn
    return conflicts


def _mod(op: Op, attribute: str, values: list[str]) -> tuple[Mod, ...]:
    return (Mod(op, attribute, encoded(values)),) if values else ()
