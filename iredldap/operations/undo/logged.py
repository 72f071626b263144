"""The change log as an undo reads it."""

from collections.abc import Iterable, Iterator
from itertools import chain

from iredldap.changes.change_log import ChangeLog
from iredldap.dit import mail_names
from iredldap.dit.change_log import LoggedChange, Touched
from iredldap.dit.touched_text import unpacked
from iredldap.errors import PermissionDenied, ServerDown
from iredldap.gateways.change_store import ChangeFilter
from iredldap.operations.context import PathVariables
from iredldap.operations.login import Caller

UNDO = "change_undo"
"""Id of the endpoint."""

_PAGE = 100


class UndoableChanges:
    """The changes in the log, which global admins may undo.

    Args:
        log: The log.
    """

    def __init__(self, log: ChangeLog) -> None:
        self._log = log

    def change(self, number: str) -> LoggedChange | None:
        """Read a change by its id.

        Raises:
            ServerDown: If the database does not respond, as all methods.
        """
        return self._log.store.change(number)

    def touched(self, number: str) -> Iterator[Touched]:
        """Read what a change has touched, in order, with those secrets that can be opened."""
        pieces = self._log.store.touched(number)
        return map(self._log.seals.opened, chain.from_iterable(map(unpacked, pieces)))

    def undone_by(self, number: str) -> Iterable[LoggedChange]:
        """Read the changes that have undone another one."""
        return self._log.store.undone_by(number)

    def undos_after(self, number: str) -> Iterator[LoggedChange]:
        """Read the undos since a change."""
        while found := self._log.store.find(ChangeFilter(endpoint=UNDO, after=number), _PAGE):
            yield from found
            number = found[-1].id

    def broke_off(self, endpoint: str, path: PathVariables) -> bool:
        """Return whether the last change by an endpoint of what a path names did not end well.

        What is not known counts as such: whether a worker lives, all while the database is away.
        """
        account = path.get("mail", "").lower()
        domain = path.get("domain") or mail_names.domain_of(account)
        try:
            result = self._log.store.last_result(endpoint, account, domain.lower())
        except ServerDown:
            return True
        return result not in {None, "done"}

    def permit(self, caller: Caller, change: LoggedChange) -> None:
        """Refuse a caller who is no global admin.

        Raises:
            PermissionDenied: If so.
        """
        if not caller.is_global:
            raise PermissionDenied(f"{caller.address}: {change.endpoint}")
