"""List the domains of a caller, the standalone admins, and the accounts of one type in a domain.

Whole listings of profiles come in the directory's order, as the entries arrive. Names, and pages,
are sorted by key: the name of the domain or the address, in lower case. The directory does not
sort, so each page is a search of its own that keeps the smallest keys above the cursor: an entry
that exists all the time is on exactly one page, whatever is added and deleted meanwhile.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import chain
from operator import itemgetter

from iredldap import finders
from iredldap.dit import admin, alias, names
from iredldap.dit.entry import Entry, folded
from iredldap.dit.filters import contains, either, equals, every, negated
from iredldap.dit.listing import ListingOptions
from iredldap.dit.plan import Query, Scope
from iredldap.dit.views import kinds
from iredldap.errors import NoSuchAccount
from iredldap.gateways.directory import Directory
from iredldap.operations import aliases
from iredldap.operations.context import Context
from iredldap.operations.listings.profiles import (
    ListedKind,
    Profile,
    Profiles,
    choose_attributes,
    choose_params,
)
from iredldap.operations.login import Caller
from iredldap.operations.outside_systems import USAGE, Usages
from iredldap.operations.views.params import ParamsReader

_TOGETHER = 250
"""Most profiles in memory at once; the databases are queried once for all of these."""

_LARGE = 1024 * 1024
"""Bytes of values in memory after which no further profile is added."""


def _domains(directory: Directory, caller: Caller, _: str) -> Query:
    if caller.is_limited:
        return finders.named_domains_query(directory, caller.managed)
    if not caller.is_global:
        return finders.managed_domains_query(directory, caller.address)
    return Query(directory.tree.base, Scope.ONE, equals("objectClass", "mailDomain"))


def _users(_: Directory, caller: Caller, home: str) -> Query:
    """Find users; a normal admin may not read global ones."""
    query = finders.users_query(home)
    if caller.is_global:
        return query
    return replace(query, filter=every(query.filter, negated(equals("domainGlobalAdmin", "yes"))))


def _aliases(_directory: Directory, _caller: Caller, home: str) -> Query:
    return Query(home, Scope.SUBTREE, equals("objectClass", "mailAlias"))


def _lists(_directory: Directory, _caller: Caller, home: str) -> Query:
    by_mlmmj = every(equals("objectClass", "mailList"), equals("enabledService", "mlmmj"))
    return Query(home, Scope.SUBTREE, by_mlmmj)


def _maillists(_directory: Directory, _caller: Caller, home: str) -> Query:
    others = negated(equals("enabledService", "mlmmj"))
    return Query(home, Scope.SUBTREE, every(equals("objectClass", "mailList"), others))


def _admins(directory: Directory, _caller: Caller, _: str) -> Query:
    return Query(directory.tree.admin_base, Scope.SUBTREE, equals("objectClass", "mailAdmin"))


# Members of an alias are computed, and requested only where they are shown. A list's members are on
# other entries: a listing does not search for them.
DOMAINS = ListedKind(
    _domains,
    key="domainName",
    params=kinds.DOMAIN,
    searched=("domainName", "cn", "domainAliasName"),
)
USERS = ListedKind(_users, computed=dict.fromkeys(USAGE, ()), has_usage=True, params=kinds.USER)
ALIASES = ListedKind(_aliases, aliases.shown, {"members": (alias.MEMBERS,)}, params=kinds.ALIAS)
LISTS = ListedKind(_lists, params=kinds.SUBSCRIBABLE)
MAILLISTS = ListedKind(_maillists, params=kinds.MAILLIST)
ADMINS = ListedKind(
    _admins, admin.shown, admin.MADE_OF, params=kinds.ADMIN, searched=("mail", "cn")
)


@dataclass(frozen=True)
class Page:
    """Sorted names, or profiles in the order of their keys; `next`: cursor of the page behind."""

    data: list[str] | Profiles
    next: str | None = None


class Listing:
    """A listing for a caller.

    Args:
        context: The context of the request.
        listed: What is listed.
        domain: Where accounts lie: the name of a domain, or of one of its alias domains.
        hidden: Attributes that no answer shows.
        wanted: The options that were sent.

    Raises:
        InvalidParameter: If all attributes that were sent are unknown.
        ServerDown: If the directory does not answer.
    """

    def __init__(
        self,
        context: Context,
        listed: ListedKind,
        domain: str,
        hidden: tuple[str, ...],
        wanted: ListingOptions,
    ) -> None:
        self._directory = context.directory
        self._caller = context.caller
        self._listed = listed
        self._domain = domain
        self._hidden = hidden
        self._wanted = wanted
        self._choice = (
            choose_params(listed.params, wanted.fields)
            if wanted.view
            else choose_attributes(context.directory, listed, wanted.fields, hidden)
        )
        self._usages = Usages(context.outside.iredadmin)
        self._params = ParamsReader(context, self._choice.params or listed.params)

    @property
    def ignored(self) -> tuple[str, ...]:
        """Names that were sent and are no attributes."""
        return self._choice.ignored

    def page(self) -> Page:
        """Return what is small enough to be sorted: names, or a page.

        Raises:
            NoSuchAccount: If there is no such domain.
            ExceededLdapServerSizelimit: If the directory does not give all of it.
            ServerDown: If it does not answer.
        """
        wanted = self._wanted
        asked = ("1.1",) if wanted.names_only else self._choice.attributes
        with closing(self._found(asked)) as found:
            keyed = ((self._key(entry), entry) for entry in found)
            if wanted.limit is None:
                # Without a limit all names, which are short; whole profiles are never sorted.
                return Page(sorted({key for key, _ in keyed}))
            above = (pair for pair in keyed if pair[0] > wanted.cursor)
            # One more than the page has: whether there is a further one decides about the cursor.
            kept = _smallest(wanted.limit + 1, above)
        more = kept[wanted.limit - 1][0] if len(kept) > wanted.limit else None
        del kept[wanted.limit :]
        data = [key for key, _ in kept] if wanted.names_only else self._profiles(kept)
        return Page(data, more)

    def profiles(self) -> Generator[Profiles, None, None]:
        """Yield all profiles as they arrive, some at a time.

        Raises:
            NoSuchAccount, ExceededLdapServerSizelimit, ServerDown: As `page`; the last two also
                when many have been given.
        """
        with closing(self._found(self._choice.attributes)) as found:
            keyed = ((self._key(entry), entry) for entry in found)
            while profiles := self._profiles(_some(keyed)):
                yield profiles

    def _profiles(self, keyed: Iterable[tuple[str, Entry]]) -> Profiles:
        if self._wanted.view:
            return self._views([*keyed])
        # Entries go as they are read: values that are no text, such as pictures, may be large.
        shown = {key: self._shown(entry) for key, entry in keyed}
        if not (shown and self._listed.has_usage and self._choice.has(USAGE)):
            return shown
        used = self._usages.of([*shown])
        return {key: one | self._choice.of(used.get(key, {})) for key, one in shown.items()}

    def _views(self, keyed: Sequence[tuple[str, Entry]]) -> Profiles:
        views = self._params.views([entry for _, entry in keyed])
        return {key: self._choice.of(view) for (key, _), view in zip(keyed, views, strict=True)}

    def _shown(self, entry: Entry) -> Profile:
        return self._choice.of(self._listed.profile(entry, self._hidden))

    def _found(self, attributes: tuple[str, ...]) -> Generator[Entry, None, None]:
        """Search below the usual DN of the domain, or else below the domain of this name."""
        if not self._domain:
            yield from self._directory.stream(self._query("", attributes))
            return
        try:
            # Nearly always its DN, so that the domain need not be searched for first.
            query = self._query(self._directory.tree.domain(self._domain), attributes)
            yield from self._directory.stream(query, must_exist=True)
        except NoSuchAccount:
            entry = finders.domain(self._directory, self._domain, by_alias=True)
        else:
            return
        yield from self._directory.stream(self._query(entry.dn, attributes))

    def _query(self, home: str, attributes: tuple[str, ...]) -> Query:
        query = self._listed.query(self._directory, self._caller, home)
        # Not `accountStatus=disabled`: an account without the attribute gets no mail either.
        disabled = (negated(equals("accountStatus", "active")),)
        word = self._wanted.search
        having = (either(*(contains(name, word) for name in self._listed.searched)),)
        terms = (
            *(disabled if self._wanted.disabled_only else ()),
            *(having if word else ()),
        )
        return replace(query, filter=every(query.filter, *terms), attributes=attributes)

    def _key(self, entry: Entry) -> str:
        """Return the name or address of an entry, by its DN unless that has neither."""
        attribute = self._listed.key
        named = names.named_by(entry.dn, attribute)
        if named is None:
            known = entry if entry.values(attribute) else None
            known = known or self._directory.read(entry.dn, (attribute,)) or entry
            named = known.text(attribute) or names.rdn_value(entry.dn)
        return folded(named)


def _smallest(number: int, keyed: Iterable[tuple[str, Entry]]) -> list[tuple[str, Entry]]:
    """Return the entries with the smallest keys, sorted; of several with one key the first."""
    kept: dict[str, Entry] = {}
    for key, entry in keyed:
        kept.setdefault(key, entry)
        # Cut when it has doubled, not for each entry: the memory stays small, and sorting cheap.
        if len(kept) > 2 * number:
            kept = dict(nsmallest(number, kept.items(), key=itemgetter(0)))
    return nsmallest(number, kept.items(), key=itemgetter(0))


def _some(keyed: Iterable[tuple[str, Entry]]) -> Iterator[tuple[str, Entry]]:
    """Yield the next ones, as many as may be in memory at once."""
    size = 0
    for number, (key, entry) in enumerate(keyed, 1):
        yield key, entry
        size += sum(map(len, chain.from_iterable(entry.attributes.values())))
        # By bytes as well: photos make some profiles a thousand times as large as others.
        if number == _TOGETHER or size > _LARGE:
            return
