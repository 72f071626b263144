"""Endpoints of logging in and out."""

from iredldap.dit import token_scopes
from iredldap.operations.login import LOGIN
from iredldap.web.endpoints.endpoint import NAMING, Endpoint

SESSION: tuple[Endpoint, ...] = (
    Endpoint(
        id="login",
        method="POST",
        path="/api/login",
        auth=("anonymous",),
        summary="Open a session; its cookie identifies the later calls.",
        table=LOGIN,
        errors=(
            "INVALID_USERNAME",
            "EMPTY_PASSWORD",
            "INVALID_CREDENTIALS",
            "NOT_ALLOWED_IP",
            "NOT_AUTHORIZED",
            "TOO_MANY_REQUESTS",
        ),
    ),
    Endpoint(
        id="logout",
        method="POST",
        path="/api/logout",
        auth=("anonymous",),
        summary="End the session of the cookie, on every worker within two seconds.",
        errors=("LOGIN_REQUIRED", "SESSION_EXPIRED"),
        era="ours",
    ),
    Endpoint(
        id="sessions_end",
        method="DELETE",
        path="/api/sessions/{mail}",
        auth=("global_admin", "self"),
        summary="End all sessions of an admin, on every worker within two seconds: that of the"
        " call, too, if it is theirs. Tokens are not sessions, and stay.",
        errors=NAMING,
        era="ours",
        tries=True,
        token_scopes=(token_scopes.ADMINS,),
    ),
    Endpoint(
        id="sessions_end_all",
        method="DELETE",
        path="/api/sessions",
        auth=("global_admin",),
        summary="End the sessions of all admins, that of the call, too. Tokens stay.",
        errors=("PERMISSION_DENIED",),
        era="ours",
        tries=True,
        token_scopes=(token_scopes.ADMINS,),
    ),
)
