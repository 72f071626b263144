"""Plan the deletion of a user, a list or an alias, with everything that refers to it."""

from collections.abc import Collection, Iterable

from iredldap import finders
from iredldap.dit import deletion, references
from iredldap.dit.plan import Step
from iredldap.operations import list_mentions
from iredldap.operations.context import Context


def steps(
    context: Context,
    dn: str,
    addresses: Collection[str],
    *,
    checks: Iterable[Step] = (),
    settings: Iterable[Step] = (),
    records: Iterable[Step] = (),
    own: Iterable[Step] = (),
    afterwards: Iterable[Step] = (),
) -> tuple[Step, ...]:
    """Return the steps that delete an account, in the order of `dit.deletion`.

    Args:
        context: Knows the directory, the subscribable lists, and mlmmjadmin.
        dn: The account's entry.
        addresses: All its addresses, in lower case.
        checks: Look whether it may be disabled at all, now that it is.
        settings: Remove it from settings of domains.
        records: Change what the databases have about it.
        own: Delete what belongs to it alone.
        afterwards: Look for what was added to it while it was deleted.

    Raises:
        MlmmjadminUnavailable: If there are subscribable lists, and mlmmjadmin does not answer.
    """
    tree = context.directory.tree
    return deletion.steps(
        dn,
        checks=checks,
        references=(
            # Subscribable lists before the directory: by the owners and moderators in their
            # entries a repeat finds the lists that are still to be changed.
            *list_mentions.remove_account(context, dn, addresses),
            *references.clear_addresses(
                tree, dn, addresses, finders.dns_below(context.directory, dn)
            ),
            *settings,
        ),
        records=records,
        own=own,
        late=(references.clear_late_mentions(tree, dn, addresses),),
        afterwards=afterwards,
    )
