"""The changes that the callers of the API may undo: those that they could make."""

from collections.abc import Iterator, Mapping

from iredldap.changes.change_log import ChangeLog
from iredldap.dit.change_log import LoggedChange
from iredldap.dit.fields import FieldChange, Verb
from iredldap.errors import PermissionDenied
from iredldap.operations.login import Caller
from iredldap.operations.undo.logged import UNDO, UndoableChanges
from iredldap.web.auth import permit_changes, permit_names, permit_token_for, subject_of
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import ENDPOINTS

_ENDPOINTS: Mapping[str, Endpoint] = {endpoint.id: endpoint for endpoint in ENDPOINTS}


class PermittedChanges(UndoableChanges):
    """The changes in the log.

    Args:
        log: The log.
        default_transport: The server's own transport, which normal admins may set.
    """

    def __init__(self, log: ChangeLog, default_transport: str) -> None:
        super().__init__(log)
        self._default_transport = default_transport

    def permit(self, caller: Caller, change: LoggedChange) -> None:
        """Refuse a caller who may not make such a change: who could not do it may not undo it.

        Of an undo, the change that it has undone counts. A token needs the scopes that it needs.

        Raises:
            PermissionDenied: If so.
        """
        if caller.is_global and caller.token is None:
            return
        while change.endpoint == UNDO:
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
