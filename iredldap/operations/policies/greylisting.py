"""Whom everybody, a domain or an account defers at first, and whom not."""

from dataclasses import replace
from typing import Any

from iredldap.dit import greylisting, scopes
from iredldap.dit.fields import Parsed, Verb
from iredldap.dit.scopes import PolicyTarget
from iredldap.errors import InvalidDomainName, InvalidMail
from iredldap.gateways.iredapd import GREYLISTING_WIDTH, Edit, Iredapd
from iredldap.operations.policies.target import naming, refuse_leftovers


def every(iredapd: Iredapd) -> list[dict[str, Any]]:
    """List all settings, those of one sender among them, in the order in which they are looked at.

    Raises:
        ServerDown: If the database does not answer.
    """
    shown = ("account", "sender", "active", "priority")
    return [{name: row[name] for name in shown} for row in iredapd.greylistings()]


def get(iredapd: Iredapd, scope: PolicyTarget) -> dict[str, Any]:
    """Read a setting; empty: there is none.

    Raises:
        ServerDown: If the database does not answer.
    """
    return greylisting.show(iredapd.greylisting(scope.key))


def put(iredapd: Iredapd, scope: PolicyTarget, parsed: Parsed) -> None:
    """Switch greylisting on or off.

    Raises:
        NeverApplies: If the account has an extension.
        InvalidDomainName: If the name is too long for greylisting.
        InvalidMail: If the address is.
        ServerDown: If the database does not answer.
    """
    iredapd.set_greylisting(_fitting(scope), greylisting.active(parsed))


def drop(iredapd: Iredapd, scope: PolicyTarget) -> None:
    """Drop a setting, so that a wider one applies; none is no error.

    Raises:
        ServerDown: If the database does not answer.
    """
    iredapd.drop_greylisting(scope.key)


def exempt(iredapd: Iredapd, scope: PolicyTarget) -> list[str]:
    """List the senders who are exempt.

    Raises:
        ServerDown: If the database does not answer.
    """
    return iredapd.exempt(scope.key)


def change_exempt(
    iredapd: Iredapd, scope: PolicyTarget, parsed: Parsed, *, strict: bool
) -> tuple[str, ...]:
    """Change the senders who are exempt.

    Returns:
        Those of the senders to be removed that are none, and not exempt either.

    Raises:
        NeverApplies: If one of them is never looked up, and not exempt already.
        InvalidParameter: If all that shall be removed are no senders, or any to a strict client.
        InvalidDomainName: If the name is too long for greylisting.
        InvalidMail: If the address is.
        ServerDown: If the database does not answer.
    """
    key, edit = _fitting(scope), _edit(parsed)
    read = scopes.greylisting_sender
    with naming("senders" if edit.replaces else "addSenders"):
        scopes.refuse_new(read, edit.added, lambda: iredapd.exempt(key))
    strays: list[str] = []
    if edit.removed:
        stored = iredapd.exempt(key)
        strays = scopes.malformed_leftovers(read, edit.removed, stored)
        refuse_leftovers("removeSenders", edit.removed, strays, strict=strict)
        edit = replace(edit, removed=scopes.stored_spellings(read, edit.removed, stored))
    iredapd.change_exempt(key, edit)
    return tuple(strays)


def spf_domains(iredapd: Iredapd) -> list[str]:
    """List the domains whose hosts are exempt.

    Raises:
        ServerDown: If the database does not answer.
    """
    return iredapd.spf_domains()


def change_spf_domains(iredapd: Iredapd, parsed: Parsed) -> None:
    """Change the domains whose hosts are exempt.

    Raises:
        ServerDown: If the database does not answer.
    """
    iredapd.change_spf_domains(_edit(parsed))


def _fitting(scope: PolicyTarget) -> str:
    """Give the key of a scope if the columns take it, and iRedAPD looks for it."""
    scope.refuse_extension()
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
