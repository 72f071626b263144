"""Rules of domains, of the entries above accounts, and of admins."""

from collections import defaultdict
from collections.abc import Iterator

from iredldap.dit import mail_names, names, user
from iredldap.dit.consistency import rules
from iredldap.dit.consistency.index import AccountKind, Index
from iredldap.dit.consistency.places import key_of
from iredldap.dit.consistency.rules import Violation


def shared_names(index: Index) -> Iterator[Violation]:
    """Check whether names belong to one domain each: whose own it is, else the first by DN."""
    claims: defaultdict[str, list[tuple[bool, str]]] = defaultdict(list)
    for domain in index.domains.values():
        for name in {domain.name, *domain.aliases, *domain.pending}:
            # Sorted with the domain's own name first: the other domain, an alias, is what is
            # reported.
            claims[name].append((name != domain.name, domain.dn))
    for name, found in claims.items():
        (_, first), *others = sorted(found)
        for _, dn in others:
            yield rules.DOMAIN_SHARED.broken(dn, f"{name} belongs to {first} as well")


def alias_domains(index: Index) -> Iterator[Violation]:
    """Check the alias domains of domains."""
    for domain in index.domains.values():
        if domain.aliases and not domain.takes_aliases:
            held = ", ".join(sorted(domain.aliases))
            reason = f"mail to {held} is refused without the service domainalias"
            yield rules.DOMAINALIAS_MISSING.broken(domain.dn, reason)
        if domain.takes_aliases and not domain.aliases and not domain.pending:
            reason = "the service domainalias, and no alias domain"
            yield rules.DOMAINALIAS_STALE.broken(domain.dn, reason)
        for name in sorted(domain.pending):
            reason = f"{name} is pending; {rules.IN_PROGRESS}"
            yield rules.ALIAS_DOMAIN_PENDING.broken(domain.dn, reason)


def containers(index: Index) -> Iterator[Violation]:
    """Check whether domains have their containers."""
    for domain in index.domains.values():
        for unit in names.CONTAINERS:
            dn = f"ou={unit},{domain.dn}"
            if not index.has_entry(key_of(dn)):
                yield rules.CONTAINER_MISSING.broken(
                    domain.dn, f"no ou={unit}: nothing can be added to it"
                )


def parents(index: Index) -> Iterator[Violation]:
    """Check whether entries below `o=domains` have entries above them."""
    for parent, (example, number) in index.parents.items():
        if not index.has_entry(parent):
            reason = f"no entry, and {number} below it: {example}"
            yield rules.PARENT_MISSING.broken(parent, reason)


def hosted_admins(index: Index) -> Iterator[Violation]:
    """Check whether standalone admins have addresses that are not hosted here.

    Rights belong to addresses: a mail user of the same one would have the same rights.
    """
    hosted = {name: d.name for d in index.domains.values() for name in (d.name, *d.aliases)}
    for admin in index.admins:
        home = hosted.get(mail_names.domain_of(admin.mail))
        if home:
            reason = f"{admin.mail} lies in {home}, which is hosted here"
            yield rules.ADMIN_HOSTED.broken(admin.dn, reason)


def roles(index: Index) -> Iterator[Violation]:
    """Check whether mail users have the service of an admin as domains name them."""
    managed: defaultdict[str, list[str]] = defaultdict(list)
    for domain in index.domains.values():
        for mail in domain.admins:
            # Collected once: there are more accounts than domains, and each is looked up.
            managed[mail].append(domain.name)
    for account in index.accounts:
        if account.kind is not AccountKind.USER or account.is_global:
            continue
        domains = managed.get(account.mail, ())
        if domains and not account.has_role:
            reason = f"admin of {', '.join(sorted(domains)[:5])}, and lacks the service {user.ROLE}"
            yield rules.ROLE_MISSING.broken(account.dn, reason)
        if account.has_role and not domains:
            reason = f"the service {user.ROLE}, and no domain names it as its admin"
            yield rules.ROLE_UNUSED.broken(account.dn, reason)


def global_admin(index: Index) -> Iterator[Violation]:
    """Check whether there is an active global admin."""
    if not index.has_global_admin:
        reason = "no active standalone admin or mail user has domainGlobalAdmin=yes"
        yield rules.GLOBAL_ADMIN_MISSING.broken(index.tree.admin_base, reason)
