"""Find the change to undo, and refuse one that cannot be, or not by this caller."""

from iredldap.dit.change_log import LoggedChange
from iredldap.errors import AlreadyUndone, ChangeUnfinished, NoSuchChange
from iredldap.operations.context import Context


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
    if is_undone(context, number):
        raise AlreadyUndone(number)
    return change


def is_visible(context: Context, change: LoggedChange) -> bool:
    """Return whether a caller may know of a change: it was made in one of their domains."""
    caller = context.caller
    own = change.account == caller.address
    return caller.is_global or own or bool(change.domain and caller.manages(change.domain))


def is_undone(context: Context, number: str) -> bool:
    """Return whether a change has been undone by one that has not been undone itself."""
    return any(
        undo.result == "done" and not is_undone(context, undo.id)
        for undo in context.changes.undone_by(number)
    )
