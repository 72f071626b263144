"""Plan changes of standalone admins, who are no mail users, and show them.

Domains name an admin by the address. A new admin does not inherit rights that domains give to an
address without an account: these are withdrawn.
"""

from collections.abc import Iterable, Iterator

from iredldap import finders
from iredldap.dit import admin, deletion, filters, mail_names, names, references, user, user_entry
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Parsed
from iredldap.dit.filters import either
from iredldap.dit.holders import holders_filter
from iredldap.dit.modlist import modlist, service_mods
from iredldap.dit.plan import (
    GLOBAL_ADMINS,
    Add,
    Correction,
    Delete,
    Mod,
    Modify,
    Plan,
    Query,
    Recheck,
    Scope,
    Step,
    Sweep,
)
from iredldap.errors import (
    AlreadyExists,
    CanNotBeLocalDomain,
    PasswordMismatch,
    PermissionDenied,
    Refusal,
)
from iredldap.gateways.directory import Directory
from iredldap.operations import rights
from iredldap.operations.context import Context, PathVariables, Shown
from iredldap.operations.domains import alias_domains, global_admins
from iredldap.operations.users import users


def get(directory: Directory, mail: str) -> tuple[Entry, list[str]]:
    """Read a standalone admin, and the sorted names of the domains that they manage.

    Raises:
        NoSuchAccount: If there is none; mail users with rights are none.
    """
    entry = finders.admin(directory, mail)
    managed = directory.find(finders.managed_domains_query(directory, mail, ("domainName",)))
    return entry, sorted(domain.text("domainName") or "" for domain in managed)


def verify_password(directory: Directory, mail: str, password: str) -> None:
    """Verify a password by a bind; that of a disabled admin succeeds too.

    Raises:
        NoSuchAccount: If there is no such admin.
        PasswordMismatch: If it does not.
    """
    if not directory.verifies(finders.admin(directory, mail).dn, password):
        raise PasswordMismatch(mail)


def profile(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Show an admin, with the domains that they manage."""
    entry, managed = get(context.directory, path["mail"])
    shown = admin.profile(entry, managed, context.config.api.api_hidden_admin_profiles)
    # The domains are named on their own entries, which leave the state of this one as it is.
    return Shown(shown, entry.csn, cacheable=False)


def check_password(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Verify a password of an admin, as `verify_password` does."""
    verify_password(context.directory, path["mail"], parsed.value("password") or "")
    return Shown(None)


def create(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a new standalone admin.

    Raises:
        AlreadyExists: If a standalone admin or an account has the address.
        CanNotBeLocalDomain: If its domain is hosted here, be it as an alias domain.
        WeakPassword: For each rule that the password breaks.
    """
    directory, mail = context.directory, path["mail"]
    dn = directory.tree.admin(mail)
    # Before the search for the domain: two answers are true of an admin that exists, and this is
    # the one that a client which repeats a request expects.
    if finders.standalone_admin(directory, mail):
        raise AlreadyExists(f"admin {mail}")
    claims = _claims(directory, mail)
    if refusal := _obstacle(directory.find(claims), mail):
        raise refusal
    is_global = parsed.value("isGlobalAdmin") == "yes"
    given = {
        "userPassword": (users.hashed_password(context, dict, mail, parsed),),
        "shadowLastChange": (user_entry.days_since_epoch(context.now.date()),),
    }
    attributes = admin.new(mail, admin.changes(parsed, is_global=is_global), given)

    def judge(found: Iterable[Entry]) -> Correction:
        refusal = _obstacle(found, mail)
        return Correction((Delete(dn, absent_ok=True),), refusal) if refusal else Correction()

    return Plan(
        dn,
        (
            Add(dn, attributes),
            # A domain of this name, or a mail user of this address, may have been added at the same
            # moment. Our own requests take turns; other programs do not.
            Recheck("check that no other account has the address", claims, judge),
            # Domains that name the address from before belong to a mail user who has it with
            # rights; without one they are left over, and would be inherited.
            *(() if _user_with_rights(directory, mail) else (_recheck_domains(directory, mail),)),
        ),
        ignored=(*parsed.dropped, *admin.ignored_limits(parsed, is_global=is_global)),
    )


def _claims(directory: Directory, mail: str) -> Query:
    """Return the search for the domain of an address, and for accounts that have it."""
    hosted = filters.domain_filter(mail_names.domain_of(mail), *alias_domains.NAMES)
    claimed = either(hosted, holders_filter(mail))
    return Query(directory.tree.base, Scope.SUBTREE, claimed, ("objectClass",))


def _obstacle(found: Iterable[Entry], mail: str) -> Refusal | None:
    holders = list[Entry]()
    for entry in found:
        if entry.has("objectClass", "mailDomain"):
            return CanNotBeLocalDomain(f"{mail_names.domain_of(mail)} is hosted here: {entry.dn}")
        holders.append(entry)
    return AlreadyExists(f"{mail} belongs to {holders[0].dn}") if holders else None


def update(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a change of a standalone admin.

    Raises:
        NoSuchAccount: If there is none.
        PermissionDenied: If the last active global admin would be disabled or demoted.
        WeakPassword: For each rule that the password breaks.
    """
    directory, mail = context.directory, path["mail"]
    entry = finders.admin(directory, mail)
    role = parsed.value("isGlobalAdmin")
    is_global = role == "yes" or (role is None and user.is_global_admin(entry))
    mods = (
        *modlist(admin.changes(parsed, is_global=is_global), entry),
        *_new_password(context, mail, parsed),
    )
    change = Modify(entry.dn, mods, expect=(entry.csn,) if entry.csn else ())
    rechecks = global_admins.require_active(directory, entry, mods)
    ignored = (*parsed.dropped, *admin.ignored_limits(parsed, is_global=is_global))
    # Of a global admin any change may be one that ends the role, and admins are few: no further
    # distinction.
    touches = frozenset({GLOBAL_ADMINS} if mods and user.is_global_admin(entry) else ())
    return Plan(entry.dn, (change, *rechecks) if mods else (), entry.csn, ignored, touches)


def _new_password(context: Context, mail: str, parsed: Parsed) -> tuple[Mod, ...]:
    if parsed.value("password") is None and parsed.value("password_hash") is None:
        return ()
    stored = users.hashed_password(context, dict, mail, parsed)
    return user_entry.dated_password(stored, context.now.date())


def delete(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan the deletion of an admin; a mail user keeps the account and loses the rights.

    A mail user of the same address who is an admin too keeps the standalone admin's domains.

    Raises:
        NoSuchAccount: If no account of this address has rights.
        PermissionDenied: If it is the caller's own account, or the last active global admin.
    """
    directory, caller, mail = context.directory, context.caller, path["mail"]
    holder = _user_with_rights(directory, mail)
    found = finders.standalone_admin(directory, mail) or holder
    entry = finders.require(found, "admin", mail)
    if names.same_dn(caller.dn, entry.dn):
        raise PermissionDenied("an admin cannot delete their own account")
    steps: Iterable[Step]
    if entry is holder:
        steps = _demote(directory, entry, mail)
    else:
        steps = _remove(directory, entry, None if holder else mail)
    touches = frozenset({GLOBAL_ADMINS} if user.is_global_admin(entry) else ())
    return Plan(entry.dn, tuple(steps), entry.csn, touches=touches)


def _user_with_rights(directory: Directory, mail: str) -> Entry | None:
    entry = finders.account(directory, mail, "mailUser")
    if entry and (user.is_global_admin(entry) or entry.has("enabledService", user.ROLE)):
        return entry
    return None


def _remove(directory: Directory, entry: Entry, withdrawn: str | None) -> tuple[Step, ...]:
    named = references.clear_dns(directory.tree, entry.dn, finders.dns_below(directory, entry.dn))
    return deletion.steps(
        entry.dn,
        checks=global_admins.require_active(directory, entry, deletion.DISABLE),
        references=(_withdraw_domains(directory, withdrawn), named) if withdrawn else (named,),
        # Rights belong to the address, in the entries of domains: one that was granted meanwhile
        # would be the next account's of this address.
        afterwards=(_recheck_domains(directory, withdrawn),) if withdrawn else (),
    )


def _demote(directory: Directory, entry: Entry, mail: str) -> Iterator[Step]:
    """Yield the steps that end the role of a mail user.

    The role is revoked last: while the user has it, a repeat finds what is left to do.
    """
    mods = user_entry.demotion(entry, manages=False) or service_mods({user.ROLE: False}, entry)
    # A domain that still names them would give the role back with the next change of its admins.
    yield _withdraw_domains(directory, mail)
    # With the state: by another change meanwhile they may have become a global admin.
    yield Modify(entry.dn, mods, expect=(entry.csn,) if entry.csn else ())
    yield from global_admins.require_active(directory, entry, mods)
    yield _recheck_domains(directory, mail)


def _withdraw_domains(directory: Directory, mail: str) -> Sweep:
    query = finders.managed_domains_query(directory, mail, ("domainAdmin",))
    return Sweep(
        "withdraw the admin's domains", query, lambda domain: rights.withdraw(domain, mail)
    )


def _recheck_domains(directory: Directory, mail: str) -> Recheck:
    """Return the recheck that withdraws what was granted meanwhile.

    The next account of the address would inherit it.
    """

    def judge(domains: Iterable[Entry]) -> Correction:
        return Correction(
            tuple(change for domain in domains for change in rights.withdraw(domain, mail))
        )

    query = finders.managed_domains_query(directory, mail, ("domainAdmin",))
    return Recheck("withdraw domains granted meanwhile", query, judge)
