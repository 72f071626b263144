"""What to export: a kind of account and a name, as searches of the directory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from iredldap.dit import names
from iredldap.dit.plan import Scope
from ldif_export.writer import base_name, is_password

Kind = Literal["domain", "user", "catchall", "admin", "maillist", "alias"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NAMED_BY_DOMAIN = frozenset({"domain", "catchall"})

_ENTRIES: dict[Kind, tuple[Callable[[names.Tree, str], str], str]] = {
    "domain": (names.Tree.domain, "mailDomain"),
    "user": (names.Tree.user, "mailUser"),
    "catchall": (names.Tree.catchall, "mailUser"),
    "admin": (names.Tree.admin, "mailAdmin"),
    "maillist": (names.Tree.maillist, "mailList"),
    "alias": (names.Tree.alias, "mailAlias"),
}
_CONTAINERS = names.either(
    names.equals("objectClass", "mailDomain"),
    names.equals("objectClass", "organizationalUnit"),
    names.equals("objectClass", "organization"),
)


@dataclass(frozen=True)
class Selection:
    """What an export holds.

    Args:
        kind: Kind of account.
        name: Its name, as `names.domain` or `names.address` reads it.
        subtree: Of a domain, whether everything below it is exported too.
        omit: Attributes that are left out, in lower case; options are no way around it.
        passwords: Whether ``userPassword`` is exported.
    """

    kind: Kind
    name: str
    subtree: bool = True
    omit: frozenset[str] = frozenset()
    passwords: bool = True

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
        required: Whether there is no such account if it finds nothing.
    """

    base: str
    scope: Scope
    filter: str
    ordered: bool = False
    required: bool = True


def read_name(kind: Kind, text: str) -> str:
    """Read the name of an account of this kind.

    Raises:
        InvalidDomainName, InvalidMail: If it is malformed.
    """
    return names.domain(text) if kind in NAMED_BY_DOMAIN else names.address(text)


def searches(selection: Selection, tree: names.Tree) -> tuple[Search, ...]:
    """Give the searches of an export, in the order in which their entries can be added again.

    Within a domain the containers come first, then the accounts as they arrive: slapd finds
    entries by age, and an account that moved into a younger domain would come before its parent.
    """
    if selection.kind == "domain" and selection.subtree:
        base = tree.domain(selection.name)
        return (
            Search(base, Scope.SUBTREE, _CONTAINERS, ordered=True),
            Search(base, Scope.SUBTREE, names.negated(_CONTAINERS), required=False),
        )
    dn, object_class = _ENTRIES[selection.kind]
    entry = _one(dn(tree, selection.name), object_class)
    if selection.kind != "maillist":
        return (entry,)
    externals = tree.externals(selection.name)
    return (entry, _one(externals, "mailExternalUser", required=False))


def _one(dn: str, object_class: str, *, required: bool = True) -> Search:
    found = names.equals("objectClass", object_class)
    return Search(dn, Scope.BASE, found, required=required)
