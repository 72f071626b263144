"""Refuse an undo that gives an admin a former password, where its caller may not set one.

They could know it, and log in as that admin. What counts is the role that the account has by now.
"""

from collections.abc import Iterable
from functools import cache
from itertools import islice

from iredldap.dit import token_scopes
from iredldap.dit.undoing.net_changes import EntryChange
from iredldap.errors import PermissionDenied
from iredldap.operations.context import Context
from iredldap.operations.undo import changing
from iredldap.operations.undo.successors import Successors
from iredldap.operations.users import protected

_BATCH = 100
"""Entries that are read at once."""

_PASSWORD = "userpassword"  # noqa: S105 - the name of an attribute


def refuse_of_admins(context: Context, changes: Iterable[EntryChange], again: Successors) -> None:
    """Refuse the passwords that the caller could not set by the calls themselves.

    Args:
        context: Where, and who asks.
        changes: Those of entries that would be changed back, or renamed back.
        again: Accounts that undos have brought back.

    Raises:
        PermissionDenied: If a normal admin would set the password of an admin of domains of others,
            or a token without the scope for that the password of an admin.
    """
    caller, directory = context.caller, context.directory
    if caller.is_global and caller.may(token_scopes.ADMINS):
        return
    others = cache(lambda: protected.admins_of_other_domains(directory, caller))
    waiting = (change for change in changes if _PASSWORD in change.attributes)
    while batch := [*islice(waiting, _BATCH)]:
        for entry in filter(None, changing.current(directory, batch, again)):
            protected.refuse_password_by_token(caller, entry)
            if entry.lowered("mail") & others():
                raise PermissionDenied(f"{entry.dn} manages domains of others")
