"""Plan who manages a domain."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from iredldap import finders
from iredldap.dit import mail_names, names, user
from iredldap.dit.entry import Entry, encoded, folded
from iredldap.dit.fields import Parsed
from iredldap.dit.filters import either, equals, every
from iredldap.dit.modlist import service_mods
from iredldap.dit.plan import (
    Mod,
    Modify,
    Op,
    Operation,
    Plan,
    Query,
    Scope,
    Step,
    Sweep,
)
from iredldap.errors import NoAdmins
from iredldap.gateways.directory import Directory
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.login import Caller


def assign(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a change of a domain's admins: the role first, the domain's own entry last.

    A request that removes and assigns removes all first, then single ones, then assigns.

    Raises:
        NoSuchAccount: If there is no such domain.
        NoAdmins: If none of those to be assigned may be.
    """
    entry = finders.domain(context.directory, path["domain"])
    wanted, withdrawn = _asked(parsed, "addAdmin"), _asked(parsed, "removeAdmin")
    if any(change.field.name == "removeAllAdmins" for change in parsed.changes):
        withdrawn |= entry.lowered("domainAdmin")
    changes = _changes(context, entry, wanted, withdrawn)
    return Plan(
        entry.dn,
        (
            # The domain's entry last: it says who is left to promote or to demote, so a repeat
            # after a crash finds the same to do.
            *changes.roles,
            *((Modify(entry.dn, changes.mods),) if changes.mods else ()),
        ),
        entry.csn,
        (*parsed.dropped, *changes.ignored),
        # Whether they keep the role depends on what other domains say of them.
        touches=changes.touches,
    )


@dataclass(frozen=True)
class AdminChanges:
    """What a change of a domain's admins consists of.

    Args:
        roles: Steps that grant and revoke roles; they come before the modification.
        mods: Of the domain's entry.
        ignored: Who was named and cannot be an admin.
        touches: Domains of those who lose the role.
    """

    roles: tuple[Step, ...] = ()
    mods: tuple[Mod, ...] = ()
    ignored: tuple[str, ...] = ()
    touches: frozenset[str] = frozenset()


def requested(context: Context, entry: Entry, parsed: Parsed) -> AdminChanges:
    """Plan that a domain has the admins of a request, if it names them, and no others.

    Who is one already stays, also without an account.

    Raises:
        NoAdmins: If none of those to be assigned may be.
    """
    if all(change.field.name != "admins" for change in parsed.changes):
        return AdminChanges()
    present, wanted = entry.lowered("domainAdmin"), _asked(parsed, "admins")
    return _changes(context, entry, wanted - present, present - wanted)


def _changes(context: Context, entry: Entry, wanted: set[str], withdrawn: set[str]) -> AdminChanges:
    directory = context.directory
    present = {folded(mail): mail for mail in entry.texts("domainAdmin")}
    candidates = _candidates(directory, context.caller, wanted)
    unknown = wanted - candidates.keys()
    # Those that will exist by then are no fault; a dry run alone finds them missing.
    unknown -= context.coming if context.caller.is_global else set()
    if wanted and wanted == unknown:
        raise NoAdmins(f"none of {', '.join(sorted(wanted))[:200]} may be an admin")
    # To remove all and name some is to replace them: who is in both lists keeps the role without a
    # moment in between.
    withdrawn = withdrawn - set(candidates)
    gone = [spelt for mail, spelt in present.items() if mail in withdrawn]
    new = sorted(mail for mail in candidates if mail not in present)
    promoted = [
        Modify(account.dn, mods)
        for account in candidates.values()
        if account.has("objectClass", "mailUser")
        and (mods := service_mods({"domainadmin": True}, account))
    ]
    mods = (
        *((Mod(Op.DELETE, "domainAdmin", encoded(gone)),) if gone else ()),
        *((Mod(Op.ADD, "domainAdmin", encoded(new)),) if new else ()),
    )
    return AdminChanges(
        (*promoted, *revoke_role(directory, entry.dn, withdrawn)),
        mods,
        tuple(sorted(unknown)),
        frozenset(mail_names.domains_of(withdrawn)),
    )


def _asked(parsed: Parsed, name: str) -> set[str]:
    return {v for change in parsed.changes if change.field.name == name for v in change.values}


def _candidates(directory: Directory, caller: Caller, wanted: set[str]) -> dict[str, Entry]:
    """Find those who exist and may be named: by a normal admin, users of their domains only.

    A normal admin cannot name global admins, whose accounts they may not change.
    """
    if not wanted:
        return {}
    kinds = ("mailUser",) if not caller.is_global else ("mailUser", "mailAdmin")
    filter_ = every(
        either(*(equals("objectClass", kind) for kind in kinds)),
        either(*(equals("mail", mail) for mail in sorted(wanted))),
    )
    attributes = ("objectClass", "mail", "enabledService", "domainGlobalAdmin")
    found = directory.find(Query(directory.tree.suffix, Scope.SUBTREE, filter_, attributes))
    return {
        mail: entry
        for entry in found
        for mail in entry.lowered("mail") & wanted
        # A global admin whom a domain names as its admin would be changed here by a normal one, who
        # may not.
        if caller.is_global
        or (caller.manages(mail_names.domain_of(mail)) and not user.is_global_admin(entry))
    }


def revoke_role(directory: Directory, dn: str, admins: Iterable[str]) -> tuple[Sweep, ...]:
    """Return the sweep that revokes the role of mail users who manage no other domain.

    Global admins keep it.

    Args:
        directory: Where.
        dn: The domain that they manage no longer.
        admins: Their addresses, in lower case.
    """
    asked = sorted(set(admins))
    if not asked:
        return ()
    named = either(*(equals("domainAdmin", mail) for mail in asked))
    filter_ = every(equals("objectClass", "mailDomain"), named)
    domains = directory.find(Query(directory.tree.base, Scope.ONE, filter_, ("domainAdmin",)))
    others = (domain for domain in domains if not names.same_dn(domain.dn, dn))
    busy = {mail for domain in others for mail in domain.lowered("domainAdmin")}
    # The service `domainadmin` is one word for all domains: who manages another one still needs it.
    without_domain = [mail for mail in asked if mail not in busy]
    if not without_domain:
        return ()

    def change(entry: Entry) -> Iterator[Operation]:
        mods = service_mods({"domainadmin": False}, entry)
        if mods and not entry.has("domainGlobalAdmin", "yes"):
            yield Modify(entry.dn, mods, absent_ok=True)

    mails = either(*(equals("mail", mail) for mail in without_domain))
    accounts = every(equals("objectClass", "mailUser"), mails)
    attributes = ("enabledService", "domainGlobalAdmin")
    query = Query(directory.tree.base, Scope.SUBTREE, accounts, attributes)
    return (Sweep("revoke the role of admins of no other domain", query, change),)
