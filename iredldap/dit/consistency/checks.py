"""Judge a whole tree by all rules."""

from collections.abc import Callable, Iterable, Iterator

from iredldap.dit.consistency import accounts, domains, lists, mailboxes, targets
from iredldap.dit.consistency.index import Index
from iredldap.dit.consistency.rules import RULES, Rule, Violation
from iredldap.dit.dn_references import ACCOUNT_DNS
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree

__all__ = ["ATTRIBUTES", "RULES", "Rule", "Violation", "examine"]

ATTRIBUTES = (
    "objectClass", "mail", "shadowAddress", "accountStatus", "domainStatus", "enabledService",
    "domainName", "domainAliasName", "domainPendingAliasName", "domainBackupMX", "domainAdmin",
    "domainGlobalAdmin", "domainSenderBccAddress", "domainRecipientBccAddress", "accountSetting",
    "mailForwardingAddress", "userSenderBccAddress", "userRecipientBccAddress", "userManager",
    "memberOfGroup", *ACCOUNT_DNS, "listAllowedUser", "listModerator", "listOwner",
    "homeDirectory", "storageBaseDirectory", "mailMessageStore",
)  # fmt: skip
"""Attributes that the rules look at: a search needs to ask for no others."""

_OF_THE_TREE: tuple[Callable[[Index], Iterator[Violation]], ...] = (
    accounts.shared_addresses,
    accounts.foreign_addresses,
    accounts.missing_alias_names,
    accounts.status,
    accounts.misplaced,
    targets.dangling_references,
    targets.admins_without_account,
    targets.dangling_dns,
    targets.groups_without_list,
    targets.dangling_default_lists,
    lists.partial_memberships,
    lists.externals,
    lists.member_dns,
    domains.shared_names,
    domains.alias_domains,
    domains.containers,
    domains.parents,
    domains.hosted_admins,
    domains.roles,
    domains.global_admin,
    mailboxes.mailboxes,
)


def examine(tree: Tree, entries: Iterable[Entry]) -> Iterator[Violation]:
    """Return the broken rules of a tree, by DN and then by rule.

    Entries are read once, in any order, and not kept: what is remembered of them takes about 1 KB
    each. Nothing is returned before the last one was read.

    Args:
        tree: Names of its parts.
        entries: Everything below `o=domains` and `o=domainAdmins`; others are passed over.
            Attributes have the names of the schema; those of `ATTRIBUTES` suffice.
    """
    index = Index(tree)
    found: list[Violation] = []
    for entry in entries:
        if index.add(entry):
            # At once, as the entry is not kept.
            found.extend(accounts.by_itself(entry))
    for rule in _OF_THE_TREE:
        found.extend(rule(index))
    yield from sorted(found, key=lambda one: (one.dn.lower(), one.rule, one.reason))
