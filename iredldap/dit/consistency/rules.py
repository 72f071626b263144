"""Names and meanings of the rules, and what a broken one is reported as.

A rule's name is stable: reports, `--rule` and whatever mends a tree refer to it.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One broken rule at one entry.

    Args:
        rule: Name of the rule, a key of `RULES`.
        dn: Entry that would have to change; of an entry that is missing, its DN.
        reason: What is wrong with it, in one sentence.
        severity: `error`: mail, logins or rights are not what they look like, or a panel fails;
            `warning`: a value without effect.
    """

    rule: str
    dn: str
    reason: str
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds in a healthy tree, and how grave it is where it does not."""

    name: str
    meaning: str
    severity: Severity = "error"

    def broken(self, dn: str, reason: str) -> Violation:
        return Violation(self.name, dn, reason, self.severity)


ADDRESS_SHARED = Rule(
    "address-shared", "An address belongs to one user, list or alias of the whole tree."
)
DOMAIN_SHARED = Rule(
    "domain-shared", "A domain name, alias domain or pending alias domain belongs to one domain."
)
MAIL_COUNT = Rule("mail-count", "A user, list or alias has exactly one `mail`.")
ADDRESS_FOREIGN = Rule(
    "address-foreign",
    "`mail` lies in the domain that the account is in, `shadowAddress` in it or in one of its"
    " alias domains.",
)
ALIAS_NAME_MISSING = Rule(
    "alias-name-missing",
    "An account has its name in every alias domain of its domain, unless another account has it.",
)
REFERENCE_DANGLING = Rule(
    "reference-dangling",
    "An address that another entry names, in a domain hosted here, belongs to an account.",
)
ADMIN_WITHOUT_ACCOUNT = Rule(
    "admin-without-account", "`domainAdmin` is the `mail` of a mail user or a standalone admin."
)
MEMBER_DN_DANGLING = Rule(
    "member-dn-dangling", "`member` and `uniqueMember` are DNs of entries that exist."
)
DN_DANGLING = Rule(
    "dn-dangling",
    "`owner`, `manager`, `seeAlso` and their like are DNs of entries that exist.",
    "warning",
)
GROUP_WITHOUT_LIST = Rule("group-without-list", "`memberOfGroup` is an address of a list.")
DEFAULT_LIST_DANGLING = Rule(
    "default-list-dangling", "The `defaultList` of a domain names lists that exist."
)
EXTERNALS_WITHOUT_LIST = Rule(
    "externals-without-list", "An entry of external members names lists that exist."
)
DOMAIN_STATUS = Rule(
    "domain-status",
    "`domainStatus` is `disabled` on every account of a disabled domain, and on no other.",
)
DOMAINALIAS_MISSING = Rule(
    "domainalias-missing", "A domain with alias domains has the service `domainalias`."
)
DOMAINALIAS_STALE = Rule(
    "domainalias-stale",
    "A domain without alias domains lacks the service `domainalias`.",
    "warning",
)
ALIAS_DOMAIN_PENDING = Rule("alias-domain-pending", "No alias domain is pending.")
MEMBERSHIP_PARTIAL = Rule(
    "membership-partial",
    "A member of a plain list has every address of the list as `memberOfGroup`.",
)
EXTERNALS_ADDRESSES = Rule(
    "externals-addresses",
    "An entry of external members has the list's further addresses as `shadowAddress`.",
)
LIST_DN_FOREIGN = Rule(
    "list-dn-foreign", "A mail user that a plain list names as `member` is a member of it."
)
LIST_DN_MISSING = Rule(
    "list-dn-missing",
    "A plain list that has `member` values names every mail user who is a member.",
    "warning",
)
CONTAINER_MISSING = Rule(
    "container-missing", "A domain has its containers Users, Groups, Aliases and Externals."
)
PARENT_MISSING = Rule("parent-missing", "The entry above an entry exists.")
ACCOUNT_MISPLACED = Rule(
    "account-misplaced", "An account is in the container of its kind.", "warning"
)
ROLE_MISSING = Rule(
    "role-missing", "A mail user that a domain names as its admin has the service `domainadmin`."
)
ROLE_UNUSED = Rule(
    "role-unused",
    "A mail user with the service `domainadmin` is a global admin or admin of a domain.",
    "warning",
)
GLOBAL_ADMIN_MISSING = Rule("global-admin-missing", "There is an active global admin.")
# A global admin may host the domain of a standalone admin, and let a team share a mailbox.
ADMIN_HOSTED = Rule(
    "admin-hosted", "The domain of a standalone admin's address is not hosted here.", "warning"
)
MAILBOX_SHARED = Rule("mailbox-shared", "A mailbox path belongs to one mail user.", "warning")
MAILBOX_NESTED = Rule("mailbox-nested", "No mailbox path lies inside another one.")
RENAME_UNFINISHED = Rule(
    "rename-unfinished", "No account has its own `mail` among its `shadowAddress` values."
)
LIST_UNFINISHED = Rule("list-unfinished", "A subscribable list has the service `mail`.")
SERVICE_MISSING = Rule(
    "service-missing",
    "A mail user has the services without which stored values have another effect than they say.",
    "warning",
)

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        ADDRESS_SHARED, DOMAIN_SHARED, MAIL_COUNT, ADDRESS_FOREIGN, ALIAS_NAME_MISSING,
        REFERENCE_DANGLING, ADMIN_WITHOUT_ACCOUNT, MEMBER_DN_DANGLING, DN_DANGLING,
        GROUP_WITHOUT_LIST, DEFAULT_LIST_DANGLING, EXTERNALS_WITHOUT_LIST, DOMAIN_STATUS,
        DOMAINALIAS_MISSING, DOMAINALIAS_STALE, ALIAS_DOMAIN_PENDING, MEMBERSHIP_PARTIAL,
        EXTERNALS_ADDRESSES, LIST_DN_FOREIGN, LIST_DN_MISSING, CONTAINER_MISSING, PARENT_MISSING,
        ACCOUNT_MISPLACED, ROLE_MISSING, ROLE_UNUSED, GLOBAL_ADMIN_MISSING, ADMIN_HOSTED,
        MAILBOX_SHARED, MAILBOX_NESTED, RENAME_UNFINISHED, LIST_UNFINISHED, SERVICE_MISSING,
    )
}  # fmt: skip
"""All rules by name."""

IN_PROGRESS = "unless a change is in progress at this moment, one was broken off: repeat it"
"""Why an entry may be found half-changed without any fault."""
