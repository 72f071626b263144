"""White- and blacklists of everybody, a domain or an account."""

from iredldap.dit import scopes, wblist
from iredldap.dit.fields import Parsed
from iredldap.dit.scopes import PolicyTarget
from iredldap.dit.wblist import Colour, Direction
from iredldap.gateways.amavisd import Amavisd
from iredldap.operations.policies.target import naming, refuse_leftovers


def get(amavisd: Amavisd, scope: PolicyTarget, direction: Direction, colour: Colour) -> list[str]:
    """Read a list, sorted.

    Raises:
        ServerDown: If the database does not answer.
    """
    return amavisd.listed(scope.key, direction, colour)


def add(
    amavisd: Amavisd,
    scope: PolicyTarget,
    direction: Direction,
    colour: Colour,
    parsed: Parsed,
    *,
    strict: bool,
) -> tuple[str, ...]:
    """Put addresses on a list; those on the list of the other colour leave that.

    Raises:
        NeverApplies: If one of them is never looked up, and not on the list already.
        ServerDown: If the database does not answer.
    """
    addresses = _addresses(parsed)
    with naming("addresses"):
        scopes.refuse_new(
            wblist.READERS[direction],
            addresses,
            lambda: amavisd.listed(scope.key, direction, colour),
        )
    amavisd.enlist(scope.key, direction, colour, addresses)
    return ()


def remove(
    amavisd: Amavisd,
    scope: PolicyTarget,
    direction: Direction,
    colour: Colour,
    parsed: Parsed,
    *,
    strict: bool,
) -> tuple[str, ...]:
    """Take addresses off a list; those that are not on it are no error.

    Returns:
        Those that are no addresses, and not on it either.

    Raises:
        InvalidParameter: If all are such, or any to a strict client.
        ServerDown: If the database does not answer.
    """
    addresses, read = _addresses(parsed), scopes.wblist_address
    stored = amavisd.listed(scope.key, direction, colour)
    strays = scopes.malformed_leftovers(read, addresses, stored)
    refuse_leftovers("addresses", addresses, strays, strict=strict)
    amavisd.delist(scope.key, direction, colour, scopes.stored_spellings(read, addresses, stored))
    return tuple(strays)


def clear(amavisd: Amavisd, scope: PolicyTarget, direction: Direction, colour: Colour) -> None:
    """Empty a list.

    Raises:
        ServerDown: If the database does not answer.
    """
    amavisd.clear(scope.key, direction, colour)


def _addresses(parsed: Parsed) -> tuple[str, ...]:
    (addresses,) = parsed.changes
    return addresses.values
