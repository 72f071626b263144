"""Whom everybody, a domain or an account defers at first, and whom not."""

from typing import Any

from iredldap.dit import greylisting
from iredldap.dit.fields import Parsed, Verb
from iredldap.dit.scopes import Scope
from iredldap.errors import InvalidDomainName, InvalidMail
from iredldap.gateways.iredapd import GREYLISTING_WIDTH, Edit, Iredapd


def every(iredapd: Iredapd) -> list[dict[str, Any]]:
    """List all settings, those of one sender among them, in the order in which they are looked at.

    Raises:
        ServerDown: If the database does not answer.
    """
    shown = ("account", "sender", "active", "priority")
    return [{name: row[name] for name in shown} for row in iredapd.greylistings()]


def get(iredapd: Iredapd, scope: Scope) -> dict[str, Any]:
    """Read a setting; empty: there is none.

    Raises:
        ServerDown: If the database does not answer.
    """
    return greylisting.show(iredapd.greylisting(scope.key))


def put(iredapd: Iredapd, scope: Scope, parsed: Parsed) -> None:
    """Switch greylisting on or off.

    Raises:
        InvalidDomainName: If the name is too long for greylisting.
        InvalidMail: If the address is.
        ServerDown: If the database does not answer.
    """
    iredapd.set_greylisting(_fitting(scope), greylisting.active(parsed))


def drop(iredapd: Iredapd, scope: Scope) -> None:
    """Drop a setting, so that a wider one applies; none is no error.

    Raises:
        ServerDown: If the database does not answer.
    """
    iredapd.drop_greylisting(scope.key)


def exempt(iredapd: Iredapd, scope: Scope) -> list[str]:
    """List the senders who are exempt.

    Raises:
        ServerDown: If the database does not answer.
    """
    return iredapd.exempt(scope.key)


def change_exempt(iredapd: Iredapd, scope: Scope, parsed: Parsed) -> None:
    """Change the senders who are exempt.

    Raises:
        InvalidDomainName: If the name is too long for greylisting.
        InvalidMail: If the address is.
        ServerDown: If the database does not answer.
    """
    iredapd.change_exempt(_fitting(scope), _edit(parsed))


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


def _fitting(scope: Scope) -> str:
    """Give the key of a scope if the columns take it."""
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
