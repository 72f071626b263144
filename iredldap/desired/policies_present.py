"""Read the policies that there are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from iredldap.desired.calls import Calls
from iredldap.desired.state_kinds import (
    GREYLISTING,
    GREYLISTING_SENDERS,
    SPAM_POLICY,
    SPF_DOMAINS,
    THROTTLES,
    WBLISTS,
    PolicyKind,
    target_of,
    variables_of,
)
from iredldap.dit.fields import FieldChange, Parsed
from iredldap.dit.request import Request
from iredldap.dit.scopes import EVERYBODY
from iredldap.dit.views.rows import VIEW
from iredldap.errors import NoSuchAccount, PermissionDenied
from iredldap.gateways.tables import policy_accounts
from iredldap.operations.context import Context

_VIEWED = Parsed((FieldChange(VIEW, ("params",)),))


@dataclass(frozen=True)
class PoliciesPresent:
    """The policies that a caller may read.

    Args:
        context: Where, and for whom.
        calls: The calls of the API.
        of: Who asks.
    """

    context: Context
    calls: Calls
    of: Request

    def targets(self) -> Iterator[tuple[PolicyKind, str]]:
        """Yield the kinds of policies with the targets that have one.

        Keys that no call names, such as those of networks, are left out.

        Raises:
            ServerDown: If a database does not answer.
        """
        for kind, keys in self._keys():
            for key in keys:
                target = target_of(key)
                if target is not None:
                    yield kind, target

    def _keys(self) -> Iterator[tuple[PolicyKind, set[str]]]:
        iredapd, amavisd = self.context.outside.iredapd, self.context.outside.amavisd
        for name, kind in THROTTLES.items():
            yield kind, iredapd.accounts(policy_accounts.throttled(name))
        yield GREYLISTING, iredapd.accounts(policy_accounts.greylisted())
        yield GREYLISTING_SENDERS, iredapd.accounts(policy_accounts.exempting())
        yield SPF_DOMAINS, {EVERYBODY}
        for (direction, colour), kind in WBLISTS.items():
            yield kind, amavisd.accounts(policy_accounts.listing(direction, colour))
        yield SPAM_POLICY, amavisd.accounts(policy_accounts.with_spam_policies())

    def permit(self, kind: PolicyKind, target: str) -> None:
        """Refuse a policy that the caller may not read.

        Raises:
            PermissionDenied, MissingScope: If so.
        """
        self.calls.permit(self._asked(kind, target))

    def _asked(self, kind: PolicyKind, target: str) -> Request:
        return Request(kind.call(target, "get"), variables_of(target), client=self.of.client)

    def view(self, kind: PolicyKind, target: str) -> dict[str, Any]:
        """Read a policy as a request would set it; empty: there is none.

        Raises:
            ServerDown: If a database does not answer.
        """
        wanted = self._asked(kind, target)
        try:
            self.calls.permit(wanted)
            shown = self.calls.reads[wanted.endpoint](self.context, wanted.names, _VIEWED)
        except (NoSuchAccount, PermissionDenied):
            # Rows of accounts that are gone, or not the caller's.
            return {}
        assert isinstance(shown.data, dict)
        return {} if _is_none(kind, shown.data) else dict(shown.data)


def _is_none(kind: PolicyKind, view: dict[str, Any]) -> bool:
    """Return whether a view says that there is no policy."""
    if kind.cleared:
        return all(view.get(name) in ([], 0, "") for name in kind.cleared)
    return not any(view.values())
