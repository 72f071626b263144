"""Find the target of a policy: everybody, a hosted domain, or a hosted account."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from iredldap import finders
from iredldap.dit import user
from iredldap.dit.filters import equals, every
from iredldap.dit.holders import ACCOUNTS
from iredldap.dit.plan import Outside, Plan, Query, Scope
from iredldap.dit.scopes import EVERYBODY, PolicyTarget
from iredldap.errors import InvalidParameter, Malformed, NoSuchAccount, PermissionDenied
from iredldap.gateways.directory import Directory
from iredldap.gateways.touched_rows import about
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.login import Caller


def find(context: Context, named: PathVariables, *, reading: bool = False) -> PolicyTarget:
    """Find the target of a policy.

    Args:
        context: Where domains and accounts are looked up, and who asks.
        named: `domain` or `mail`, as a path names them; neither: everybody.
        reading: Whether a domain may be named by one of its alias domains.

    Raises:
        NoSuchAccount: If there is no such domain, or no user, list or alias of this address.
        PermissionDenied: If a normal admin names the account of a global one.
    """
    if "mail" in named:
        return _account(context.directory, context.caller, named["mail"])
    if "domain" in named:
        entry = finders.domain(context.directory, named["domain"], by_alias=reading)
        return PolicyTarget.of_domain(entry.folded("domainName"))
    return PolicyTarget.everyone()


def _account(directory: Directory, caller: Caller, mail: str) -> PolicyTarget:
    filter_ = every(equals("mail", mail), ACCOUNTS)
    query = Query(directory.tree.base, Scope.SUBTREE, filter_, ("mail", "domainGlobalAdmin"))
    found = directory.find(query)
    if not found:
        raise NoSuchAccount(f"no account {mail}")
    if not caller.is_global and any(user.is_global_admin(entry) for entry in found):
        raise PermissionDenied(f"{mail} is a global admin")
    return PolicyTarget.of_account(mail)


def change(key: str, meaning: str, work: Callable[[], None], ignored: Collection[str] = ()) -> Plan:
    """Return the plan of a change of a policy: one step, outside of the directory.

    Args:
        key: Key of its target.
        meaning: What the step does, in words.
        work: Does it.
        ignored: Values that were sent and are no part of it.
    """

    def reported() -> None:
        with about("" if key == EVERYBODY else key.removeprefix("@").removeprefix(".")):
            work()

    return Plan("", (Outside(meaning, reported),), ignored=tuple(ignored))


@contextmanager
def naming(parameter: str) -> Iterator[None]:
    """Add the name of a parameter to refusals of a block."""
    try:
        yield
    except Malformed as refusal:
        refusal.parameter = refusal.parameter or parameter
        raise


def refuse_leftovers(parameter: str, values: Sequence[str], malformed: Collection[str]) -> None:
    """Refuse a list without any valid value.

    Raises:
        InvalidParameter: If it is such a list.
    """
    if malformed and len(malformed) == len(values):
        words = ", ".join(value[:80] for value in malformed)
        raise InvalidParameter(f"not valid: {words[:200]!r}", parameter=parameter)
