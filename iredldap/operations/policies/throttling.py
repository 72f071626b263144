"""Read and plan how much everybody, a domain or an account may send or receive."""

from iredldap.dit import throttle
from iredldap.dit.fields import Parsed
from iredldap.dit.plan import Plan
from iredldap.operations.context import Context, PathVariables, Shown
from iredldap.operations.policies import target


def get(context: Context, path: PathVariables, parsed: Parsed, *, kind: str) -> Shown:
    """Read a throttle; empty: none is set.

    Args:
        context: Where.
        path: Whose.
        parsed: Nothing.
        kind: `inbound` or `outbound`.

    Raises:
        NoSuchAccount, PermissionDenied: As `target.find`.
        ServerDown: If the database does not answer.
    """
    whose = target.find(context, path, reading=True)
    return Shown(throttle.show(context.outside.iredapd.throttle(whose.key, kind)))


def put(context: Context, path: PathVariables, parsed: Parsed, *, kind: str) -> Plan:
    """Plan a throttle with all of its limits, or its removal.

    Args:
        context: Where.
        path: Whose.
        parsed: The limits.
        kind: `inbound` or `outbound`.

    Raises:
        NeverApplies: If the account has an extension, or a limit is more than can be counted.
        NoSuchAccount, PermissionDenied: As `target.find`.
    """
    whose, iredapd = target.find(context, path), context.outside.iredapd
    if throttle.is_removal(parsed):
        return target.change(
            whose.key,
            f"remove the {kind} throttle of {whose.key}",
            lambda: iredapd.remove_throttle(whose.key, kind),
            parsed.dropped,
        )
    # iRedAPD looks up the account without its extension, so a throttle of `ann+x@…` would never
    # count. An old one can still be read and removed.
    whose.refuse_extension()
    limits = throttle.values(parsed)
    return target.change(
        whose.key,
        f"set the {kind} throttle of {whose.key}",
        lambda: iredapd.set_throttle(whose.key, kind, limits),
        parsed.dropped,
    )
