"""Read and plan greylisting settings, of everybody, a domain or an account."""

from dataclasses import replace

from iredldap.dit import greylisting, scopes
from iredldap.dit.fields import Parsed, Verb
from iredldap.dit.plan import Plan
from iredldap.dit.scopes import PolicyTarget
from iredldap.errors import InvalidDomainName, InvalidMail
from iredldap.gateways.sql.statements import Edit
from iredldap.gateways.tables.iredapd import GREYLISTING_WIDTH
from iredldap.operations.context import Context, PathVariables, Shown
from iredldap.operations.policies import target
from iredldap.operations.policies.target import naming, refuse_leftovers


def every(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """List all settings, also those for single senders, in the order in which iRedAPD reads them.

    Raises:
        ServerDown: If the database does not answer.
    """
    columns = ("account", "sender", "active", "priority")
    rows = context.outside.iredapd.greylistings()
    return Shown([{name: row[name] for name in columns} for row in rows])


def get(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Read a setting; empty: there is none.

    Raises:
        NoSuchAccount, PermissionDenied: As `target.find`.
        ServerDown: If the database does not answer.
    """
    whose = target.find(context, path, reading=True)
    return Shown(greylisting.show(context.outside.iredapd.greylisting(whose.key)))


def put(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan to enable or disable greylisting.

    Raises:
        NeverApplies: If the account has an extension.
        InvalidDomainName: If the name is too long for greylisting.
        InvalidMail: If the address is.
        NoSuchAccount, PermissionDenied: As `target.find`.
    """
    key, active = _fitting(target.find(context, path)), greylisting.active(parsed)
    return target.change(
        key,
        f"set greylisting of {key}",
        lambda: context.outside.iredapd.set_greylisting(key, active),
        parsed.dropped,
    )


def drop(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan the deletion of a setting, so that a wider one applies; a missing one is no error.

    Raises:
        NoSuchAccount, PermissionDenied: As `target.find`.
    """
    key = target.find(context, path).key
    return target.change(
        key, f"drop greylisting of {key}", lambda: context.outside.iredapd.drop_greylisting(key)
    )


def exempt(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """List the senders who are exempt.

    Raises:
        NoSuchAccount, PermissionDenied: As `target.find`.
        ServerDown: If the database does not answer.
    """
    whose = target.find(context, path, reading=True)
    return Shown(context.outside.iredapd.exempt(whose.key))


def change_exempt(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a change of the senders who are exempt.

    Values to remove that are no senders, and are not stored either, are ignored.

    Raises:
        NeverApplies: If one of them is never looked up, and not exempt already.
        InvalidParameter: If none of those to remove is a sender.
        InvalidDomainName: If the name is too long for greylisting.
        InvalidMail: If the address is.
        NoSuchAccount, PermissionDenied: As `target.find`.
        ServerDown: If the database does not answer.
    """
    iredapd = context.outside.iredapd
    key, edit = _fitting(target.find(context, path)), _edit(parsed)
    read = scopes.greylisting_sender
    with naming("senders" if edit.replaces else "addSenders"):
        scopes.refuse_new(read, edit.added, lambda: iredapd.exempt(key))
    leftovers: list[str] = []
    if edit.removed:
        stored = iredapd.exempt(key)
        leftovers = scopes.malformed_leftovers(read, edit.removed, stored)
        refuse_leftovers("removeSenders", edit.removed, leftovers)
        edit = replace(edit, removed=scopes.stored_spellings(read, edit.removed, stored))
    return target.change(
        key,
        f"change the senders exempt from greylisting of {key}",
        lambda: iredapd.change_exempt(key, edit),
        (*parsed.dropped, *leftovers),
    )


def spf_domains(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """List the domains whose hosts are exempt.

    Raises:
        ServerDown: If the database does not answer.
    """
    return Shown(context.outside.iredapd.spf_domains())


def change_spf_domains(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a change of the domains whose hosts are exempt."""
    edit = _edit(parsed)
    return target.change(
        scopes.EVERYBODY,
        "change the domains whose hosts are exempt from greylisting",
        lambda: context.outside.iredapd.change_spf_domains(edit),
        parsed.dropped,
    )


def _fitting(scope: PolicyTarget) -> str:
    """Return the key of a scope that fits the columns, and that iRedAPD looks for."""
    scope.refuse_extension()
    # MariaDB would cut the key or refuse it, by its mode: cut, it is that of another account.
    if len(scope.key) > GREYLISTING_WIDTH:
        refusal = InvalidMail if scope.mail else InvalidDomainName
        raise refusal(f"{scope.key} is longer than {GREYLISTING_WIDTH} characters")
    return scope.key


def _edit(parsed: Parsed) -> Edit:
    sent = {change.verb: change.values for change in parsed.changes}
    return Edit(
        added=sent.get(Verb.SET, ()) + sent.get(Verb.ADD, ()),
        removed=sent.get(Verb.REMOVE, ()),
        replaces=Verb.SET in sent,
    )
