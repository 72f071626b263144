"""Read the parameters of entries as requests would send them, one entry or whole listings.

What of them is stored beside an entry is read for many at once: alias domains once a domain,
members and catch-all accounts in one search for a hundred. A subscribable list alone costs a call
to mlmmjadmin each.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from iredldap import finders
from iredldap.dit import domain, mail_names, maillist, names, token_scopes
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Elsewhere, Field, FieldChange, Parsed, Setting, StoredAttribute
from iredldap.dit.filters import either, equals, every
from iredldap.dit.plan import Query, Scope
from iredldap.dit.settings import ATTRIBUTE
from iredldap.dit.views import kinds
from iredldap.dit.views.params import ParamsKind, ParamsSource, Values, View, params
from iredldap.operations import aliases, list_membership, list_mentions
from iredldap.operations.context import Context, PathVariables, Read, Shown
from iredldap.operations.domains import domains
from iredldap.operations.lists import subscribable, subscribable_members
from iredldap.operations.users import users
from iredldap.operations.views.rights import ParameterRights

Find = Callable[[Context, PathVariables], Entry]
"""Finds the entry that a path names, and refuses a caller who may not read it."""


@dataclass
class ParamsReader:
    """Reads views of entries of one kind; remembers domains and rights between the batches.

    Args:
        context: Where, and who reads: parameters that they may not send, and attributes that
            answers hide, are left out.
        kind: What the entries are.
    """

    context: Context
    kind: ParamsKind
    _aliases: dict[str, list[str]] = field(default_factory=dict)
    _rights: dict[str, Callable[[FieldChange], bool]] = field(default_factory=dict)

    def views(self, entries: Sequence[Entry]) -> list[View]:
        """Return the views of some entries, which were read with `kind.attributes`.

        Raises:
            MlmmjadminUnavailable: If settings of a subscribable list cannot be read.
            ServerDown: If the directory does not answer.
        """
        loaders: Mapping[str, Callable[[Sequence[Entry]], list[ParamsSource]]] = {
            kinds.DOMAIN.name: self._domains,
            kinds.USER.name: self._users,
            kinds.MAILLIST.name: self._maillists,
            kinds.SUBSCRIBABLE.name: self._subscribable,
        }
        load = loaders.get(self.kind.name)
        sources = load(entries) if load else [ParamsSource(entry) for entry in entries]
        return [params(self.kind, one, self._permission(one.entry)) for one in sources]

    def _domains(self, entries: Sequence[Entry]) -> list[ParamsSource]:
        catchalls = self._catchalls(entries)
        return [
            ParamsSource(entry, {"catchall": catchalls.get(entry.dn, ())}, kinds.domain_kept(entry))
            for entry in entries
        ]

    def _catchalls(self, entries: Sequence[Entry]) -> dict[str, Values]:
        """Read the destinations of catch-all accounts, by the DNs of their domains."""
        directory = self.context.directory
        named = {f"@{entry.folded('domainName')}": entry.dn for entry in entries}
        found: dict[str, Values] = {}
        for batch in finders.batches(named):
            wanted = either(*(equals("mail", mail) for mail in batch))
            filter_ = every(wanted, equals("objectClass", "mailUser"))
            attributes = ("objectClass", "mail", "mailForwardingAddress")
            query = Query(directory.tree.base, Scope.SUBTREE, filter_, attributes)
            accounts = directory.find(query)
            for mail in batch:
                account = finders.choose_account(directory, accounts, mail, "mailUser")
                if account:
                    # Without destinations it would be deleted by a request that names none.
                    found[named[mail]] = account.texts("mailForwardingAddress") or None
        return found

    def _users(self, entries: Sequence[Entry]) -> list[ParamsSource]:
        return [
            ParamsSource(entry, kept=kinds.user_kept(entry, self._alias_domains(entry)))
            for entry in entries
        ]

    def _alias_domains(self, entry: Entry) -> list[str]:
        """Return the alias domains that names of an account can belong to; none if it has none."""
        home = names.domain_dn(entry.dn)
        if home is None or not entry.values("shadowAddress"):
            return []
        if home not in self._aliases:
            found = self.context.directory.read(home, ("domainName", "domainAliasName"))
            self._aliases[home] = domain.alias_domains(found) if found else []
        return self._aliases[home]

    def _maillists(self, entries: Sequence[Entry]) -> list[ParamsSource]:
        if not any(row.name == "members" for row in self.kind.table):
            return [ParamsSource(entry) for entry in entries]
        by_address: dict[str, list[Entry]] = {}
        for one in self._members({a for entry in entries for a in maillist.addresses(entry)}):
            is_external = maillist.is_externals(one)
            further = one.lowered("shadowAddress") if is_external else set[str]()
            for address in one.lowered(maillist.GROUP) | further:
                by_address.setdefault(address, []).append(one)
        return [
            ParamsSource(entry, {"members": _members_of(entry, by_address)}) for entry in entries
        ]

    def _members(self, addresses: Iterable[str]) -> list[Entry]:
        directory = self.context.directory
        found: dict[str, Entry] = {}
        for batch in finders.batches({*addresses}):
            marked = list_membership.members_filter(batch, with_members=True)
            query = Query(directory.tree.base, Scope.SUBTREE, marked, _OF_A_MEMBER)
            found |= {one.dn: one for one in directory.stream(query)}
        return [*found.values()]

    def _subscribable(self, entries: Sequence[Entry]) -> list[ParamsSource]:
        lists, directory = self.context.outside.mlmmjadmin, self.context.directory
        sources = []
        for entry in entries:
            profile = lists.profile(entry.folded("mail")) or {}
            kept = kinds.list_kept(entry, self._alias_domains(entry))
            whole = list_mentions.with_leaders(directory, entry, profile)
            sources.append(ParamsSource(whole, kept=kept, profile=profile))
        return sources

    def _permission(self, entry: Entry) -> Callable[[FieldChange], bool]:
        is_domain = self.kind.name == kinds.DOMAIN.name
        name = entry.folded("domainName") if is_domain else names.domain_name_in(entry.dn)
        source = name or mail_names.domain_of(entry.folded("mail"))
        if source not in self._rights:
            self._rights[source] = self._permission_in(source)
        return self._rights[source]

    def _permission_in(self, source: str) -> Callable[[FieldChange], bool]:
        context, caller = self.context, self.context.caller
        rights = ParameterRights.of(
            caller,
            source,
            profiles=self.kind.profiles,
            may_be_own=self.kind.name == kinds.USER.name,
            of_domain=self.kind.name == kinds.DOMAIN.name,
            default_transport=context.config.accounts.default_transport,
        )
        hidden = self._hidden()
        reads_only = not caller.may(f"{self.kind.area}:{token_scopes.UPDATE}")

        def may(change: FieldChange) -> bool:
            area = change.field.token_area
            # With a token that only reads, a right to read is enough: nothing will be sent back.
            verbs = (token_scopes.UPDATE, *((token_scopes.READ,) if reads_only else ()))
            if area and not any(caller.may(f"{area}:{verb}") for verb in verbs):
                return False
            return not _attributes(change.field) & hidden and rights.may_send(change)

        return may

    def _hidden(self) -> frozenset[str]:
        api = self.context.config.api
        if self.kind.name == kinds.DOMAIN.name:
            return frozenset()
        is_admin = self.kind.name == kinds.ADMIN.name
        hidden = api.api_hidden_admin_profiles if is_admin else api.api_hidden_user_profiles
        return frozenset(name.lower() for name in hidden)


_OF_A_MEMBER = ("objectClass", "mail", maillist.GROUP, "shadowAddress")


def _attributes(row: Field) -> set[str]:
    """Return the attributes, in lower case, whose values a parameter shows."""
    match row.stored_as:
        case StoredAttribute(name=name):
            return {name.lower()}
        case Setting():
            return {ATTRIBUTE.lower()}
        case Elsewhere(where=where):
            return {word.strip(",;").lower() for word in where.split()}
        case _:
            return set()


def _members_of(entry: Entry, by_address: Mapping[str, Iterable[Entry]]) -> list[str]:
    """Return the members of a list, from the entries that name each address as one of theirs."""
    found = [one for mail in maillist.addresses(entry) for one in by_address.get(mail, ())]
    return list_membership.member_addresses(*list_membership.split_members(entry, found))


def _domain(context: Context, path: PathVariables) -> Entry:
    return domains.get(context.directory, path["domain"])


def _user(context: Context, path: PathVariables) -> Entry:
    return users.get(context.directory, context.caller, path["mail"])


def _alias(context: Context, path: PathVariables) -> Entry:
    return aliases.get(context, path["mail"])


def _maillist(context: Context, path: PathVariables) -> Entry:
    return list_membership.read(context, path["mail"], with_members=False).entry


def _subscribable(context: Context, path: PathVariables) -> Entry:
    return subscribable.with_profile(context, path["mail"])[0]


def _admin(context: Context, path: PathVariables) -> Entry:
    return finders.admin(context.directory, path["mail"])


_FINDERS: Mapping[str, Find] = {
    kinds.DOMAIN.name: _domain,
    kinds.USER.name: _user,
    kinds.ALIAS.name: _alias,
    kinds.MAILLIST.name: _maillist,
    kinds.SUBSCRIBABLE.name: _subscribable,
    kinds.ADMIN.name: _admin,
}


def read_view(context: Context, kind: ParamsKind, path: PathVariables) -> tuple[Entry, View]:
    """Read the view of one entry; its state is that of what is shown.

    Raises:
        NoSuchAccount: If there is none.
        Refusal: As a read of it.
    """
    named = _FINDERS[kind.name](context, path)
    # Once more, with what the view needs, entryUUID among it, which no other read shows.
    entry = context.directory.read(named.dn, kind.attributes)
    found = finders.require(entry, kind.name, path.get("mail") or path["domain"])
    return found, ParamsReader(context, kind).views([found])[0]


def viewed(kind: ParamsKind, otherwise: Read) -> Read:
    """Return a read that answers with the view where that is asked for, otherwise as another."""

    def read(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
        if parsed.value("view") is None:
            return otherwise(context, path, parsed)
        entry, view = read_view(context, kind, path)
        if parsed.value("with_subscribers") == "yes":
            lists, mail = context.outside.mlmmjadmin, path["mail"]
            view["subscribers"] = subscribable_members.read(context.directory, lists, entry, mail)
        # What other entries and programs have of it changes without a new state of this one.
        return Shown(view, entry.csn, cacheable=False)

    return read
