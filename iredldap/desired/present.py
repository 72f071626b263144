"""Read what there is: names first, then entries and views in batches."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from iredldap import finders
from iredldap.desired.state_kinds import ADMIN, DOMAIN, HASH, USER, EntryKind
from iredldap.dit import passwords, user
from iredldap.dit.entry import Entry
from iredldap.dit.filters import either, equals, every, negated
from iredldap.dit.plan import Query, Scope
from iredldap.dit.views.params import LEFT_OUT, View
from iredldap.errors import InvalidPasswordScheme, PermissionDenied, Refusal
from iredldap.operations.context import Context
from iredldap.operations.listings import listings
from iredldap.operations.views.params import ParamsReader

_STORED = "userPassword"


@dataclass(frozen=True)
class ViewedEntry:
    """An entry and its view, with what a line has beside parameters."""

    entry: Entry
    view: View


@dataclass(frozen=True)
class Present:
    """What there is, as a caller may read it.

    Args:
        context: Where, and for whom.
        hashes: Whether views have the hashes of passwords.
    """

    context: Context
    hashes: bool = False

    def domains(self) -> dict[str, str]:
        """Return the DNs of the caller's domains, sorted by their names."""
        directory, caller = self.context.directory, self.context.caller
        query = listings.DOMAINS.query(directory, caller, "")
        wanted = Query(query.base, query.scope, query.filter, ("domainName",))
        found = {one.folded("domainName"): one.dn for one in directory.stream(wanted)}
        return {name: found[name] for name in sorted(found) if name}

    def names(self, kind: EntryKind, home: str) -> list[str]:
        """Return the sorted addresses of the accounts of a kind, below the DN of a domain.

        Args:
            kind: The kind; of standalone admins `home` does not matter.
            home: The DN.
        """
        base = self.context.directory.tree.admin_base if kind is ADMIN else home
        query = Query(base, Scope.SUBTREE, self._filter(kind), ("mail",))
        found = (one.folded("mail") for one in self.context.directory.stream(query))
        return sorted({mail for mail in found if mail})

    def entries(self, kind: EntryKind, names: Iterable[str]) -> dict[str, Entry | Refusal]:
        """Read the entries of some names, with what their views need; those that exist.

        A name that several entries have gets the refusal.
        """
        directory = self.context.directory
        anywhere = self.context.caller.is_global
        found: dict[str, Entry | Refusal] = {}
        for batch in finders.batches({*names}):
            attribute = kind.params.attribute
            named = either(*(equals(attribute, name) for name in batch))
            entries = directory.find(self._query(kind, every(named, kind.filter)))
            by_name = defaultdict[str, list[Entry]](list)
            for entry in entries:
                for name in entry.lowered(attribute):
                    by_name[name].append(entry)
            for name in batch:
                try:
                    if kind in (DOMAIN, ADMIN):
                        chosen = finders.single(by_name[name], name)
                    else:
                        chosen = finders.choose_account(
                            directory, by_name[name], name, kind.object_class, anywhere=anywhere
                        )
                    if chosen:
                        self._refuse_global(kind, chosen)
                        found[name] = chosen
                except Refusal as refusal:
                    found[name] = refusal
        return found

    def by_ids(self, kind: EntryKind, ids: Iterable[str]) -> dict[str, Entry]:
        """Read entries of a kind by their ids."""
        found: dict[str, Entry] = {}
        for batch in finders.batches({*ids}):
            named = either(*(equals("entryUUID", number) for number in batch))
            query = self._query(kind, every(named, self._filter(kind)))
            for entry in self.context.directory.find(query):
                found[entry.folded("entryUUID")] = entry
        return found

    def views(self, kind: EntryKind, entries: Sequence[Entry]) -> list[ViewedEntry]:
        """Read the views of entries.

        Raises:
            MlmmjadminUnavailable, ServerDown: As `ParamsReader.views`.
        """
        made = ParamsReader(self.context, kind.params).views(entries)
        return [
            ViewedEntry(entry, {**view, **self._beside(kind, entry, view)})
            for entry, view in zip(entries, made, strict=True)
        ]

    def below(self, kind: EntryKind, home: str, names: Sequence[str]) -> Iterator[ViewedEntry]:
        """Read the accounts of some names below the DN of a domain, in the order of the names."""
        for start in range(0, len(names), _TOGETHER):
            part = names[start : start + _TOGETHER]
            named = either(*(equals("mail", name) for name in part))
            query = self._query(kind, every(named, self._filter(kind)), home)
            found: dict[str, Entry] = {}
            for entry in self.context.directory.find(query):
                found.setdefault(entry.folded("mail"), entry)
            yield from self.views(kind, [found[name] for name in part if name in found])

    def _refuse_global(self, kind: EntryKind, entry: Entry) -> None:
        if kind is USER and not self.context.caller.is_global and user.is_global_admin(entry):
            raise PermissionDenied(f"{entry.text('mail')} is a global admin")

    def _filter(self, kind: EntryKind) -> str:
        if kind is USER and not self.context.caller.is_global:
            return every(kind.filter, negated(equals("domainGlobalAdmin", "yes")))
        return kind.filter

    def _query(self, kind: EntryKind, filter_: str, home: str | None = None) -> Query:
        tree = self.context.directory.tree
        base = home or (tree.admin_base if kind is ADMIN else tree.base)
        scope = Scope.ONE if kind is DOMAIN else Scope.SUBTREE
        more = {*kind.params.attributes, "mail", "domainGlobalAdmin"}
        if self.hashes and kind.has_password:
            more.add(_STORED)
        return Query(base, scope, filter_, tuple(sorted(more)))

    def _beside(self, kind: EntryKind, entry: Entry, view: View) -> Mapping[str, object]:
        """Return the members of a line that no view has."""
        if not (self.hashes and kind.has_password):
            return {}
        try:
            (stored,) = entry.texts(_STORED)
            return {HASH: self.hash_of(stored)}
        except (ValueError, InvalidPasswordScheme):
            # None, several, or one that no request could set.
            return {LEFT_OUT: sorted([*view.get(LEFT_OUT, ()), HASH])}

    def hash_of(self, stored: str) -> str:
        """Return a hash in the form in which it is stored.

        Raises:
            InvalidPasswordScheme: If the directory could not verify it.
        """
        schemes = self.context.config.passwords.verified_schemes
        return passwords.with_verified_scheme(stored, schemes)


_TOGETHER = 100
"""Accounts that are read together."""
