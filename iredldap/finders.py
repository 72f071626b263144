"""Find domains, accounts and admins, as more than one operation needs them.

Accounts are found as Postfix and Dovecot find them: by `mail`, below the domain of the address.
An account that another tool has named by another attribute, or put into another container, is the
same account to them. Every later operation on an account uses the DN that was found.
"""

from collections.abc import Callable, Collection, Iterable

from iredldap.directory_errors import AmbiguousAccount
from iredldap.dit import generations, mail_names, names
from iredldap.dit import user as user_rows
from iredldap.dit.entry import Entry
from iredldap.dit.filters import begins_with, domain_filter, either, equals, every, negated, present
from iredldap.dit.holders import holders_filter
from iredldap.dit.plan import Query, Scope
from iredldap.errors import InvalidMail, NoSuchAccount
from iredldap.gateways.directory import Directory

_ACCOUNT_CLASSES = frozenset({"mailuser", "maillist", "mailalias"})


def domain(directory: Directory, name: str, *, by_alias: bool = False) -> Entry:
    """Read a domain, for reading also by the name of one of its alias domains.

    Raises:
        NoSuchAccount: If there is none.
        AmbiguousAccount: If two entries have the name.
    """
    return require(domain_or_none(directory, name, by_alias=by_alias), "domain", name)


def domain_of_entry(directory: Directory, entry: Entry) -> Entry:
    """Read the domain that an account is in.

    Raises:
        NoSuchAccount: If there is none.
    """
    return domain(directory, domain_name(directory, entry.dn) or "")


def domain_or_none(directory: Directory, name: str, *, by_alias: bool = False) -> Entry | None:
    """Read a domain, as `domain` does, or None.

    Raises:
        AmbiguousAccount: If two entries have the name.
    """
    asked = equals("domainName", name)
    if by_alias:
        asked = domain_filter(name, "domainName", "domainAliasName")
    found = [
        entry
        # The class is judged here, not by a term: slapd would read the index of all domains for it.
        for entry in directory.find(Query(directory.tree.base, Scope.ONE, asked))
        if entry.has("objectClass", "mailDomain")
    ]
    entry = single((entry for entry in found if entry.has("domainName", name)), name)
    # Its own name before that of an alias: another tool may have given one name as both.
    return entry or next(iter(found), None)


def user(directory: Directory, mail: str, *, anywhere: bool = False) -> Entry:
    """Read a mail user; `anywhere` as for `choose_account`.

    Raises:
        NoSuchAccount: If there is none.
        AmbiguousAccount: If two have the address.
    """
    return require(account(directory, mail, "mailUser", anywhere=anywhere), "user", mail)


def require(entry: Entry | None, kind: str, name: str) -> Entry:
    """Require that an entry was found.

    Args:
        entry: What was found.
        kind: Of what was looked for.
        name: Its domain name or address.

    Raises:
        NoSuchAccount: If not.
        InvalidMail: If not, and an account was looked for by what is no address.
    """
    if entry is not None:
        return entry
    if kind != "domain" and "@" not in name:
        raise InvalidMail(f"{name[:80]!r} is no mail address, and no {kind} has it as one")
    raise NoSuchAccount(f"no {kind} {name}")


def is_in_own_domain(directory: Directory, dn: str, mail: str) -> bool:
    """Return whether an account is in the domain of its address.

    A name without ``@`` has no domain: such an account is found in any.
    """
    # Most DNs have the name of the domain, so this costs no search.
    return "@" not in mail or domain_name(directory, dn) == mail_names.domain_of(mail)


def account(
    directory: Directory,
    mail: str,
    object_class: str,
    *,
    anywhere: bool = False,
    meanwhile: Callable[[], object] = lambda: None,
) -> Entry | None:
    """Find the user, list or alias that has an address as its own, in the domain of that.

    It costs no more than to read an entry by its DN.

    Args:
        directory: Where.
        mail: The address, in lower case; ``@`` and a domain for its catch-all account.
        object_class: That of the kind.
        anywhere: As for `choose_account`.
        meanwhile: Called while the directory searches.

    Raises:
        AmbiguousAccount: If two have it.
    """
    found = directory.find(account_query(directory, mail), meanwhile)
    return choose_account(directory, found, mail, object_class, anywhere=anywhere)


def account_query(directory: Directory, mail: str) -> Query:
    """Return the query for accounts whose own address this is; `choose_account` chooses one."""
    return Query(directory.tree.base, Scope.SUBTREE, own_address(mail))


def dns_below(directory: Directory, dn: str) -> list[str]:
    """Return DNs of the entries below one, which other tools have put there."""
    query = Query(dn, Scope.SUBTREE, present("objectClass"), ("1.1",))
    return [entry.dn for entry in directory.find(query) if not names.same_dn(entry.dn, dn)]


def own_address(mail: str) -> str:
    """Return the filter for the entries that have an address as their own.

    Their class is judged here: for a term on it, slapd reads an index with all accounts of
    that class (of 60 000: 1.8 times as long), and for one that excludes a class it reads none.
    Those that are excluded may be large, and have the addresses of others as values.
    """
    return every(equals("mail", mail), negated(equals("objectClass", "mailExternalUser")))


def choose_account(
    directory: Directory,
    entries: Iterable[Entry],
    mail: str,
    object_class: str,
    *,
    anywhere: bool = False,
) -> Entry | None:
    """Choose the account of an address, as `account` does, from entries that were found.

    Args:
        directory: Where.
        entries: What was found.
        mail: The address.
        object_class: That of the kind.
        anywhere: Whether the one that another domain has is chosen where its own has none. For
            global admins alone: the domain of an address says who else may do something with it.

    Raises:
        AmbiguousAccount: If there are two.
    """
    found = [
        entry
        for entry in entries
        if entry.has("mail", mail) and entry.has("objectClass", object_class)
    ]
    own = [entry for entry in found if is_in_own_domain(directory, entry.dn, mail)]
    return single(own or (found if anywhere else own), mail)


def domain_name(directory: Directory, dn: str) -> str | None:
    """Return the name of the domain that an entry is in, or None.

    Its DN has it, except for a domain that another tool named by another attribute: that is read.
    """
    named = names.domain_name_in(dn)
    if named is not None:
        return named
    home = names.domain_dn(dn)
    found = directory.read(home, ("objectClass", "domainName")) if home else None
    if found is None or not found.has("objectClass", "mailDomain"):
        return None
    return found.folded("domainName") or None


def domain_names(directory: Directory, dns: Iterable[str]) -> frozenset[str]:
    """Return the names of the domains that some entries are in; a domain is read once at most."""
    named, homes_ = set[str | None](), set[str | None]()
    for dn in dns:
        name = names.domain_name_in(dn)
        named.add(name)
        if name is None:
            homes_.add(names.domain_dn(dn))
    return frozenset(filter(None, (*named, *(domain_name(directory, h) for h in homes_ if h))))


def single(entries: Iterable[Entry], name: str) -> Entry | None:
    """Return the one entry that has a name, or None.

    Raises:
        AmbiguousAccount: If there are several: which one was meant is unknown.
    """
    found = [*entries]
    if len(found) > 1:
        raise AmbiguousAccount.of(name, (entry.dn for entry in found))
    return found[0] if found else None


def admin(directory: Directory, mail: str) -> Entry:
    """Read a standalone admin.

    Raises:
        NoSuchAccount: If there is none.
        AmbiguousAccount: If two have the address.
    """
    return require(standalone_admin(directory, mail), "admin", mail)


def standalone_admin(directory: Directory, mail: str) -> Entry | None:
    """Find a standalone admin.

    Raises:
        AmbiguousAccount: If two have the address.
    """
    query = Query(directory.tree.admin_base, Scope.SUBTREE, equals("mail", mail))
    found = directory.find(query)
    return single(standalone_admins(directory, found), mail)


def standalone_admins(directory: Directory, entries: Iterable[Entry]) -> Iterable[Entry]:
    """Choose the standalone admins among some entries."""
    base = directory.tree.admin_base
    return (e for e in entries if e.has("objectClass", "mailAdmin") and names.is_within(e.dn, base))


def managed_domains_query(
    directory: Directory, mail: str, attributes: tuple[str, ...] = ("*", "entryCSN")
) -> Query:
    """Return the query for domains that name an address as their admin."""
    # One level below: an entry of that class further down is no domain of iRedMail's tree.
    named = every(equals("objectClass", "mailDomain"), equals("domainAdmin", mail))
    return Query(directory.tree.base, Scope.ONE, named, attributes)


def named_domains_query(
    directory: Directory, domains: Iterable[str], attributes: tuple[str, ...] = ("*", "entryCSN")
) -> Query:
    """Return the query for domains by their own names."""
    named = either(*(equals("domainName", name) for name in sorted(domains)))
    filter_ = every(equals("objectClass", "mailDomain"), named)
    return Query(directory.tree.base, Scope.ONE, filter_, attributes)


def domain_and_holders(
    directory: Directory, mail: str, *aliases: str, rights: bool = False
) -> Query:
    """Return one query for the domain of an address and for the accounts that have the address.

    Args:
        directory: Where.
        mail: The address.
        aliases: Further names of the same account in alias domains.
        rights: Whether to find the domains that name the address as their admin, too.
    """
    home = domain_filter(mail_names.domain_of(mail), "domainName")
    named = (every(equals("domainAdmin", mail), equals("objectClass", "mailDomain")),)
    filter_ = either(home, holders_filter(mail, *aliases), *(named if rights else ()))
    return Query(directory.tree.base, Scope.SUBTREE, filter_)


def domain_and_accounts(entries: Iterable[Entry], mail: str) -> tuple[Entry | None, list[Entry]]:
    """Split the answer of `domain_and_holders` into the domain and the accounts.

    Args:
        entries: The answer; other domains, which name the address as their admin, may be in it.
        mail: The address.

    Raises:
        AmbiguousAccount: If two domains have that name.
    """
    name = mail_names.domain_of(mail)
    domains, accounts = list[Entry](), list[Entry]()
    for entry in entries:
        (domains if entry.has("objectClass", "mailDomain") else accounts).append(entry)
    return single((one for one in domains if one.has("domainName", name)), name), accounts


def users_query(home: str) -> Query:
    """Return the query for the users of a domain, with the attributes that limits count.

    In any container; the catch-all entry is no user.

    Args:
        home: DN of the domain.
    """
    # The catch-all account has the class of users, and would count against limits and appear in
    # listings.
    no_catchall = negated(begins_with("mail", "@"))
    users = every(equals("objectClass", "mailUser"), no_catchall)
    return Query(home, Scope.SUBTREE, users, ("mailQuota",))


def count_users(entries: Iterable[Entry]) -> tuple[int, int]:
    """Return the number of users, and the bytes of mailbox that they may fill together."""
    # Counted while the entries stream in: a domain may have ten thousand users.
    number = size = 0
    for entry in entries:
        number += 1
        size += user_rows.quota(entry)
    return number, size


def is_active_with_domain(directory: Directory, entry: Entry) -> bool:
    """Return whether an account is active, and its domain is too."""
    if not entry.is_active or generations.marks_accounts(directory.schema()):
        return entry.is_active
    home = names.domain_dn(entry.dn)
    found = directory.read(home, ("accountStatus",)) if home else None
    return found is None or found.is_active


# A filter with thousands of terms takes slapd longer than the same in parts, and may exceed the
# largest message that it reads from a client (256 KiB before a bind, 4 MiB after).
_BATCH = 100


def hosted_domains(directory: Directory, domains: Iterable[str]) -> set[str]:
    """Return those of some domain names that are hosted here, as a domain or as an alias domain."""
    return set(domains_by_name(directory, domains))


def domains_by_name(directory: Directory, domains: Iterable[str]) -> dict[str, list[Entry]]:
    """Return the domains by their names and alias names; a name that none has is absent."""
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
    """Return the users, lists and aliases by address; an address that none has is absent."""
    found: dict[str, list[Entry]] = {}
    wanted = attributes if "*" in attributes else (*attributes, "mail", "shadowAddress")
    for batch in batches(set(addresses)):
        query = Query(directory.tree.base, Scope.SUBTREE, holders_filter(*batch), wanted)
        found |= by_address(directory.find(query), set(batch))
    return found


def by_address(entries: Iterable[Entry], addresses: Collection[str]) -> dict[str, list[Entry]]:
    """Return which of some entries have each of some addresses; an address of none is absent."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        for address in (entry.lowered("mail") | entry.lowered("shadowAddress")).intersection(
            addresses
        ):
            found.setdefault(address, []).append(entry)
    return found


def is_account(entry: Entry) -> bool:
    """Check whether an entry is a user, a list or an alias."""
    return bool(entry.lowered("objectClass") & _ACCOUNT_CLASSES)


def batches(values: Iterable[str]) -> Iterable[list[str]]:
    """Split values into batches small enough for one filter."""
    ordered = sorted(values)
    return (ordered[start : start + _BATCH] for start in range(0, len(ordered), _BATCH))
