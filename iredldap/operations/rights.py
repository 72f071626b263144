"""Withdraw rights of addresses without an account: a domain names an admin who does not exist.

A restore leaves such values, and so do other tools. A right belongs to the account that it was
given to: one that gets the address later does not inherit it.

Source: `docs/decisions/0023-references-and-rights.md`.
"""

from collections.abc import Iterable, Iterator

from iredldap import finders
from iredldap.dit.entry import Entry, encoded, folded
from iredldap.dit.plan import Mod, Modify, Op
from iredldap.errors import PermissionDenied
from iredldap.gateways.directory import Directory
from iredldap.operations.login import Caller


def naming(entries: Iterable[Entry], mail: str) -> list[Entry]:
    """Return the domains among some entries that name an address as their admin."""
    return [
        entry
        for entry in entries
        if entry.has("objectClass", "mailDomain") and entry.has("domainAdmin", mail)
    ]


def refuse_inheritance(caller: Caller, mail: str, domains: Iterable[Entry]) -> None:
    """Refuse an address that carries rights which the caller does not have.

    Args:
        caller: Who adds an account of this address, or gives it to one.
        mail: The address.
        domains: Those that name it.

    Raises:
        PermissionDenied: If the caller does not manage every one of them.
    """
    for entry in domains:
        name = entry.folded("domainName")
        if not caller.manages(name):
            raise PermissionDenied(f"{mail} is an admin of a domain of others")


def are_left_behind(directory: Directory, mail: str, domains: Iterable[Entry]) -> bool:
    """Return whether domains name an address that no account had, not even a standalone admin."""
    return any(True for _ in domains) and finders.standalone_admin(directory, mail) is None


def withdraw(domain: Entry, mail: str) -> Iterator[Modify]:
    """Yield the step that removes an address from the admins of a domain."""
    gone = [value for value in domain.texts("domainAdmin") if folded(value) == mail]
    if gone:
        yield Modify(domain.dn, (Mod(Op.DELETE, "domainAdmin", encoded(gone)),), absent_ok=True)
