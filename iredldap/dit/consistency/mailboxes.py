"""Rules of mailbox paths: one owner each, and none inside another."""

from collections.abc import Iterator

from iredldap.dit.consistency import rules
from iredldap.dit.consistency.index import Account, Index
from iredldap.dit.consistency.places import key_of
from iredldap.dit.consistency.rules import Violation


def mailboxes(index: Index) -> Iterator[Violation]:
    """Check mailbox paths without regard to case, and to repeated slashes and one at the end.

    Sorted, with a slash behind each, a path follows all that it lies in, and those that
    lie in one follow it without others in between.
    """
    ordered = sorted(
        ((f"{path}/", account) for path, account in index.mailboxes),
        key=lambda pair: (pair[0], pair[1].dn),
    )
    around: list[tuple[str, Account]] = []
    for path, account in ordered:
        while around and not path.startswith(around[-1][0]):
            around.pop()
        if not around:
            around.append((path, account))
            continue
        outer, owner = around[-1]
        if outer != path:
            reason = f"/{path} lies inside the mailbox of {owner.dn}"
            yield rules.MAILBOX_NESTED.broken(account.dn, reason)
            around.append((path, account))
        elif key_of(owner.dn) != key_of(account.dn):
            reason = f"/{path} is the mailbox of {owner.dn} as well"
            yield rules.MAILBOX_SHARED.broken(account.dn, reason)
