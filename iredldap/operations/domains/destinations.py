"""Check and change the addresses that a domain's mail is sent to: its catch-all, and copies."""

from iredldap import finders
from iredldap.dit import domain, domain_entry, names, references
from iredldap.dit.entry import Entry, folded
from iredldap.dit.fields import FieldChange, Parsed, StoredAttribute
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import Add, Delete, Modify, Step
from iredldap.errors import InvalidMail
from iredldap.gateways.directory import Directory
from iredldap.operations.targets import Judge


def change_catchall(
    directory: Directory, judge: Judge, entry: Entry, parsed: Parsed
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Return the steps for the catch-all account, and the destinations that do not exist."""
    change = next((c for c in parsed.changes if c.field.name == "catchall"), None)
    if change is None:
        return (), ()
    name = entry.text("domainName") or ""
    account = finders.account(directory, f"@{name.lower()}", "mailUser")
    if not change.values:
        return (_without_catchall(directory, account.dn) if account else ()), ()
    held = account.lowered("mailForwardingAddress") if account else set[str]()
    unreachable = judge.unreachable(value for value in change.values if folded(value) not in held)
    kept = tuple(mail for mail in change.values if mail not in unreachable)
    if not kept:
        raise InvalidMail(
            f"nobody has {', '.join(sorted(unreachable))[:200]}", parameter="catchall"
        )
    if account is None:
        attributes = domain_entry.new_catchall(entry, kept, is_active=entry.is_active)
        dn = names.account_in(entry.dn, "Users", f"@{name}")
        made = Add(dn, attributes, container=domain_entry.new_container(entry.dn, "Users"))
        return (made,), tuple(sorted(unreachable))
    mods = modlist((FieldChange(domain.CATCHALL_TARGETS, kept),), account)
    return ((Modify(account.dn, mods),) if mods else ()), tuple(sorted(unreachable))


def _without_catchall(directory: Directory, dn: str) -> tuple[Step, ...]:
    return (
        references.clear_dns(directory.tree, dn, finders.dns_below(directory, dn)),
        Delete(dn, absent_ok=True, with_children=True),
    )


_COPIES = {"domainSenderBccAddress", "domainRecipientBccAddress"}


def refuse_unreachable_copies(judge: Judge, parsed: Parsed, entry: Entry | None = None) -> None:
    """Refuse to send copies of all mail to an address hosted here that belongs to no account.

    An address that the domain has already is not judged again.

    Raises:
        InvalidMail: If there is such an address.
    """
    for change in parsed.changes:
        if (
            isinstance(change.field.stored_as, StoredAttribute)
            and change.field.stored_as.name in _COPIES
        ):
            held = entry.lowered(change.field.stored_as.name) if entry else set[str]()
            unreachable = judge.unreachable(v for v in change.values if folded(v) not in held)
            if unreachable:
                raise InvalidMail(
                    f"nobody has {', '.join(sorted(unreachable))}", parameter=change.field.name
                )
