"""White- and blacklists of everybody, a domain or an account."""

from iredldap.dit.fields import Parsed
from iredldap.dit.scopes import Scope
from iredldap.dit.wblist import Colour, Direction
from iredldap.gateways.amavisd import Amavisd


def get(amavisd: Amavisd, scope: Scope, direction: Direction, colour: Colour) -> list[str]:
    """Read a list, sorted.

    Raises:
        ServerDown: If the database does not answer.
    """
    return amavisd.listed(scope.key, direction, colour)


def add(
    amavisd: Amavisd, scope: Scope, direction: Direction, colour: Colour, parsed: Parsed
) -> None:
    """Put addresses on a list; those on the list of the other colour leave that.

    Raises:
        ServerDown: If the database does not answer.
    """
    amavisd.enlist(scope.key, direction, colour, _addresses(parsed))


def remove(
    amavisd: Amavisd, scope: Scope, direction: Direction, colour: Colour, parsed: Parsed
) -> None:
    """Take addresses off a list; those that are not on it are no error.

    Raises:
        ServerDown: If the database does not answer.
    """
    amavisd.delist(scope.key, direction, colour, _addresses(parsed))


def clear(amavisd: Amavisd, scope: Scope, direction: Direction, colour: Colour) -> None:
    """Empty a list.

    Raises:
        ServerDown: If the database does not answer.
    """
    amavisd.clear(scope.key, direction, colour)


def _addresses(parsed: Parsed) -> tuple[str, ...]:
    (addresses,) = parsed.changes
    return addresses.values
