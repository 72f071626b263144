"""Turn a selection, a kind of account and a name, into searches of the directory."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from iredldap.directory_errors import AmbiguousAccount
from iredldap.dit import filters, mail_names, names
from iredldap.dit.depth import Scope
from iredldap.errors import InvalidDomainName, InvalidMail
from iredldap.ldif.writer import base_name, is_password

T = TypeVar("T")

SelectionKind = Literal["all", "domain", "user", "catchall", "admin", "maillist", "alias"]
KINDS: tuple[SelectionKind, ...] = get_args(SelectionKind)
NAMED_BY_DOMAIN = frozenset({"domain", "catchall"})
_OF_NO_DOMAIN = frozenset({"all", "admin"})

AccountKind = Literal["user", "maillist", "alias"]
ACCOUNTS: tuple[AccountKind, ...] = get_args(AccountKind)

_ACCOUNTS: Mapping[SelectionKind, str] = {
    "user": "mailUser",
    "catchall": "mailUser",
    "admin": "mailAdmin",
    "maillist": "mailList",
    "alias": "mailAlias",
}
_CLASSES: dict[AccountKind, tuple[str, ...]] = {
    "user": ("mailUser",),
    "maillist": ("mailList", "mailExternalUser"),
    "alias": ("mailAlias",),
}
_CONTAINERS = filters.either(
    filters.equals("objectClass", "mailDomain"),
    filters.equals("objectClass", "organizationalUnit"),
    filters.equals("objectClass", "organization"),
)
# The parent of all domains exists in every installation before anything is restored.
_PARENT = filters.every(
    filters.equals("objectClass", "organization"), filters.equals("o", "domains")
)
_BELOW_ADMINS = filters.negated(
    filters.every(
        filters.equals("objectClass", "organization"), filters.equals("o", "domainAdmins")
    )
)


@dataclass(frozen=True)
class Selection:
    """What an export holds.

    Args:
        kind: Kind of account; ``all`` is every domain and every standalone admin.
        name: Its name, as `parse_name` returns it; empty for `all`.
        subtree: Whether everything below a domain is exported too.
        omit: Attributes that are left out, in lower case, whatever their options.
        passwords: Whether ``userPassword`` is exported.
        only: Kinds of account below domains; empty: all. A catch-all account counts as a user.
        operational: Whether operational attributes are exported; no server adds them again.
        global_admins: Whether the accounts of global admins below domains are exported.
    """

    kind: SelectionKind
    name: str = ""
    subtree: bool = True
    omit: frozenset[str] = frozenset()
    passwords: bool = True
    only: frozenset[AccountKind] = frozenset()
    operational: bool = False
    global_admins: bool = True

    @property
    def description(self) -> str:
        """The selection as the command line has it: ``domain example.com``."""
        options = [self.kind, self.name, *(f"--only={kind}" for kind in sorted(self.only))]
        options += [f"--omit={name}" for name in sorted(self.omit)]
        options += [] if self.subtree else ["--no-subtree"]
        options += ["--operational"] if self.operational else []
        options += [] if self.global_admins else ["--no-global-admins"]
        return " ".join(filter(None, options))

    @property
    def needs(self) -> frozenset[str]:
        """Attributes of the account that is selected which decide what else is searched for."""
        return frozenset({"shadowAddress"} if self.kind == "maillist" else ())

    @property
    def has_passwords(self) -> bool:
        """Whether password hashes are exported, all options taken together."""
        return self.keeps("userPassword")

    def keeps(self, attribute: str) -> bool:
        """Return whether an attribute is exported."""
        if is_password(attribute) and not self.passwords:
            return False
        return base_name(attribute) not in self.omit

    def thinned(self, attributes: Mapping[str, list[bytes]]) -> dict[str, list[bytes]]:
        """Return the attributes that are exported, in their order."""
        if self.passwords and not self.omit:
            return dict(attributes)
        return {name: values for name, values in attributes.items() if self.keeps(name)}


@dataclass(frozen=True)
class Search:
    """One search of an export.

    Args:
        base: Base DN.
        scope: Its scope.
        filter: Its filter.
        ordered: Whether its entries are few, and held to be sorted parents first.
        whole: Whether this search and those of the same base find everything below the base.
        required: Whether finding nothing means that there is no such account.
        is_one_account: Whether its entries are exported without their parents.
    """

    base: str
    scope: Scope
    filter: str
    ordered: bool = False
    required: bool = True
    whole: bool = True
    is_one_account: bool = False

    @property
    def names_one(self) -> bool:
        """Whether it looks for the one account of an address."""
        return self.is_one_account and self.required

    def the_one(self, found: Iterable[T], dn: Callable[[T], str]) -> list[T]:
        """Return the entries found, which must be one or none.

        Args:
            found: Entries found.
            dn: Returns the DN of an entry.

        Raises:
            AmbiguousAccount: If several have the address: which one is meant cannot be decided.
        """
        entries = [*found]
        if len(entries) > 1:
            raise AmbiguousAccount.of(self.filter, map(dn, entries))
        return entries

    @property
    def may_be_missing(self) -> bool:
        """Whether its base may be absent.

        A domain that is deleted while it is read must not look like an empty one.
        """
        return not self.required and self.scope == Scope.BASE


def parse_name(kind: SelectionKind, text: str) -> str:
    """Parse the name of an account of this kind.

    Raises:
        InvalidDomainName, InvalidMail: If it is malformed; a domain is no account's name.
    """
    if kind in NAMED_BY_DOMAIN:
        return mail_names.domain(text)
    with suppress(InvalidDomainName):
        mail_names.domain(text)
        raise InvalidMail(f"{text[:80]!r} is a domain, and names no {kind}")
    return mail_names.stored_address(text)


def domain_search(selection: Selection, tree: names.Tree) -> Search | None:
    """Return the search for the domain that a selection names, or that its account is in.

    Another tool may have given its entry any RDN, so the DN is not known beforehand. None: the
    selection is not of a single domain, or of an account whose name has no domain.
    """
    # Accounts of other tools may be named by a word without a domain.
    is_account = selection.kind not in NAMED_BY_DOMAIN
    if selection.kind in _OF_NO_DOMAIN or (is_account and "@" not in selection.name):
        return None
    name = mail_names.domain_of(selection.name)
    return Search(tree.base, Scope.ONE, filters.domain_filter(name, "domainName"))


def account_search(selection: Selection, tree: names.Tree, home: str = "") -> Search:
    """Return the search for the entry of the account that is selected, as `searches` has it.

    By its address, wherever in its domain it is.
    """
    mail = f"@{selection.name}" if selection.kind == "catchall" else selection.name
    base = tree.admin_base if selection.kind == "admin" else home or tree.base
    is_kind = filters.equals("objectClass", _ACCOUNTS[selection.kind])
    own = filters.every(filters.equals("mail", mail), is_kind)
    return Search(base, Scope.SUBTREE, own, is_one_account=True)


def searches(
    selection: Selection, tree: names.Tree, home: str = "", further: Iterable[str] = ()
) -> tuple[Search, ...]:
    """Return the searches of an export, in an order in which their entries can be added again.

    Within a domain the containers come first, then the accounts as they arrive: slapd returns
    entries by age, and an account that moved into a younger domain would come before its parent.
    The few entries that still arrive before their parents wait until these are written.

    Args:
        selection: What to export.
        tree: The tree that holds the accounts.
        home: DN of the domain that `domain_search` finds; empty where there is none to find.
        further: Further addresses of the list that is selected, in lower case.
    """
    accounts = _accounts(selection)
    whole = selection.global_admins and not selection.only
    if selection.kind == "all":
        containers = filters.every(_CONTAINERS, filters.negated(_PARENT))
        return (
            Search(tree.base, Scope.SUBTREE, containers, ordered=True, required=False),
            Search(tree.base, Scope.SUBTREE, accounts, required=False, whole=whole),
            # Few, and possibly nested by another tool: sorted, so that parents come first.
            Search(tree.admin_base, Scope.SUBTREE, _BELOW_ADMINS, ordered=True, required=False),
        )
    if selection.kind == "domain" and selection.subtree:
        return (
            Search(home, Scope.SUBTREE, _CONTAINERS, ordered=True),
            Search(home, Scope.SUBTREE, accounts, required=False, whole=whole),
        )
    if selection.kind == "domain":
        is_domain = filters.equals("objectClass", "mailDomain")
        return (Search(home, Scope.BASE, is_domain),)
    account = account_search(selection, tree, home)
    if selection.kind == "maillist":
        return account, _external_members(tree, selection.name, *further)
    return (account,)


def _external_members(tree: names.Tree, *addresses: str) -> Search:
    """Return the search for the external members of the list that has some addresses.

    By the attribute that Postfix looks up: another tool may have put an entry elsewhere than into
    the list's domain, and name a further address of the list alone.
    """
    is_externals = filters.equals("objectClass", "mailExternalUser")
    named = [filters.equals("memberOfGroup", mail) for mail in sorted({*addresses})]
    of_list = filters.every(filters.either(*named) if len(named) > 1 else named[0], is_externals)
    return Search(tree.base, Scope.SUBTREE, of_list, required=False, is_one_account=True)


def _accounts(selection: Selection) -> str:
    terms = [filters.negated(_CONTAINERS)]
    if selection.only:
        classes = (name for kind in sorted(selection.only) for name in _CLASSES[kind])
        terms.append(filters.either(*(filters.equals("objectClass", name) for name in classes)))
    if not selection.global_admins:
        terms.append(filters.negated(filters.equals("domainGlobalAdmin", "yes")))
    return filters.every(*terms) if len(terms) > 1 else terms[0]
