"""Keep one active global admin: an installation without any could not be managed any more."""

from collections.abc import Iterable, Iterator

from iredldap import finders
from iredldap.dit import names, user
from iredldap.dit.entry import Entry
from iredldap.dit.filters import equals, every
from iredldap.dit.plan import Correction, Mod, Query, Recheck, Scope, undo_modify
from iredldap.errors import PermissionDenied
from iredldap.gateways.directory import Directory


def require_another(directory: Directory, dn: str, *, below: bool = False) -> None:
    """Refuse to remove the last active global admin.

    Args:
        directory: Where.
        dn: DN of the account or, with `below`, of the domain that is removed.
        below: Whether everything below is removed too.

    Raises:
        PermissionDenied: If no active global admin is left.
    """
    leaving = names.components(dn)
    admins = directory.find(query(directory))

    def stays(entry: Entry) -> bool:
        place = names.components(entry.dn)
        goes_too = (place[-len(leaving) :] if below else place) == leaving
        return not goes_too and finders.is_active_with_domain(directory, entry)

    if not any(stays(entry) for entry in admins):
        raise PermissionDenied("the last active global admin")


def require_active(directory: Directory, entry: Entry, mods: tuple[Mod, ...]) -> Iterator[Recheck]:
    """Require another active global admin, also when two demote each other at once.

    Args:
        directory: Where.
        entry: An account as it is.
        mods: What is about to change in it.

    Raises:
        PermissionDenied: If it is the last one, and would be disabled or demoted.
    """
    if not (user.is_global_admin(entry) and entry.is_active and any(map(ends_a_role, mods))):
        return
    require_another(directory, entry.dn)

    # Two requests may each find the other's admin before either writes. Both look again after the
    # write and find none; one or both revert.
    def judge(admins: Iterable[Entry]) -> Correction:
        if any(finders.is_active_with_domain(directory, admin) for admin in admins):
            return Correction()
        undone = undo_modify(entry, mods, *_ROLE)
        return Correction(undone, PermissionDenied("the last active global admin"))

    yield Recheck("check that there is an active global admin", query(directory), judge)


_ROLE = {"domainGlobalAdmin": (b"yes",), "accountStatus": (b"active",)}
"""Attributes of an active global admin."""


def ends_a_role(mod: Mod) -> bool:
    """Return whether a modification ends the role of an active global admin."""
    return mod.attribute in _ROLE and mod.values != _ROLE[mod.attribute]


def query(directory: Directory) -> Query:
    """Return the query for global admins; those in a disabled domain are still among them."""
    return Query(
        directory.tree.suffix,
        Scope.SUBTREE,
        every(equals("domainGlobalAdmin", "yes"), equals("accountStatus", "active")),
        ("accountStatus", "domainStatus"),
    )
