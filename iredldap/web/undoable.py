"""The change log as an undo reads it, with the rights that its caller needs."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from iredldap.changes.change_log import ChangeLog
from iredldap.dit.change_log import LoggedChange, Touched
from iredldap.dit.fields import FieldChange, Verb
from iredldap.dit.touched_text import unpacked
from iredldap.errors import PermissionDenied
from iredldap.operations.login import Caller
from iredldap.web.auth import permit_changes, permit_names, permit_token_for, subject_of
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import ENDPOINTS

_ENDPOINTS: Mapping[str, Endpoint] = {endpoint.id: endpoint for endpoint in ENDPOINTS}
_UNDO = "change_undo"


class UndoableChanges:
    """The changes in the log.

    Args:
        log: The log.
        default_transport: The server's own transport, which normal admins may set.
    """

    def __init__(self, log: ChangeLog, default_transport: str) -> None:
        self._log = log
        self._default_transport = default_transport

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

    def permit(self, caller: Caller, change: LoggedChange) -> None:
        """Refuse a caller who may not make such a change: who could not do it may not undo it.

        Of an undo, the change that it has undone counts. A token needs the scopes that it needs.

        Raises:
            PermissionDenied: If so.
        """
        if caller.is_global and caller.token is None:
            return
        while change.endpoint == _UNDO:
            undone = self.change(change.undoes)
            if undone is None:
                raise PermissionDenied(f"{change.id} undoes a change that is not in the log")
            change = undone
        endpoint = _ENDPOINTS.get(change.endpoint)
        if endpoint is None:
            raise PermissionDenied(f"{change.endpoint} is for sessions of global admins")
        permit_token_for(caller, endpoint, _sent(endpoint, change))
        if caller.is_global:
            return
        path = _path(change)
        permit_names(caller, endpoint, path)
        permit_changes(
            caller, endpoint, subject_of(path)[0], _sent(endpoint, change), self._default_transport
        )


def _path(change: LoggedChange) -> dict[str, str]:
    """Return the variables of the path that a change was sent to."""
    path = {"mail": change.account} if change.account else {"domain": change.domain}
    moved = change.parameters.get("new_mail", ())
    return {**path, **({"new_mail": moved[0]} if moved else {})}


def _sent(endpoint: Endpoint, change: LoggedChange) -> Iterator[FieldChange]:
    for row in endpoint.table:
        if row.name in change.parameters:
            yield FieldChange(row, change.parameters[row.name], Verb.SET)
