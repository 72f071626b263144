"""An index of a tree, made in one pass over its entries, in any order.

A user with a mailbox and a name in one alias domain takes about 1 KB; names that repeat are kept
once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from iredldap.dit import mail_names, mailbox, maillist, references, subscribable, user
from iredldap.dit.consistency.places import NormalDn, key_of, normal_dn
from iredldap.dit.dn_references import ACCOUNT_DNS, split_uid
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree


class AccountKind(IntEnum):
    """Kinds of entries below a domain that take part in mail."""

    USER = 0
    CATCHALL = 1
    LIST = 2
    SUBSCRIBABLE = 3
    ALIAS = 4
    EXTERNALS = 5

    @property
    def container(self) -> str:
        """Return the container that such an entry belongs in."""
        return _CONTAINERS[self]


_CONTAINERS = ("Users", "Users", "Groups", "Groups", "Aliases", "Externals")
_CLASSES = (
    ("mailuser", AccountKind.USER),
    ("maillist", AccountKind.LIST),
    ("mailalias", AccountKind.ALIAS),
    ("mailexternaluser", AccountKind.EXTERNALS),
)
# Memberships and admins have rules of their own, which say more than that an address has no
# account.
_JUDGED_APART = frozenset({maillist.GROUP, "domainAdmin"})
LISTS = frozenset({AccountKind.LIST, AccountKind.SUBSCRIBABLE})
USERS = frozenset({AccountKind.USER, AccountKind.CATCHALL})


@dataclass(slots=True, eq=False)
class Account:
    """A user, catch-all, list, alias or entry of external members.

    Args:
        dn: Its DN.
        kind: What it is.
        home: Key of the DN of the domain that it is in; empty: it is in none.
        mail: Its address in lower case; of external members, one of their lists'.
        shadows: Further addresses, in lower case.
        groups: Lists that it is a member of, in lower case.
        is_marked: Whether `domainStatus` is `disabled`.
        has_role: Whether it has the service of an admin.
        is_global: Whether it is a global admin.
        is_in_place: Whether it is in the container of its kind.
    """

    dn: str
    kind: AccountKind
    home: str
    mail: str
    shadows: tuple[str, ...]
    groups: tuple[str, ...]
    is_marked: bool
    has_role: bool
    is_global: bool
    is_in_place: bool


@dataclass(slots=True, eq=False)
class Domain:
    """A mail domain; all names are in lower case.

    Args:
        dn: Its DN.
        name: Its name.
        aliases: Its alias domains.
        pending: Its pending alias domains.
        admins: Addresses that it names as admins.
        default_lists: Lists that its new users join.
        is_active: Whether it is switched on.
        is_backup: Whether another server has its accounts.
        takes_aliases: Whether the service `domainalias` is on.
    """

    dn: str
    name: str
    aliases: frozenset[str]
    pending: frozenset[str]
    admins: frozenset[str]
    default_lists: frozenset[str]
    is_active: bool
    is_backup: bool
    takes_aliases: bool


class AddressReference(NamedTuple):
    """An address that an entry names, not its own, in lower case."""

    dn: str
    attribute: str
    address: str


class Admin(NamedTuple):
    """A standalone admin."""

    dn: str
    mail: str


@dataclass(slots=True)
class Index:
    """A tree, as far as the rules ask for it.

    Args:
        tree: Names of its parts.
        accounts: In the order of the entries.
        domains: By the keys of their DNs: two may have one name.
        admins: Standalone admins.
        references: Addresses named by others, but for an account's own.
        mailboxes: Paths without the slash at the end, in lower case, with their accounts.
        member_dns: Of each list: keys of the DNs in `member`.
        named_dns: Of each entry that names others by DN: its own DN, the attribute, their keys.
        parents: Key of each entry with others below it, with one of these and their number.
        has_global_admin: Whether an active one was seen.
    """

    tree: Tree
    accounts: list[Account] = field(default_factory=list)
    domains: dict[str, Domain] = field(default_factory=dict)
    admins: list[Admin] = field(default_factory=list)
    references: list[AddressReference] = field(default_factory=list)
    mailboxes: list[tuple[str, Account]] = field(default_factory=list)
    member_dns: list[tuple[Account, frozenset[str]]] = field(default_factory=list)
    named_dns: list[tuple[str, str, frozenset[str]]] = field(default_factory=list)
    parents: dict[str, tuple[str, int]] = field(default_factory=dict)
    has_global_admin: bool = False
    # One account for each address, and lists only for the few that have several, which saves half a
    # million lists of one element.
    _holders: dict[str, Account] = field(default_factory=dict)
    _further_holders: dict[str, list[Account]] = field(default_factory=dict)
    _keys: set[str] = field(default_factory=set)
    _interned: dict[str, str] = field(default_factory=dict)
    _base: str = ""
    _admin_base: str = ""

    def __post_init__(self) -> None:
        self._base = key_of(self.tree.base)
        self._admin_base = key_of(self.tree.admin_base)

    def add(self, entry: Entry) -> bool:
        """Remember an entry, and return whether it lies below `o=domains`.

        One that is neither there nor below `o=domainAdmins` is ignored.
        """
        at = normal_dn(entry.dn)
        # Standalone admins are read too: domains name them, and DNs may.
        if at.key.endswith(f",{self._admin_base}"):
            self._keys.add(at.key)
            self._add_admin(entry)
        if not self.is_domain_entry(at.key):
            return False
        self._add_below_domains(entry, at)
        return True

    def holders(self, address: str) -> Iterator[Account]:
        """Return the users, lists and aliases that have an address, in lower case."""
        if first := self._holders.get(address):
            yield first
            yield from self._further_holders.get(address, ())

    def is_held(self, address: str) -> bool:
        """Return whether a user, list or alias has an address, in lower case."""
        return address in self._holders

    def shared(self) -> Iterator[tuple[str, list[Account]]]:
        """Return the addresses of more than one account, with all of these."""
        for address in self._further_holders:
            yield address, list(self.holders(address))

    def is_domain_entry(self, dn_key: str) -> bool:
        """Return whether a key is that of a DN below `o=domains`."""
        return dn_key.endswith(f",{self._base}")

    def is_read(self, dn_key: str) -> bool:
        """Return whether a key is that of a DN below `o=domains` or `o=domainAdmins`."""
        return self.is_domain_entry(dn_key) or dn_key.endswith(f",{self._admin_base}")

    def has_entry(self, dn_key: str) -> bool:
        """Return whether there is an entry; those above all domains count as there."""
        return dn_key in self._keys or dn_key == self._base or self.account_at(dn_key) is not None

    def account_at(self, dn_key: str) -> Account | None:
        """Return the user, list or alias with the key of a DN, if it is named after its `mail`."""
        at = normal_dn(dn_key)
        if at.attribute != "mail":
            return None
        # Found by the address in the DN, so that no index of all DNs is needed.
        return next((a for a in self.holders(at.value) if key_of(a.dn) == at.key), None)

    def _add_admin(self, entry: Entry) -> None:
        if "mailadmin" not in entry.lowered("objectClass"):
            return
        self.admins.extend(Admin(entry.dn, mail) for mail in sorted(entry.lowered("mail")))
        self._note_role(entry)

    def _note_role(self, entry: Entry) -> None:
        if user.is_global_admin(entry) and entry.is_active:
            self.has_global_admin = True

    def _add_below_domains(self, entry: Entry, at: NormalDn) -> None:
        # In any order: an export has parents first, a search of slapd need not. So parents are
        # compared at the end.
        if at.parent != self._base:
            example, number = self.parents.get(at.parent, (entry.dn, 0))
            self.parents[at.parent] = example, number + 1
        classes = entry.lowered("objectClass")
        kind = kind_of(entry, classes)
        members = self._add_members(entry)
        if kind is not None:
            account = self._add_account(entry, at, kind)
            if kind in LISTS and members:
                self.member_dns.append((account, members))
            self._add_references(entry, at, kind)
            return
        self._keys.add(at.key)
        if "maildomain" in classes:
            self._add_domain(entry, at)
            self._add_references(entry, at, kind)

    def _add_domain(self, entry: Entry, at: NormalDn) -> None:
        self.domains[at.key] = Domain(
            dn=entry.dn,
            # Another tool may have named the entry by something else.
            name=entry.folded("domainName") or at.value,
            aliases=frozenset(entry.lowered("domainAliasName")),
            pending=frozenset(entry.lowered("domainPendingAliasName")),
            admins=frozenset(entry.lowered("domainAdmin")),
            default_lists=frozenset(references.default_lists(entry)),
            is_active=entry.has("accountStatus", "active"),
            is_backup=entry.has("domainBackupMX", "yes"),
            takes_aliases=entry.has("enabledService", "domainalias"),
        )

    def _add_account(self, entry: Entry, at: NormalDn, kind: AccountKind) -> Account:
        own = entry.lowered(maillist.GROUP if kind is AccountKind.EXTERNALS else "mail")
        # Of several the one in the DN, which is the one that panels show; else the same one in each
        # run.
        mail = at.value if at.value in own else min(own, default="")
        # One text for all accounts of a domain: half a million of them repeat some hundred names.
        home = self._interned.setdefault(at.home, at.home)
        container = f"ou={kind.container.lower()},{home}"
        is_user = kind in USERS
        account = Account(
            dn=entry.dn,
            kind=kind,
            home=home,
            mail=mail,
            shadows=tuple(sorted(entry.lowered("shadowAddress"))),
            groups=self._groups(entry),
            is_marked=entry.has("domainStatus", "disabled"),
            has_role=is_user and entry.has("enabledService", user.ROLE),
            is_global=is_user and user.is_global_admin(entry),
            is_in_place=at.parent == container,
        )
        self.accounts.append(account)
        if kind is AccountKind.EXTERNALS:
            self._keys.add(at.key)
            return account
        for address in own.union(account.shadows):
            self._hold(mail if address == mail else address, account)
        # Others are found by their address in `account_at`, without a key of their own.
        if at.attribute != "mail" or at.value not in own:
            self._keys.add(at.key)
        if is_user:
            self._note_role(entry)
            self._add_mailbox(entry, account)
        return account

    def _hold(self, address: str, account: Account) -> None:
        first = self._holders.setdefault(address, account)
        # A file may hold an entry twice.
        if first is not account and key_of(first.dn) != key_of(account.dn):
            self._further_holders.setdefault(address, []).append(account)

    def _groups(self, entry: Entry) -> tuple[str, ...]:
        return tuple(self._interned.setdefault(g, g) for g in sorted(entry.lowered(maillist.GROUP)))

    def _add_mailbox(self, entry: Entry, account: Account) -> None:
        # In lower case: iRedMail's Dovecot lowers the paths of mailboxes, so two spellings are one
        # directory.
        path = "/".join(part for part in mailbox.stored_path(entry).lower().split("/") if part)
        if path:
            self.mailboxes.append((path, account))

    def _add_members(self, entry: Entry) -> frozenset[str]:
        """Remember the accounts that an entry names by their DNs; return those in `member`."""
        named = {
            name: frozenset(key_of(split_uid(value)[0]) for value in entry.texts(name))
            for name in ACCOUNT_DNS
        }
        self.named_dns.extend((entry.dn, name, keys) for name, keys in named.items() if keys)
        return named["member"]

    def _add_references(self, entry: Entry, at: NormalDn, kind: AccountKind | None) -> None:
        own = set[str]()
        if kind is not AccountKind.EXTERNALS:
            own = entry.lowered("mail") | entry.lowered("shadowAddress")
        if kind is AccountKind.SUBSCRIBABLE:
            # The reference's own default for owners and moderators, whether or not there is one.
            own |= {f"postmaster@{mail_names.domain_of(mail)}" for mail in entry.lowered("mail")}
        for attribute in references.held(entry):
            if attribute not in _JUDGED_APART and entry.values(attribute):
                self.references.extend(
                    AddressReference(entry.dn, attribute, address)
                    for address in entry.lowered(attribute) - own
                )


def kind_of(entry: Entry, classes: set[str]) -> AccountKind | None:
    """Return what an account is by its object classes, in lower case; None: no account."""
    kind = next((kind for name, kind in _CLASSES if name in classes), None)
    if kind is AccountKind.LIST and subscribable.is_subscribable_list(entry):
        return AccountKind.SUBSCRIBABLE
    if kind is AccountKind.USER and all(mail.startswith("@") for mail in entry.lowered("mail")):
        return AccountKind.CATCHALL
    return kind


def local_and_domain(address: str) -> tuple[str, str]:
    """Return both parts of an address; an extension behind ``+`` is not part of the first."""
    plain = mail_names.without_extension(address)
    return mail_names.local_part(plain), mail_names.domain_of(plain)
