"""The index of the API: every endpoint, who may call it and what it takes.

The rows feed the router, the permission step, the form reader and the OpenAPI document.
"""

from dataclasses import dataclass

from iredldap.dit import alias, domain, export, maillist, user
from iredldap.dit.fields import Table
from iredldap.operations.login import LOGIN

_DOMAIN = "/api/domain/{domain}"
_USER = "/api/user/{mail}"
_MAILLIST = "/api/maillist/{mail}"
_ALIAS = "/api/alias/{mail}"
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
    concerned), `self` (an admin on his own account), `admin` (any admin, on what is his own).
    `profiles` is the domain's setting that takes parts of such objects from normal admins, and
    `profile` the part that this endpoint is. `errors` are codes beside those that every endpoint
    has. `returns` describes the data of a read.
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
    profile: str | None = None
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
        id="domain_services_get",
        method="GET",
        path="/api/domain/services/{domain}",
        auth=_ADMINS,
        summary="List the services of a domain.",
        errors=("INVALID_DOMAIN_NAME", *_NAMING),
        returns="Names of services, sorted.",
        profiles="disabledDomainProfile",
    ),
    Endpoint(
        id="domain_services_update",
        method="PUT",
        path="/api/domain/services/{domain}",
        auth=_ADMINS,
        summary="Switch services of a domain; a normal admin switches self-service only.",
        table=domain.SERVICES,
        errors=("INVALID_DOMAIN_NAME", *_NAMING),
        profiles="disabledDomainProfile",
        profile="advanced",
    ),
    Endpoint(
        id="domain_admins_update",
        method="PUT",
        path="/api/domain/admins/{domain}",
        auth=_ADMINS,
        summary="Assign and withdraw the admins of a domain.",
        table=domain.ADMINS,
        errors=("INVALID_DOMAIN_NAME", *_NAMING, "NO_ADMINS"),
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
        id="user_update",
        method="PUT",
        path=_USER,
        auth=(*_ADMINS, "self"),
        summary="Change a mail user; what is not sent stays as it is.",
        table=user.UPDATE,
        errors=(
            "INVALID_MAIL",
            *_NAMING,
            "ALREADY_EXISTS",
            "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE",
            "EXCEEDED_DOMAIN_QUOTA_SIZE",
            "EXCEEDED_MAX_USER_QUOTA",
            "INVALID_PASSWORD_SCHEME",
            "PARAMETER_CONFLICT",
            *_PASSWORD_RULES,
        ),
        profiles="disabledUserProfile",
    ),
    Endpoint(
        id="users_update",
        method="PUT",
        path="/api/users/{domain}",
        auth=_ADMINS,
        summary="Change every mail user of a domain. A normal admin's change leaves global admins"
        " alone.",
        table=user.BULK,
        errors=("INVALID_DOMAIN_NAME", *_NAMING, *_PASSWORD_RULES),
        profiles="disabledUserProfile",
    ),
    Endpoint(
        id="user_verify_password",
        method="POST",
        path="/api/verify_password/user/{mail}",
        auth=("global_admin",),
        summary="Check a password of a mail user, also of a disabled one. If it is wrong the"
        " status is 200 all the same.",
        table=user.VERIFY,
        errors=("INVALID_MAIL", *_NAMING, "INVALID_CREDENTIALS", "EMPTY_PASSWORD"),
    ),
    Endpoint(
        id="user_change_email",
        method="POST",
        path="/api/user/{mail}/change_email/{new_mail}",
        auth=_ADMINS,
        summary="Rename a mail user, also into another domain; every mention follows, the mailbox"
        " stays where it is.",
        errors=(
            "INVALID_MAIL",
            *_NAMING,
            "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE",
            "ALREADY_EXISTS",
            "NOT_ALLOWED",
            "EXCEEDED_DOMAIN_ACCOUNT_LIMIT",
            "EXCEEDED_DOMAIN_QUOTA_SIZE",
            "EXCEEDED_MAX_USER_QUOTA",
        ),
        profiles="disabledUserProfile",
    ),
    Endpoint(
        id="alias_change_email",
        method="POST",
        path="/api/alias/{mail}/change_email/{new_mail}",
        auth=_ADMINS,
        summary="Rename a mail alias, also into another domain; every mention follows.",
        errors=(
            "INVALID_MAIL",
            *_NAMING,
            "ALREADY_EXISTS",
            "NOT_ALLOWED",
            "EXCEEDED_DOMAIN_ACCOUNT_LIMIT",
        ),
    ),
    Endpoint(
        id="maillist_get",
        method="GET",
        path=_MAILLIST,
        auth=_ADMINS,
        summary="Read an unsubscribable mailing list.",
        errors=("INVALID_MAIL", *_NAMING),
        returns="Attributes of the list, each a list of texts; `members`: sorted addresses.",
    ),
    Endpoint(
        id="maillist_create",
        method="POST",
        path=_MAILLIST,
        auth=_ADMINS,
        summary="Create an unsubscribable mailing list.",
        table=maillist.CREATE,
        errors=(
            "INVALID_MAIL",
            "INVALID_DOMAIN_NAME",
            *_NAMING,
            "ALREADY_EXISTS",
            "NOT_ALLOWED",
            "EXCEEDED_DOMAIN_ACCOUNT_LIMIT",
        ),
        names_new_account=True,
    ),
    Endpoint(
        id="maillist_update",
        method="PUT",
        path=_MAILLIST,
        auth=_ADMINS,
        summary="Change an unsubscribable mailing list; what is not sent stays as it is.",
        table=maillist.UPDATE,
        errors=("INVALID_MAIL", *_NAMING, "PARAMETER_CONFLICT"),
    ),
    Endpoint(
        id="maillist_delete",
        method="DELETE",
        path=_MAILLIST,
        auth=_ADMINS,
        summary="Delete an unsubscribable mailing list and every mention of it.",
        table=maillist.DELETE,
        errors=("INVALID_MAIL", *_NAMING),
    ),
    Endpoint(
        id="alias_get",
        method="GET",
        path=_ALIAS,
        auth=_ADMINS,
        summary="Read a mail alias.",
        errors=("INVALID_MAIL", *_NAMING),
        returns="Attributes of the alias, each a list of texts; `members`: sorted addresses.",
    ),
    Endpoint(
        id="alias_create",
        method="POST",
        path=_ALIAS,
        auth=_ADMINS,
        summary="Create a mail alias.",
        table=alias.CREATE,
        errors=(
            "INVALID_MAIL",
            "INVALID_DOMAIN_NAME",
            *_NAMING,
            "ALREADY_EXISTS",
            "NOT_ALLOWED",
            "EXCEEDED_DOMAIN_ACCOUNT_LIMIT",
        ),
        names_new_account=True,
    ),
    Endpoint(
        id="alias_update",
        method="PUT",
        path=_ALIAS,
        auth=_ADMINS,
        summary="Change a mail alias; what is not sent stays as it is.",
        table=alias.UPDATE,
        errors=("INVALID_MAIL", *_NAMING, "PARAMETER_CONFLICT"),
    ),
    Endpoint(
        id="alias_delete",
        method="DELETE",
        path=_ALIAS,
        auth=_ADMINS,
        summary="Delete a mail alias and every mention of it.",
        errors=("INVALID_MAIL", *_NAMING),
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
        id="ldif_catchall",
        method="GET",
        path="/api/ldif/catchall/{domain}",
        auth=_ADMINS,
        summary="Export the catch-all account of a domain as LDIF.",
        table=export.ENTRY,
        errors=("INVALID_DOMAIN_NAME", *_NAMING),
        returns="LDIF as text; or the bare file.",
        profiles="disabledDomainProfile",
    ),
    Endpoint(
        id="ldif_admin",
        method="GET",
        path="/api/ldif/admin/{mail}",
        auth=("global_admin",),
        summary="Export a standalone admin as LDIF.",
        table=export.ENTRY,
        errors=("INVALID_MAIL", *_NAMING),
        returns="LDIF as text; or the bare file.",
    ),
    Endpoint(
        id="ldif_maillist",
        method="GET",
        path="/api/ldif/maillist/{mail}",
        auth=_ADMINS,
        summary="Export a mailing list and its members elsewhere as LDIF.",
        table=export.ENTRY,
        errors=("INVALID_MAIL", *_NAMING),
        returns="LDIF as text; or the bare file.",
    ),
    Endpoint(
        id="ldif_alias",
        method="GET",
        path="/api/ldif/alias/{mail}",
        auth=_ADMINS,
        summary="Export a mail alias as LDIF.",
        table=export.ENTRY,
        errors=("INVALID_MAIL", *_NAMING),
        returns="LDIF as text; or the bare file.",
    ),
    Endpoint(
        id="job_get",
        method="GET",
        path="/api/jobs/{id}",
        auth=("admin",),
        summary="Ask how a change stands that was sent with `Prefer: respond-async`. Global admins"
        " may ask about any, other admins about their own; for a week after it ended.",
        errors=("NO_SUCH_JOB",),
        returns="id; status: queued, running, done or failed; done and total: entries and single"
        " steps, total is null until they have been counted; failures: entries that the directory"
        " refused to change; code and report of a failed one, as its answer would have had them in"
        " _msg and _data, and under failed the DN and code of each of those entries; created and"
        " finished, in UTC.",
        era="ours",
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
