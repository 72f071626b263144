"""Read the change log, as far as the caller may see what it is about.

Global admins see everything. Others see what happened in the domains that they manage: entries and
rows of those, and of the request that it was only where it names one of them. Attributes and
accounts that reads do not show them are hidden here, too.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

from iredldap.changes.change_log import ChangeLog
from iredldap.config.sections import ApiSettings
from iredldap.dit import mail_names, names
from iredldap.dit.change_ids import is_id
from iredldap.dit.change_log import (
    LoggedChange,
    Touched,
    TouchedEntry,
    TouchedRows,
    as_json,
    is_secret,
)
from iredldap.dit.change_query import milliseconds
from iredldap.dit.fields import Parsed
from iredldap.dit.filters import equals
from iredldap.dit.plan import Query, Scope
from iredldap.dit.touched import targets
from iredldap.dit.touched_text import unpacked
from iredldap.errors import NoSuchChange
from iredldap.gateways.change_store import ChangeFilter
from iredldap.gateways.directory import Directory
from iredldap.operations.login import Caller

_PAGE = 200
"""Changes that are read at once."""

_LISTED = 20
"""Entries of a change that a listing shows."""

_OF_THE_REQUEST = ("account", "parameters", "steps", "client", "request", "codes", "entries")
"""Members that only those see who manage what the request names."""

Shown = dict[str, Any]


@dataclass(frozen=True)
class ChangeReader:
    """What one caller may see of the change log.

    Args:
        log: The log.
        directory: Where global admins are looked up.
        caller: Who reads.
        api: Names of the attributes that answers leave out.
    """

    log: ChangeLog
    directory: Directory
    caller: Caller
    api: ApiSettings
    _cached: list[frozenset[str]] = field(default_factory=list)

    def wanted(self, parsed: Parsed, now: datetime) -> ChangeFilter:
        """Return the changes that the parameters of a listing ask for, and the caller may see."""
        texts = {
            name: parsed.value(name) or ""
            for name in ("admin", "token", "account", "domain", "attribute", "endpoint", "job")
        }
        since, until = parsed.value("since"), parsed.value("until")
        return ChangeFilter(
            **texts,
            since=milliseconds(since, now) if since else None,
            until=milliseconds(until, now) if until else None,
            before=parsed.value("cursor") or "",
            domains=None if self.caller.is_global else frozenset(self.caller.managed),
        )

    def changes(self, wanted: ChangeFilter) -> Iterator[Shown]:
        """Yield the changes that match, the newest first, or the oldest behind `wanted.after`."""
        while True:
            page = self.log.store.find(wanted, _PAGE)
            for change in page:
                if shown := self._listed(change, wanted):
                    yield shown
            if len(page) < _PAGE:
                return
            last = page[-1].id
            wanted = replace(wanted, after=last) if wanted.after else replace(wanted, before=last)

    def change(self, number: str) -> tuple[Shown, Iterator[Shown]]:
        """Return one change, and everything that it touched.

        Raises:
            NoSuchChange: If there is none of this id, or none that the caller may see.
        """
        found = self.log.store.change(number) if is_id(number) else None
        if found is None:
            raise NoSuchChange(number[:80])
        every = self._visible(found)
        if not self._is_own(found):
            # Whether there is anything to see is only known with the first of it.
            first = next(every, None)
            if first is None:
                raise NoSuchChange(number)
            every = chain((first,), every)
        return self._header(found), map(self._shown, every)

    def _listed(self, change: LoggedChange, wanted: ChangeFilter) -> Shown | None:
        matching = (one for one in self._visible(change) if _matches(one, wanted))
        listed = [*islice(map(self._shown, matching), _LISTED + 1)]
        # A change that touched nothing the caller may see, and names nothing of theirs, does not
        # exist for them.
        if not listed and not (self._is_own(change) and self._is_named(change, wanted)):
            return None
        return {
            **self._header(change),
            "touched": listed[:_LISTED],
            "more": len(listed) > _LISTED,
        }

    def _visible(self, change: LoggedChange) -> Iterator[Touched]:
        stored = (unpacked(data) for data in self.log.store.touched(change.id))
        return filter(self._may_see, chain.from_iterable(stored))

    def _may_see(self, touched: Touched) -> bool:
        if self.caller.is_global:
            return True
        # Roles count as they are now, as everywhere: the log must not show of a global admin what
        # the profile hides.
        if targets(touched) & self._protected():
            return False
        if isinstance(touched, TouchedRows):
            about = touched.about.lower()
            domain = mail_names.domain_of(about) if "@" in about else about
            return bool(domain) and self.caller.manages(domain)
        places = filter(None, (touched.dn, touched.new_dn))
        return all(map(self.caller.manages_place, places)) and not _concerns_role(touched)

    def _protected(self) -> frozenset[str]:
        """Return the addresses of global admins, whose profiles other admins do not see."""
        if not self._cached:
            role = equals("domainGlobalAdmin", "yes")
            query = Query(self.directory.tree.suffix, Scope.SUBTREE, role, ("mail",))
            found = (entry.lowered("mail") for entry in self.directory.find(query))
            # Once for a listing: each change is compared with it.
            self._cached.append(frozenset(chain.from_iterable(found)) - {self.caller.address})
        return self._cached[0]

    def _is_named(self, change: LoggedChange, wanted: ChangeFilter) -> bool:
        """Return whether the request itself is what a listing asks for.

        Otherwise it matches by what it has touched; where a caller does not see that, neither may
        the filter tell them.
        """
        if self.caller.is_global:
            return True
        asked = ((wanted.account, change.account), (wanted.domain, change.domain))
        return not wanted.attribute and all(want in {"", found} for want, found in asked)

    def _is_own(self, change: LoggedChange) -> bool:
        """Return whether the caller manages what the request names."""
        if self.caller.is_global:
            return True
        is_here = bool(change.domain) and self.caller.manages(change.domain, by_alias=True)
        return is_here and change.account not in self._protected()

    def _header(self, change: LoggedChange) -> Shown:
        shown: Shown = {
            "id": change.id,
            "time": _time(change.began),
            "admin": change.admin,
            "token": change.token,
            "client": change.client,
            "request": change.request,
            "job": change.job or None,
            "endpoint": change.endpoint,
            "account": change.account or None,
            "domain": change.domain or None,
            "parameters": {name: [*values] for name, values in change.parameters.items()},
            "steps": [*change.steps],
            "result": change.result,
            "codes": [*change.codes],
            "duration_ms": change.duration,
            "entries": change.entries,
            "undoes": change.undoes or None,
        }
        if self._is_own(change):
            return shown
        hidden = {*_OF_THE_REQUEST, *(() if self.caller.manages(change.domain) else ("domain",))}
        return {name: value for name, value in shown.items() if name not in hidden}

    def _shown(self, touched: Touched) -> Shown:
        """Return what was touched as JSON; of secrets and hidden attributes only the names."""
        shown = as_json(touched)
        if isinstance(touched, TouchedEntry):
            hidden = self._hidden_attributes(touched)
            attributes: Mapping[str, object] = shown.get("attributes", {})
            shown["attributes"] = {
                name: {"hidden": True} if is_secret(name) or name.lower() in hidden else values
                for name, values in attributes.items()
            }
        return shown

    def _hidden_attributes(self, touched: TouchedEntry) -> set[str]:
        is_admin = names.is_within(touched.dn, self.directory.tree.admin_base)
        api = self.api
        hidden = api.api_hidden_admin_profiles if is_admin else api.api_hidden_user_profiles
        return {name.lower() for name in hidden}


def _concerns_role(touched: TouchedEntry) -> bool:
    """Return whether an account was a global admin, as far as the change itself shows that."""
    return any(name.lower() == "domainglobaladmin" for name in touched.attributes)


def _matches(touched: Touched, wanted: ChangeFilter) -> bool:
    """Return whether a listing shows what was touched."""
    found = targets(touched)
    if wanted.account and wanted.account not in found:
        return False
    if wanted.domain and wanted.domain not in found:
        return False
    return not wanted.attribute or wanted.attribute in _attributes(touched)


def _attributes(touched: Touched) -> Iterable[str]:
    return {name.lower() for name in getattr(touched, "attributes", ())}


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
