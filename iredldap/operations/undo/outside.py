"""Revert what a change did outside the directory: rows of the databases, and subscribable lists."""

from collections.abc import Iterable, Iterator

from iredldap.dit import mailbox
from iredldap.dit.change_log import Touched, TouchedRows
from iredldap.dit.left_alone import LeftAlone, Reverted
from iredldap.dit.plan import Outside
from iredldap.gateways.tables.iredadmin import DELETED
from iredldap.gateways.touched_rows import collected
from iredldap.operations.mlmmj_calls import SYSTEM as LISTS
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.operations.undo import subscribable_lists
from iredldap.operations.undo.left import Left
from iredldap.undo_errors import MailboxRemoved

_MAILBOXES = f"iredadmin.{DELETED.name}"


def step(outside: OutsideSystems, touched: list[TouchedRows], left: Left) -> Iterator[Outside]:
    """Yield the step that reverts rows and lists, in reverse order.

    What it will leave alone is found out before; what others change until then, by the step itself.

    Raises:
        ServerDown: If a database does not answer.
        MlmmjadminUnavailable: If mlmmjadmin does not.
    """
    foreseen = _revert(outside, touched, tries=True)
    left.add(_shown(foreseen.left))
    if not foreseen.changed:
        return
    reverted: list[TouchedRows] = []

    def work() -> None:
        with collected() as rows:
            left.add(_shown(_revert(outside, touched).left))
        reverted.extend(rows)

    def undo() -> None:
        _revert(outside, reverted)

    yield Outside("revert the rows of the databases, and the subscribable lists", work, undo)


def _revert(
    outside: OutsideSystems, touched: list[TouchedRows], *, tries: bool = False
) -> Reverted:
    reverted = Reverted()
    for name in dict.fromkeys(rows.system for rows in reversed(touched)):
        ours = [rows for rows in touched if rows.system == name]
        if name == LISTS:
            one = subscribable_lists.revert(outside.mlmmjadmin, ours, tries=tries)
        else:
            one = outside.database(name).revert(ours, tries=tries)
        reverted.left += one.left
        reverted.changed |= one.changed
    return reverted


def _shown(left: Iterable[LeftAlone]) -> Iterator[LeftAlone]:
    """Yield what matters to an admin: a mailbox that comes back is off the list in any case."""
    return (one for one in left if one.where != _MAILBOXES)


def refuse_removed_mailboxes(
    outside: OutsideSystems, touched: Iterable[TouchedRows], attempts: Iterable[Touched]
) -> None:
    """Refuse to bring accounts back whose mail is gone.

    Args:
        outside: The databases.
        touched: What the change has touched in them.
        attempts: What undos that broke off have touched: they may have taken it off the list.

    Raises:
        MailboxRemoved: If a mailbox that the change has recorded is not on the list any more: it
            was removed, or belongs to another account.
        ServerDown: If the database does not answer.
    """
    recorded = {
        int(str(row["id"])): mailbox.normalized(str(row["maildir"]))
        for rows in touched
        if rows.system == "iredadmin" and rows.table == DELETED.name
        for row in rows.after
    }
    if not recorded:
        return
    there = {*outside.iredadmin.written_down([*recorded.values()])}
    gone = {number: path for number, path in recorded.items() if number not in there}
    if gone:
        ours = _taken_off(attempts)
        gone = {number: path for number, path in gone.items() if number not in ours}
    if gone:
        paths = ", ".join(sorted(gone.values()))
        raise MailboxRemoved(f"{len(gone)} of {len(recorded)}: {paths[:500]}")


def _taken_off(attempts: Iterable[Touched]) -> set[int]:
    """Return the ids of the rows that were taken off the list of deleted mailboxes."""
    return {
        int(str(row["id"]))
        for rows in attempts
        if isinstance(rows, TouchedRows) and rows.table == DELETED.name and not rows.after
        for row in rows.before
    }
