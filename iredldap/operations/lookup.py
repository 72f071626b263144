"""Facts about the directory that more than one operation asks for."""

from collections.abc import Iterable

from iredldap.dit import generations, names
from iredldap.dit.entry import Entry
from iredldap.dit.names import either, equals, every, negated
from iredldap.dit.plan import Query, Scope
from iredldap.errors import NoSuchAccount, PermissionDenied
from iredldap.gateways.directory import Directory

ACCOUNTS = either(
    equals("objectClass", "mailUser"),
    equals("objectClass", "mailList"),
    equals("objectClass", "mailAlias"),
)


def domain(directory: Directory, name: str, *, by_alias: bool = False) -> Entry:
    """Read a domain, for reading also by the name of one of its alias domains.

    Raises:
        NoSuchAccount: If there is none.
    """
    if not by_alias:
        entry = directory.read(directory.tree.domain(name))
        if entry is None:
            raise NoSuchAccount(f"no domain {name}")
        return entry
    found = directory.find(
        Query(directory.tree.base, Scope.ONE, domain_filter(name, "domainName", "domainAliasName"))
    )
    if not found:
        raise NoSuchAccount(f"no domain {name}")
    return next((entry for entry in found if entry.has("domainName", name)), found[0])


def domain_filter(name: str, *attributes: str) -> str:
    """Filter for the domains that carry a name in one of some attributes."""
    return every(
        equals("objectClass", "mailDomain"), either(*(equals(a, name) for a in attributes))
    )


def user(directory: Directory, mail: str) -> Entry:
    """Read a mail user.

    Raises:
        NoSuchAccount: If there is none.
    """
    entry = directory.read(directory.tree.user(mail))
    if entry is None:
        raise NoSuchAccount(f"no user {mail}")
    return entry


def admin(directory: Directory, mail: str) -> Entry:
    """Read a standalone admin.

    Raises:
        NoSuchAccount: If there is none.
    """
    entry = directory.read(directory.tree.admin(mail))
    if entry is None:
        raise NoSuchAccount(f"no admin {mail}")
    return entry


def managed(
    directory: Directory, mail: str, attributes: tuple[str, ...] = ("*", "entryCSN")
) -> Query:
    """Search for the domains that name an address as their admin."""
    named = every(equals("objectClass", "mailDomain"), equals("domainAdmin", mail))
    return Query(directory.tree.base, Scope.ONE, named, attributes)


def holders_filter(*addresses: str) -> str:
    """Filter for the accounts that any of some addresses belong to."""
    terms = (equals(name, mail) for mail in addresses for name in ("mail", "shadowAddress"))
    return every(ACCOUNTS, either(*terms))


def domain_and_holders(
    directory: Directory, mail: str, *aliases: str, rights: bool = False
) -> Query:
    """One search for the domain of an address and for whoever has the address already.

    Args:
        directory: Where.
        mail: The address.
        aliases: Further names of the same account in alias domains.
        rights: Whether to find the domains that name the address as their admin, too.
    """
    home = domain_filter(names.domain_of(mail), "domainName")
    named = (every(equals("objectClass", "mailDomain"), equals("domainAdmin", mail)),)
    filter_ = either(home, holders_filter(mail, *aliases), *(named if rights else ()))
    return Query(directory.tree.base, Scope.SUBTREE, filter_)


def told_apart(entries: Iterable[Entry], mail: str = "") -> tuple[Entry | None, list[Entry]]:
    """Tell the domain from the accounts in the answer of `domain_and_holders`.

    Args:
        entries: The answer.
        mail: The address, where other domains that name it as their admin may be in the answer.
    """
    found_domain, accounts = None, []
    for entry in entries:
        if entry.has("objectClass", "mailDomain"):
            if not mail or entry.has("domainName", names.domain_of(mail)):
                found_domain = entry
        else:
            accounts.append(entry)
    return found_domain, accounts


def users_query(directory: Directory, domain_name: str) -> Query:
    """Search for the users of a domain, with what their limits are counted from.

    The catch-all entry is no user.
    """
    return Query(
        directory.tree.container(domain_name, "Users"),
        Scope.ONE,
        every(equals("objectClass", "mailUser"), negated(equals("mail", f"@{domain_name}"))),
        ("mailQuota",),
    )


def counted(entries: Iterable[Entry]) -> tuple[int, int]:
    """How many users there are, and how many bytes of mailbox they may fill together."""
    number = size = 0
    for entry in entries:
        number += 1
        size += int(entry.text("mailQuota") or 0)
    return number, size


def global_admins(directory: Directory) -> Query:
    """Search for the global admins; those in a disabled domain are still among them."""
    return Query(
        directory.tree.suffix,
        Scope.SUBTREE,
        every(equals("domainGlobalAdmin", "yes"), equals("accountStatus", "active")),
        ("accountStatus", "domainStatus"),
    )


def keep_a_global_admin(directory: Directory, goes: str, *, below: bool = False) -> None:
    """Refuse to take away the last active global admin.

    Args:
        directory: Where.
        goes: DN of the account or, with `below`, of the domain that goes.
        below: Whether everything below goes too.

    Raises:
        PermissionDenied: If no active global admin is left.
    """
    leaving = names.components(goes)
    admins = directory.find(global_admins(directory))

    def stays(entry: Entry) -> bool:
        place = names.components(entry.dn)
        goes_too = (place[-len(leaving) :] if below else place) == leaving
        return not goes_too and is_on(directory, entry)

    if not any(stays(entry) for entry in admins):
        raise PermissionDenied("the last active global admin")


def is_on(directory: Directory, entry: Entry) -> bool:
    """Whether an account is active, and its domain is too."""
    if not entry.is_active or generations.marks_accounts(directory.schema()):
        return entry.is_active
    home = names.domain_in(entry.dn)
    found = directory.read(directory.tree.domain(home), ("accountStatus",)) if home else None
    return found is None or found.is_active


_BATCH = 100


def hosted(directory: Directory, domains: Iterable[str]) -> set[str]:
    """Which of some domain names are hosted here, as a domain or as an alias domain."""
    return set(homes(directory, domains))


def homes(directory: Directory, domains: Iterable[str]) -> dict[str, list[Entry]]:
    """The domains that have some names, or alias domains of these names; else a name is absent."""
    asked = set(domains)
    found: dict[str, list[Entry]] = {}
    attributes = ("domainName", "domainAliasName")
    shown = (*attributes, "domainBackupMX")
    for batch in batches(asked):
        named = (equals(attribute, name) for name in batch for attribute in attributes)
        filter_ = every(equals("objectClass", "mailDomain"), either(*named))
        for entry in directory.find(Query(directory.tree.base, Scope.ONE, filter_, shown)):
            for name in (entry.lowered("domainName") | entry.lowered("domainAliasName")) & asked:
                found.setdefault(name, []).append(entry)
    return found


def holders(
    directory: Directory, addresses: Iterable[str], attributes: tuple[str, ...] = ("*", "entryCSN")
) -> dict[str, list[Entry]]:
    """The users, lists and aliases that some addresses belong to; an address of none is absent."""
    asked = set(addresses)
    found: dict[str, list[Entry]] = {}
    wanted = attributes if "*" in attributes else (*attributes, "mail", "shadowAddress")
    for batch in batches(asked):
        query = Query(directory.tree.base, Scope.SUBTREE, holders_filter(*batch), wanted)
        for entry in directory.find(query):
            for address in (entry.lowered("mail") | entry.lowered("shadowAddress")) & asked:
                found.setdefault(address, []).append(entry)
    return found


def batches(values: Iterable[str]) -> Iterable[list[str]]:
    """Cut into pieces small enough for one filter."""
    ordered = sorted(values)
    return (ordered[start : start + _BATCH] for start in range(0, len(ordered), _BATCH))
