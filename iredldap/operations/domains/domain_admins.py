"""Plan who manages a domain."""

from collections.abc import Iterable, Iterator

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
    directory, caller, name = context.directory, context.caller, path["domain"]
    entry = finders.domain(directory, name)
    present = {folded(mail): mail for mail in entry.texts("domainAdmin")}
    wanted, withdrawn = _asked(parsed, "addAdmin"), _asked(parsed, "removeAdmin")
    if any(change.field.name == "removeAllAdmins" for change in parsed.changes):
        withdrawn |= set(present)
    candidates = _candidates(directory, caller, wanted)
    if wanted and not candidates:
        raise NoAdmins(f"none of {', '.join(sorted(wanted))[:200]} may be an admin")
    # To remove all and name some is to replace them: who is in both lists keeps the role without a
    # moment in between.
    withdrawn -= set(candidates)
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
    return Plan(
        entry.dn,
        (
            # The domain's entry last: it says who is left to promote or to demote, so a repeat
            # after a crash finds the same to do.
            *promoted,
            *revoke_role(directory, entry.dn, withdrawn),
            *((Modify(entry.dn, mods),) if mods else ()),
        ),
        entry.csn,
        (*parsed.dropped, *sorted(wanted - set(candidates))),
        # Whether they keep the role depends on what other domains say of them.
        touches=mail_names.domains_of(withdrawn),
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
