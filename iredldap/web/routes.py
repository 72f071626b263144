"""The index of the API: every endpoint, who may call it and what it takes.

The rows feed the router, the permission step, the form reader and the OpenAPI document.
"""

from dataclasses import dataclass

from iredldap.dit import domain, export, user
from iredldap.dit.fields import Table
from iredldap.operations.login import LOGIN

_DOMAIN = "/api/domain/{domain}"
_USER = "/api/user/{mail}"
_ADMINS = ("global_admin", "domain_admin")
_PASSWORD_RULES = (
    "PW_EMPTY", "PW_NON_ASCII", "PW_SHORTER_THAN_MIN_LENGTH", "PW_GREATER_THAN_MAX_LENGTH",
    "PW_NO_LETTER", "PW_NO_UPPERCASE", "PW_NO_DIGIT_NUMBER", "PW_NO_SPECIAL_CHAR",
)  # fmt: skip
_NAMING = ("NO_SUCH_ACCOUNT", "PERMISSION_DENIED")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method on one path.

    `auth` lists who may call: `anonymous`, `global_admin`, `domain_admin` (of the domain
    concerned), `self` (an admin on his own account). `profiles` is the domain's setting that
    takes parts of such objects from normal admins. `errors` are codes beside those that every
    endpoint has. `returns` describes the data of a read.
    """

    id: str
    method: str
    path: str
    auth: tuple[str, ...]
    summary: str
    table: Table = ()
    errors: tuple[str, ...] = ()
    returns: str | None = None
    profiles: str = ""
    era: str = "seed"
    names_new_account: bool = False

    @property
    def is_open(self) -> bool:
        return "anonymous" in self.auth


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        id="login",
        method="POST",
        path="/api/login",
        auth=("anonymous",),
        summary="Open a session; its cookie identifies the later calls.",
        table=LOGIN,
        errors=("INVALID_USERNAME", "EMPTY_PASSWORD", "INVALID_CREDENTIALS", "NOT_AUTHORIZED"),
    ),
    Endpoint(
        id="logout",
        method="POST",
        path="/api/logout",
        auth=("anonymous",),
        summary="End the session of the cookie, on every worker.",
        errors=("LOGIN_REQUIRED", "SESSION_EXPIRED"),
        era="ours",
    ),
    Endpoint(
        id="domain_get",
        method="GET",
        path=_DOMAIN,
        auth=_ADMINS,
        summary="Read a domain, by its name or that of one of its alias domains.",
        errors=("INVALID_DOMAIN_NAME", *_NAMING),
        returns="Attributes of the domain, each a list of texts; accountSetting as an object.",
        profiles="disabledDomainProfile",
    ),
    Endpoint(
        id="domain_create",
        method="POST",
        path=_DOMAIN,
        auth=_ADMINS,
        summary="Create a domain with its containers. A normal admin who may do so becomes its"
        " admin.",
        table=domain.CREATE,
        errors=(
            "INVALID_DOMAIN_NAME",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "EXCEED_LIMIT_DOMAIN",
            "EXCEED_LIMIT_QUOTA",
            "EXCEED_LIMIT_USERS",
            "EXCEED_LIMIT_ALIASES",
            "EXCEED_LIMIT_LISTS",
            "INVALID_MAIL",
        ),
        profiles="disabledDomainProfile",
    ),
    Endpoint(
        id="domain_delete",
        method="DELETE",
        path=_DOMAIN,
        auth=_ADMINS,
        summary="Delete a domain with everything in it; mailboxes stay on disk.",
        errors=("INVALID_DOMAIN_NAME", *_NAMING),
        profiles="disabledDomainProfile",
    ),
    Endpoint(
        id="domain_update",
        method="PUT",
        path=_DOMAIN,
        auth=_ADMINS,
        summary="Change a domain; what is not sent stays as it is.",
        table=domain.UPDATE,
        errors=(
            "INVALID_DOMAIN_NAME",
            *_NAMING,
            "INVALID_MAIL",
            "PARAMETER_CONFLICT",
            "MISSING_PARAMETER",
        ),
        profiles="disabledDomainProfile",
    ),
    Endpoint(
        id="user_get",
        method="GET",
        path=_USER,
        auth=(*_ADMINS, "self"),
        summary="Read a mail user.",
        errors=("INVALID_MAIL", *_NAMING, "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE"),
        returns="Attributes of the user, each a list of texts; accountSetting as an object;"
        " those in api_hidden_user_profiles are left out.",
        profiles="disabledUserProfile",
    ),
    Endpoint(
        id="user_create",
        method="POST",
        path=_USER,
        auth=_ADMINS,
        summary="Create a mail user.",
        table=user.CREATE,
        errors=(
            "INVALID_MAIL",
            "INVALID_DOMAIN_NAME",
            "NO_SUCH_ACCOUNT",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "NOT_ALLOWED",
            "EXCEEDED_DOMAIN_ACCOUNT_LIMIT",
            "EXCEEDED_DOMAIN_QUOTA_SIZE",
            "EXCEEDED_MAX_USER_QUOTA",
            "INVALID_PASSWORD_SCHEME",
            *_PASSWORD_RULES,
        ),
        profiles="disabledUserProfile",
        names_new_account=True,
    ),
    Endpoint(
        id="user_delete",
        method="DELETE",
        path=_USER,
        auth=_ADMINS,
        summary="Delete a mail user and every mention of him; the mailbox stays on disk.",
        errors=("INVALID_MAIL", *_NAMING, "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE"),
        profiles="disabledUserProfile",
    ),
    Endpoint(
        id="ldif_domain",
        method="GET",
        path="/api/ldif/domain/{domain}",
        auth=_ADMINS,
        summary="Export a domain with everything in it as LDIF.",
        table=export.DOMAIN,
        errors=("INVALID_DOMAIN_NAME", *_NAMING),
        returns="LDIF as text; or the bare file.",
        profiles="disabledDomainProfile",
    ),
    Endpoint(
        id="ldif_user",
        method="GET",
        path="/api/ldif/user/{mail}",
        auth=_ADMINS,
        summary="Export a mail user as LDIF.",
        table=export.ENTRY,
        errors=("INVALID_MAIL", *_NAMING),
        returns="LDIF as text; or the bare file.",
        profiles="disabledUserProfile",
    ),
    Endpoint(
        id="openapi",
        method="GET",
        path="/openapi.json",
        auth=("anonymous",),
        summary="This API as an OpenAPI 3.1 document.",
        era="ours",
    ),
    Endpoint(
        id="livez",
        method="GET",
        path="/livez",
        auth=("anonymous",),
        summary="Whether the process answers.",
        era="ours",
    ),
    Endpoint(
        id="readyz",
        method="GET",
        path="/readyz",
        auth=("anonymous",),
        summary="Whether the directory and the state database answer.",
        errors=("SERVER_DOWN",),
        era="ours",
    ),
)
