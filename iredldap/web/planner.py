"""Make the plan of a request, with the rights that its caller has by then."""

from iredldap.config.sections import Config
from iredldap.dit.plan import Plan
from iredldap.dit.request import Request
from iredldap.errors import PermissionDenied
from iredldap.gateways.directory import Directory
from iredldap.operations import dispatch
from iredldap.operations.access.api_tokens import TokenManager
from iredldap.operations.context import Context, LoggedChanges
from iredldap.operations.login import Caller, find_admin
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.web.auth import permit_changes, permit_names, permit_token_for, subject_of
from iredldap.web.endpoints.imports import IMPORT
from iredldap.web.endpoints.index import ENDPOINTS, OPERATIONS
from iredldap.web.endpoints.states import APPLY

_ENDPOINTS = {endpoint.id: endpoint for endpoint in ENDPOINTS}

TABLES = {
    endpoint.id: endpoint.table
    for endpoint in ENDPOINTS
    if endpoint.id in OPERATIONS or endpoint.id in {IMPORT, APPLY}
}


def plan_for(
    directory: Directory,
    config: Config,
    outside: OutsideSystems,
    changes: LoggedChanges,
    tokens: TokenManager,
    wanted: Request,
    owner: str,
) -> Plan:
    """Make the plan of a stored request, with the checks of the middleware and a handler.

    Raises:
        PermissionDenied: If the caller is no admin any more, or may not (any more), or the token of
            the request has ended.
        Refusal: As the operation says.
    """
    caller = caller_of(directory, tokens, wanted, owner)
    permit_request(config, caller, wanted)
    context = Context(directory, config, caller, outside, changes)
    return dispatch.plan(context, OPERATIONS[wanted.endpoint], wanted)


def caller_of(directory: Directory, tokens: TokenManager, wanted: Request, owner: str) -> Caller:
    """Return the caller of a stored request, as they are now.

    Raises:
        PermissionDenied: If they are no admin any more, or the token of the request has ended.
    """
    # Read again: the job may run long after it was accepted, and its owner may have lost the
    # rights, or deleted the token.
    caller = tokens.caller_of(wanted.token) if wanted.token else find_admin(directory, owner)
    if caller is None:
        raise PermissionDenied(f"{owner} is no admin any more, or token {wanted.token} has ended")
    return caller


def permit_request(config: Config, caller: Caller, wanted: Request) -> None:
    """Refuse a request that a caller may not make, with the checks of the middleware.

    Raises:
        PermissionDenied, MissingScope: If so.
    """
    endpoint = _ENDPOINTS[wanted.endpoint]
    changes = (*wanted.parsed.changes, *wanted.parsed.odd)
    permit_token_for(caller, endpoint, changes)
    permit_names(caller, endpoint, wanted.names)
    permit_changes(
        caller, endpoint, subject_of(wanted.names)[0], changes, config.accounts.default_transport
    )
