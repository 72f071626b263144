"""Read and plan spam policies of everybody, a domain or an account."""

from iredldap.dit import spam_policy
from iredldap.dit.fields import Parsed
from iredldap.dit.plan import Plan
from iredldap.operations.context import Context, PathVariables, Shown
from iredldap.operations.policies import target


def get(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Read a policy by the names of the parameters; empty: there is none.

    Raises:
        NoSuchAccount, PermissionDenied: As `target.find`.
        ServerDown: If the database does not answer.
    """
    whose = target.find(context, path, reading=True)
    return Shown(spam_policy.show(context.outside.amavisd.policy(whose.key)))


def put(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a change of a policy, which is added if there is none and anything was sent.

    Raises:
        NoSuchAccount, PermissionDenied: As `target.find`.
    """
    key, prefix = target.find(context, path).key, context.config.amavisd.spam_subject_prefix

    def work() -> None:
        if parsed.changes:
            context.outside.amavisd.change_policy(
                key,
                lambda held: spam_policy.columns(parsed, held, prefix),
                spam_policy.pinned,
                narrower=spam_policy.bypasses(parsed),
            )

    return target.change(key, f"change the spam policy of {key}", work, parsed.dropped)


def drop(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan the deletion of a policy, so that wider ones apply; a missing one is no error.

    Raises:
        NoSuchAccount, PermissionDenied: As `target.find`.
    """
    key = target.find(context, path).key
    return target.change(
        key, f"drop the spam policy of {key}", lambda: context.outside.amavisd.drop_policy(key)
    )
