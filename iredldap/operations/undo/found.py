"""Find the change to undo, and refuse one that cannot be, or not by this caller."""

from iredldap.dit.change_log import LoggedChange
from iredldap.errors import NoSuchChange
from iredldap.operations.context import Context, LoggedChanges
from iredldap.undo_errors import AlreadyUndone, ChangeUnfinished


def find(context: Context, number: str) -> LoggedChange:
    """Find a change by its id.

    Raises:
        NoSuchChange: If there is none, the log has been pruned since, or it is of other domains.
        PermissionDenied: If the caller may not make such a change.
        ChangeUnfinished: If it is still being carried out.
        AlreadyUndone: If it has been undone, and the undo has not.
    """
    change = context.changes.change(number)
    if change is None or not is_visible(context, change):
        raise NoSuchChange(number[:80])
    context.changes.permit(context.caller, change)
    if change.result == "open":
        raise ChangeUnfinished(number)
    if is_undone(context.changes, number):
        raise AlreadyUndone(number)
    return change


def is_visible(context: Context, change: LoggedChange) -> bool:
    """Return whether a caller may know of a change: it was made in one of their domains."""
    caller = context.caller
    own = change.account == caller.address
    return caller.is_global or own or bool(change.domain and caller.manages(change.domain))


def is_undone(changes: LoggedChanges, number: str) -> bool:
    """Return whether a change has been undone by one that has not been undone itself."""
    undos: dict[str, LoggedChange] = {}
    waiting = [number]
    while waiting:
        found = {undo.id: undo for undo in changes.undone_by(waiting.pop())}
        undos |= found
        waiting += found
    undone: set[str] = set()
    # The newest first: only a later one can have undone it.
    for id_ in sorted(undos, reverse=True):
        if undos[id_].result == "done" and id_ not in undone:
            undone.add(undos[id_].undoes)
    return number in undone
