"""How much everybody, a domain or an account may send or receive."""

from typing import Any

from iredldap.dit import throttle
from iredldap.dit.fields import Parsed
from iredldap.dit.scopes import PolicyTarget
from iredldap.gateways.iredapd import Iredapd


def get(iredapd: Iredapd, scope: PolicyTarget, kind: str) -> dict[str, Any]:
    """Read a throttle; empty: none is set.

    Raises:
        ServerDown: If the database does not answer.
    """
    return throttle.show(iredapd.throttle(scope.key, kind))


def put(iredapd: Iredapd, scope: PolicyTarget, kind: str, parsed: Parsed) -> None:
    """Set a throttle, every limit of it, or remove it.

    Raises:
        NeverApplies: If the account has an extension, or a limit is more than can be counted.
        ServerDown: If the database does not answer.
    """
    if throttle.is_removal(parsed):
        iredapd.remove_throttle(scope.key, kind)
    else:
        scope.refuse_extension()
        iredapd.set_throttle(scope.key, kind, throttle.values(parsed))
