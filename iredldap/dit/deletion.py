"""Put the steps of a deletion in the order that is safe at every point where it can break off.

There is no transaction: slapd commits each step for itself, and a process that is killed leaves
the steps before. All accounts and domains are deleted in this one order; what the steps are, their
operations decide.
"""

from collections.abc import Iterable

from iredldap.dit.plan import Delete, Mod, Modify, Op, Step

DISABLE = (Mod(Op.REPLACE, "accountStatus", (b"disabled",)),)
"""The modification that a deletion begins with."""


def steps(
    dn: str,
    *,
    references: Iterable[Step],
    checks: Iterable[Step] = (),
    records: Iterable[Step] = (),
    own: Iterable[Step] = (),
    late: Iterable[Step] = (),
    afterwards: Iterable[Step] = (),
) -> tuple[Step, ...]:
    """Return the steps that delete an account or a domain, in order.

    Args:
        dn: Its entry.
        references: Remove it from lists, aliases, forwardings and groups.
        checks: Look whether it may be disabled at all, now that it is.
        records: Change what the databases have about it.
        own: Delete what belongs to it alone: accounts of a domain, the folder of a list.
        late: Look again for references, or end rights that a repeat would need.
        afterwards: Look for what was added to it while it was deleted.
    """
    return (
        # Disabled first, in a step of its own: Postfix and Dovecot search for active accounts, so
        # no mail is delivered and no one logs in while it is taken apart. The entry also has a new
        # entryCSN then: slapd refuses a change that was made from what had been read before.
        Modify(dn, DISABLE),
        # Next, while a single modification reverts everything: two global admins who delete each
        # other are both disabled by now, and both find that no active one is left.
        *checks,
        # References while the entry is there. A repeat of the request finds the account by its
        # entry; were that deleted first, a repeat would be answered NO_SUCH_ACCOUNT, the references
        # would stay, and the next account of this address would get what others had been sending
        # to this one.
        *references,
        # The databases for the same reason, and because the path of the mailbox and the addresses
        # of users are read from entries that are still there.
        *records,
        # What hangs on the entry after all that is found through it, and before it: slapd refuses
        # to delete an entry that has children (notAllowedOnNonLeaf).
        *own,
        # Programs that take no turns with us may have added references since. This look is as late
        # as can be while a repeat still finds the entry.
        *late,
        # Absent is right: another request, or an attempt of this one that got no answer, may have
        # deleted it. Children that other programs have added meanwhile go with it.
        Delete(dn, absent_ok=True, with_children=True),
        # What points to the account from outside is looked for by its addresses, not by its entry.
        *afterwards,
    )
