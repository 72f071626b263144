"""Endpoints of logging in and out."""

from iredldap.operations.login import LOGIN
from iredldap.web.endpoints.endpoint import Endpoint

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
)
