"""The refusals of an undo: the change to take back is not finished, or not to be had back."""

from iredldap.errors import Conflict


class ChangeUnfinished(Conflict):
    """The change to undo is still being carried out."""

    code = "CHANGE_UNFINISHED"


class AlreadyUndone(Conflict):
    """The change has been undone; that undo can be undone."""

    code = "ALREADY_UNDONE"


class ChangedSince(Conflict):
    """Others have changed everything since that would be undone; the report names it."""

    code = "CHANGED_SINCE"


class NothingToUndo(Conflict):
    """Everything is as it was before the change."""

    code = "NOTHING_TO_UNDO"


class SecretNotKept(Conflict):
    """A password would come back that the log has not kept, or whose key is gone."""

    code = "SECRET_NOT_KEPT"


class MailboxRemoved(Conflict):
    """An account would come back whose mail was removed, or belongs to another one by now."""

    code = "MAILBOX_REMOVED"
