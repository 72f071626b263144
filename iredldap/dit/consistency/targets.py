"""Rules of references: what an entry names exists."""

from collections.abc import Iterator

from iredldap.dit.consistency import rules
from iredldap.dit.consistency.index import LISTS, AccountKind, Index, local_and_domain
from iredldap.dit.consistency.rules import Violation
from iredldap.dit.dn_references import MEMBER_DNS


def dangling_references(index: Index) -> Iterator[Violation]:
    """Check whether addresses in domains hosted here belong to accounts.

    Not judged: external addresses, and in domains that this server is only a backup MX of; values
    without a local part, as `@domain`, and `*@domain`.
    """
    hosted = {
        name
        for domain in index.domains.values()
        if not domain.is_backup
        for name in (domain.name, *domain.aliases)
    }
    for reference in index.references:
        local, domain = local_and_domain(reference.address)
        if domain not in hosted or local in {"", "*"} or "@" not in reference.address:
            continue
        if not index.is_held(reference.address) and not index.is_held(f"{local}@{domain}"):
            reason = f"{reference.attribute} names {reference.address}, which no account has"
            yield rules.REFERENCE_DANGLING.broken(reference.dn, reason)


def admins_without_account(index: Index) -> Iterator[Violation]:
    """Check whether there is an account for each admin that a domain names."""
    standalone = {admin.mail for admin in index.admins}
    for domain in index.domains.values():
        for mail in sorted(domain.admins - standalone):
            # An admin logs in by their own address only, not by a further one.
            if not any(a.kind is AccountKind.USER and a.mail == mail for a in index.holders(mail)):
                reason = (
                    f"domainAdmin names {mail}, which no account has: its next owner gets rights"
                )
                yield rules.ADMIN_WITHOUT_ACCOUNT.broken(domain.dn, reason)


def dangling_dns(index: Index) -> Iterator[Violation]:
    """Check whether DNs below `o=domains` and `o=domainAdmins` are those of entries.

    Whatever names them: a list, a group of another tool, or an entry of any other class.
    """
    for owner, attribute, dns in index.named_dns:
        for dn in sorted(dns):
            if index.is_read(dn) and not index.has_entry(dn):
                reason = f"{attribute} names {dn}, which is no entry"
                is_member = attribute in MEMBER_DNS
                rule = rules.MEMBER_DN_DANGLING if is_member else rules.DN_DANGLING
                yield rule.broken(owner, reason)


def groups_without_list(index: Index) -> Iterator[Violation]:
    """Check whether lists exist: Postfix expands a membership without one all the same."""
    for account in index.accounts:
        if account.kind is AccountKind.EXTERNALS:
            continue
        for group in account.groups:
            if not _is_of_list(index, group):
                reason = f"memberOfGroup names {group}, which is no list: its mail comes here"
                yield rules.GROUP_WITHOUT_LIST.broken(account.dn, reason)


def dangling_default_lists(index: Index) -> Iterator[Violation]:
    """Check whether the lists exist that new users join."""
    for domain in index.domains.values():
        for address in sorted(domain.default_lists):
            if not _is_of_list(index, address):
                reason = f"defaultList names {address}, which is no list"
                yield rules.DEFAULT_LIST_DANGLING.broken(domain.dn, reason)


def _is_of_list(index: Index, address: str) -> bool:
    return any(account.kind in LISTS for account in index.holders(address))
