"""Accounts of admins, which not every caller may change or give a password."""

from dataclasses import replace

from iredldap import finders
from iredldap.dit import names, token_scopes, user
from iredldap.dit.entry import Entry
from iredldap.dit.filters import either, ends_with, equals, every
from iredldap.dit.plan import Query, Scope
from iredldap.errors import PermissionDenied, PermissionDeniedUpdateGlobalAdminProfile
from iredldap.gateways.directory import Directory
from iredldap.operations.login import Caller


def refuse_global_admin(caller: Caller, entry: Entry) -> None:
    """Refuse a normal admin who names the account of a global one, unless it is their own.

    Raises:
        PermissionDeniedUpdateGlobalAdminProfile: If a normal admin changes a global one.
    """
    if caller.is_global or not user.is_global_admin(entry):
        return
    if caller.is_limited or not is_own(caller, entry):
        raise PermissionDeniedUpdateGlobalAdminProfile(entry.dn)


def admins_of_other_domains(directory: Directory, caller: Caller) -> set[str]:
    """Find the users of a normal admin's domains who manage domains that the caller does not.

    Setting their password would give the caller their rights.
    """
    if caller.is_global:
        return set()
    own = either(*(ends_with("domainAdmin", f"@{name}") for name in sorted(caller.managed)))
    domains = every(equals("objectClass", "mailDomain"), own)
    query = Query(directory.tree.base, Scope.ONE, domains, ("domainName", "domainAdmin"))
    found = directory.find(query) if caller.managed else []
    others = [entry for entry in found if not caller.manages(entry.text("domainName") or "")]
    admins = {mail for entry in others for mail in entry.lowered("domainAdmin")}
    return admins if caller.is_limited else admins - {caller.address}


def refuse_password_by_token(caller: Caller, entry: Entry) -> None:
    """Refuse a new password of an admin by a token without the scope that admins need.

    With the password one could log in, and do more than the token may.

    Raises:
        PermissionDenied: If it is refused.
    """
    if user.has_rights(entry) and not caller.may(token_scopes.ADMINS):
        raise PermissionDenied(f"{entry.dn} is an admin", parameter="password")


def admins_below(directory: Directory, home: str) -> set[str]:
    """Find the users of a domain who are admins."""
    query = finders.users_query(home)
    roles = either(equals("domainGlobalAdmin", "yes"), equals("enabledService", user.ROLE))
    found = directory.find(replace(query, filter=every(query.filter, roles), attributes=("mail",)))
    return {mail for entry in found for mail in entry.lowered("mail")}


def is_own(caller: Caller, entry: Entry) -> bool:
    """Return whether an entry is the account of the caller."""
    return names.components(caller.dn) == names.components(entry.dn)
