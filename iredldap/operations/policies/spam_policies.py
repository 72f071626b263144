"""Spam policies of everybody, a domain or an account."""

from typing import Any

from iredldap.dit import spam_policy
from iredldap.dit.fields import Parsed
from iredldap.dit.scopes import PolicyTarget
from iredldap.gateways.amavisd import Amavisd


def get(amavisd: Amavisd, scope: PolicyTarget) -> dict[str, Any]:
    """Read a policy by the names of the parameters; empty: there is none.

    Raises:
        ServerDown: If the database does not answer.
    """
    return spam_policy.show(amavisd.policy(scope.key))


def put(amavisd: Amavisd, scope: PolicyTarget, parsed: Parsed, prefix: str) -> None:
    """Change what was sent of a policy, made if there is none and anything was sent.

    Args:
        amavisd: Where it is.
        scope: Whose.
        parsed: What was sent.
        prefix: What is put before the subject of spam.

    Raises:
        ServerDown: If the database does not answer.
    """
    if parsed.changes:
        amavisd.change_policy(
            scope.key,
            lambda held: spam_policy.columns(parsed, held, prefix),
            spam_policy.pinned,
            narrower=spam_policy.bypasses(parsed),
        )


def drop(amavisd: Amavisd, scope: PolicyTarget) -> None:
    """Drop a policy, so that wider ones apply; none is no error.

    Raises:
        ServerDown: If the database does not answer.
    """
    amavisd.drop_policy(scope.key)
