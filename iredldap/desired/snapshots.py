"""Write the state of domains, accounts, admins and policies as lines, sorted."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iredldap.desired import lines
from iredldap.desired.calls import Calls
from iredldap.desired.policies_present import PoliciesPresent
from iredldap.desired.present import Present, ViewedEntry
from iredldap.desired.state_kinds import (
    ADMIN,
    DOMAIN,
    ENTRY_KINDS,
    GLOBAL,
    POLICIES,
    SUBSCRIBABLE,
    SUBSCRIBERS,
    EntryKind,
)
from iredldap.dit import mail_names, token_scopes
from iredldap.dit.request import Request
from iredldap.dit.states import STATE_WORDS
from iredldap.dit.views.params import ID
from iredldap.errors import NoSuchAccount, PermissionDenied
from iredldap.operations.context import Context
from iredldap.operations.lists import subscribable_members


@dataclass(frozen=True)
class SnapshotOptions:
    """What is written.

    Args:
        domains: Names; empty: all of the caller's, with what belongs to no domain.
        kinds: Words of `state_kinds.WORDS`; empty: all that the caller may read.
        hashes: Whether the hashes of passwords are.
        ids: Whether the ids are, by which renames are known.
    """

    domains: Sequence[str] = ()
    kinds: Collection[str] = ()
    hashes: bool = False
    ids: bool = True


class Snapshot:
    """The state that a caller may read.

    Args:
        context: Where, and for whom.
        calls: The calls of the API.
        of: Who asks.
        options: What is written.

    Raises:
        NoSuchAccount: If there is no such domain, or it is not the caller's.
        PermissionDenied: If the caller may not read hashes, or one of the kinds.
    """

    def __init__(
        self, context: Context, calls: Calls, of: Request, options: SnapshotOptions
    ) -> None:
        self._context = context
        self._calls = calls
        self._options = options
        caller = context.caller
        may = caller.is_global and caller.may(token_scopes.HASHES)
        if options.hashes and not (may and context.config.api.ldif_passwords):
            raise PermissionDenied(f"{caller.address}: hashes")
        self._present = Present(context, hashes=options.hashes)
        self._policies = PoliciesPresent(context, calls, of)
        self._kinds = [word for word in STATE_WORDS if self._is_chosen(word)]
        homes = self._present.domains()
        if missing := [name for name in options.domains if name not in homes]:
            raise NoSuchAccount(f"no domain {', '.join(missing)[:200]}", parameter="domains")
        chosen = sorted({*options.domains}) or [*homes]
        self._homes = {name: homes[name] for name in chosen}

    def lines(self) -> Iterator[Mapping[str, Any]]:
        """Yield the objects: a header, what is for everybody, and domain by domain the rest.

        Raises:
            ServerDown: If the directory or a database does not answer.
            MlmmjadminUnavailable: If there are subscribable lists, and mlmmjadmin does not answer.
        """
        options = self._options
        covers_all = not options.domains and self._context.caller.is_global
        yield lines.header(None if covers_all else self._homes, self._kinds)
        by_domain = self._targets()
        if covers_all:
            yield from self._of_policies(by_domain.get(GLOBAL, ()))
            if ADMIN.name in self._kinds:
                yield from self._written(ADMIN, self._context.directory.tree.admin_base)
        for name, home in self._homes.items():
            yield from self._domain(name, home)
            yield from self._of_policies(by_domain.get(name, ()))

    def _domain(self, name: str, home: str) -> Iterator[Mapping[str, Any]]:
        if DOMAIN.name in self._kinds:
            for entry in self._present.entries(DOMAIN, [name]).values():
                # Two of one name are no state that a file could bring about.
                if isinstance(entry, Exception):
                    raise entry
                for found in self._present.views(DOMAIN, [entry]):
                    yield self._line(DOMAIN, name, found)
        for kind in ENTRY_KINDS:
            if kind not in (ADMIN, DOMAIN) and kind.name in self._kinds:
                yield from self._written(kind, home)

    def _written(self, kind: EntryKind, home: str) -> Iterator[Mapping[str, Any]]:
        names = self._present.names(kind, home)
        for found in self._present.below(kind, home, names):
            yield self._line(kind, found.entry.folded("mail"), found)

    def _line(self, kind: EntryKind, name: str, found: ViewedEntry) -> Mapping[str, Any]:
        view = dict(found.view)
        if not self._options.ids:
            view.pop(ID, None)
        if kind is SUBSCRIBABLE:
            directory, mlmmj = self._context.directory, self._context.outside.mlmmjadmin
            view[SUBSCRIBERS] = subscribable_members.read(directory, mlmmj, found.entry, name)
        return lines.written(kind, name, view)

    def _targets(self) -> dict[str, list[tuple[str, Any]]]:
        """Return policies and their targets, by domains."""
        if POLICIES not in self._kinds:
            return {}
        found: dict[str, list[tuple[str, Any]]] = {}
        for kind, target in self._policies.targets():
            home = target if target == GLOBAL else mail_names.domain_of(target)
            found.setdefault(home, []).append((target, kind))
        return found

    def _of_policies(self, targets: Sequence[tuple[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for target, kind in sorted(targets, key=lambda one: (one[0], one[1].name)):
            view = self._policies.view(kind, target)
            if view:
                yield lines.written(kind, target, view)

    def _is_chosen(self, word: str) -> bool:
        context, chosen = self._context, self._options.kinds
        caller = context.caller
        area = next((k.params.area for k in ENTRY_KINDS if k.name == word), "policies")
        may = caller.may(f"{area}:{token_scopes.READ}") and (caller.is_global or word != ADMIN.name)
        if word in chosen and not may:
            raise PermissionDenied(f"{caller.address}: {word}", parameter="kinds")
        if word == SUBSCRIBABLE.name and not chosen and not context.config.mlmmjadmin.url:
            # Their settings are mlmmjadmin's: without it the header says that they are not covered.
            return False
        return may and (not chosen or word in chosen)
