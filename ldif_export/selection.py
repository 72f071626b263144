"""What to export: a kind of account and a name, as searches of the directory."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from iredldap.dit import filters, names
from iredldap.dit.depth import Scope
from iredldap.errors import AmbiguousAccount, InvalidDomainName, InvalidMail
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
# Every installation has the parent of all domains before anything is restored.
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
        name: Its name, as `names.domain` or `names.existing_address` reads it; of ``all`` none.
        subtree: Of a domain, whether everything below it is exported too.
        omit: Attributes that are left out, in lower case; options are no way around it.
        passwords: Whether ``userPassword`` is exported.
        only: Kinds of account below domains; none: all. A catch-all account counts as a user.
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
    def words(self) -> str:
        """What is selected, as the command has it: ``domain example.com``."""
        words = [self.kind, self.name, *(f"--only={kind}" for kind in sorted(self.only))]
        words += [f"--omit={name}" for name in sorted(self.omit)]
        words += [] if self.subtree else ["--no-subtree"]
        words += ["--operational"] if self.operational else []
        words += [] if self.global_admins else ["--no-global-admins"]
        return " ".join(filter(None, words))

    @property
    def has_passwords(self) -> bool:
        """Whether password hashes are exported, all wishes taken together."""
        return self.keeps("userPassword")

    def keeps(self, attribute: str) -> bool:
        """Whether this attribute is exported."""
        if is_password(attribute) and not self.passwords:
            return False
        return base_name(attribute) not in self.omit

    def thinned(self, attributes: Mapping[str, list[bytes]]) -> dict[str, list[bytes]]:
        """The attributes that are exported, in their order."""
        if self.passwords and not self.omit:
            return dict(attributes)
        return {name: values for name, values in attributes.items() if self.keeps(name)}


@dataclass(frozen=True)
class Search:
    """One search of an export.

    Args:
        base: DN where it begins.
        scope: How deep it goes.
        filter: What an entry must be like.
        ordered: Whether its entries are few, and held until parents can go before children.
        whole: Whether all below the base is found by this search and those of the same base.
        required: Whether there is no such account if it finds nothing.
        is_one_account: Whether its entries are wanted without those above them.
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
        """Give all that was found, which is one entry or none.

        Args:
            found: What was found.
            dn: Gives the DN of an entry.

        Raises:
            AmbiguousAccount: If several have the address: nobody can say which one was meant.
        """
        entries = [*found]
        if len(entries) > 1:
            raise AmbiguousAccount.of(self.filter, map(dn, entries))
        return entries

    @property
    def may_be_missing(self) -> bool:
        """Whether its base need not be there.

        A domain that goes while it is read must not look like an empty one.
        """
        return not self.required and self.scope == Scope.BASE


def parse_name(kind: SelectionKind, text: str) -> str:
    """Read the name of an account of this kind.

    Raises:
        InvalidDomainName, InvalidMail: If it is malformed; a domain names no account.
    """
    if kind in NAMED_BY_DOMAIN:
        return names.domain(text)
    with suppress(InvalidDomainName):
        names.domain(text)
        raise InvalidMail(f"{text[:80]!r} is a domain, and names no {kind}")
    return names.stored_address(text)


def domain_search(selection: Selection, tree: names.Tree) -> Search | None:
    """Give the search for the domain that a selection names, or that an account of it lies in.

    Another tool may have given its entry any name, so nobody knows the DN before. None: the
    selection is of no single domain, or of an account whose name tells none.
    """
    is_account = selection.kind not in NAMED_BY_DOMAIN
    if selection.kind in _OF_NO_DOMAIN or (is_account and "@" not in selection.name):
        return None
    name = names.domain_of(selection.name)
    return Search(tree.base, Scope.ONE, filters.domain_filter(name, "domainName"))


def searches(selection: Selection, tree: names.Tree, home: str = "") -> tuple[Search, ...]:
    """Give the searches of an export, in the order in which their entries can be added again.

    Within a domain the containers come first, then the accounts as they arrive: slapd finds
    entries by age, and an account that moved into a younger domain would come before its parent.
    The few entries that arrive before their parents all the same wait until these are written.

    Args:
        selection: What to export.
        tree: Where the accounts lie.
        home: DN of the domain that `home_search` finds; where there is none to find, nothing.
    """
    accounts = _accounts(selection)
    whole = selection.global_admins and not selection.only
    if selection.kind == "all":
        containers = filters.every(_CONTAINERS, filters.negated(_PARENT))
        return (
            Search(tree.base, Scope.SUBTREE, containers, ordered=True, required=False),
            Search(tree.base, Scope.SUBTREE, accounts, required=False, whole=whole),
            # Few, and wherever another tool has put them.
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
    return tuple(_of_account(selection, tree, home))


def _of_account(selection: Selection, tree: names.Tree, home: str) -> Iterator[Search]:
    """Search for an account by its address, wherever it stands in its domain."""
    mail = f"@{selection.name}" if selection.kind == "catchall" else selection.name
    base = tree.admin_base if selection.kind == "admin" else home or tree.base
    is_kind = filters.equals("objectClass", _ACCOUNTS[selection.kind])
    own = filters.every(filters.equals("mail", mail), is_kind)
    yield Search(base, Scope.SUBTREE, own, is_one_account=True)
    if selection.kind == "maillist":
        is_externals = filters.equals("objectClass", "mailExternalUser")
        of_list = filters.every(filters.equals("memberOfGroup", mail), is_externals)
        # As Postfix finds them: another tool may have put them beside the domain of the list.
        yield Search(tree.base, Scope.SUBTREE, of_list, required=False, is_one_account=True)


def _accounts(selection: Selection) -> str:
    terms = [filters.negated(_CONTAINERS)]
    if selection.only:
        classes = (name for kind in sorted(selection.only) for name in _CLASSES[kind])
        terms.append(filters.either(*(filters.equals("objectClass", name) for name in classes)))
    if not selection.global_admins:
        terms.append(filters.negated(filters.equals("domainGlobalAdmin", "yes")))
    return filters.every(*terms) if len(terms) > 1 else terms[0]
