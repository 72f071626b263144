"""What a new user depends on, as it was found before the entry is added."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from iredldap import finders
from iredldap.dit import settings
from iredldap.dit.entry import Entry
from iredldap.dit.filters import either, equals, every
from iredldap.dit.plan import Query, Scope
from iredldap.operations import mailboxes, uniqueness
from iredldap.operations.context import Context
from iredldap.operations.known.account_counts import Occupancy
from iredldap.operations.mailboxes import PathCandidate
from iredldap.operations.near_mailboxes import NearMailboxes


@dataclass(frozen=True)
class Surroundings:
    """The domain of a new user, and what others have of what the user is to get.

    Args:
        context: Where it was looked for.
        found: The domain, the holders of the address, the domains that name it as their admin, and
            the accounts whose mailboxes touch the path; others may be among them.
        candidate: The path that the mailbox gets if it is free.
    """

    context: Context
    found: Sequence[Entry]
    candidate: PathCandidate

    def taken(self, addresses: Iterable[str]) -> set[str]:
        """Return those of some addresses that belong to accounts."""
        return uniqueness.taken(self.context.directory, addresses)

    def near_paths(self) -> Mapping[str, NearMailboxes]:
        """Return what is near paths that are asked for; empty: it was not looked for."""
        return {}

    def at_most(self, query: Query) -> Occupancy:
        """Return at least what is there, as `AccountCounts.at_most` does."""
        return self.context.outside.counts.at_most(self.context.directory, query)

    def exactly(self, query: Query) -> Occupancy:
        """Count what is there, as `AccountCounts.exactly` does."""
        return self.context.outside.counts.exactly(self.context.directory, query)

    def default_lists(self, limits: settings.Settings) -> list[Entry]:
        """Find the lists that a new user joins; names of lists that do not exist are left out."""
        return default_lists(self.context, str(limits.get("defaultList", "")))


def look_around(context: Context, mail: str, *, generates_path: bool) -> Surroundings:
    """Find what a new user depends on; `generates_path`: the mailbox gets a path of our choice."""
    # One search answers four questions: the domain, whether the address is taken, which domains it
    # would inherit, and which accounts have the path that would be generated. The database is asked
    # while slapd searches.
    query = finders.domain_and_holders(context.directory, mail, rights=True)
    candidate = mailboxes.first_candidate(context, mail)

    def ask() -> None:
        if generates_path:
            mailboxes.search_deleted(context, candidate)

    query = replace(query, filter=either(query.filter, candidate.query.filter))
    return Surroundings(context, context.directory.find(query, meanwhile=ask), candidate)


def default_lists(context: Context, setting: str) -> list[Entry]:
    """Find the lists that a setting of a domain names."""
    wanted = [word.strip().lower() for word in setting.split(",")]
    if not any(wanted):
        return []
    filter_ = every(
        equals("objectClass", "mailList"),
        either(*(equals("mail", mail) for mail in wanted if mail)),
    )
    attributes = ("objectClass", "mail", "shadowAddress", "enabledService")
    return context.directory.find(
        Query(context.directory.tree.base, Scope.SUBTREE, filter_, attributes)
    )
